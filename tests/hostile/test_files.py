"""Malformed prompts, rankers, project files, zips and tables: read, or refused in one sentence."""

from __future__ import annotations

import json
import pickle
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from images import coloured, encoded, write_image, zipped
from safetensors import safe_open
from strangers import (
    NAMES,
    bent,
    bounded_memory,
    changed,
    check_sentence,
    many,
    read_or_refused,
)
from tiny import separable_features, tiny_backbone

from coop_demo.data.archives import read_archive
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_zip
from coop_demo.data.images import is_picture_name
from coop_demo.errors import DatasetError, UserError
from coop_demo.prompts.checkpoint import load_prompt, save_prompt
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.training import fast, train_prompt
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.checkpoint import load_ranker, save_ranker
from coop_demo.ranking.labels import read_labels_csv
from coop_demo.ranking.ranker import LearnedInstruction, Ranker, RankerTrainConfig
from coop_demo.ui.keeping.project import open_project, save_project
from coop_demo.ui.rank.files import add_files
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach import actions
from coop_demo.ui.teach.state import TeachSettings

BACKBONE = tiny_backbone()
SHAPE = AdapterConfig(
    dim=16, layers=1, heads=2, n_learnable_tokens=2, n_relational_tokens=4, token_dim=24
)
SETTINGS = TeachSettings.parse(
    "a photo of a {}.", 4, "one for all classes", "end", "", 4, "fast", 3, 0, 0, 3
)
HALF = 120  # of malformed bytes and of malformed descriptions: more than 200 of each kind


@pytest.fixture(scope="module")
def prompt_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    features, labels = separable_features()
    names = ("red", "green", "blue")
    *_, last = train_prompt(
        BACKBONE, features, labels, names, PromptConfig(n_ctx=4), fast(steps=3), shots=8
    )
    return save_prompt(last.prompt, tmp_path_factory.mktemp("prompt") / "prompt.safetensors")


@pytest.fixture(scope="module")
def ranker_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ranker = Ranker(
        config=SHAPE,
        state=RankingAdapter.seeded(SHAPE, 0).state_dict(),
        backbone=BACKBONE.identity,
        instructions=(LearnedInstruction("Rank the brightness.", 5.0, 2.0, 1.0, 9.0, 30),),
        train_config=RankerTrainConfig(steps=7),
        history=({"step": 7, "loss": 0.5, "held_out_srcc": None},),
        title="Brightness",
    )
    return save_ranker(ranker, tmp_path_factory.mktemp("ranker") / "ranker.safetensors")


def head_and_tail(whole: bytes) -> st.SearchStrategy[bytes]:
    """Bent anywhere, and as often in the description, where most can go wrong."""
    end = 8 + int.from_bytes(whole[:8], "little")
    return st.one_of(bent(whole), bent(whole[:end]).map(lambda head: head + whole[end:]))


def with_description(file: Path, noun: str, description: object) -> bytes:
    with safe_open(file, "pt") as opened:
        metadata = {**opened.metadata(), noun: json.dumps(description)}
    return safetensors.torch.save(safetensors.torch.load_file(file), metadata)


def description_of(file: Path, noun: str) -> dict:
    with safe_open(file, "pt") as opened:
        return json.loads(opened.metadata()[noun])


def fuzz_checkpoint(file: Path, noun: str, load, folder: Path) -> None:
    path = folder / file.name

    def read(data: bytes) -> None:
        path.write_bytes(data)
        read_or_refused(lambda: check_shown(load(path, BACKBONE)))
        assert [one.name for one in folder.iterdir()] == [file.name]

    @many(HALF)
    @given(head_and_tail(file.read_bytes()))
    def bytes_bent(data: bytes) -> None:
        read(data)

    @many(HALF)
    @given(changed(description_of(file, noun)))
    def description_changed(description: object) -> None:
        read(with_description(file, noun, description))

    with bounded_memory():
        bytes_bent()
        description_changed()


def check_shown(loaded: object) -> None:
    """Every name in what was read can be shown."""
    for name in (*getattr(loaded, "class_names", ()), getattr(loaded, "title", "")):
        assert name.isprintable(), repr(name)
    for one in getattr(loaded, "instructions", ()):
        assert one.instruction.isprintable()


def test_a_malformed_prompt_is_read_or_refused(prompt_file, tmp_path) -> None:
    fuzz_checkpoint(prompt_file, "prompt", load_prompt, tmp_path)


def test_a_malformed_ranker_is_read_or_refused(ranker_file, tmp_path) -> None:
    fuzz_checkpoint(ranker_file, "ranker", load_ranker, tmp_path)


# --- project files


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("coop_demo.ui.teach.actions.shared_backbone", lambda name: BACKBONE)
        session = made(SessionStore("tiny").open(None), folder)
        list(actions.learn(session, session.split(3)[0], SETTINGS))
        yield save_project(session, folder / "project.zip").read_bytes()


