"""Overlays mark what the map marks, where it marks it; files of them are safe and repeatable."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import torch
from images import grey
from PIL import Image

from coop_demo.errors import HeatmapError
from coop_demo.heatmaps.attribution import Grid
from coop_demo.heatmaps.render import LESS, MORE, draw, overlay, png_bytes, zip_bytes

GREY = grey(128, size=(40, 20))


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.int32)


def test_unmarked_places_stay_as_they_are_and_the_strongest_is_dark_red():
    values = torch.zeros(20, 40)
    values[:, 30:] = 2.0
    drawn = pixels(overlay(GREY, values, opacity=1.0))
    assert (drawn[:, :25] == 128).all()
    assert (drawn[:, 35:] == (177, 0, 38)).all()


def test_opacity_nothing_shows_the_picture_and_full_hides_it():
    values = torch.ones(20, 40)
    assert (pixels(overlay(GREY, values, opacity=0.0)) == 128).all()
    half = pixels(overlay(GREY, values, opacity=0.5))
    assert np.abs(half - (152, 64, 83)).max() <= 1


def test_two_sided_maps_have_a_colour_for_more_and_one_for_less():
    values = torch.zeros(20, 40)
    values[:, :10], values[:, 30:] = 1.0, -1.0
    drawn = pixels(overlay(GREY, values, opacity=1.0, two_sided=True))
    assert (drawn[:, :8] == MORE).all()
    assert (drawn[:, 32:] == LESS).all()
    assert (drawn[:, 15:25] == 128).all()


def test_the_map_lies_in_its_box_and_what_the_model_did_not_see_is_paled():
    drawn = pixels(overlay(GREY, torch.ones(8, 8), box=(10, 0, 30, 20), opacity=1.0))
    assert (drawn[:, 12:28] == (177, 0, 38)).all()
    assert (drawn[:, :10] == 192).all()
    assert (drawn[:, 30:] == 192).all()


def test_a_box_larger_than_the_picture_is_cut():
    drawn = overlay(GREY, torch.ones(8, 8), box=(0, -10, 40, 30), opacity=1.0)
    assert drawn.size == GREY.size
    assert (pixels(drawn) == (177, 0, 38)).all()


def test_an_empty_or_one_valued_negative_map_marks_nothing():
    for values in (torch.zeros(4, 4), -torch.ones(4, 4)):
        assert (pixels(overlay(GREY, values)) == 128).all()


def test_a_common_scale_makes_two_maps_comparable():
    grid = Grid((1, 1), (20, 40))
    maps = torch.tensor([[[1.0]], [[4.0]]])
    own = [draw(GREY, grid, one) for one in maps]
    common = [draw(GREY, grid, one, scale=4.0) for one in maps]
    assert (pixels(own[0]) == pixels(own[1])).all()
    assert (pixels(common[1]) == pixels(own[1])).all()
    assert (pixels(common[0]) != pixels(own[0])).any()


def test_the_true_resolution_shows_whole_cells():
    grid = Grid((2, 2), (20, 40))
    drawn = pixels(draw(GREY, grid, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), smooth=False))
    assert len(np.unique(drawn[:10, :19].reshape(-1, 3), axis=0)) == 1
    assert (drawn[11:, 21:] == 128).all()


def test_opacity_outside_its_range_is_refused():
    with pytest.raises(HeatmapError, match=r"0 to 1; it is 1\.5"):
        overlay(GREY, torch.ones(2, 2), opacity=1.5)


def test_the_same_maps_give_the_same_zip():
    assert zip_bytes({"a": GREY, "b": GREY}) == zip_bytes({"a": GREY, "b": GREY})


def test_a_zip_holds_every_map_under_a_safe_name():
    pictures = {"a dog/../x": GREY, "A dog/../x": GREY, "": GREY, "Käfer 3": GREY}
    data = zip_bytes(pictures)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        assert len({name.casefold() for name in names}) == 4
        assert not any("/" in name or name.startswith(".") for name in names)
        with Image.open(io.BytesIO(archive.read(names[0]))) as back:
            assert back.size == GREY.size


def test_a_map_is_saved_as_a_png():
    assert png_bytes(GREY).startswith(b"\x89PNG")


def test_an_empty_zip_is_refused():
    with pytest.raises(HeatmapError, match="no maps"):
        zip_bytes({})
