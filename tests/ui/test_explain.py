"""Looking at pictures in a session, on a tiny model."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from images import noise, write_image
from PIL import Image
from tiny import tiny_backbone

from coop_demo.data.dataset import Picture
from coop_demo.errors import UserError
from coop_demo.heatmaps.faithfulness import Curve
from coop_demo.languages import look as explain_strings
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.templates import class_weights
from coop_demo.prompts.training import LearnedPrompt, TrainConfig
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain.state import AT_RANDOM, LEARNED, MEANINGLESS, MINE, WORDS, Looked, Subject
from coop_demo.ui.session import Session, Taught
from coop_demo.ui.store import SessionStore

NAMES = ("brick", "sea", "moss")


@pytest.fixture
def store() -> SessionStore:
    return SessionStore("tiny")


@pytest.fixture
def session(monkeypatch, store) -> Session:
    model = tiny_backbone()
    monkeypatch.setattr(explain_actions, "shared_backbone", lambda name: model)
    return store.open(None)


@pytest.fixture
def picture(tmp_path) -> Path:
    return write_image(noise(), tmp_path / "noise.png")


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
    return list(explain_actions.look(session, wanted, method))[-1]


def test_the_sample_scenes_know_what_is_on_them() -> None:
    found = explain_actions.scenes()
    assert len(found) == 12
    assert all(2 <= len(subject.class_names) <= 4 for subject in found)
    assert found[0].class_names == ("zebra", "guitar")


def test_what_was_asked_for_last_is_what_is_kept(session, picture) -> None:
    subject = Subject(Picture("noise.png", picture).checked(), NAMES)
    explain_actions.choose(session, subject)
    older = explain_actions.look(session, "sea", "auto")
    assert next(older).wanted == "sea"
    assert last_look(session, "moss").wanted == "moss"
    assert list(older) == []  # its check would stand under the maps of another class
    kept = explain_actions.looked_at(session)
    assert kept.wanted == "moss"
    assert kept.checks
    interrupted = explain_actions.look(session, "sea", "auto")
    next(interrupted)
    explain_actions.choose(session, subject)  # another click on a picture
    assert list(interrupted) == []
    assert explain_actions.looked_at(session) is None


def test_maps_come_first_and_the_check_second(session, picture) -> None:
    explain_actions.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    first, second = explain_actions.look(session, "sea", "auto")
    assert first.checks == ()
    assert first.words.maps.shape == (3, 4, 4)
    assert [title for title, _ in second.checks] == [WORDS]
    assert explain_actions.looked_at(session) is second
    assert second.remark == explain_strings.NO_PROMPT


def test_a_learned_prompt_gets_its_own_map_difference_and_check(session, picture) -> None:
    teach(session)
    explain_actions.choose(session, explain_actions.dropped(session, str(picture)))
    looked = last_look(session, "Sea")
    assert looked.wanted == "sea"
    assert looked.learned is not None
    assert looked.difference is not None
    assert float(looked.difference[looked.index].abs().sum()) > 0
    assert [title for title, _ in looked.checks] == [WORDS, LEARNED]
    drawn = explain_actions.drawings(looked)
    assert drawn.learned is not None
    assert drawn.words.size == drawn.learned.size == (60, 40)
    assert drawn.words.tobytes() != drawn.learned.tobytes()
    with zipfile.ZipFile(
        io.BytesIO(explain_actions.zip_of(looked, opacity=0.7, cells=False))
    ) as packed:
        assert len(packed.namelist()) == 9  # three classes, two prompts and the difference


@pytest.mark.slow
def test_a_unified_prompt_is_applied_to_other_names_and_a_class_specific_one_is_not(
    session, picture
) -> None:
    subject = Subject(Picture("noise.png", picture).checked(), ("zebra", "guitar"))
    teach(session)
    explain_actions.choose(session, subject)
    unified = last_look(session, "zebra")
    assert unified.learned is not None
    assert unified.remark == explain_strings.BORROWED
    teach(session, class_specific=True)
    own = last_look(session, "zebra")
    assert own.learned is None
    assert own.remark == explain_strings.CLASS_SPECIFIC


def test_a_free_text_is_set_against_the_classes_it_does_not_name(session, picture) -> None:
    explain_actions.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    looked = last_look(session, "a red brick")
    assert looked.texts == ("a red brick", "sea", "moss")
    assert looked.index == 0
    assert looked.learned is None


def test_a_text_alone_is_explained_by_its_cosine(session, picture) -> None:
    explain_actions.choose(session, explain_actions.dropped(session, str(picture)))
    looked = last_look(session, "anything")
    assert looked.words.target == "cosine"
    assert explain_actions.strip(looked) == []
    drawn = explain_actions.curves(looked, "deletion")
    assert [name for name, _ in drawn] == [
        WORDS,
        AT_RANDOM,
        MEANINGLESS,
    ]
    chart = explain_html.curve_chart(looked, "deletion")
    assert chart.count("<circle") == 33
    assert all(f"{explain_html.title_of(name)} {curve.area:.2f}" in chart for name, curve in drawn)


def test_opacity_and_cells_change_the_drawing_alone(session, picture) -> None:
    explain_actions.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    looked = last_look(session, "sea")
    faint, strong = (explain_actions.drawings(looked, opacity=o).words for o in (0.0, 1.0))
    seen = (10, 0, 50, 40)  # the square in the middle; the rest is paled
    assert faint.crop(seen).tobytes() == looked.image.crop(seen).tobytes()
    assert strong.tobytes() != faint.tobytes()
    cells = explain_actions.drawings(looked, opacity=1.0, cells=True).words
    assert cells.tobytes() != strong.tobytes()


def test_the_maps_of_a_persons_pictures_come_as_one_zip(session, picture, tmp_path) -> None:
    other = tmp_path / "other.png"
    Image.open(picture).rotate(90).save(other)
    session.name_rows(["brick", "sea"])
    session.set_pictures(0, [picture])
    session.set_pictures(1, [other])
    *steps, last = explain_actions.maps_of_set(session, MINE, "auto", opacity=0.7)
    assert [step[:2] for step in steps] == [(1, 2), (2, 2)]
    done, total, packed, remark = last
    assert (done, total, remark) == (2, 2, "")
    assert packed is not None
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert sorted(archive.namelist()) == [
            "noise.png-brick-hand-crafted.png",
            "other.png-sea-hand-crafted.png",
        ]


@pytest.mark.parametrize(
    ("wanted", "method", "sentence"),
    [
        ("", "auto", explain_strings.NOTHING_WANTED),
        ("x" * 301, "auto", explain_strings.WANTED_TOO_LONG),
        ("sea", "magic", "no method"),
        ("sea", "gradcam", "legrad"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(session, picture, wanted, method, sentence) -> None:
    explain_actions.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    with pytest.raises(UserError) as caught:
        last_look(session, wanted, method)
    assert sentence in str(caught.value)


def test_without_a_picture_it_asks_for_one(session) -> None:
    with pytest.raises(UserError, match="Choose a picture"):
        last_look(session, "sea")
    with pytest.raises(UserError, match="no pictures in the tab Teach"):
        explain_actions.subjects(session, MINE)


def test_pictures_of_one_name_keep_maps_of_their_own_in_the_zip(session, picture, tmp_path) -> None:
    (tmp_path / "again").mkdir()
    other = tmp_path / "again" / "noise.png"
    Image.open(picture).rotate(90).save(other)
    session.name_rows(["brick", "sea"])
    session.set_pictures(0, [picture, other])
    *_, (_, _, packed, _) = explain_actions.maps_of_set(session, MINE, "auto", opacity=0.7)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert len(archive.namelist()) == 2
        assert len({archive.read(name) for name in archive.namelist()}) == 2


def test_pictures_without_a_class_are_left_out_and_counted(session, picture, tmp_path) -> None:
    session.name_rows(["brick", ""])
    session.set_pictures(0, [picture])
    other = tmp_path / "other.png"
    Image.open(picture).rotate(90).save(other)
    session.set_pictures(1, [other])
    with session.lock:
        session.rows[0].name = ""
    with pytest.raises(UserError, match="None of these pictures has a class name"):
        list(explain_actions.maps_of_set(session, MINE, "auto", opacity=0.7))
    assert (
        explain_strings.drawn_set(1, 2, 1, 40)
        == "One picture has no class to look for and was left out."
    )
    assert explain_strings.drawn_set(40, 63, 3, 40).endswith(
        "The first 40 of 60 pictures were drawn."
    )


def test_only_methods_that_fit_the_model_are_offered(session) -> None:
    offered = explain_actions.fitting_methods("tiny")
    assert [name for _, name in offered] == ["auto", "rollout", "occlusion"]
    assert offered[0][0].startswith("LeGrad")


def test_a_picture_chosen_elsewhere_is_fresh_until_it_is_taken_up(session, picture) -> None:
    assert not explain_actions.is_fresh(session)
    explain_actions.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    assert explain_actions.is_fresh(session)
    assert explain_actions.taken_up(session)
    assert not explain_actions.taken_up(session)


def test_a_picture_offered_stays_itself_when_the_classes_change(session, picture, tmp_path) -> None:
    other = tmp_path / "other.png"
    Image.open(picture).rotate(90).save(other)
    session.name_rows(["brick", "sea"])
    session.set_pictures(0, [picture])
    session.set_pictures(1, [other])
    shown, n = explain_actions.offer(session, MINE)
    assert n == 2
    session.set_pictures(0, [])
    assert explain_actions.offered(session, 1) is shown[1]
    for wrong in (2, -1, None, "0"):
        with pytest.raises(UserError, match="not in the list any more"):
            explain_actions.offered(session, wrong)


def test_maps_are_files_whose_names_say_what_they_are(session, picture) -> None:
    explain_actions.choose(session, Subject(Picture("noise.png", picture).checked(), NAMES))
    looked = last_look(session, "sea")
    paths = []
    for name in ("noise.png-sea", "狼" * 300, *(f"p{i}" for i in range(12))):
        drawn = explain_actions.drawings(looked)
        paths.append(explain_actions.saved_png(session, "hand-crafted", name, drawn.words))
    assert paths[0].name == "noise.png-sea-hand-crafted.png"
    assert all(len(path.name.encode()) <= 255 for path in paths)
    assert paths[-1].is_file()
    assert len(list(paths[-1].parent.iterdir())) == 8


def test_the_small_maps_of_all_classes_show_the_same_place(session, tmp_path) -> None:
    wide = write_image(noise(size=(800, 500)), tmp_path / "wide.png")
    explain_actions.choose(session, Subject(Picture("wide.png", wide).checked(), NAMES))
    looked = last_look(session, "sea")
    small = [picture for picture, _ in explain_actions.strip(looked, opacity=1.0, cells=True)]
    assert {picture.size for picture in small} == {(320, 200)}
    large = explain_actions.drawings(looked, opacity=1.0, cells=True).words
    assert large.size == (640, 400)
    shrunk = np.asarray(large.resize((320, 200)), float)
    assert np.abs(shrunk - np.asarray(small[1], float)).mean() < 12  # resampling of noise alone


@pytest.mark.parametrize("opacity", [None, "x", float("nan"), float("inf"), -3, 7])
def test_any_opacity_of_a_raw_request_is_held_to_its_range(opacity) -> None:
    assert 0 <= explain_html.held(opacity) <= 1


def test_a_flat_curve_lies_inside_its_plot() -> None:
    flat = Curve((0.0, 1.0), (0.2, 0.2))
    low, high = explain_html._range([flat])
    assert low < 0.2 < high
