"""What of a session is kept, in files of their own: whichever is damaged costs only itself.

A section is a safetensors file with one value as JSON in its metadata (see `values.py`). Sections
of things that belong to one model have a file for each model. Beside them lie the pictures,
prompts and rankers they speak of.
"""

import contextlib
import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from coop_demo.backbones.catalog import list_models
from coop_demo.checkpoints import CheckpointKind, read_tensors
from coop_demo.data.dataset import Picture
from coop_demo.errors import UserError
from coop_demo.languages.english import keeping as in_english
from coop_demo.languages.english import teach as teach_in_english
from coop_demo.prompts.checkpoint import save_prompt
from coop_demo.ranking.checkpoint import offered_rankers, save_ranker
from coop_demo.ranking.instructions import AntonymPair
from coop_demo.ranking.order import Order
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.explain.state import RankedSubject, Subject
from coop_demo.ui.keeping import checks
from coop_demo.ui.keeping.values import PROMPTS, RANKERS, NotOurs, Reader, Writer
from coop_demo.ui.rank.actions import own_file
from coop_demo.ui.rank.shared import shared_path
from coop_demo.ui.rank.state import Pile, UsedRanker
from coop_demo.ui.session import PICTURES, Held, HeldRow, Session, Taught, UnderWay
from coop_demo.ui.teach.state import TeachSettings
from coop_demo.ui.tour.state import Tour

log = logging.getLogger(__name__)

SECTION = CheckpointKind(
    noun="session",
    format="coop-studio-session",
    version=1,  # a field that is added with a default needs no new one
    max_bytes=256 * 2**20,  # features of 100,000 held-out pictures
    error=UserError,
)
MOST_FILES = 200  # sections of one session: eight kinds, and a handful of models


@dataclass(frozen=True)
class HeldSettings:
    """What a person chose on the page."""

    backbone: str
    teach: TeachSettings | None
    compare_words: str
    tour: Tour | None = None


@dataclass(frozen=True)
class HeldPile:
    """`Pile` as it stood at some moment, without its rankers."""

    pictures: tuple[Picture, ...]
    places: dict[str, str]
    source: str
    about: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    labels: dict[str, dict[str, float]]
    instruction: str
    second: str
    proposed: tuple[str, AntonymPair] | None
    pair: tuple[str, str]
    orders: tuple[Order, ...]
    numbers: dict[str, float]
    meaning: str

    @classmethod
    def of(cls, pile: Pile) -> "HeldPile":
        held = {one.name: getattr(pile, one.name) for one in fields(cls)}
        return cls(
            **held
            | {
                "pictures": tuple(pile.pictures),
                "places": dict(pile.places),
                "labels": {name: dict(values) for name, values in pile.labels.items()},
                "numbers": dict(pile.numbers),
            }
        )

    def pile(self, rankers: dict[str, UsedRanker]) -> Pile:
        pile = Pile(rankers=rankers)
        for one in fields(self):
            setattr(pile, one.name, getattr(self, one.name))
        pile.pictures = list(self.pictures)
        return pile


@dataclass(frozen=True)
class HeldLook:
    """What the tab Look looks at; its maps are drawn anew."""

    subject: Subject | None
    ranked: RankedSubject | None


@dataclass(frozen=True)
class Section:
    """One kind of thing that is kept.

    `take(session)` gives what there is, by the model it belongs to ("" where to none), and
    `put(session, model, value)` brings it back.
    """

    name: str
    kind: type
    take: Callable[[Session], Mapping[str, Any]]
    put: Callable[[Session, str, Any], None]
    is_sound: Callable[[Any], bool] = lambda value: True


def _put_settings(session: Session, _: str, held: HeldSettings) -> None:
    local = {model.name for model in list_models() if model.on_this_computer}
    if held.backbone in local | {ranker.model for ranker in offered_rankers()}:
        session.backbone = held.backbone
    session.settings = held.teach
    session.compare.words = held.compare_words
    session.tour = held.tour


def _put_pile(session: Session, _: str, held: HeldPile) -> None:
    session.pile = held.pile(session.pile.rankers)


def _put_taught(session: Session, model: str, taught: Taught) -> None:
    file = save_prompt(taught.prompt, session.prompt_path(taught.dataset, model))
    session.taught[model] = replace(taught, file=file)


def _put_under_way(session: Session, model: str, under_way: UnderWay) -> None:
    session.under_way[model] = under_way
    at = teach_in_english.interrupted(under_way.state.step, under_way.total_steps)
    _put_taught(session, model, replace(under_way.taught, ending=at))


