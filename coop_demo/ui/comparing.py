"""What the Compare tab does with the core, without any component.

As in `teaching.py`, everything that computes with the model is a `gpu_job`, so that it runs on
ZeroGPU too; its arguments and results can be pickled.
"""

import contextlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coop_demo.backbones.features import EncodeEvent
from coop_demo.classifiers import LEARNED_METHODS, METHODS, find_methods, method_of
from coop_demo.datasets import Dataset, clean_class_name, read_folder
from coop_demo.errors import DatasetError, PromptError, UserError
from coop_demo.evaluation import (
    Comparison,
    Forgetting,
    MethodResult,
    MethodStarted,
    Shift,
    compare,
    forgetting,
    shift,
)
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teaching import Prepared, prepare, train_config_for
from coop_demo.prompts.templates import fill
from coop_demo.prompts.training import LearnedPrompt, TrainEvent
from coop_demo.prompts.words import VectorWords, WordsAccuracy, nearest_words, words_accuracy
from coop_demo.protocol import (
    PAPER_SHOTS,
    Cell,
    GridProblem,
    GridProgress,
    GridResult,
    shots_curve,
)
from coop_demo.report import Report
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.ui import compare_text as say
from coop_demo.ui import looking, samples, text
from coop_demo.ui.session import SHOW_EVERY, Session
from coop_demo.ui.teaching import MAX_SHOTS_PAGE, MAX_STEPS_PAGE

TAUGHT = ""  # the source that is the Teach tab's own set; others are names of sample sets
_GPU_SECONDS = 60


# --- settings -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CompareSettings:
    """What is compared on what, checked."""

    source: str  # TAUGHT, or the name of a sample set
    methods: tuple[str, ...]
    templates: tuple[str, ...]  # the first is the one to beat
    reuse: bool  # take Teach's own prompt where it knows these classes
    shots: int = 16
    seed: int = 1
    preset: str = "fast"
    n_ctx: int = 16
    steps: int | None = None  # None: the recipe's own

    @classmethod
    def parse(
        cls,
        source: Any,
        methods: Any,
        templates: Any,
        reuse: Any,
        shots: Any,
        seed: Any,
        preset: Any,
        n_ctx: Any,
        steps: Any,
    ) -> "CompareSettings":
        """Read what the page (or anybody's raw request) sent.

        Raises:
            UserError: a value is missing, of the wrong kind or out of range.
        """
        source = str(source or TAUGHT)
        known = [sample.name for sample in samples.sample_sets() if sample.teaches]
        if source != TAUGHT and source not in known:
            raise UserError(say.no_such_source(source))
        chosen = find_methods(["hand-crafted", *(str(key) for key in methods or ())])
        lines = [line.strip() for line in str(templates or "").splitlines()]
        lines = list(dict.fromkeys(line for line in lines if line))
        if len(lines) > say.MAX_TEMPLATES:
            raise PromptError(say.too_many_templates(len(lines)))
        for line in lines:
            if len(line) > 300:
                raise PromptError(text.TEMPLATE_TOO_LONG)
            fill(line, "thing")  # raises when there is no {}
        if not lines:
            raise PromptError('Write at least one prompt, for instance "a photo of a {}."')
        if preset not in text.PRESETS:
            raise PromptError(text.choose_one(say.PRESET_LABEL, preset, text.PRESETS))
        settings = cls(
            source=source,
            methods=tuple(method.key for method in chosen),
            templates=tuple(lines),
            reuse=bool(reuse),
            shots=whole(shots, say.SHOTS_LABEL, 1, MAX_SHOTS_PAGE),
            seed=whole(seed, say.SEED_LABEL, 0, 2**31 - 1),
            preset=preset,
            n_ctx=whole(n_ctx, say.N_CTX_LABEL, 1, 32),
            steps=None
            if steps in (None, "", 0)
            else whole(steps, say.STEPS_LABEL, 1, MAX_STEPS_PAGE),
        )
        config = train_config_for(preset, settings.shots, 320, steps=settings.steps)  # type: ignore[arg-type]
        if config.steps > MAX_STEPS_PAGE:
            raise PromptError(text.too_many_steps(config.steps, MAX_STEPS_PAGE))
        return settings

    @property
    def training(self) -> dict[str, Any]:
        """Keyword arguments that every training of the tab is given."""
        return {
            "preset": self.preset,
            "prompt_config": PromptConfig(n_ctx=self.n_ctx),
            "steps": self.steps,
        }


