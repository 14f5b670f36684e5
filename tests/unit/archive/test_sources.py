"""Sources list the same pictures in the same order, and say what cannot be had."""

from __future__ import annotations

import pickle

import pytest
from archiving import write_archive
from images import noise, write_image

from coop_demo.archive.sources import Entry, open_source
from coop_demo.errors import ArchiveError

fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")


def paths(source, folder):
    return [entry.path.removeprefix(f"{folder}/") for entry in source.entries()]


def test_a_folder_is_listed_with_all_below_it_and_without_hidden_files(tmp_path):
    for name in ("b/2.png", "b/1.png", "a/deep/x.jpg", "top.png", ".hidden/y.png", "b/.z.png"):
        write_image(noise(1), tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(str(tmp_path))
    assert paths(source, tmp_path) == ["top.png", "a/deep/x.jpg", "b/1.png", "b/2.png"]
    assert next(source.entries()).n_bytes == (tmp_path / "top.png").stat().st_size


def test_a_list_names_paths_beside_it_with_labels_each_once(tmp_path):
    write_image(noise(1), tmp_path / "in" / "a.png")
    table = tmp_path / "list.csv"
    table.write_text("class,Path\nred,in/a.png\n,in/b.png\nred,in/a.png\n\n")
    found = list(open_source(str(table)).entries())
    inside = tmp_path / "in"
    assert found == [Entry(f"{inside}/a.png", 0, "red"), Entry(f"{inside}/b.png", 0, None)]
    assert open_source(str(table)).read(found[0].path) == (inside / "a.png").read_bytes()


def test_an_address_is_listed_and_read_and_goes_to_workers():
    files = fsspec.filesystem("memory")
    for name in ("b/2.png", "a.png", "b/notes.txt"):
        files.pipe(f"/archive-test/{name}", name.encode())
    source = pickle.loads(pickle.dumps(open_source("memory://archive-test")))
    found = [entry.path for entry in source.entries()]
    assert [path.partition("archive-test/")[2] for path in found] == ["a.png", "b/2.png"]
    assert source.read(found[1]) == b"b/2.png"
    with pytest.raises(OSError):
        source.read("memory://archive-test/none.png")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere", "no folder or list"),
        ("ftp-of-nobody://x/y", "no address that can be read"),
        ("s3://me:secret@bucket/x", "password"),
    ],
)
def test_what_is_no_source_is_said(given, said):
    with pytest.raises(ArchiveError, match=said) as refused:
        open_source(given)
    assert "secret" not in str(refused.value)


def test_a_list_without_paths_and_a_picture_are_no_sources(tmp_path):
    (tmp_path / "list.csv").write_text("name\nx\n")
    with pytest.raises(ArchiveError, match="no column of paths"):
        list(open_source(str(tmp_path / "list.csv")).entries())
    write_image(noise(1), tmp_path / "a.png")
    with pytest.raises(ArchiveError, match="is a file"):
        open_source(str(tmp_path / "a.png"))


def test_a_folder_that_vanished_is_said_and_one_that_is_there_is_not(tmp_path):
    folder = write_archive(tmp_path / "archive", 2)
    source = open_source(str(folder))
    source.check()
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match="still there"):
        source.check()
    folder.mkdir()
    with pytest.raises(ArchiveError, match="empty now"):
        source.check()