def made(session: Session, folder: Path) -> Session:
    folder.mkdir(exist_ok=True)
    for row, colour in enumerate(((200, 40, 40), (40, 60, 200))):
        files = [
            write_image(coloured(colour, 20 * row + i, size=(24, 18)), folder / f"{row}-{i}.png")
            for i in range(4)
        ]
        session.set_pictures(row, files)
    session.name_rows(["oak", "elm"])
    session.settings = SETTINGS
    return session


def state(session: Session) -> tuple:
    return (
        [(row.name, [p.content for p in row.pictures]) for row in session.rows],
        session.settings,
        session.current,
        session.disk_bytes,
        sorted(session.pictures_folder.iterdir()),
    )


def shown_texts(session: Session) -> list[str]:
    texts = [session.source, session.template, *session.problems, *session.notes, *session.about]
    texts += [row.name for row in session.rows]
    texts += [p.name for row in session.rows for p in (*row.pictures, *row.test)]
    for one in session.taught.values():
        texts += [one.ending, one.template, *one.notes, *one.prompt.class_names]
    return texts


def entries(project: bytes, path: Path) -> dict[str, bytes]:
    path.write_bytes(project)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_malformed_project_is_opened_or_costs_nothing(project, tmp_path) -> None:
    session = made(SessionStore("tiny", home=tmp_path / "sessions").open(None), tmp_path / "given")
    files = entries(project, tmp_path / "whole.zip")
    sections = [name for name in files if "/" not in name]
    bad = tmp_path / "bad.zip"

    def open_it(data: bytes) -> None:
        nonlocal session
        bad.write_bytes(data)
        before = state(session)
        if read_or_refused(lambda: open_project(session, bad)):
            assert all(text.isprintable() for text in shown_texts(session))
            for picture in session.pictures.values():
                assert isinstance(picture.source, Path)
            folder = tmp_path / "given"
            session = made(SessionStore("tiny").open(None), folder)
        else:
            assert state(session) == before
        assert {one.name for one in tmp_path.iterdir()} == {
            "sessions",
            "given",
            "whole.zip",
            "bad.zip",
        }

    @many(HALF)
    @given(
        st.one_of(
            bent(project),
            st.sampled_from(sorted(files)).flatmap(
                lambda name: bent(files[name]).map(lambda data: zipped({**files, name: data}, 0))
            ),
        )
    )
    def bytes_bent(data: bytes) -> None:
        open_it(data)

    def described(name: str) -> st.SearchStrategy[bytes]:
        place = tmp_path / "given" / "section.safetensors"
        place.write_bytes(files[name])
        with safe_open(place, "pt") as opened:
            (noun, text), *_ = opened.metadata().items()
        return changed(json.loads(text)).map(
            lambda value: zipped({**files, name: with_description(place_of(name), noun, value)}, 0)
        )

    def place_of(name: str) -> Path:
        place = tmp_path / "given" / "section.safetensors"
        place.write_bytes(files[name])
        return place

    @many(HALF)
    @given(st.sampled_from(sections).flatmap(described))
    def description_changed(data: bytes) -> None:
        open_it(data)

    with bounded_memory():
        bytes_bent()
        description_changed()


# --- zips


def set_zip() -> bytes:
    names = ("a/1", "a/2", "b/1", "b/2")
    return zipped(
        {f"{name}.png": coloured((9, 99, 199), i, size=(8, 8)) for i, name in enumerate(names)}
    )


@many(220)
@given(bent(set_zip()))
def test_a_malformed_zip_is_read_or_refused(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "into").mkdir()
        (home / "bent.zip").write_bytes(data)

        def read() -> None:
            found = read_zip(home / "bent.zip", into=home / "into")
            check_set(found)

        read_or_refused(read)
        assert {one.name for one in home.iterdir()} == {"bent.zip", "into"}


def check_set(found: Dataset) -> None:
    for said in (*found.problems, *found.notes):
        check_sentence(said)
    for name in (*found.class_names, *(item.picture.name for item in found.train)):
        assert all(one.isprintable() or one in "\u200c\u200d" for one in name), repr(name)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_files_and_folders_are_called_they_can_be_shown(name: str, tmp_path) -> None:
    plain = encoded(coloured((1, 2, 3), size=(8, 8)))
    stem = name.encode("utf-8", "replace").decode().replace("\0", "\1")[:2_000]
    path = tmp_path / "set.zip"
    path.write_bytes(
        zipped(
            {
                f"{stem}/a.png": plain,
                f"{stem}/{stem}.png": encoded(coloured((9, 9, 9), 1, size=(8, 8))),
                f"{stem}/broken{stem}.png": b"no picture",
                "other/c.png": encoded(coloured((7, 7, 7), 2, size=(8, 8))),
            }
        )
    )
    read_or_refused(lambda: check_set(read_zip(path)))
    session = SessionStore("tiny").open(None)
    read_or_refused(lambda: add_files(session, [path]))
    for said in (*session.pile.problems, *session.pile.notes):
        check_sentence(said)
    assert all(one.name.isprintable() for one in session.pile.pictures)


def special(kind: int, name: str = "a/x.png") -> bytes:
    import io

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.create_system = 3
        entry.external_attr = (kind | 0o666) << 16
        archive.writestr(entry, "/etc/passwd")
        archive.writestr("a/y.png", encoded(coloured((1, 2, 3))))
    return stream.getvalue()