def whole(value: Any, label: str, low: int, high: int) -> int:
    """A whole number in a range; PromptError says which field is wrong."""
    try:
        number = float(value)
        if number != int(number):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
        raise PromptError(text.not_a_number(label)) from error
    if not low <= number <= high:
        raise PromptError(text.out_of_range(label, number, low, high))
    return int(number)


# --- what is kept ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Words:
    """A learned prompt read as words."""

    vectors: tuple[VectorWords, ...]
    accuracy: WordsAccuracy


@dataclass(frozen=True)
class Compared:
    """Everything the tab shows of one comparison; kept in the session, one a backbone."""

    comparison: Comparison = field(repr=False)
    dataset: Dataset = field(repr=False)  # before shots were drawn and pictures held out
    settings: CompareSettings
    notes: tuple[str, ...]
    ending: str  # one sentence: how many methods, in how long, or that it was stopped
    words: Mapping[str, Words] = field(default_factory=dict, repr=False)  # by method
    cells: tuple[Cell, ...] = field(default=(), repr=False)  # of the shots curve
    curve_problems: tuple[str, ...] = ()
    curve_ending: str = ""
    forgetting: Forgetting | None = field(default=None, repr=False)
    shift: Shift | None = field(default=None, repr=False)

    def methods(self) -> list[tuple[str, str]]:
        """(title, key) of every method that was measured, in the order they ran."""
        return [(result.title, result.method) for result in self.comparison.results]

    def best_learned(self) -> str:
        """The key of the learned prompt that is looked at first, or ""."""
        there = [key for _, key in self.methods()]
        return next((key for key in LEARNED_METHODS if key in there), "")

    def report(self) -> Report:
        words = self.words.get(self.best_learned())
        return Report(
            comparison=self.comparison,
            cells=self.cells,
            forgetting=self.forgetting,
            shift=self.shift,
            words=words.vectors if words else (),
            words_accuracy=words.accuracy if words else None,
        )


_TAB = "compare"


def compared_of(session: Session) -> Compared | None:
    """The comparison made with the model in use, if there is one."""
    return session.by_tab.get(_TAB, {}).get(session.backbone)


def need_compared(session: Session) -> Compared:
    """Raises UserError when nothing was compared with the model in use."""
    found = compared_of(session)
    if found is None:
        raise UserError(say.COMPARE_FIRST)
    return found


def keep(session: Session, backbone: str, compared: Compared) -> Compared:
    with session.lock:
        session.by_tab.setdefault(_TAB, {})[backbone] = compared
    return compared


def _amend(session: Session, backbone: str, base: Compared, **changes: Any) -> Compared:
    """Add to a comparison what looking closer found, unless another one took its place."""
    with session.lock:
        now = session.by_tab.get(_TAB, {}).get(backbone)
        if now is None or now.comparison is not base.comparison:
            return base
        return keep(session, backbone, replace(now, **changes))


@contextlib.contextmanager
def working(session: Session) -> Iterator[None]:
    """One long job a person at a time, here or in Teach: they would only slow each other down.

    Raises:
        UserError: one is running already.
    """
    with session.lock:
        if session.training:
            raise UserError(say.BUSY)
        session.training = True
        session.stop.clear()
    try:
        yield
    finally:
        session.training = False


@dataclass(frozen=True)
class Progress:
    """What the page shows meanwhile; `share` is 0 to 1, or None. `so_far` is what is new."""

    sentence: str
    share: float | None = None
    so_far: Compared | None = None


# --- comparing ------------------------------------------------------------------------------------


