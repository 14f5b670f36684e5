"""The pile of pictures a person ranks: what is in it, what is known of it, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from coop_demo.charts.training import CurvePoint
from coop_demo.data.dataset import Picture
from coop_demo.errors import PictureError, RankingError, UserError
from coop_demo.languages import page as page_strings
from coop_demo.languages import rank as say
from coop_demo.languages.english import rank as in_english
from coop_demo.ranking.instructions import AntonymPair, instruction_key
from coop_demo.ranking.order import Floats, Order
from coop_demo.ranking.ranker import Ranker, RankerTrainConfig
from coop_demo.ui.forms import number, whole

MAX_PICTURES = 1_000  # half a minute of the built-in model on two cores; the command line has none
AMOUNT, PLACE = "amount", "place"


@dataclass(frozen=True, eq=False)
class TaughtOrder:
    """A ranker that was taught a person's order, and how it does on pairs it never saw.

    Accuracies are shares of the held-out pairs put in the right order; None where not measured.
    """

    ranker: Ranker
    instruction: str
    n_learned: int
    n_held_out: int
    n_pairs: int  # held-out pairs of different numbers
    before: float | None
    after: float | None
    rivals: Mapping[str, float | None]
    points: tuple[CurvePoint, ...]
    ending: str
    started: bool  # from a ranker that could rank already


@dataclass(frozen=True)
class UsedRanker:
    """The ranker in use with one model, where it came from, and its file if it can be saved."""

    ranker: Ranker
    title: str
    file: Path | None = None
    taught: TaughtOrder | None = None


@dataclass
class Pile:
    """Everything of one session that belongs to ranking. Change it under the session's lock."""

    pictures: list[Picture] = field(default_factory=list)  # names are unique
    places: dict[str, str] = field(default_factory=dict)  # every path and name seen -> content
    source: str = ""
    about: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    labels: dict[str, dict[str, float]] = field(default_factory=dict)
    # By instruction, in the order they came, then content; "" holds for any instruction.
    instruction: str = ""
    second: str = ""
    proposed: tuple[str, AntonymPair] | None = None  # the last proposal and its instruction
    pair: tuple[str, str] = ("", "")  # as it stands on the page
    orders: tuple[Order, ...] = ()
    numbers: dict[str, float] = field(default_factory=dict)  # a person's own, by content
    meaning: str = PLACE
    rankers: dict[str, UsedRanker] = field(default_factory=dict)  # by model; else the shipped one
    half_taught: dict[str, UsedRanker] = field(default_factory=dict)  # by model, while it learns
    cleared: "Pile | None" = field(default=None, repr=False)  # what `clear` took

    def clear(self) -> None:
        """Forget the pictures and what hangs on them; rankers stay."""
        before = replace(self, cleared=None) if self.pictures else self.cleared
        fresh = Pile(rankers=self.rankers, cleared=before)
        self.__dict__.update(fresh.__dict__)

    @property
    def can_undo(self) -> "Pile | None":
        """What was cleared, unless something came in its place."""
        return None if self.pictures else self.cleared

    def bring_back(self) -> None:
        """Undo `clear`.

        Raises:
            RankingError: something came in its place.
        """
        before = self.can_undo
        if before is None:
            raise RankingError(page_strings.NOTHING_TO_UNDO)
        self.__dict__.update(before.__dict__ | {"rankers": self.rankers})

    def add(self, pictures: Sequence[Picture]) -> list[str]:
        """Put checked pictures on the pile; a sentence for each that does not count."""
        said: list[str] = []
        here = {picture.content: picture.name for picture in self.pictures}
        names = {picture.name for picture in self.pictures}
        for n, picture in enumerate(pictures):
            assert picture.content is not None
            self._remember(picture.name, picture.content)
            if picture.content in here:
                said.append(in_english.twice(picture.name, here[picture.content]))
                continue
            if len(self.pictures) == MAX_PICTURES:
                said.append(in_english.pile_full(len(pictures) - n, MAX_PICTURES))
                break
            name = _unique(picture.name, names)
            names.add(name)
            here[picture.content] = name
            self.pictures.append(replace(picture, name=name))
        return said

    def _remember(self, name: str, content: str) -> None:
        path = name.replace("\\", "/")
        self.places.setdefault(path, content)
        self.places.setdefault(PurePosixPath(path).name, content)

    def find(self, path: str) -> Picture | None:
        """The picture a table calls by this path: by the whole of it, else by its last part."""
        path = path.replace("\\", "/").strip()
        content = self.places.get(path) or self.places.get(PurePosixPath(path).name)
        return None if content is None else self.by_content.get(content)

    @property
    def by_content(self) -> dict[str, Picture]:
        return {picture.content: picture for picture in self.pictures if picture.content}

    @property
    def by_name(self) -> dict[str, Picture]:
        return {picture.name: picture for picture in self.pictures}

    def labels_for(self, instruction: str) -> dict[str, float]:
        """Known values of the pictures under an instruction; of any instruction when none is."""
        wanted = instruction_key(instruction)
        for known, values in self.labels.items():
            if known and instruction_key(known) == wanted:
                return values
        return self.labels.get("", {})

    def values(self, pictures: Sequence[Picture], instruction: str) -> Floats:
        """(N,) known values, NaN where there is none."""
        known = self.labels_for(instruction)
        return np.array([known.get(picture.content or "", np.nan) for picture in pictures], float)

    def orders_with(self, backbone: str) -> tuple[Order, ...]:
        return tuple(order for order in self.orders if order.backbone == backbone)


def take_all(take, given: Sequence[Picture]) -> tuple[list[Picture], list[str]]:
    """Every picture through `take` (a session's); those that cannot be read cost a sentence."""
    taken: list[Picture] = []
    problems: list[str] = []
    for picture in given:
        try:
            kept = take(picture)
        except (PictureError, UserError) as error:
            problems.append(str(error))
            continue
        taken.append(replace(kept, name=picture.name))
    return taken, problems


def _unique(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"


MAX_STEPS = 2_000


@dataclass(frozen=True)
class RankVerdict:
    """Ranker against the better of the two rivals, on the same labelled pictures."""

    kind: str  # better, unsure or worse; "" where nothing can be said
    sentence: str


@dataclass(frozen=True)
class OrderSettings:
    """Settings of "Teach it your order", checked."""

    steps: int | None
    learning_rate: float | None
    seed: int
    from_nothing: bool

    @classmethod
    def parse(cls, steps: Any, learning_rate: Any, seed: Any, fresh: Any) -> "OrderSettings":
        """Empty or 0 is the recipe's own: an empty number field of the page may come back as 0.

        Raises RankingError when a value is of the wrong kind or out of range.
        """
        settings = cls(
            None
            if steps in (None, "", 0)
            else whole(steps, say.STEPS_LABEL, 1, MAX_STEPS, error=RankingError),
            None
            if learning_rate in (None, "", 0)
            else number(learning_rate, say.RATE_LABEL, error=RankingError),
            whole(seed, say.SEED_LABEL, 0, 2**31 - 1, error=RankingError),
            bool(fresh),
        )
        settings.config(started=True)  # raises when a number cannot be used
        return settings

    def config(self, *, started: bool) -> RankerTrainConfig:
        chosen: dict[str, Any] = {"seed": self.seed}
        if self.steps is not None:
            chosen["steps"] = self.steps
        if self.learning_rate is not None:
            chosen["learning_rate"] = self.learning_rate
        if started:
            return RankerTrainConfig.teach(**chosen)
        return RankerTrainConfig.teach_afresh(**chosen)
