"""The one maker of test images: drawn from a seed, and written in the layouts people have.

A size is (width, height); the same arguments always give the same pixels.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Size = tuple[int, int]


# --- one image


def coloured(
    colour: Colour, seed: int = 0, *, size: Size = (48, 40), grain: int = 40
) -> Image.Image:
    """One colour with noise of up to `grain` levels about it; none where `grain` is 0."""
    return grained(Image.new("RGB", size, colour), seed, grain=grain)


def grey(level: int, seed: int = 0, *, size: Size = (48, 40), grain: int = 0) -> Image.Image:
    """One level of grey, from 0 (black) to 255 (white), plain or with noise about it."""
    return coloured((level, level, level), seed, size=size, grain=grain)


def numbered(number: int) -> Image.Image:
    """A very small image whose pixels no other number shares; for what only counts and compares."""
    return coloured((number % 256, number // 256 % 256, 128), size=(4, 4), grain=0)


def noise(seed: int = 0, *, size: Size = (60, 40)) -> Image.Image:
    """Every pixel drawn by itself: everything differs everywhere, and nothing packs it."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards: a pixel's colour says where it was."""
    y, x = np.mgrid[0:height, 0:width]
    channels = (x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256)
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))


def photograph(seed: int, *, size: Size = (240, 200)) -> Image.Image:
    """Coarse random colours, as different from another seed's as two photographs are, and known
    again when they were resized or re-encoded."""
    return noise(seed, size=(6, 6)).resize(size, Image.Resampling.BICUBIC)


def shapes(seed: int, *, size: Size = (240, 180)) -> Image.Image:
    """Soft blobs of a few colours: as alike as photographs of one class."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(60, 200, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(9):
        x, y, r = rng.integers(0, size[0]), rng.integers(0, size[1]), rng.integers(15, 60)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(2))


def disc(colour: Colour, side: int = 60) -> Image.Image:
    """A round cut-out that fills its square; RGBA, transparent outside."""
    image = Image.new("RGBA", (side, side))
    ImageDraw.Draw(image).ellipse((0, 0, side - 1, side - 1), fill=(*colour, 255))
    return image


def edged(colour: Colour, ground: Colour = (90, 90, 90)) -> Image.Image:
    """Three times as wide as high; its left sixth, which a square from the middle cuts off, is of
    another colour."""
    image = Image.new("RGB", (96, 32), ground)
    image.paste(colour, (0, 0, 16, 32))
    return image


def grained(image: Image.Image, seed: int = 0, *, grain: int = 40) -> Image.Image:
    """An RGB image with noise of up to `grain` levels on every channel."""
    if not grain:
        return image
    pixels = np.asarray(image).astype(int)
    pixels = pixels + np.random.default_rng(seed).integers(-grain, grain, size=pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


# --- in a format


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    """The bytes of a file of this format (Pillow's name of it, and its options)."""
    stream = io.BytesIO()
    image.save(stream, format, **options)
    return stream.getvalue()


def saved_again(image: Image.Image, quality: int) -> Image.Image:
    """The image after it was a JPEG of this quality."""
    return Image.open(io.BytesIO(encoded(image, "JPEG", quality=quality)))


# --- on disk


def write_image(image: Image.Image, path: Path, **options) -> Path:
    """Save the image; its ending names the format, and the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def write_images(images: Iterable[Image.Image], folder: Path, prefix: str = "") -> list[Path]:
    """One folder without classes: 0.png, 1.png, ..., each after the prefix."""
    return [write_image(image, folder / f"{prefix}{i}.png") for i, image in enumerate(images)]


def write_folders(
    root: Path, counts: Mapping[str, int], draw: Callable[[int], Image.Image] = numbered
) -> Path:
    """Folders of images that all differ: 000.png, 001.png, ... in each.

    Args:
        counts: how many a folder holds: `{"oak": 3}`, or with parts `{"train/oak": 3, ...}`.
        draw: makes the image of a number, which counts on over all folders.
    """
    number = 0
    for folder, count in counts.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            write_image(draw(number), root / folder / f"{i:03}.png")
            number += 1
    return root


def zipped(
    files: Mapping[str, Image.Image | bytes | str], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """A zip of these files; an image becomes a PNG."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, encoded(data) if isinstance(data, Image.Image) else data)
    return stream.getvalue()


def zipped_folder(root: Path) -> bytes:
    """A zip of everything in a folder, under the names it has there."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return zipped({path.relative_to(root).as_posix(): path.read_bytes() for path in files})
