"""Made-up data for ranking: greys from dark to light, their labels, and a ranker for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from images import grey, write_image

from coop_demo.backbones.backbone import Backbone
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.ranker import Ranker

BRIGHTNESS = "Rank the brightness."
LETTERS = "abcdefgh"


def untrained(backbone: Backbone, seed: int = 3) -> Ranker:
    """A ranker that learned nothing."""
    config = AdapterConfig(dim=backbone.embed_dim, layers=1, heads=4, n_learnable_tokens=2)
    state = RankingAdapter.seeded(config, seed).state_dict()
    return Ranker(config, state, backbone.identity, learned_from=())


def write_greys(folder: Path) -> Path:
    """Eight greys with grain, a.png darkest and h.png lightest."""
    for number, name in enumerate(LETTERS):
        image = grey(30 * number, number, size=(36, 36), grain=10)
        write_image(image, folder / f"{name}.png")
    return folder


def write_labels(
    folder: Path, rows: Sequence[str], header: str = "image,value,prompt,split"
) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def brightness_labels(folder: Path) -> Path:
    """Every second grey to learn from, the others to judge by."""
    rows = [
        f"{name}.png,{i},{BRIGHTNESS},{'test' if i % 2 else 'train'}"
        for i, name in enumerate(LETTERS)
    ]
    return write_labels(folder, rows)
