"""An image that was learned from is never measured on, wherever it lies and whatever its name."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from comparing import write_set
from images import photograph, write_folders
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.prompts.checkpoint import load_prompt

QUICK = ["--steps", "3", "--context-length", "4"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny_backbone()
    for command in ("train", "evaluate", "compare", "benchmark"):
        monkeypatch.setattr(
            f"coop_demo.commands.{command}.backbone_for", lambda name, device="": backbone
        )
    monkeypatch.setattr("coop_demo.commands.benchmark.opener", lambda args, backbone: tiny_backbone)


def run(tmp_path: Path, *arguments: str) -> dict:
    out = tmp_path / "result.json"
    assert main([*arguments, "--json", str(out)]) == 0
    return json.loads(out.read_text())


def trained(tmp_path: Path, data: Path) -> tuple[Path, dict]:
    prompt = tmp_path / "prompt.safetensors"
    found = run(
        tmp_path, "train", "--data", str(data), "--shots", "16", "--out", str(prompt), *QUICK
    )
    return prompt, found


def test_train_leaves_out_test_images_it_learns_from_and_says_how_many(tmp_path):
    data = write_set(tmp_path / "set", train=5, test=4)
    for name in ("red", "blue", "green"):  # the same image under another name
        shutil.copy(data / "train" / name / "0.png", data / "test" / name / "copy.png")
    _, found = trained(tmp_path, data)
    assert found["n_test"] == 16
    assert any(note.startswith("3 test pictures were left out") for note in found["notes"])


def test_a_set_whose_test_images_are_all_learned_from_is_refused(tmp_path, capsys):
    data = write_set(tmp_path / "set", train=3, test=0)
    shutil.copytree(data, tmp_path / "both" / "train")
    shutil.copytree(data, tmp_path / "both" / "test")
    assert main(["train", "--data", str(tmp_path / "both"), *QUICK]) == 2
    assert "Every test picture is also a picture to learn from" in capsys.readouterr().err


def test_a_prompt_file_knows_what_it_learned_from(tmp_path):
    data = write_set(tmp_path / "set", train=3, test=2)
    prompt, _ = trained(tmp_path, data)
    sources = load_prompt(prompt, tiny_backbone()).learned_from
    assert sources is not None
    assert len(set(sources)) == 12  # four classes of three
    assert all(len(one) == 16 for one in sources)


def test_evaluate_never_counts_an_image_the_prompt_learned_from(tmp_path):
    data = write_set(tmp_path / "set", train=8, test=0)
    prompt, first = trained(tmp_path, data)
    grown = write_set(tmp_path / "more", train=3, test=0, seed=50)
    for name in ("red", "green", "blue", "yellow"):  # new images shift what would be held out
        for path in (grown / name).iterdir():
            shutil.copy(path, data / name / f"new-{path.name}")
    found = run(tmp_path, "evaluate", "--data", str(data), "--prompt", str(prompt))
    left_out = [note for note in found["notes"] if "left out: the prompt learned" in note]
    assert first["n_test"] == 8
    assert left_out
    n_left_out = int(left_out[0].split()[0])
    assert n_left_out >= 1
    assert found["n_test"] + n_left_out == found["n_held_out"]


def test_evaluate_on_the_training_images_is_refused(tmp_path, capsys):
    data = write_set(tmp_path / "set", train=3, test=2)
    prompt, _ = trained(tmp_path, data)
    code = main(["evaluate", "--data", str(data / "train"), "--prompt", str(prompt)])
    assert code == 2
    assert "learned from every one of the" in capsys.readouterr().err


def test_compare_leaves_out_what_a_given_prompt_learned_from(tmp_path):
    data = write_set(tmp_path / "set", train=4, test=2)
    prompt, _ = trained(tmp_path, data)
    other = write_set(tmp_path / "other", train=3, test=3, seed=20)
    shutil.copy(data / "train" / "red" / "1.png", other / "test" / "red" / "taken.png")
    found = run(
        tmp_path, "compare", "--data", str(other), "--prompt", str(prompt), "--shots", "2",
        "--methods", "class-mean",
    )  # fmt: skip
    assert found["methods"][0]["of"] == 12
    assert any(note.startswith("1 test picture was left out") for note in found["notes"])


# ---- near copies: a suspicion that is said, not an image that is left out


def set_of_photographs(folder: Path) -> Path:
    """Photograph 0 is the first of train/red."""
    counts = {"train/red": 4, "train/blue": 4, "test/red": 3, "test/blue": 3}
    return write_folders(folder, counts, photograph)


def test_train_names_test_images_that_look_like_one_it_learns_from(tmp_path):
    data = set_of_photographs(tmp_path / "set")
    _, clean = trained(tmp_path, data)
    assert not any("nearly the same" in note for note in clean["notes"])
    photograph(0).resize((120, 100)).save(data / "test" / "red" / "smaller.jpg", quality=60)
    _, found = trained(tmp_path, data)
    assert found["n_test"] == 7, "a suspicion leaves nothing out"
    assert any("smaller.jpg" in note and "looks like" in note for note in found["notes"])
    assert any("1 test picture nearly the same" in note for note in found["notes"])


def test_evaluate_knows_a_near_copy_of_what_the_prompt_learned_from(tmp_path):
    prompt, _ = trained(tmp_path, set_of_photographs(tmp_path / "set"))
    counts = {"train/red": 2, "train/blue": 2, "test/red": 2, "test/blue": 2}
    other = write_folders(tmp_path / "other", counts, lambda number: photograph(5000 + number))
    found = run(tmp_path, "evaluate", "--data", str(other), "--prompt", str(prompt))
    assert not any("almost like" in note for note in found["notes"])
    photograph(1).save(other / "test" / "red" / "again.jpg", quality=50)
    found = run(tmp_path, "evaluate", "--data", str(other), "--prompt", str(prompt))
    assert found["n_test"] == 5
    assert any("again.jpg" in note and "almost like" in note for note in found["notes"])


def test_the_protocol_measures_on_no_image_that_the_draw_learned_from(tmp_path):
    data = write_set(tmp_path / "sets" / "mine", train=4, test=3)
    shutil.copy(data / "train" / "red" / "0.png", data / "test" / "red" / "copy.png")
    out = tmp_path / "cells.csv"
    arguments = ["benchmark", "--data", str(data.parent), "--datasets", "mine", "--seeds", "1"]
    arguments += ["--shots", "4", "--methods", "class-mean", "--out", str(out)]
    assert main(arguments) == 0
    (row,) = list(csv.DictReader(out.open()))
    assert int(row["n_test"]) == 12, "13 test images, one of which all four shots hold"


def test_one_shot_of_a_class_without_test_images_is_trained_on(tmp_path):
    data = write_set(tmp_path / "set", train=5, test=3)
    shutil.rmtree(data / "test" / "yellow")
    _, found = trained_with(tmp_path, data, shots=1)
    assert found["n_train"] == 4
    assert found["n_test"] == 9


def trained_with(tmp_path: Path, data: Path, *, shots: int) -> tuple[Path, dict]:
    prompt = tmp_path / "prompt.safetensors"
    options = ["--data", str(data), "--shots", str(shots), "--out", str(prompt)]
    return prompt, run(tmp_path, "train", *options, *QUICK)
