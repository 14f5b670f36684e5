"""What a person makes lives here: bounded, on the server, under a random key.

The browser keeps only the key, so a reload brings everything back and two browsers never see each
other's things. Pictures lie as files in the session's own folder and are decoded when needed; what
stays in memory is small. Sessions that were not used for a while, or that the disk has no room
for, are forgotten, the longest unused first.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
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
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.settings import ASSETS_DIR, LIMITS
from coop_demo.ui import strings
from coop_demo.ui.compare.state import CompareState
from coop_demo.ui.explain.state import LookState, OrderLookState
from coop_demo.ui.rank.state import Pile
from coop_demo.ui.teach import strings as teach_strings

MAX_SESSIONS = 200  # of a few hundred KB each: features are in the process-wide cache
MAX_IDLE_SECONDS = 12 * 3600  # a class comes back after lunch; nobody comes back after a night
MAX_DISK_BYTES = 4 * 2**30  # all people's pictures together
THUMBNAIL_SIDE = 320  # pixels; what the page shows of a picture
_KEY_BYTES = 24


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


@dataclass
class Session:
    """Everything one person made. Change it under `lock`; long work runs outside of it."""

    key: str
    folder: Path
    backbone: str
    rows: list[ClassRow] = field(default_factory=lambda: [ClassRow(), ClassRow()])
    source: str = ""  # the sample set, zip or folder the rows came from
    template: str = DEFAULT_TEMPLATE
    problems: tuple[str, ...] = ()  # of the set that was loaded last
    notes: tuple[str, ...] = ()
    about: tuple[str, ...] = ()  # a sample set's own description, hint and licence
    taught: dict[str, Taught] = field(default_factory=dict)  # by backbone name
    pictures: dict[str, Picture] = field(default_factory=dict)  # by content hash
    compare: CompareState = field(default_factory=CompareState, repr=False)
    pile: Pile = field(default_factory=Pile, repr=False)  # what belongs to ranking
    look: LookState = field(default_factory=LookState, repr=False)
    order_look: OrderLookState = field(default_factory=OrderLookState, repr=False)
    shown_model: str = ""  # of which model the page shows everything
    training: bool = False
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    last_used: float = field(default_factory=time.monotonic)
    disk_bytes: int = 0

    # --- pictures ------------------------------------------------------------------------------

    def take(self, picture: Picture) -> Picture:
        """A picture file the page handed over, checked and kept in this session's folder.

        The thumbnail of a picture that is known already stands for that picture.

        Raises:
            PictureError: it cannot be read.
            DatasetError: this person has handed over all that one may.
        """
        assert isinstance(picture.source, Path)
        known = self.pictures.get(picture.source.stem)
        if known is not None:
            return known
        source, picture = picture.source, picture.checked()
        content = picture.content
        assert content is not None
        with self.lock:
            known = self.pictures.get(content)
            if known is not None:
                return known
            size = source.stat().st_size
            if self.disk_bytes + size > LIMITS.max_zip_bytes:
                raise DatasetError(teach_strings.too_many_bytes(picture.name))
            kept = self.folder / f"{content}{source.suffix.lower()}"
            _link_or_copy(source.resolve(), kept)
            self.disk_bytes += size
            picture = replace(picture, source=kept)
            self.pictures[content] = picture
        return picture

    def thumbnail(self, picture: Picture) -> Path:
        """A small JPEG of the picture, named by its content so that `take` knows it again."""
        assert picture.content is not None
        self.pictures.setdefault(picture.content, picture)
        is_sample = isinstance(picture.source, Path) and picture.source.is_relative_to(ASSETS_DIR)
        folder = (self.folder.parent if is_sample else self.folder) / "thumbnails"
        path = folder / f"{picture.content}.jpg"
        if not path.is_file():
            folder.mkdir(exist_ok=True)
            image = picture.load()
            image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            unfinished = path.with_suffix(f".{secrets.token_hex(4)}")
            image.save(unfinished, "JPEG", quality=85)
            os.replace(unfinished, path)  # whole or not at all: two people may load one sample
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
            self.row(index)
            del self.rows[index]
            while len(self.rows) < 2:
                self.rows.append(ClassRow())

    def name_rows(self, names: Sequence[str | None]) -> None:
        """Take the names as they stand on the page; rows beyond them keep theirs."""
        with self.lock:
            for row, name in zip(self.rows, names, strict=False):
                row.name = str(name or "")[: 2 * LIMITS.max_class_name]

    def clear(self) -> None:
        """Forget classes and pictures; learned prompts stay."""
        with self.lock:
            self.rows = [ClassRow(), ClassRow()]
            self.source, self.problems, self.notes, self.about = "", (), (), ()

    def show_set(
        self,
        dataset: Dataset,
        *,
        source: str,
        template: str | None = None,
        about: tuple[str, ...] = (),
    ) -> None:
        """Put a whole set in place of the rows."""
        rows = [ClassRow(name) for name in dataset.class_names]
        for item in dataset.train:
            rows[item.label].pictures.append(item.picture)
        for item in dataset.test:
            rows[item.label].test.append(item.picture)
        while len(rows) < 2:
            rows.append(ClassRow())
        with self.lock:
            self.rows = rows
            self.source = source
            self.template = template or self.template
            self.problems, self.notes = dataset.problems, dataset.notes
            self.about = about

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

    @property
    def current(self) -> Taught | None:
        """The prompt that was learned or loaded with the model in use."""
        return self.taught.get(self.backbone)


class SessionStore:
    """All sessions, bounded in number, age and disk."""

    def __init__(
        self,
        default_backbone: str,
        *,
        capacity: int = MAX_SESSIONS,
        max_idle_seconds: float = MAX_IDLE_SECONDS,
        max_disk_bytes: int = MAX_DISK_BYTES,
    ) -> None:
        self.default_backbone = default_backbone
        self.capacity = capacity
        self.max_idle_seconds = max_idle_seconds
        self.max_disk_bytes = max_disk_bytes
        self._home = tempfile.TemporaryDirectory(prefix="coop-studio-")  # gone when the app ends
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, key: object) -> Session:
        """The session of this key, or a new one when the key is unknown here."""
        with self._lock:
            known = self._sessions.get(key) if isinstance(key, str) else None
            if known is None:
                new_key = secrets.token_urlsafe(_KEY_BYTES)
                folder = Path(self._home.name) / secrets.token_hex(8)  # not the key: it is secret
                folder.mkdir()
                known = Session(new_key, folder, self.default_backbone)
                self._sessions[new_key] = known
            self._touch(known)
            self._forget_old(keep=known)
            return known

    def get(self, key: object) -> Session:
        """Raises UserError when the session is not (or no longer) here."""
        with self._lock:
            session = self._sessions.get(key) if isinstance(key, str) else None
            if session is None:
                raise UserError(strings.SESSION_GONE if key else strings.STILL_OPENING)
            self._touch(session)
            return session

    def __len__(self) -> int:
        return len(self._sessions)

    def _touch(self, session: Session) -> None:
        session.last_used = time.monotonic()
        self._sessions.move_to_end(session.key)

    def _forget_old(self, *, keep: Session) -> None:
        now = time.monotonic()
        disk = sum(session.disk_bytes for session in self._sessions.values())
        for key, session in list(self._sessions.items()):  # the longest unused first
            too_many = len(self._sessions) > self.capacity or disk > self.max_disk_bytes
            idle = now - session.last_used > self.max_idle_seconds
            if session is keep or session.training or not (too_many or idle):
                continue
            del self._sessions[key]
            disk -= session.disk_bytes
            shutil.rmtree(session.folder, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    with contextlib.suppress(OSError):
        os.link(source, target)  # the upload folder is usually on the same disk: no second copy
        return
    shutil.copyfile(source, target)
