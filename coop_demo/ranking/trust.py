"""How far an order can be trusted, from what its ranker learned and from the order itself.

What speaks for an order is that the ranker learned its instruction, and how well it did then on
images it had not seen; or that it learned an instruction that means nearly the same. The order
itself tells little: its two branches, scores and pairs, agree nearly as well where the ranker
guesses, and so do the scores of mirrored images. The figures are on the ranker's card. That the
branches disagree is said where it happens.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.texts import remembered
from coop_demo.ranking.ranker import Ranker

Level = Literal["good", "fair", "doubtful"]

# Cosine of two instructions' text features from which they are the same in other words: "Rank the
# number of people" is at 0.96 of "Rank the numbers of people.", "of windows" at 0.93 of "laptops".
NEAR = 0.95
WELL_LEARNED = 0.6  # SRCC on held-out images from which a learned instruction is called good
AGREES = 0.8  # share of pairs; of 70 measured orders one was below it


@dataclass(frozen=True)
class Trust:
    """What is known of one order.

    `nearest` is the learned instruction closest to the one asked for, `nearness` their cosine, 1
    for the same; `held_out` its SRCC on images the ranker had not seen, where that is known.
    `agreement` is the share of pairs that both branches put the same way round.
    """

    is_learned: bool
    nearest: str
    nearness: float
    held_out: float | None
    agreement: float | None

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {**asdict(self), "level": self.level}

    @property
    def is_near(self) -> bool:
        return not self.is_learned and self.nearness >= NEAR

    @property
    def level(self) -> Level:
        """Good: learned, and well. Doubtful: unknown, learned in vain, or wavering."""
        wavers = self.agreement is not None and self.agreement < AGREES
        if not (self.is_learned or self.is_near):
            return "doubtful"
        if wavers or (self.held_out is not None and self.held_out < WELL_LEARNED / 2):
            return "doubtful"
        sure = self.is_learned and self.held_out is not None and self.held_out >= WELL_LEARNED
        return "good" if sure else "fair"


def trust_sentence(trust: Trust) -> str:
    """What a person is told of an order, and what to do where it cannot be trusted."""
    wavers = trust.agreement is not None and trust.agreement < AGREES
    said = ""
    if trust.is_learned and trust.held_out is not None:
        said = (
            "The ranker learned this instruction; on pictures it had not seen, its order agreed "
            f"with the true one to {trust.held_out:.2f} (SRCC, 1 is perfect)."
        )
    elif trust.is_learned:
        said = "The ranker learned this instruction; how well was not measured."
    elif trust.is_near:
        said = f"The ranker learned nearly the same: “{trust.nearest}”."
    elif trust.nearest:
        said = (
            f"The ranker never learned this instruction; the closest it knows is “{trust.nearest}”."
        )
    else:
        said = "The ranker never learned an instruction."
    if wavers:
        said += " Its two ways to compare pictures disagree on this order."
    if trust.level == "doubtful":
        said += (
            " Do not rely on this order before you have looked at it. Teach the ranker with ten "
            "pictures of yours, or choose a larger CLIP model."
        )
    return said


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
        return Trust(True, known.instruction, 1.0, known.held_out, agreement)
    if not ranker.instructions:
        return Trust(False, "", 0.0, None, agreement)
    texts = [one.instruction for one in ranker.instructions]
    learned = remembered(backbone, ["texts", *texts], lambda: backbone.text_features(texts))
    asked = backbone.text_features([instruction])[0]
    nearness = learned @ asked  # (I,)
    at = int(torch.argmax(nearness))
    nearest = ranker.instructions[at]
    return Trust(False, nearest.instruction, float(nearness[at]), nearest.held_out, agreement)


def branches_agree(scores: NDArray[np.float64], pair_logits: NDArray[np.float64]) -> float | None:
    """Share of pairs that scores and pair logits put the same way round; None without pairs that
    both tell apart."""
    above, first = np.triu_indices(len(scores), k=1)
    by_scores = np.sign(scores[above] - scores[first])
    by_pairs = np.sign(pair_logits[above, first] - pair_logits[first, above])
    told = (by_scores != 0) & (by_pairs != 0)
    return float((by_scores == by_pairs)[told].mean()) if told.any() else None
