"""The sets that ship are complete, small, free of overlap and say where they come from."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coop_demo.recipes.cutouts import EMOJI_FONT, STAMPS
from coop_demo.recipes.samples import build as sample_sets
from coop_demo.recipes.samples.build import ASSETS, DRAWN_PICTURES, TEST_PICTURES, TRAIN_PICTURES
from coop_demo.recipes.samples.invented import CREATURES, GRADES

TO_LEARN = ("everyday", "creatures", "biscuits")
FROM_STAMPS = ("everyday", "everyday_drawn", "counting", "conditions", "scenes")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def about(name: str) -> dict[str, object]:
    return json.loads((ASSETS / name / "set.json").read_text(encoding="utf-8"))


def test_every_set_of_the_recipe_ships_and_nothing_else_does():
    assert {path.name for path in ASSETS.iterdir() if path.is_dir()} == set(sample_sets.SETS)


@pytest.mark.parametrize("name", sample_sets.SETS)
def test_every_set_says_what_it_is_and_under_which_licence(name):
    said = about(name)
    for key in ("title", "description", "kind", "expect", "source", "licence"):
        assert str(said[key]).strip(), key
    assert said == dict(sample_sets.SETS[name].about), "run the recipe again"
    assert ("GPL-2.0" in str(said["licence"])) == (name in FROM_STAMPS)


def test_the_licences_are_beside_the_sets():
    assert "GNU GENERAL PUBLIC LICENSE" in (ASSETS / "LICENSE.GPL-2.txt").read_text()
    assert "CC0 1.0 Universal" in (ASSETS / "LICENSE.CC0-1.0.txt").read_text()
    readme = (ASSETS / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in readme for name in sample_sets.SETS)


def test_all_sets_together_stay_small():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*.jpg")) < 8_000_000


@pytest.mark.parametrize("name", TO_LEARN)
def test_every_class_has_pictures_to_learn_from_and_others_to_test_on(name):
    classes = rows(ASSETS / name / "classes.csv")
    assert 5 <= len(classes) <= 10
    for split, number in (("train", TRAIN_PICTURES), ("test", TEST_PICTURES)):
        folders = {path.name for path in (ASSETS / name / split).iterdir()}
        assert folders == {row["folder"] for row in classes}
        for folder in folders:
            assert len(list((ASSETS / name / split / folder).glob("*.jpg"))) == number
    assert "{}" in str(about(name)["template"])


def test_the_creatures_and_biscuits_are_those_of_the_recipe():
    assert {row["name"] for row in rows(ASSETS / "creatures" / "classes.csv")} == set(CREATURES)
    grades = {row["name"] for row in rows(ASSETS / "biscuits" / "classes.csv")}
    assert grades == {f"grade {grade}" for grade in GRADES}


def test_the_drawn_set_has_the_names_of_the_everyday_set_and_is_for_testing_only():
    assert rows(ASSETS / "everyday_drawn" / "classes.csv") == rows(
        ASSETS / "everyday" / "classes.csv"
    )
    assert not (ASSETS / "everyday_drawn" / "train").exists()
    for folder in (ASSETS / "everyday_drawn" / "test").iterdir():
        assert len(list(folder.glob("*.jpg"))) == DRAWN_PICTURES


def test_every_picture_is_rgb_and_of_a_sensible_size():
    for path in ASSETS.rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.mode == "RGB", path
            assert 224 <= min(image.size) <= 320, path


def test_no_picture_is_there_twice():
    contents = [path.read_bytes() for path in ASSETS.rglob("*.jpg")]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize("name", FROM_STAMPS)
def test_every_picture_made_from_cut_outs_names_them(name):
    named = rows(ASSETS / name / "cutouts.csv")
    pictures = {
        path.relative_to(ASSETS / name).as_posix() for path in (ASSETS / name).rglob("*.jpg")
    }
    assert {row["picture"] for row in named} == pictures
    assert {row["source"] for row in named} <= {"tuxpaint-stamps", "noto-emoji"}
    assert all(row["cutout"] for row in named)


def test_training_and_test_show_different_objects():
    named = rows(ASSETS / "everyday" / "cutouts.csv")
    train = {row["cutout"] for row in named if row["picture"].startswith("train/")}
    test = {row["cutout"] for row in named if row["picture"].startswith("test/")}
    assert train
    assert test
    assert not train & test


def test_the_order_of_the_counting_scenes_turns_with_the_instruction():
    labels = rows(ASSETS / "counting" / "labels.csv")
    apples, oranges = (
        {row["image"]: float(row["value"]) for row in labels if row["category"] == category}
        for category in ("apples", "oranges")
    )
    assert len(apples) == len(oranges) == 24
    assert all((ASSETS / "counting" / image).is_file() for image in apples)
    values = np.array([[apples[image], oranges[image]] for image in apples])
    assert len(np.unique(values[:, 0])) >= 8
    assert len(np.unique(values[:, 1])) >= 8
    assert abs(np.corrcoef(values.T)[0, 1]) < 0.4
    prompts = {row["category"]: row["prompt"] for row in labels}
    assert prompts["apples"] == "Rank the numbers of apples."
    assert set(prompts.values()) == set(about("counting")["instructions"])  # type: ignore[call-overload]


def test_the_conditions_are_labelled_as_they_look():
    labels = rows(ASSETS / "conditions" / "labels.csv")
    for row in labels:
        if row["category"] == "brightness":
            with Image.open(ASSETS / "conditions" / row["image"]) as image:
                grey = np.asarray(image.convert("L")).mean() / 255
            assert float(row["value"]) == pytest.approx(grey, abs=0.01)
    values = {
        category: [float(row["value"]) for row in labels if row["category"] == category]
        for category in ("brightness", "sharpness")
    }
    assert abs(np.corrcoef(values["brightness"], values["sharpness"])[0, 1]) < 0.4


def test_the_boxes_of_the_scenes_lie_in_their_pictures():
    scenes = json.loads((ASSETS / "scenes" / "objects.json").read_text(encoding="utf-8"))
    assert len(scenes) == 12
    for picture, objects in scenes.items():
        with Image.open(ASSETS / "scenes" / "pictures" / picture) as image:
            width, height = image.size
        assert 2 <= len(objects) <= 4
        assert len({thing["name"] for thing in objects}) == len(objects)
        for thing in objects:
            left, top, right, bottom = thing["box"]
            assert 0 <= left < right <= width
            assert 0 <= top < bottom <= height


@pytest.mark.skipif(
    not (STAMPS.is_dir() and EMOJI_FONT.is_file()),
    reason="needs Debian's tuxpaint-stamps-default and fonts-noto-color-emoji",
)
def test_the_recipe_rebuilds_a_shipped_set(tmp_path):
    sample_sets.main(["scenes", "--out", str(tmp_path)])
    for path in sorted((ASSETS / "scenes").rglob("*")):
        rebuilt = tmp_path / "scenes" / path.relative_to(ASSETS / "scenes")
        if path.suffix == ".jpg":  # the JPEG writer may differ, the picture may not
            with Image.open(path) as shipped, Image.open(rebuilt) as again:
                error = np.asarray(shipped, np.float32) - np.asarray(again, np.float32)
            assert np.abs(error).mean() < 1
        elif path.is_file():
            assert rebuilt.read_text() == path.read_text()
