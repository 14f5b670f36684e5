"""How far an order can be trusted, from what its ranker learned and from the order itself.

What speaks for an order is that the ranker learned its instruction, on pictures like these, and
how well it did then on images it had not seen; or that it learned an instruction that means nearly
the same. The order itself tells little: its two branches, scores and pairs, agree nearly as well
where the ranker guesses, and so do the scores of mirrored images. The figures are on the ranker's
card. That the branches disagree is said where it happens.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.texts import remembered
from coop_demo.ranking.instructions import is_count
from coop_demo.ranking.ranker import Ranker, Reliability

Level = Literal["good", "fair", "doubtful"]
# Learned; learned from drawn scenes alone; not learned, but nearly the same; not learned.
Kind = Literal["learned", "drawn", "near", "unknown"]
KINDS: tuple[Kind, ...] = ("learned", "drawn", "near", "unknown")

# Cosine of two instructions' text features from which they are the same in other words: "Rank the
# number of people" is at 0.96 of "Rank the numbers of people.", "of windows" at 0.93 of "laptops".
NEAR = 0.95
WELL_LEARNED = 0.6  # SRCC on held-out images from which a learned instruction is called good
AGREES = 0.8  # share of pairs; of 70 measured orders one was below it


@dataclass(frozen=True)
class Trust:
    """What is known of one order.

    `nearest` is the learned instruction closest to the one asked for, `nearness` their cosine, 1
    for the same; `held_out` its SRCC on images the ranker had not seen, where that is known, and
    `is_drawn` whether those were drawn scenes, as all it was learned from. `agreement` is the
    share of pairs that both branches put the same way round. `reliability` is what orders under
    instructions of this kind were worth in tests.
    """

    is_learned: bool
    nearest: str
    nearness: float
    held_out: float | None
    agreement: float | None
    is_drawn: bool = False
    reliability: Reliability | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "level": self.level}

    @property
    def is_near(self) -> bool:
        return not self.is_learned and self.nearness >= NEAR

    @property
    def kind(self) -> Kind:
        if self.is_learned:
            return "drawn" if self.is_drawn else "learned"
        return "near" if self.is_near else "unknown"

    @property
    def level(self) -> Level:
        """Good: learned, and well. Doubtful: unknown, learned in vain, wavering, or of a kind
        that was worth little in tests."""
        wavers = self.agreement is not None and self.agreement < AGREES
        if self.kind == "unknown" or wavers:
            return "doubtful"
        if self.held_out is not None and self.held_out < WELL_LEARNED / 2:
            return "doubtful"
        if self.kind != "learned":
            seldom = self.reliability is not None and self.reliability.srcc < WELL_LEARNED / 2
            return "doubtful" if seldom else "fair"
        return "good" if self.held_out is not None and self.held_out >= WELL_LEARNED else "fair"


def trust_sentence(trust: Trust) -> str:
    """What a person is told of an order, and what to do where it cannot be trusted."""
    wavers = trust.agreement is not None and trust.agreement < AGREES
    said = _known(trust)
    if trust.kind != "learned" and trust.reliability is not None:
        said += (
            " In our tests, orders of photographs under instructions like this one agreed with "
            f"the true ones to {trust.reliability.srcc:.2f} on average, and to "
            f"{trust.reliability.lowest:.2f} at worst (SRCC, 1 is perfect)."
        )
    if wavers:
        said += " Its two ways to compare pictures disagree on this order."
    if trust.level == "doubtful":
        said += (
            " Do not rely on this order before you have looked at it. Teach the ranker with "
            "twenty pictures of yours, or choose a larger CLIP model."
        )
    return said


def _known(trust: Trust) -> str:
    if trust.kind == "drawn":
        return "The ranker learned this instruction from drawn scenes, and not from photographs."
    if trust.is_learned and trust.held_out is not None:
        return (
            "The ranker learned this instruction; on pictures it had not seen, its order agreed "
            f"with the true one to {trust.held_out:.2f} (SRCC, 1 is perfect)."
        )
    if trust.is_learned:
        return "The ranker learned this instruction; how well was not measured."
    if trust.is_near:
        return f"The ranker learned nearly the same: “{trust.nearest}”."
    if trust.nearest:
        return (
            f"The ranker never learned this instruction; the closest it knows is “{trust.nearest}”."
        )
    return "The ranker never learned an instruction."


def trust_in(
    backbone: Backbone,
    ranker: Ranker,
    instruction: str,
    *,
    scores: NDArray[np.float64],
    pair_logits: NDArray[np.float64] | None,
) -> Trust:
    """What is known of the order of some images.

    Shape: scores (M,), pair_logits (M, M) of the same images, [i, j] positive for "i above j".
    """
    agreement = None if pair_logits is None else branches_agree(scores, pair_logits)
    known = ranker.learned(instruction)
    if known is not None:
        found = Trust(True, known.instruction, 1.0, known.held_out, agreement, known.drawn)
        return replace(found, reliability=ranker.reliability.get(found.kind))
    if not ranker.instructions:
        return Trust(False, "", 0.0, None, agreement)
    texts = [one.instruction for one in ranker.instructions]
    learned = remembered(backbone, ["texts", *texts], lambda: backbone.text_features(texts))
    asked = backbone.text_features([instruction])[0]
    nearness = learned @ asked  # (I,)
    at = int(torch.argmax(nearness))
    nearest = ranker.instructions[at]
    found = Trust(
        False,
        nearest.instruction,
        float(nearness[at]),
        nearest.held_out,
        agreement,
        nearest.drawn,
    )
    if found.kind == "unknown" and not is_count(instruction):
        return found  # what was measured were counts
    return replace(found, reliability=ranker.reliability.get(found.kind))


def branches_agree(scores: NDArray[np.float64], pair_logits: NDArray[np.float64]) -> float | None:
    """Share of pairs that scores and pair logits put the same way round; None without pairs that
    both tell apart."""
    above, first = np.triu_indices(len(scores), k=1)
    by_scores = np.sign(scores[above] - scores[first])
    by_pairs = np.sign(pair_logits[above, first] - pair_logits[first, above])
    told = (by_scores != 0) & (by_pairs != 0)
    return float((by_scores == by_pairs)[told].mean()) if told.any() else None
