"""A table is there whole, or not at all."""

from __future__ import annotations

import csv
import json

import pytest

from coop_demo.archive.tables import table
from coop_demo.errors import ArchiveError

pyarrow = pytest.importorskip("pyarrow", reason="tables need pyarrow")
COLUMNS = {"picture": str, "score": float, "unlike": bool, "place": int}
ROWS = [("/ä.png", 0.5, True, 1), ("=1+1.png", None, None, 2)]


def test_rows_come_back_from_either_kind(tmp_path):
    for name in ("a.parquet", "a.csv"):
        with table(tmp_path / name, COLUMNS, {"instruction": "Rank."}) as out:
            out.add(ROWS[:1])
            out.add([])
            out.add(ROWS[1:])
    read = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert [tuple(row.values()) for row in read.to_pylist()] == ROWS
    assert json.loads(read.schema.metadata[b"coop_demo"]) == {"instruction": "Rank."}
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        header, first, second = csv.reader(file)
    assert header == list(COLUMNS)
    assert first == ["/ä.png", "0.5", "True", "1"]
    assert second[0] == "'=1+1.png"  # no formula for a spreadsheet
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.parquet"]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_what_stood_there_stays_when_the_work_is_stopped(tmp_path, name):
    (tmp_path / name).write_text("before")

    def stopped() -> None:
        with table(tmp_path / name, COLUMNS, {}) as out:
            out.add(ROWS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert (tmp_path / name).read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_another_suffix_or_no_folder_is_said_before_any_work(tmp_path):
    for path, said in ((tmp_path / "a.xlsx", "must end in"), (tmp_path / "no" / "a.csv", "folder")):
        with pytest.raises(ArchiveError, match=said), table(path, COLUMNS, {}):
            pass
