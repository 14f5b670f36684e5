"""Composed scenes say exactly what they hold."""

from itertools import pairwise

import numpy as np
import pytest
from images import disc
from PIL import Image

from coop_demo.errors import DatasetError
from coop_demo.recipes.cutouts import (
    Cutout,
    by_noun,
    crop_to_visible,
    load_emoji,
    load_stamps,
    plain_name,
)
from coop_demo.recipes.samples.invented import CREATURES, GRADES, biscuit, creature
from coop_demo.recipes.scenes import (
    BACKGROUNDS,
    DEGRADATIONS,
    Item,
    background,
    compose,
    counting_scene,
    degrade,
    grade,
    portrait,
)

RED, BLUE = (230, 20, 20), (20, 40, 230)


def cutout(name: str, colour: tuple[int, int, int]) -> Cutout:
    return Cutout(name, "test", "drawing", "test", f"test/{name}", disc(colour))


@pytest.fixture
def library() -> dict[str, list[Cutout]]:
    return {"apple": [cutout("red apple", RED)], "plum": [cutout("blue plum", BLUE)]}


def test_the_same_seed_gives_the_same_scene_and_another_seed_another():
    items = [Item("red", disc(RED)), Item("blue", disc(BLUE))]
    first, again, other = (compose(items, size=(96, 80), seed=seed) for seed in (5, 5, 6))
    assert first.image.tobytes() == again.image.tobytes()
    assert all(
        np.array_equal(a.mask, b.mask) for a, b in zip(first.objects, again.objects, strict=True)
    )
    assert first.image.tobytes() != other.image.tobytes()


def test_a_scene_has_the_size_asked_for_and_masks_of_it():
    scene = compose([Item("red", disc(RED))], size=(101, 77), seed=0)
    assert scene.image.size == (101, 77)
    assert scene.image.mode == "RGB"
    assert scene.objects[0].mask.shape == (77, 101)


def test_a_mask_covers_the_pixels_of_its_object():
    for seed in range(10):
        scene = compose(
            [Item("red", disc(RED)), Item("blue", disc(BLUE))],
            size=(160, 160),
            seed=seed,
            lighting=0.0,
            shadow=0.0,
            on="paper",
        )
        pixels = np.asarray(scene.image, np.float32)
        red, blue = (placed.mask for placed in scene.objects)
        assert pixels[red][:, 0].mean() > 2 * pixels[red][:, 2].mean()
        assert pixels[blue][:, 2].mean() > 2 * pixels[blue][:, 0].mean()
        # Paper has colours of at most a quarter's saturation: nothing strongly coloured is missed.
        strong = pixels.max(2) - pixels.min(2) > 0.6 * pixels.max(2)
        assert (strong & ~(red | blue)).mean() < 0.01


def test_a_box_is_the_smallest_around_its_mask():
    scene = compose([Item("red", disc(RED))], size=(120, 120), seed=3)
    left, top, right, bottom = scene.objects[0].box
    mask = scene.objects[0].mask
    inside = mask[top:bottom, left:right]
    assert inside.sum() == mask.sum()
    assert inside[0].any()
    assert inside[-1].any()
    assert inside[:, 0].any()
    assert inside[:, -1].any()


def test_masks_are_disjoint_and_objects_hide_little_of_each_other():
    items = [Item(str(i), disc(RED)) for i in range(8)]
    for seed in range(5):
        scene = compose(
            items, size=(200, 200), seed=seed, scale=(0.2, 0.3), max_overlap=0.1, rotation=0
        )
        masks = np.stack([placed.mask for placed in scene.objects])
        assert masks.sum(0).max() == 1
        for placed in scene.objects:
            left, top, right, bottom = placed.box
            whole = np.pi / 4 * max(right - left, bottom - top) ** 2
            # Each may be overlapped by several; the grid of four pixels is coarse at this size.
            assert placed.mask.sum() > 0.5 * whole


