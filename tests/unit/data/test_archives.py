"""A zip gives its pictures and nothing else: not one byte outside its bounds or its folder."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from images import encoded, noise, numbered, zipped

from coop_demo.data import archives
from coop_demo.data.code_pages import guessed_code_page
from coop_demo.data.folders import read_folder, read_zip
from coop_demo.errors import DatasetError
from coop_demo.settings import LIMITS


def png(number: int) -> bytes:
    return encoded(numbered(number))


def random_bytes(n: int) -> bytes:
    return np.random.default_rng(0).bytes(n)


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.write_bytes(zipped(files, method))
    return path


def change_flags(path: Path, change: Callable[[int], int]) -> None:
    """Rewrite the 16 flag bits of every entry, in its own header and in the table of contents."""
    blob = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        position = blob.find(signature)
        while position >= 0:
            field = slice(position + offset, position + offset + 2)
            blob[field] = struct.pack("<H", change(struct.unpack("<H", blob[field])[0]))
            position = blob.find(signature, position + 4)
    path.write_bytes(blob)


GOOD = {
    "train/oak/1.png": png(1),
    "train/oak/2.png": png(2),
    "train/ash/1.png": png(3),
    "train/ash/2.png": png(4),
    "test/oak/1.png": png(5),
    "test/ash/1.png": png(6),
}


def bounds(monkeypatch: pytest.MonkeyPatch, **changed: int) -> None:
    monkeypatch.setattr(archives, "LIMITS", replace(LIMITS, **changed))


@pytest.mark.parametrize("around", ["", "my set/", "a/b/"])
def test_a_zip_reads_like_the_folder_it_was_made_of(tmp_path, around):
    files = {around + name: data for name, data in GOOD.items()}
    files[around + "classes.csv"] = b"folder,name\noak,old oak\nash,ash\n"
    folder = tmp_path / "folder"
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    from_zip = read_zip(make_zip(tmp_path / "set.zip", files))
    from_folder = read_folder(folder)
    assert from_zip.class_names == from_folder.class_names == ("old oak", "ash")
    for part in ("train", "test"):
        pairs = zip(getattr(from_zip, part), getattr(from_folder, part), strict=True)
        for packed, plain in pairs:
            assert packed.label == plain.label
            assert packed.picture.name == plain.picture.name
            assert packed.picture.content == plain.picture.content
    assert from_zip.name == "set"
    assert from_zip.notes == from_zip.problems == ()


def test_what_macos_and_others_add_is_passed_over(tmp_path):
    extra = {
        "__MACOSX/train/oak/._1.png": b"x",
        "train/oak/.DS_Store": b"x",
        ".git/oak/1.png": b"x",
        "train/oak/readme.txt": b"x",
        "train/elm/": b"",
    }
    dataset = read_zip(make_zip(tmp_path / "set.zip", {**GOOD, **extra}))
    assert dataset.train_counts == (2, 2)
    assert dataset.problems == ()
    assert dataset.notes == ('Class folder "elm" has no pictures and was left out.',)


def test_names_of_macos_and_windows_zips_are_understood(tmp_path):
    names = ("Bäume\\1.png", "Bäume\\2.png", "oak\\1.png", "oak\\2.png")
    path = make_zip(tmp_path / "set.zip", {name: png(index) for index, name in enumerate(names)})
    # macOS writes UTF-8 names without the flag that says so.
    change_flags(path, lambda flags: flags & ~0x800)
    with zipfile.ZipFile(path) as archive:
        assert not archive.namelist()[0].startswith("Bäume")
    dataset = read_zip(path)
    assert dataset.class_names == ("Bäume", "oak")
    assert dataset.train_counts == (2, 2)


@pytest.mark.parametrize(
    "name", ["../evil.png", "oak/../../evil.png", "/etc/evil.png", "C:/evil.png", "..\\evil.png"]
)
def test_paths_that_point_outside_are_refused_and_nothing_is_written(tmp_path, name):
    path = make_zip(tmp_path / "set.zip", {**GOOD, name: png(9)})
    into = tmp_path / "in" / "here"
    into.mkdir(parents=True)
    with pytest.raises(DatasetError, match=r'"set.zip" holds the path ".*evil.png", which points'):
        read_zip(path, into=into)
    assert sorted(os.listdir(tmp_path)) == ["in", "set.zip"]
    assert os.listdir(tmp_path / "in") == ["here"]
    assert os.listdir(into) == []


def test_pictures_are_stored_under_names_of_our_own_in_the_folder_given(tmp_path):
    into = tmp_path / "into"
    into.mkdir()
    dataset = read_zip(make_zip(tmp_path / "set.zip", GOOD), into=into)
    assert sorted(os.listdir(into)) == [f"{index:05d}.png" for index in range(6)]
    for item in (*dataset.train, *dataset.test):
        assert isinstance(item.picture.source, Path)
        assert item.picture.source.parent == into
    assert dataset.train[0].picture.name == "train/ash/1.png"
    assert dataset.train_counts == (2, 2)


def test_without_a_folder_nothing_is_written_anywhere(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "set.zip", GOOD)
    monkeypatch.chdir(tmp_path)
    dataset = read_zip(path)
    assert all(isinstance(item.picture.source, bytes) for item in dataset.train)
    assert os.listdir(tmp_path) == ["set.zip"]


def test_symbolic_links_are_refused(tmp_path):
    path = make_zip(tmp_path / "set.zip", GOOD)
    link = zipfile.ZipInfo("train/oak/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DatasetError, match=r'symbolic link "train/oak/link.png"'):
        read_zip(path)


def test_ten_thousand_files_are_refused_with_both_numbers(tmp_path):
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(10_000):
            archive.writestr(zipfile.ZipInfo(f"oak/{number}.png"), b"")
    with pytest.raises(DatasetError, match=r'"many.zip" holds 10,000 files; at most 5,000 are'):
        read_zip(path)


def test_a_huge_table_of_contents_is_refused_before_it_is_read(tmp_path, monkeypatch):
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    count = 300_000
    directory = (entry + b"x") * count
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(directory), 0, 0)
    path = tmp_path / "wide.zip"
    path.write_bytes(directory + end)
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *_: pytest.fail("an entry was read"))
    with pytest.raises(DatasetError, match="holds far more files; at most 5,000"):
        read_zip(path)


def test_a_bomb_is_refused_by_its_ratio_before_it_is_unpacked(tmp_path, monkeypatch):
    path = make_zip(tmp_path / "set.zip", {**GOOD, "train/oak/flat.bmp": bytes(3 * 2**20)})
    monkeypatch.setattr(
        archives, "_unpack", lambda *_: pytest.fail("something was unpacked before the refusal")
    )
    with pytest.raises(DatasetError, match=r'"train/oak/flat.bmp" unpacks to 1,.* a zip bomb'):
        read_zip(path)


def test_small_files_that_pack_well_are_no_bombs(tmp_path):
    path = make_zip(tmp_path / "set.zip", {**GOOD, "train/oak/notes.txt": bytes(500_000)})
    assert read_zip(path).train_counts == (2, 2)


def test_too_many_bytes_in_all_are_refused_by_the_headers(tmp_path, monkeypatch):
    bounds(monkeypatch, max_zip_bytes=2**20)
    path = make_zip(
        tmp_path / "set.zip",
        {"oak/1.bmp": random_bytes(700_000), "oak/2.bmp": random_bytes(700_000)},
    )
    with pytest.raises(DatasetError, match="unpacks to more than 1 MB"):
        read_zip(path)


def lying_zip(path: Path, data: bytes, claimed: int) -> Path:
    """Write one entry whose headers claim `claimed` unpacked bytes."""
    make_zip(path, {"oak/1.bmp": data})
    honest, lie = struct.pack("<L", len(data)), struct.pack("<L", claimed)
    blob = path.read_bytes()
    assert blob.count(honest) == 2
    path.write_bytes(blob.replace(honest, lie))
    return path


def test_headers_that_lie_about_sizes_win_nothing(tmp_path, monkeypatch):
    bounds(monkeypatch, max_zip_bytes=2**20, max_file_bytes=2**19)
    # Claims 10 bytes, holds 3 MB: cut at the claim, and its check sum does not fit.
    path = lying_zip(tmp_path / "set.zip", random_bytes(3 * 2**20), 10)
    with pytest.raises(DatasetError, match="holds no pictures") as refused:
        read_zip(path)
    assert '"oak/1.bmp" is damaged inside "set.zip"' in str(refused.value)


def test_bytes_are_counted_as_they_come_and_one_large_file_costs_itself(tmp_path, monkeypatch):
    files = {**GOOD, "train/oak/big.bmp": random_bytes(700_000)}
    path = make_zip(tmp_path / "set.zip", files)
    bounds(monkeypatch, max_file_bytes=500_000)
    dataset = read_zip(path)
    assert dataset.train_counts == (2, 2)
    assert len(dataset.problems) == 1
    assert dataset.problems[0].startswith('"train/oak/big.bmp" is larger than')
    # The headers pass, the count of what really comes does not.
    monkeypatch.setattr(archives, "_refuse_unsafe", lambda *_: None)
    bounds(monkeypatch, max_zip_bytes=600_000)
    with pytest.raises(DatasetError, match="unpacks to more than"):
        read_zip(path)


def test_an_encrypted_zip_is_refused(tmp_path):
    path = make_zip(tmp_path / "set.zip", GOOD)
    change_flags(path, lambda flags: flags | 1)
    with pytest.raises(DatasetError, match=r"protected by a password\. Zip it without one"):
        read_zip(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_methods_that_unpack_without_bound_are_refused(tmp_path, method):
    path = make_zip(tmp_path / "set.zip", GOOD, method)
    with pytest.raises(DatasetError, match="packed by a method other than deflate"):
        read_zip(path)


def test_stored_entries_larger_than_the_longest_read_come_whole(tmp_path):
    # An uncompressed entry is read in pieces: the bound on one read must not refuse it.
    large = encoded(noise(size=(1500, 1500)), "BMP")
    assert len(large) > LIMITS.max_zip_files * 1024
    files = {**GOOD, "train/oak/3.bmp": large}
    dataset = read_zip(make_zip(tmp_path / "set.zip", files, zipfile.ZIP_STORED))
    assert dataset.train_counts == (2, 3)


def test_one_damaged_entry_costs_itself_only(tmp_path):
    path = make_zip(tmp_path / "set.zip", GOOD, zipfile.ZIP_STORED)
    blob = path.read_bytes()
    path.write_bytes(blob.replace(png(2), png(2)[:-20] + bytes(20)))
    dataset = read_zip(path)
    assert dataset.train_counts == (2, 1)
    assert dataset.problems == ('"train/oak/2.png" is damaged inside "set.zip"; it was left out.',)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"Rar!\x1a\x07\0", "is a RAR archive. Unpack it, zip the folder"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "is a Git LFS pointer"),
        (b"PK\x03\x04 cut short", "is not a zip archive that can be read"),
        (b"hello", "is not a zip archive that can be read"),
    ],
)
def test_what_is_no_zip_is_refused_by_name(tmp_path, data, says):
    path = tmp_path / "set.zip"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=f'^"set.zip" {says}'):
        read_zip(path)


def test_a_zip_that_is_not_there_or_has_no_pictures_is_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match=r'"gone.zip" cannot be opened'):
        read_zip(tmp_path / "gone.zip")
    with pytest.raises(DatasetError, match=r'"set.zip" holds no pictures'):
        read_zip(make_zip(tmp_path / "set.zip", {"oak/readme.txt": b"x"}))


def test_no_flipped_byte_raises_anything_but_our_error(tmp_path):
    path = tmp_path / "set.zip"
    blob = make_zip(path, GOOD).read_bytes()
    generator = np.random.default_rng(0)
    outcomes = set()
    for _ in range(120):
        broken = bytearray(blob)
        for position in generator.integers(0, len(blob), 3):
            broken[position] = int(generator.integers(0, 256))
        path.write_bytes(broken)
        try:
            outcomes.add(type(read_zip(path)).__name__)
        except DatasetError:
            outcomes.add("refused")
    assert outcomes == {"Dataset", "refused"}


# --- names in the code pages of other computers ---------------------------------------------------


def zip_with_raw_names(
    path: Path, files: dict[bytes, bytes], extra: dict[bytes, bytes] | None = None
) -> Path:
    """A zip whose names are these bytes, without the flag that says UTF-8."""
    stand_in = {
        name: b"Q" + f"{i:02d}".encode() + b"Q" * (len(name) - 3) for i, name in enumerate(files)
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(stand_in[name].decode())
            info.extra = (extra or {}).get(name, b"")
            archive.writestr(info, data)
    blob = path.read_bytes()
    for name, other in stand_in.items():
        assert blob.count(other) == 2
        blob = blob.replace(other, name)
    path.write_bytes(blob)
    return path


@pytest.mark.parametrize(
    ("page", "classes", "title"),
    [
        ("gbk", ("苹果", "香蕉"), "Chinese, GBK"),
        ("cp866", ("кошка", "собака"), "Cyrillic, DOS"),
        ("cp1251", ("кошка", "собака"), "Cyrillic, Windows"),
        ("cp932", ("りんご", "バナナ"), "Japanese, Shift-JIS"),
        ("cp949", ("바나나", "오렌지"), "Korean, EUC-KR"),
        ("cp950", ("柳橙", "蘋果"), "Chinese, Big5"),
        ("cp850", ("Bäume", "Wälder"), "Western, DOS"),
        ("cp1252", ("café", "façade"), "Western, Windows"),
    ],
)
def test_class_names_in_a_legacy_code_page_are_words_and_the_guess_is_said(
    tmp_path, page, classes, title
):
    names = [f"{name}/{i}.png".encode(page) for name in classes for i in range(2)]
    path = zip_with_raw_names(tmp_path / "set.zip", {n: png(i) for i, n in enumerate(names)})
    dataset = read_zip(path)
    assert dataset.class_names == tuple(sorted(classes))
    assert dataset.train_counts == (2, 2)
    assert dataset.notes == (
        f'"set.zip" does not say how its names are written; read as {title}: "{classes[0]}", '
        f'"{classes[1]}". If they are wrong, zip the folder again with a program that writes '
        "Unicode names.",
    )


@pytest.mark.parametrize(
    "classes", [("猫", "狗"), ("苹果", "芒果"), ("飞机", "火车"), ("苹果", "橘子")]
)
@pytest.mark.parametrize("n", [1, 4, 40])
def test_a_guessed_code_page_does_not_depend_on_the_number_of_pictures(classes, n):
    names = [f"{name}/{i}.jpg".encode("gbk") for name in classes for i in range(n)]
    assert guessed_code_page(names) == ("gbk", "Chinese, GBK")


def test_the_unicode_path_field_names_the_file_if_it_belongs_to_it(tmp_path):
    raw = ["苹果/1.png".encode("gbk"), "香蕉/1.png".encode("gbk")]

    def field(of: bytes, name: str) -> bytes:
        body = b"\1" + struct.pack("<L", zlib.crc32(of)) + name.encode()
        return struct.pack("<HH", 0x7075, len(body)) + body

    own = {raw[0]: field(raw[0], "apple/1.png"), raw[1]: field(raw[1], "banana/1.png")}
    files = {name: png(i) for i, name in enumerate(raw)}
    dataset = read_zip(zip_with_raw_names(tmp_path / "set.zip", files, own))
    assert dataset.class_names == ("apple", "banana")
    assert dataset.notes == ()
    outside = {raw[0]: field(raw[0], "../apple/1.png"), raw[1]: field(raw[1], "banana/1.png")}
    with pytest.raises(DatasetError, match="points outside the archive"):
        read_zip(zip_with_raw_names(tmp_path / "outside.zip", files, outside))
    stale = {raw[0]: field(b"renamed", "apple/1.png"), raw[1]: field(b"too", "banana/1.png")}
    dataset = read_zip(zip_with_raw_names(tmp_path / "old.zip", files, stale))
    assert dataset.class_names == ("苹果", "香蕉")


def test_names_that_fit_no_code_page_are_said_to_be_guessed(tmp_path):
    raw = [bytes([0xB3, 0xC9, 0xBA, 0xFF, 0x9F]) + b"/1.png", b"plain/1.png"]
    path = zip_with_raw_names(tmp_path / "set.zip", {n: png(i) for i, n in enumerate(raw)})
    dataset = read_zip(path)
    assert dataset.train_counts == (1, 1)
    assert "read as no known alphabet" in dataset.notes[0]


# --- zips in a zip --------------------------------------------------------------------------------


@pytest.mark.parametrize("inner", ["{i}.png", "{name}/{i}.png"])
@pytest.mark.parametrize("outer", ["{name}.zip", "train/{name}.zip"])
def test_a_zip_for_each_class_counts_as_its_folder(tmp_path, inner, outer):
    files = {}
    for number, name in enumerate(("ash", "oak")):
        pictures = {inner.format(name=name, i=i): png(10 * number + i) for i in range(3)}
        files[outer.format(name=name)] = zipped(pictures)
    dataset = read_zip(make_zip(tmp_path / "set.zip", files))
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (3, 3)
    assert dataset.problems == dataset.notes == ()


def test_the_zips_of_teachable_machine_are_called_after_their_classes(tmp_path):
    files = {
        "cat-samples.zip": zipped({"0.png": png(1), "1.png": png(2)}),
        "dog-samples (1).zip": zipped({"0.png": png(3), "1.png": png(4)}),
    }
    dataset = read_zip(make_zip(tmp_path / "mine.zip", files))
    assert dataset.class_names == ("cat", "dog")


def test_zips_are_opened_one_level_deep_only(tmp_path):
    inner = zipped({"1.png": png(1), "2.png": png(2), "deep.zip": zipped({"3.png": png(3)})})
    path = make_zip(tmp_path / "set.zip", {"oak.zip": inner, "ash/1.png": png(4)})
    assert read_zip(path).train_counts == (1, 2)


def test_the_bounds_hold_for_all_zips_together(tmp_path, monkeypatch):
    files = {
        f"{i}.zip": zipped({f"{j}.bmp": random_bytes(300_000) for j in range(2)}) for i in range(3)
    }
    path = make_zip(tmp_path / "set.zip", files)
    bounds(monkeypatch, max_zip_bytes=3_000_000)
    with pytest.raises(DatasetError, match='"set.zip" unpacks to more than'):
        read_zip(path)
    bounds(monkeypatch, max_zip_files=7)
    with pytest.raises(DatasetError, match='"set.zip" holds 9 files; at most 7'):
        read_zip(path)


def test_a_zip_inside_that_cannot_be_taken_costs_itself_only(tmp_path):
    files = {
        **GOOD,
        "train/elm.zip": b"no zip",
        "train/fir.zip": zipped({"../1.png": png(7)}),
        "train/yew.zip": zipped({"flat.bmp": bytes(3 * 2**20)}),
    }
    dataset = read_zip(make_zip(tmp_path / "set.zip", files, zipfile.ZIP_STORED))
    assert dataset.class_names == ("ash", "oak")
    starts = [
        '"train/elm.zip" inside "set.zip" is not a zip archive',
        '"train/fir.zip" inside "set.zip" holds the path "../1.png", which points outside',
        '"train/yew.zip" inside "set.zip": "flat.bmp" unpacks to',
    ]
    for problem, start in zip(dataset.problems, starts, strict=True):
        assert problem.startswith(start)


def test_a_class_folder_may_hold_a_colon(tmp_path):
    files = {"4:3/1.png": png(1), "16:9/1.png": png(2), "a:b/1.png": png(3)}
    dataset = read_zip(make_zip(tmp_path / "set.zip", files))
    assert dataset.class_names == ("16:9", "4:3", "a:b")


def test_what_windows_adds_is_passed_over(tmp_path):
    extra = {"train\\oak\\Thumbs.db": b"x", "train\\oak\\desktop.ini": b"x"}
    files = {name.replace("/", "\\"): data for name, data in GOOD.items()}
    dataset = read_zip(make_zip(tmp_path / "set.zip", {**files, **extra}))
    assert (dataset.train_counts, dataset.test_counts) == ((2, 2), (1, 1))
    assert dataset.problems == dataset.notes == ()
