"""python -m coop_demo cache: size, entries and place, and an empty cache afterwards."""

import json

import torch

from coop_demo.__main__ import main
from coop_demo.backbones.disk_cache import FILE_NAME, DiskCache


def test_it_shows_size_entries_and_place_and_clears(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COOP_DEMO_CACHE", str(tmp_path))
    cache = DiskCache(tmp_path)
    cache.put("a", torch.randn(50))
    cache.put_content("a file", "a content")
    cache.close()
    assert main(["cache"]) == 0
    said = capsys.readouterr().out
    assert "of at most 1,000 MB" in said
    assert "entries  1 " in said
    assert "files    1 " in said
    assert str(tmp_path / FILE_NAME) in said
    assert main(["cache", "--clear", "--json", "-"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["entries"], shown["files"]) == (0, 0)
    assert DiskCache(tmp_path).get("a") is None


def test_nothing_is_made_by_looking(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COOP_DEMO_CACHE", str(tmp_path / "new"))
    assert main(["cache"]) == 0
    assert main(["cache", "--clear"]) == 0
    assert "entries  0 " in capsys.readouterr().out
    assert not (tmp_path / "new").exists()


def test_it_says_when_it_is_off(capsys):
    assert main(["cache"]) == 0
    assert "is off" in capsys.readouterr().out


def test_a_file_that_is_no_cache_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COOP_DEMO_CACHE", str(tmp_path))
    (tmp_path / FILE_NAME).write_bytes(b"a letter " * 999)
    assert main(["cache"]) == 2
    assert "--clear" in capsys.readouterr().err
    assert main(["cache", "--clear"]) == 0