def test_a_counting_scene_holds_exactly_the_counts(library):
    for seed in range(12):
        counts = {"apple": seed, "plum": (7 * seed) % 12}
        scene = counting_scene(counts, library, size=(192, 192), seed=seed)
        assert scene.counts() == {name: number for name, number in counts.items() if number}
        assert all(placed.mask.sum() >= 12 for placed in scene.objects)


def test_kinds_left_out_of_the_library_cannot_be_placed(library):
    with pytest.raises(KeyError, match="pear"):
        counting_scene({"pear": 1}, library, seed=0)


def test_the_mask_of_a_label_is_the_union_of_its_objects(library):
    scene = counting_scene({"apple": 3, "plum": 2}, library, size=(128, 128), seed=1)
    apples = [placed.mask for placed in scene.objects if placed.label == "apple"]
    assert len(apples) == 3
    assert np.array_equal(scene.mask("apple"), np.any(apples, axis=0))
    assert not (scene.mask("apple") & scene.mask("plum")).any()


def test_a_portrait_shows_one_large_object():
    scene = portrait(Item("red", disc(RED)), size=(100, 100), seed=2)
    assert len(scene.objects) == 1
    assert 0.15 < scene.objects[0].mask.mean() < 0.9


@pytest.mark.parametrize("kind", list(BACKGROUNDS))
def test_every_background_stays_in_range_and_varies(kind):
    first, named = background(np.random.default_rng(1), (64, 48), kind=kind)
    other, _ = background(np.random.default_rng(2), (64, 48), kind=kind)
    assert named == kind
    assert first.shape == (48, 64, 3)
    assert np.isfinite(first).all()
    assert first.min() >= 0
    assert first.max() <= 1
    assert np.abs(first - other).mean() > 0.01


def sharpness(image: Image.Image) -> float:
    grey = np.asarray(image.convert("L"), np.float32)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def colourfulness(image: Image.Image) -> float:
    pixels = np.asarray(image, np.float32)
    return float((pixels.max(2) - pixels.min(2)).mean())


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    items = [Item("red", disc(RED)), Item("blue", disc(BLUE))]
    return compose(items, size=(160, 160), seed=11, on="stone").image


def test_a_higher_level_degrades_more(picture):
    reference = np.asarray(picture, np.float32)
    for kind in DEGRADATIONS:
        levels = [degrade(picture, kind, level, seed=1) for level in (0.0, 0.3, 0.6, 1.0)]
        assert levels[0].tobytes() == picture.tobytes()
        error = [np.abs(np.asarray(image, np.float32) - reference).mean() for image in levels]
        assert error == sorted(error)
        assert error[1] > 0.3, kind


def test_each_degradation_changes_what_it_is_named_for(picture):
    assert sharpness(degrade(picture, "blur", 1.0)) < 0.5 * sharpness(picture)
    assert sharpness(degrade(picture, "noise", 1.0)) > 2 * sharpness(picture)
    dark = np.asarray(degrade(picture, "darkness", 1.0), np.float32).mean()
    assert dark == pytest.approx(0.1 * np.asarray(picture, np.float32).mean(), rel=0.1)
    assert colourfulness(degrade(picture, "colourfulness", 1.0)) == 0
    half = colourfulness(degrade(picture, "colourfulness", 0.5))
    assert half == pytest.approx(0.5 * colourfulness(picture), rel=0.1)


def test_a_degradation_refuses_what_it_does_not_know(picture):
    with pytest.raises(ValueError, match=r"from 0 to 1, got 1\.5"):
        degrade(picture, "blur", 1.5)
    with pytest.raises(ValueError, match="choose one of blur"):
        degrade(picture, "rain", 0.5)  # type: ignore[arg-type]


def test_names_lose_their_articles_and_quotes():
    assert plain_name("A “Fuji” apple.") == "Fuji apple"
    assert plain_name("An albino peahen (a female peafowl, or peacock).") == "albino peahen"
    assert plain_name("A pair of cherries.") == "cherries"
    assert plain_name("Tux—the Linux mascot!") == "Tux"


