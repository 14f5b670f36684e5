"""explain --instruction: the ranker's maps of one picture or two, as figures and as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from images import noise, write_image
from PIL import Image
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.commands import rank
from coop_demo.data.images import load_picture
from coop_demo.heatmaps.ranker import order_maps
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.checkpoint import save_ranker
from coop_demo.ranking.ranker import Ranker

BRIGHT = "Rank the brightness."


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="module")
def ranker(backbone) -> Ranker:
    config = AdapterConfig(dim=16, layers=1, heads=2, mlp_ratio=1.0, token_dim=24, dropout=0.0)
    return Ranker(config, RankingAdapter.seeded(config, 0).state_dict(), backbone.identity)


@pytest.fixture
def given(monkeypatch, backbone, ranker, tmp_path) -> list[str]:
    """Two pictures of different shapes and a ranker, in a folder."""
    monkeypatch.setattr(rank, "backbone_for", lambda name, device: backbone)
    write_image(noise(0, size=(60, 40)), tmp_path / "wide.png")
    write_image(noise(1, size=(50, 80)), tmp_path / "tall.png")
    save_ranker(ranker, tmp_path / "ranker.safetensors")
    monkeypatch.chdir(tmp_path)
    return ["explain", "--image", "wide.png", "--ranker", "ranker.safetensors"]


def explained(capsys, *arguments: str) -> dict:
    assert main([*arguments, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_pairs_figures_are_those_of_the_maps(capsys, given, backbone, ranker) -> None:
    told = explained(capsys, *given, "--versus", "tall.png", "--instruction", BRIGHT)
    images = [load_picture(name) for name in ("wide.png", "tall.png")]
    maps = order_maps(ranker.adapter(), backbone, images, BRIGHT)
    assert maps.pair is not None
    assert told["pair"]["first_ahead_probability"] == pytest.approx(maps.pair.probability)
    assert sum(told["pair"]["attention_share"]) == pytest.approx(1, abs=1e-5)
    assert told["pair"]["sentence"] == maps.pair.sentence("“wide.png”", "“tall.png”")
    scores = [one["score"] for one in told["pictures"]]
    assert scores == pytest.approx([one.score for one in maps.scores])
    for one in told["pictures"]:
        assert [word["word"] for word in one["words"]] == BRIGHT.split()
        read = sum(word["read"] for word in one["words"]) + one["read_elsewhere"]
        assert read == pytest.approx(1, abs=1e-5)


def test_the_map_covers_all_of_the_picture(capsys, given) -> None:
    explained(capsys, *given, "--instruction", BRIGHT, "--opacity", "0", "--out", "map.png")
    plain, drawn = (np.asarray(Image.open(name).convert("RGB")) for name in ("wide.png", "map.png"))
    assert np.array_equal(plain, drawn)  # nothing is paled as unseen


def test_every_layer_is_drawn_over_both_pictures_side_by_side(capsys, given) -> None:
    pair = [*given, "--versus", "tall.png", "--instruction", BRIGHT]
    drawn = set()
    for show in (["score"], ["attention"], ["pull"], ["word", "--word", "brightness"]):
        told = explained(capsys, *pair, "--show", *show, "--out", "map.png")
        assert told["shown"].startswith(show[0])
        assert Image.open("map.png").size == (60 + 8 + 25, 40)  # tall.png at half its size
        drawn.add(Path("map.png").read_bytes())
    assert len(drawn) == 4


def test_one_picture_has_a_score_and_no_pair(capsys, given) -> None:
    told = explained(capsys, *given, "--instruction", BRIGHT, "--out", "map.png")
    assert told["pair"] is None
    assert told["shown"] == "score"
    assert Image.open("map.png").size == (60, 40)


def test_attention_is_drawn_where_it_is_above_an_even_spread(backbone, ranker) -> None:
    pictures = list(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    maps = order_maps(ranker.adapter(), backbone, pictures, BRIGHT)
    layer, pair = maps.attention(), maps.pair
    assert layer is not None
    assert pair is not None
    even = 1 / (2 * 16)
    for drawn, own in zip(layer.maps, pair.attention, strict=True):
        assert torch.allclose(drawn, (own - even).clamp_min(0), atol=1e-6)
    assert layer.scale == max(float(one.max()) for one in layer.maps)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--show", "pull"), "name the other with --versus"),
        (("--show", "learned"), "belongs to --prompt"),
        (("--word", "apples"), 'no word "apples". Choose one of Rank, the, brightness.'),
        (("--show", "word"), "needs --word"),
        (("--show", "score", "--word", "the"), "goes with no other --show"),
        (("--text", "a brick"), "Give one of --text, --prompt with --class, and --instruction"),
        (("--against", "the sea"), "do not go with --instruction"),
        (("--method", "rollout"), "--method belongs to --text and --prompt"),
        (("--versus", "nowhere.png"), "nowhere.png"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys, given, arguments, sentence) -> None:
    assert main([*given, "--instruction", BRIGHT, *arguments]) == 2
    assert sentence in capsys.readouterr().err


def test_without_an_instruction_the_rankers_options_are_refused(capsys, given) -> None:
    assert main([*given, "--text", "a brick"]) == 2
    assert "belong to --instruction" in capsys.readouterr().err
