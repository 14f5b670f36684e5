"""Can a map be believed? Remove what it marks and see what the model says.

Deletion and insertion curves (Petsiuk et al., RISE, BMVC 2018, arXiv 1806.07421): pixels leave the
picture in the map's order and the score should fall soon; or they enter a blurred picture in that
order and the score should rise soon. An area is the mean of a curve: small is good for deletion,
large for insertion. An area means nothing alone, so two kinds of maps of the same
resolution are put through the same on the same picture: random ones, and the map of a meaningless
text, which is the text's own vector with its numbers shuffled (and its rivals' in the same order,
so that the texts are as alike as before and none of them means anything). A map of a text must do
better than both, and must look different from the meaningless text's.

The score is the text's probability among its rivals where there are any, else its cosine.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import BackboneError
from coop_demo.heatmaps.attribution import (
    BATCH,
    Explanation,
    Grid,
    Score,
    blurred,
    encode_in_batches,
    explain,
    model_pixels,
    score_for,
    unit_texts,
)

#: Pixels leave in tenths of the picture: the sentence needs a fifth, and ten points are enough for
#: an area to two digits.
STEPS = 10
MARKED = 0.2  # the part of the picture the sentence speaks of: "the marked fifth"
#: Three random maps hold the whole check under five seconds on two cores.
RANDOM_MAPS = 3
#: Above this rank correlation between the map and a meaningless text's, the text hardly matters.
SAME_MAP = 0.9
#: A place stands out if its feature, taken around the picture's mean, is this long against the
#: longest; above this scatter of those features' directions the picture is taken to hold several
#: things. Under the built-in model, 30 rendered scenes each of one, two, three and four objects
#: (30 to 45 % of the side, none covering another) had a scatter of 0.14, 0.32, 0.44 and 0.48 on
#: average, and 3, 73, 97 and 97 % of them lay above the limit; see `scatter`.
STANDS_OUT = 0.6
SEVERAL = 0.27


@dataclass(frozen=True)
class Curve:
    """Scores as the picture loses (or gains) pixels."""

    fractions: tuple[float, ...]  # of the pixels removed (or restored), from 0 to 1
    scores: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under the curve by the trapezium rule, which is its mean height."""
        xs, ys = self.fractions, self.scores
        return sum((xs[i + 1] - xs[i]) * (ys[i] + ys[i + 1]) / 2 for i in range(len(xs) - 1))

    def at(self, fraction: float) -> float:
        """The score at a fraction, between two points in a straight line."""
        xs, ys = self.fractions, self.scores
        for i in range(len(xs) - 1):
            if fraction <= xs[i + 1]:
                part = (fraction - xs[i]) / (xs[i + 1] - xs[i])
                return ys[i] + part * (ys[i + 1] - ys[i])
        return ys[-1]


@dataclass(frozen=True, eq=False)
class Claim:
    """A map that is to be checked: what `explain` gave for one text of a picture.

    `text_vectors` (T, d) and `against` are those that were given to `explain`; `index` says which
    text's map it is.
    """

    explanation: Explanation
    text_vectors: Tensor
    index: int = 0
    against: Tensor | None = None


