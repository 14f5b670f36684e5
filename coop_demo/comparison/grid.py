"""The paper's protocol: data sets × shots × seeds × methods, streamed and resumable."""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent, FeatureCache, encode_and_return
from coop_demo.comparison.feature_store import StoredFeatures
from coop_demo.comparison.methods import (
    COMPARISON_METHODS,
    LEARNED_METHODS,
    Classifier,
    Method,
    ensemble,
    find_methods,
    hand_crafted,
    learn,
)
from coop_demo.comparison.results_csv import Cell, UnwritableResults, append_cell, open_results
from coop_demo.comparison.rivals import fit
from coop_demo.comparison.statistics import Score, score
from coop_demo.data.coop_datasets import COOP_DATASETS, read_coop
from coop_demo.data.dataset import (
    Dataset,
    LabelledPicture,
    Picture,
    check_pictures,
    check_trainable,
    few_shot,
    split_held_out,
)
from coop_demo.data.folders import read_folder
from coop_demo.errors import DatasetError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import Prepared, train_config_for
from coop_demo.prompts.templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE
from coop_demo.prompts.training import Preset, TrainEvent

PAPER_SHOTS = (1, 2, 4, 8, 16)


PAPER_SEEDS = (1, 2, 3)


GRID_METHODS = ("hand-crafted", "class-mean", "tip-adapter", "gda", "linear-probe", "learned")


#: the CoOp paper's template of each set in CoOp's own layout
_COOP_TEMPLATES = {
    "imagenet": "ImageNet",
    "caltech101": "Caltech101",
    "oxford_pets": "OxfordPets",
    "stanford_cars": "StanfordCars",
    "oxford_flowers": "OxfordFlowers",
    "food101": "Food101",
    "fgvc_aircraft": "FGVCAircraft",
    "sun397": "SUN397",
    "dtd": "DescribableTextures",
    "eurosat": "EuroSAT",
    "ucf101": "UCF101",
}


