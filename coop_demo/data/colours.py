"""Any Pillow mode and colour profile -> plain sRGB, as a browser would show it.

What was decided on the way is said in `notes`, a sentence without the picture's name, which
comes before it.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_SAME_TO_THE_EYE = 2.0  # mean difference in levels: profiles of sRGB under another name
# The depths that cameras and microscopes write into 16-bit files, by their highest level.
_SHALLOW_TOPS = (255, 1023, 4095)


def flatten(image: Image.Image, notes: list[str]) -> Image.Image:
    """Turn any Pillow mode into RGB, with what is transparent shown as white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = eight_bit(image, notes)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
        assert converted is not None
        return converted
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        alpha = rgba.getchannel("A")
        if alpha.getextrema()[1] == 0 and image.format in ("TGA", "BMP"):
            return rgba.convert("RGB")  # their fourth byte is mostly left empty: browsers ignore it
        if alpha.getextrema()[1] == 0:
            notes.append("is transparent throughout, so it is a white picture here.")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=alpha)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def eight_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    """Scale grey levels of more than 8 bits to 0..255; a plain convert would clip them to white.

    16-bit modes have a known range, of which a camera of 8, 10 or 12 bits fills the bottom only:
    where four or more top bits are empty the levels are scaled by what is there. For 32-bit
    integers and floats no range is declared: levels that fit 0..1 (floats), 0..255 or 0..65535
    are taken as such, and anything else is stretched from its own minimum to its own maximum.
    """
    levels = np.asarray(image)  # (H, W) of uint16, int32 or float32
    transparent = image.info.get("transparency")
    hidden = levels == transparent if isinstance(transparent, int) else None
    if image.mode.startswith("I;16"):
        top = _top_of(int(levels.max()), notes)
        table = np.arange(65536, dtype=np.float32) / np.float32(max(top, 1)) * 255.0 + 0.5
        grey = np.clip(table, 0, 255).astype(np.uint8)[levels]
    else:
        grey = _stretched(levels.astype(np.float32), is_float=image.mode == "F")
    if hidden is not None:
        grey[hidden] = 255
    return Image.fromarray(grey)


def brightened(high: Image.Image, low: Image.Image, notes: list[str]) -> Image.Image:
    """Colours of at most 12 bits out of the upper and lower bytes of a 16-bit picture.

    In strips of rows, so that it takes hardly more memory than the picture itself.
    """
    upper, lower = np.array(high), np.asarray(low)  # (H, W, 3 or 4) uint8
    rows = max(1, _STRIP_PIXELS // upper.shape[1])
    strips = [slice(top, top + rows) for top in range(0, len(upper), rows)]

    def levels(strip: slice) -> np.ndarray:
        return upper[strip, :, :3].astype(np.uint16) << 8 | lower[strip, :, :3]

    top = _top_of(max(int(levels(strip).max()) for strip in strips), notes)
    table = np.arange(65536, dtype=np.float32) / np.float32(max(top, 1)) * 255.0 + 0.5
    shown = np.clip(table, 0, 255).astype(np.uint8)
    for strip in strips:
        upper[strip, :, :3] = shown[levels(strip)]
    return Image.fromarray(upper)


_STRIP_PIXELS = 1_000_000


def in_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """The picture's colours brought from its embedded profile to sRGB.

    RGB as it is where the profile is sRGB under whatever name, belongs to other kinds of
    pictures, or cannot be read (with a note).

    Args:
        image: RGB, or CMYK that has not been turned into RGB yet.
    """
    try:
        kind, to_srgb = _conversion(profile)
        if kind == "GRAY":
            red, *others = image.split()
            if any(other.tobytes() != red.tobytes() for other in others):
                return image  # a grey profile on a coloured picture: it was put there by mistake
            image_of_kind = red
        else:
            image_of_kind = image
        if to_srgb is not None and (kind == "CMYK") == (image.mode == "CMYK"):
            return to_srgb.apply(image_of_kind)
    except Exception:  # littlecms says nothing but "cannot"
        notes.append("has a colour profile that cannot be read; its colours are taken as sRGB.")
    return image


def is_for_cmyk(profile: bytes) -> bool:
    """Whether a colour profile says of itself that it is for CMYK pictures."""
    return profile[16:20] == b"CMYK"


def _top_of(highest: int, notes: list[str]) -> int:
    """The level that is to be white, of a 16-bit picture whose highest level is this."""
    top = next((top for top in _SHALLOW_TOPS if 0 < highest <= top), 65535)
    if top < 65535:
        notes.append(
            f"uses only the lowest {top.bit_length()} of its 16 bits and would be black; it was "
            "made brighter to match."
        )
    return top


def _stretched(levels: np.ndarray, *, is_float: bool) -> np.ndarray:
    finite = np.isfinite(levels)
    low = float(levels[finite].min()) if finite.any() else 0.0
    high = float(levels[finite].max()) if finite.any() else 0.0
    if low >= 0 and high <= 65535:
        ranges = (1.0, 255.0, 65535.0) if is_float else (255.0, 65535.0)
        low, high = 0.0, next(top for top in ranges if high <= top)
    levels = np.nan_to_num(levels, nan=low, posinf=high, neginf=low)
    span = max(high - low, 1e-12)  # a picture of one level outside the known ranges becomes black
    return np.clip((levels - low) / span * 255.0 + 0.5, 0, 255).astype(np.uint8)


@lru_cache(maxsize=16)  # a set's pictures come from one or two cameras
def _conversion(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The profile's kind of colour (RGB, GRAY, CMYK) and its way to sRGB; None: already there.

    Profiles whose colours hardly differ from sRGB count as sRGB: there are dozens of them.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    kind = source.profile.xcolor_space.strip()  # type: ignore[union-attr]
    modes = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
    if kind not in modes:
        return kind, None
    intent = ImageCms.Intent.PERCEPTUAL if kind == "CMYK" else ImageCms.Intent.RELATIVE_COLORIMETRIC
    to_srgb = ImageCms.buildTransform(
        source, ImageCms.createProfile("sRGB"), modes[kind], "RGB", renderingIntent=intent
    )
    if kind != "CMYK":
        steps = np.arange(0, 256, 51, dtype=np.uint8)  # 0, 51, …, 255
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        if kind == "GRAY":
            cube = np.repeat(np.arange(0, 256, 5, dtype=np.uint8)[None, :, None], 3, axis=-1)
        given = Image.fromarray(cube)
        shown = to_srgb.apply(given.getchannel(0) if kind == "GRAY" else given)
        difference = np.asarray(shown).astype(int) - cube
        if np.abs(difference).mean() <= _SAME_TO_THE_EYE:
            return kind, None
    return kind, to_srgb
