"""Bytes, path or PIL image -> safe RGB image of bounded size, or one sentence that says why not.

Pictures come from strangers, so nothing is decoded before its size is known and only formats on
an allow-list are opened at all. The plugins are called directly rather than through
`Image.open`: that one announces large pictures by process-wide warnings and limits, and a shared
server must not touch either.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from coop_demo.errors import PictureError
from coop_demo.settings import LIMITS

READABLE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
READABLE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
)
# Pictures we cannot read but must not pass over in silence when they lie in a folder.
KNOWN_UNREADABLE_SUFFIXES = frozenset((".heic", ".heif", ".avif", ".svg", ".psd", ".jp2"))

_HEAD_BYTES = 512  # enough for every signature below, and for an <svg> after an XML prologue
_SAVE_AS = "Save it as JPEG or PNG and add it again."
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")


def load_picture(
    source: bytes | str | Path | Image.Image, *, name: str | None = None
) -> Image.Image:
    """Decode one picture to a new RGB image whose longer side is at most LIMITS.working_side.

    The picture is turned as its EXIF orientation says, transparency is laid on white, 16-bit and
    float grey levels are scaled to 8 bits, and of an animation the first frame is taken. The
    result carries no metadata (no EXIF, so no place where a photograph was taken).

    Args:
        source: the file's bytes, its path, or an image already decoded (left as it is).
        name: what the person calls the picture; the file name when a path is given.

    Raises:
        PictureError: missing, empty, too large (LIMITS.max_file_bytes, LIMITS.max_pixels), not of
            a readable format, damaged or cut short. The message names the picture.
    """
    if isinstance(source, Image.Image):
        label = _label(name)
        _check_size(source, label)
        return _decode(source, label)
    if isinstance(source, bytes):
        label = _label(name)
        _check_file_bytes(len(source), label)
        return _load_stream(io.BytesIO(source), label)

    path = Path(source)
    label = _label(name or path.name)
    try:
        if not path.is_file():
            found = "is a folder or device, not a picture" if path.exists() else "does not exist"
            raise PictureError(f"{label} {found}. Check the path and add the picture again.")
        _check_file_bytes(path.stat().st_size, label)
        with path.open("rb") as stream:
            return _load_stream(stream, label)
    except OSError as error:  # permissions, a vanished drive, a name that is too long
        reason = error.strerror or type(error).__name__
        raise PictureError(
            f"{label} cannot be opened ({reason}). Check that the file is there and readable."
        ) from error


def content_hash(image: Image.Image) -> str:
    """Name an image by its pixels: 32 hex digits, equal for equal RGB pixels and size.

    The key of the feature cache. Two files with the same decoded pixels share one key, whatever
    their names, formats or metadata.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    digest = hashlib.blake2b(digest_size=16)
    # The size goes in first: 2x3 and 3x2 pictures of one colour have the same bytes.
    digest.update(f"{rgb.width}x{rgb.height}:".encode())
    digest.update(rgb.tobytes())
    return digest.hexdigest()


def data_uri(image: Image.Image, *, quality: int = 80) -> str:
    """An RGB image as a JPEG inside a `data:` address, for HTML that stands alone."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def is_picture_name(name: str) -> bool:
    """Say whether a file name looks like a picture's, readable here or not; hidden files do not."""
    path = Path(name)
    suffixes = READABLE_SUFFIXES | KNOWN_UNREADABLE_SUFFIXES
    return not path.name.startswith(".") and path.suffix.lower() in suffixes


def list_pictures(folder: str | Path) -> list[Path]:
    """List the picture files directly inside `folder`, sorted by name; hidden files are left out.

    Pictures in formats that cannot be read (HEIC, SVG) are listed too, so that loading them says
    so. Raises PictureError if `folder` is not a folder or cannot be read.
    """
    folder = Path(folder)
    try:
        names = sorted(
            entry.name
            for entry in folder.iterdir()
            if is_picture_name(entry.name) and entry.is_file()
        )
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise PictureError(
            f'The folder "{folder}" cannot be read ({reason}). Check the path.'
        ) from error
    return [folder / name for name in names]


# --- checks before anything is decoded ---------------------------------------------------------


def _label(name: str | None) -> str:
    return f'"{name}"' if name else "The picture"


def _check_file_bytes(n_bytes: int, label: str) -> None:
    if n_bytes == 0:
        raise PictureError(f"{label} is empty (0 bytes). Copy or download it again.")
    if n_bytes > LIMITS.max_file_bytes:
        raise PictureError(
            f"{label} is a file of {n_bytes / 2**20:.0f} MB; at most "
            f"{LIMITS.max_file_bytes / 2**20:.0f} MB are read. Save a smaller copy and add that."
        )


def _check_size(image: Image.Image, label: str) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise PictureError(f"{label} has no pixels ({width} × {height}). Choose another picture.")
    if width * height > LIMITS.max_pixels:
        raise PictureError(
            f"{label} has {width} × {height} pixels ({width * height / 1e6:.0f} megapixels); at "
            f"most {LIMITS.max_pixels / 1e6:.0f} megapixels are read. Make it smaller and add it "
            f"again."
        )


