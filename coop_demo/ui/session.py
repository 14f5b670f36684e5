"""What a person makes lives here: bounded, on the server, under a random key.

The browser keeps only the key, so a reload brings everything back and two browsers never see each
other's things. Pictures lie as files in the session's own folder and are decoded when needed; what
stays in memory is small. `store.py` holds all sessions, `keeping/` brings them over a restart.
"""

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from coop_demo.comparison.verdict import Verdict
from coop_demo.data.dataset import (
    Dataset,
    Picture,
    check_class_names,
    check_trainable,
    clean_class_name,
    split_held_out,
)
from coop_demo.data.folders import from_classes
from coop_demo.errors import DatasetError, PictureError, UserError
from coop_demo.languages import page as strings
from coop_demo.languages import teach as teach_strings
from coop_demo.languages.english import page as page_in_english
from coop_demo.languages.english import teach as in_english
from coop_demo.letters import printable
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.training import LearnedPrompt, TrainState
from coop_demo.settings import ASSETS_DIR, LIMITS
from coop_demo.ui.compare.state import CompareState
from coop_demo.ui.explain.state import LookState, OrderLookState
from coop_demo.ui.rank.state import Pile
from coop_demo.ui.teach.state import AtHand, TeachSettings
from coop_demo.ui.tour.state import Tour

THUMBNAIL_SIDE = 320  # pixels; what the page shows of a picture
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,8})?")
PICTURES, THUMBNAILS = "pictures", "thumbnails"  # folders of a session


@dataclass
class ClassRow:
    """One class as the page shows it: its name, its pictures and maybe test pictures."""

    name: str = ""
    pictures: list[Picture] = field(default_factory=list)
    test: list[Picture] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (clean_class_name(self.name) or self.pictures or self.test)


@dataclass(frozen=True)
class Taught:
    """A learned prompt with what the page needs to show it again.

    `hand_crafted_weights` (C, d) are the hand-crafted prompt's class weights for the same classes.
    """

    prompt: LearnedPrompt
    template: str
    hand_crafted_weights: Tensor = field(repr=False)
    hand_crafted_accuracy: float | None  # of the held-out pictures: the flat line of the curves
    verdict: Verdict | None  # None for a prompt that was loaded from a file
    ending: str  # one sentence: finished, stopped at a step, ran away, loaded
    notes: tuple[str, ...] = ()  # of what it learned from and was measured on
    file: Path | None = None  # the saved prompt, offered for download
    dataset: Dataset | None = field(default=None, repr=False)  # what it was trained and tested on


@dataclass(frozen=True)
class UnderWay:
    """A training of a prompt that has not ended, as far as it came."""

    settings: TeachSettings
    dataset: Dataset = field(repr=False)  # with its held-out part
    state: TrainState = field(repr=False)
    total_steps: int
    taught: Taught = field(repr=False)  # the best prompt so far, judged


@dataclass(frozen=True)
class HeldRow:
    """A class row that nobody changes any more."""

    name: str
    pictures: tuple[Picture, ...]
    test: tuple[Picture, ...]


@dataclass(frozen=True)
class Held:
    """The classes as they stood at some moment. Two are equal when they hold the same pictures."""

    rows: tuple[HeldRow, ...]
    source: str
    template: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    about: tuple[str, ...]


@dataclass(frozen=True)
class Undo:
    """What a deletion took, and what it left: it can come back while that is as it was left."""

    sentence: str  # what was deleted
    before: Held
    taught_before: Mapping[str, Taught] = field(repr=False)
    left: Held
    taught_left: Mapping[str, Taught] = field(repr=False)
    under_way_before: Mapping[str, UnderWay] = field(repr=False)


