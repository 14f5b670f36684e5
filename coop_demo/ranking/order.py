"""Images and an instruction -> their order: scores of every way, pairs, and what it is worth.

Page, command line and endpoint all order images here. N images, M of them compared two by two.
"""

import csv
import io
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from coop_demo.backbones.backbone import PLAIN_FORM, Backbone, TokenForm
from coop_demo.backbones.features import WHOLE_VIEW, EncodedPictures, EncodeEvent, encode_pictures
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.data.dataset import Picture, short_content
from coop_demo.data.near_copies import Look, near_shots
from coop_demo.errors import RankingError
from coop_demo.ranking.baselines import antonym_scores, cosine_scores
from coop_demo.ranking.instructions import AntonymPair, check_instruction
from coop_demo.ranking.metrics import RankingMetrics, bootstrap_interval, ranking_metrics, srcc
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import Reading, read_instruction
from coop_demo.ranking.trust import Trust, trust_in
from coop_demo.turns import TURNS
from coop_demo.wording import counted, unread_words

RANKER, ANTONYMS, COSINE = "ranker", "antonyms", "cosine"
RANKING_METHODS = (RANKER, ANTONYMS, COSINE)
MAX_COMPARED = 60  # images of the pair matrix: more would make cells too small to click
LEAST_TO_JUDGE = 5  # labels; with random scores fewer call a winner in up to half of all cases
LEAST_TO_TEACH = 6  # two of them are held out, so that there is a pair to judge with

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scored:
    """What one instruction gives N images.

    Shape: each of `scores` (N,), by ranking method, higher ranks first; `pair_logits` (M, M) over
    the images `compared`, [i, j] positive for "i above j", None without a ranker.
    """

    instruction: str
    pair: AntonymPair
    scores: Mapping[str, Floats]
    compared: tuple[int, ...] = ()
    pair_logits: Floats | None = None
    trust: Trust | None = None  # None without a ranker
    reading: Reading | None = None  # how the instruction was understood


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """The images that could be read (`kept`, positions), and each instruction's scores of them."""

    kept: tuple[int, ...]
    problems: tuple[str, ...]
    n_encoded: int
    found: tuple[Scored, ...]
    contents: tuple[str, ...] = ()  # content hash of each kept image
    looks: tuple[Look | None, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = ()  # of decoding and of the instructions


@dataclass(frozen=True, eq=False)
class Order:
    """What one instruction made of N images.

    Shape: each of `scores` (N,), higher ranks first; `values` (N,), NaN where no label is known;
    `pair_logits` (M, M) over the images `compared`, [i, j] positive for "i above j".
    """

    backbone: str
    instruction: str
    pictures: tuple[Picture, ...]
    scores: Mapping[str, Floats]  # by method; without RANKER when there is no ranker
    pair: AntonymPair
    values: Floats
    ranker: Ranker | None = field(default=None, repr=False)  # the one that gave the scores
    compared: tuple[int, ...] = ()
    pair_logits: Floats | None = None
    seconds: float = 0.0
    trust: Trust | None = None
    reading: Reading | None = None

    @property
    def asked(self) -> str:
        """The instruction as the ranker was asked."""
        return self.instruction if self.reading is None else self.reading.asked

    @property
    def leading(self) -> str:
        """The method whose order is shown: the ranker, or the antonym pair where there is none."""
        return next(method for method in RANKING_METHODS if method in self.scores)

    def ranking(self, method: str) -> list[int]:
        """Positions of the images, the first of the order first; ties as they came."""
        return np.argsort(-self.scores[method], kind="stable").tolist()

    @property
    def labelled(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.isfinite(self.values))

    def metrics(self) -> dict[str, RankingMetrics]:
        """Each method's figures over the labelled images; empty with fewer than two of them."""
        at = self.labelled
        if len(at) < 2:
            return {}
        return {
            method: ranking_metrics(scores[at], self.values[at])
            for method, scores in self.scores.items()
        }


def score_images(
    backbone: Backbone,
    pictures: Sequence[Picture],
    instructions: Sequence[str],
    pairs: Sequence[AntonymPair],
    ranker: Ranker | None,
    *,
    methods: Sequence[str] = RANKING_METHODS,
) -> Generator[EncodeEvent | ScoredImages, None, None]:
    """Scores of images under every instruction; the last thing yielded is the result.

    Args:
        pairs: an antonym pair for each instruction.
        ranker: None leaves its method out.
        methods: only these of RANKING_METHODS; what the others need is not computed.

    Raises:
        RankingError: an instruction or a pair is too long, or fewer than two images can be read.
    """
    for words in (*instructions, *(side for pair in pairs for side in (pair.high, pair.low))):
        check_instruction(words, backbone)
    with_ranker = ranker is not None and RANKER in methods
    with_words = any(method in methods for method in (ANTONYMS, COSINE))
    tokens = pooled = None
    # where pooled features come with the tokens, the second pass finds all of them
    parts = 2 if with_ranker and with_words and not backbone.mean_pooled else 1
    form = ranker.config.form if with_ranker and ranker is not None else PLAIN_FORM
    if with_ranker:
        tokens = yield from encode_part(
            backbone, pictures, tokens=True, form=form, part=0, parts=parts
        )
        pictures = [pictures[i] for i in tokens.kept]
    if with_words:
        pooled = yield from encode_part(
            backbone, pictures, tokens=False, form=form, part=parts - 1, parts=parts
        )
        if tokens is not None and len(pooled.kept) != len(tokens.kept):
            raise RankingError(f"A picture changed while it was read. {pooled.problems[0]}")
    first = tokens or pooled
    if first is None:
        raise ValueError("no method is left to score with")
    if len(first.kept) < 2:
        n = len(first.kept) + len(first.problems)
        why = first.problems[0] if first.problems else "Add pictures."
        raise RankingError(
            f"{len(first.kept)} of {counted(n, 'picture')} can be used, and an order needs 2 or "
            f"more. {why}"
        )
    found = []
    for instruction, pair in zip(instructions, pairs, strict=True):
        reading = read_instruction(instruction, ranker)
        scores: dict[str, Floats] = {}
        compared: tuple[int, ...] = ()
        logits = None
        if ranker is not None and tokens is not None:
            adapter = ranker.adapter(backbone.device, reading.asked)
            with torch.no_grad(), TURNS.short():
                words = backbone.text_tokens([reading.asked])
                seen = tokens.features.to(backbone.device)
                way = -1.0 if reading.is_turned else 1.0
                scores[RANKER] = way * adapter.scores(seen, words).cpu().double().numpy()
                order = np.argsort(-scores[RANKER], kind="stable")
                compared = tuple(order[evenly(len(order), MAX_COMPARED)].tolist())
                logits = adapter.pair_logits(seen[list(compared)], words).cpu().double().numpy()
                logits = logits.T if reading.is_turned else logits
        if pooled is not None and ANTONYMS in methods:
            scores[ANTONYMS] = antonym_scores(backbone, pooled.features[0], pair).numpy()
        if pooled is not None and COSINE in methods:
            cosine = cosine_scores(backbone, pooled.features[0], reading.asked).numpy()
            scores[COSINE] = -cosine if reading.is_turned else cosine
        trust = None
        if ranker is not None and RANKER in scores:
            chosen = scores[RANKER][list(compared)]
            trust = trust_in(backbone, ranker, reading.asked, scores=chosen, pair_logits=logits)
        found.append(Scored(instruction, pair, scores, compared, logits, trust, reading))
    unread = backbone.unread_words([one.reading.asked for one in found if one.reading])
    yield ScoredImages(
        first.kept,
        first.problems,
        first.n_encoded,
        tuple(found),
        first.contents,
        first.looks,
        (*first.notes, *((unread_words(unread),) if unread else ())),
    )


def orders_of(
    scored: ScoredImages,
    pictures: Sequence[Picture],
    values: Callable[[Sequence[Picture], str], Floats],
    *,
    backbone: str,
    ranker: Ranker | None,
    seconds: float = 0.0,
) -> tuple[tuple[Order, ...], list[str]]:
    """An order for each instruction that was scored, and what is to be said of its values.

    Args:
        pictures: those that were to be scored.
        values: `values(pictures, instruction)`, (N,) with NaN where none is known.
        backbone: its name.
    """
    kept = tuple(pictures[at] for at in scored.kept)
    names = [picture.name for picture in kept]
    orders, notes = [], dict.fromkeys(scored.notes)
    for one in scored.found:
        known = values(kept, one.instruction)
        other = one.reading is not None and one.reading.differs and not one.reading.is_turned
        if other and one.reading is not None and not np.isfinite(known).any():
            known = values(kept, one.reading.asked)  # the same, in the words of the labels
        known, said = not_learned_from(known, scored, ranker, names)
        notes.update(dict.fromkeys(said))
        orders.append(
            Order(
                backbone=backbone,
                instruction=one.instruction,
                pictures=kept,
                scores=one.scores,
                pair=one.pair,
                values=known,
                ranker=ranker,
                compared=one.compared,
                pair_logits=one.pair_logits,
                seconds=seconds,
                trust=one.trust,
                reading=one.reading,
            )
        )
    return tuple(orders), list(notes)


def not_learned_from(
    values: Floats, scored: ScoredImages, ranker: Ranker | None, names: Sequence[str]
) -> tuple[Floats, list[str]]:
    """Values (N,) of the scored images without those the ranker learned from, which become NaN,
    and sentences on them and on images that look like one."""
    if ranker is None or not np.isfinite(values).any():
        return values, []
    unknown = []
    if ranker.learned_from is None or not ranker.sources_complete:
        unknown = [
            "The ranker's file does not say everything it learned from: some of these pictures "
            "may be among it."
        ]
    seen = set(ranker.learned_from or ())
    learned = np.array([short_content(content) in seen for content in scored.contents], dtype=bool)
    measured = np.isfinite(values) & ~learned
    n_left_out = int((np.isfinite(values) & learned).sum())
    notes = []
    if n_left_out:
        notes.append(
            f"The ranker learned from {n_left_out} of these pictures: ordered all the same, and "
            "left out of what is measured."
        )
    looks = [look if on else None for look, on in zip(scored.looks, measured, strict=True)]
    notes += [*near_shots(looks, ranker.looks, names), *unknown]
    return np.where(learned, np.nan, values), notes


def encode_part(
    backbone: Backbone,
    pictures: Sequence[Picture],
    *,
    tokens: bool,
    form: TokenForm = PLAIN_FORM,
    part: int,
    parts: int,
) -> Generator[EncodeEvent, None, EncodedPictures]:
    """Encode whole images; progress over `parts` passes, of which this is number `part`.

    Args:
        form: `AdapterConfig.form` of the ranker that is to read them.
    """
    result = None
    for event in encode_pictures(
        backbone, list(pictures), views=(WHOLE_VIEW,), tokens=tokens, form=form
    ):
        if isinstance(event, EncodedPictures):
            result = event
        else:
            yield EncodeEvent(
                event.done + part * event.total,
                event.total * parts,
                event.seconds,
                event.seconds_left + (parts - 1 - part) * (event.seconds + event.seconds_left),
            )
    assert result is not None
    return result


def evenly(n: int, most: int) -> list[int]:
    """Up to `most` of the numbers 0 … n − 1, evenly spread, the first and the last among them."""
    if n <= most:
        return list(range(n))
    return np.linspace(0, n - 1, most).round().astype(int).tolist()


# ---- what an order is worth


@dataclass(frozen=True)
class Judgement:
    """The ranker against the better of its rivals, on the same labelled images.

    `low` and `high` are the 95 % bootstrap interval of the difference in SRCC.
    """

    kind: Literal["better", "unsure", "worse"]
    n: int
    rival: str  # of RANKING_METHODS
    ranker_srcc: float
    rival_srcc: float
    low: float
    high: float


def judge(order: Order) -> Judgement | None:
    """Whether the ranker beats its rivals; None where the labels cannot tell.

    Fewer than LEAST_TO_JUDGE labels cannot: resampling two or three images gives nearly the same
    order each time, and an interval without width.
    """
    at = order.labelled
    if len(at) < LEAST_TO_JUDGE:
        return None
    known = {name: one.srcc for name, one in order.metrics().items() if one.srcc is not None}
    rivals = [name for name in known if name != RANKER]
    if RANKER not in known or not rivals:
        return None
    rival = max(rivals, key=lambda name: known[name])
    both = np.stack([order.scores[RANKER][at], order.scores[rival][at]], axis=1)
    interval = bootstrap_interval(_srcc_difference, both, order.values[at])
    low, high = interval if interval is not None else (-2.0, 2.0)
    kind = "better" if low > 0 else "worse" if high < 0 else "unsure"
    return Judgement(kind, len(at), rival, known[RANKER], known[rival], low, high)


def _srcc_difference(scores: Any, values: Any) -> float | None:
    """Of two columns of scores (N, 2): the first's SRCC less the second's."""
    one, other = srcc(scores[:, 0], values), srcc(scores[:, 1], values)
    return None if one is None or other is None else one - other


def hold_out(values: Mapping[str, float], seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """A part to learn an order from and a third to judge with, both spread over the whole order.

    Args:
        values: by image; larger ranks first.

    Raises:
        RankingError: too few values, or all the same.
    """
    n = len(values)
    if n < LEAST_TO_TEACH:
        have = f"{n} have" if n != 1 else "one has"
        raise RankingError(
            f"Number {LEAST_TO_TEACH} or more pictures to teach an order; {have} a number so far."
        )
    _check_different(values)
    rng = np.random.default_rng(seed)
    tie_break = {image: rng.random() for image in sorted(values)}
    ordered = sorted(values, key=lambda image: (values[image], tie_break[image]))
    held = {ordered[3 * group + 1] for group in range(n // 3)}
    learned = {image: values[image] for image in ordered if image not in held}
    judged = {image: values[image] for image in ordered if image in held}
    _check_different(learned)
    return learned, judged


def _check_different(values: Mapping[str, float]) -> None:
    if len(set(values.values())) < 2:
        raise RankingError(
            f"All {len(values)} numbers are the same, so there is no order to learn. Change some."
        )


def order_csv(orders: Sequence[Order]) -> str:
    """One row an image, in the first order: place, scores of every way, label."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    header = ["image"]
    columns: list[list[Any]] = []
    for order in orders:
        suffix = f": {order.instruction}"
        place = np.empty(len(order.pictures), int)
        place[order.ranking(order.leading)] = np.arange(1, len(place) + 1)
        header += [f"place{suffix}", *(f"{method}{suffix}" for method in order.scores)]
        columns += [place.tolist(), *(scores.tolist() for scores in order.scores.values())]
        if len(order.labelled):
            header.append(f"label{suffix}")
            columns.append([value if math.isfinite(value) else "" for value in order.values])
    writer.writerow([spreadsheet_safe(cell) for cell in header])
    for i in orders[0].ranking(orders[0].leading):
        cells = [f"{c[i]:.6g}" if isinstance(c[i], float) else c[i] for c in columns]
        writer.writerow([spreadsheet_safe(orders[0].pictures[i].name), *cells])
    return buffer.getvalue()
