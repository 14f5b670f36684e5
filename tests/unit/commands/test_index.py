"""index, and what answers from an index: the whole way on the command line."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from archiving import open_tiny, write_archive
from comparing import write_set
from ordering import untrained

from coop_demo.__main__ import main
from coop_demo.engines.local import ThisProcess
from coop_demo.ranking.checkpoint import save_ranker

pyarrow = pytest.importorskip("pyarrow", reason="an index needs pyarrow")


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("index", "train", "predict", "evaluate", "rank", "rank_top"):
        place = f"coop_demo.commands.{command}"
        monkeypatch.setattr(f"{place}.backbone_for", lambda name, device="": open_tiny())
        if command in ("index", "rank_top"):
            monkeypatch.setattr(f"{place}.opener", lambda args, backbone: open_tiny)
            monkeypatch.setattr(f"{place}.stream_of", lambda args, backbone: ThisProcess())


def run(tmp_path: Path, *arguments: str | Path) -> dict:
    out = tmp_path / "said.json"
    assert main([*map(str, arguments), "--json", str(out)]) == 0
    return json.loads(out.read_text())


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_an_index_tells_what_it_did_what_it_cannot_read_and_what_is_twice(tmp_path):
    archive = write_archive(tmp_path / "archive")
    shutil.copy(archive / "red" / "000.png", archive / "blue" / "again.png")
    index = tmp_path / "index"
    options = ["--unreadable", tmp_path / "bad.csv", "--copies", tmp_path / "twice.csv"]
    said = run(tmp_path, "index", "--images", archive, "--out", index, "--partition", "4", *options)
    assert (said["new"], said["before"], said["pictures"], said["unreadable"]) == (15, 0, 15, 1)
    (bad,) = rows_of(tmp_path / "bad.csv")
    assert bad["path"].endswith("006.png")
    assert "damaged" in bad["problem"]
    (twice,) = rows_of(tmp_path / "twice.csv")
    assert {Path(twice["first"]).name, Path(twice["second"]).name} == {"000.png", "again.png"}
    said = run(tmp_path, "index", "--images", archive, "--out", index)
    assert (said["new"], said["before"]) == (0, 15)
    shutil.rmtree(archive)
    said = run(tmp_path, "index", "--out", index)  # without a picture
    assert said["pictures"] == 15


def test_a_prompt_answers_and_is_measured_without_a_picture(tmp_path):
    data = write_set(tmp_path / "data", names=("red", "blue"), train=4, test=3)
    prompt = tmp_path / "p.safetensors"
    run(tmp_path, "train", "--data", data, "--out", prompt, "--steps", "3", "--shots", "2")
    run(tmp_path, "index", "--images", data / "test", "--out", tmp_path / "index")
    beside = run(tmp_path, "evaluate", "--data", data, "--prompt", prompt)
    shutil.rmtree(data)
    said = run(tmp_path, "evaluate", "--index", tmp_path / "index", "--prompt", prompt)
    assert said["n_test"] == beside["n_test"] == 6
    assert said["learned_accuracy"] == beside["learned_accuracy"]
    assert said["hand_crafted_accuracy"] == beside["hand_crafted_accuracy"]
    out = tmp_path / "answers.csv"
    told = run(tmp_path, "predict", "--index", tmp_path / "index", "--prompt", prompt, "--out", out)
    found = rows_of(out)
    right = sum(row["class"] == Path(row["picture"]).parent.name for row in found)
    assert right / len(found) == said["learned_accuracy"]
    assert sum(told["classes"].values()) == 6


def test_the_top_of_an_order_is_written_with_the_pairs_among_it(tmp_path):
    archive = write_archive(tmp_path / "archive")
    ranker = tmp_path / "ranker.safetensors"
    save_ranker(untrained(open_tiny()), ranker)
    out = tmp_path / "order.parquet"
    command = ["rank", "--images", archive, "--instruction", "Rank the brightness."]
    said = run(tmp_path, *command, "--ranker", ranker, "--top", "5", "--out", out)
    table = pyarrow.parquet.read_table(out)
    assert table.column("place").to_pylist() == [1, 2, 3, 4, 5]
    scores = table.column("score").to_pylist()
    assert scores == sorted(scores, reverse=True)
    assert json.loads(table.schema.metadata[b"coop_demo"])["n_scored"] == said["n_scored"] == 13
    pairs = rows_of(tmp_path / "order.pairs.csv")
    assert [row["ahead of"] for row in pairs] == table.column("picture").to_pylist()
    whole = run(
        tmp_path, *command[:1], "--images", archive / "red", *command[3:], "--ranker", ranker
    )
    assert {entry["image"] for entry in whole["order"]} < {p.name for p in archive.rglob("*.png")}


def test_an_index_is_ordered_by_words_and_says_what_it_cannot(tmp_path, capsys):
    archive = write_archive(tmp_path / "archive")
    index, out = tmp_path / "index", tmp_path / "order.csv"
    run(tmp_path, "index", "--images", archive, "--out", index)
    command = ["rank", "--index", index, "--instruction", "Rank the brightness.", "--out", out]
    said = run(tmp_path, *command, "--method", "antonyms", "--top", "3")
    assert len(rows_of(out)) == 3
    assert any("centre crop" in note for note in said["notes"])
    assert main(list(map(str, command))) == 2  # the ranker's method
    assert "spatial tokens" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["index", "--out", "none"], "There is no index"),
        (["index", "--images", "none", "--out", "x"], "no folder or list"),
        (["predict", "--prompt", "p"], "one of the two"),
        (["predict", "--prompt", "p", "--index", "i"], "belong together"),
        (["rank", "--images", ".", "--instruction", "x", "--out", "o.csv"], "goes with --top"),
        (["rank", "--index", "i", "--instruction", "x"], "--out"),
        (["rank", "--index", "i", "--instruction", "x", "--out", "o.txt"], "must end in"),
    ],
)
def test_what_is_missing_is_said(arguments, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