@dataclass
class Session:
    """Everything one person made. Change it under `lock`; long work runs outside of it.

    `folder` goes when the app ends: what the page shows and offers for download lies there.
    `kept` outlives it, and is None where nothing is kept.
    """

    key: str
    folder: Path
    backbone: str
    kept: Path | None = None
    rows: list[ClassRow] = field(default_factory=lambda: [ClassRow(), ClassRow()])
    source: str = ""  # the sample set, zip or folder the rows came from
    template: str = DEFAULT_TEMPLATE
    problems: tuple[str, ...] = ()  # of the set that was loaded last
    notes: tuple[str, ...] = ()
    about: tuple[str, ...] = ()  # a sample set's own description, hint and licence
    taught: dict[str, Taught] = field(default_factory=dict)  # by backbone name
    pictures: dict[str, Picture] = field(default_factory=dict)  # by content hash
    under_way: dict[str, UnderWay] = field(default_factory=dict)  # by backbone name
    settings: TeachSettings | None = None  # of the last training, for the page to show again
    undo: Undo | None = field(default=None, repr=False)
    at_hand: tuple[AtHand, ...] = field(default=(), repr=False)  # as the page offers them
    trying: AtHand | None = field(default=None, repr=False)  # the one it shows, if any
    compare: CompareState = field(default_factory=CompareState, repr=False)
    pile: Pile = field(default_factory=Pile, repr=False)  # what belongs to ranking
    look: LookState = field(default_factory=LookState, repr=False)
    order_look: OrderLookState = field(default_factory=OrderLookState, repr=False)
    tour: Tour | None = None  # how far the guided lesson is; None outside of it
    uploads: set[Path] = field(default_factory=set)  # the page's own copies of what was given
    shown_model: str = ""  # of which model the page shows everything
    training: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    last_used: float = field(default_factory=time.monotonic)
    disk_bytes: int = 0
    room: Callable[[int], bool] = field(default=lambda size: True, repr=False)  # among everybody's

    # --- pictures ------------------------------------------------------------------------------

    @property
    def pictures_folder(self) -> Path:
        return (self.kept or self.folder) / PICTURES

    def take(self, picture: Picture) -> Picture:
        """A picture file the page handed over, checked and kept in this session's folder.

        The thumbnail of a picture that is known already stands for that picture.

        Raises:
            PictureError: it cannot be read.
            DatasetError: this person, or everybody together, has handed over all that they may.
        """
        assert isinstance(picture.source, Path)
        known = self.pictures.get(picture.source.stem)
        if known is not None:
            return known
        source, picture = picture.source, picture.checked()
        content = picture.content
        assert content is not None
        size = source.stat().st_size
        if content not in self.pictures and not self.room(size):
            raise DatasetError(page_in_english.SERVER_FULL)
        with self.lock:
            known = self.pictures.get(content)
            if known is not None:
                return known
            if self.disk_bytes + size > LIMITS.max_session_bytes:
                raise DatasetError(in_english.too_many_bytes(picture.name))
            suffix = source.suffix.lower()
            name = content + (suffix if _SUFFIX.fullmatch(suffix) else "")
            picture = replace(picture, source=self._keep_file(source, name, picture.name))
            self.disk_bytes += size
            self.pictures[content] = picture
        return picture

    def _keep_file(self, source: Path, name: str, called: str) -> Path:
        """A picture's file where it stays; while there is no room, where it goes with the app."""
        for folder in dict.fromkeys((self.pictures_folder, self.folder / PICTURES)):
            with contextlib.suppress(OSError):
                folder.mkdir(exist_ok=True)
                link_or_copy(source.resolve(), folder / name)
                return folder / name
        raise DatasetError(in_english.no_room(called))

    def thumbnail(self, picture: Picture) -> Path:
        """A small JPEG of the picture, named by its content so that `take` knows it again."""
        assert picture.content is not None
        self.pictures.setdefault(picture.content, picture)
        is_sample = isinstance(picture.source, Path) and picture.source.is_relative_to(ASSETS_DIR)
        folder = (self.folder.parent if is_sample else self.folder) / "thumbnails"
        path = folder / f"{picture.content}.jpg"
        if path.is_file():
            return path
        folder.mkdir(exist_ok=True)
        kept = self.kept / THUMBNAILS / path.name if self.kept and not is_sample else None
        if kept is None or not kept.is_file():
            image = picture.load()
            image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            unfinished = path.with_suffix(f".{secrets.token_hex(4)}")
            image.save(unfinished, "JPEG", quality=85)
            os.replace(unfinished, path)  # whole or not at all: two people may load one sample
            if kept is not None:
                with contextlib.suppress(OSError):  # only saves time after a restart
                    kept.parent.mkdir(exist_ok=True)
                    link_or_copy(path, kept)
        else:
            link_or_copy(kept, path)
        return path

    def set_pictures(self, index: int, paths: Sequence[str | Path]) -> tuple[str, ...]:
        """Make these files the pictures of a class row; a sentence for each one left out.

        Raises:
            UserError: there is no such row.
        """
        row = self.row(index)  # now: while pictures are decoded, rows may come and go
        problems: list[str] = []
        taken: list[Picture] = []
        for path in paths:
            if len(taken) == LIMITS.max_pictures_per_class_page:
                problems.append(teach_strings.too_many_pictures(len(paths)))
                break
            try:
                picture = self.take(Picture(Path(path).name, Path(path)))
            except (PictureError, DatasetError) as error:
                problems.append(str(error))
                continue
            if any(picture.content == other.content for other in taken):
                problems.append(teach_strings.twice(picture.name))
                continue
            taken.append(picture)
        with self.lock:
            if any(one is row for one in self.rows):  # not when it was removed meanwhile
                here = {picture.content for picture in taken}
                gone = [one.name for one in row.pictures if one.content not in here]
                with self._undoable(in_english.pictures_removed(gone, row.name) if gone else ""):
                    row.pictures = taken
        return tuple(problems)

    # --- classes -------------------------------------------------------------------------------

    def row(self, index: int) -> ClassRow:
        """Raises UserError when there is no such row."""
        if not 0 <= index < len(self.rows):
            raise UserError(teach_strings.NO_SUCH_ROW)
        return self.rows[index]

    def add_row(self) -> None:
        with self.lock:
            if len(self.rows) >= LIMITS.max_classes_page:
                raise UserError(teach_strings.ROWS_FULL)
            self.rows.append(ClassRow())

    def remove_row(self, index: int) -> None:
        with self.lock:
            row = self.row(index)
            n = len(row.pictures) + len(row.test)
            gone = "" if row.is_empty else in_english.class_removed(row.name, n)
            with self._undoable(gone):
                del self.rows[index]
                while len(self.rows) < 2:
                    self.rows.append(ClassRow())

    def name_rows(self, names: Sequence[str | None]) -> None:
        """Take the names as they stand on the page; rows beyond them keep theirs."""
        with self.lock:
            for row, name in zip(self.rows, names, strict=False):
                row.name = printable(str(name or "")[: 2 * LIMITS.max_class_name])

    def clear(self) -> None:
        """Forget classes, pictures and the prompts that were learned from them."""
        with self.lock:
            n = sum(len(row.pictures) + len(row.test) for row in self.rows)
            empty = all(row.is_empty for row in self.rows)
            said = in_english.cleared(n, learned=bool(self.taught))
            with self._undoable("" if empty and not self.taught else said):
                self.rows = [ClassRow(), ClassRow()]
                self.source, self.problems, self.notes, self.about = "", (), (), ()
                self.taught = {m: one for m, one in self.taught.items() if one.dataset is None}
                self.under_way.clear()

    def empty(self) -> None:
        """Forget everything but the model in use; files go with the session."""
        fresh = Session(self.key, self.folder, self.backbone, self.kept)
        with self.lock:
            for name in _MADE:
                setattr(self, name, getattr(fresh, name))

    # --- undo ----------------------------------------------------------------------------------

    def held(self) -> Held:
        """The classes as they stand."""
        return Held(
            tuple(HeldRow(row.name, tuple(row.pictures), tuple(row.test)) for row in self.rows),
            self.source,
            self.template,
            self.problems,
            self.notes,
            self.about,
        )

    def hold(self, held: Held) -> None:
        """Make the classes what they were."""
        with self.lock:
            self.rows = [ClassRow(r.name, list(r.pictures), list(r.test)) for r in held.rows]
            self.source, self.template = held.source, held.template
            self.problems, self.notes, self.about = held.problems, held.notes, held.about

    @contextlib.contextmanager
    def _undoable(self, sentence: str) -> Iterator[None]:
        """What happens inside can be undone; with no sentence, it is nothing to speak of."""
        before, taught, under_way = self.held(), dict(self.taught), dict(self.under_way)
        yield
        if sentence:
            self.undo = Undo(sentence, before, taught, self.held(), dict(self.taught), under_way)

    @property
    def can_undo(self) -> Undo | None:
        """The last deletion, unless something changed since."""
        undo = self.undo
        if undo is None or undo.left.rows != self.held().rows:
            return None
        return undo if _same_ones(undo.taught_left, self.taught) else None

    def bring_back(self) -> None:
        """Undo the last deletion.

        Raises:
            UserError: there is none, or something changed since.
        """
        with self.lock:
            undo = self.can_undo
            if undo is None:
                raise UserError(strings.NOTHING_TO_UNDO)
            self.hold(replace(undo.before, template=self.template))
            self.taught = dict(undo.taught_before)
            self.under_way = dict(undo.under_way_before)
            self.undo = None

    def show_set(
        self,
        dataset: Dataset,
        *,
        source: str,
        template: str | None = None,
        about: tuple[str, ...] = (),
    ) -> None:
        """Put a whole set in place of the rows.

        Raises:
            DatasetError: it has more classes than are taken here.
        """
        check_number_of_classes(dataset.class_names)
        rows = [ClassRow(name) for name in dataset.class_names]
        for item in dataset.train:
            rows[item.label].pictures.append(item.picture)
        for item in dataset.test:
            rows[item.label].test.append(item.picture)
        while len(rows) < 2:
            rows.append(ClassRow())
        with self.lock:
            empty = all(row.is_empty for row in self.rows)
            with self._undoable("" if empty else in_english.replaced(source)):
                self.rows = rows
                self.source = source
                self.template = template or self.template
                self.problems, self.notes = dataset.problems, dataset.notes
                self.about = about

    @property
    def can_train(self) -> bool:
        """Whether two classes have pictures; what else is missing, `split` says."""
        return sum(bool(row.pictures) for row in self.rows) >= 2

    def named_classes(self) -> list[str]:
        """The class names that can be used as they stand; [] while one of them cannot."""
        names = [clean_class_name(row.name) for row in self.rows]
        names = [name for name in names if name]
        try:
            check_class_names(names)
        except DatasetError:
            return []
        return names

    def dataset(self) -> Dataset:
        """The rows as a set; raises DatasetError with what is missing or double."""
        with self.lock:
            rows = [row for row in self.rows if not row.is_empty]
            train = [(row.name, list(row.pictures)) for row in rows]
            test = [(row.name, list(row.test)) for row in rows if row.test]
        return from_classes(train, test, name=self.source or "your pictures")

    def split(self, seed: int) -> tuple[Dataset, int]:
        """The set with a test part, and how many pictures were held out for it.

        Raises:
            DatasetError: it cannot be trained on yet; the message says what is missing.
        """
        dataset, n_held_out = split_held_out(self.dataset(), seed=seed)
        check_trainable(dataset)
        return dataset, n_held_out

    # --- learned prompts -----------------------------------------------------------------------

    def prompt_path(self, dataset: Dataset | None, backbone: str) -> Path:
        """Where a prompt is offered for download."""
        name = f"{dataset.name if dataset else 'loaded'}-{backbone}".lower()
        name = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:60]
        return self.folder / f"prompt-{name}.safetensors"

    @property
    def current(self) -> Taught | None:
        """The prompt that was learned or loaded with the model in use."""
        return self.taught.get(self.backbone)


#: what a person makes
_MADE = (
    "rows",
    "source",
    "template",
    "problems",
    "notes",
    "about",
    "taught",
    "under_way",
    "settings",
    "undo",
    "at_hand",
    "trying",
    "pictures",
    "compare",
    "pile",
    "look",
    "order_look",
    "tour",
)


def check_number_of_classes(names: Sequence[str]) -> None:
    """Raises DatasetError: there are more than the page and the endpoints take."""
    if len(names) > LIMITS.max_classes:
        raise DatasetError(strings.too_many_classes(len(names)))


def _same_ones(first: Mapping[str, object], second: Mapping[str, object]) -> bool:
    return first.keys() == second.keys() and all(second[key] is one for key, one in first.items())


def link_or_copy(source: Path, target: Path) -> None:
    """The same file in another place; none when something is there already."""
    if target.exists():
        return
    with contextlib.suppress(OSError):
        os.link(source, target)  # the upload folder is usually on the same disk: no second copy
        return
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        shutil.copyfile(source, unfinished)
        os.replace(unfinished, target)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
