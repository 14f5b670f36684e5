"""Sessions: kept under their key, apart from each other, and bounded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from images import Colour, coloured, write_image

from coop_demo.errors import DatasetError, UserError
from coop_demo.ui.store import SessionStore


@pytest.fixture
def store() -> SessionStore:
    return SessionStore("mini")


def picture_file(folder: Path, name: str, colour: Colour) -> Path:
    return write_image(coloured(colour, size=(40, 30), grain=0), folder / name)


def test_a_reload_brings_the_same_session_back(store, tmp_path) -> None:
    first = store.open(None)
    first.set_pictures(0, [picture_file(tmp_path, "a.png", (1, 2, 3))])
    first.name_rows(["oak", "elm"])
    again = store.open(first.key)
    assert again is first
    assert [row.name for row in again.rows] == ["oak", "elm"]


def test_two_browsers_have_two_sessions(store) -> None:
    first, second = store.open(None), store.open("someone else's guess")
    assert first.key != second.key
    assert first.folder != second.folder
    assert first.key not in str(first.folder), "paths are seen by others, the key must not be"


@pytest.mark.parametrize("key", ["unknown", 7, {"key": 1}])
def test_an_unknown_key_is_a_sentence_not_somebodys_session(store, key) -> None:
    store.open(None)
    with pytest.raises(UserError, match="Reload the page"):
        store.get(key)


@pytest.mark.parametrize("key", [None, ""])
def test_a_click_before_the_page_has_opened_is_asked_to_wait(store, key) -> None:
    store.open(None)
    with pytest.raises(UserError, match="still opening"):
        store.get(key)


def test_only_so_many_sessions_are_kept_the_longest_unused_goes_first(tmp_path) -> None:
    store = SessionStore("mini", capacity=2)
    first, second = store.open(None), store.open(None)
    store.get(first.key)
    third = store.open(None)
    assert len(store) == 2
    assert store.get(first.key) is first
    assert store.get(third.key) is third
    assert not second.folder.exists(), "its pictures go with it"


def test_idle_sessions_are_forgotten_but_never_one_that_trains() -> None:
    store = SessionStore("mini", max_idle_seconds=60)
    idle, busy = store.open(None), store.open(None)
    busy.training = True
    for one in (idle, busy):
        one.last_used -= 61
    store.open(None)
    with pytest.raises(UserError):
        store.get(idle.key)
    assert store.get(busy.key) is busy


def test_a_picture_survives_its_upload_and_is_known_again_by_its_thumbnail(store, tmp_path) -> None:
    session = store.open(None)
    upload = picture_file(tmp_path, "oak.png", (10, 90, 20))
    session.set_pictures(0, [upload])
    upload.unlink()
    picture = session.rows[0].pictures[0]
    assert picture.load().size == (40, 30)
    thumbnail = session.thumbnail(picture)
    session.set_pictures(1, [thumbnail])
    assert session.rows[1].pictures == [picture]


def test_a_broken_picture_costs_itself_only(store, tmp_path) -> None:
    session = store.open(None)
    good = picture_file(tmp_path, "good.png", (1, 1, 1))
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not a picture")
    problems = session.set_pictures(0, [good, broken, good])
    assert len(session.rows[0].pictures) == 1
    assert any("broken.jpg" in problem for problem in problems)
    assert any("twice" in problem for problem in problems)


def test_rows_have_bounds(store) -> None:
    session = store.open(None)
    for _ in range(8):
        session.add_row()
    with pytest.raises(UserError, match="up to 10"):
        session.add_row()
    for index in (-1, 10, 99):
        with pytest.raises(UserError):
            session.remove_row(index)
    for _ in range(10):
        session.remove_row(0)
    assert len(session.rows) == 2


def test_double_and_missing_names_are_said(store, tmp_path) -> None:
    session = store.open(None)
    for index, colour in enumerate([(255, 0, 0), (0, 0, 255)]):
        files = [
            picture_file(tmp_path, f"{index}-{i}.png", (*colour[:2], colour[2] // 2 + i))
            for i in range(3)
        ]
        session.set_pictures(index, files)
    session.name_rows(["oak", "Oak"])
    with pytest.raises(DatasetError, match="Two classes are called"):
        session.split(1)
    session.name_rows(["oak", ""])
    with pytest.raises(DatasetError, match="no name"):
        session.split(1)
    session.name_rows(["oak", "elm"])
    dataset, n_held_out = session.split(1)
    assert n_held_out == len(dataset.test) == 2


def test_pictures_that_were_being_decoded_go_to_their_row_wherever_it_moved(
    store, tmp_path, monkeypatch
) -> None:
    session = store.open(None)
    session.add_row()
    session.name_rows(["oak", "elm", "ash"])
    file = picture_file(tmp_path, "elm.png", (9, 8, 7))
    take = session.take

    def slow(picture):
        session.remove_row(0)  # a click meanwhile
        return take(picture)

    monkeypatch.setattr(session, "take", slow)
    session.set_pictures(1, [file])
    assert [(row.name, len(row.pictures)) for row in session.rows] == [("elm", 1), ("ash", 0)]


def shown(session) -> list[tuple[str, int]]:
    return [(row.name, len(row.pictures)) for row in session.rows]


@pytest.fixture
def filled(store, tmp_path):
    session = store.open(None)
    for index, colour in enumerate([(250, 0, 0), (0, 0, 250), (0, 250, 0)]):
        if index == 2:
            session.add_row()
        files = [
            picture_file(tmp_path, f"{index}-{i}.png", (*colour[:2], colour[2] // 2 + i))
            for i in range(3)
        ]
        session.set_pictures(index, files)
    session.name_rows(["oak", "elm", "ash"])
    session.source = "a walk"
    return session


def test_a_removed_class_comes_back_as_it_was(filled) -> None:
    before = filled.held()
    filled.remove_row(1)
    assert filled.can_undo.sentence == "“elm” was removed, with 3 pictures."
    filled.bring_back()
    assert filled.held() == before
    assert filled.can_undo is None, "there is one step back, and no more"
    with pytest.raises(UserError, match="nothing left to undo"):
        filled.bring_back()


def test_a_removed_picture_comes_back_in_its_place(filled) -> None:
    before = filled.held()
    kept = [picture.source for picture in filled.rows[0].pictures]
    filled.set_pictures(0, [kept[0], kept[2]])
    assert filled.can_undo.sentence == "One picture was removed from “oak”."
    filled.bring_back()
    assert filled.held() == before


def test_start_over_takes_what_was_learned_along_and_brings_it_back(filled) -> None:
    loaded, own = SimpleNamespace(dataset=None), SimpleNamespace(dataset="a walk")
    filled.taught = {"mini": own, "other": loaded}
    before = filled.held()
    filled.clear()
    assert shown(filled) == [("", 0), ("", 0)]
    assert filled.taught == {"other": loaded}, "a prompt from a file was not learned here"
    assert filled.can_undo.sentence == "Cleared: 9 pictures and what was learned from them."
    filled.bring_back()
    assert filled.held() == before
    assert filled.taught == {"mini": own, "other": loaded}


@pytest.mark.parametrize(
    "change",
    [
        lambda session, folder: session.add_row(),
        lambda session, folder: session.name_rows(["beech"]),
        lambda session, folder: session.set_pictures(
            0, [picture_file(folder, "new.png", (9, 9, 9))]
        ),
        lambda session, folder: session.taught.update(mini=object()),
    ],
    ids=["a row", "a name", "a picture", "a prompt"],
)
def test_the_next_change_ends_undo(filled, tmp_path, change) -> None:
    filled.clear()
    assert filled.can_undo
    change(filled, tmp_path)
    assert filled.can_undo is None


def test_adding_and_naming_is_nothing_to_undo(filled) -> None:
    assert filled.can_undo is None
    filled.remove_row(0)
    filled.bring_back()
    filled.add_row()
    filled.remove_row(3)
    assert filled.can_undo is None, "an empty class is no loss"


def test_training_needs_pictures_of_two_classes(store, tmp_path) -> None:
    session = store.open(None)
    assert not session.can_train
    session.set_pictures(0, [picture_file(tmp_path, "a.png", (1, 2, 3))])
    assert not session.can_train
    session.set_pictures(1, [picture_file(tmp_path, "b.png", (200, 2, 3))])
    assert session.can_train
