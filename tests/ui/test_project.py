"""A project file brings everything to another computer, and a bad one costs nothing."""

from __future__ import annotations

import hashlib
import io
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from images import coloured, write_image
from tiny import tiny_backbone

from coop_demo.errors import UserError
from coop_demo.ui.keeping.project import open_project, save_project
from coop_demo.ui.keeping.sections import SECTION, HeldSettings, file_name
from coop_demo.ui.keeping.values import Writer
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach import actions
from coop_demo.ui.teach.state import TeachSettings

BACKBONE = tiny_backbone()
SETTINGS = TeachSettings.parse(
    "a photo of a {}.", 4, "one for all classes", "end", "", 4, "fast", 6, 0, 0, 3
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coop_demo.ui.teach.actions.shared_backbone", lambda name: BACKBONE)


@pytest.fixture(params=["kept", "in memory"])
def store(request, tmp_path: Path) -> SessionStore:
    return SessionStore("tiny", home=tmp_path / "sessions" if request.param == "kept" else None)


def made(session: Session, folder: Path) -> Session:
    folder.mkdir(exist_ok=True)
    for row, colour in enumerate(((200, 40, 40), (40, 60, 200))):
        files = [
            write_image(coloured(colour, 20 * row + i, size=(40, 30)), folder / f"{row}-{i}.png")
            for i in range(4)
        ]
        session.set_pictures(row, files)
    session.name_rows(["oak", "elm"])
    session.settings = SETTINGS
    list(actions.learn(session, session.split(3)[0], SETTINGS))
    return session


def state(session: Session) -> tuple:
    return (
        [(row.name, [p.content for p in row.pictures]) for row in session.rows],
        session.settings,
        session.current and session.current.prompt.ctx.tolist(),
        len(session.pile.pictures),
    )


def test_everything_comes_to_another_computer(store, tmp_path) -> None:
    session = made(store.open(None), tmp_path / "given")
    project = save_project(session, tmp_path / "project.zip")
    elsewhere = SessionStore("tiny", home=tmp_path / "another computer")
    other = elsewhere.open(None)
    open_project(other, project)
    assert state(other) == state(session)
    assert other.rows[1].pictures[0].load().size == (40, 30)
    assert other.rows[1].pictures[0].source.is_relative_to(other.kept)
    assert torch.equal(other.current.hand_crafted_weights, session.current.hand_crafted_weights)
    assert other.disk_bytes == session.disk_bytes
    assert other.key != session.key
    assert elsewhere.keep(other) == ""


def test_a_project_takes_the_place_of_what_was_there(store, tmp_path) -> None:
    first = made(store.open(None), tmp_path / "given")
    project = save_project(store.open(None), tmp_path / "empty.zip")
    open_project(first, project)
    assert first.current is None
    assert all(row.is_empty for row in first.rows)


def test_nothing_is_opened_while_something_runs(store, tmp_path) -> None:
    session = made(store.open(None), tmp_path / "given")
    project = save_project(session, tmp_path / "project.zip")
    session.training = True
    with pytest.raises(UserError, match="still running"):
        open_project(session, project)


def entries(project: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(project) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def section(name: str, value: object, tensors: dict | None = None, model: str = "") -> bytes:
    return SECTION.to_bytes(tensors or {}, {"section": name, "model": model, "value": value})


def bomb() -> bytes:
    return b"\0" * (60 * 2**20)


def settings(**changes: object) -> dict:
    writer = Writer(Path(), lambda place, contents: None)
    plain = writer.plain(HeldSettings("tiny", SETTINGS, ""))
    plain["teach"] |= changes
    return plain


def changed(**given: bytes | None) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        return {n: c for n, c in {**files, **given}.items() if c is not None}

    return change


ROW = {"name": "oak", "pictures": [], "test": []}
CLASSES = {
    "rows": [ROW, ROW],
    "source": "",
    "template": "a {}",
    "problems": [],
    "notes": [],
    "about": [],
}


def with_picture(place: str) -> bytes:
    picture = {"$picture": ["a", place, "0" * 32, []]}
    return section("classes", CLASSES | {"rows": [ROW | {"pictures": [picture]}, ROW]})


def deep() -> bytes:
    value: object = "x"
    for _ in range(600):
        value = [value]
    return section("classes", CLASSES | {"rows": value})


PROMPT_FILE = file_name("prompt", "tiny")
BAD = {
    "no classes": changed(**{"classes.safetensors": None}),
    "no settings": changed(**{"settings.safetensors": None}),
    "something else in it": changed(**{"other.safetensors": b"x"}),
    "a folder of its own": changed(**{"pictures/more/0.safetensors": b"x"}),
    "not safetensors": changed(**{"classes.safetensors": b"hello"}),
    "a pickle": changed(**{"classes.safetensors": b"\x80\x04\x95cposix\nsystem\n."}),
    "another version": changed(
        **{"classes.safetensors": SECTION.to_bytes({}, {"version": 99, "value": CLASSES})}
    ),
    "another section": changed(**{"classes.safetensors": section("pile", CLASSES)}),
    "text for a number": changed(
        **{"settings.safetensors": section("settings", settings(shots="many"))}
    ),
    "too many shots": changed(
        **{"settings.safetensors": section("settings", settings(shots=10**9))}
    ),
    "not a number": changed(
        **{"settings.safetensors": section("settings", settings(learning_rate={"$float": "nan"}))}
    ),
    "an unknown mark": changed(**{"classes.safetensors": section("classes", {"$eval": "1"})}),
    "far too many rows": changed(
        **{"classes.safetensors": section("classes", CLASSES | {"rows": [ROW] * 100_000})}
    ),
    "a tensor of no shape": changed(
        **{PROMPT_FILE: section("prompt", {"x": 1}, {"0": torch.zeros(())}, model="tiny")}
    ),
    "rows of nothing": changed(
        **{"classes.safetensors": section("classes", CLASSES | {"rows": [1]})}
    ),
    "a path upwards": changed(**{"classes.safetensors": with_picture("pictures/../../etc/x")}),
    "a path of assets upwards": changed(**{"classes.safetensors": with_picture("assets/../x")}),
    "an absolute path": changed(**{"classes.safetensors": with_picture("/etc/passwd")}),
    "a picture that is not there": changed(
        **{"classes.safetensors": with_picture(f"pictures/{'0' * 32}.png")}
    ),
    "deep nesting": changed(**{"classes.safetensors": deep()}),
    "a tensor that is not there": changed(
        **{"classes.safetensors": section("classes", {"$tensor": "7"})}
    ),
    "a prompt without its file": changed(
        **{PROMPT_FILE: section("prompt", {"prompt": {"$prompt": ["x", "0"]}}, model="tiny")}
    ),
    "a picture that is none": changed(**{f"pictures/{'0' * 32}.png": b"not a picture"}),
}


def zipped(files: dict[str, bytes], path: Path, packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, contents in files.items():
            archive.writestr(name, contents)
    return path


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    store = SessionStore("tiny", home=tmp_path / "sessions")
    session = made(store.open(None), tmp_path / "given")
    yield session
    store.forget(session)


def check_refused(session: Session, project: Path) -> None:
    before = state(session), sorted(session.kept.rglob("*"))
    with pytest.raises(UserError) as refused:
        open_project(session, project)
    assert "Traceback" not in str(refused.value)
    assert len(str(refused.value)) < 600
    assert (state(session), sorted(session.kept.rglob("*"))) == before
    assert session.rows[0].pictures[0].load()


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_a_bad_project_is_one_sentence_and_costs_nothing(session, tmp_path, change) -> None:
    files = entries(save_project(session, tmp_path / "good.zip"))
    check_refused(session, zipped(change(files), tmp_path / "bad.zip"))


def test_hostile_zips_are_refused(session, tmp_path) -> None:
    files = entries(save_project(session, tmp_path / "good.zip"))
    path = tmp_path / "bad.zip"
    check_refused(session, zipped(files | {"../x.safetensors": b""}, path))
    check_refused(session, zipped(files | {"/x.safetensors": b""}, path))
    packed = zipped(files | {f"prompts/{'0' * 64}.safetensors": bomb()}, path, zipfile.ZIP_DEFLATED)
    check_refused(session, packed)
    path.write_bytes(b"PK\x03\x04 no zip")
    check_refused(session, path)
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("classes.safetensors")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    check_refused(session, path)


def test_a_picture_with_another_ones_name_is_refused(session, tmp_path) -> None:
    files = entries(save_project(session, tmp_path / "good.zip"))
    name, other = [one for one in files if one.startswith("pictures/")][:2]
    check_refused(session, zipped(files | {name: files[other]}, tmp_path / "bad.zip"))


def test_a_huge_picture_is_refused_before_it_is_decoded(session, tmp_path) -> None:
    from PIL import Image

    bytes_ = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bytes_, "PNG")
    files = entries(save_project(session, tmp_path / "good.zip"))
    name = f"pictures/{hashlib.md5(b'x').hexdigest()}.png"
    check_refused(session, zipped(files | {name: bytes_.getvalue()}, tmp_path / "bad.zip"))


def test_every_cut_of_a_project_is_refused(session, tmp_path) -> None:
    whole = save_project(session, tmp_path / "good.zip").read_bytes()
    for at in range(0, len(whole) - 1, len(whole) // 40):
        (tmp_path / "cut.zip").write_bytes(whole[:at])
        check_refused(session, tmp_path / "cut.zip")


def test_every_flipped_byte_is_refused_or_changes_nothing_that_matters(session, tmp_path) -> None:
    good = save_project(session, tmp_path / "good.zip")
    files = entries(good)
    generator = torch.Generator().manual_seed(1)
    for _ in range(120):
        at_file = int(torch.randint(len(files), (1,), generator=generator))
        name = sorted(files)[at_file]
        contents = bytearray(files[name])
        at = int(torch.randint(len(contents), (1,), generator=generator))
        contents[at] ^= 1 << int(torch.randint(8, (1,), generator=generator))
        bad = zipped(files | {name: bytes(contents)}, tmp_path / "bad.zip")
        other = Session("k", tmp_path / "scratch", "tiny")
        other.folder.mkdir(exist_ok=True)
        try:
            open_project(other, bad)
        except UserError:
            continue
        assert all(picture.load() for row in other.rows for picture in row.pictures)
