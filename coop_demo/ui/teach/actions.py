"""What the Teach tab does to a session: open a set, learn, load, try, export."""

import contextlib
import csv
import io
import itertools
import random
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from coop_demo import samples
from coop_demo.backbones.features import EncodedPictures, EncodeEvent, encode_pictures
from coop_demo.charts.training import CurvePoint
from coop_demo.comparison.verdict import compare
from coop_demo.data.archives import read_archive
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.data.dataset import Dataset, Picture
from coop_demo.data.folders import from_classes, read_folder, read_zip
from coop_demo.data.images import is_picture_name
from coop_demo.errors import DatasetError, PromptError, UserError
from coop_demo.languages import page as strings
from coop_demo.languages import teach as say
from coop_demo.languages.english import page as page_in_english
from coop_demo.languages.english import teach as in_english
from coop_demo.prompts.checkpoint import load_prompt, save_prompt
from coop_demo.prompts.teach import Prepared, TeachResult, teach
from coop_demo.prompts.templates import class_weights, probabilities
from coop_demo.prompts.training import LearnedPrompt, TrainEvent, TrainState
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.settings import LIMITS
from coop_demo.ui.progress import KEEP_EVERY, Deadline, Progress, TrainingPace, encoding
from coop_demo.ui.session import Session, Taught, UnderWay
from coop_demo.ui.teach.state import MAX_STEPS_PAGE, AtHand, TeachSettings, Tried
from coop_demo.ui.theme import FOLDER_MARK

MAX_PICTURES_TO_TRY = 1_000


MAX_AT_HAND = 12  # thumbnails: two rows


_GPU_SECONDS = 60


def open_sample(session: Session, name: str) -> None:
    """A sample set in place of the session's classes, with its words."""
    sample = samples.find_sample(name)
    licence = in_english.licence(sample.licence.split(" (")[0])
    session.show_set(
        samples.read_sample(name),
        source=sample.title,
        template=sample.template,
        about=(sample.description, sample.expect, licence),
    )


def open_zip(session: Session, path: str | None) -> None:
    """A zip in place of the session's classes.

    Raises:
        DatasetError: it cannot be used; the message says why.
    """
    if not path:
        raise DatasetError(say.NO_FILE)
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        take_set(session, read_zip(path, into=Path(folder)))


def open_folder(session: Session, paths: Sequence[str] | None) -> None:
    """The files of a chosen folder in place of the session's classes; their names carry their
    folders (see theme.py).

    Raises:
        DatasetError: the folder cannot be used; the message says why.
    """
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        home = Path(folder)
        for path in list(paths or [])[: LIMITS.max_zip_files]:
            parts = [part for part in Path(path).name.split(FOLDER_MARK) if part]
            if not parts or any(part in (".", "..") or part.startswith(".") for part in parts):
                continue
            target = home.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(Path(path).resolve())
        tops = list(home.iterdir())
        if not tops:
            raise DatasetError(say.FOLDER_EMPTY)
        name = tops[0].name if len(tops) == 1 and tops[0].is_dir() else in_english.YOUR_FOLDER
        try:
            dataset = read_folder(home)
        except DatasetError as error:
            # the person knows their folder, not the place its files were put for a moment
            raise DatasetError(str(error).replace(str(home), name)) from error
        take_set(session, replace(dataset, name=name))


def take_set(session: Session, dataset: Dataset, *, source: str = "", template: str = "") -> None:
    """Move a set's pictures into the session, in place of its classes.

    Args:
        source: what it is called; its own name when empty.
        template: words to beat that come with it.
    """
    problems = list(dataset.problems)

    def kept(part) -> list[tuple[str, list[Picture]]]:
        rows: list[tuple[str, list[Picture]]] = [(name, []) for name in dataset.class_names]
        for item in part:
            try:
                rows[item.label][1].append(session.take(item.picture))
            except UserError as error:
                problems.append(str(error))
        return rows

    test = [(name, pictures) for name, pictures in kept(dataset.test) if pictures]
    taken = from_classes(kept(dataset.train), test, name=dataset.name)
    notes = tuple(dict.fromkeys((*dataset.notes, *taken.notes)))
    session.show_set(
        replace(taken, problems=tuple(problems), notes=notes),
        source=source or dataset.name,
        template=template or None,
    )