def _source(
    session: Session, settings: CompareSettings
) -> tuple[Dataset, CompareSettings, tuple[LearnedPrompt, ...], tuple[str, ...]]:
    """The set, the settings that fit it, a prompt that need not be trained again, and notes."""
    if settings.source != TAUGHT:
        sample = samples.find_sample(settings.source)
        return replace(samples.read_sample(sample.name), name=sample.title), settings, (), ()
    taught = session.current if settings.reuse else None
    if taught is None:
        return session.dataset(), settings, (), ()
    prompt = taught.prompt
    dataset = taught.dataset or session.dataset()
    names = [clean_class_name(name) for name in dataset.class_names]
    if list(prompt.class_names) != names:
        shown = ", ".join(prompt.class_names[:4]) + ("…" if len(prompt.class_names) > 4 else "")
        return dataset, settings, (), (say.other_prompt(shown),)
    config = prompt.train_config
    # the same shots and the same held-out pictures as in Teach, or the prompt would be judged
    # on pictures it learned from
    settings = replace(
        settings,
        shots=min(prompt.shots or settings.shots, MAX_SHOTS_PAGE),
        seed=config.seed,
        methods=tuple(dict.fromkeys((*settings.methods, method_of(prompt)))),
    )
    return dataset, settings, (prompt,), (say.REUSED,)


def run_comparison(
    session: Session, settings: CompareSettings
) -> Generator[Progress | Compared, None, None]:
    """Compare; every method is shown the moment it is measured, the kept result comes last.

    `session.stop` ends it after the step at hand with the methods that were measured.

    Raises:
        UserError: the set or a setting cannot be used, or nothing was measured before the stop.
    """
    backbone = session.backbone
    dataset, settings, prompts, notes = _source(session, settings)
    began = time.monotonic()
    prepared: Prepared | None = None
    results: list[MethodResult] = []
    whole_comparison: Comparison | None = None
    words: dict[str, Words] = {}
    n_methods = len(find_methods(["hand-crafted", *settings.methods]))
    n_started = 0
    title, shown_at = "", 0.0
    stopped = False

    def so_far(comparison: Comparison, ending: str = "") -> Compared:
        return Compared(comparison, dataset, settings, notes, ending, dict(words))

    def partial() -> Comparison:
        assert prepared is not None
        return Comparison(
            prepared,
            tuple(results),
            (),
            prepared.dataset.notes,
            {
                "dataset": prepared.dataset.name,
                "shots": settings.shots,
                "seed": settings.seed,
                "preset": settings.preset,
                "templates": list(settings.templates),
                "status": "stopped",
            },
        )

    events = _comparison_events(backbone, dataset, settings, prompts)
    with contextlib.closing(events):
        for event in events:
            if session.stop.is_set():
                stopped = True
                break
            if isinstance(event, Prepared):
                prepared = event
            elif isinstance(event, MethodStarted):
                n_started += 1
                title = event.title
                yield Progress(say.fitting(event.title), (n_started - 1) / n_methods)
            elif isinstance(event, MethodResult):
                results.append(event)
                yield Progress(say.fitting(event.title), n_started / n_methods, so_far(partial()))
            elif isinstance(event, Comparison):
                whole_comparison = event
                yield Progress(say.READING_WORDS, 1.0)
            elif isinstance(event, dict):
                words = event
            elif time.monotonic() - shown_at > SHOW_EVERY:
                shown_at = time.monotonic()
                if isinstance(event, EncodeEvent):
                    yield Progress(
                        text.encoding(event.done, event.total, event.seconds_left),
                        event.done / max(event.total, 1),
                    )
                elif isinstance(event, TrainEvent):
                    share = (n_started - 1 + event.step / event.total_steps) / n_methods
                    yield Progress(
                        say.learning(title, event.step, event.total_steps, event.seconds_left),
                        share,
                    )
    if whole_comparison is None:
        if not results:
            raise UserError(say.STOPPED_EMPTY)
        whole_comparison = partial()
    comparison = _slim(whole_comparison)
    ending = (
        say.stopped(len(comparison.results))
        if stopped and whole_comparison.settings.get("status") == "stopped"
        else say.compared(len(comparison.results), len(comparison.labels), time.monotonic() - began)
    )
    yield keep(session, backbone, so_far(comparison, ending))


def _slim(comparison: Comparison) -> Comparison:
    """Without the extra views of the shots: sessions are kept by the hundred."""
    prepared = comparison.prepared
    slim = replace(prepared, train_features=prepared.train_features[:1].clone())
    return replace(comparison, prepared=slim)


