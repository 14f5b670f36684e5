"""What the Compare tab does to a session: compare, look closer, report."""

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from coop_demo import samples
from coop_demo.backbones.features import EncodeEvent
from coop_demo.comparison.base_to_new import BaseToNew, base_to_new
from coop_demo.comparison.compare import Comparison, MethodResult, MethodStarted, compare
from coop_demo.comparison.grid import (
    PAPER_SHOTS,
    GridProblem,
    GridProgress,
    GridResult,
    shots_curve,
)
from coop_demo.comparison.methods import COMPARISON_METHODS, find_methods, method_of
from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.shift import Shift, shift
from coop_demo.data.dataset import Dataset, clean_class_name
from coop_demo.data.folders import read_folder
from coop_demo.errors import DatasetError, PromptError, UserError
from coop_demo.languages import compare as say
from coop_demo.languages import said
from coop_demo.languages.english import compare as in_english
from coop_demo.languages.english import page as page_in_english
from coop_demo.prompts.teach import Prepared, prepare, train_config_for
from coop_demo.prompts.training import LearnedPrompt, TrainEvent
from coop_demo.prompts.words import nearest_words, words_accuracy
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.ui.compare.kept import amend, keep, need_compared
from coop_demo.ui.compare.state import TAUGHT, Compared, CompareSettings, Words
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.explain import state
from coop_demo.ui.forms import whole
from coop_demo.ui.progress import Deadline, Pace, Progress, encoding
from coop_demo.ui.session import Session
from coop_demo.ui.teach.state import MAX_SHOTS_PAGE

_GPU_SECONDS = 60


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
        return dataset, settings, (), (in_english.other_prompt(shown),)
    config = prompt.train_config
    # the same shots and the same held-out pictures as in Teach, or the prompt would be judged
    # on pictures it learned from
    settings = replace(
        settings,
        shots=min(prompt.shots or settings.shots, MAX_SHOTS_PAGE),
        seed=config.seed,
        methods=tuple(dict.fromkeys((*settings.methods, method_of(prompt)))),
    )
    return dataset, settings, (prompt,), (in_english.REUSED,)


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
    so_far = _Measured(settings)
    pace, deadline = Pace(), Deadline()
    title, n_started, stopped = "", 0, False
    n_methods = len(find_methods(["hand-crafted", *settings.methods]))

    def kept(comparison: Comparison, ending: str = "") -> Compared:
        return Compared(comparison, dataset, settings, notes, ending, dict(so_far.words))

    events = _comparison_events(backbone, dataset, settings, prompts)
    with contextlib.closing(events):
        for event in events:
            if session.stop.is_set() or deadline.is_over:
                stopped = True
                break
            so_far.add(event)
            if isinstance(event, MethodStarted):
                n_started += 1
                title = event.title
                yield Progress(say.fitting(said(title)), (n_started - 1) / n_methods)
            elif isinstance(event, MethodResult):
                share = n_started / n_methods
                yield Progress(say.fitting(said(event.title)), share, kept(so_far.partial()))
            elif isinstance(event, Comparison):
                yield Progress(say.READING_WORDS, 1.0)
            else:
                yield from _report(event, title, pace, before=n_started - 1, of=n_methods)
    if not so_far.results:
        raise UserError(_and_why(session, in_english.STOPPED_EMPTY))
    comparison = _slim(so_far.whole or so_far.partial())
    n = len(comparison.results)
    ending = (
        _and_why(session, in_english.stopped(n))
        if stopped and so_far.whole is None
        else in_english.compared(n, len(comparison.labels), time.monotonic() - began)
    )
    yield keep(session, backbone, kept(comparison, ending))


def _and_why(session: Session, stopped: str) -> str:
    """What came of a job that ended early; where nobody stopped it, its time was over."""
    return stopped if session.stop.is_set() else f"{page_in_english.time_is_up()} {stopped}"