def _put_ranker(session: Session, model: str, used: UsedRanker) -> None:
    file = shared_path(used.ranker) or save_ranker(used.ranker, own_file(session, model))
    session.pile.rankers[model] = replace(used, file=file)


def _put_look(session: Session, _: str, held: HeldLook) -> None:
    session.look.subject, session.look.fresh = held.subject, held.subject is not None
    session.order_look.subject = held.ranked
    session.order_look.fresh = held.ranked is not None


#: in the order in which they are read
SECTIONS = (
    Section(
        "classes",
        Held,
        lambda s: {"": s.held()},
        lambda s, _, held: s.hold(held),
        checks.classes,
    ),
    Section(
        "settings",
        HeldSettings,
        lambda s: {"": HeldSettings(s.backbone, s.settings, s.compare.words, s.tour)},
        _put_settings,
        checks.settings,
    ),
    Section("pile", HeldPile, lambda s: {"": HeldPile.of(s.pile)}, _put_pile, checks.pile),
    Section("ranker", UsedRanker, lambda s: dict(s.pile.rankers), _put_ranker),
    Section("lesson", UsedRanker, lambda s: dict(s.pile.half_taught), _put_ranker),
    Section("prompt", Taught, lambda s: dict(s.taught), _put_taught, checks.taught),
    Section("training", UnderWay, lambda s: dict(s.under_way), _put_under_way, checks.under_way),
    Section(
        "comparison",
        Compared,
        lambda s: dict(s.compare.compared),
        lambda s, model, compared: s.compare.compared.__setitem__(model, compared),
        checks.compared,
    ),
    Section(
        "look",
        HeldLook,
        lambda s: {"": HeldLook(s.look.subject, s.order_look.subject)},
        _put_look,
    ),
)
_BY_NAME = {section.name: section for section in SECTIONS}


def file_name(section: str, model: str) -> str:
    digest = hashlib.sha256(model.encode()).hexdigest()[:12] if model else ""
    return f"{section}{'-' if model else ''}{digest}.safetensors"


# --- writing -------------------------------------------------------------------------------------