def _seconds(backbone: str, *_: Any) -> int:
    return _GPU_SECONDS


@gpu_job(duration=_seconds)
def _comparison_events(
    backbone: str,
    dataset: Dataset,
    settings: CompareSettings,
    prompts: tuple[LearnedPrompt, ...],
) -> Iterator[Any]:
    model = shared_backbone(backbone)
    config = train_config_for(settings.preset, settings.shots, 1, steps=settings.steps)  # type: ignore[arg-type]
    prepared = None
    events = prepare(
        model,
        dataset,
        shots=settings.shots,
        seed=settings.seed,
        views=config.view_numbers,
    )
    for event in events:
        if isinstance(event, Prepared):
            prepared = event
        yield event
    assert prepared is not None
    comparison = None
    for event in compare(
        model,
        prepared,
        methods=settings.methods,
        templates=settings.templates,
        prompts=prompts,
        shots=settings.shots,
        seed=settings.seed,
        **settings.training,
    ):
        if isinstance(event, Comparison):
            comparison = event
        yield event
    assert comparison is not None
    words = {}
    hand = comparison.result("hand-crafted").classifier.weights
    for result in comparison.results:
        prompt = result.classifier.prompt
        if prompt is None:
            continue
        with contextlib.suppress(PromptError):  # a tokenizer whose vocabulary cannot be read
            words[result.method] = Words(
                tuple(nearest_words(model, prompt)),
                words_accuracy(
                    model,
                    prompt,
                    prepared.test_features,
                    prepared.test_labels,
                    hand_crafted=hand,
                ),
            )
    yield words


# --- looking closer -------------------------------------------------------------------------------


def look_at(session: Session, number: int) -> None:
    """Make a held-out picture the one the tab Look shows, with the two prompts that were compared.

    Raises:
        UserError: nothing was compared, there is no such picture, or it is no longer there.
    """
    compared = need_compared(session)
    comparison = compared.comparison
    at = whole(number, say.PICTURE_LABEL, 0, len(comparison.labels) - 1)
    item = comparison.pictures[at]
    try:
        session.thumbnail(item.picture)
    except OSError as error:
        raise UserError(say.gone(item.picture.name)) from error
    learned = compared.best_learned()
    prompt = comparison.result(learned).classifier.prompt if learned else None
    prompts = looking.Prompts(session.backbone, compared.settings.templates[0], prompt)
    own = comparison.class_names[item.label]
    looking.choose(session, looking.Subject(item.picture, comparison.class_names, own, prompts))


def run_curve(session: Session, methods: Sequence[str], n_seeds: int) -> Iterator[Progress]:
    """The shots curve of the kept comparison's set; every point shows as it is ready.

    A curve that was stopped goes on from where it was.
    """
    backbone, base = session.backbone, need_compared(session)
    cells: list[Cell] = []
    problems: list[str] = []
    seconds, shown_at, stopped = 0.0, 0.0, False

    def kept(ending: str) -> Compared:
        return _amend(
            session,
            backbone,
            base,
            cells=tuple(cells),
            curve_problems=tuple(problems),
            curve_ending=ending,
        )

    events = _curve_events(
        backbone, base.dataset, base.settings, tuple(methods), n_seeds, base.cells
    )
    with contextlib.closing(events):
        for event in events:
            if session.stop.is_set():
                stopped = True
                break
            if isinstance(event, GridProblem):
                problems.append(event.message)
            elif isinstance(event, GridProgress):
                if event.cell is not None:
                    cells.append(event.cell)
                if event.was_there:
                    continue
                sentence = say.grid(
                    event.done,
                    event.total,
                    METHODS[event.method].title,
                    event.shots,
                    event.seed,
                    event.seconds_left,
                )
                share = event.done / max(event.total, 1)
                yield Progress(sentence, share, kept("") if event.cell is not None else None)
            elif isinstance(event, GridResult):
                seconds = event.seconds
            elif isinstance(event, EncodeEvent) and time.monotonic() - shown_at > SHOW_EVERY:
                shown_at = time.monotonic()
                yield Progress(
                    text.encoding(event.done, event.total, event.seconds_left),
                    event.done / max(event.total, 1),
                )
    ending = say.curve_stopped(len(cells)) if stopped else say.curve_done(len(cells), seconds)
    yield Progress(ending, None, kept(ending))