def _plugin(head: bytes) -> Callable[[BinaryIO, str], ImageFile.ImageFile] | None:
    """Choose the decoder by the file's first bytes; its name is no evidence of its format."""
    if head.startswith(b"\xff\xd8\xff"):
        # Not jpeg_factory: the extra pictures of a phone's multi-picture JPEG are not wanted.
        return JpegImagePlugin.JpegImageFile
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImagePlugin.TiffImageFile
    if head.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    return None


def _refusal(head: bytes) -> str:
    """Say what a file is that no decoder here takes, and what to do about it."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    lowered = head.lower()
    if brand in _HEIC_BRANDS:
        return (
            "is a HEIC picture, which cannot be read here. Export it as JPEG (on an iPhone: "
            "Settings, Camera, Formats, Most Compatible) and add it again."
        )
    if brand.startswith((b"avif", b"avis")):
        return f"is an AVIF picture, which cannot be read here. {_SAVE_AS}"
    if brand:
        return "is a video, not a picture. Save one frame of it as JPEG or PNG and add that."
    if b"<svg" in lowered:
        return f"is an SVG drawing, not a picture made of pixels. {_SAVE_AS}"
    if head.startswith(b"%PDF"):
        return "is a PDF document, not a picture. Save the page as JPEG or PNG and add that."
    if head.startswith(b"PK\x03\x04"):
        return "is a zip archive or office document, not a picture. Add the pictures inside it."
    if b"<html" in lowered or b"<!doctype html" in lowered:
        return "is a web page, not a picture. Download the picture itself and add that."
    return (
        f"is not a picture in a format that can be read here ({', '.join(READABLE_FORMATS)}). "
        f"{_SAVE_AS}"
    )


# --- decoding ----------------------------------------------------------------------------------


def _load_stream(stream: BinaryIO, label: str) -> Image.Image:
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    plugin = _plugin(head)
    if plugin is None:
        raise PictureError(f"{label} {_refusal(head)}")
    try:
        image = plugin(stream, "")
    except Exception as error:
        raise _damaged(label, error) from error
    _check_size(image, label)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # A 12-megapixel photograph decodes several times faster at half or a quarter size; twice
        # the final size is kept so that the resampling below still decides the sharpness.
        image.draft(None, _fit(image.size, 2 * LIMITS.working_side))
    return _decode(image, label)


def _decode(image: Image.Image, label: str) -> Image.Image:
    """Decode, turn, flatten and shrink an image whose size has been checked."""
    try:
        image.load()
        # The header promised a size; a few formats learn better only while decoding.
        _check_size(image, label)
        upright = _upright(image)
        flat = _flatten(upright)
        size = _fit(flat.size, LIMITS.working_side)
        if size != flat.size:
            flat = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        # A new image in any case, without palette, EXIF or a handle on the file.
        result = Image.new("RGB", flat.size)
        result.paste(flat)
        return result
    except PictureError:
        raise
    except Exception as error:
        raise _damaged(label, error) from error


def _damaged(label: str, error: Exception) -> PictureError:
    # On damaged files Pillow's decoders raise OSError, SyntaxError, ValueError, IndexError,
    # struct.error, zlib.error and more: all of them mean the same to the person.
    if isinstance(error, MemoryError):
        return PictureError(f"{label} does not fit into memory. Make it smaller and add it again.")
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return PictureError(
            f"{label} unfolds to more than {LIMITS.max_pixels / 1e6:.0f} megapixels. Make it "
            f"smaller and add it again."
        )
    return PictureError(
        f"{label} is damaged or cut short and cannot be read. Open it in another program, save it "
        f"as JPEG or PNG and add it again, or leave it out."
    )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF costs the rotation, not the picture
        return image


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Scale (width, height) down, never up, until the longer side is `side` pixels at most."""
    longer = max(size)
    if longer <= side:
        return size
    width, height = (max(1, round(edge * side / longer)) for edge in size)
    return width, height


def _flatten(image: Image.Image) -> Image.Image:
    """Turn any Pillow mode into RGB, with what is transparent shown as white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bit(image)
    if image.has_transparency_data:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale grey levels of more than 8 bits to 0..255; a plain convert would clip them to white.

    16-bit modes have a known range. For 32-bit integers and floats none is declared: levels that
    fit 0..1 (floats), 0..255 or 0..65535 are taken as such, and anything else is stretched from
    its own minimum to its own maximum.
    """
    levels = np.asarray(image)  # (H, W) of uint16, int32 or float32
    transparent = image.info.get("transparency")
    hidden = levels == transparent if isinstance(transparent, int) else None
    levels = levels.astype(np.float32)
    finite = np.isfinite(levels)
    low = float(levels[finite].min()) if finite.any() else 0.0
    high = float(levels[finite].max()) if finite.any() else 0.0
    if image.mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 65535:
        ranges = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        low, high = 0.0, next(top for top in ranges if high <= top)
    levels = np.nan_to_num(levels, nan=low, posinf=high, neginf=low)
    span = max(high - low, 1e-12)  # a picture of one level outside the known ranges becomes black
    grey = np.clip((levels - low) / span * 255.0 + 0.5, 0, 255).astype(np.uint8)
    if hidden is not None:
        grey[hidden] = 255
    return Image.fromarray(grey)
