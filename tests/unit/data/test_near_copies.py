"""A picture that was saved again is known again; another picture of its class is not."""

from __future__ import annotations

import numpy as np
import pytest
from images import saved_again, shapes
from PIL import Image, ImageDraw, ImageFilter

from coop_demo.data.dataset import Picture
from coop_demo.data.near_copies import (
    MAX_DISTANCE,
    near_copies,
    near_copy_notes,
    picture_hash,
)
from coop_demo.samples import find_sample

COPIES = {
    "re-encoded": lambda image: saved_again(image, 40),
    "half size": lambda image: image.resize((120, 90)),
    "thumbnail": lambda image: image.resize((60, 45)),
    "larger": lambda image: image.resize((480, 360)),
    "softened": lambda image: image.filter(ImageFilter.GaussianBlur(1)),
    "brighter": lambda image: image.point(lambda level: min(255, level + 8)),
    "twice saved": lambda image: saved_again(saved_again(image, 60).resize((200, 150)), 70),
}


@pytest.mark.parametrize("change", COPIES)
def test_a_changed_copy_is_within_the_threshold(change):
    for seed in range(12):
        one, other = picture_hash(shapes(seed)), picture_hash(COPIES[change](shapes(seed)))
        assert one is not None
        assert other is not None
        assert (one ^ other).bit_count() <= MAX_DISTANCE


def test_different_pictures_are_far_apart():
    hashes = [picture_hash(shapes(seed)) or 0 for seed in range(60)]
    distances = [(a ^ b).bit_count() for i, a in enumerate(hashes) for b in hashes[:i]]
    assert min(distances) > 2 * MAX_DISTANCE


def test_the_hash_is_what_its_definition_says():
    from scipy.fft import dct

    grey = np.asarray(shapes(3).convert("L").resize((32, 32), Image.Resampling.LANCZOS), float)
    low = dct(dct(grey, axis=0), axis=1)[:8, :8].ravel()
    bits = "".join(str(int(value > np.median(low[1:]))) for value in low)
    # scipy's first row counts double and so does the first column: signs are not touched
    different = (picture_hash(shapes(3)) or 0) ^ int(bits, 2)
    assert different.bit_count() <= 1


def test_a_picture_of_one_colour_looks_like_nothing():
    assert picture_hash(Image.new("RGB", (50, 50), "red")) is None
    flat = [Picture("a", Image.new("RGB", (50, 50), "red"))]
    assert near_copies(flat, [Picture("b", Image.new("RGB", (60, 60), "red"))]) == []


def test_suspected_pairs_are_named_across_two_lists():
    train = [Picture(f"train/{i}.png", shapes(i)) for i in range(8)]
    test = [Picture(f"test/{i}.png", shapes(100 + i)) for i in range(8)]
    test[2] = Picture("test/again.jpg", saved_again(shapes(5), 50))
    test[4] = Picture("test/small.jpg", shapes(1).resize((80, 60)))
    pairs = near_copies(train, test)
    assert {(pair.first.name, pair.second.name) for pair in pairs} == {
        ("train/5.png", "test/again.jpg"),
        ("train/1.png", "test/small.jpg"),
    }
    assert all(pair.distance <= MAX_DISTANCE for pair in pairs)
    assert pairs == sorted(pairs, key=lambda pair: pair.distance)
    notes = near_copy_notes(pairs, "training", "test")
    assert len(notes) == 3
    assert '"test/again.jpg" (test) looks like "train/5.png" (training).' in notes
    assert notes[-1] == (
        "2 test pictures nearly the same as some training pictures: look at them, and remove "
        "copies."
    )
    assert near_copy_notes([], "training", "test") == []


def test_exact_copies_and_unreadable_pictures_are_passed_over():
    one = Picture("a.png", shapes(1)).checked()
    same = Picture("b.png", shapes(1)).checked()
    broken = Picture("c.png", b"junk")
    assert near_copies([one, broken], [same, broken]) == []
    assert len(near_copies([Picture("a.png", shapes(1))], [Picture("b.png", shapes(1))])) == 1


def test_the_same_shape_in_another_colour_is_another_picture():
    red = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(red).ellipse((20, 30, 70, 90), fill=(220, 40, 40))
    blue = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(blue).ellipse((20, 30, 70, 90), fill=(40, 90, 250))
    assert near_copies([Picture("red", red)], [Picture("blue", blue)]) == []


@pytest.mark.parametrize("name", ["everyday", "biscuits"])
def test_no_picture_of_a_sample_set_is_suspected_of_another(name):
    folder = find_sample(name).folder
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".jpg", ".png", ".webp"))
    pictures = [Picture(path.name, path) for path in paths][::3]
    half = len(pictures) // 2
    assert near_copies(pictures[:half], pictures[half:]) == []
