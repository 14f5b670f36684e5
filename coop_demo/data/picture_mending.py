"""A picture file with a small fault -> bytes that decode, where nearly all of the picture is there.

Only called for files whose own bytes do not decode. Browsers show such files; Pillow does so only
by a switch for the whole process, which a shared server must not touch. A file that lacks more
than `_MAY_LACK` of its picture is none of our business.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import JpegImagePlugin, WebPImagePlugin

from coop_demo.data.picture_formats import HEAD_BYTES, JPEG_SIGNATURE, PNG_SIGNATURE

_MAY_LACK = 0.02  # of the picture: a fiftieth is what a cut-off last block of a file costs
_LARGEST_PROFILE = 2**16  # packed; Pillow refuses the whole PNG for one that unpacks to 1 MB
_JPEG_END = b"\xff\xd9"
_CUT = (
    "is cut off shortly before its end; what is there was used. Copy or download it again to have "
    "all of it."
)
_EXTRAS = "has additions (a text, a colour profile) that cannot be read; the picture is whole."
_CHECKSUM = "has a wrong checksum; it was read all the same. Look at it, or copy it again."


def without_stray_start(data: bytes) -> bytes | None:
    """The picture behind a few stray bytes (a line break, a piece of an HTTP answer), if any."""
    head = data[:HEAD_BYTES]
    found = [at for mark in (JPEG_SIGNATURE, PNG_SIGNATURE) if (at := head.find(mark)) > 0]
    return data[min(found) :] if found else None


def mended(data: bytes, size: tuple[int, int], most_bytes: int) -> tuple[bytes, str] | None:
    """Bytes that decode and what is to be said about them; None where too much is missing.

    Args:
        data: a JPEG, PNG or WebP.
        size: a JPEG is judged at about this size, not at its full one.
        most_bytes: what a PNG or WebP may unpack to; one beyond that is not mended.
    """
    if data.startswith(JPEG_SIGNATURE):
        return _mended_jpeg(data, size)
    if data.startswith(PNG_SIGNATURE):
        return _mended_png(data, most_bytes)
    if data.startswith(b"RIFF"):
        return _mended_webp(data, most_bytes)
    return None


def _mended_jpeg(data: bytes, size: tuple[int, int]) -> tuple[bytes, str] | None:
    """Close a JPEG with its end marker; libjpeg fills in what is missing.

    How much that is shows where two different fillings of the gap begin to differ.
    """
    if not _all_scans_begun(data):
        return None
    data = data.rstrip(b"\xff")  # half a marker
    noise = np.random.default_rng(0).integers(0, 255, 2**16, dtype=np.uint8).tobytes()
    closed = data + _JPEG_END
    image, other = (_decoded_jpeg(data + filling + _JPEG_END, size) for filling in (b"", noise))
    differ = (image != other).any(axis=2)  # (H, W)
    height, width = differ.shape
    rows = np.flatnonzero(differ.any(axis=1))
    missing = 0
    if len(rows):
        top = int(rows[0])
        block = 16  # the tallest row of blocks
        left = int(np.flatnonzero(differ[top : top + block].any(axis=0))[0])
        missing = (width - left) * min(block, height - top) + width * max(height - top - block, 0)
    return (closed, _CUT) if missing <= _MAY_LACK * height * width else None


def _decoded_jpeg(data: bytes, size: tuple[int, int]) -> np.ndarray:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data), "")
    image.draft(None, size)
    return np.asarray(image.convert("RGB"))


def _all_scans_begun(data: bytes) -> bool:
    """Whether every coefficient of a JPEG has at least begun to come at full precision.

    In a progressive file the last scans carry the detail: without them the picture is a blur.
    """
    at, components, progressive = 2, 0, False
    complete: dict[int, int] = {}  # component -> its highest coefficient at full precision
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 < len(data):
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(body) >= 6:
            components, progressive = body[5], marker in (0xC2, 0xC6, 0xCA, 0xCE)
        elif marker == 0xDA and body and len(body) >= 4 + 2 * body[0]:
            first, last, precision = body[1 + 2 * body[0] :][:3]
            for component in body[1 : 1 + 2 * body[0] : 2]:
                if not progressive:
                    complete[component] = 63
                elif precision & 0x0F == 0 and first <= complete.get(component, -1) + 1:
                    complete[component] = max(last, complete.get(component, 0))
        at += 2 + length
    return components > 0 and sum(last == 63 for last in complete.values()) >= components


def _mended_webp(data: bytes, most_bytes: int) -> tuple[bytes, str] | None:
    """Fill a WebP up to the length that its first bytes promise."""
    missing = int.from_bytes(data[4:8], "little") + 8 - len(data)
    if not 0 < missing <= _MAY_LACK * len(data):
        return None
    for filling in (b"\0", b"\xff"):  # the last code may be one that zeros do not complete
        filled = data + filling * missing
        with contextlib.suppress(OSError):
            image = WebPImagePlugin.WebPImageFile(io.BytesIO(filled), "")
            if 4 * image.width * image.height > most_bytes:
                return None
            image.load()
            return filled, _CUT
    return None


def _mended_png(data: bytes, most_bytes: int) -> tuple[bytes, str] | None:
    """Write a PNG anew from the rows that can be unpacked."""
    chunks: dict[bytes, bytes] = {}
    packed: list[bytes] = []
    wrong = False
    for kind, body, whole in _png_chunks(data):
        wrong = wrong or not whole
        if kind == b"IDAT":
            packed.append(body)
        elif kind in (b"IHDR", b"PLTE", b"tRNS", b"eXIf") or (
            kind == b"iCCP" and len(body) <= _LARGEST_PROFILE
        ):
            chunks.setdefault(kind, body)
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        return None
    expected = _png_length(header)
    if expected > most_bytes:
        return None
    unpack = zlib.decompressobj()
    rows = bytearray()
    for piece in packed:
        for at in range(0, len(piece), 1024):  # small pieces: what comes before a fault is kept
            try:
                rows += unpack.decompress(piece[at : at + 1024], max(expected - len(rows), 1))
            except zlib.error:
                break
        else:
            continue
        break
    missing = expected - len(rows)
    if missing > _MAY_LACK * expected:
        return None
    rows = rows[:expected] + bytes(max(missing, 0))
    body = b"".join(_png_chunk(kind, chunk) for kind, chunk in chunks.items())
    body += _png_chunk(b"IDAT", zlib.compress(rows, 1)) + _png_chunk(b"IEND", b"")
    if missing > 0:
        return PNG_SIGNATURE + body, _CUT
    return PNG_SIGNATURE + body, _CHECKSUM if wrong else _EXTRAS


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield (kind, content, whether its checksum is right); the last one may be cut short."""
    at = len(PNG_SIGNATURE)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body, check = data[at + 8 : at + 8 + length], data[at + 8 + length : at + 12 + length]
        is_cut = len(body) < length or len(check) < 4
        yield kind, body, is_cut or zlib.crc32(kind + body) == int.from_bytes(check, "big")
        at += 12 + length


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_length(header: bytes) -> int:
    """Bytes that all rows of a PNG unpack to, each with its filter byte."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour, 1)
    passes = [(0, 0, 1, 1)]
    if interlaced:  # Adam7: x and y of the first pixel, steps
        passes = [
            *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4)),
            *((1, 0, 2, 2), (0, 1, 1, 2)),
        ]
    total = 0
    for left, top, across, down in passes:
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * bits + 7) // 8)
    return total
