"""What was encoded yesterday is found today, and a cache that cannot be used costs nothing."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import MadePicture, tiny_backbone

from coop_demo.backbones import features
from coop_demo.backbones.disk_cache import FILE_NAME, CacheSize, DiskCache, user_cache
from coop_demo.backbones.features import FeatureCache, encode_all, encode_pictures
from coop_demo.data.dataset import Picture
from coop_demo.settings import cache_folder


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture
def files(tmp_path) -> list[Picture]:
    folder = tmp_path / "pictures"
    folder.mkdir()
    pictures = []
    for i in range(6):
        path = folder / f"{i}.png"
        MadePicture((40 * i, 90, 200 - 30 * i), i).load().save(path)
        pictures.append(Picture(path.name, path))
    return pictures


def kept_in(folder: Path, **options) -> FeatureCache:
    """The cache of a process that has just been started."""
    return FeatureCache(disk=DiskCache(folder, **options))


@pytest.fixture
def loads(monkeypatch) -> list[str]:
    """Names of pictures that are decoded."""
    names: list[str] = []
    load = Picture.load

    def noted(self, notes=None):
        names.append(self.name)
        return load(self, notes)

    monkeypatch.setattr(Picture, "load", noted)
    return names


@pytest.mark.parametrize("options", [{"views": (0, 1)}, {"tokens": True}], ids=str)
def test_yesterdays_pictures_are_not_even_decoded(backbone, files, loads, tmp_path, options):
    first = encode_all(backbone, files, cache=kept_in(tmp_path / "c"), **options)
    assert sorted(loads) == sorted(picture.name for picture in files)
    loads.clear()
    again = encode_all(backbone, files, cache=kept_in(tmp_path / "c"), **options)
    assert (loads, again.n_encoded) == ([], 0)
    assert torch.equal(again.features, first.features)
    assert again.features.dtype == first.features.dtype
    assert again.contents == first.contents
    assert again.looks == first.looks
    assert None not in again.looks


def test_a_file_under_another_name_is_known_and_a_changed_one_is_not(
    backbone, files, loads, tmp_path
):
    encode_all(backbone, files, cache=kept_in(tmp_path / "c"))
    loads.clear()
    moved = tmp_path / "another.png"
    moved.write_bytes(files[0].source.read_bytes())
    files[1].source.write_bytes(files[2].source.read_bytes())
    MadePicture((1, 2, 3), 77).load().save(files[3].source)
    pictures = [Picture("another.png", moved), files[1], files[3]]
    found = encode_all(backbone, pictures, cache=kept_in(tmp_path / "c"))
    assert loads == [files[3].name]
    assert found.contents[1] == encode_all(backbone, [files[2]], cache=FeatureCache()).contents[0]


def test_bytes_are_known_as_their_file_is(backbone, files, loads, tmp_path):
    encode_all(backbone, files, cache=kept_in(tmp_path / "c"))
    loads.clear()
    uploaded = [Picture(picture.name, picture.source.read_bytes()) for picture in files]
    assert encode_all(backbone, uploaded, cache=kept_in(tmp_path / "c")).n_encoded == 0
    assert loads == []


def test_a_picture_of_one_colour_is_remembered_to_look_like_nothing(backbone, loads, tmp_path):
    path = tmp_path / "flat.png"
    Image.new("RGB", (40, 40), (9, 9, 9)).save(path)
    for _ in range(2):
        found = encode_all(backbone, [Picture("flat", path)], cache=kept_in(tmp_path / "c"))
        assert found.looks == (None,)
    assert len(loads) == 1


def test_a_broken_file_is_named_every_time(backbone, files, tmp_path):
    files[2].source.write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    missing = Picture("gone.png", tmp_path / "gone.png")
    said = [
        encode_all(backbone, [*files, missing], cache=kept_in(tmp_path / "c")) for _ in range(2)
    ]
    assert said[0].problems == said[1].problems
    assert len(said[0].problems) == 2
    assert said[0].kept == said[1].kept == (0, 1, 3, 4, 5)


def test_another_backbone_or_another_preprocessing_finds_nothing(
    backbone, files, tmp_path, monkeypatch
):
    encode_all(backbone, files, cache=kept_in(tmp_path / "c"))
    other = encode_all(tiny_backbone(seed=1), files, cache=kept_in(tmp_path / "c"))
    assert other.n_encoded == len(files)
    monkeypatch.setattr(features, "PREPROCESSING", features.PREPROCESSING + 1)
    assert encode_all(backbone, files, cache=kept_in(tmp_path / "c")).n_encoded == len(files)


def test_what_was_encoded_before_a_stop_is_kept(backbone, files, tmp_path):
    events = encode_pictures(backbone, files, cache=kept_in(tmp_path / "c"), batch_size=2)
    next(events)
    events.close()
    assert encode_all(backbone, files, cache=kept_in(tmp_path / "c")).n_encoded == 4


def test_tensors_come_back_as_they_were(tmp_path):
    values = {
        "vector": torch.randn(24),
        "tokens": torch.randn(9, 4).half(),
        "empty": torch.empty(0),
        "number": torch.tensor(2.0),
        "a view": torch.randn(8, 8)[:, 3],
    }
    cache = DiskCache(tmp_path)
    for key, value in values.items():
        cache.put(key, value)
        assert torch.equal(cache.get(key), value)  # before it is written
    cache.put("whole numbers", torch.arange(3))
    cache.close()
    again = DiskCache(tmp_path)
    for key, value in values.items():
        assert torch.equal(again.get(key), value)
        assert again.get(key).dtype == value.dtype
    assert again.get("whole numbers") is None


def test_a_damaged_entry_costs_itself_and_is_written_again(tmp_path):
    cache = DiskCache(tmp_path)
    for key in "abc":
        cache.put(key, torch.full((16,), float(ord(key))))
    cache.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as database:
        rows = database.execute("SELECT rowid, value FROM entries ORDER BY rowid").fetchall()
        damage = [rows[0][1][:-1] + b"\0", b"", rows[0][1]]  # changed, cut short, another's
        damage[1] = rows[1][1][:30]
        for (row, _), value in zip(rows, damage, strict=True):
            database.execute("UPDATE entries SET value = ? WHERE rowid = ?", (value, row))
        database.execute("INSERT INTO entries VALUES (x'00', 'no time', 'no bytes')")
    database.close()
    again = DiskCache(tmp_path)
    assert [again.get(key) for key in "abc"] == [None, None, None]
    again.put("a", torch.zeros(3))
    again.close()
    assert torch.equal(DiskCache(tmp_path).get("a"), torch.zeros(3))
    assert DiskCache(tmp_path).size().n_features == 2  # it, and what is nobody's


def test_the_least_recently_used_leave_and_the_bound_is_kept(tmp_path, monkeypatch):
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    bound = 400_000
    cache = DiskCache(tmp_path, max_bytes=bound)
    for i in range(40):
        now += 10_000
        cache.put(f"{i}", torch.full((5_000,), float(i)))  # 20 kB
        cache.put_content(f"file {i}", f"{i}")
        assert cache.get("0") is not None  # used all the time
        cache.flush()
        assert cache.size().n_bytes <= bound
    assert cache.get("39") is not None
    assert cache.get("1") is None
    assert cache.content_of("file 1") is None
    assert cache.content_of("file 39") == "39"
    assert 10 < cache.size().n_features < 20
    cache.close()
    assert (tmp_path / FILE_NAME).stat().st_size < 1.2 * bound


def test_threads_share_one_cache(tmp_path):
    cache = DiskCache(tmp_path)
    wrong: list[str] = []

    def work(thread: int) -> None:
        for i in range(60):
            key = f"{i % 20}"
            value = cache.get(key)
            if value is not None and not torch.equal(value, torch.full((50,), float(key))):
                wrong.append(key)
            cache.put(key, torch.full((50,), float(key)))
            if i % 7 == thread:
                cache.flush()

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    cache.close()
    assert DiskCache(tmp_path).size().n_features == 20


def test_two_processes_write_one_cache_and_a_killed_one_leaves_it_whole(tmp_path):
    program = (
        "import sys, os, torch\n"
        "from coop_demo.backbones.disk_cache import DiskCache\n"
        "cache = DiskCache(sys.argv[1])\n"
        "for i in range(150):\n"
        "    cache.put(f'{sys.argv[2]} {i}', torch.full((99,), float(i)))\n"
        "    if i < 100: cache.flush()\n"
        "cache._database.execute('BEGIN IMMEDIATE')\n"
        * 1
        + "cache._database.execute(\"INSERT INTO entries VALUES (x'01', 0, x'00')\")\n"
        "os._exit(3)\n"  # in the middle of a write, as a kill would
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name]) for name in "ab"
    ]
    assert [process.wait(timeout=120) for process in running] == [3, 3]
    cache = DiskCache(tmp_path)
    assert cache.size().n_features == 200
    for name in "ab":
        assert torch.equal(cache.get(f"{name} 99"), torch.full((99,), 99.0))
        assert cache.get(f"{name} 120") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_opens_the_file_for_itself(tmp_path):
    cache = DiskCache(tmp_path)
    cache.put("a", torch.ones(3))
    cache.flush()
    child = os.fork()
    if child == 0:
        found = cache.get("a")
        cache.put("b", torch.zeros(3))
        cache.flush()
        os._exit(0 if found is not None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert cache.get("b") is not None


def test_a_file_that_is_no_cache_is_passed_over_and_can_be_cleared(backbone, files, tmp_path):
    (tmp_path / FILE_NAME).write_bytes(b"this is a letter, not a database. " * 99)
    for _ in range(2):
        assert encode_all(backbone, files, cache=kept_in(tmp_path)).n_encoded == len(files)
    assert DiskCache(tmp_path).size() is None
    assert DiskCache(tmp_path).clear()
    encode_all(backbone, files, cache=kept_in(tmp_path))
    assert encode_all(backbone, files, cache=kept_in(tmp_path)).n_encoded == 0


def test_a_folder_that_cannot_be_made_is_passed_over(backbone, files, tmp_path):
    (tmp_path / "file").write_text("in the way")
    cache = kept_in(tmp_path / "file" / "cache")
    assert len(encode_all(backbone, files, cache=cache).kept) == len(files)
    assert DiskCache(tmp_path / "file" / "cache").size() == CacheSize(0, 0, 0)


def test_a_cache_somebody_else_writes_to_for_long_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("coop_demo.backbones.disk_cache._BUSY_SECONDS", 0.01)
    cache = DiskCache(tmp_path)
    cache.put("a", torch.ones(3))
    cache.flush()
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    cache.put("b", torch.ones(3))
    cache.flush()
    assert cache.get("a") is not None
    assert cache.get("b") is None
    other.execute("ROLLBACK")
    cache.put("b", torch.ones(3))
    cache.flush()
    assert cache.get("b") is not None
    other.close()


def test_where_the_cache_lies(monkeypatch, tmp_path):
    assert user_cache() is None  # the tests' own setting
    monkeypatch.setenv("COOP_DEMO_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"
    monkeypatch.setenv("SPACE_ID", "somebody/space")
    assert cache_folder() == tmp_path / "here"
    monkeypatch.setenv("COOP_DEMO_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("SPACE_ID")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    for platform, parts in (
        ("linux", (".cache",)), ("darwin", ("Library", "Caches")), ("win32", ("AppData", "Local")),
    ):  # fmt: skip
        monkeypatch.setattr("sys.platform", platform)
        assert cache_folder() == tmp_path.joinpath(*parts, "coop-demo")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "coop-demo"
    assert list(tmp_path.iterdir()) == []  # asking makes nothing
