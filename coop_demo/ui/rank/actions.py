"""What the Rank tab does to a session: add images, order them, teach an order, export."""

import contextlib
import csv
import io
import json
import math
import re
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from coop_demo.backbones.features import WHOLE_VIEW, EncodedPictures, EncodeEvent, encode_pictures
from coop_demo.charts.training import CurvePoint
from coop_demo.data.archives import read_archive
from coop_demo.data.csv_tables import read_table
from coop_demo.data.dataset import Picture
from coop_demo.data.images import is_picture_name
from coop_demo.errors import DatasetError, RankingError
from coop_demo.ranking.baselines import antonym_scores, cosine_scores
from coop_demo.ranking.checkpoint import (
    load_ranker,
    offered_rankers,
    save_ranker,
    shipped_ranker_path,
)
from coop_demo.ranking.instructions import AntonymPair, check_instruction, propose_antonyms
from coop_demo.ranking.labels import image_column, read_labels_csv
from coop_demo.ranking.metrics import pair_accuracy
from coop_demo.ranking.order import (
    ANTONYMS,
    COSINE,
    RANKER,
    Floats,
    Order,
    ScoredImages,
    encode_part,
    hold_out,
    not_learned_from,
    score_images,
)
from coop_demo.ranking.order import judge as order_judgement
from coop_demo.ranking.ranker import Ranker, RankerTrainConfig, RankingTask
from coop_demo.ranking.training import RankerEvent, mean_pair_accuracy, train_ranker
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.samples import SampleSet
from coop_demo.ui.progress import Pace, Progress, TrainingPace, encoding
from coop_demo.ui.rank import strings as say
from coop_demo.ui.rank.state import (
    AMOUNT,
    PLACE,
    OrderSettings,
    Pile,
    RankVerdict,
    TaughtOrder,
    UsedRanker,
    take_all,
)
from coop_demo.ui.session import Session

MOST_IN_TABLE = 60  # pictures that can be numbered by hand


_MEASUREMENTS = 30  # Stop keeps the last measured state, so measure every other step


_GPU_SECONDS = 60


@lru_cache(maxsize=4)
def _shipped(path: Path, modified: float, backbone: str) -> Ranker:
    return load_ranker(path, shared_backbone(backbone))


def ranker_in_use(session: Session) -> UsedRanker | None:
    """What the session taught or loaded for its model, else the shipped ranker, else None.

    Raises:
        RankingError: the shipped file is damaged or was made with other weights of the model.
    """
    used = session.pile.rankers.get(session.backbone)
    if used is not None:
        return used
    path, title = shipped_ranker_path(session.backbone), say.SHIPPED_TITLE
    if path is None:  # a converted one comes with the model it was converted with
        own = (one for one in offered_rankers() if one.model == session.backbone)
        file = next(own, None)
        if file is None:
            return None
        path, title = file.path, say.offered(file.title, file.path.name)
    ranker = _shipped(path, path.stat().st_mtime, session.backbone)
    return UsedRanker(ranker, title, path)


def use_offered(session: Session, name: str) -> UsedRanker:
    """A ranker of this computer's folder as the session's own.

    Raises:
        RankingError: there is none of that file name, or it belongs to another model.
    """
    file = next((one for one in offered_rankers() if one.path.name == name), None)
    if file is None:
        raise RankingError(say.no_such_offer(name))
    if file.model != session.backbone:
        raise RankingError(say.offer_needs(file.title, file.model))
    ranker = _shipped(file.path, file.path.stat().st_mtime, session.backbone)
    used = UsedRanker(ranker, say.offered(file.title, file.path.name), file.path)
    with session.lock:
        session.pile.rankers[session.backbone] = used
    return used


def _own_file(session: Session, backbone: str) -> Path:
    """Where a session keeps its ranker for a model, whose name may be a path."""
    return session.folder / f"ranker-{re.sub(r'[^A-Za-z0-9.]+', '-', backbone)[-60:]}.safetensors"


def load(session: Session, path: str | Path) -> UsedRanker:
    """Make a ranker file the session's own; what was in use stays if that fails.

    Raises:
        RankingError: the file cannot be used; the message says why.
    """
    path = Path(path)
    ranker = load_ranker(path, shared_backbone(session.backbone))
    kept = save_ranker(ranker, _own_file(session, session.backbone))
    used = UsedRanker(ranker, say.loaded(path.name, len(ranker.instructions)), kept)
    with session.lock:
        session.pile.rankers[session.backbone] = used
    return used


