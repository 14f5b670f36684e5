"""An index is opened by its backbone, and anything that is not one is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from archiving import made_rows
from tiny import tiny_backbone

from coop_demo.archive.index import Known, new_index, open_index
from coop_demo.data.near_copies import Look
from coop_demo.errors import ArchiveError

pyarrow = pytest.importorskip("pyarrow", reason="an index needs pyarrow")


@pytest.fixture
def index(tmp_path):
    return new_index(tmp_path / "index", tiny_backbone())


def features(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 24)).astype(np.float16)


def test_rows_come_back_as_they_were_written(index):
    values = features(3)
    rows = made_rows(values, names=["/a.png", "/ü.png", "s3://b/c.jpg"], labels=["x", None, "y"])
    look = Look(2**64 - 1, bytes(range(48)))
    object.__setattr__(rows, "looks", (look, None, None))
    object.__setattr__(rows, "problems", (None, "It is damaged.", None))
    index.write(0, rows)
    back = index.read(0)
    assert (back.paths, back.labels, back.looks, back.problems) == (
        rows.paths,
        rows.labels,
        rows.looks,
        rows.problems,
    )
    assert np.array_equal(back.features[[0, 2]], values[[0, 2]])
    assert not back.features[1].any()
    assert back.readable.tolist() == [0, 2]
    assert index.read(0, features=False).features.shape == (3, 0)


def test_any_program_that_reads_parquet_reads_it(index):
    index.write(0, made_rows(features(2)))
    table = pyarrow.parquet.read_table(index.path_of(0))
    assert table.schema.field("features").type == pyarrow.list_(pyarrow.float16(), 24)
    assert table.schema.field("phash").type == pyarrow.uint64()


def test_several_backbones_share_a_folder_and_are_told_apart(index, tmp_path):
    other = tiny_backbone(seed=3)
    new_index(tmp_path / "index", other)
    assert open_index(tmp_path / "index", other.identity).about.backbone == other.identity
    with pytest.raises(ArchiveError, match="--backbone"):
        open_index(tmp_path / "index")
    third = tiny_backbone(seed=4)
    with pytest.raises(ArchiveError, match="not of tiny"):
        open_index(tmp_path / "index", third.identity)


def test_features_of_another_model_are_never_taken(index, tmp_path):
    other = new_index(tmp_path / "other", tiny_backbone(seed=3))
    other.write(0, made_rows(features(2)))
    index.path_of(0).write_bytes(other.path_of(0).read_bytes())
    with pytest.raises(ArchiveError, match="holds features of"):
        index.read(0)


def test_what_is_no_index_is_said(tmp_path, index):
    with pytest.raises(ArchiveError, match="no index"):
        open_index(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArchiveError, match="is not an index"):
        open_index(tmp_path / "empty")
    about = index.folder / "index.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "format": 99}))
    with pytest.raises(ArchiveError, match="another version"):
        open_index(tmp_path / "index")
    about.write_text("{")
    with pytest.raises(ArchiveError, match="damaged"):
        open_index(tmp_path / "index")


def test_known_paths_are_found_and_no_others():
    known = Known()
    known.add(f"/pictures/{i}.png" for i in range(500))
    known.add(["/more.png"])
    known.settle()
    assert len(known) == 501
    assert "/more.png" in known
    assert all(f"/pictures/{i}.png" in known for i in range(500))
    assert not any(f"/pictures/{i}.jpg" in known for i in range(500))
