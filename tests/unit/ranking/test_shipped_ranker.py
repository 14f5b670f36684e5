"""The ranker in checkpoints/ fits the built-in model and orders what it says it orders."""

import json
import re

import numpy as np
import pytest
import torch

from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.ranking.checkpoint import load_ranker, shipped_ranker_path
from coop_demo.ranking.labels import read_labels_csv
from coop_demo.ranking.metrics import srcc
from coop_demo.recipes.ranker import train
from coop_demo.recipes.ranker.pictures import labelled_samples
from coop_demo.runtime import shared_backbone
from coop_demo.settings import ASSETS_DIR, CHECKPOINT_DIR


@pytest.fixture(scope="module")
def backbone():
    return shared_backbone("mini", "cpu")


@pytest.fixture(scope="module")
def ranker(backbone):
    path = shipped_ranker_path("mini")
    assert path is not None
    assert path.stat().st_size < 10e6
    return load_ranker(path, backbone)


@torch.no_grad()
def found(backbone, ranker, sample: str, instruction: str) -> float:
    """SRCC over a sample set's labelled pictures, none of which it learned from."""
    table = read_labels_csv(ASSETS_DIR / "samples" / sample / "labels.csv")
    table = table.select(prompt=instruction)
    encoded = encode_all(
        backbone,
        [row.picture for row in table.rows],
        tokens=True,
        form=ranker.config.form,
        cache=FeatureCache(),
    )
    words = backbone.text_tokens([instruction])
    scores = ranker.adapter().scores(encoded.features, words).numpy()
    result = srcc(scores, np.array([table.rows[i].value for i in encoded.kept]))
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("sample", "instruction", "least"),
    [
        ("counting", "Rank the numbers of apples.", 0.7),
        ("counting", "Rank the numbers of oranges.", 0.7),
        ("conditions", "Rank the brightness.", 0.4),
        ("conditions", "Rank the sharpness.", 0.7),
    ],
)
def test_the_shipped_ranker_orders_the_sample_sets(backbone, ranker, sample, instruction, least):
    assert found(backbone, ranker, sample, instruction) > least


@pytest.mark.slow
def test_brightness_and_darkness_are_opposite_orders(backbone, ranker):
    bright = found(backbone, ranker, "conditions", "Rank the brightness.")
    table = read_labels_csv(ASSETS_DIR / "samples/conditions/labels.csv")
    table = table.select(prompt="Rank the brightness.")
    pictures = [row.picture for row in table.rows]
    tokens = encode_all(backbone, pictures, tokens=True, form=ranker.config.form).features
    with torch.no_grad():
        dark = ranker.adapter().scores(tokens, backbone.text_tokens(["Rank the darkness."]))
    values = np.array([row.value for row in table.rows])
    assert bright > 0.4
    assert (srcc(dark.numpy(), values) or 0) < -0.4


def test_its_card_lists_what_it_learned_from():
    card = (CHECKPOINT_DIR / "ranker-mini.md").read_text(encoding="utf-8")
    for source in ("dice_detection", "Aquarium", "FairFace", "Open Images", "COCO", "tuxpaint"):
        assert source in card
    assert re.search(r"python -m coop_demo\.recipes\.ranker", card)


@pytest.mark.slow
@pytest.mark.shared
def test_its_card_says_what_the_file_gives_on_labelled_photographs(shared_dir, backbone, ranker):
    judged = [
        one for one in labelled_samples(shared_dir / "data", augmented=False) if one.part == "test"
    ]
    tokens = train.encode_samples(backbone, judged, name="judged", cache=None)
    held = train.Collection(judged, tokens)
    table = train.measure(backbone, held, ranker, learned=("train", "val"), rivals=False)
    found = train.family_means(table)
    said = json.loads((CHECKPOINT_DIR / "ranker-mini.json").read_text(encoding="utf-8"))
    assert set(found) == {"dice", "aquarium", "age", "quality", "natural", "unmet"}
    for family, figures in found.items():
        assert figures["adapter"] == pytest.approx(said["families"][family]["adapter"], abs=0.02)
