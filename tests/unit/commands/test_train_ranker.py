"""train-ranker: learned from labels, judged on others, never on what it learned from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ordering import BRIGHTNESS, brightness_labels, untrained, write_greys, write_labels
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.commands import rank, train_ranker
from coop_demo.ranking.checkpoint import save_ranker


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(autouse=True)
def tiny(monkeypatch, backbone):
    """The commands on a CLIP of 32 pixels, and without a ranker that ships."""
    for module in (rank, train_ranker):
        monkeypatch.setattr(module, "backbone_for", lambda name, device: backbone)
    monkeypatch.setenv("COOP_DEMO_BACKBONE", "tiny")


@pytest.fixture
def pictures(tmp_path) -> Path:
    return write_greys(tmp_path / "pictures")


def ranked(capsys, *arguments: object) -> dict:
    assert main(["rank", *map(str, arguments), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def taught(capsys, table: Path, out: Path) -> dict:
    arguments = ["train-ranker", "--data", str(table), "--out", str(out), "--start", "none"]
    assert main([*arguments, "--steps", "2", "--no-pairs", "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_train_ranker_learns_saves_and_is_measured_on_the_other_split(
    capsys, pictures, tmp_path, backbone
):
    start = save_ranker(untrained(backbone), tmp_path / "start.safetensors")
    out = tmp_path / "mine.safetensors"
    code = main(
        [
            "train-ranker",
            "--data",
            str(brightness_labels(pictures)),
            "--held-out",
            "test",
            "--start",
            str(start),
            "--steps",
            "40",
            "--learning-rate",
            "0.002",
            "--out",
            str(out),
            "--json",
            "-",
        ]
    )
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "finished"
    assert report["steps"] == 40
    assert report["learned_now"] == [BRIGHTNESS]
    assert report["held_out"][BRIGHTNESS]["n"] == 4 == report["before"][BRIGHTNESS]["n"]
    train = ("--images", pictures / "labels.csv", "--split", "train", "--instruction", BRIGHTNESS)
    learned = [entry["image"] for entry in ranked(capsys, *train, "--ranker", out)["order"]]
    assert learned == sorted(learned, reverse=True)  # it learned them: later letters are brighter
    measured = ranked(
        capsys,
        "--images",
        pictures / "labels.csv",
        "--split",
        "test",
        "--instruction",
        BRIGHTNESS,
        "--ranker",
        out,
    )
    assert measured["srcc"] == pytest.approx(report["held_out"][BRIGHTNESS]["srcc"])


def test_an_instruction_that_cannot_be_learned_costs_itself_only(capsys, pictures, tmp_path):
    rows = [
        f"{c}.png,{i},{BRIGHTNESS},{'val' if i > 5 else 'train'}" for i, c in enumerate("abcdefgh")
    ]
    rows += ["a.png,1,Rank the dogs.,train", "b.png,2,Rank the dogs.,train"]
    rows += ["h.png,1,Rank the dogs.,val", "c.png,5,Rank the cats.,train"]
    out = str(tmp_path / "x.safetensors")
    command = ["train-ranker", "--data", str(write_labels(pictures, rows)), "--start", "none"]
    assert main([*command, "--steps", "2", "--out", out, "--json", "-"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["learned_now"] == [BRIGHTNESS, "Rank the dogs."]
    assert list(report["held_out"]) == [BRIGHTNESS]
    said = " ".join(report["notes"])
    assert '"Rank the cats." has 1 labelled picture' in said
    assert 'Not measured: "Rank the dogs." has 1 labelled picture' in said


def test_train_ranker_refuses_what_cannot_be_learned(capsys, pictures, tmp_path):
    out = ("--out", str(tmp_path / "x.safetensors"), "--start", "none")

    def sentence(*arguments: str) -> str:
        assert main(["train-ranker", *arguments, *out]) == 2
        return capsys.readouterr().err.splitlines()[-1]

    table = str(write_labels(pictures, [f"{c}.png,4,{BRIGHTNESS},train" for c in "abcd"]))
    assert "All 4 values" in sentence("--data", table)
    both = [
        f"a.png,1,{BRIGHTNESS},train",
        f"b.png,2,{BRIGHTNESS},train",
        f"a.png,1,{BRIGHTNESS},test",
        f"c.png,2,{BRIGHTNESS},test",
    ]
    assert "measured on itself" in sentence("--data", str(write_labels(pictures, both)))
    table = str(brightness_labels(pictures))
    assert "no rows of the split" in sentence("--data", table, "--split", "spring")
    assert "number of steps" in sentence("--data", table, "--steps", "0")
    out = ("--out", str(pictures / "a.png" / "x.safetensors"), "--start", "none")
    assert "cannot be written" in sentence("--data", table)
    assert not (tmp_path / "x.safetensors").exists()


def test_a_copy_under_another_name_is_not_judged_on(capsys, pictures, tmp_path):
    (pictures / "copy.png").write_bytes((pictures / "a.png").read_bytes())
    rows = [
        f"{n}.png,{i},{BRIGHTNESS},{'test' if i > 4 else 'train'}" for i, n in enumerate("abcdefgh")
    ]
    table = write_labels(pictures, [*rows, f"copy.png,0,{BRIGHTNESS},test"])
    found = taught(capsys, table, tmp_path / "out.safetensors")
    assert any(note.startswith("1 picture to judge by is a copy") for note in found["notes"])


def test_one_file_written_in_two_ways_is_in_two_splits(capsys, pictures, tmp_path):
    rows = [
        f"{n}.png,{i},{BRIGHTNESS},{'test' if i > 4 else 'train'}" for i, n in enumerate("abcdefgh")
    ]
    table = write_labels(pictures, [*rows, f"./a.png,0,{BRIGHTNESS},test"])
    out = tmp_path / "out.safetensors"
    assert main(["train-ranker", "--data", str(table), "--out", str(out)]) == 2
    assert "among the pictures to learn from and among those to judge by" in capsys.readouterr().err


def test_a_ranker_file_knows_what_it_learned_from_and_is_not_measured_on_it(
    capsys, pictures, tmp_path
):
    rows = [
        f"{n}.png,{i},{BRIGHTNESS},{'test' if i > 4 else 'train'}" for i, n in enumerate("abcdefgh")
    ]
    table = write_labels(pictures, rows)
    out = tmp_path / "out.safetensors"
    taught(capsys, table, out)
    (pictures / "copy.png").write_bytes((pictures / "a.png").read_bytes())
    table = write_labels(pictures, [*rows, f"copy.png,0,{BRIGHTNESS},test"])
    found = ranked(capsys, "--images", table, "--ranker", out)
    assert found["n_pictures"] == 9
    assert found["n_labelled"] == 3, "f, g and h; a to e and the copy of a were learned from"
    assert any(
        note.startswith("The ranker learned from 6 of these pictures") for note in found["notes"]
    )
    learned = ranked(capsys, "--images", table, "--ranker", out, "--split", "train")
    assert learned["srcc"] is None
    assert any("nothing is left to measure" in note for note in learned["notes"])
