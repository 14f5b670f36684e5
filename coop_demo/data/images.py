"""Bytes, path or PIL image -> safe RGB image of bounded size, or one sentence that says why not.

Pictures come from strangers, so nothing is decoded before its size is known and only formats on
an allow-list are opened at all (picture_formats.py). The plugins are called directly rather than
through `Image.open`: that one announces large pictures by process-wide warnings and limits, and a
shared server must not touch either.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from coop_demo.data.colours import brightened, flatten, in_srgb, is_for_cmyk
from coop_demo.data.picture_formats import (
    HEAD_BYTES,
    KNOWN_UNREADABLE_SUFFIXES,
    RAW_SUFFIXES,
    READABLE_SUFFIXES,
    Opener,
    in_several_scans,
    is_known_foreign,
    most_pixels,
    opener_for,
    raw_refusal,
    refusal,
)
from coop_demo.data.picture_mending import mended, without_stray_start
from coop_demo.errors import PictureError
from coop_demo.settings import LIMITS

# What Pillow says of whole files that it does not know how to decode.
_UNKNOWN_KIND = r"unknown pixel mode|unknown data organization|[Uu]nsupported|not available"
_TAIL_BYTES = 32  # where a TGA file has its signature
_MENDABLE = (b"\xff\xd8\xff", b"\x89PNG", b"RIFF")  # see picture_mending.py


def load_picture(
    source: bytes | str | Path | Image.Image,
    *,
    name: str | None = None,
    notes: list[str] | None = None,
) -> Image.Image:
    """Decode one picture to a new RGB image whose longer side is at most LIMITS.working_side.

    The picture is turned as its EXIF orientation says, transparency is laid on white, 16-bit and
    float grey levels are scaled to 8 bits, colours are brought from an embedded profile to sRGB,
    and of an animation the first frame is taken. The result carries no metadata (no EXIF, so no
    place where a photograph was taken).

    Args:
        source: the file's bytes, its path, or an image already decoded (left as it is).
        name: what the person calls the picture; the file name when a path is given.
        notes: takes a sentence for each thing that was guessed or mended.

    Raises:
        PictureError: missing, empty, too large (LIMITS.max_file_bytes, and pixels beyond what
            the format decodes in LIMITS.max_decode_bytes), not of a readable format, damaged or
            cut short. The message names the picture.
    """
    said: list[str] = []
    label = _label(name or (Path(source).name if isinstance(source, (str, Path)) else None))
    image = _load(source, label, Path(name or "").suffix, said)
    if notes is not None:
        notes.extend(f"{label} {sentence}" for sentence in said)
    return image


def _load(
    source: bytes | str | Path | Image.Image, label: str, suffix: str, notes: list[str]
) -> Image.Image:
    if isinstance(source, Image.Image):
        _check_size(source, source.size, label)
        return _decode(source, label, notes, own=False)
    if isinstance(source, bytes):
        _check_file_bytes(len(source), label)
        return _load_stream(io.BytesIO(source), label, suffix, notes)

    path = Path(source)
    try:
        if not path.is_file():
            found = "is a folder or device, not a picture" if path.exists() else "does not exist"
            raise PictureError(f"{label} {found}. Check the path and add the picture again.")
        _check_file_bytes(path.stat().st_size, label)
        with path.open("rb") as stream:
            return _load_stream(stream, label, suffix or path.suffix, notes)
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

    Pictures in formats that cannot be read (SVG, raw files) are listed too, so that loading them
    says so. Raises PictureError if `folder` is not a folder or cannot be read.
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


def picture_files(given: Iterable[str | Path]) -> list[Path]:
    """Files as they are; a folder stands for the pictures in it."""
    files: list[Path] = []
    for path in map(Path, given):
        files += list_pictures(path) if path.is_dir() else [path]
    return files


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


def _check_size(
    image: Image.Image, full_size: tuple[int, int], label: str, *, in_pieces: bool = False
) -> None:
    width, height = full_size
    if width < 1 or height < 1:
        raise PictureError(f"{label} has no pixels ({width} × {height}). Choose another picture.")
    most = most_pixels(image, full_size=full_size, in_pieces=in_pieces)
    if width * height > most:
        is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
        raise PictureError(
            f"{label} has {width} × {height} pixels ({width * height / 1e6:.0f} megapixels); at "
            f"most {most / 1e6:.0f} megapixels are read{'' if is_jpeg else ' of such a file'}. "
            f"{'Make it smaller' if is_jpeg else 'Make it smaller or save it as JPEG'} and add it "
            f"again."
        )


# --- decoding ----------------------------------------------------------------------------------


def _load_stream(stream: BinaryIO, label: str, suffix: str, notes: list[str]) -> Image.Image:
    head = stream.read(HEAD_BYTES)
    if suffix.lower() in RAW_SUFFIXES:  # a TIFF by its first bytes, with a thumbnail in it
        raise PictureError(f"{label} {raw_refusal()}")
    n_bytes = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, n_bytes - _TAIL_BYTES))
    opener = opener_for(head, suffix=suffix, tail=stream.read())
    stream.seek(0)
    if opener is None:
        if not is_known_foreign(head) and (rest := without_stray_start(stream.read())) is not None:
            image = _load_stream(io.BytesIO(rest), label, suffix, notes)
            notes.append("has stray bytes before the picture; they were passed over.")
            return image
        raise PictureError(f"{label} {refusal(head)}")
    said = len(notes)
    try:
        return _decode_stream(opener, stream, label, notes)
    except _DamageError:
        if not head.startswith(_MENDABLE):
            raise
        del notes[said:]
        stream.seek(0)
        return _decode_mended(opener, stream.read(), label, notes)


class _DamageError(PictureError):
    """The picture's bytes do not decode as they are."""


