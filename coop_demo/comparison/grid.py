"""The paper's protocol: data sets × shots × seeds × methods, streamed and resumable."""

import contextlib
import hashlib
import json
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent, FeatureCache
from coop_demo.comparison.cells import (
    EncodedSet,
    OpenBackbone,
    SetEncoder,
    Settings,
    cell_of,
    encoder_of,
    find_dataset,
    fit_method,
    measured_cell,
)
from coop_demo.comparison.feature_store import StoredFeatures
from coop_demo.comparison.methods import (
    COMPARISON_METHODS,
    Classifier,
    Method,
    find_methods,
    hand_crafted,
)
from coop_demo.comparison.results_csv import Cell, UnwritableResults, append_cell, open_results
from coop_demo.comparison.statistics import score
from coop_demo.data.dataset import Dataset, Picture, check_trainable, split_held_out
from coop_demo.engines.engine import Engine, EngineError
from coop_demo.errors import UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import Prepared, train_config_for
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.training import Preset, TrainEvent

__all__ = ["benchmark", "find_dataset", "plan_cells", "shots_curve"]

PAPER_SHOTS = (1, 2, 4, 8, 16)


PAPER_SEEDS = (1, 2, 3)


GRID_METHODS = ("hand-crafted", "class-mean", "tip-adapter", "gda", "linear-probe", "learned")


@dataclass(frozen=True)
class GridProgress:
    """Where a grid is. `cell` is set when one has just been finished or was there already."""

    done: int
    total: int
    dataset: str
    method: str
    shots: int
    seed: int
    seconds: float
    seconds_left: float | None  # None before anything was measured
    cell: Cell | None = None
    was_there: bool = False


@dataclass(frozen=True)
class GridProblem:
    """A sentence about a set, a shot count or a cell that was left out; the rest goes on."""

    message: str


@dataclass(frozen=True)
class GridResult:
    """All cells of the grid, those of earlier runs included."""

    cells: tuple[Cell, ...]
    problems: tuple[str, ...]
    seconds: float


GridEvent = EncodeEvent | TrainEvent | GridProgress | GridProblem | GridResult


def benchmark(
    backbone: Backbone,
    root: str | Path,
    datasets: Sequence[str],
    *,
    shots: Sequence[int] = PAPER_SHOTS,
    seeds: Sequence[int] = PAPER_SEEDS,
    methods: Sequence[str] = GRID_METHODS,
    out: str | Path,
    preset: Preset = "fast",
    template: str = "",
    prompt_config: PromptConfig | None = None,
    store_features: bool = True,
    engine: Engine | None = None,
    open_backbone: OpenBackbone | None = None,
    **overrides,
) -> Iterator[GridEvent]:
    """Run the grid over data sets below `root`; the last event is the GridResult.

    Args:
        root: the folder of the data sets: ours (`ROOT/<set>/train/<class>/…`) or CoOp's own.
        datasets: names of sets below it.
        out: CSV that finished cells are appended to. Cells that stand there with the same
            settings are not run again.
        template: the hand-crafted prompt to beat; the paper's own for its sets when empty.
        store_features: keep features in a folder beside `out`, so that the next start encodes
            nothing again.
        engine: where the cells are fitted, several at a time; in this process, one after the
            other, when None. The rows and their order are the same; what a cell learns on the way
            (TrainEvent) is not told.
        open_backbone: opens the same backbone in a worker; needed with an engine.
        overrides: fields of TrainConfig; None leaves the preset's own value.

    Raises:
        UserError: nothing to do, unknown methods or settings out of range, or `out` cannot be
            written or is another table; EngineError: workers cannot be had. A set that cannot be
            used is a GridProblem instead.
    """
    out = Path(out)
    chosen, shots, seeds = (
        find_methods(methods),
        _numbers(shots, "shots", 1),
        _numbers(seeds, "seeds", 0),
    )
    if not datasets:
        raise UserError("Name at least one data set.")
    settings = grid_settings(backbone, preset, template, prompt_config, overrides)
    train_config_for(preset, 1, 1, **dict(settings.overrides))  # a bad setting is said at once
    there = {cell.key: cell for cell in open_results(out)}
    began = time.perf_counter()
    cells: list[Cell] = []
    problems: list[str] = []
    names = tuple(dict.fromkeys(datasets))
    # planned until a set has said how many cells it really has
    cells_of = dict.fromkeys(names, _planned(chosen, shots, seeds))
    before, timer = 0, _Timer()
    folder = out.with_name(f"{out.stem}.features") if store_features else None
    store = None if folder is None or engine is not None else StoredFeatures(folder)
    try:
        for name in names:
            try:
                dataset = replace(find_dataset(root, name), name=name)
                if engine is None:
                    events = _grid(backbone, dataset, chosen, shots, seeds, settings, there, store)
                else:
                    assert open_backbone is not None, "workers open the backbone themselves"
                    where = _Workers(engine, open_backbone, root, folder)
                    events = _grid_on(where, dataset, chosen, shots, seeds, settings, there)
                for event in events:
                    if isinstance(event, GridProblem):
                        problems.append(event.message)
                    elif isinstance(event, GridProgress):
                        cells_of[name] = event.total
                        if event.cell is not None:
                            cells.append(event.cell)
                            if not event.was_there:
                                append_cell(out, event.cell)
                                timer.add()
                        done, total = before + event.done, sum(cells_of.values())
                        event = replace(
                            event,
                            done=done,
                            total=total,
                            seconds=time.perf_counter() - began,
                            seconds_left=timer.left(total - done),
                        )
                    yield event
            except (UnwritableResults, EngineError):
                raise
            except UserError as error:
                problems.append(f"{name}: {error}")
                yield GridProblem(problems[-1])
            before += cells_of[name]
    finally:
        if store is not None:
            store.close()
    yield GridResult(tuple(cells), tuple(problems), time.perf_counter() - began)


