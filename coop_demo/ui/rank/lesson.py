"""A person's own order: the numbers of its pictures, and a ranker that is taught them."""

import contextlib
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from coop_demo.backbones.backbone import PLAIN_FORM
from coop_demo.backbones.features import EncodeEvent
from coop_demo.charts.training import CurvePoint
from coop_demo.data.dataset import Picture
from coop_demo.errors import RankingError
from coop_demo.languages import page as strings
from coop_demo.languages import rank as say
from coop_demo.languages.english import page as page_in_english
from coop_demo.languages.english import rank as in_english
from coop_demo.ranking.baselines import antonym_scores, cosine_scores
from coop_demo.ranking.checkpoint import (
    save_ranker,
)
from coop_demo.ranking.instructions import AntonymPair, check_instruction
from coop_demo.ranking.metrics import pair_accuracy
from coop_demo.ranking.order import (
    ANTONYMS,
    COSINE,
    encode_part,
    hold_out,
)
from coop_demo.ranking.ranker import Ranker, RankerTrainConfig, RankingTask
from coop_demo.ranking.training import RankerEvent, mean_pair_accuracy, train_ranker
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.ui.progress import KEEP_EVERY, Deadline, Pace, Progress, TrainingPace, encoding
from coop_demo.ui.rank.actions import own_file, ranker_in_use
from coop_demo.ui.rank.state import (
    AMOUNT,
    PLACE,
    OrderSettings,
    Pile,
    TaughtOrder,
    UsedRanker,
)
from coop_demo.ui.session import Session

MOST_IN_TABLE = 60  # pictures that can be numbered by hand


_MEASUREMENTS = 30  # Stop keeps the last measured state, so measure every other step


_GPU_SECONDS = 60