def add_files(session: Session, paths: Sequence[str | Path]) -> None:
    """Pictures, zips and tables of labels onto the session's pile.

    What cannot be used costs itself only and is named in `pile.problems`.

    Raises:
        RankingError: nothing among the files is a picture, a zip or a table.
    """
    pile = session.pile
    problems: list[str] = []
    notes: list[str] = []
    tables: list[Path] = []
    given: list[Picture] = []
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        for number, path in enumerate(map(Path, paths)):
            kind = path.suffix.lower()
            if kind == ".csv":
                tables.append(path)
            elif kind == ".zip":
                into = Path(folder) / str(number)
                into.mkdir()
                try:
                    pictures, found, said = _unpack(path, into)
                except DatasetError as error:
                    problems.append(str(error))
                    continue
                given, tables = given + pictures, tables + found
                problems += said
            elif is_picture_name(path.name):
                given.append(Picture(path.name, path))
            else:
                problems.append(f"“{path.name}” is neither a picture nor a zip nor a CSV.")
        if not given and not tables:
            raise RankingError(problems[0] if problems else say.NO_FILE)
        taken, said = take_all(session.take, given)
        problems += said
        with session.lock:
            notes = pile.add(taken)
            if taken:
                pile.orders = ()
        for table in tables:
            try:
                problems += add_labels(pile, table, instruction=pile.instruction)
            except RankingError as error:
                problems.append(str(error))
    with session.lock:
        pile.problems, pile.notes = tuple(problems), tuple(notes)


def _unpack(path: Path, into: Path) -> tuple[list[Picture], list[Path], list[str]]:
    contents = read_archive(
        path, wanted=lambda name: is_picture_name(name) or name.lower() == "labels.csv", into=into
    )
    pictures, tables = [], []
    for parts, source in contents.files:
        assert isinstance(source, Path)
        if parts[-1].lower() == "labels.csv":
            named = source.with_name("labels.csv")  # messages call it by the name it had
            if named.exists():
                continue
            source.rename(named)
            tables.append(named)
        else:
            pictures.append(Picture("/".join(parts), source))
    return pictures, tables, [*contents.problems, *contents.notes]


def add_labels(pile: Pile, path: Path, *, instruction: str = "") -> list[str]:
    """Values of a labels.csv for the pictures on the pile; sentences for rows passed over.

    The table's paths are only compared with names on the pile, never opened. Rows without an
    instruction of their own count for `instruction`; for any when that is empty too.

    Raises:
        RankingError: it is no such table, a value is no number, all are equal, or none of the
            pictures it names is here.
    """
    if not pile.pictures:
        raise RankingError(say.labels_without_pictures(path.name))
    label = f'"{path.name}"'
    header, rows, separator = read_table(path, label=label, error=RankingError)
    column = image_column(header) or "image"
    missing: list[str] = []
    n_passed = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        found: dict[str, Picture] = {}
        lines: dict[int, list[str]] = {}
        for row in rows:
            cells = dict(row.cells)
            if cells.get(column):
                picture = pile.find(cells[column])
                if picture is None:
                    n_passed += 1
                    missing.append(cells[column])
                    continue
                name = f"{picture.content}.png"
                (home / name).touch()
                found[name] = picture
                cells[column] = name
            lines[row.line] = list(cells.values())
        if missing and not found:
            raise RankingError(say.labels_for_others(path.name, missing[0]))
        safe = home / path.name
        safe.write_text(_with_lines(header, lines, separator), encoding="utf-8")
        table = read_labels_csv(safe, default_prompt=_ANY, check=False)
    for row in table.rows:
        prompt = instruction if row.prompt == _ANY else row.prompt
        content = found[row.picture.name].content
        assert content is not None
        pile.labels.setdefault(prompt, {})[content] = row.value
    if not missing:
        return [*table.problems, *table.notes]
    names = list(dict.fromkeys(missing))
    return [*table.problems, *table.notes, say.labels_elsewhere(path.name, names, n_passed)]


_ANY = "*"  # no instruction reads so: one needs a letter or a number


def _with_lines(header: Sequence[str], lines: Mapping[int, Sequence[str]], separator: str) -> str:
    """A table whose rows stand on the lines they came from."""
    buffer = io.StringIO()
    delimiter = separator if separator in ",;" else "\t"
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    at = 1
    for line, cells in sorted(lines.items()):
        buffer.write("\n" * max(0, line - at - 1))
        writer.writerow([" ".join(cell.split()) for cell in cells])
        at = max(line, at + 1)
    return buffer.getvalue()