def shots_curve(
    backbone: Backbone,
    dataset: Dataset,
    *,
    shots: Sequence[int] = PAPER_SHOTS,
    seeds: Sequence[int] = PAPER_SEEDS,
    methods: Sequence[str] = ("hand-crafted", "learned"),
    preset: Preset = "fast",
    template: str = DEFAULT_TEMPLATE,
    prompt_config: PromptConfig | None = None,
    held_out_seed: int = 1,
    done: Sequence[Cell] = (),
    **overrides,
) -> Iterator[GridEvent]:
    """Accuracy over shots on one set; every point is an event as soon as it is ready.

    All seeds are measured on the same held-out pictures (those of `held_out_seed`), so the
    hand-crafted line is flat and the spread is that of the shots and the training. Shot counts
    above what the classes have are left out with a sentence. Close it to stop.

    Args:
        done: cells of an earlier, stopped run with the same settings; they are not run again.

    Raises:
        UserError: the set cannot be trained on, or settings cannot be used.
    """
    chosen, shots, seeds = (
        find_methods(methods),
        _numbers(shots, "shots", 1),
        _numbers(seeds, "seeds", 0),
    )
    settings = grid_settings(backbone, preset, template, prompt_config, overrides)
    train_config_for(preset, 1, 1, **dict(settings.overrides))
    began, timer = time.perf_counter(), _Timer()
    dataset, _ = split_held_out(dataset, seed=held_out_seed)
    check_trainable(dataset)
    there = {cell.key: cell for cell in done}
    cells: list[Cell] = []
    problems: list[str] = []
    for event in _grid(backbone, dataset, chosen, shots, seeds, settings, there, None):
        if isinstance(event, GridProblem):
            problems.append(event.message)
        elif isinstance(event, GridProgress):
            if event.cell is not None:
                cells.append(event.cell)
                if not event.was_there:
                    timer.add()
            event = replace(
                event,
                seconds=time.perf_counter() - began,
                seconds_left=timer.left(event.total - event.done),
            )
        yield event
    yield GridResult(tuple(cells), tuple(problems), time.perf_counter() - began)