def read_numbers(pile: Pile, rows: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Numbers of the page's table (thumbnail, name, number), by content; empty cells left out.

    Raises:
        RankingError: a cell is no number, or the rows are not those of the table.
    """
    by_name = pile.by_name
    numbers: dict[str, float] = {}
    for row in rows:
        if len(row) != len(say.TABLE_HEADERS):
            raise RankingError(say.BAD_TABLE)
        name, cell = str(row[1] or ""), row[2]
        given = "" if cell is None or cell != cell else str(cell).strip()
        if not given:
            continue
        picture = by_name.get(name)
        if picture is None or picture.content is None:
            raise RankingError(say.BAD_TABLE)
        try:
            number = float(given.replace(",", ".") if given.count(",") == 1 else given)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise RankingError(say.not_a_number(name, given))
        numbers[picture.content] = number
    return numbers


def put_numbers(session: Session, numbers: dict[str, float]) -> None:
    """The table's numbers in place of those of the pictures it lists; others keep theirs."""
    pile = session.pile
    with session.lock:
        listed = {picture.content for picture in pile.pictures[:MOST_IN_TABLE]}
        others = {c: v for c, v in pile.numbers.items() if c not in listed}
        pile.numbers = {**others, **numbers}


def number_by_click(session: Session, at: Any) -> bool:
    """The next place for the picture at this place of the table, or none where it has one.

    False when there is no such picture.
    """
    pile = session.pile
    with session.lock:
        if not isinstance(at, int) or not 0 <= at < min(len(pile.pictures), MOST_IN_TABLE):
            return False
        content = pile.pictures[at].content
        assert content is not None
        if pile.meaning != PLACE:
            pile.meaning, pile.numbers = PLACE, {}
        if content in pile.numbers:
            gone = pile.numbers.pop(content)  # a second click takes it out again
            pile.numbers = {c: v - 1 if v > gone else v for c, v in pile.numbers.items()}
        else:
            pile.numbers[content] = max(pile.numbers.values(), default=0.0) + 1
    return True


def number_by_order(session: Session) -> None:
    """The places of the order that is shown as numbers.

    Raises:
        RankingError: there is none.
    """
    found = session.pile.orders_with(session.backbone)
    if not found:
        raise RankingError(say.NO_ORDER)
    first = found[0]
    with session.lock:
        session.pile.meaning = PLACE
        session.pile.numbers = {
            content: float(place)
            for place, at in enumerate(first.ranking(first.leading), start=1)
            if (content := first.pictures[at].content)
        }


def take_labels(session: Session, instruction: str) -> None:
    """The known values under an instruction as numbers.

    Raises:
        RankingError: there are none.
    """
    pile = session.pile
    known = {c: v for c, v in pile.labels_for(instruction).items() if c in pile.by_content}
    if not known:
        raise RankingError(say.NO_LABELS)
    with session.lock:
        pile.meaning = AMOUNT
        pile.numbers = known


def check_meaning(meaning: Any) -> str:
    """Raises RankingError: numbers mean neither places nor amounts."""
    if meaning not in say.MEANINGS.values():
        raise RankingError(say.ONE_MEANING)
    return meaning


def teach_order(
    session: Session, instruction: str, settings: OrderSettings
) -> Generator[Progress | TaughtOrder, None, None]:
    """Train a ranker on the session's numbers; progress a few times a second, the result last.

    `session.stop` ends it after the step at hand with the last measured state. When it is closed
    from outside (the page was left), that state is kept in the session just the same. Every few
    seconds `pile.half_taught` holds it, should the app end.

    Raises:
        RankingError: instruction, numbers or settings cannot be used, or it was stopped before
            the first step.
    """
    backbone = session.backbone
    lesson = _lesson(session, check_instruction(instruction), settings)
    so_far = _SoFar(lesson)
    pace, keeping, deadline = TrainingPace(), Pace(KEEP_EVERY), Deadline()
    done = False

    def ended() -> TaughtOrder:
        taught = so_far.taught()
        file = save_ranker(taught.ranker, own_file(session, backbone))
        used = UsedRanker(taught.ranker, in_english.taught_title(lesson.instruction), file, taught)
        with session.lock:
            session.pile.rankers[backbone] = used
        return taught

    try:
        with contextlib.closing(_teach_events(backbone, lesson)) as events:
            for event in events:
                so_far.is_late = deadline.is_over
                if session.stop.is_set() or so_far.is_late:
                    break
                if isinstance(event, EncodeEvent):
                    if pace.is_due():
                        yield encoding(event, unit="")
                elif isinstance(event, dict):
                    so_far.rivals = event
                else:
                    so_far.add(event)
                    if so_far.kept is not None and keeping.is_due():
                        session.pile.half_taught[backbone] = so_far.half(event)
                    to_beat = best_rival(so_far.rivals)[1]
                    yield from pace.report(event, so_far.points, to_beat)
        done = True
        if so_far.kept is None:
            late = f"{strings.time_is_up()} {strings.NOTHING_IN_TIME}"
            raise RankingError(late if so_far.is_late else say.STOPPED_EARLY)
        yield ended()
    finally:
        if not done and so_far.kept is not None:
            ended()
        session.pile.half_taught.pop(backbone, None)


@dataclass(frozen=True, eq=False)
class _Lesson:
    """What a ranker is taught: pictures with numbers, higher ranks first, and from where."""

    instruction: str
    pictures: tuple[Picture, ...]  # those to learn from, then those held out
    values: tuple[float, ...]
    n_learned: int
    pair: AntonymPair | None  # of the rival; proposed for the instruction when None
    start: Ranker | None
    config: RankerTrainConfig

    @property
    def judged(self) -> tuple[float, ...]:
        return self.values[self.n_learned :]


def _lesson(session: Session, instruction: str, settings: OrderSettings) -> _Lesson:
    pile = session.pile
    by_content = pile.by_content
    sign = -1.0 if pile.meaning == PLACE else 1.0  # the first place is the most
    numbers = {c: sign * v for c, v in pile.numbers.items() if c in by_content}
    learned, judged = hold_out(numbers, settings.seed)
    used = None if settings.from_nothing else ranker_in_use(session)
    start = used.ranker if used else None
    pair = pile.proposed[1] if pile.proposed and pile.proposed[0] == instruction else None
    for order in pile.orders_with(session.backbone):
        if order.instruction == instruction:
            pair = order.pair  # perhaps a person's own words
            break
    return _Lesson(
        instruction=instruction,
        pictures=tuple(by_content[content] for content in (*learned, *judged)),
        values=(*learned.values(), *judged.values()),
        n_learned=len(learned),
        pair=pair,
        start=start,
        config=settings.config(started=start is not None),
    )


@dataclass
class _SoFar:
    """What a training has come to."""

    lesson: _Lesson
    points: list[CurvePoint] = field(default_factory=list)
    rivals: Mapping[str, float | None] = field(default_factory=dict)
    last: RankerEvent | None = None
    kept: RankerEvent | None = None  # the last one that came with a ranker
    before: float | None = None
    is_late: bool = False  # the time that one training may take is over

    def add(self, event: RankerEvent) -> None:
        self.last = event
        held = None if event.held_out is None else mean_pair_accuracy(event.held_out)
        if event.step == 0:
            self.before = held
        elif event.ranker is not None:
            self.kept = event
        self.points.append(CurvePoint(event.step, event.loss, None, held))

    def half(self, event: RankerEvent) -> UsedRanker:
        """What is left when the app ends now; teaching again goes on from it."""
        at = in_english.interrupted(event.step, event.total_steps)
        taught = replace(self.taught(), ending=at)
        return UsedRanker(taught.ranker, in_english.taught_title(taught.instruction), None, taught)

    def taught(self) -> TaughtOrder:
        lesson, kept, last = self.lesson, self.kept, self.last
        assert kept is not None
        assert kept.ranker is not None
        assert last is not None
        n_held_out = len(lesson.judged)
        if last.status == "finished":
            ending = in_english.finished(last.step, last.seconds, lesson.n_learned, n_held_out)
        elif last.status == "diverged":
            ending = last.message
        else:
            ending = in_english.stopped(last.step, last.total_steps, kept.step)
            ending = f"{page_in_english.time_is_up()} {ending}" if self.is_late else ending
        return TaughtOrder(
            ranker=kept.ranker.having_learned_from(
                [picture.content or "" for picture in lesson.pictures[: lesson.n_learned]],
                (),
                start=lesson.start,
            ),
            instruction=lesson.instruction,
            n_learned=lesson.n_learned,
            n_held_out=n_held_out,
            n_pairs=_n_pairs(lesson.judged),
            before=self.before,
            after=mean_pair_accuracy(kept.held_out or {}),
            rivals=self.rivals,
            points=tuple(self.points),
            ending=ending,
            started=lesson.start is not None,
        )


def _n_pairs(values: Sequence[float]) -> int:
    return sum(a != b for i, a in enumerate(values) for b in values[:i])


def best_rival(shares: Mapping[str, float | None]) -> tuple[str, float | None]:
    """Name and share of the simpler way that does best on the held-out pairs."""
    known = {name: share for name, share in shares.items() if share is not None}
    if not known:
        return ANTONYMS, None
    name = max(known, key=lambda one: known[one])
    return name, known[name]


@gpu_job(duration=_GPU_SECONDS)
def _teach_events(
    backbone: str, lesson: _Lesson
) -> Iterator[EncodeEvent | RankerEvent | dict[str, float | None]]:
    """The rivals' shares of held-out pairs, then the training."""
    model = shared_backbone(backbone)
    instruction, pictures, n_learned = lesson.instruction, lesson.pictures, lesson.n_learned
    check_instruction(instruction, model)
    parts = 1 if model.mean_pooled else 2
    form = lesson.start.config.form if lesson.start else PLAIN_FORM
    tokens = yield from encode_part(model, pictures, tokens=True, form=form, part=0, parts=parts)
    pooled = yield from encode_part(
        model, pictures, tokens=False, form=form, part=parts - 1, parts=parts
    )
    if len(tokens.kept) < len(pictures):
        raise RankingError(tokens.problems[0])
    features, judged = pooled.features[0][n_learned:], lesson.judged
    antonyms = antonym_scores(model, features, lesson.pair or instruction)
    yield {
        ANTONYMS: pair_accuracy(antonyms.numpy(), judged),
        COSINE: pair_accuracy(cosine_scores(model, features, instruction).numpy(), judged),
    }
    known = torch.tensor(lesson.values, dtype=torch.float32)
    seen = tokens.features.to(model.device)
    held_out = None
    if len(set(judged)) > 1:
        task = RankingTask(instruction, torch.arange(len(judged)), known[n_learned:])
        held_out = (seen[n_learned:], [task])
    yield from train_ranker(
        model,
        seen[:n_learned],
        [RankingTask(instruction, torch.arange(n_learned), known[:n_learned])],
        held_out=held_out,
        start=lesson.start,
        config=lesson.config,
        measurements=_MEASUREMENTS,
        title=instruction,
    )