@dataclass(frozen=True)
class Faithfulness:
    """The check of one map. Random figures are means over `RANDOM_MAPS` random maps.

    `shuffled_*` belong to the map (h, w) of the same text with its numbers shuffled, judged by the
    same score as the text's own map.
    """

    quantity: Literal["probability", "cosine"]
    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve
    shuffled_deletion: Curve
    shuffled_insertion: Curve
    marked_drop: float  # how far the score falls when the marked fifth is removed
    random_drop: float  # and a random fifth
    text_correlation: float  # rank correlation with the map of the shuffled text, −1 to 1
    several_objects: bool
    empty: bool  # the map marks nothing
    shuffled_map: Tensor = field(compare=False, repr=False)

    @property
    def verdict(self) -> Literal["better", "mixed", "no better"]:
        """Against random maps: better by both areas, by one, or by none."""
        wins = (self.deletion.area < self.random_deletion.area) + (
            self.insertion.area > self.random_insertion.area
        )
        return ("no better", "mixed", "better")[wins]

    @property
    def sentence(self) -> str:
        """What the check found, for people."""
        if self.empty:
            return "Nothing in this picture speaks for the text, so nothing is marked."
        return (
            f"Removing the marked fifth {_changes(self.marked_drop)} the {self.quantity}"
            f"{_by(self.marked_drop)}, a random fifth {_changes(self.random_drop)} it"
            f"{_by(self.random_drop)}: "
            + {
                "better": "the map does better than a random one.",
                "mixed": "the map does better than a random one by one of two measures only.",
                "no better": "the map does no better than a random one; do not believe it.",
            }[self.verdict]
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to keep in mind before believing the map; empty when nothing was found."""
        found = []
        if self.text_correlation > SAME_MAP:
            found.append(
                "A meaningless text gives nearly the same map: it shows what stands out in the "
                "picture, not what the text means."
            )
        elif not self.empty and (
            self.shuffled_deletion.area <= self.deletion.area
            and self.shuffled_insertion.area >= self.insertion.area
        ):
            found.append(
                "The map of a meaningless text does as well as this one by both measures: what "
                "it marks matters, but hardly because of what the text means."
            )
        if self.several_objects:
            found.append(
                "Several things seem to share this picture. Maps of this kind then often mark "
                "the wrong one; crop the picture to one thing and look again."
            )
        return tuple(found)

    def as_numbers(self) -> dict[str, Any]:
        """What was found, for programs: areas, drops, and the sentences made of them."""
        return {
            "quantity": self.quantity,
            "deletion_area": self.deletion.area,
            "insertion_area": self.insertion.area,
            "random_deletion_area": self.random_deletion.area,
            "random_insertion_area": self.random_insertion.area,
            "meaningless_text_deletion_area": self.shuffled_deletion.area,
            "meaningless_text_insertion_area": self.shuffled_insertion.area,
            "marked_drop": self.marked_drop,
            "random_drop": self.random_drop,
            "text_correlation": self.text_correlation,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "warnings": list(self.warnings),
        }


def assess(
    backbone: Backbone,
    image: Image.Image | Tensor,
    explanation: Explanation,
    text_vectors: Tensor,
    *,
    index: int = 0,
    against: Tensor | None = None,
    steps: int = STEPS,
    random_maps: int = RANDOM_MAPS,
    seed: int = 0,
) -> Faithfulness:
    """Check one map of an explanation of this picture; see `assess_together`."""
    claim = Claim(explanation, text_vectors, index, against)
    return assess_together(
        backbone, image, [claim], steps=steps, random_maps=random_maps, seed=seed
    )[0]


def assess_together(
    backbone: Backbone,
    image: Image.Image | Tensor,
    claims: Sequence[Claim],
    *,
    steps: int = STEPS,
    random_maps: int = RANDOM_MAPS,
    seed: int = 0,
) -> list[Faithfulness]:
    """Check several maps of one picture, as those of two prompts.

    Each half-shown picture is encoded once, and random maps are the same for all of them.

    Args:
        claims: maps of this picture, all by one method.
        steps: points of a curve, besides its start; a multiple of 5 puts one at a fifth.
        random_maps: how many random maps stand for chance.

    Raises:
        HeatmapError: texts of another model.
    """
    pixels = model_pixels(backbone, image)
    generator = torch.Generator().manual_seed(seed)
    grid = claims[0].explanation.grid
    scores, own_maps, shuffled_maps = [], [], []
    for claim in claims:
        texts = unit_texts(backbone, claim.text_vectors, "text")
        rivals = claim.against if claim.against is not None else texts
        scores.append(score_for(backbone, texts[claim.index][None], "auto", rivals))
        own_maps.append(claim.explanation.maps[claim.index].to(pixels.device))
        shuffled_maps.append(shuffled_text_map(backbone, pixels, claim, seed=seed))
    noise = torch.rand((random_maps, *grid.shape), generator=generator).to(pixels.device)
    every = [*own_maps, *(one.to(pixels.device) for one in shuffled_maps), *noise]
    orders = torch.stack([_order(one, grid, generator) for one in every])
    curves = _curves(backbone, pixels, scores, orders, steps)
    several = several_objects(backbone, pixels)
    found = []
    for row, claim in enumerate(claims):
        deletions, insertions = curves[row]
        own, shuffled, chance = row, len(claims) + row, 2 * len(claims)
        random_deletion = _mean(deletions[chance:])
        found.append(
            Faithfulness(
                quantity="cosine" if scores[row].target == "cosine" else "probability",
                deletion=deletions[own],
                insertion=insertions[own],
                random_deletion=random_deletion,
                random_insertion=_mean(insertions[chance:]),
                shuffled_deletion=deletions[shuffled],
                shuffled_insertion=insertions[shuffled],
                marked_drop=deletions[own].scores[0] - deletions[own].at(MARKED),
                random_drop=random_deletion.scores[0] - random_deletion.at(MARKED),
                text_correlation=_correlation(claim, shuffled_maps[row]),
                several_objects=several,
                empty=bool(claim.explanation.empty[claim.index]),
                shuffled_map=shuffled_maps[row],
            )
        )
    return found


def text_correlation(
    backbone: Backbone, image: Image.Image | Tensor, claim: Claim, *, seed: int = 0
) -> float:
    """Spearman's rank correlation of a map with that of the same text, its numbers shuffled.

    Whatever the two maps share does not come from the text. 1 for rollout by construction; 0
    where a map is constant.
    """
    return _correlation(claim, shuffled_text_map(backbone, image, claim, seed=seed))


def shuffled_text_map(
    backbone: Backbone, image: Image.Image | Tensor, claim: Claim, *, seed: int = 0
) -> Tensor:
    """The map (h, w) of a text's vector with its numbers shuffled: as long, and without meaning.

    The rivals of a contrast are shuffled in the same order: left as they are, "anything but the
    guitar" would still be a meaning.
    """
    explanation = claim.explanation
    if not explanation.text_matters:
        return explanation.maps[claim.index]
    texts = unit_texts(backbone, claim.text_vectors, "text")
    order = torch.randperm(texts.shape[1], generator=torch.Generator().manual_seed(seed))
    order = order.to(texts.device)
    rivals = claim.against if claim.against is not None else texts
    other = explain(
        backbone,
        image,
        texts[claim.index][order],
        explanation.method,
        target=explanation.target,
        against=rivals.to(texts)[:, order] if explanation.target == "contrast" else None,
    )
    return other.maps[0]


def scatter(backbone: Backbone, image: Image.Image | Tensor) -> float | None:
    """How far the features of the places that stand out point apart, 0 (one way) to 1.

    Each place's feature is taken around the picture's mean place, so that its length says how
    much it stands out. With v the features of the places that do, this is
    1 − |Σ v| / Σ |v| (one minus the mean resultant length of directional statistics, each
    direction weighted by its length). None where the tower gives no spatial features.
    """
    try:
        tokens = backbone.image_tokens(model_pixels(backbone, image)[None])[0]  # (V, d)
    except BackboneError:
        return None
    around = tokens - tokens.mean(dim=0)
    length = around.norm(dim=-1)
    if float(length.max()) == 0:
        return 0.0
    out = length >= STANDS_OUT * length.max()
    return float(1 - around[out].sum(dim=0).norm() / length[out].sum())


def several_objects(backbone: Backbone, image: Image.Image | Tensor) -> bool:
    """Whether several different things seem to share the picture: a guess from its features.

    False where it is not known. Two things of one kind count as one.
    """
    found = scatter(backbone, image)
    return found is not None and found > SEVERAL


# ---- curves


def _order(one_map: Tensor, grid: Grid, generator: torch.Generator) -> Tensor:
    """Pixels from the most to the least marked, (H·W,); ties in random order, cell by cell.

    Without the random order, a map that is 0 in most places would remove those row by row.
    """
    noise = torch.rand(tuple(one_map.shape), generator=generator).to(one_map)
    spread = (one_map.amax() - one_map.amin()).clamp_min(torch.finfo(one_map.dtype).tiny)
    # Ranks of the smooth map first; the noise decides only where the map is flat.
    levels = ((one_map - one_map.amin()) / spread * 1e4).round() / 1e4
    smooth, tie = grid.upsample(torch.stack([levels, noise])).flatten(1)
    by_tie = tie.argsort(descending=True)
    return by_tie[smooth[by_tie].argsort(descending=True, stable=True)]


def _curves(
    backbone: Backbone, pixels: Tensor, scores: Sequence[Score], orders: Tensor, steps: int
) -> list[tuple[list[Curve], list[Curve]]]:
    """For each score the deletion and insertion curves of all orders (M, H·W), in one batched run.

    RISE's own choice: deleted pixels turn to the mean colour (0 once normalised), and insertion
    starts from a blurred picture, so that no sharp edge of a half-shown picture is evidence.
    """
    fractions = tuple(i / steps for i in range(steps + 1))
    n_pixels = orders.shape[1]
    grey, soft = torch.zeros_like(pixels), blurred(pixels)
    rank = torch.empty_like(orders)
    rank.scatter_(1, orders, torch.arange(n_pixels, device=orders.device).expand_as(orders))
    rank = rank.unflatten(1, pixels.shape[-2:])  # (M, H, W): 0 leaves first
    jobs: list[tuple[Tensor, Tensor, Tensor | None]] = [
        (pixels, grey, None),
        (grey, pixels, None),
        (soft, pixels, None),
    ]
    for one in rank:
        for fraction in fractions[1:-1]:
            taken = one < round(fraction * n_pixels)
            jobs += [(pixels, grey, taken), (soft, pixels, taken)]
    features = []
    for start in range(0, len(jobs), BATCH):
        pictures = [
            before if taken is None else torch.where(taken, after, before)
            for before, after, taken in jobs[start : start + BATCH]
        ]
        features.append(encode_in_batches(backbone, torch.stack(pictures)))
    encoded = torch.cat(features)
    found = []
    for score in scores:
        values = score(encoded) if score.rivals is None else score.probability(encoded)
        numbers = values[:, 0].tolist()
        whole, none, vague = numbers[:3]
        between = torch.tensor(numbers[3:]).reshape(len(orders), steps - 1, 2).tolist()
        deletions = [Curve(fractions, (whole, *(pair[0] for pair in row), none)) for row in between]
        insertions = [
            Curve(fractions, (vague, *(pair[1] for pair in row), whole)) for row in between
        ]
        found.append((deletions, insertions))
    return found


def _mean(curves: list[Curve]) -> Curve:
    columns = zip(*(curve.scores for curve in curves), strict=True)
    return Curve(curves[0].fractions, tuple(sum(c) / len(curves) for c in columns))


# ---- helpers


def _correlation(claim: Claim, shuffled_map: Tensor) -> float:
    if not claim.explanation.text_matters:
        return 1.0
    return _spearman(claim.explanation.maps[claim.index], shuffled_map)


def _spearman(a: Tensor, b: Tensor) -> float:
    ranks = []
    for values in (a.flatten(), b.flatten()):
        if values.amax() == values.amin():
            return 0.0
        _, inverse, counts = values.unique(return_inverse=True, return_counts=True)
        last = counts.cumsum(0)
        ranks.append((last - (counts - 1) / 2)[inverse].double())
    x, y = (r - r.mean() for r in ranks)
    return float((x @ y) / (x.norm() * y.norm()))


def _changes(drop: float) -> str:
    if round(abs(drop), 2) == 0:
        return "leaves"
    return "lowers" if drop > 0 else "raises"


def _by(drop: float) -> str:
    return " as it is" if round(abs(drop), 2) == 0 else f" by {abs(drop):.2f}"