@gpu_job(duration=_seconds)
def _curve_events(
    backbone: str,
    dataset: Dataset,
    settings: CompareSettings,
    methods: tuple[str, ...],
    n_seeds: int,
    done: tuple[Cell, ...],
) -> Iterator[Any]:
    yield from shots_curve(
        shared_backbone(backbone),
        dataset,
        shots=PAPER_SHOTS,
        seeds=tuple(range(1, n_seeds + 1)),
        methods=("hand-crafted", *methods),
        template=settings.templates[0],
        held_out_seed=settings.seed,
        done=done,
        **settings.training,
    )


def run_forgetting(session: Session, new_classes: Sequence[str], pull: float) -> Iterator[Progress]:
    """Learn without some classes and apply the prompt to their names.

    Raises:
        UserError: too few classes on a side, or stopped before the end.
    """
    backbone, base = session.backbone, need_compared(session)
    events = _forgetting_events(
        backbone, base.dataset, base.settings, tuple(new_classes) or None, pull
    )
    found = yield from _watch(session, events, Forgetting)
    yield Progress("", None, _amend(session, backbone, base, forgetting=found))


@gpu_job(duration=_seconds)
def _forgetting_events(
    backbone: str,
    dataset: Dataset,
    settings: CompareSettings,
    new_classes: tuple[str, ...] | None,
    pull: float,
) -> Iterator[Any]:
    yield from forgetting(
        shared_backbone(backbone),
        dataset,
        new_classes=new_classes,
        template=settings.templates[0],
        kgcoop_weight=pull,
        shots=settings.shots,
        seed=settings.seed,
        **settings.training,
    )


def run_shift(session: Session, second: Dataset) -> Iterator[Progress]:
    """Every method of the comparison on a second set.

    Raises:
        UserError: the sets share fewer than two classes, there are no pictures, or stopped.
    """
    backbone, base = session.backbone, need_compared(session)
    events = _shift_events(backbone, base.comparison, second)
    found = yield from _watch(session, events, Shift)
    yield Progress("", None, _amend(session, backbone, base, shift=found))


@gpu_job(duration=_seconds)
def _shift_events(backbone: str, comparison: Comparison, second: Dataset) -> Iterator[Any]:
    yield from shift(shared_backbone(backbone), comparison, second)


def second_sets() -> list[tuple[str, str]]:
    """(title, name) of the sample sets that another set can be tested on."""
    return [(s.title, s.name) for s in samples.sample_sets() if s.kind == "classes"]


def read_second(name: str) -> Dataset:
    """Raises DatasetError when there is no such sample set of classes."""
    if name not in [known for _, known in second_sets()]:
        raise DatasetError(say.no_such_source(name))
    sample = samples.find_sample(name)
    return replace(read_folder(sample.folder, check=False), name=sample.title)


def _watch(session: Session, events: Iterator[Any], wanted: type) -> Iterator[Progress]:
    """Progress of a job that ends with `wanted`, which comes back through `yield from`."""
    title, shown_at = "", 0.0
    with contextlib.closing(events):  # type: ignore[type-var]
        for event in events:
            if isinstance(event, wanted):
                return event
            if session.stop.is_set():
                raise UserError(say.STOPPED_EMPTY)
            if isinstance(event, MethodStarted):
                title = event.title
                yield Progress(say.fitting(title))
            elif time.monotonic() - shown_at > SHOW_EVERY:
                shown_at = time.monotonic()
                if isinstance(event, EncodeEvent):
                    yield Progress(
                        text.encoding(event.done, event.total, event.seconds_left),
                        event.done / max(event.total, 1),
                    )
                elif isinstance(event, TrainEvent):
                    yield Progress(
                        say.learning(title, event.step, event.total_steps, event.seconds_left),
                        event.step / event.total_steps,
                    )
    raise UserError(say.STOPPED_EMPTY)


def report_folder(session: Session) -> Path:
    folder = session.folder / "report"
    folder.mkdir(exist_ok=True)
    return folder