@dataclass
class _Measured:
    """What a comparison has come to."""

    settings: CompareSettings
    prepared: Prepared | None = None
    results: list[MethodResult] = field(default_factory=list)
    whole: Comparison | None = None  # when all methods are measured
    words: dict[str, Words] = field(default_factory=dict)

    def add(self, event: Any) -> None:
        if isinstance(event, Prepared):
            self.prepared = event
        elif isinstance(event, MethodResult):
            self.results.append(event)
        elif isinstance(event, Comparison):
            self.whole = event
        elif isinstance(event, dict):
            self.words = event

    def partial(self) -> Comparison:
        """A comparison of the methods that were measured so far."""
        prepared, settings = self.prepared, self.settings
        assert prepared is not None
        return Comparison(
            prepared,
            tuple(self.results),
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


def _report(
    event: Any, title: str, pace: Pace, *, before: int = 0, of: int = 1
) -> Iterator[Progress]:
    """Progress of looking at pictures or of a training, if it is due.

    The training is that of the method `title`, after `before` of `of` methods.
    """
    if isinstance(event, EncodeEvent) and pace.is_due():
        yield encoding(event)
    elif isinstance(event, TrainEvent) and pace.is_due():
        sentence = say.learning(said(title), event.step, event.total_steps, event.seconds_left)
        yield Progress(sentence, (before + event.step / event.total_steps) / of)


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
    prepared = yield from prepare(
        model, dataset, shots=settings.shots, seed=settings.seed, views=config.view_numbers
    )
    yield prepared
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
    prompts = state.Prompts(session.backbone, compared.settings.templates[0], prompt)
    own = comparison.class_names[item.label]
    explain_actions.choose(
        session, state.Subject(item.picture, comparison.class_names, own, prompts)
    )


def run_curve(session: Session, methods: Sequence[str], n_seeds: int) -> Iterator[Progress]:
    """The shots curve of the kept comparison's set; every point shows as it is ready.

    A curve that was stopped goes on from where it was.
    """
    backbone, base = session.backbone, need_compared(session)
    cells: list[Cell] = []
    problems: list[str] = []
    seconds, stopped, pace, deadline = 0.0, False, Pace(), Deadline()

    def kept(ending: str) -> Compared:
        return amend(
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
            if session.stop.is_set() or deadline.is_over:
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
                    said(COMPARISON_METHODS[event.method].title),
                    event.shots,
                    event.seed,
                    event.seconds_left,
                )
                share = event.done / max(event.total, 1)
                yield Progress(sentence, share, kept("") if event.cell is not None else None)
            elif isinstance(event, GridResult):
                seconds = event.seconds
            else:
                yield from _report(event, "", pace)
    ending = in_english.curve_done(len(cells), seconds)
    if stopped:
        ending = _and_why(session, in_english.curve_stopped(len(cells)))
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


def run_base_to_new(
    session: Session, new_classes: Sequence[str], pull: float
) -> Iterator[Progress]:
    """Learn without some classes and apply the prompt to their names.

    Raises:
        UserError: too few classes on a side, or stopped before the end.
    """
    backbone, base = session.backbone, need_compared(session)
    events = _base_to_new_events(
        backbone, base.dataset, base.settings, tuple(new_classes) or None, pull
    )
    found = yield from _watch(session, events, BaseToNew)
    yield Progress("", None, amend(session, backbone, base, base_to_new=found))


@gpu_job(duration=_seconds)
def _base_to_new_events(
    backbone: str,
    dataset: Dataset,
    settings: CompareSettings,
    new_classes: tuple[str, ...] | None,
    pull: float,
) -> Iterator[Any]:
    yield from base_to_new(
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
    yield Progress("", None, amend(session, backbone, base, shift=found))


@gpu_job(duration=_seconds)
def _shift_events(backbone: str, comparison: Comparison, second: Dataset) -> Iterator[Any]:
    yield from shift(shared_backbone(backbone), comparison, second)


def second_sets() -> list[tuple[str, str]]:
    """(title, name) of the sample sets that another set can be tested on."""
    return [(said(s.title), s.name) for s in samples.sample_sets() if s.kind == "classes"]


def read_second(name: str) -> Dataset:
    """Raises DatasetError when there is no such sample set of classes."""
    if name not in [known for _, known in second_sets()]:
        raise DatasetError(say.no_such_source(name))
    sample = samples.find_sample(name)
    return replace(read_folder(sample.folder, check=False), name=sample.title)


def _watch(session: Session, events: Iterator[Any], wanted: type) -> Iterator[Progress]:
    """Progress of a job that ends with `wanted`, which comes back through `yield from`."""
    title, pace, deadline = "", Pace(), Deadline()
    with contextlib.closing(events):  # type: ignore[type-var]
        for event in events:
            if isinstance(event, wanted):
                return event
            if session.stop.is_set() or deadline.is_over:
                raise UserError(_and_why(session, in_english.STOPPED_EMPTY))
            if isinstance(event, MethodStarted):
                title = event.title
                yield Progress(say.fitting(said(title)))
            else:
                yield from _report(event, title, pace)
    raise UserError(in_english.STOPPED_EMPTY)


def report_folder(session: Session) -> Path:
    folder = session.folder / "report"
    folder.mkdir(exist_ok=True)
    return folder