@dataclass(frozen=True)
class Settings:
    """What decides a cell's number beside its data set, method, shots and seed."""

    backbone: str  # identity: name and weights hash
    preset: Preset = "fast"
    template: str = ""  # "" for the paper's own template where there is one
    prompt_config: PromptConfig = field(default_factory=PromptConfig)
    overrides: tuple[tuple[str, Any], ...] = ()  # fields of TrainConfig

    def template_for(self, dataset: str) -> str:
        """The hand-crafted prompt to beat on a data set."""
        known = DATASET_TEMPLATES[_COOP_TEMPLATES[dataset]] if dataset in _COOP_TEMPLATES else ""
        return self.template or known or DEFAULT_TEMPLATE


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
        overrides: fields of TrainConfig; None leaves the preset's own value.

    Raises:
        UserError: nothing to do, unknown methods or settings out of range, or `out` cannot be
            written or is another table. A set that cannot be used is a GridProblem instead.
    """
    out = Path(out)
    chosen, shots, seeds = (
        find_methods(methods),
        _numbers(shots, "shots", 1),
        _numbers(seeds, "seeds", 0),
    )
    if not datasets:
        raise UserError("Name at least one data set.")
    settings = _settings(backbone, preset, template, prompt_config, overrides)
    train_config_for(preset, 1, 1, **dict(settings.overrides))  # a bad setting is said at once
    there = {cell.key: cell for cell in open_results(out)}
    began = time.perf_counter()
    cells: list[Cell] = []
    problems: list[str] = []
    names = tuple(dict.fromkeys(datasets))
    # planned until a set has said how many cells it really has
    cells_of = dict.fromkeys(names, _planned(chosen, shots, seeds))
    before, timer = 0, _Timer()
    store = StoredFeatures(out.with_name(f"{out.stem}.features")) if store_features else None
    try:
        for name in names:
            try:
                dataset = replace(find_dataset(root, name), name=name)
                for event in _grid(backbone, dataset, chosen, shots, seeds, settings, there, store):
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
            except UnwritableResults:
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
    settings = _settings(backbone, preset, template, prompt_config, overrides)
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


def find_dataset(root: str | Path, name: str) -> Dataset:
    """A data set below `root`, in our layout or in CoOp's. No picture is opened.

    Raises:
        DatasetError: there is no such set; the message says what was looked for.
    """
    folder = Path(root) / name
    if not Path(root).is_dir():
        raise DatasetError(f'"{root}" is not a folder. Give the folder that holds the data sets.')
    if name in COOP_DATASETS:
        try:
            return read_coop(root, name)
        except DatasetError:
            # a set of that name in our own layout is as good
            if not any((folder / part).is_dir() for part in ("train", "test")):
                raise
    if folder.is_dir():
        return read_folder(folder, check=False)
    raise DatasetError(
        f'There is no data set "{name}" in "{root}". Give the name of a folder in it, or one of '
        f"CoOp's: {', '.join(COOP_DATASETS)}."
    )


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
    settings_hash = _hash(settings, dataset)
    template = settings.template_for(dataset.name)
    fixed_test = bool(dataset.test)  # else every seed holds out its own pictures
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
    done = 0

    def progress(
        method: str, n_shots: int, seed: int, cell: Cell | None, was_there: bool = False
    ) -> GridProgress:
        return GridProgress(
            done, len(wanted), dataset.name, method, n_shots, seed, 0.0, None, cell, was_there
        )

    missing = []
    for method, n_shots, seed in wanted:
        cell = there.get((dataset.name, method, n_shots, seed, settings_hash))
        if cell is None:
            missing.append((method, n_shots, seed))
        else:
            done += 1
            yield progress(method, n_shots, seed, cell, was_there=True)
    if not missing:
        return

    encoded = _EncodedSet(backbone, dataset, settings, max(shots, default=1), store)
    if fixed_test:
        encoded.check_test()
    words: dict[str, Classifier] = {}
    order = sorted(missing, key=lambda item: (item[1], item[2]))  # shots, seed; methods as given
    current: tuple[int, int] | None = None
    prepared: Prepared | None = None
    for method, n_shots, seed in order:
        yield progress(method, n_shots, seed, None)
        try:
            if (n_shots, seed) != current:
                current, prepared = (n_shots, seed), None
                prepared = yield from encoded.prepare(n_shots, seed)
            if prepared is None:
                continue  # could not be prepared: said once
            if "hand-crafted" not in words:
                (words["hand-crafted"],) = hand_crafted(backbone, dataset.class_names, [template])
            classifier = yield from _classifier(
                backbone, method, prepared, words, n_shots, seed, template, settings
            )
        except UserError as error:
            where = f"{n_shots} shots, seed {seed}" if n_shots else "no shots"
            yield GridProblem(
                f"{dataset.name}, {COMPARISON_METHODS[method].title}, {where}: {error}"
            )
            continue
        done += 1
        logits = classifier.logits(prepared.test_features)
        measured = score(logits.argmax(-1), prepared.test_labels)
        cell = _cell(dataset, classifier, method, n_shots, seed, measured, prepared, settings)
        yield progress(method, n_shots, seed, replace(cell, settings_hash=settings_hash))


def _classifier(
    backbone: Backbone,
    method: str,
    prepared: Prepared,
    words: dict[str, Classifier],
    shots: int,
    seed: int,
    template: str,
    settings: Settings,
) -> Iterator[TrainEvent]:  # returns the Classifier through `yield from`
    if method == "ensemble" and method not in words:
        words[method] = ensemble(backbone, prepared.dataset.class_names)
    if method in words:
        return words[method]
    if method not in LEARNED_METHODS:
        return fit(
            method,
            prepared.train_features,
            prepared.train_labels,
            words["hand-crafted"].weights,
            backbone.logit_scale,
        )
    training = learn(
        backbone,
        prepared,
        method,
        shots=shots,
        seed=seed,
        preset=settings.preset,
        prompt_config=settings.prompt_config,
        measure=False,
        **{**dict(settings.overrides), "template": template},
    )
    for event in training:
        if isinstance(event, Classifier):
            return event
        yield event
    raise AssertionError("learn ends with its classifier")


def _cell(
    dataset: Dataset,
    classifier: Classifier,
    method: str,
    shots: int,
    seed: int,
    measured: Score,
    prepared: Prepared,
    settings: Settings,
) -> Cell:
    if measured.accuracy is None or measured.low is None or measured.high is None:
        raise UserError(f"{dataset.name} has no test pictures that can be read. Add some.")
    return Cell(
        dataset=dataset.name,
        method=method,
        shots=shots,
        seed=seed,
        accuracy=measured.accuracy,
        low=measured.low,
        high=measured.high,
        correct=measured.correct,
        n_test=measured.n,
        n_train=len(prepared.train_labels) if shots else 0,
        n_classes=len(dataset.class_names),
        seconds=round(classifier.seconds, 4),
        seconds_encoding=round(prepared.seconds_encoding, 4),
        chosen=json.dumps(dict(classifier.settings), sort_keys=True),
        backbone=settings.backbone,
        settings_hash="",
    )


class _EncodedSet:
    """The test part encoded once, and the shots of every seed, for the cells of one set.

    Draws exactly what `teaching.prepare` draws; only what is opened and kept differs, because a
    set may have a million training pictures of which a few hundred are ever drawn.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        settings: Settings,
        most_shots: int,
        store: FeatureCache | None,
    ) -> None:
        self._backbone, self._dataset, self._store = backbone, dataset, store
        self._most_shots = most_shots
        overrides = dict(settings.overrides)
        self._views = train_config_for(settings.preset, 1, 1, **overrides).view_numbers
        self._split: tuple[tuple[int, bool], Dataset] | None = None
        self._test: tuple[Tensor, Tensor] | None = None
        self._fixed_test = bool(dataset.test)

    def check_test(self) -> None:
        """Decode the test pictures once, so that every later look finds them by content."""
        names = self._dataset.class_names
        test = check_pictures(Dataset(names, train=(), test=self._dataset.test))
        if not test.test:
            lost = f" {test.problems[0]}" if test.problems else ""
            raise DatasetError(f"None of the test pictures can be read.{lost}")
        problems = (*self._dataset.problems, *test.problems)
        self._dataset = replace(self._dataset, test=test.test, problems=problems)

    def prepare(self, shots: int, seed: int) -> Iterator[EncodeEvent]:
        """Features of one draw; the Prepared comes back through `yield from`."""
        dataset = self._of_seed(seed, draws=shots > 0)
        drawn = dataset if shots == 0 else few_shot(dataset, shots=shots, seed=seed)
        if shots:
            check_trainable(drawn, drawn=True)
            train, train_labels, seconds = yield from self._encode(drawn.train, self._views)
        else:  # methods that see no picture
            train = torch.empty(len(self._views), 0, self._backbone.embed_dim)
            train_labels, seconds = torch.empty(0, dtype=torch.long), 0.0
            drawn = replace(dataset, train=())
        if self._test is None:
            features, labels, test_seconds = yield from self._encode(dataset.test, (0,))
            self._test, seconds = (features[0], labels), seconds + test_seconds
        prepared = Prepared(
            dataset=drawn,
            n_held_out=0 if self._fixed_test else len(dataset.test),
            train_features=train,
            train_labels=train_labels,
            test_features=self._test[0],
            test_labels=self._test[1],
            seconds_encoding=seconds,
        )
        # a test image that this draw learns from is no test of it
        prepared, notes = prepared.without([prepared.learned_from])
        if not len(prepared.test_labels):
            raise DatasetError(
                f"Every test picture of {dataset.name or 'this set'} is also a picture to learn "
                "from, so nothing is left to measure on. Add other test pictures."
            )
        dataset = replace(drawn, test=prepared.dataset.test, notes=(*drawn.notes, *notes))
        return replace(prepared, dataset=dataset)

    def _of_seed(self, seed: int, draws: bool) -> Dataset:
        """The set with the pictures this seed may draw checked, and with a test part."""
        if self._split is not None and self._split[0] == (seed, draws):
            return self._split[1]
        dataset = self._dataset
        if not self._fixed_test:
            dataset, _ = split_held_out(dataset, seed=seed)
            self._dataset = replace(
                dataset, train=(*dataset.train, *dataset.test), test=()
            )  # checked now, whole again for the next seed
            self._test = None
        elif draws:
            # the largest draw holds all smaller ones: its pictures are decoded once for all
            drawn = few_shot(dataset, shots=self._most_shots, seed=seed)
            checked = {id(item.picture.source): item for item in drawn.train}
            dataset = replace(
                dataset,
                train=tuple(checked.get(id(item.picture.source), item) for item in dataset.train),
            )
            self._dataset = dataset
        self._split = ((seed, draws), dataset)
        return dataset

    def _encode(
        self, pictures: Sequence[LabelledPicture], views: tuple[int, ...]
    ) -> Iterator[EncodeEvent]:
        encoded = yield from encode_and_return(
            self._backbone, [item.picture for item in pictures], views=views, cache=self._store
        )
        labels = torch.tensor([pictures[i].label for i in encoded.kept], dtype=torch.long)
        return encoded.features, labels, encoded.seconds


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


def _settings(
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
