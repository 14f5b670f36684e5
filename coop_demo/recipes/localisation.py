"""The pointing game: does the map for a named object peak inside that object?

Zhang et al., "Top-down neural attention by excitation backprop", IJCV 2018, arXiv 1608.00507, on
rendered scenes of two to four different photographic cut-outs whose masks are known exactly. No
tolerance around the mask: a hit is a peak on the object's own visible pixels. Chance is the part
of the picture the object covers, which is what a random point would hit. A second yardstick is
the same map's peak on any of the scene's objects: finding *something* is easier than finding the
right thing.

The model is not given the scene's content. Rivals of a contrast are all other names of the
vocabulary. A map cannot find what the model does not know, so the result is also given for the
objects the model recognises when they stand alone.

    for event in measure_localisation(backbone): ...

The cut-outs are those of Debian's tuxpaint-stamps-default; see `recipes/cutouts.py`.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import HeatmapError
from coop_demo.heatmaps.attribution import Method, Target, explain, methods_for
from coop_demo.prompts.templates import DEFAULT_TEMPLATE, fill
from coop_demo.recipes.cutouts import Cutout, by_noun, load_stamps
from coop_demo.recipes.scenes import Item, Scene, compose

SCENES = 210  # seventy each of two, three and four objects
OBJECTS = (2, 3, 4)
#: An object counts as recognised alone when its name is among this many best of the vocabulary.
RECOGNISED_TOP = 5
#: Names that are no one kind of thing one could point at, or another name's plain synonym.
# fmt: off
LEFT_OUT = frozenset((
    "box", "can", "cane", "cent", "cents", "cob", "cone", "cylinder", "deer", "dime", "dollar",
    "drake", "earth", "euro", "euros", "fowl", "gander", "jupiter", "kit", "lander", "loonie",
    "marker", "mars", "mercury", "neptune", "nickel", "penny", "pluto", "probe", "quarter", "root",
    "saturn", "shell", "sign", "toonie", "toy", "uranus", "vehicle", "venus", "water", "wreath",
    "yen", "bin", "doe", "peahen", "hen", "plane", "lightbulb", "bulb", "flowers", "plant",
    "seagull", "mailbox",
))
# fmt: on


@dataclass(frozen=True)
class Pointing:
    """Hits of one method and target; percentages are properties."""

    method: Method
    target: Target
    n_objects: int | None  # in the scene; None for all scenes together
    recognised_only: bool
    hits: int
    any_object_hits: int
    n: int
    chance: float  # mean part of the picture the named object covers, 0 to 1
    any_chance: float  # and all objects of the scene

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.n if self.n else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of `percent` (E. B. Wilson, JASA 1927)."""
        if not self.n:
            return 0.0, 100.0
        z, p, n = 1.959964, self.hits / self.n, self.n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
        return 100 * (middle - half), 100 * (middle + half)

    def to_mapping(self) -> dict[str, object]:
        """One row of a table or of JSON."""
        low, high = self.interval
        return {
            "method": self.method,
            "target": self.target,
            "objects": self.n_objects or "all",
            "recognised_only": self.recognised_only,
            "n": self.n,
            "percent": round(self.percent, 1),
            "low": round(low, 1),
            "high": round(high, 1),
            "chance_percent": round(100 * self.chance, 1),
            "any_object_percent": round(100 * self.any_object_hits / self.n, 1) if self.n else None,
            "any_object_chance_percent": round(100 * self.any_chance, 1),
        }


@dataclass(frozen=True)
class LocalisationEvent:
    """After every scene; `rows` are filled in the last event only."""

    done: int
    total: int
    seconds: float
    rows: tuple[Pointing, ...] = ()


@dataclass(frozen=True)
class _Outcome:
    n_objects: int
    recognised: bool
    covered: float
    any_covered: float
    hits: Mapping[tuple[Method, Target], tuple[bool, bool]]  # own object, any object