def gather(paths: Sequence[str], folder: Path) -> tuple[list[Picture], list[str]]:
    """Pictures from files and zips, up to the page's limit, and what is to be said about them.

    Raises:
        UserError: there is no picture among them.
    """
    pictures: list[Picture] = []
    problems: list[str] = []
    for number, path in enumerate(map(Path, paths)):
        if path.suffix.lower() != ".zip":
            pictures.append(Picture(path.name, path))
            continue
        into = folder / str(number)
        into.mkdir()
        try:
            contents = read_archive(path, wanted=is_picture_name, into=into)
        except DatasetError as error:
            problems.append(str(error))
            continue
        problems += contents.problems
        pictures += [Picture("/".join(parts), source) for parts, source in contents.files]
    if not pictures:
        raise UserError(problems[0] if problems else say.NO_TRY_PICTURES)
    if len(pictures) > MAX_PICTURES_TO_TRY:
        problems.append(say.too_many_to_try(len(pictures), MAX_PICTURES_TO_TRY))
    return pictures[:MAX_PICTURES_TO_TRY], problems


def learn(
    session: Session, dataset: Dataset, settings: TeachSettings, *, resume: UnderWay | None = None
) -> Generator[Progress | Taught, None, None]:
    """Train a prompt for a session; progress a few times a second, the result last.

    `session.stop` ends it after the step at hand with the best prompt so far. When it is closed
    from outside (the page was left), that prompt is kept in the session just the same. Every few
    seconds `session.under_way` holds what is needed to go on, should the app end.

    Args:
        dataset: with a test part; see `Session.split`.
        resume: go on with this training, which is one of the same set and settings.

    Raises:
        UserError: the set or a setting cannot be used, or nothing was learned before the stop.
    """
    backbone = session.backbone
    state = resume.state if resume else None
    so_far = _SoFar.of(state)
    pace, deadline = TrainingPace(), Deadline()
    done = False

    def judged(ending: str) -> Taught:
        assert so_far.best is not None
        return judge(
            so_far.best,
            settings.template,
            so_far.prepared,
            backbone=backbone,
            dataset=dataset,
            ending=ending,
            notes=so_far.notes(),
        )

    try:
        with contextlib.closing(_teach_events(backbone, dataset, settings, state)) as events:
            for event in events:
                so_far.is_late = deadline.is_over
                if isinstance(event, EncodeEvent):
                    if session.stop.is_set() or so_far.is_late:
                        break
                    if pace.is_due():
                        yield encoding(event)
                elif isinstance(event, TeachResult):
                    so_far.result = event
                elif isinstance(event, Prepared):
                    so_far.prepared = event
                else:
                    so_far.add(event)
                    if event.state is not None:
                        best = judged("")
                        session.under_way[backbone] = UnderWay(
                            settings, dataset, event.state, event.total_steps, best
                        )
                    ends = session.stop.is_set() or so_far.is_late
                    if ends and event.step < event.total_steps:
                        break
                    yield from pace.report(event, so_far.points, event.hand_crafted_accuracy)
        done = True
        if so_far.best is None:
            raise UserError(so_far.why_empty())
        yield keep(session, backbone, judged(so_far.ending()))
    finally:
        if not done and so_far.best is not None and so_far.last is not None:
            left = session.under_way.get(backbone)
            at = in_english.interrupted(so_far.last.step, so_far.last.total_steps)
            keep(session, backbone, judged(at if left else so_far.ending()))
            if left is not None:
                session.under_way[backbone] = left


@dataclass
class _SoFar:
    """What a training has come to."""

    points: list[CurvePoint] = field(default_factory=list)
    last: TrainEvent | None = None
    best: LearnedPrompt | None = None
    measured_at: int = 0  # the step of `best`
    prepared: Prepared | None = None
    result: TeachResult | None = None
    is_late: bool = False  # the time that one training may take is over

    @classmethod
    def of(cls, state: TrainState | None) -> "_SoFar":
        """What an interrupted training had come to, as far as it was measured."""
        if state is None or state.best is None:
            return cls()
        history = state.best.history
        best = replace(state.best, history=history[: state.n_best])
        points = [
            CurvePoint(one["step"], one["loss"], one["train_accuracy"], one["held_out_accuracy"])
            for one in history
        ]
        return cls(points, best=best, measured_at=history[-1]["step"])

    def add(self, event: TrainEvent) -> None:
        self.last = event
        if event.prompt is not None:
            self.best, self.measured_at = event.prompt, event.step
        self.points.append(
            CurvePoint(event.step, event.loss, event.train_accuracy, event.held_out_accuracy)
        )

    def notes(self) -> tuple[str, ...]:
        """What is to be said of the pictures and the settings."""
        done = self.result.dataset if self.result else self.prepared and self.prepared.dataset
        return done.notes if done else ()

    def ending(self) -> str:
        """One sentence on how it ended."""
        result, last = self.result, self.last
        if result is not None and result.status == "finished":
            return in_english.finished(
                result.steps, result.seconds_encoding + result.seconds_training
            )
        assert last is not None
        if last.status == "diverged":
            return last.message
        stopped = in_english.stopped(last.step, last.total_steps, self.measured_at)
        return f"{page_in_english.time_is_up()} {stopped}" if self.is_late else stopped

    def why_empty(self) -> str:
        """One sentence on why nothing was learned."""
        if self.is_late:
            return f"{strings.time_is_up()} {strings.NOTHING_IN_TIME}"
        return say.STOPPED_BEFORE_TRAINING


