"""An index holds every picture once; a stopped run is finished by the same command again."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from archiving import SIZE, contents_of, indexed, write_archive
from images import noise, write_image
from tiny import tiny_backbone

from coop_demo.archive.index import open_index
from coop_demo.archive.indexing import IndexNote, IndexProgress, IndexResult, make_index
from coop_demo.archive.sources import open_source
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.data.dataset import Picture
from coop_demo.data.images import content_hash, load_picture
from coop_demo.data.near_copies import Look
from coop_demo.engines.local import ThisProcess
from coop_demo.errors import ArchiveError

pytest.importorskip("pyarrow", reason="an index needs pyarrow")
TESTS = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "archive")


@pytest.fixture
def whole(archive, tmp_path):
    """What a run that nothing happened to gives."""
    index, _ = indexed(open_source(str(archive)), tmp_path / "whole", ThisProcess())
    return contents_of(index)


def test_a_row_says_what_is_known_of_a_picture(archive, tmp_path):
    index, events = indexed(open_source(str(archive)), tmp_path / "index", ThisProcess())
    assert isinstance(events[-1], IndexResult)
    assert [e.done for e in events if isinstance(e, IndexProgress)] == [4, 8, 12, 14]
    assert [len(index.read(n)) for n in index.numbers()] == [4, 4, 4, 2]
    rows = index.read(0)
    path = Path(rows.paths[1])
    image = load_picture(path)
    assert rows.n_bytes[1] == path.stat().st_size
    assert rows.contents[1] == content_hash(image)
    assert rows.looks[1] == Look.of(image)
    pictures = [Picture(p, Path(p)) for p in rows.paths]
    features = encode_all(tiny_backbone(), pictures, cache=FeatureCache()).features[0]
    assert np.array_equal(rows.features, features.numpy().astype(np.float16))


def test_a_damaged_picture_is_in_it_with_its_sentence_and_costs_no_other(archive, tmp_path):
    index, events = indexed(open_source(str(archive)), tmp_path / "index", ThisProcess())
    assert events[-1].n_unreadable == 1
    (found,) = [
        (rows, i)
        for rows in index.partitions()
        for i, said in enumerate(rows.problems)
        if said is not None
    ]
    rows, at = found
    assert rows.paths[at].endswith("red/006.png")
    assert "damaged or cut short" in (rows.problems[at] or "")
    assert not rows.features[at].any()
    assert at not in rows.readable
    assert rows.contents[at] is None


def test_the_same_command_again_encodes_nothing_and_new_pictures_are_added(archive, tmp_path):
    source, folder = open_source(str(archive)), tmp_path / "index"
    index, _ = indexed(source, folder, ThisProcess())
    before = contents_of(index)
    _, events = indexed(source, folder, ThisProcess())
    assert (events[-1].n_new, events[-1].n_before, events[-1].n_partitions) == (0, 14, 0)
    write_image(noise(99), archive / "blue" / "0000.png")
    more, events = indexed(source, folder, ThisProcess())
    assert events[-1].n_new == 1
    after = contents_of(more)
    assert {name: after[name] for name in before} == before
    assert more.read(4).paths == (str(archive / "blue" / "0000.png"),)
    assert len(more) == 15


def test_labels_of_a_list_are_kept(archive, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path,label\narchive/blue/001.png,sea\narchive/red/000.png,\n")
    index, _ = indexed(open_source(str(table)), tmp_path / "index", ThisProcess())
    assert index.read(0).labels == ("sea", None)


def test_a_stopped_run_is_finished_by_the_next_one_file_by_file(archive, tmp_path, whole):
    source, folder = open_source(str(archive)), tmp_path / "index"
    index, _ = indexed(source, folder, ThisProcess())
    for number in (0, 2):  # as when partitions come in another order and the driver is killed
        index.path_of(number).unlink()
    kept = index.path_of(1).stat().st_mtime_ns
    again, events = indexed(source, folder, ThisProcess())
    assert contents_of(again) == whole
    assert events[-1].n_partitions == 2
    assert again.path_of(1).stat().st_mtime_ns == kept  # a finished one is never done again


@pytest.mark.parametrize("where", ["the middle", "the end", "everything"])
def test_a_corrupt_partition_is_noticed_and_made_again(archive, tmp_path, whole, where):
    source, folder = open_source(str(archive)), tmp_path / "index"
    index, _ = indexed(source, folder, ThisProcess())
    path = index.path_of(1)
    data = bytearray(path.read_bytes())
    if where == "the middle":  # one bit of a feature
        data[len(data) // 3] ^= 1
    elif where == "the end":
        del data[-20:]
    else:
        data = bytearray(b"not a table")
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        index.read(1)
    again, events = indexed(source, folder, ThisProcess())
    assert events[-1].damaged == (1,)
    assert events[-1].n_partitions == 1
    assert any(isinstance(e, IndexNote) and "made again" in e.message for e in events)
    assert contents_of(again) == whole


def test_a_full_disk_costs_the_partition_at_hand_only(archive, tmp_path, whole, monkeypatch):
    source, folder = open_source(str(archive)), tmp_path / "index"
    sync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2:  # a file and its folder have been written
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr("coop_demo.archive.index.os.fsync", full)
    with pytest.raises(ArchiveError, match="No space left on device"):
        indexed(source, folder, ThisProcess())
    index = open_index(folder)
    assert index.numbers() == [0]
    assert list(index.folder.glob(".part*")) == []  # nothing half written stays
    monkeypatch.undo()
    again, events = indexed(source, folder, ThisProcess())
    assert contents_of(again) == whole
    assert events[-1].n_partitions == 3


def test_a_vanished_mount_ends_the_run_and_writes_no_false_row(archive, tmp_path, whole):
    source, folder = open_source(str(archive)), tmp_path / "index"
    away = archive.with_name("unmounted")
    index, _ = indexed(source, folder, ThisProcess())
    for number in (1, 2, 3):
        index.path_of(number).unlink()
    events = make_index(source, index, tiny_backbone, ThisProcess(), partition=SIZE)
    assert next(events).partition == 1
    archive.rename(away)  # while the next partition waits
    archive.mkdir()  # as an empty mount point
    with pytest.raises(ArchiveError, match="still there"):
        list(events)
    assert index.numbers() == [0, 1]
    archive.rmdir()
    away.rename(archive)
    again, _ = indexed(source, folder, ThisProcess())
    assert contents_of(again) == whole


def test_a_file_that_is_gone_is_said_and_tried_again(archive, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("path\narchive/blue/001.png\narchive/none.png\n")
    source = open_source(str(table))
    index, events = indexed(source, tmp_path / "index", ThisProcess())
    assert (events[-1].n_new, events[-1].n_lost) == (1, 1)
    assert any("none.png" in e.message for e in events if isinstance(e, IndexNote))
    write_image(noise(50), archive / "none.png")
    _, events = indexed(source, tmp_path / "index", ThisProcess())
    assert (events[-1].n_new, events[-1].n_lost) == (1, 0)
    assert len(index) == 2


def test_a_killed_driver_leaves_finished_partitions_and_the_rest_is_done_next(
    archive, tmp_path, whole
):
    folder = tmp_path / "index"
    script = f"""
        import sys
        sys.path[:0] = [{str(TESTS.parent)!r}, {str(TESTS)!r}]
        import coop_demo, torch, time
        torch.set_num_threads(1)
        from archiving import SIZE
        from tiny import tiny_backbone
        from coop_demo.archive.index import new_index
        from coop_demo.archive.indexing import make_index
        from coop_demo.archive.sources import open_source
        from coop_demo.engines.local import ThisProcess
        index = new_index({str(folder)!r}, tiny_backbone())
        source = open_source({str(archive)!r})
        events = make_index(source, index, tiny_backbone, ThisProcess(), partition=SIZE)
        for event in events:
            print(event.partition, flush=True)
            if event.partition == 1:
                (index.folder / ".part-000002.1.new").write_bytes(b"half a file")
                time.sleep(60)
    """
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert [driver.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    again, events = indexed(open_source(str(archive)), folder, ThisProcess())
    assert contents_of(again) == whole
    assert events[-1].n_partitions == 2
    assert list(again.folder.glob(".part*")) == []


def test_two_commands_do_not_write_one_index(archive, tmp_path):
    source, folder = open_source(str(archive)), tmp_path / "index"
    index, _ = indexed(source, folder, ThisProcess())
    index.path_of(0).unlink()
    first = make_index(source, index, tiny_backbone, ThisProcess(), partition=SIZE)
    next(first)
    with pytest.raises(ArchiveError, match="Another command"):
        indexed(source, folder, ThisProcess())
    first.close()
    indexed(source, folder, ThisProcess())


def test_a_worker_with_other_weights_is_refused(archive, tmp_path):
    source = open_source(str(archive))
    index, _ = indexed(source, tmp_path / "index", ThisProcess())
    index.path_of(0).unlink()
    with pytest.raises(ArchiveError, match="same weights"):
        list(make_index(source, index, other_backbone, ThisProcess()))


def other_backbone():
    return tiny_backbone(seed=5)
