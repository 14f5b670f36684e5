"""compare on the command line gives every part of the tab, or one sentence."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from comparing import write_set
from tiny import tiny_backbone

from coop_demo.__main__ import main

QUICK = ["--steps", "3", "--context-length", "2"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny_backbone()
    monkeypatch.setattr("coop_demo.commands.compare.backbone_for", lambda name, device="": backbone)


def test_compare_gives_every_part_of_the_tab(tmp_path: Path) -> None:
    data = write_set(tmp_path / "here", train=3, test=3)
    second = write_set(tmp_path / "there", names=("red", "blue"), train=2, test=0, seed=7)
    out, report = tmp_path / "result.json", tmp_path / "report.zip"
    code = main(
        ["compare", "--data", str(data), "--methods", "class-mean", "learned", "--shots", "2"]
        + ["--template", "a photo of a {}.", "{}", "--words", "--temperature", "2"]
        + ["--curve", "1", "2", "--seeds", "1", "2", "--forget", "blue", "yellow"]
        + ["--second", str(second), "--report", str(report), "--pictures"]
        + ["--json", str(out), *QUICK]
    )
    assert code == 0
    found = json.loads(out.read_text())
    keys = [row["key"] for row in found["methods"]]
    assert sorted(keys) == sorted(
        ["hand-crafted", "hand-crafted-2", "hand-crafted-mean", "class-mean", "learned"]
    )
    accuracies = [row["accuracy %"] for row in found["methods"]]
    assert accuracies == sorted(accuracies, reverse=True)  # whoever wins stands on top
    assert found["methods"][0]["of"] == 12
    assert "Learned prompt" in found["verdict"]
    assert [sum(row) for row in found["confusion"]["learned"]] == [3, 3, 3, 3]
    assert all("error at 2 %" in row for row in found["calibration"])
    assert len(found["words"]) == 2  # one row a context vector
    assert {row["shots"] for row in found["curve"]} == {0, 1, 2}
    assert found["forgetting"]["new_classes"] == ["blue", "yellow"]
    assert any("yellow" in note for note in found["second"]["notes"])
    with zipfile.ZipFile(report) as archive:
        assert {"report.html", "methods.csv", "shots.csv", "forgetting.csv", "shift.csv"} <= set(
            archive.namelist()
        )


def test_a_set_without_enough_pictures_is_one_sentence(tmp_path: Path, capsys) -> None:
    data = write_set(tmp_path / "one", names=("red", "blue"), train=1, test=0)
    assert main(["compare", "--data", str(data), *QUICK]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.endswith(".")
    assert "Traceback" not in said