def _gpu_seconds(backbone: str, dataset: Dataset, settings: TeachSettings, *_: Any) -> int:
    return min(_GPU_SECONDS, 20 + settings.train_config(len(dataset.train)).steps // 20)


@gpu_job(duration=_gpu_seconds)
def _teach_events(
    backbone: str, dataset: Dataset, settings: TeachSettings, resume: TrainState | None = None
) -> Iterator[EncodeEvent | Prepared | TrainEvent | TeachResult]:
    config = settings.train_config(len(dataset.train))
    if config.steps > MAX_STEPS_PAGE:
        raise PromptError(say.too_many_steps(config.steps, MAX_STEPS_PAGE))
    yield from teach(
        shared_backbone(backbone),
        dataset,
        shots=settings.shots,
        seed=settings.seed,
        preset=settings.preset,
        prompt_config=settings.prompt,
        resume=resume,
        state_every=KEEP_EVERY,
        **settings.overrides,
    )


def judge(
    prompt: LearnedPrompt,
    template: str,
    measured_on: Prepared | None,
    *,
    backbone: str,
    dataset: Dataset | None,
    ending: str,
    notes: Sequence[str] = (),
) -> Taught:
    """A prompt beside the words.

    Args:
        measured_on: the features it was trained and is judged on; None for a loaded prompt, of
            which nothing is claimed.
    """
    hand_crafted_weights = measured_on.hand_crafted if measured_on else None
    if hand_crafted_weights is None:
        hand_crafted_weights = _words(backbone, prompt.class_names, template)
    verdict = None
    if measured_on is not None and len(measured_on.test_labels):
        learned, words = (
            (measured_on.test_features @ weights.T).argmax(-1)
            for weights in (prompt.class_weights, hand_crafted_weights)
        )
        verdict = compare(learned, words, measured_on.test_labels, template)
    return Taught(
        prompt=prompt,
        template=template,
        hand_crafted_weights=hand_crafted_weights,
        hand_crafted_accuracy=verdict.words_right / verdict.n_test if verdict else None,
        verdict=verdict,
        ending=ending,
        notes=tuple(notes),
        dataset=dataset,
    )


def keep(session: Session, backbone: str, taught: Taught) -> Taught:
    """Save a prompt as a file, and make it the session's own for a model."""
    file = save_prompt(taught.prompt, session.prompt_path(taught.dataset, backbone))
    taught = replace(taught, file=file)
    with session.lock:
        session.taught[backbone] = taught
        session.under_way.pop(backbone, None)
    return taught


@gpu_job(duration=_GPU_SECONDS)
def _words(backbone: str, class_names: Sequence[str], template: str) -> Tensor:
    """Hand-crafted class weights (C, d)."""
    return class_weights(shared_backbone(backbone), class_names, [template]).float().cpu()


def _encode(backbone: str, pictures: Sequence[Picture]) -> EncodedPictures:
    *_, encoded = encode_pictures(shared_backbone(backbone), list(pictures))
    assert isinstance(encoded, EncodedPictures)
    return encoded


def load(session: Session, path: str | Path) -> Taught:
    """Make a saved prompt the session's own; what was there before stays if that fails.

    Raises:
        PromptError: the file cannot be used; the message says why.
    """
    backbone = session.backbone
    prompt = load_prompt(path, shared_backbone(backbone))
    ending = in_english.loaded(Path(path).name, len(prompt.class_names), backbone)
    words = prompt.train_config.template
    taught = judge(prompt, words, None, backbone=backbone, dataset=None, ending=ending)
    return keep(session, backbone, taught)


def at_hand(session: Session) -> tuple[AtHand, ...]:
    """Some held-out pictures, a few of every class; none while nothing is held out.

    They are those that the prompt in use is judged on, else those that would be.
    """
    taught = session.current
    dataset = taught.dataset if taught else None
    if dataset is None:
        try:
            dataset, _ = session.split(seed=session.settings.seed if session.settings else 1)
        except DatasetError:
            return ()
    by_class: list[list[AtHand]] = [[] for _ in dataset.class_names]
    for item in dataset.test:
        by_class[item.label].append(AtHand(item.picture, dataset.class_names[item.label]))
    turns = itertools.chain.from_iterable(itertools.zip_longest(*by_class))
    found = itertools.islice((one for one in turns if one is not None), MAX_AT_HAND)
    return tuple(sorted(found, key=lambda one: dataset.class_names.index(one.truth)))


def surprise(session: Session) -> AtHand:
    """A picture of a sample set that is not the one in use.

    Raises:
        UserError: there is no other.
    """
    others = [one for one in samples.sample_sets() if one.teaches and one.title != session.source]
    if not others:
        raise UserError(say.NO_OTHER_SET)
    sample = random.choice(others)
    dataset = samples.read_sample(sample.name)
    item = random.choice(dataset.test or dataset.train)
    picture = item.picture if item.picture.content else item.picture.checked()
    return AtHand(picture, dataset.class_names[item.label], sample.title)


def try_pictures(session: Session, pictures: Sequence[Picture], template: str) -> Tried:
    """Probabilities of both prompts for some pictures.

    Before anything was learned, only the words are asked, about the classes named on the page.

    Raises:
        UserError: there are no class names to choose from, or none of the pictures can be read.
    """
    taught = session.current
    if taught is not None:
        prompt, hand = taught.prompt, taught.hand_crafted_weights
        names = prompt.class_names
    else:
        names, hand, prompt = tuple(session.named_classes()), None, None
        if len(names) < 2:
            raise UserError(say.TRY_NOTHING_TO_TELL)
    return _try(session.backbone, pictures, names, prompt, hand, template)


@gpu_job(duration=_GPU_SECONDS)
def _try(
    backbone: str,
    pictures: Sequence[Picture],
    names: Sequence[str],
    prompt: LearnedPrompt | None,
    hand: Tensor | None,
    template: str,
) -> Tried:
    model = shared_backbone(backbone)
    if hand is None:
        hand = class_weights(model, names, [template]).float().cpu()
    encoded = _encode(backbone, pictures)
    if not encoded.kept:
        raise UserError(encoded.problems[0] if encoded.problems else say.NO_TRY_PICTURES)
    features = encoded.features[0].float().cpu()
    learned = prompt and probabilities(features, prompt.class_weights, model.logit_scale)
    unlike = ()
    if prompt is not None and prompt.familiar is not None:
        unlike = tuple(prompt.familiar.unlike(features, prompt.class_weights))
    return Tried(
        class_names=tuple(names),
        pictures=tuple(pictures[i].name for i in encoded.kept),
        learned=learned,
        words=probabilities(features, hand, model.logit_scale),
        problems=encoded.problems,
        unlike=unlike,
    )


def table_rows(tried: Tried) -> list[list[str | float]]:
    """One row a picture: its name, the learned prompt's answer and percent, the words' ones."""
    rows: list[list[str | float]] = []
    for index, name in enumerate(tried.pictures):
        row: list[str | float] = [name]
        for shares in (tried.learned, tried.words):
            if shares is None:
                row += ["–", ""]
            else:
                best = int(shares[index].argmax())
                row += [tried.class_names[best], round(100 * float(shares[index, best]), 1)]
        rows.append(row)
    return rows


def as_csv(tried: Tried) -> str:
    """Every probability of both prompts. Names that a spreadsheet would run are quoted."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    header = ["picture", "learned", "words"]
    header += [f"{kind}: {name}" for kind in ("learned", "words") for name in tried.class_names]
    writer.writerow([spreadsheet_safe(cell) for cell in header])
    for index, row in enumerate(table_rows(tried)):
        shares = [
            [""] * len(tried.class_names)
            if table is None
            else [f"{float(share):.6f}" for share in table[index]]
            for table in (tried.learned, tried.words)
        ]
        writer.writerow(
            [*(spreadsheet_safe(str(row[i])) for i in (0, 1, 3)), *shares[0], *shares[1]]
        )
    return buffer.getvalue()