def test_cut_outs_are_grouped_by_the_last_word(library):
    groups = by_noun([*library["apple"], cutout("green apple", BLUE), *library["plum"]])
    assert {noun: len(group) for noun, group in groups.items()} == {"apple": 2, "plum": 1}


def test_a_cut_out_is_cropped_to_what_can_be_seen():
    image = Image.new("RGBA", (100, 100))
    image.paste(disc(RED, 20), (50, 30))
    cropped = crop_to_visible(image)
    assert cropped is not None
    assert cropped.size == (20, 20)
    assert crop_to_visible(Image.new("RGBA", (9, 9))) is None


def test_stamps_are_read_with_their_names_kinds_and_styles(tmp_path):
    for folder, name, text in (
        ("food/fruit", "quince", "A ripe quince."),
        ("food/fruit/cartoon", "quince", "A drawn quince."),
        ("food/fruit", "quince_mirror", ""),
    ):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        disc(RED, 80).save(tmp_path / folder / f"{name}.png")
        (tmp_path / folder / f"{name}.txt").write_text(text + "\nfr.utf8=Un coing.\n")
    photographs = load_stamps(tmp_path)
    assert [(c.name, c.kind, c.style, c.key) for c in photographs] == [
        ("ripe quince", "food/fruit", "photograph", "food/fruit/quince.png")
    ]
    assert [c.style for c in load_stamps(tmp_path, styles=("drawing",))] == ["drawing"]


def test_a_missing_source_says_what_to_install(tmp_path):
    with pytest.raises(DatasetError, match="tuxpaint-stamps-default"):
        load_stamps(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="fonts-noto-color-emoji"):
        load_emoji("🍎", font=tmp_path / "nothing.ttf")


@pytest.mark.parametrize("species", list(CREATURES))
def test_every_creature_is_a_cut_out_that_differs_between_individuals(species):
    one, same, other = (creature(species, seed=seed, side=64) for seed in (1, 1, 2))
    assert one.mode == "RGBA"
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()
    alpha = np.asarray(one.getchannel("A"))
    assert 0.15 < (alpha > 128).mean() < 0.95


def test_biscuit_grades_look_as_they_are_described():
    def look(grade: str) -> tuple[float, float]:
        """Mean brightness, and the part of the bounding box that is covered."""
        values = []
        for seed in range(4):
            pixels = np.asarray(biscuit(grade, seed=seed, side=64), np.float32)
            solid = pixels[..., 3] > 128
            values.append((pixels[solid][:, :3].mean(), solid.mean()))
        return tuple(np.mean(values, axis=0))

    seen = {grade: look(grade) for grade in GRADES}
    assert seen["D"][0] < 0.6 * seen["A"][0]  # burnt
    assert seen["B"][0] > seen["A"][0]  # fewer dark chips
    assert seen["C"][1] < 0.93 * seen["A"][1]  # a piece is missing
    assert seen["E"][1] < 0.93 * seen["A"][1]  # two discs leave more of their box free
    with pytest.raises(KeyError):
        biscuit("F", seed=0)


@pytest.mark.parametrize("kind", ["blur", "jpeg", "noise", "darkness"])
def test_a_grade_moves_the_picture_further_with_every_level(picture, kind):
    original = np.asarray(picture.convert("RGB"), np.float32)
    graded = [grade(picture, kind, level, seed=1) for level in (0, 1, 1.5, 2, 3, 4)]
    far = [np.abs(np.asarray(one, np.float32) - original).mean() for one in graded]
    assert far[0] == 0
    assert all(a < b for a, b in pairwise(far))


def test_grades_outside_the_scale_are_refused(picture):
    with pytest.raises(ValueError, match="from 0 to 4"):
        grade(picture, "blur", 4.5)
    with pytest.raises(ValueError, match="has no grades"):
        grade(picture, "colourfulness", 1)