def _grid(
    backbone: Backbone,
    dataset: Dataset,
    methods: Sequence[Method],
    shots: Sequence[int],
    seeds: Sequence[int],
    settings: Settings,
    there: Mapping[tuple, Cell],
    store: FeatureCache | None,
) -> Iterator[EncodeEvent | TrainEvent | GridProgress | GridProblem]:
    """All cells of one set, those that are there already at once and first."""
    template = settings.template_for(dataset.name)
    fixed_test = bool(dataset.test)  # else every seed holds out its own pictures
    plan = yield from plan_cells(dataset, methods, shots, seeds, settings, there)
    if not plan.missing:
        return

    encoded = EncodedSet(backbone, dataset, settings, plan.most_shots, store)
    if fixed_test:
        encoded.check_test()
    words: dict[str, Classifier] = {}
    current: tuple[int, int] | None = None
    prepared: Prepared | None = None
    for method, n_shots, seed in plan.missing:
        yield plan.progress(method, n_shots, seed, None)
        try:
            if (n_shots, seed) != current:
                current, prepared = (n_shots, seed), None
                prepared = yield from encoded.prepare(n_shots, seed)
            if prepared is None:
                continue  # could not be prepared: said once
            if "hand-crafted" not in words:
                (words["hand-crafted"],) = hand_crafted(backbone, dataset.class_names, [template])
            fitted = yield from fit_method(
                backbone, method, prepared, words, n_shots, seed, template, settings
            )
        except UserError as error:
            yield plan.problem(method, n_shots, seed, str(error))
            continue
        plan.done += 1
        logits = fitted.logits(prepared.test_features)
        measured = score(logits.argmax(-1), prepared.test_labels)
        cell = cell_of(dataset, fitted, method, n_shots, seed, measured, prepared, settings)
        cell = replace(cell, settings_hash=plan.settings_hash)
        yield plan.progress(method, n_shots, seed, cell)


@dataclass
class GridPlan:
    """The cells of one set that are to be run, in their order, and how many are done."""

    dataset: str
    settings_hash: str
    missing: list[tuple[str, int, int]]  # method, shots, seed
    total: int
    done: int
    most_shots: int

    def progress(
        self, method: str, shots: int, seed: int, cell: Cell | None, was_there: bool = False
    ) -> GridProgress:
        return GridProgress(
            self.done, self.total, self.dataset, method, shots, seed, 0.0, None, cell, was_there
        )

    def problem(self, method: str, shots: int, seed: int, said: str) -> GridProblem:
        where = f"{shots} shots, seed {seed}" if shots else "no shots"
        return GridProblem(f"{self.dataset}, {COMPARISON_METHODS[method].title}, {where}: {said}")


def plan_cells(
    dataset: Dataset,
    methods: Sequence[Method],
    shots: Sequence[int],
    seeds: Sequence[int],
    settings: Settings,
    there: Mapping[tuple, Cell],
) -> Generator[GridProgress | GridProblem, None, GridPlan]:
    """What is to be run of a set; tells of the cells that are there already."""
    settings_hash = _hash(settings, dataset)
    fixed_test = bool(dataset.test)
    counted = dataset if fixed_test else split_held_out(dataset, seed=seeds[0])[0]
    shots, problem = _usable_shots(counted, shots)
    if problem:
        yield GridProblem(problem)
    flat = [m for m in methods if not m.needs_pictures]
    fitted = [m for m in methods if m.needs_pictures]
    wanted: list[tuple[str, int, int]] = []  # method, shots, seed
    flat_seeds = (0,) if fixed_test else tuple(seeds)
    wanted += [(m.key, 0, seed) for seed in flat_seeds for m in flat]
    wanted += [(m.key, s, seed) for s in shots for seed in seeds for m in fitted]
    plan = GridPlan(dataset.name, settings_hash, [], len(wanted), 0, max(shots, default=1))
    for method, n_shots, seed in wanted:
        cell = there.get((dataset.name, method, n_shots, seed, settings_hash))
        if cell is None:
            plan.missing.append((method, n_shots, seed))
        else:
            plan.done += 1
            yield plan.progress(method, n_shots, seed, cell, was_there=True)
    plan.missing.sort(key=lambda item: (item[1], item[2]))  # shots, seed; methods as given
    return plan


@dataclass(frozen=True)
class _Workers:
    """Where cells run, and what workers need to begin."""

    engine: Engine
    open_backbone: OpenBackbone
    root: str | Path
    store: Path | None  # folder of the features that are kept


_AHEAD = 4  # cells begun a worker before the first is waited for: so many a kill may cost


