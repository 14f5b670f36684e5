"""Which decoder a picture's first bytes ask for, and what each format costs in memory.

Only formats on an allow-list are opened at all, and the plugins are called directly: see images.py.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Callable
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    IcoImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from coop_demo.data.file_kinds import known_kind
from coop_demo.settings import LIMITS

READABLE_FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"),
    *("HEIC", "AVIF", "JPEG 2000", "PPM", "TGA", "ICO"),
)
_RAREST_SUFFIXES = (".tga", ".targa")  # a format without a signature of its own
READABLE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
        *(".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".jpx", ".jpf", ".j2c", ".jpc"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".ico", *_RAREST_SUFFIXES),
    )
)
# What a page's upload field takes: some systems have no image type for the last ones.
UPLOAD_TYPES = ("image", ".heic", ".heif", ".hif", ".j2k", ".j2c", ".jpc", *_RAREST_SUFFIXES)
RAW_SUFFIXES = frozenset((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"))
# Pictures we cannot read but must not pass over in silence when they lie in a folder.
KNOWN_UNREADABLE_SUFFIXES = frozenset((".svg", ".psd", ".jxl", *RAW_SUFFIXES))

HEAD_BYTES = 512  # enough for every signature below, and for an <svg> after an XML prologue
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_SIGNATURE = b"\xff\xd8\xff"
_SAVE_AS = "Save it as JPEG or PNG and add it again."
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_ICON_SIDE = 512  # an icon that is no PNG has 256 pixels a side at most, by its own directory

# Bytes that a pixel of the file takes while it is decoded, turned and flattened.
_BYTES_PER_PIXEL = {
    "HEIF": 8.0,  # YUV, RGB and Pillow's four; an iPhone's 48 megapixels pass
    "JPEG2000": 16.0,  # OpenJPEG decodes to three 32-bit planes
}
_USUAL_BYTES_PER_PIXEL = 10.0  # RGBA, the white below it, the mask

Opener = Callable[[BinaryIO, str], Image.Image]


def opener_for(head: bytes, *, suffix: str = "", tail: bytes = b"") -> Opener | None:
    """Choose the decoder by the file's first bytes; its name is no evidence of its format.

    Only TGA has no signature: there the last bytes (`tail`, 18 or more) or the suffix decide.
    """
    if head.startswith(JPEG_SIGNATURE):
        # Not jpeg_factory: the extra pictures of a phone's multi-picture JPEG are not wanted.
        return JpegImagePlugin.JpegImageFile
    if head.startswith(PNG_SIGNATURE):
        return PngImagePlugin.PngImageFile
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WebPImagePlugin.WebPImageFile
    if head.startswith((b"GIF87a", b"GIF89a")):
        return GifImagePlugin.GifImageFile
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImagePlugin.TiffImageFile
    if head.startswith(b"BM"):
        return BmpImagePlugin.BmpImageFile
    if _is_avif(head):
        return AvifImagePlugin.AvifImageFile if AvifImagePlugin.SUPPORTED else None
    if _is_heic(head):
        return _heic_opener()
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return Jpeg2KImagePlugin.Jpeg2KImageFile
    if head[:1] == b"P" and head[1:2] in b"123456" and head[2:3] in b" \t\r\n#":
        return PpmImagePlugin.PpmImageFile
    if head.startswith(b"\0\0\1\0"):
        return _open_icon
    if b"TRUEVISION-XFILE" in tail or suffix.lower() in _RAREST_SUFFIXES:
        return TgaImagePlugin.TgaImageFile
    return None


def is_known_foreign(head: bytes) -> bool:
    """Whether the file is of some other known kind, so no picture is to be looked for in it."""
    return known_kind(head) is not None or _kind_of_no_picture(head) is not None


def refusal(head: bytes) -> str:
    """Say what a file is that no decoder here takes, and what to do about it."""
    known = known_kind(head)
    if known is not None:
        kind, advice = known
        return (
            f"is {kind}. {advice}" if "pointer" in kind else f"is {kind}, not a picture. {advice}"
        )
    return _kind_of_no_picture(head) or (
        f"is not a picture in a format that can be read here ({', '.join(READABLE_FORMATS)}). "
        f"{_SAVE_AS}"
    )


def raw_refusal() -> str:
    """Say that a camera's raw file is none of the pictures taken here."""
    return "is a camera's raw file, which is not read here. Export it as JPEG and add that."


