"""What strangers hand over: pictures of every format, files cut and bent, and what comes of it."""

from __future__ import annotations

import io
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from images import encoded, noise
from PIL import Image

from coop_demo.errors import UserError

SECONDS = 10.0  # of one input: bounded time, on a busy computer too
MEGABYTES = 1_000  # that a round of inputs may add to the most memory this process ever took


def many(examples: int) -> settings:
    """The same examples in every run, as many as are asked for."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@cache
def picture_kinds() -> dict[str, bytes]:
    """A small picture in each format that can be written here, by suffix."""
    image = noise(3, size=(24, 18))
    kinds = {
        "png": encoded(image),
        "jpg": encoded(image, "JPEG"),
        "webp": encoded(image, "WEBP"),
        "gif": encoded(image.convert("P"), "GIF"),
        "tif": encoded(image, "TIFF", compression="tiff_lzw"),
        "bmp": encoded(image, "BMP"),
        "avif": encoded(image, "AVIF"),
        "jp2": encoded(image, "JPEG2000"),
        "ppm": encoded(image, "PPM"),
        "tga": encoded(image, "TGA"),
        "ico": encoded(image.resize((16, 16)), "ICO"),
    }
    try:
        import pillow_heif
    except ImportError:
        return kinds
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream)
    return kinds | {"heic": stream.getvalue()}


def bent(whole: bytes) -> st.SearchStrategy[bytes]:
    """These bytes with something wrong: cut, overwritten, a piece doubled, left out or put in."""
    at = st.integers(0, max(len(whole) - 1, 0))
    junk = st.binary(min_size=1, max_size=24)

    def overwritten(pieces: list[tuple[int, bytes]]) -> bytes:
        made = bytearray(whole)
        for start, piece in pieces:
            made[start : start + len(piece)] = piece
        return bytes(made)

    return st.one_of(
        at.map(lambda n: whole[:n]),
        st.lists(st.tuples(at, junk), min_size=1, max_size=4).map(overwritten),
        st.tuples(at, at).map(lambda ab: whole[: min(ab)] + whole[max(ab) :]),
        st.tuples(at, at).map(lambda ab: whole[: max(ab)] + whole[min(ab) :]),
        st.tuples(at, junk).map(lambda one: whole[: one[0]] + one[1] + whole[one[0] :]),
    )


def check_sentence(said: str) -> None:
    """One sentence or a few for a person: nothing unseen in it, and not a page long."""
    assert said.strip(), "an error without a word"
    assert said.isprintable() or not any(_is_control(one) for one in said), repr(said)
    assert len(said) <= 2_001
    assert "Traceback" not in said


def _is_control(one: str) -> bool:
    return not (one.isprintable() or one in "\u200c\u200d" or one.isspace()) or one in "\n\r\t\x0b"


def read_or_refused(read: Callable[[], object]) -> bool:
    """Whether it is read; else it is one UserError whose sentence can be shown, and soon."""
    began = time.monotonic()
    try:
        read()
    except UserError as error:
        check_sentence(str(error))
        return False
    finally:
        assert time.monotonic() - began < SECONDS
    return True


@contextmanager
def bounded_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    unit = 2**20 if sys.platform == "darwin" else 2**10
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit < MEGABYTES


#: names that break lines, hide, turn around or pretend to be markup, a path or a formula
NAMES = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)</script>",
    "a\x00b\x1b[31mred\x07",
    "line\nbreak\r\ttab",
    "gpj.\u202eexe",
    "\u2066isolated\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "half \ud83d of a pair",
    '=HYPERLINK("http://127.0.0.1","x")',
    "@SUM(1+1)",
    "../../etc/passwd",
    "x" * 5_000,
    "\u0085\u2028\u2029",
    "",
)


def png(image: Image.Image, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG with chunks of one's own after its header."""
    import struct
    import zlib

    whole = encoded(image)
    head = 8 + 25  # signature and IHDR
    made = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return whole[:head] + made + whole[head:]


def changed(value: Any) -> st.SearchStrategy[Any]:
    """This JSON value with one part of it, anywhere, taken for another or left out."""
    places = list(_places(value))

    def put(given: tuple[tuple, Any]) -> Any:
        place, new = given
        whole = json.loads(json.dumps(value))
        if not place:
            return [] if new is _LEFT_OUT else new
        at = whole
        for key in place[:-1]:
            at = at[key]
        if new is _LEFT_OUT:
            del at[place[-1]]
        else:
            at[place[-1]] = new
        return whole

    return st.tuples(st.sampled_from(places), st.sampled_from(_WRONG)).map(put)


def _places(value: Any, at: tuple = ()) -> Iterator[tuple]:
    yield at
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value[:4])
    for key, one in inside:
        yield from _places(one, (*at, key))


_LEFT_OUT = object()
_DEEP: Any = "x"
for _ in range(200):
    _DEEP = [_DEEP]
_WRONG: list[Any] = [
    _LEFT_OUT,
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    1e308,
    -0.0,
    [],
    {},
    [None],
    {"": 1},
    {"$tensor": "no such"},
    {"$prompt": ["../../x", "0"]},
    _DEEP,
    ["oak"] * 5_000,
    *NAMES[:-1],
    "",
]
