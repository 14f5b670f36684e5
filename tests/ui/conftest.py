"""One real app for all tests of the endpoints."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from server import running_app


@pytest.fixture(scope="session")
def app_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_app(tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def colour_zip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes zips of noisy one-coloured pictures: folder name -> how many."""
    folder = tmp_path_factory.mktemp("zips")

    def make(name: str, classes: dict[str, int]) -> Path:
        path = folder / f"{name}.zip"
        rng = np.random.default_rng(0)
        with zipfile.ZipFile(path, "w") as archive:
            for number, (class_name, count) in enumerate(classes.items()):
                colour = np.array([(210, 40, 40), (40, 60, 210), (40, 190, 60)][number % 3])
                for index in range(count):
                    pixels = colour + rng.integers(-40, 40, size=(48, 48, 3))
                    buffer = io.BytesIO()
                    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
                    archive.writestr(f"{class_name}/{index}.png", buffer.getvalue())
        return path

    return make