def _grid_on(
    where: _Workers,
    dataset: Dataset,
    methods: Sequence[Method],
    shots: Sequence[int],
    seeds: Sequence[int],
    settings: Settings,
    there: Mapping[tuple, Cell],
) -> Iterator[EncodeEvent | GridProgress | GridProblem]:
    """All cells of one set as `_grid` gives them, fitted by an engine's workers."""
    plan = yield from plan_cells(dataset, methods, shots, seeds, settings, there)
    if not plan.missing:
        return
    engine = where.engine
    began = (where.open_backbone, where.root, dataset.name, settings, plan.most_shots, where.store)
    encoder = encoder_of(*began) if engine.here else engine.hold(encoder_of, *began)
    waiting: deque[tuple[tuple[str, int, int], Any]] = deque()
    said: set[str] = set()

    def first() -> GridProgress | GridProblem | None:
        cell, task = waiting.popleft()
        found = engine.get(task)
        if isinstance(found, Cell):
            plan.done += 1
            return plan.progress(*cell, found)
        if found.draw and found.message in said:
            return None  # of a draw, for every one of its cells: said once
        said.add(found.message)
        return plan.problem(*cell, found.message)

    current, draw = None, None
    try:
        for cell in plan.missing:
            method, n_shots, seed = cell
            if (n_shots, seed) != current:
                current = (n_shots, seed)
                if isinstance(encoder, SetEncoder):
                    for draw in encoder.events(n_shots, seed):
                        if isinstance(draw, EncodeEvent):
                            yield draw
                else:
                    draw = encoder.call("draw", n_shots, seed)
            about = (where.open_backbone, settings, plan.settings_hash, method, n_shots, seed)
            waiting.append((cell, engine.submit(measured_cell, *about, draw)))
            if len(waiting) > _AHEAD * engine.workers and (event := first()):
                yield event
        while waiting:
            if event := first():
                yield event
    finally:
        if isinstance(encoder, SetEncoder):
            encoder.close()
        else:
            with contextlib.suppress(EngineError):
                engine.get(encoder.call("close"))


def _usable_shots(dataset: Dataset, shots: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """Shot counts that some class can give, and a sentence about the others."""
    most = max(dataset.train_counts, default=0)
    usable = tuple(s for s in shots if s <= most)
    if len(usable) == len(shots):
        return usable, ""
    if not usable:  # what there is, under the smallest number that was asked for
        usable = (min(shots),)
    left = ", ".join(str(s) for s in shots if s not in usable)
    if not left:
        return usable, ""
    return usable, (
        f"{dataset.name or 'This set'} has at most {most} training pictures a class: {left} "
        "shots left out."
    )


class _Timer:
    """Guesses the time that is left from the cells that were run here."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._n = 0

    def add(self) -> None:
        self._n += 1

    def left(self, n_cells: int) -> float | None:
        return None if not self._n else (time.perf_counter() - self._began) / self._n * n_cells


def _planned(methods: Sequence[Method], shots: Sequence[int], seeds: Sequence[int]) -> int:
    fitted = sum(m.needs_pictures for m in methods)
    return fitted * len(shots) * len(seeds) + len(methods) - fitted


def _numbers(values: Sequence[int], what: str, least: int) -> tuple[int, ...]:
    found = tuple(sorted({int(value) for value in values}))
    if not found or found[0] < least:
        raise UserError(f"The {what} are {list(values)}; give numbers of {least} or more.")
    return found


def grid_settings(
    backbone: Backbone,
    preset: Preset,
    template: str,
    prompt_config: PromptConfig | None,
    overrides: Mapping,
) -> Settings:
    given = {key: value for key, value in overrides.items() if value is not None}
    return Settings(
        backbone=backbone.identity,
        preset=preset,
        template=template,
        prompt_config=prompt_config or PromptConfig(),
        overrides=tuple(sorted(given.items())),
    )


def _size(picture: Picture) -> int:
    """Bytes of a picture's file, to notice another one of the same name; 0 where unknown."""
    source = picture.source
    if isinstance(source, Path):
        with contextlib.suppress(OSError):
            return source.stat().st_size
    return 0


def _hash(settings: Settings, dataset: Dataset) -> str:
    """Twelve digits that change with the settings, the classes or the pictures of a set."""
    digest = hashlib.blake2b(digest_size=6)
    # the preset's values themselves, so that a later version with other defaults starts anew
    config = train_config_for(settings.preset, 16, 320, **dict(settings.overrides))
    known = {**asdict(settings), "config": asdict(config)}
    known["template"] = settings.template_for(dataset.name)
    digest.update(json.dumps(known, sort_keys=True).encode())
    digest.update(json.dumps(dataset.class_names).encode())
    for part in (dataset.train, dataset.test):
        digest.update(b"part")
        for item in part:
            digest.update(f"{item.label}:{item.picture.name}:{_size(item.picture)}\n".encode())
    return digest.hexdigest()
