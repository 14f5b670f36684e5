"""benchmark: the protocol over sets, shots and seeds, and what is measured of our own code."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from comparing import write_coop_set, write_set
from tiny import tiny_backbone

from coop_demo.__main__ import main

QUICK = ["--steps", "3", "--context-length", "2"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = tiny_backbone()
    monkeypatch.setattr(
        "coop_demo.commands.benchmark.backbone_for", lambda name, device="": backbone
    )
    monkeypatch.setattr("coop_demo.commands.benchmark.opener", lambda args, backbone: tiny_backbone)


def test_the_protocol_resumes_without_repeating(tmp_path: Path, capsys) -> None:
    write_set(tmp_path / "data" / "colours", names=("red", "blue"), train=3, test=2)
    write_coop_set(tmp_path / "data")
    out = tmp_path / "results.csv"
    command = ["benchmark", "--data", str(tmp_path / "data"), "--datasets", "colours", "eurosat"]
    command += ["--shots", "1", "2", "--seeds", "1", "--methods", "hand-crafted", "learned"]
    command += ["--out", str(out), *QUICK]
    assert main(command) == 0
    table = capsys.readouterr().out
    assert "### colours" in table
    assert "### eurosat" in table
    assert "| Learned prompt |" in table
    first = out.read_text()
    assert len(list(csv.DictReader(first.splitlines()))) == 2 * 3  # words once, learned twice
    assert main(command) == 0
    assert out.read_text() == first


def test_the_protocol_says_what_it_needs(capsys) -> None:
    assert main(["benchmark", "--data", "somewhere"]) == 2
    assert "--datasets and --out" in capsys.readouterr().err


def test_pairs_are_measured_both_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "pairs.json"
    assert (
        main(["benchmark", "pairs", "--pictures", "3", "--repeats", "1", "--json", str(out)]) == 0
    )
    (row,) = json.loads(out.read_text())["pairs"]
    assert row["n_pictures"] == 3
    assert row["gradient_difference"] < 1e-3


def test_the_text_tower_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "tower.json"
    command = ["benchmark", "text-tower", "--classes", "2", "--repeats", "1", "--json", str(out)]
    assert main(command) == 0
    (row,) = json.loads(out.read_text())["timings"]
    assert row["n_classes"] == 2
    assert row["max_feature_difference"] < 1e-4
