"""What a session holds comes back after the app has ended, however it ended."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from images import coloured, write_image
from safetensors import safe_open
from tiny import tiny_backbone

from coop_demo import samples
from coop_demo.errors import UserError
from coop_demo.ui.compare import actions as compare_actions
from coop_demo.ui.compare.state import CompareSettings
from coop_demo.ui.context import Shell
from coop_demo.ui.explain.state import Subject
from coop_demo.ui.keeping.shelf import Shelf
from coop_demo.ui.rank import actions as rank_actions
from coop_demo.ui.rank.files import show_sample
from coop_demo.ui.rank.lesson import number_by_click, teach_order
from coop_demo.ui.rank.state import OrderSettings
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.teach import actions
from coop_demo.ui.teach.state import TeachSettings

SETTINGS = TeachSettings.parse(
    "a photo of a {}.", 4, "one per class", "end", "", 4, "fast", 20, 0, 0, 3
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("teach.actions", "rank.actions", "rank.lesson", "compare.actions"):
        monkeypatch.setattr(f"coop_demo.ui.{module}.shared_backbone", lambda name: BACKBONE)
    monkeypatch.setattr("coop_demo.ui.rank.actions.shipped_ranker_path", lambda name: None)


BACKBONE = tiny_backbone()
LATER: list[SessionStore] = []  # a store's own folder goes with it


def end(store: SessionStore) -> None:
    """What the operating system does when the app is killed: the locks are free again."""
    for kept in store._kept.values():
        kept.place.close()


def restarted(store: SessionStore, session: Session) -> Session:
    assert store.keep(session) == ""
    end(store)
    LATER.append(SessionStore(store.default_backbone, home=store.shelf.home))
    return LATER[-1].open(session.key)


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    return SessionStore("tiny", home=tmp_path / "sessions")


def with_classes(session: Session, folder: Path, *, n: int = 6) -> Session:
    folder.mkdir(exist_ok=True)
    for row, (name, colour) in enumerate((("oak", (200, 40, 40)), ("elm", (40, 60, 200)))):
        files = [
            write_image(coloured(colour, 20 * row + i, size=(40, 30)), folder / f"{name}{i}.png")
            for i in range(n)
        ]
        session.set_pictures(row, files)
    session.name_rows(["oak", "elm"])
    return session


def train(session: Session) -> None:
    dataset, _ = session.split(3)
    session.settings = SETTINGS
    list(actions.learn(session, dataset, SETTINGS))


def test_classes_prompt_and_settings_come_back(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    train(session)
    again = restarted(store, session)
    assert again is not session
    assert [(row.name, len(row.pictures)) for row in again.rows] == [("oak", 6), ("elm", 6)]
    assert again.rows[0].pictures[0].load().size == (40, 30)
    assert again.settings == SETTINGS
    before, after = session.current, again.current
    assert torch.equal(before.prompt.ctx, after.prompt.ctx)
    assert torch.equal(before.hand_crafted_weights, after.hand_crafted_weights)
    assert after.prompt.history == before.prompt.history
    assert (after.verdict, after.ending, after.notes) == (
        before.verdict,
        before.ending,
        before.notes,
    )
    assert after.file.is_file(), "it can be saved"
    assert after.dataset.class_names == ("oak", "elm")
    assert again.undo is None


def test_pile_numbers_orders_and_a_taught_ranker_come_back(store) -> None:
    session = store.open(None)
    show_sample(session, next(one for one in samples.sample_sets() if one.kind == "ranking"))
    del session.pile.pictures[10:]
    list(rank_actions.rank(session, "Rank the number of apples.", "", "many apples", "no apples"))
    for at in range(8):
        number_by_click(session, at)
    list(teach_order(session, "Rank my order.", OrderSettings.parse(4, 0, 1, True)))
    again = restarted(store, session)
    before, after = session.pile, again.pile
    assert [p.content for p in after.pictures] == [p.content for p in before.pictures]
    assert (after.numbers, after.labels, after.places) == (
        before.numbers,
        before.labels,
        before.places,
    )
    assert (after.pair, after.instruction) == (before.pair, before.instruction)
    (one,), (other,) = before.orders, after.orders
    assert {name: scores.tolist() for name, scores in one.scores.items()} == {
        name: scores.tolist() for name, scores in other.scores.items()
    }
    assert other.pictures[0] is after.pictures[0], "one picture stays one"
    taught, was = after.rankers["tiny"].taught, before.rankers["tiny"].taught
    assert (taught.before, taught.after) == (was.before, was.after)
    assert repr(taught.points) == repr(was.points), "one of them is NaN"
    assert all(torch.equal(taught.ranker.state[k], v) for k, v in was.ranker.state.items())
    assert after.rankers["tiny"].file.is_file()


def test_a_comparison_and_the_picture_looked_at_come_back(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    settings = CompareSettings.parse(
        "", ["class-mean", "tip-adapter"], "a photo of a {}.", True, 4, 1, "fast", 4, 5
    )
    list(compare_actions.run_comparison(session, settings))
    picture = session.rows[0].pictures[0]
    session.look.subject = Subject(picture, ("oak", "elm"), "oak")
    again = restarted(store, session)
    before, after = session.compare.compared["tiny"], again.compare.compared["tiny"]
    assert [r.score for r in after.comparison.results] == [
        r.score for r in before.comparison.results
    ]
    assert after.comparison.pictures[0].picture.load()
    assert after.report()
    assert again.look.subject.picture.content == picture.content
    assert again.look.fresh


def interrupted(session: Session, steps: int, at: int) -> Generator[object]:
    """A training that the app did not survive: nobody closed it."""
    settings = replace(SETTINGS, steps=steps)
    dataset, _ = session.split(3)
    session.settings = settings
    training = actions.learn(session, dataset, settings)
    for _ in training:
        left = session.under_way.get("tiny")
        if left is not None and left.state.step >= at:
            return training  # not closed: a killed app closes nothing
    raise AssertionError("it came to its end")


def test_a_killed_training_goes_on_to_the_prompt_it_would_have_given(
    store, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(actions, "KEEP_EVERY", 0.0)
    monkeypatch.setattr("coop_demo.ui.progress.SHOW_EVERY", 0.0)
    monkeypatch.setattr("coop_demo.ui.progress.Pace.is_due", lambda self: True)
    session = with_classes(store.open(None), tmp_path / "given")
    training = interrupted(session, 90, at=8)  # the next step is not one that is measured
    again = restarted(store, session)
    assert again.current.ending.startswith("This training was interrupted at step 8 of 90.")
    assert again.current.file.is_file(), "what it had learned can be used"
    left = again.under_way["tiny"]
    list(actions.learn(again, left.dataset, left.settings, resume=left))
    assert again.under_way == {}
    whole = replace(SETTINGS, steps=90)
    list(actions.learn(session, session.split(3)[0], whole))
    assert torch.equal(again.current.prompt.ctx, session.current.prompt.ctx)
    assert again.current.prompt.history == session.current.prompt.history
    assert again.current.verdict == session.current.verdict
    training.close()


def test_a_killed_lesson_leaves_the_ranker_it_had_come_to(store, monkeypatch) -> None:
    monkeypatch.setattr("coop_demo.ui.progress.Pace.is_due", lambda self: True)
    session = store.open(None)
    show_sample(session, next(one for one in samples.sample_sets() if one.kind == "ranking"))
    del session.pile.pictures[10:]
    for at in range(8):
        number_by_click(session, at)
    lesson = teach_order(session, "Rank my order.", OrderSettings.parse(6, 0, 1, True))
    while "tiny" not in session.pile.half_taught:
        next(lesson)
    again = restarted(store, session)
    used = again.pile.rankers["tiny"]
    assert used.taught.ending.startswith("This training was interrupted at step")
    assert used.file.is_file()
    assert used.ranker.state
    lesson.close()
    assert session.pile.half_taught == {}


def test_what_a_handler_does_while_it_is_closed_is_kept_too(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    with gr.Blocks():
        shell = Shell(store, gr.BrowserState(None))

    def handler(session: Session) -> Iterator[dict]:
        try:
            yield {}
        finally:
            session.name_rows(["ash", "elm"])

    running = shell._served(handler, [], [])(SimpleNamespace(session_hash=""), session.key)
    next(running)
    running.close()
    end(store)
    LATER.append(SessionStore("tiny", home=store.shelf.home))
    assert LATER[-1].open(session.key).rows[0].name == "ash"


def sections(store: SessionStore, session: Session) -> dict[str, Path]:
    return {path.name: path for path in session.kept.glob("*.safetensors")}


def test_what_is_damaged_costs_only_itself_and_is_said(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    train(session)
    store.keep(session)
    prompt = next(p for n, p in sections(store, session).items() if n.startswith("prompt-"))
    prompt.write_bytes(prompt.read_bytes()[:-7])
    again = restarted(store, session)
    assert [row.name for row in again.rows] == ["oak", "elm"]
    assert again.current is None
    assert again.problems == (
        "Your learned prompt could not be read again; everything else is here.",
    )


def test_another_version_is_left_for_the_app_that_reads_it(store, tmp_path, monkeypatch) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    monkeypatch.setattr("coop_demo.ui.keeping.sections.SECTION", replace_version(7))
    store.keep(session)
    monkeypatch.undo()
    again = restarted(store, session)
    assert not again.rows[0].pictures
    assert (session.kept / "classes.unreadable").is_file()


def replace_version(version: int):
    from coop_demo.ui.keeping.sections import SECTION

    return replace(SECTION, version=version)


def test_a_picture_that_is_gone_costs_itself(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    session.rows[0].pictures[2].source.unlink()
    again = restarted(store, session)
    assert len(again.rows[0].pictures) == 5
    assert again.problems == ("1 picture is no longer on this computer.",)


def test_half_written_files_and_pictures_nobody_speaks_of_go(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    stray = session.kept / ".classes.safetensors.0123"
    stray.write_bytes(b"half")
    gone = session.rows[0].pictures[0].source
    session.set_pictures(0, [p.source for p in session.rows[0].pictures[1:]])
    again = restarted(store, session)
    assert not stray.exists()
    assert not gone.exists()
    assert len(again.rows[0].pictures) == 5


def test_a_full_disk_is_said_once_and_the_work_goes_on(store, tmp_path, monkeypatch) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    store.keep(session)

    def full(path: Path, contents: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("coop_demo.ui.keeping.sections.write_whole", full)
        session.name_rows(["ash", "elm"])
        assert "No space left on device" in store.keep(session)
        assert store.keep(session) == ""
    assert store.keep(session) == ""
    assert restarted(store, session).rows[0].name == "ash"


def test_a_folder_that_cannot_be_written_keeps_nothing_and_stops_nobody(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = SessionStore("tiny", home=tmp_path / "file" / "sessions")
    session = with_classes(store.open(None), tmp_path / "given")
    assert session.kept is None
    assert store.keep(session) == ""


def test_two_apps_that_share_the_folder_leave_each_other_alone(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    store.keep(session)
    other = SessionStore("tiny", home=store.shelf.home, max_idle_seconds=0)
    with pytest.raises(UserError, match="another copy of this app"):
        other.open(session.key)
    for _ in range(2):
        other.shelf._looked = -1e9
        other.open(None)
    assert session.rows[0].pictures[0].load(), "what is open is not deleted"
    end(store)
    other.shelf._looked = -1e9
    other.open(None)
    assert not session.kept.exists(), "what nobody has open is, when its time is over"


def test_the_key_is_nobodys_file_name_and_a_guess_opens_nothing(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    store.keep(session)
    assert not any(session.key in str(path) for path in store.shelf.home.rglob("*"))
    for guess in (session.kept.name, "../" + session.kept.name, session.key[:-1], "x" * 32):
        assert store.open(guess).key not in (guess, session.key)


def test_a_session_rests_on_disk_and_wakes_when_it_is_used(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    session.last_used -= 2 * 3600
    store.open(None)
    assert len(store) == 1
    again = store.get(session.key)
    assert again is not session
    assert [row.name for row in again.rows] == ["oak", "elm"]


def test_what_is_unused_for_too_long_is_deleted_also_across_restarts(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    store.keep(session)
    end(store)
    long_ago = time.time() - 13 * 3600
    os.utime(session.kept / "used", (long_ago, long_ago))
    later = SessionStore("tiny", home=store.shelf.home)
    later.open(None)
    assert not session.kept.exists()
    with pytest.raises(UserError, match="no longer on this server"):
        later.get(session.key)


def test_the_disk_has_a_limit_the_longest_unused_goes_first(tmp_path) -> None:
    shelf = Shelf(tmp_path / "sessions")
    for n, key in enumerate("abc"):
        place = shelf.take(key)
        (place.folder / "big").write_bytes(b"x" * 1000)
        place.close()
        used = time.time() - 100 + n
        os.utime(place.folder / "used", (used, used))
    shelf.tidy(max_idle_seconds=1e6, max_bytes=2500)
    assert [shelf.has(key) for key in "abc"] == [False, True, True]


def test_forgetting_deletes_at_once(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    store.keep(session)
    store.forget(session)
    assert not session.kept.exists()
    assert not session.folder.exists()
    assert store.keep(session) == ""
    with pytest.raises(UserError):
        store.get(session.key)
    assert list(store.shelf.home.iterdir()) == []


def test_only_what_changed_is_written(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    train(session)
    store.keep(session)
    before = {name: path.stat().st_mtime_ns for name, path in sections(store, session).items()}
    session.name_rows(["ash", "elm"])
    store.keep(session)
    after = {name: path.stat().st_mtime_ns for name, path in sections(store, session).items()}
    assert {name for name in after if after[name] != before[name]} == {"classes.safetensors"}


def test_what_is_replaced_leaves_no_files(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    train(session)
    again = restarted(store, session)
    for seed in (1, 2):
        list(actions.learn(again, again.split(1)[0], replace(SETTINGS, seed=seed)))
        LATER[-1].keep(again)
    assert len(list((session.kept / "prompts").iterdir())) == 1


def test_nothing_is_pickled(store, tmp_path) -> None:
    session = with_classes(store.open(None), tmp_path / "given")
    train(session)
    store.keep(session)
    for path in session.kept.rglob("*.safetensors"):
        with safe_open(str(path), "pt") as file:
            assert file.metadata()
