"""Broken and hostile pictures are read or refused in one sentence, soon and in little memory."""

from __future__ import annotations

import struct
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import encoded, grey, noise
from PIL import Image
from strangers import (
    NAMES,
    bent,
    bounded_memory,
    check_sentence,
    many,
    picture_kinds,
    png,
    read_or_refused,
)

from coop_demo.data.dataset import Picture
from coop_demo.errors import PictureError
from coop_demo.settings import LIMITS

EACH = 100  # of twelve kinds: more than a thousand in all


def read(data: bytes, name: str) -> None:
    image = Picture(name, data).load()
    assert image.mode == "RGB"
    assert max(image.size) <= LIMITS.working_side


@pytest.mark.parametrize("kind", sorted(picture_kinds()))
def test_a_bent_picture_is_read_or_refused(kind: str) -> None:
    @many(EACH)
    @given(bent(picture_kinds()[kind]))
    def one(data: bytes) -> None:
        read_or_refused(lambda: read(data, f"bent.{kind}"))

    with bounded_memory():
        one()


@many(120)
@given(st.binary(max_size=300), st.sampled_from(sorted(picture_kinds())), st.booleans())
def test_random_bytes_are_refused(data: bytes, kind: str, with_head: bool) -> None:
    head = picture_kinds()[kind][:16] if with_head else b""
    read_or_refused(lambda: read(head + data, f"random.{kind}"))


@pytest.mark.parametrize("name", NAMES)
def test_what_a_picture_is_called_can_be_shown(name: str) -> None:
    with pytest.raises(PictureError) as refused:
        Picture(name, b"no picture").load()
    check_sentence(str(refused.value))
    assert "\u202e" not in Picture(name, b"").name


def packed_text(kind: bytes, size: int) -> bytes:
    return b"title\0\0" + zlib.compress(b"\0" * size, 9)


BOMBS = {
    "a colour profile that unpacks to 400 MB": lambda: png(
        grey(9), [(b"iCCP", packed_text(b"iCCP", 400 * 2**20))]
    ),
    "a text that unpacks to 400 MB": lambda: png(
        grey(9), [(b"zTXt", packed_text(b"zTXt", 400 * 2**20))]
    ),
    "a thousand texts": lambda: png(grey(9), [(b"zTXt", packed_text(b"zTXt", 2**20))] * 1_000),
    "a picture of 900 megapixels": lambda: encoded(Image.new("1", (30_000, 30_000))),
    "a GIF of three thousand frames": lambda: encoded(
        noise(1, size=(8, 8)).convert("P"),
        "GIF",
        save_all=True,
        append_images=[noise(i, size=(8, 8)).convert("P") for i in range(3_000)],
    ),
    "a TIFF whose strip says it is huge": lambda: huge_strip(),
    "a TIFF of pages that lead round": lambda: round_tiff(),
}


def huge_strip() -> bytes:
    whole = bytearray(encoded(noise(1, size=(16, 16)), "TIFF"))
    at = whole.find(struct.pack("<HHI", 279, 4, 1))  # StripByteCounts
    assert at > 0
    whole[at + 8 : at + 12] = struct.pack("<I", 2**32 - 1)
    return bytes(whole)


def round_tiff() -> bytes:
    whole = bytearray(encoded(noise(1, size=(16, 16)), "TIFF"))
    (first,) = struct.unpack("<I", whole[4:8])
    (count,) = struct.unpack("<H", whole[first : first + 2])
    at = first + 2 + 12 * count
    whole[at : at + 4] = struct.pack("<I", first)
    return bytes(whole)


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_a_bomb_costs_neither_time_nor_memory(make) -> None:
    data = make()
    began = time.monotonic()
    with bounded_memory():
        read_or_refused(lambda: read(data, "bomb"))
    assert time.monotonic() - began < 10


def test_a_file_and_pixels_above_the_bounds_are_refused(tmp_path) -> None:
    large = tmp_path / "large.png"
    with large.open("wb") as stream:
        stream.truncate(LIMITS.max_file_bytes + 1)
    with pytest.raises(PictureError, match="at most 64 MB are read"):
        Picture("large.png", large).load()
    side = int(LIMITS.max_decode_bytes**0.5) + 1
    with pytest.raises(PictureError, match="megapixels"):
        Picture("wide.png", encoded(Image.new("L", (side, side)))).load()