class Keeper:
    """Writes into a folder what has changed of a session since it wrote last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: dict[str, Any] = {}  # file name -> the value in it
        self._needs: dict[str, set[str]] = {}  # file name -> files beside it
        self._lock = threading.Lock()

    @property
    def needed(self) -> set[str]:
        """The files beside those that were written."""
        return set().union(*self._needs.values())

    def write(self, session: Session) -> None:
        """Raises OSError, for instance when the disk is full; what was there stays then."""
        with self._lock:
            there = self._taken(session)
            for name in self._written.keys() - there.keys():
                (self.folder / name).unlink(missing_ok=True)
                del self._written[name], self._needs[name]
            changed = False
            for name, (section, model, value) in there.items():
                if not _is_same(self._written.get(name), value):
                    self._write(session, name, section, model, value)
                    changed = True
            if changed:
                self._drop_unneeded()

    def know(self, session: Session, found: "Found") -> None:
        """Take what the session was just given for written: it was read from here."""
        with self._lock:
            read = {id(value) for _, _, value in found.values}
            for name, (_, _, value) in self._taken(session).items():
                if name in found.needs:
                    self._needs[name] = found.needs[name]
                    known = id(value) in read or isinstance(value, Held | HeldPile | HeldSettings)
                    self._written[name] = value if known else None

    def _taken(self, session: Session) -> dict[str, tuple[str, str, Any]]:
        with session.lock:
            return {
                file_name(section.name, model): (section.name, model, value)
                for section in SECTIONS
                for model, value in section.take(session).items()
            }

    def _write(self, session: Session, name: str, section: str, model: str, value: Any) -> None:
        def keep(place: str, contents: bytes) -> None:
            path = self.folder / place
            if not path.is_file():
                path.parent.mkdir(exist_ok=True)
                write_whole(path, contents)

        writer = Writer(session.pictures_folder, keep)
        description = {"section": section, "model": model, "value": writer.plain(value)}
        write_whole(self.folder / name, SECTION.to_bytes(writer.tensors, description))
        self._written[name], self._needs[name] = value, writer.files

    def _drop_unneeded(self) -> None:
        needed = self.needed
        for place in _beside(self.folder):
            if place not in needed:
                (self.folder / place).unlink(missing_ok=True)


def _beside(folder: Path) -> Iterator[str]:
    for kind in (PROMPTS, RANKERS):
        if (folder / kind).is_dir():
            yield from (f"{kind}/{path.name}" for path in (folder / kind).iterdir())


def _is_same(written: Any, value: Any) -> bool:
    """By content where that is quick: what a person holds; else it is replaced, never changed."""
    if written is value:
        return True
    return isinstance(value, Held | HeldSettings | HeldPile | HeldLook) and written == value


def write_whole(path: Path, contents: bytes) -> None:
    """Write a file in one move: whole, or not at all."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        unfinished.write_bytes(contents)
        os.replace(unfinished, path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


# --- reading -------------------------------------------------------------------------------------


@dataclass
class Found:
    """What could be read of a folder, and a sentence for each thing that could not."""

    values: list[tuple[Section, str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    pictures: dict[str, Picture] = field(default_factory=dict)
    unreadable: list[Path] = field(default_factory=list)
    needs: dict[str, set[str]] = field(default_factory=dict)  # file name -> files beside it

    def put(self, session: Session) -> None:
        """Make it the session's."""
        with session.lock:
            session.pictures |= self.pictures
            for section, model, value in self.values:
                try:
                    section.put(session, model, value)
                except (OSError, UserError) as error:  # no room for the file it is saved as
                    log.warning("%s cannot be brought back: %s", section.name, error)
                    self.problems.append(in_english.could_not_read(section.name))


def read_sections(folder: Path, *, pictures_at: Path | None = None) -> Found:
    """Everything in a folder that a `Keeper` wrote, as far as it can be read.

    Args:
        pictures_at: where the pictures lie that it speaks of; in the folder itself when None.
    """
    found = Found()
    pictures_at = pictures_at or folder / PICTURES
    order = list(_BY_NAME)
    paths = [path for path in folder.glob("*.safetensors") if not path.name.startswith(".")]
    known = [path for path in paths if _section_of(path) in _BY_NAME][:MOST_FILES]
    for path in sorted(known, key=lambda path: (order.index(_section_of(path)), path.name)):
        try:
            section, model, value = _read(path, found, pictures_at)
        except Exception as error:  # whatever is wrong with it costs only itself
            log.warning("%s cannot be read: %r", path.name, error)
            found.problems.append(in_english.could_not_read(_section_of(path)))
            found.unreadable.append(path)
            continue
        found.values.append((section, model, _without_gone(value, found)))
    return found


def _section_of(path: Path) -> str:
    return path.name.removesuffix(".safetensors").partition("-")[0]


def _read(path: Path, found: Found, pictures_at: Path) -> tuple[Section, str, Any]:
    description, _ = SECTION.read(path)
    section, model = _BY_NAME[_section_of(path)], description["model"]
    if description["section"] != section.name or not isinstance(model, str):
        raise NotOurs("it says it is another section")
    if path.name != file_name(section.name, model):
        raise NotOurs("it says it is of another model")
    reader = Reader(path.parent, pictures_at, read_tensors(path), found.pictures)
    value = reader.value(description["value"], section.kind)
    found.needs[path.name] = reader.files
    if not section.is_sound(value):
        raise NotOurs("its parts do not belong together")
    return section, model, value


def _without_gone(value: Any, found: Found) -> Any:
    """Without pictures of the person's whose files are not there any more."""
    if isinstance(value, HeldPile):
        kept = _there(value.pictures)
        if len(kept) < len(value.pictures):
            found.problems.append(in_english.pictures_gone(len(value.pictures) - len(kept)))
        return replace(value, pictures=kept)
    if not isinstance(value, Held):
        return value
    rows = tuple(HeldRow(r.name, _there(r.pictures), _there(r.test)) for r in value.rows)
    before, after = (
        sum(len(row.pictures) + len(row.test) for row in part) for part in (value.rows, rows)
    )
    if after < before:
        found.problems.append(in_english.pictures_gone(before - after))
    return replace(value, rows=rows)


def _there(pictures: tuple[Picture, ...]) -> tuple[Picture, ...]:
    return tuple(one for one in pictures if isinstance(one.source, Path) and one.source.is_file())


def drop_strays(session: Session) -> None:
    """Remove from where a session is kept unfinished files and pictures that nothing speaks of."""
    pictures = session.pictures_folder
    known = {one.source.name for one in session.pictures.values() if isinstance(one.source, Path)}
    unfinished = session.kept.rglob(".*") if session.kept else ()
    unknown = (path for path in pictures.glob("*") if path.name not in known)
    for path in [*unfinished, *unknown]:
        if path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()
