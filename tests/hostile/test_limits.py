"""Every limit, asked for with a raw value just above it: one sentence, and nothing else happens."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest
from images import coloured, numbered, write_image, write_images, zipped
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from strangers import check_sentence
from tiny import tiny_backbone

from coop_demo.data import images
from coop_demo.errors import DatasetError, PictureError, PromptError, RankingError, UserError
from coop_demo.languages import page as strings
from coop_demo.ranking.instructions import check_instruction
from coop_demo.settings import LIMITS
from coop_demo.ui import api, line, progress, uploads_bound
from coop_demo.ui import session as session_module
from coop_demo.ui.api import Endpoints
from coop_demo.ui.compare.state import CompareSettings
from coop_demo.ui.explain.actions import check_question
from coop_demo.ui.line import Line
from coop_demo.ui.session import Session
from coop_demo.ui.store import MAKE_ROOM_SECONDS, SessionStore
from coop_demo.ui.teach import actions
from coop_demo.ui.teach.actions import open_zip
from coop_demo.ui.theme import launch_options
from coop_demo.ui.uploads_bound import MAY_GO_AFTER, UploadsBound

BACKBONE = tiny_backbone()
SETTINGS = ("a photo of a {}.", 4, "one for all classes", "end", "", 4, "fast", 40, 0, 0, 3)


@pytest.fixture
def session() -> Session:
    return SessionStore("tiny").open(None)


@pytest.fixture
def endpoints(monkeypatch: pytest.MonkeyPatch) -> Endpoints:
    for place in ("teach.actions", "explain.actions", "rank.actions"):
        monkeypatch.setattr(f"coop_demo.ui.{place}.shared_backbone", lambda name: BACKBONE)
    return Endpoints("tiny")


def limit(monkeypatch: pytest.MonkeyPatch, module, **changed) -> None:
    monkeypatch.setattr(module, "LIMITS", replace(LIMITS, **changed))


def colours(folder: Path, classes: int = 2, *, seed: int = 0) -> Path:
    path = folder / "set.zip"
    path.write_bytes(
        zipped(
            {
                f"class{c}/{i}.png": coloured(
                    (60 * c % 250, 40, 200), seed + 9 * c + i, size=(24, 18)
                )
                for c in range(classes)
                for i in range(4)
            }
        )
    )
    return path


def refused(answer: dict) -> str:
    assert answer["status"] == "error", answer
    check_sentence(answer["message"])
    assert answer["message"] != strings.UNEXPECTED
    return answer["message"]


def teach(endpoints: Endpoints, archive: Path, *, request=None, **settings) -> dict:
    given = {"context_length": 4, "position": "end", "shots": 4, "preset": "fast", "seed": 3}
    *_, (answer, _) = endpoints.teach(
        archive=str(archive), **(given | {"steps": 5} | settings), request=request
    )
    return answer


class Request(gr.Request):
    def __init__(self, session_hash: str) -> None:
        self.session_hash = session_hash


def test_one_upload_has_a_bound() -> None:
    assert launch_options()["max_file_size"] == LIMITS.max_upload == "100mb"


def test_all_uploads_together_have_a_bound(tmp_path, monkeypatch) -> None:
    """Refused before it is read, with a sentence, and taken again once old files made room."""
    limit(monkeypatch, uploads_bound, max_uploads_bytes=3_000)
    monkeypatch.setattr(uploads_bound, "get_upload_folder", lambda: str(tmp_path / "uploads"))
    monkeypatch.setattr(uploads_bound, "_LOOK_EVERY", 0.0)

    async def upload(request) -> PlainTextResponse:
        folder = tmp_path / "uploads" / str(time.monotonic_ns())
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(await request.body())
        return PlainTextResponse("taken")

    route = Route("/gradio_api/upload", upload, methods=["POST"])
    client = TestClient(Starlette(routes=[route], middleware=[Middleware(UploadsBound)]))
    answers = [client.post("/gradio_api/upload", content=bytes(1_400)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 507]
    check_sentence(answers[2].text)
    german = client.post(
        "/gradio_api/upload", content=bytes(1_400), headers={"Referer": "http://here:7860/de?x=1"}
    )
    assert german.text.startswith("Dieser Computer")
    for folder in (tmp_path / "uploads").iterdir():
        long_ago = time.time() - MAY_GO_AFTER - 60
        os.utime(folder / "file", (long_ago, long_ago))
    assert client.post("/gradio_api/upload", content=bytes(1_400)).status_code == 200
    assert len(list((tmp_path / "uploads").iterdir())) == 2  # the older one made room


def test_the_page_is_served_behind_that_bound() -> None:
    (first,) = launch_options()["app_kwargs"]["middleware"]
    assert first.cls is UploadsBound


def test_a_picture_file_above_the_bound(session, tmp_path, monkeypatch) -> None:
    path = write_image(coloured((1, 2, 3)), tmp_path / "a.png")
    limit(monkeypatch, images, max_file_bytes=path.stat().st_size - 1)
    (said,) = session.set_pictures(0, [path])
    check_sentence(said)
    assert "at most" in said
    assert session.rows[0].pictures == []


def test_pixels_above_the_bound_at_an_endpoint(endpoints, tmp_path) -> None:
    from PIL import Image

    side = int(LIMITS.max_decode_bytes**0.5) + 1
    path = tmp_path / "wide.png"
    Image.new("L", (side, side)).save(path)
    *_, (answer, maps) = endpoints.explain(str(path), "red")
    assert "megapixels" in refused(answer)
    assert maps is None


def test_pictures_a_class(session, tmp_path, monkeypatch) -> None:
    paths = write_images([numbered(i) for i in range(4)], tmp_path)
    limit(monkeypatch, session_module, max_pictures_per_class_page=3)
    (said,) = session.set_pictures(0, paths)
    check_sentence(said)
    assert len(session.rows[0].pictures) == 3


def test_classes_by_hand_and_of_a_set(session, endpoints, tmp_path, monkeypatch) -> None:
    for _ in range(2, LIMITS.max_classes_page):
        session.add_row()
    with pytest.raises(UserError, match="up to 10 classes"):
        session.add_row()
    limit(monkeypatch, session_module, max_classes=3)
    before = list(session.rows)
    with pytest.raises(DatasetError, match="4 classes"):
        open_zip(session, str(colours(tmp_path, classes=4)))
    assert session.rows == before
    assert "4 classes" in refused(teach(endpoints, colours(tmp_path, classes=4)))
    *_, (answer, _) = endpoints.explain(str(tmp_path / "x.png"), "a", "a, b, c, d")
    refused(answer)


def test_all_that_one_person_may_have(session, tmp_path, monkeypatch) -> None:
    first, second = write_images([numbered(1), numbered(2)], tmp_path)
    limit(monkeypatch, session_module, max_session_bytes=first.stat().st_size)
    (said,) = session.set_pictures(0, [first, second])
    check_sentence(said)
    assert [picture.name for picture in session.rows[0].pictures] == ["0.png"]


@pytest.mark.parametrize("kept", [True, False])
def test_all_that_everybody_may_have(tmp_path, kept) -> None:
    first, second = write_images([numbered(1), numbered(2)], tmp_path)
    home = tmp_path / "sessions" if kept else None
    store = SessionStore("tiny", max_disk_bytes=first.stat().st_size, home=home)
    one, other = store.open(None), store.open(None)
    assert one.set_pictures(0, [first]) == ()
    (said,) = other.set_pictures(0, [second])
    assert said == strings.SERVER_FULL
    assert store.get(one.key).rows[0].pictures, "whoever is at work keeps theirs"
    one.last_used = time.monotonic() - MAKE_ROOM_SECONDS - 1
    assert other.set_pictures(0, [second]) == ()
    with pytest.raises(UserError):
        store.get(one.key)


def test_the_length_of_an_instruction(endpoints, tmp_path) -> None:
    long = "Rank " + "a" * LIMITS.max_instruction
    with pytest.raises(RankingError, match="at most"):
        check_instruction(long)
    *_, (answer, table) = endpoints.rank(archive=str(colours(tmp_path)), instruction=long)
    assert "at most" in refused(answer)
    assert table is None


def test_the_length_of_a_class_name(session, endpoints, tmp_path) -> None:
    name = "n" * (LIMITS.max_class_name + 1)
    session.name_rows([name, "oak"])
    assert session.named_classes() == []
    path = tmp_path / "x.png"
    write_image(coloured((1, 2, 3)), path)
    *_, (answer, _) = endpoints.explain(str(path), "red", f"{name}, oak")
    assert "Shorten it" in refused(answer)


def test_the_length_of_words(endpoints, tmp_path) -> None:
    long = "{}" + "a" * LIMITS.max_template
    assert "Shorten" in refused(teach(endpoints, colours(tmp_path), template=long))
    with pytest.raises(PromptError, match="Shorten"):
        CompareSettings.parse("", [], long, False, 1, 1, "fast", 4, 1)
    with pytest.raises(UserError, match="Shorten"):
        check_question("a" * (LIMITS.max_template + 1), "auto")


def test_places_in_the_line_of_one_client(endpoints, tmp_path, monkeypatch) -> None:
    waiting = Line()
    monkeypatch.setattr(api, "TRAININGS", waiting)
    limit(monkeypatch, line, max_jobs=2)
    with waiting.join("somebody"), waiting.join("somebody"):
        answer = teach(endpoints, colours(tmp_path), request=Request("somebody"))
        assert "2 trainings of yours" in refused(answer)
        assert len(waiting._inside) + len(waiting._waiting) == 2
    assert teach(endpoints, colours(tmp_path), request=Request("somebody"))["status"] == "done"


def test_places_in_the_line_of_everybody(monkeypatch) -> None:
    limit(monkeypatch, line, max_in_line=1)
    waiting = Line()
    full = pytest.raises(UserError, match="Too many people")
    with waiting.join("one"), full, waiting.join("other"):
        pass


def test_a_training_ends_in_time_with_the_best_so_far(endpoints, tmp_path, monkeypatch) -> None:
    class Soon(progress.Deadline):
        def __init__(self) -> None:
            self.asked = 0

        @property
        def is_over(self) -> bool:
            self.asked += 1
            return self.asked > 12

    monkeypatch.setattr(actions, "Deadline", Soon)
    answer = teach(endpoints, colours(tmp_path), steps=4_000)
    assert answer["status"] == "done"
    assert answer["message"].startswith("It ended after 30 minutes")
    assert 0 < answer["steps"] < 4_000


def test_a_training_that_learns_nothing_in_time_says_so(endpoints, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(progress, "LIMITS", replace(LIMITS, max_training_seconds=0))
    never_seen = colours(tmp_path, seed=900)
    assert "Nothing was learned" in refused(teach(endpoints, never_seen))


@pytest.mark.parametrize("change", [{"shots": 65}, {"steps": 5_001}, {"context_length": 33}])
def test_shots_steps_and_context(endpoints, tmp_path, change) -> None:
    refused(teach(endpoints, colours(tmp_path), **change))


@pytest.mark.parametrize("key", ["x" * 10**6, "\0" * 32, "../" * 11, 7, 1.5, [], {}, b"k", True])
def test_a_key_that_was_guessed_or_is_none_gives_a_new_session(tmp_path, key) -> None:
    store = SessionStore("tiny", home=tmp_path / "sessions")
    mine = store.open(None)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError):
        store.get(key or "0")
    assert set(tmp_path.rglob("*")) == before
    assert store.open(key) is not mine
    made = set(tmp_path.rglob("*")) - before
    assert {one.relative_to(tmp_path).parts[0] for one in made} == {"sessions"}


def test_a_shared_key_is_the_same_person_by_design() -> None:
    store = SessionStore("tiny")
    mine = store.open(None)
    assert store.open(mine.key) is mine


def test_a_broken_picture_is_named_as_it_can_be_shown(session, tmp_path) -> None:
    path = tmp_path / "bad\u202egnp.png"
    path.write_bytes(b"no picture")
    (said,) = session.set_pictures(0, [path])
    check_sentence(said)
    with pytest.raises(PictureError):
        session.take(session_module.Picture("x", path))