def _decode_mended(opener: Opener, data: bytes, label: str, notes: list[str]) -> Image.Image:
    """Decode a file that does not decode as it is, if little is wrong with it."""
    try:
        side = 2 * LIMITS.working_side
        # a quarter: unpacked, packed anew and decoded again
        mending = mended(data, (side, side), LIMITS.max_decode_bytes // 4)
    except Exception as error:
        raise _damaged(label, error) from error
    if mending is None:
        raise _damaged(label)
    data, note = mending
    image = _decode_stream(opener, io.BytesIO(data), label, notes)
    notes.append(note)
    return image


def _decode_stream(opener: Opener, stream: BinaryIO, label: str, notes: list[str]) -> Image.Image:
    try:
        image = opener(stream, "")
    except Exception as error:
        raise _damaged(label, error) from error
    full_size = image.size
    in_pieces = False
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        in_pieces = in_several_scans(image, stream)
        # A 12-megapixel photograph decodes several times faster at half or a quarter size; twice
        # the final size is kept so that the resampling below still decides the sharpness.
        image.draft(None, _fit(image.size, 2 * LIMITS.working_side))
    _check_size(image, full_size, label, in_pieces=in_pieces)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _let_libtiff_read_ycbcr(image)
    if isinstance(image, PngImagePlugin.PngImageFile):
        image = _deep_png(image, stream, label, notes)
    return _decode(image, label, notes)


def _let_libtiff_read_ycbcr(image: TiffImagePlugin.TiffImageFile) -> None:
    """Pillow takes unpacked YCbCr for four bytes a pixel; libtiff knows better."""
    photometric = image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION)
    if photometric == 6 and image.tile and image.tile[0].codec_name == "raw":
        image.use_load_libtiff = True
        area = (0, 0, *image.size)
        args = ("RGBX", "raw", False, image.tag_v2.offset)
        image.tile = [
            image.tile[0]._replace(codec_name="libtiff", extents=area, offset=0, args=args)
        ]


def _deep_png(
    image: PngImagePlugin.PngImageFile, stream: BinaryIO, label: str, notes: list[str]
) -> Image.Image:
    """A PNG of 16-bit colours that uses 12 bits or fewer, made brighter; others as they are.

    Pillow keeps the upper byte of each colour only, so such a picture would be all but black.
    """
    rawmode = image.tile[0].args if image.tile else None
    if rawmode not in ("RGB;16B", "RGBA;16B"):
        return image
    info = dict(image.info)
    try:
        image.load()
        if max(high for _, high in image.getextrema()[:3]) > 15:  # type: ignore[misc]
            return image
        stream.seek(0)
        lower = PngImagePlugin.PngImageFile(stream, "")
        lower.tile = [lower.tile[0]._replace(args=rawmode.removesuffix("B") + "L")]
        lower.load()
        if not any(high for _, high in lower.getextrema()[:3]):  # type: ignore[misc]
            return image
        bright = brightened(image, lower, notes)
    except Exception as error:
        raise _damaged(label, error) from error
    bright.info = info
    return bright


def _decode(image: Image.Image, label: str, notes: list[str], *, own: bool = True) -> Image.Image:
    """Decode, turn, flatten and shrink an image whose size has been checked.

    An image that is not our own is left as it is.
    """
    try:
        image.load()
        if not isinstance(image, JpegImagePlugin.JpegImageFile):
            # The header promised a size; a few formats learn better only while decoding.
            _check_size(image, image.size, label)
        profile = image.info.get("icc_profile")
        upright = _upright(image, in_place=own)
        is_print = upright.mode == "CMYK" and profile and is_for_cmyk(profile)
        flat = upright if is_print else flatten(upright, notes)
        size = _fit(flat.size, LIMITS.working_side)
        if size != flat.size:
            flat = flat.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
        if isinstance(profile, bytes) and profile:
            flat = in_srgb(flat, profile, notes)
        # A new image in any case, without palette, EXIF or a handle on the file.
        result = Image.new("RGB", flat.size)
        result.paste(flat)
        return result
    except PictureError:
        raise
    except Exception as error:
        raise _damaged(label, error) from error


def _damaged(label: str, error: Exception | None = None) -> PictureError:
    # On damaged files Pillow's decoders raise OSError, SyntaxError, ValueError, IndexError,
    # struct.error, zlib.error and more: all of them mean the same to the person.
    if isinstance(error, MemoryError):
        return PictureError(f"{label} does not fit into memory. Make it smaller and add it again.")
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return PictureError(
            f"{label} unfolds to more pixels than are read here. Make it smaller and add it again."
        )
    if error is not None and re.search(_UNKNOWN_KIND, str(error)):
        return PictureError(
            f"{label} is written in a way that is not read here (an unusual kind of its format). "
            f"Open it in another program, save it as JPEG or PNG and add it again."
        )
    return _DamageError(
        f"{label} is damaged or cut short and cannot be read. Open it in another program, save it "
        f"as JPEG or PNG and add it again, or leave it out."
    )


def _upright(image: Image.Image, *, in_place: bool) -> Image.Image:
    try:
        if not in_place:
            return ImageOps.exif_transpose(image)
        ImageOps.exif_transpose(image, in_place=True)  # spares a copy of all pixels
    except Exception:  # damaged EXIF costs the rotation, not the picture
        return image
    return image


def _fit(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Scale (width, height) down, never up, until the longer side is `side` pixels at most."""
    longer = max(size)
    if longer <= side:
        return size
    width, height = (max(1, round(edge * side / longer)) for edge in size)
    return width, height