def measure_localisation(
    backbone: Backbone,
    *,
    n_scenes: int = SCENES,
    methods: Sequence[Method] | None = None,
    targets: Sequence[Target] = ("cosine", "contrast"),
    template: str = DEFAULT_TEMPLATE,
    cutouts: Sequence[Cutout] | None = None,
    seed: int = 0,
) -> Iterator[LocalisationEvent]:
    """Play the pointing game; one event a scene, the table in the last.

    Args:
        methods: those of `methods_for` when left out, except occlusion, which costs eighty
            forward passes a scene and must be named.
        targets: which scores to explain.
        template: the hand-crafted prompt that names an object.
        cutouts: objects to set into the scenes; the photographic stamps when left out.

    Raises:
        HeatmapError: a method that does not fit, or fewer than 4 names among the cut-outs.
        DatasetError: the stamps are not installed.
    """
    started = time.perf_counter()
    chosen = tuple(methods) if methods else methods_for(backbone)[:-1] or ("occlusion",)
    by_name = vocabulary(load_stamps() if cutouts is None else cutouts)
    names = list(by_name)
    vectors = backbone.text_features([fill(template, name) for name in names])  # (K, d)
    known = _recognised(backbone, by_name, vectors, seed)
    rng = np.random.default_rng(seed)
    outcomes = []
    for number in range(n_scenes):
        n_objects = OBJECTS[number % len(OBJECTS)]
        picks = [int(i) for i in rng.choice(len(names), n_objects, replace=False)]
        scene = scene_of(
            [by_name[names[i]] for i in picks],
            [names[i] for i in picks],
            side=backbone.image_size,
            seed=int(rng.integers(2**31)),
        )
        mask = scene.mask(names[picks[0]])  # the first is named: they stand in random places
        anything = np.any([placed.mask for placed in scene.objects], axis=0)
        pixels = backbone.preprocess(scene.image)
        hits: dict[tuple[Method, Target], tuple[bool, bool]] = {}
        for method in chosen:
            for target in targets:
                found = explain(
                    backbone, pixels, vectors[picks[0]], method, target=target, against=vectors
                )
                y, x = found.peaks()[0]
                seen = not bool(found.empty[0])
                hits[method, target] = (seen and bool(mask[y, x]), seen and bool(anything[y, x]))
        outcomes.append(
            _Outcome(n_objects, known[picks[0]], float(mask.mean()), float(anything.mean()), hits)
        )
        rows = _table(outcomes) if number + 1 == n_scenes else ()
        yield LocalisationEvent(number + 1, n_scenes, time.perf_counter() - started, rows)


def vocabulary(cutouts: Sequence[Cutout]) -> dict[str, Cutout]:
    """One cut-out a name, the sharpest, under the last word of its name.

    Raises:
        HeatmapError: fewer than 4 names are left.
    """
    groups = by_noun(cutouts)
    found = {
        noun: max(group, key=lambda cutout: min(cutout.image.size))
        for noun, group in sorted(groups.items())
        if noun not in LEFT_OUT
    }
    if len(found) < max(OBJECTS):
        raise HeatmapError(
            f"Scenes need {max(OBJECTS)} different names and the cut-outs have {len(found)}. "
            "Add cut-outs."
        )
    return found


def scene_of(cutouts: Sequence[Cutout], names: Sequence[str], *, side: int, seed: int) -> Scene:
    """Objects that do not cover each other, each 30 to 45 % of the picture's side."""
    items = [Item(name, one.image, one.key) for name, one in zip(names, cutouts, strict=True)]
    return compose(items, size=(side, side), seed=seed, scale=(0.3, 0.45), max_overlap=0.0)


def _recognised(
    backbone: Backbone, by_name: Mapping[str, Cutout], vectors: Tensor, seed: int
) -> list[bool]:
    """Whether each object, alone and large, has its name among the best of the vocabulary."""
    known: list[bool] = []
    names = list(by_name)
    for start in range(0, len(names), 16):
        part = names[start : start + 16]
        pictures = []
        for name in part:
            item = Item(name, by_name[name].image, by_name[name].key)
            side = backbone.image_size
            scene = compose(
                [item],
                size=(side, side),
                seed=seed,
                scale=(0.7, 0.7),
                rotation=0,
                flip=False,
                lighting=0,
                on="paper",
            )
            pictures.append(backbone.preprocess(scene.image))
        cosines = backbone.image_features(torch.stack(pictures)) @ vectors.T  # (part, K)
        own = cosines[torch.arange(len(part)), torch.arange(start, start + len(part))]
        rank = (cosines > own[:, None]).sum(dim=1)
        known += (rank < RECOGNISED_TOP).tolist()
    return known


def _table(outcomes: Sequence[_Outcome]) -> tuple[Pointing, ...]:
    rows = []
    for method, target in outcomes[0].hits:
        for recognised_only in (False, True):
            for n_objects in (None, *OBJECTS):
                part = [
                    one
                    for one in outcomes
                    if n_objects in (None, one.n_objects)
                    and (one.recognised or not recognised_only)
                ]
                own = [one.hits[method, target][0] for one in part]
                anything = [one.hits[method, target][1] for one in part]
                n = len(part)
                rows.append(
                    Pointing(
                        method,
                        target,
                        n_objects,
                        recognised_only,
                        sum(own),
                        sum(anything),
                        n,
                        sum(one.covered for one in part) / max(n, 1),
                        sum(one.any_covered for one in part) / max(n, 1),
                    )
                )
    return tuple(rows)