def show_sample(session: Session, sample: SampleSet) -> None:
    """A sample set in place of the pile, with its labels and instructions."""
    about = json.loads((sample.folder / "set.json").read_text(encoding="utf-8"))
    instructions = about.get("instructions", [""])
    given = [
        Picture(f"pictures/{path.name}", path).checked()
        for path in sorted((sample.folder / "pictures").iterdir())
        if is_picture_name(path.name)
    ]
    with session.lock:
        pile = session.pile
        pile.clear()
        pile.add(given)
        add_labels(pile, sample.folder / "labels.csv")
        pile.source = sample.title
        pile.about = (sample.description, sample.expect, f"Licence: {sample.licence}.")
        pile.instruction = instructions[0]
        pile.second = instructions[1] if len(instructions) > 1 else ""


def pair_for(pile: Pile, instruction: str, high: str, low: str) -> AntonymPair:
    """The antonym pair to compare with: as written, unless it is still the proposal for another
    instruction, or empty.

    Raises:
        RankingError: one side is empty, or both are the same.
    """
    high, low = high.strip(), low.strip()
    proposal = propose_antonyms(instruction)
    untouched = not (high or low) or (
        pile.proposed is not None and (high, low) == (pile.proposed[1].high, pile.proposed[1].low)
    )
    pile.proposed = (instruction, proposal)
    return proposal if untouched else AntonymPair(high, low)


def rank(
    session: Session, instruction: str, second: str, high: str, low: str
) -> Generator[Progress | tuple[Order, ...], None, None]:
    """Order the session's pile by one or two instructions; the result is kept and comes last.

    Raises:
        RankingError: fewer than two pictures, an instruction or antonym pair that cannot be used,
            or the pile became another one meanwhile.
    """
    pile = session.pile
    backbone = session.backbone
    instruction = check_instruction(instruction)
    instructions = [instruction]
    if second.strip():
        instructions.append(check_instruction(second))
        if instructions[1].casefold() == instruction.casefold():
            raise RankingError(say.SAME_TWICE)
    pictures = tuple(pile.pictures)
    if len(pictures) < 2:
        raise RankingError(say.ONE_PICTURE if pictures else say.NO_PICTURES)
    used = ranker_in_use(session)
    pairs = [pair_for(pile, instruction, high, low)]
    pairs += [propose_antonyms(other) for other in instructions[1:]]
    began = time.perf_counter()
    scored: ScoredImages | None = None
    pace = Pace()
    jobs = _score_events(backbone, pictures, instructions, pairs, used.ranker if used else None)
    with contextlib.closing(jobs) as events:
        for event in events:
            if isinstance(event, ScoredImages):
                scored = event
            elif pace.is_due():
                yield encoding(event, unit="")
    assert scored is not None
    kept = tuple(pictures[i] for i in scored.kept)
    seconds = time.perf_counter() - began
    names = [picture.name for picture in kept]
    notes: dict[str, None] = {}

    def known(wording: str) -> Floats:
        values, said = not_learned_from(
            pile.values(kept, wording), scored, used.ranker if used else None, names
        )
        notes.update(dict.fromkeys(said))
        return values

    orders = tuple(
        Order(
            backbone=backbone,
            instruction=one.instruction,
            pictures=kept,
            scores=one.scores,
            pair=one.pair,
            values=known(one.instruction),
            ranker=used.ranker if used else None,
            compared=one.compared,
            pair_logits=one.pair_logits,
            seconds=seconds,
        )
        for one in scored.found
    )
    with session.lock:
        if tuple(pile.pictures) != pictures:
            raise RankingError(say.PILE_CHANGED)
        pile.instruction = instruction
        pile.second = instructions[1] if len(instructions) > 1 else ""
        pile.pair = (pairs[0].high, pairs[0].low)
        pile.orders = orders
        pile.problems = (*scored.problems, *scored.notes, *notes)
    yield orders


@gpu_job(duration=_GPU_SECONDS)
def _score_events(
    backbone: str,
    pictures: Sequence[Picture],
    instructions: Sequence[str],
    pairs: Sequence[AntonymPair],
    ranker: Ranker | None,
) -> Iterator[EncodeEvent | ScoredImages]:
    yield from score_images(shared_backbone(backbone), pictures, instructions, pairs, ranker)


