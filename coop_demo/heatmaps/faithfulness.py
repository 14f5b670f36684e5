"""Can a map be believed? Remove what it marks and see what the model says.

Deletion and insertion curves (Petsiuk et al., RISE, BMVC 2018, arXiv 1806.07421): pixels leave the
picture in the map's order and the score should fall soon; or they enter a blurred picture in that
order and the score should rise soon. An area is the mean of a curve: small is good for deletion,
large for insertion. An area means nothing alone, so random maps of the same resolution are put
through the same on the same picture. The other check needs no picture: the map for a text whose
numbers were shuffled, which means nothing, must look different.

The score is the text's probability among its rivals where there are any, else its cosine.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import BackboneError
from coop_demo.heatmaps.attribution import (
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
#: things. Set on 60 rendered scenes under the built-in model: scatter 0.15 on average for one
#: object, 0.39, 0.49 and 0.55 for two, three and four; see `scatter`.
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


@dataclass(frozen=True)
class Faithfulness:
    """The check of one map. Random figures are means over `RANDOM_MAPS` random maps."""

    quantity: Literal["probability", "cosine"]
    deletion: Curve
    insertion: Curve
    random_deletion: Curve
    random_insertion: Curve
    marked_drop: float  # how far the score falls when the marked fifth is removed
    random_drop: float  # and a random fifth
    text_correlation: float  # rank correlation with the map of a meaningless text, −1 to 1
    several_objects: bool
    empty: bool  # the map marks nothing

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
        if self.several_objects:
            found.append(
                "Several things seem to share this picture. Maps of this kind then often mark "
                "the wrong one; crop the picture to one thing and look again."
            )
        return tuple(found)


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
    """Check one map of an explanation of this picture.

    Args:
        explanation: what `explain` gave for the same picture, texts and `against`.
        text_vectors: (T, d) the texts of the explanation.
        index: which text's map.
        against: the rivals that were given to `explain`.
        steps: points of a curve, besides its start; a multiple of 5 puts one at a fifth.
        random_maps: how many random maps stand for chance.

    Raises:
        HeatmapError: texts of another model.
    """
    pixels = model_pixels(backbone, image)
    texts = unit_texts(backbone, text_vectors, "text")
    rivals = against if against is not None else texts
    score = score_for(backbone, texts[index][None], "auto", rivals)
    one_map = explanation.maps[index].to(pixels.device)
    generator = torch.Generator().manual_seed(seed)
    shape = tuple(one_map.shape)
    orders = [_order(one_map, explanation.grid, generator)]
    for _ in range(random_maps):
        noise = torch.rand(shape, generator=generator).to(pixels.device)
        orders.append(_order(noise, explanation.grid, generator))
    deletions, insertions = _curves(backbone, pixels, score, torch.stack(orders), steps)
    random_deletion, random_insertion = _mean(deletions[1:]), _mean(insertions[1:])
    return Faithfulness(
        quantity="cosine" if score.target == "cosine" else "probability",
        deletion=deletions[0],
        insertion=insertions[0],
        random_deletion=random_deletion,
        random_insertion=random_insertion,
        marked_drop=deletions[0].scores[0] - deletions[0].at(MARKED),
        random_drop=random_deletion.scores[0] - random_deletion.at(MARKED),
        text_correlation=text_correlation(
            backbone, pixels, explanation, texts, index=index, against=against, seed=seed
        ),
        several_objects=several_objects(backbone, pixels),
        empty=bool(explanation.empty[index]),
    )


def text_correlation(
    backbone: Backbone,
    image: Image.Image | Tensor,
    explanation: Explanation,
    text_vectors: Tensor,
    *,
    index: int = 0,
    against: Tensor | None = None,
    seed: int = 0,
) -> float:
    """Spearman's rank correlation of a map with that of the same text, its numbers shuffled.

    A shuffled vector is as long as the text's and means nothing, so whatever the two maps share
    does not come from the text. 1 for rollout by construction; 0 where a map is constant.
    """
    if not explanation.text_matters:
        return 1.0
    text = unit_texts(backbone, text_vectors, "text")[index]
    order = torch.randperm(len(text), generator=torch.Generator().manual_seed(seed))
    shuffled = text[order.to(text.device)]
    rivals = against if against is not None else unit_texts(backbone, text_vectors, "text")
    if explanation.target == "contrast":  # the rivals stay, the text's own place is taken
        rivals = torch.cat([rivals.to(text)[_others(rivals.to(text), text)], shuffled[None]])
    other = explain(
        backbone,
        image,
        shuffled,
        explanation.method,
        target=explanation.target,
        against=rivals if explanation.target == "contrast" else None,
    )
    return _spearman(explanation.maps[index], other.maps[0])


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
    backbone: Backbone, pixels: Tensor, score: Score, orders: Tensor, steps: int
) -> tuple[list[Curve], list[Curve]]:
    """Deletion and insertion curves of several orders (M, H·W) in one batched run.

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
    values = []
    for start in range(0, len(jobs), 16):
        pictures = [
            before if taken is None else torch.where(taken, after, before)
            for before, after, taken in jobs[start : start + 16]
        ]
        features = encode_in_batches(backbone, torch.stack(pictures))
        values.append(score(features) if score.rivals is None else score.probability(features))
    numbers = torch.cat(values)[:, 0].tolist()
    whole, none, vague = numbers[:3]
    between = torch.tensor(numbers[3:]).reshape(len(orders), steps - 1, 2)
    deletions, insertions = [], []
    for row in between.tolist():
        deletions.append(Curve(fractions, (whole, *(pair[0] for pair in row), none)))
        insertions.append(Curve(fractions, (vague, *(pair[1] for pair in row), whole)))
    return deletions, insertions


def _mean(curves: list[Curve]) -> Curve:
    columns = zip(*(curve.scores for curve in curves), strict=True)
    return Curve(curves[0].fractions, tuple(sum(c) / len(curves) for c in columns))


# ---- helpers


def _others(rivals: Tensor, text: Tensor) -> Tensor:
    """Which rivals are not the text itself, (K,) bool."""
    return (F.normalize(rivals, dim=-1) - text).abs().amax(dim=-1) >= 1e-6


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
