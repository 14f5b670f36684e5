"""What the Rank tab does to a session: add images, order them, teach an order, export."""

import contextlib
import re
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from coop_demo.backbones.backbone import PLAIN_FORM, TokenForm
from coop_demo.backbones.features import WHOLE_VIEW, EncodedPictures, EncodeEvent, encode_pictures
from coop_demo.data.dataset import Picture
from coop_demo.errors import RankingError
from coop_demo.languages import rank as say
from coop_demo.languages.english import rank as in_english
from coop_demo.letters import printable
from coop_demo.ranking.baselines import antonym_scores
from coop_demo.ranking.checkpoint import (
    load_ranker,
    offered_rankers,
    save_ranker,
    shipped_ranker_path,
)
from coop_demo.ranking.instructions import AntonymPair, check_instruction
from coop_demo.ranking.order import (
    ANTONYMS,
    LEAST_TO_JUDGE,
    RANKER,
    Floats,
    Order,
    ScoredImages,
    orders_of,
    score_images,
)
from coop_demo.ranking.order import judge as order_judgement
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import antonyms_for
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.ui.progress import Pace, Progress, encoding
from coop_demo.ui.rank.shared import shared_ranker
from coop_demo.ui.rank.state import (
    Pile,
    RankVerdict,
    UsedRanker,
)
from coop_demo.ui.session import Session

_GPU_SECONDS = 60


def _shared(path: Path, backbone: str) -> Ranker:
    ranker = shared_ranker(path)
    ranker.check_backbone(shared_backbone(backbone))
    return ranker


def ranker_in_use(session: Session) -> UsedRanker | None:
    """What the session taught or loaded for its model, else the shipped ranker, else None.

    Raises:
        RankingError: the shipped file is damaged or was made with other weights of the model.
    """
    used = session.pile.rankers.get(session.backbone)
    if used is not None:
        return used
    path, title = shipped_ranker_path(session.backbone), in_english.SHIPPED_TITLE
    if path is None:  # a converted one comes with the model it was converted with
        own = (one for one in offered_rankers() if one.model == session.backbone)
        file = next(own, None)
        if file is None:
            return None
        path, title = file.path, in_english.offered(file.title, file.path.name)
    ranker = _shared(path, session.backbone)
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
    ranker = _shared(file.path, session.backbone)
    used = UsedRanker(ranker, in_english.offered(file.title, file.path.name), file.path)
    with session.lock:
        session.pile.rankers[session.backbone] = used
    return used


def own_file(session: Session, backbone: str) -> Path:
    """Where a session keeps its ranker for a model, whose name may be a path."""
    return session.folder / f"ranker-{re.sub(r'[^A-Za-z0-9.]+', '-', backbone)[-60:]}.safetensors"


def load(session: Session, path: str | Path) -> UsedRanker:
    """Make a ranker file the session's own; what was in use stays if that fails.

    Raises:
        RankingError: the file cannot be used; the message says why.
    """
    path = Path(path)
    ranker = load_ranker(path, shared_backbone(session.backbone))
    kept = save_ranker(ranker, own_file(session, session.backbone))
    used = UsedRanker(ranker, in_english.loaded(path.name, len(ranker.instructions)), kept)
    with session.lock:
        session.pile.rankers[session.backbone] = used
    return used


def pair_for(pile: Pile, instruction: str, high: str, low: str) -> AntonymPair:
    """The antonym pair to compare with: as written, unless it is still the proposal for another
    instruction, or empty.

    Raises:
        RankingError: one side is empty, or both are the same.
    """
    high, low = (printable(words).strip() for words in (high, low))
    proposal = antonyms_for(instruction)
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
    pairs += [antonyms_for(other) for other in instructions[1:]]
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
    orders, notes = orders_of(
        scored,
        pictures,
        pile.values,
        backbone=backbone,
        ranker=used.ranker if used else None,
        seconds=time.perf_counter() - began,
    )
    with session.lock:
        if tuple(pile.pictures) != pictures:
            raise RankingError(say.PILE_CHANGED)
        pile.instruction = instruction
        pile.second = instructions[1] if len(instructions) > 1 else ""
        pile.pair = (pairs[0].high, pairs[0].low)
        pile.orders = orders
        pile.problems = (*scored.problems, *notes)
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
    pair = AntonymPair(*(printable(words).strip() for words in (high, low)))
    form = orders[0].ranker.config.form if orders[0].ranker else PLAIN_FORM
    scores = _antonyms(session.backbone, orders[0].pictures, pair, form)
    changed = replace(orders[0], scores={**orders[0].scores, ANTONYMS: scores}, pair=pair)
    with session.lock:
        if session.pile.orders[:1] == orders[:1]:  # not when something else was ranked meanwhile
            session.pile.pair = (pair.high, pair.low)
            session.pile.orders = (changed, *orders[1:])
    return session.pile.orders


@gpu_job(duration=_GPU_SECONDS)
def _antonyms(
    backbone: str, pictures: Sequence[Picture], pair: AntonymPair, form: TokenForm
) -> Floats:
    model = shared_backbone(backbone)
    for words in (pair.high, pair.low):
        check_instruction(words, model)
    *_, encoded = encode_pictures(model, list(pictures), views=(WHOLE_VIEW,), form=form)
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
    if found is None and len(order.labelled) < LEAST_TO_JUDGE:
        return RankVerdict("", say.too_few_to_judge(len(order.labelled), LEAST_TO_JUDGE))
    if found is None:
        return RankVerdict("", say.VERDICT_UNDEFINED)
    return RankVerdict(found.kind, say.verdict(found))