def compare_again(session: Session, high: str, low: str) -> tuple[Order, ...]:
    """The first order with another antonym pair; everything else stays.

    Raises:
        RankingError: nothing was ranked yet, or the pair cannot be used.
    """
    orders = session.pile.orders_with(session.backbone)
    if not orders:
        raise RankingError(say.RANK_FIRST)
    pair = AntonymPair(high.strip(), low.strip())
    scores = _antonyms(session.backbone, orders[0].pictures, pair)
    changed = replace(orders[0], scores={**orders[0].scores, ANTONYMS: scores}, pair=pair)
    with session.lock:
        if session.pile.orders[:1] == orders[:1]:  # not when something else was ranked meanwhile
            session.pile.pair = (pair.high, pair.low)
            session.pile.orders = (changed, *orders[1:])
    return session.pile.orders


@gpu_job(duration=_GPU_SECONDS)
def _antonyms(backbone: str, pictures: Sequence[Picture], pair: AntonymPair) -> Floats:
    model = shared_backbone(backbone)
    for words in (pair.high, pair.low):
        check_instruction(words, model)
    *_, encoded = encode_pictures(model, list(pictures), views=(WHOLE_VIEW,))
    assert isinstance(encoded, EncodedPictures)
    return antonym_scores(model, encoded.features[0], pair).numpy()


def judge(order: Order) -> RankVerdict:
    """Whether the ranker beats the better rival, as a sentence."""
    figures = order.metrics()
    if not figures:
        return RankVerdict("", say.few_labels(len(order.labelled)))
    if RANKER not in figures:
        return RankVerdict("", "")
    found = order_judgement(order)
    if found is None:
        return RankVerdict("", say.VERDICT_UNDEFINED)
    return RankVerdict(found.kind, say.verdict(found))


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
        raise RankingError(f"{say.MEANING_LABEL}: choose one of the two.")
    return meaning


def teach_order(
    session: Session, instruction: str, settings: OrderSettings
) -> Generator[Progress | TaughtOrder, None, None]:
    """Train a ranker on the session's numbers; progress a few times a second, the result last.

    `session.stop` ends it after the step at hand with the last measured state. When it is closed
    from outside (the page was left), that state is kept in the session just the same.

    Raises:
        RankingError: instruction, numbers or settings cannot be used, or it was stopped before
            the first step.
    """
    backbone = session.backbone
    lesson = _lesson(session, check_instruction(instruction), settings)
    so_far = _SoFar(lesson)
    pace = TrainingPace()
    done = False

    def ended() -> TaughtOrder:
        taught = so_far.taught()
        file = save_ranker(taught.ranker, _own_file(session, backbone))
        used = UsedRanker(taught.ranker, say.taught_title(lesson.instruction), file, taught)
        with session.lock:
            session.pile.rankers[backbone] = used
        return taught

    try:
        with contextlib.closing(_teach_events(backbone, lesson)) as events:
            for event in events:
                if session.stop.is_set():
                    break
                if isinstance(event, EncodeEvent):
                    if pace.is_due():
                        yield encoding(event, unit="")
                elif isinstance(event, dict):
                    so_far.rivals = event
                else:
                    so_far.add(event)
                    to_beat = best_rival(so_far.rivals)[1]
                    yield from pace.report(event, so_far.points, to_beat)
        done = True
        if so_far.kept is None:
            raise RankingError(say.STOPPED_EARLY)
        yield ended()
    finally:
        if not done and so_far.kept is not None:
            ended()


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

    def add(self, event: RankerEvent) -> None:
        self.last = event
        held = None if event.held_out is None else mean_pair_accuracy(event.held_out)
        if event.step == 0:
            self.before = held
        elif event.ranker is not None:
            self.kept = event
        self.points.append(CurvePoint(event.step, event.loss, None, held))

    def taught(self) -> TaughtOrder:
        lesson, kept, last = self.lesson, self.kept, self.last
        assert kept is not None
        assert kept.ranker is not None
        assert last is not None
        n_held_out = len(lesson.judged)
        if last.status == "finished":
            ending = say.finished(last.step, last.seconds, lesson.n_learned, n_held_out)
        elif last.status == "diverged":
            ending = last.message
        else:
            ending = say.stopped(last.step, last.total_steps, kept.step)
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
    tokens = yield from encode_part(model, pictures, tokens=True, part=0, parts=parts)
    pooled = yield from encode_part(model, pictures, tokens=False, part=parts - 1, parts=parts)
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