def most_pixels(image: Image.Image, *, full_size: tuple[int, int], in_pieces: bool = False) -> int:
    """How many pixels a picture of this format may have, by the memory that decoding takes.

    Args:
        image: opened, not decoded; a JPEG's size is that of its draft.
        full_size: the size in the file.
        in_pieces: a JPEG in several scans (progressive), of which libjpeg keeps all coefficients.
    """
    if not isinstance(image, JpegImagePlugin.JpegImageFile):
        per_pixel = _BYTES_PER_PIXEL.get(image.format or "", _USUAL_BYTES_PER_PIXEL)
        return int(LIMITS.max_decode_bytes / per_pixel)
    share = image.width * image.height / max(full_size[0] * full_size[1], 1)
    per_pixel = 4.0 * share
    if in_pieces:
        factors = [(across, down) for _, across, down, _ in image.layer] or [(1, 1)]
        most = max(across for across, _ in factors) * max(down for _, down in factors)
        per_pixel += 2.0 * sum(across * down for across, down in factors) / max(most, 1)
    return min(LIMITS.max_jpeg_pixels, int(LIMITS.max_decode_bytes / per_pixel))


def in_several_scans(image: JpegImagePlugin.JpegImageFile, stream: BinaryIO) -> bool:
    """Whether a JPEG just opened is progressive, or has a scan for each of its colours."""
    here = stream.tell()  # Pillow stops behind the marker of the first scan
    head = stream.read(3)  # length, number of components
    stream.seek(here)
    return bool(image.info.get("progressive")) or (len(head) == 3 and head[2] < image.layers)


def _brands(head: bytes) -> list[bytes]:
    """The brands of an ISO media file (HEIC, AVIF, MP4), the major one first; [] for others."""
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]


def _is_avif(head: bytes) -> bool:
    return any(brand in (b"avif", b"avis") for brand in _brands(head))


def _is_heic(head: bytes) -> bool:
    return any(brand in _HEIC_BRANDS for brand in _brands(head)[:1])


def _heic_opener() -> Opener | None:
    # Imported when the first HEIC comes: 0.1 s. pi_heif is the same package without an encoder.
    for package in ("pillow_heif", "pi_heif"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(package).HeifImageFile
    return None


def _kind_of_no_picture(head: bytes) -> str | None:
    brands = _brands(head)
    if _is_avif(head):
        return f"is an AVIF picture, which cannot be read here. {_SAVE_AS}"
    if _is_heic(head):
        return (
            "is a HEIC picture, which cannot be read here. Export it as JPEG (on an iPhone: "
            "Settings, Camera, Formats, Most Compatible) and add it again."
        )
    if b"crx " in brands:
        return raw_refusal()
    if brands:
        return "is a video, not a picture. Save one frame of it as JPEG or PNG and add that."
    if b"<svg" in head.lower():
        return f"is an SVG drawing, not a picture made of pixels. {_SAVE_AS}"
    if head.startswith(b"8BPS"):
        return f"is a Photoshop document. {_SAVE_AS}"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return f"is a JPEG XL picture, which cannot be read here. {_SAVE_AS}"
    if head.startswith(b"PK\x03\x04"):
        return "is a zip archive or office document, not a picture. Add the pictures inside it."
    return None


def _open_icon(stream: BinaryIO, filename: str) -> Image.Image:
    """The largest picture of an icon file. Pillow's own class decodes it on opening, whatever
    size the frame claims."""
    icon = IcoImagePlugin.IcoFile(stream)  # reads the directory only
    index, entry = max(
        enumerate(icon.entry), key=lambda item: (item[1].square, item[1].color_depth)
    )
    stream.seek(entry.offset)
    frame = stream.read(max(entry.size, 0))
    if frame.startswith(PNG_SIGNATURE):
        return PngImagePlugin.PngImageFile(io.BytesIO(frame))
    if max(BmpImagePlugin.DibImageFile(io.BytesIO(frame)).size) > 2 * _ICON_SIDE:
        raise ValueError("an icon larger than an icon")
    return icon.frame(index)
