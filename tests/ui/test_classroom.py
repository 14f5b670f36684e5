"""The class: who joined, what they train, a set for everybody, a ballot."""

from __future__ import annotations

from pathlib import Path

import pytest
from images import coloured

from coop_demo.errors import UserError
from coop_demo.languages import classroom as say
from coop_demo.languages import teach as teach_strings
from coop_demo.ui.classroom import actions
from coop_demo.ui.classroom import html as class_html
from coop_demo.ui.classroom.state import MOST_WRONG_CODES, Classroom, address_in_the_network
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach.actions import learn
from coop_demo.ui.teach.state import TeachSettings


@pytest.fixture
def store() -> SessionStore:
    return SessionStore("mini")


@pytest.fixture
def room(store: SessionStore) -> Classroom:
    return Classroom(code="123456")


def show_colours(session: Session, folder: Path) -> None:
    session.name_rows(["brick", "sea"])
    for index, colour in enumerate(((200, 40, 40), (40, 40, 200))):
        files = [folder / f"{index}-{n}.png" for n in range(3)]
        for n, file in enumerate(files):
            coloured(colour, n).save(file)
        assert session.set_pictures(index, files) == ()


def test_only_who_joined_is_seen(store: SessionStore, room: Classroom) -> None:
    ada, ben = store.open(None), store.open(None)
    assert actions.roster(room) == []
    room.join(ada, "  Ada\n ")
    assert [row.nickname for row in actions.roster(room)] == ["Ada"]
    room.join(ben, "Ben")
    room.leave(ada)
    assert [row.nickname for row in actions.roster(room)] == ["Ben"]


def test_a_nickname_is_one_persons_and_short(store: SessionStore, room: Classroom) -> None:
    ada, ben = store.open(None), store.open(None)
    room.join(ada, "Ada")
    with pytest.raises(UserError, match="already"):
        room.join(ben, "ADA")
    with pytest.raises(UserError, match="nickname first"):
        room.join(ben, " \u200b\n")
    assert len(room.join(ben, "b" * 300)) == 30
    assert room.join(ada, "Ada L.") == "Ada L."  # her own may change


def test_names_are_text_on_the_page(store: SessionStore, room: Classroom) -> None:
    room.join(store.open(None), "<b>x</b>")
    shown = class_html.roster(actions.roster(room))
    assert "<b>x" not in shown
    assert "&lt;b&gt;x" in shown


def test_only_who_knows_the_code_hands_out(store: SessionStore, room: Classroom) -> None:
    teacher, student = store.open(None), store.open(None)
    with pytest.raises(UserError, match="Only the teacher"):
        actions.hand_out(room, student, "biscuits")
    with pytest.raises(UserError, match="not the code"):
        room.teach(student, "000000")
    room.teach(teacher, " 123456 ")
    actions.hand_out(room, teacher, "biscuits")
    actions.open_handed_out(room, student)
    assert len(student.named_classes()) == 5


def test_a_code_is_not_found_by_trying(store: SessionStore, room: Classroom) -> None:
    student = store.open(None)
    for _ in range(MOST_WRONG_CODES):
        with pytest.raises(UserError):
            room.teach(student, "000000")
    with pytest.raises(UserError, match="too many"):
        room.teach(student, room.code)


def test_the_teachers_own_set_becomes_everybodys_own(
    store: SessionStore, room: Classroom, tmp_path: Path
) -> None:
    teacher, student = store.open(None), store.open(None)
    room.teach(teacher, room.code)
    show_colours(teacher, tmp_path)
    actions.hand_out(room, teacher, "")
    actions.open_handed_out(room, student)
    assert student.named_classes() == ["brick", "sea"]
    pictures = [picture for row in student.rows for picture in row.pictures]
    assert len(pictures) == 6
    store.forget(teacher)
    for picture in pictures:
        picture.load()  # it is the student's own file


def test_every_members_prompt_votes_and_their_accuracy_is_shown(
    store: SessionStore, room: Classroom, tmp_path: Path
) -> None:
    teacher, ada, ben = (store.open(None) for _ in range(3))
    room.teach(teacher, room.code)
    room.join(ada, "Ada")
    room.join(ben, "Ben")
    show_colours(teacher, tmp_path)
    actions.hand_out(room, teacher, "")
    actions.open_handed_out(room, ada)
    dataset, _ = ada.split(1)
    *_, taught = learn(ada, dataset, _settings())
    assert taught.verdict is not None
    row = actions.roster(room)[0]
    assert row.learned == taught.verdict.learned_right / taught.verdict.n_test

    with pytest.raises(UserError, match="Only the teacher"):
        actions.vote(room, ada, str(tmp_path / "0-0.png"))
    ballot = actions.vote(room, teacher, str(tmp_path / "0-0.png"))
    assert [vote.nickname for vote in ballot.votes] == ["Ada"]
    assert ballot.votes[0].class_name in ("brick", "sea")
    assert ballot.without == ("Ben",)
    assert say.votes_for(ballot.votes[0].class_name, 1) in class_html.ballot(ballot)


def _settings() -> TeachSettings:
    return TeachSettings.parse(
        "a photo of a {}.", 4, teach_strings.KINDS[False], "end", "", 2, "fast", 5, 0, 0, 1
    )


def test_the_address_is_one_that_a_phone_can_open() -> None:
    address = address_in_the_network(7860)
    assert address.startswith("http://")
    assert address.endswith(":7860")
    assert "<svg" in class_html.door(address)