@pytest.mark.parametrize(
    "kind",
    [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK],
    ids=["link", "character device", "block device", "pipe", "socket"],
)
def test_what_is_no_file_is_refused_and_nothing_is_made(kind: int, tmp_path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "x.zip").write_bytes(special(kind))
    with pytest.raises(DatasetError) as refused:
        read_archive(tmp_path / "x.zip", wanted=is_picture_name, into=tmp_path / "into")
    check_sentence(str(refused.value))
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "../x.png",
        "a/../../x.png",
        "/etc/x.png",
        "C:\\x.png",
        "..\\x.png",
        "\\\\host\\share\\x.png",
        ".\u200b./x.png",
        "a/.\u202e./../x.png",
        "file:///etc/passwd.png",
    ],
)
def test_a_path_out_of_a_zip_leads_nowhere(name: str, tmp_path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "x.zip").write_bytes(zipped({name: coloured((1, 2, 3)), "a/y.png": b""}))
    before = set(tmp_path.rglob("*"))
    read_or_refused(
        lambda: read_archive(tmp_path / "x.zip", wanted=is_picture_name, into=tmp_path / "into")
    )
    made = set(tmp_path.rglob("*")) - before
    assert all(one.parent == tmp_path / "into" and one.stem.isdigit() for one in made)


# --- pickles


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return (Path.write_text, (self.place, "unpickled"))


def test_no_pickle_is_ever_unpickled(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("coop_demo.ui.teach.actions.shared_backbone", lambda name: BACKBONE)
    sprung = tmp_path / "sprung"
    pickled = pickle.dumps(Trap(sprung))
    torch.save(Trap(sprung), tmp_path / "saved.pt")
    session = SessionStore("tiny").open(None)
    for data in (pickled, (tmp_path / "saved.pt").read_bytes()):
        for name in ("prompt.safetensors", "ranker.safetensors", "a.png", "set.zip", "labels.csv"):
            path = tmp_path / name
            path.write_bytes(data)
            inside = tmp_path / f"inside-{name}.zip"
            inside.write_bytes(zipped({f"oak/{name}": data, "classes.safetensors": data}, 0))
            for read in (
                lambda path=path: load_prompt(path, BACKBONE),
                lambda path=path: load_ranker(path, BACKBONE),
                lambda path=path: open_project(session, path),
                lambda inside=inside: open_project(session, inside),
                lambda inside=inside: read_zip(inside),
                lambda path=path: read_labels_csv(path),
                lambda path=path: session.set_pictures(0, [path]),
                lambda path=path: add_files(session, [path]),
                lambda inside=inside: add_files(session, [inside]),
            ):
                read_or_refused(read)
    assert not sprung.exists()
    pickle.loads(pickled)  # the trap does work
    assert sprung.exists()


# --- tables

LABELS = "image,value,prompt\n" + "\n".join(f"{i}.png,{i},Rank the brightness." for i in range(4))
CLASSES = "filename,label\n" + "\n".join(f"{i}.png,{'ab'[i % 2]}" for i in range(4))
NAMED = "folder,name\na,oak\nb,elm\n"


def text_bent(table: str) -> st.SearchStrategy[bytes]:
    cells = table.replace("\n", ",").split(",")
    swapped = st.tuples(st.sampled_from(cells), st.sampled_from(NAMES)).map(
        lambda pair: table.replace(*pair).encode("utf-8", "surrogatepass")
    )
    return st.one_of(bent(table.encode()), swapped, bent(table.encode("utf-16")))


@many(220)
@given(text_bent(LABELS))
def test_a_malformed_table_of_labels_is_read_or_refused(data: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        path.write_bytes(data)
        for i in range(4):
            write_image(coloured((9, 9, 60 * i), i, size=(4, 4)), Path(folder) / f"{i}.png")

        def read() -> None:
            table = read_labels_csv(path)
            for said in (*table.problems, *table.notes, *(row.prompt for row in table.rows)):
                check_sentence(said)

        read_or_refused(read)


@many(220)
@given(
    st.sampled_from([("labels.csv", CLASSES), ("classes.csv", NAMED)]).flatmap(
        lambda one: st.tuples(st.just(one[0]), text_bent(one[1]))
    )
)
def test_a_malformed_table_of_classes_is_read_or_refused(table: tuple[str, bytes]) -> None:
    import tempfile

    name, data = table
    pictures = {f"{i}.png": coloured((9, 9, 60 * i), i, size=(4, 4)) for i in range(4)}
    if name == "classes.csv":
        pictures = {f"{'ab'[i % 2]}/{i}.png": one for i, one in enumerate(pictures.values())}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.zip"
        path.write_bytes(zipped({**pictures, name: data}))
        read_or_refused(lambda: check_set(read_zip(path)))


def test_an_error_with_a_page_of_text_is_cut() -> None:
    said = str(UserError(f'"{"x" * 9_000}" is too long. Shorten it.'))
    assert len(said) < 2_100
    assert said.endswith("Shorten it.")
