"""explain: a map and its check for a text or a saved prompt; a sentence for everything else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from images import noise, write_image
from PIL import Image
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.commands import explain
from coop_demo.prompts.checkpoint import save_prompt
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.templates import class_weights
from coop_demo.prompts.training import LearnedPrompt, TrainConfig

NAMES = ("brick", "sea", "moss")


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(autouse=True)
def tiny(monkeypatch, backbone):
    monkeypatch.setattr(explain, "backbone_for", lambda name, device: backbone)


@pytest.fixture
def picture(tmp_path) -> Path:
    return write_image(noise(), tmp_path / "noise.png")


@pytest.fixture
def prompt(tmp_path, backbone) -> Path:
    """An untrained prompt, its vectors drawn at random."""
    config = PromptConfig(n_ctx=2)
    learner = PromptLearner(backbone.text_tower, backbone.tokenizer, NAMES, config)
    weights = class_weights(backbone, NAMES, ["{} in the sun"])
    learned = LearnedPrompt(
        learner.ctx.detach(), weights, NAMES, config, TrainConfig(), backbone.identity
    )
    return save_prompt(learned, tmp_path / "prompt.safetensors")


def explained(capsys, *arguments: object) -> dict:
    assert main(["explain", *map(str, arguments), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: object) -> str:
    assert main(["explain", *map(str, arguments)]) == 2
    return capsys.readouterr().err.strip()


def test_a_text_gives_a_map_of_the_pictures_size_and_all_figures(capsys, tmp_path, picture) -> None:
    out = tmp_path / "map.png"
    told = explained(capsys, "--image", picture, "--text", "a brick", "--out", out)
    assert Image.open(out).size == (60, 40)
    assert told["method"] == "legrad"
    assert told["target"] == "cosine"
    assert told["grid"] == [4, 4]
    one = told["maps"]["text"]
    assert one["quantity"] == "cosine"
    assert one["sentence"].startswith("Removing the marked fifth")
    # the model sees the square in the middle, so the peak lies in it
    assert 10 <= one["peak"]["x"] < 50
    assert 0 <= one["peak"]["y"] < 40
    for kind in ("", "random_", "meaningless_text_"):
        assert -1 <= one[f"{kind}deletion_area"] <= 1
        assert -1 <= one[f"{kind}insertion_area"] <= 1
    assert one["map_seconds"] > 0
    assert told["check_seconds"] > 0


def test_rivals_turn_the_cosine_into_a_probability(capsys, picture) -> None:
    told = explained(capsys, "--image", picture, "--text", "a brick", "--against", "the sea")
    assert told["target"] == "contrast"
    assert told["maps"]["text"]["quantity"] == "probability"


def test_rollout_says_that_the_text_has_no_part(capsys, picture) -> None:
    told = explained(capsys, "--image", picture, "--text", "a brick", "--method", "rollout")
    assert told["maps"]["text"]["text_correlation"] == 1.0
    assert any("meaningless text" in line for line in told["maps"]["text"]["warnings"])


def test_a_prompt_gives_both_prompts_maps_and_the_one_asked_for_as_a_picture(
    capsys, tmp_path, picture, prompt
) -> None:
    drawn = {}
    for show in ("learned", "hand-crafted", "difference"):
        out = tmp_path / f"{show}.png"
        told = explained(
            capsys,
            "--image",
            picture,
            "--prompt",
            prompt,
            "--class",
            "Sea",
            "--show",
            show,
            "--out",
            out,
            "--opacity",
            1,
        )
        assert set(told["maps"]) == {"learned", "hand_crafted"}
        assert told["class"] == "sea"
        drawn[show] = np.asarray(Image.open(out)).tobytes()
    assert len(set(drawn.values())) == 3


def test_cells_show_the_true_resolution(capsys, tmp_path, picture) -> None:
    smooth, cells = tmp_path / "smooth.png", tmp_path / "cells.png"
    asked = ("--image", picture, "--text", "a brick")
    explained(capsys, *asked, "--out", smooth)
    explained(capsys, *asked, "--out", cells, "--cells")
    assert smooth.read_bytes() != cells.read_bytes()


def test_without_json_it_says_one_line_with_the_sentence_and_the_areas(capsys, picture) -> None:
    assert main(["explain", "--image", str(picture), "--text", "a brick"]) == 0
    line = capsys.readouterr().out
    assert line.startswith("text (legrad, peak at ")
    assert line.count("\n") == 1
    assert "Deletion area" in line
    assert "insertion area" in line
    assert line.count("meaningless text") == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Give one of --text, --prompt with --class, and --instruction."),
        (("--text", " "), "Give one of --text, --prompt with --class, and --instruction."),
        (("--prompt", "p.safetensors"), "Give --class as well"),
        (("--text", "a", "--class", "sea"), "belong to --prompt"),
        (("--text", "a", "--show", "difference"), "belong to --prompt"),
        (("--text", "a", "--method", "magic"), 'There is no method "magic". Choose auto, legrad'),
        (("--text", "a", "--method", "gradcam"), "legrad"),
        (("--text", "a", "--opacity", "2"), "--opacity must lie from 0 to 1; it is 2."),
        (("--text", "a", "--out", "map.jpg"), "end in .png"),
        (("--text", "a", "--out", "nowhere/map.png"), "Choose another place."),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys, picture, arguments, sentence) -> None:
    error = refused(capsys, "--image", picture, *arguments)
    assert sentence in error
    assert "\n" not in error.removeprefix("Fetching")


def test_an_unknown_class_lists_the_prompts_own(capsys, picture, prompt) -> None:
    error = refused(capsys, "--image", picture, "--prompt", prompt, "--class", "owl")
    assert error == 'The prompt has no class "owl". Choose one of brick, sea, moss.'


def test_a_damaged_picture_is_named(capsys, tmp_path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "broken.png" in refused(capsys, "--image", broken, "--text", "a brick")
