"""Looking at pictures in a session, on a tiny model."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import tiny_backbone

from coop_demo.datasets import Picture
from coop_demo.errors import UserError
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.templates import class_weights
from coop_demo.prompts.training import LearnedPrompt, TrainConfig
from coop_demo.ui import look_text as say
from coop_demo.ui import looking
from coop_demo.ui.looking import Looked, Subject
from coop_demo.ui.session import Session, SessionStore, Taught

NAMES = ("brick", "sea", "moss")


@pytest.fixture
def store() -> SessionStore:
    return SessionStore("tiny")


@pytest.fixture
def session(monkeypatch, store) -> Session:
    model = tiny_backbone()
    monkeypatch.setattr(looking, "shared_backbone", lambda name: model)
    return store.open(None)


@pytest.fixture
def picture(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, size=(40, 60, 3))
    path = tmp_path / "noise.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def teach(session: Session, *, class_specific: bool = False) -> None:
    """An untrained prompt whose class weights are those of another template."""
    model = tiny_backbone()
    config = PromptConfig(n_ctx=2, class_specific=class_specific)
    learner = PromptLearner(model.text_tower, model.tokenizer, NAMES, config)
    weights = class_weights(model, NAMES, ["{} in the sun"])
    prompt = LearnedPrompt(
        learner.ctx.detach(), weights, NAMES, config, TrainConfig(), model.identity
    )
    hand = class_weights(model, NAMES, ["a photo of a {}."])
    session.taught["tiny"] = Taught(prompt, "a photo of a {}.", hand, None, None, "loaded")


def last_look(session: Session, wanted: str, method: str = "auto") -> Looked:
    return list(looking.look(session, wanted, method))[-1]


def test_the_sample_scenes_know_what_is_on_them() -> None:
    found = looking.scenes()
    assert len(found) == 12
    assert all(2 <= len(subject.class_names) <= 4 for subject in found)
    assert found[0].class_names == ("zebra", "guitar")


def test_maps_come_first_and_the_check_second(session, picture) -> None:
    looking.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    first, second = looking.look(session, "sea", "auto")
    assert first.checks == ()
    assert first.words.maps.shape == (3, 4, 4)
    assert [title for title, _ in second.checks] == [say.WORDS]
    assert looking.looked_at(session) is second
    assert second.remark == say.NO_PROMPT


def test_a_learned_prompt_gets_its_own_map_difference_and_check(session, picture) -> None:
    teach(session)
    looking.choose(session, looking.dropped(session, str(picture)))
    looked = last_look(session, "Sea")
    assert looked.wanted == "sea"
    assert looked.learned is not None
    assert looked.difference is not None
    assert float(looked.difference[looked.index].abs().sum()) > 0
    assert [title for title, _ in looked.checks] == [say.WORDS, say.LEARNED]
    drawn = looking.drawings(looked)
    assert drawn.learned is not None
    assert drawn.words.size == drawn.learned.size == (60, 40)
    assert drawn.words.tobytes() != drawn.learned.tobytes()
    with zipfile.ZipFile(io.BytesIO(looking.zip_of(looked, opacity=0.7, cells=False))) as packed:
        assert len(packed.namelist()) == 9  # three classes, two prompts and the difference


def test_a_unified_prompt_is_applied_to_other_names_and_a_class_specific_one_is_not(
    session, picture
) -> None:
    subject = Subject(Picture("noise.png", picture).checked(), ("zebra", "guitar"))
    teach(session)
    looking.choose(session, subject)
    unified = last_look(session, "zebra")
    assert unified.learned is not None
    assert unified.remark == say.BORROWED
    teach(session, class_specific=True)
    own = last_look(session, "zebra")
    assert own.learned is None
    assert own.remark == say.CLASS_SPECIFIC


def test_a_free_text_is_set_against_the_classes_it_does_not_name(session, picture) -> None:
    looking.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    looked = last_look(session, "a red brick")
    assert looked.texts == ("a red brick", "sea", "moss")
    assert looked.index == 0
    assert looked.learned is None


def test_a_text_alone_is_explained_by_its_cosine(session, picture) -> None:
    looking.choose(session, looking.dropped(session, str(picture)))
    looked = last_look(session, "anything")
    assert looked.words.target == "cosine"
    assert looking.strip(looked) == []
    frame = looking.curve_frame(looked, "deletion")
    assert len(frame) == 22
    assert set(frame["series"]) == {say.WORDS, say.AT_RANDOM}


def test_opacity_and_cells_change_the_drawing_alone(session, picture) -> None:
    looking.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    looked = last_look(session, "sea")
    faint, strong = (looking.drawings(looked, opacity=o).words for o in (0.0, 1.0))
    seen = (10, 0, 50, 40)  # the square in the middle; the rest is paled
    assert faint.crop(seen).tobytes() == looked.image.crop(seen).tobytes()
    assert strong.tobytes() != faint.tobytes()
    cells = looking.drawings(looked, opacity=1.0, cells=True).words
    assert cells.tobytes() != strong.tobytes()


def test_the_maps_of_a_persons_pictures_come_as_one_zip(session, picture, tmp_path) -> None:
    other = tmp_path / "other.png"
    Image.open(picture).rotate(90).save(other)
    session.name_rows(["brick", "sea"])
    session.set_pictures(0, [picture])
    session.set_pictures(1, [other])
    *steps, (done, total, packed) = looking.maps_of_set(session, say.MINE, "auto", opacity=0.7)
    assert [step[:2] for step in steps] == [(1, 2), (2, 2)]
    assert (done, total) == (2, 2)
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert sorted(archive.namelist()) == [
            "noise.png-brick-hand-crafted.png",
            "other.png-sea-hand-crafted.png",
        ]


@pytest.mark.parametrize(
    ("wanted", "method", "sentence"),
    [
        ("", "auto", say.NOTHING_WANTED),
        ("x" * 301, "auto", say.WANTED_TOO_LONG),
        ("sea", "magic", "no method"),
        ("sea", "gradcam", "legrad"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(session, picture, wanted, method, sentence) -> None:
    looking.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    with pytest.raises(UserError) as caught:
        last_look(session, wanted, method)
    assert sentence in str(caught.value)


def test_without_a_picture_it_asks_for_one(session) -> None:
    with pytest.raises(UserError, match="Choose a picture"):
        last_look(session, "sea")
    with pytest.raises(UserError, match="no pictures in the tab Teach"):
        looking.subjects(session, say.MINE)
