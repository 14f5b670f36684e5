"""Maps drawn over pictures, as pictures: no charts, no page.

Colours are safe for colour-blind eyes. A one-sided map runs from yellow to dark red and is the
more opaque the stronger it is, so what is not marked stays as it is. A two-sided one is vermilion
where the first prompt marks more and blue where the second does.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from coop_demo.errors import HeatmapError, UserError
from coop_demo.heatmaps.attribution import Grid
from coop_demo.heatmaps.ranker import Layer

Box = tuple[float, float, float, float]

#: Three stops of ColorBrewer's YlOrRd (Brewer, colorbrewer2.org): weak, middle, strong.
ONE_SIDED = np.array([(255, 237, 160), (253, 141, 60), (177, 0, 38)], dtype=np.float32)
#: Okabe & Ito's vermilion and blue (jfly.uni-koeln.de/color): more, less.
MORE = np.array((213, 94, 0), dtype=np.float32)
LESS = np.array((0, 114, 178), dtype=np.float32)


def overlay(
    image: Image.Image,
    values: Tensor,
    *,
    box: Box | None = None,
    opacity: float = 0.7,
    two_sided: bool = False,
    scale: float | None = None,
) -> Image.Image:
    """A map at pixel resolution over its picture.

    Args:
        image: the picture, of any size.
        values: (H, W) the map, as `Grid.upsample` or `Explanation.upsampled` give it.
        box: where the map lies in the picture (`attribution.view_box`); all of it when left out.
            What the model did not see is paled.
        opacity: of the strongest places, 0 to 1.
        two_sided: values above and below 0 in two colours.
        scale: the value drawn strongest; the map's own largest when left out. Give one to two
            maps to make them comparable by eye.

    Returns:
        An RGB picture of the size of `image`.

    Raises:
        HeatmapError: an opacity outside 0 to 1.
    """
    if not 0.0 <= opacity <= 1.0:
        raise HeatmapError(f"Opacity must lie from 0 to 1; it is {opacity}.")
    box = box or whole_box(image.size)
    strength = _strength(values, two_sided=two_sided, scale=scale)
    left, top, right, bottom = (round(edge) for edge in box)
    placed = Image.fromarray(strength).resize(
        (max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR
    )
    canvas = Image.new("F", image.size)
    canvas.paste(placed, (left, top))
    seen = Image.new("L", image.size)
    seen.paste(255, (left, top, right, bottom))
    amount = np.asarray(canvas, np.float32)
    picture = np.asarray(image.convert("RGB"), np.float32)
    pale = (np.asarray(seen) == 0)[..., None]
    picture = np.where(pale, 0.5 * picture + 0.5 * 255, picture)
    alpha = (opacity * np.abs(amount))[..., None]
    drawn = picture + alpha * (_colours(amount, two_sided=two_sided) - picture)
    return Image.fromarray((np.clip(drawn, 0, 255) + 0.5).astype(np.uint8))


def whole_box(size: tuple[int, int]) -> Box:
    """The place of a map that covers all of a picture of this width and height."""
    return 0.0, 0.0, float(size[0]), float(size[1])


def shrunken(image: Image.Image, box: Box, side: int) -> tuple[Image.Image, Box]:
    """The picture and the place of its map, the longer side at most `side` pixels."""
    factor = side / max(image.size)
    if factor >= 1:
        return image, box
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    left, top, right, bottom = box
    return image.resize(size), (left * factor, top * factor, right * factor, bottom * factor)


def draw(
    image: Image.Image,
    grid: Grid,
    one_map: Tensor,
    *,
    box: Box | None = None,
    opacity: float = 0.7,
    two_sided: bool = False,
    scale: float | None = None,
    smooth: bool = True,
) -> Image.Image:
    """`overlay` of a map (h, w) at its true resolution; `smooth=False` shows its cells."""
    values = grid.upsample(one_map[None].float(), smooth=smooth)[0]
    return overlay(image, values, box=box, opacity=opacity, two_sided=two_sided, scale=scale)


def draw_layer(
    layer: Layer,
    grid: Grid,
    pictures: Iterable[tuple[Image.Image, Box]],
    *,
    opacity: float,
    cells: bool,
) -> list[Image.Image]:
    """One layer of the ranker's maps over its pictures, each given with the place of its map."""
    return [
        draw(
            image,
            grid,
            values,
            box=box,
            opacity=opacity,
            two_sided=layer.two_sided,
            scale=layer.scale,
            smooth=not cells,
        )
        for (image, box), values in zip(pictures, layer.maps, strict=True)
    ]


def side_by_side(pictures: Sequence[Image.Image], *, gap: int = 8) -> Image.Image:
    """Pictures in a row on white, all as tall as the smallest of them."""
    height = min(picture.height for picture in pictures)
    scaled = [
        picture
        if picture.height == height
        else picture.resize((max(1, round(picture.width * height / picture.height)), height))
        for picture in pictures
    ]
    width = sum(picture.width for picture in scaled) + gap * (len(scaled) - 1)
    row = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in scaled:
        row.paste(picture, (left, 0))
        left += picture.width + gap
    return row


def write_png(picture: Image.Image, path: str | Path) -> None:
    """UserError when it cannot be written there."""
    try:
        Path(path).write_bytes(png_bytes(picture))
    except OSError as error:
        raise UserError(
            f'The map cannot be written to "{path}": {error.strerror}. Choose another place.'
        ) from error


def png_bytes(picture: Image.Image) -> bytes:
    """The picture as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def safe_stem(name: str) -> str:
    """A name that any file system takes, without its ending; "map" where nothing is left of it."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:80] or "map"


def zip_bytes(pictures: Mapping[str, Image.Image]) -> bytes:
    """PNGs of named pictures in one zip; the same bytes for the same pictures.

    Names become safe file names; two that would then be the same are numbered.

    Raises:
        HeatmapError: there is no picture.
    """
    if not pictures:
        raise HeatmapError("There are no maps to save yet. Draw at least one.")
    buffer = io.BytesIO()
    taken: set[str] = set()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNG is compressed already
        for name, picture in pictures.items():
            stem = safe_stem(name)
            number, free = 1, stem
            while free.casefold() in taken:  # file systems may not tell A.png from a.png
                number += 1
                free = f"{stem}-{number}"
            taken.add(free.casefold())
            entry = zipfile.ZipInfo(f"{free}.png", (1980, 1, 1, 0, 0, 0))  # no clock in the bytes
            archive.writestr(entry, png_bytes(picture))
    return buffer.getvalue()


def _strength(values: Tensor, *, two_sided: bool, scale: float | None) -> NDArray[np.float32]:
    """Values between −1 (or 0) and 1; a map without anything stays 0."""
    array = values.detach().cpu().float().numpy().copy()
    if not two_sided:
        array = np.maximum(array, 0)
    largest = float(np.abs(array).max()) if scale is None else scale
    scaled = np.clip(array / largest, -1, 1) if largest > 0 else np.zeros_like(array)
    return scaled.astype(np.float32, copy=False)


def _colours(amount: NDArray[np.float32], *, two_sided: bool) -> NDArray[np.float32]:
    """The colour of each strength, (H, W) -> (H, W, 3)."""
    if two_sided:
        return np.where(amount[..., None] >= 0, MORE, LESS)
    place = np.clip(amount, 0, 1)[..., None] * 2
    low, middle, high = ONE_SIDED
    return np.where(
        place <= 1, low + place * (middle - low), middle + (place - 1) * (high - middle)
    ).astype(np.float32)
