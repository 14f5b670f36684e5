"""One real app for all tests of the endpoints."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from images import coloured, zipped

from coop_demo.recipes.serving import running_app


@pytest.fixture(scope="session")
def app_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def colour_zip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes zips of noisy one-coloured pictures: folder name -> how many."""
    folder = tmp_path_factory.mktemp("zips")

    def make(name: str, classes: dict[str, int]) -> Path:
        colours = itertools.cycle([(210, 40, 40), (40, 60, 210), (40, 190, 60)])
        seeds = itertools.count()
        images = {
            f"{class_name}/{index}.png": coloured(colour, next(seeds), size=(48, 48))
            for (class_name, count), colour in zip(classes.items(), colours, strict=False)
            for index in range(count)
        }
        path = folder / f"{name}.zip"
        path.write_bytes(zipped(images))
        return path

    return make
