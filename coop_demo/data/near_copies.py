"""Pictures that look the same though their pixels differ: re-encoded, resized, lightly edited.

`content_hash` finds exact copies only. A picture saved again at another quality has another
content, and a prompt that learned it would be measured on it all the same.

    pairs = near_copies(
        [item.picture for item in dataset.train], [item.picture for item in dataset.test]
    )
    notes = near_copy_notes(pairs, "training", "test")
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from coop_demo.data.dataset import Picture, first_notes
from coop_demo.errors import PictureError
from coop_demo.wording import counted, listed

# Measured on seven sets of photographs: of pictures saved as JPEG of quality 40 or at a third of
# their size, 99 in 100 differ by 4 bits or fewer (brighter or darker ones by 6, cropped ones by
# more); of 177,000 pairs of different pictures 3 do, and those look alike to the eye too.
MAX_DISTANCE = 4  # of 64 bits
MAX_COLOUR = 24.0  # mean difference of a 4 × 4 thumbnail, in levels: a red cup is no blue cup
_FLATTEST = 2.0  # standard deviation in levels below which there is nothing to recognise
_SIDE, _KEPT = 32, 8  # of the picture and of its lowest frequencies


@dataclass(frozen=True)
class NearPair:
    """Two pictures suspected to be copies, one of each list, and the bits they differ by."""

    first: Picture
    second: Picture
    distance: int


def picture_hash(image: Image.Image) -> int | None:
    """What a picture looks like in 64 bits (pHash: the signs of its lowest frequencies about their
    median); None for a picture of one colour, which looks like any other of its kind.

    Two pictures are compared by the number of bits that differ: `(one ^ other).bit_count()`.
    See hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html.
    """
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    grey = np.asarray(small, dtype=np.float64)  # (32, 32)
    if grey.std() < _FLATTEST:
        return None
    low = _COSINES @ grey @ _COSINES.T  # (8, 8)
    median = np.median(low.ravel()[1:])  # the first is the mean brightness
    bits = np.packbits((low > median).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def near_copies(
    one: Sequence[Picture],
    other: Sequence[Picture],
    *,
    looks: tuple[Sequence[Look | None], Sequence[Look | None]] | None = None,
    max_distance: int = MAX_DISTANCE,
) -> list[NearPair]:
    """Pairs of a picture of `one` and a picture of `other` that are suspected to be copies.

    For whoever trains or measures: give the pictures that are learned from and those that are
    measured on, and leave out or name what comes back. Exact copies (one `content`) are not
    listed; other checks know them. A suspicion only: show both pictures to the person.

    Args:
        looks: of both lists where they are known, as after encoding. Otherwise every picture is
            decoded once (about 100 a second), and those that cannot be read are passed over.
        max_distance: bits of `picture_hash` that may differ.

    Returns:
        The pairs, nearest first, then in the order of the lists.
    """
    looks = looks or (_looks(one), _looks(other))
    found = near_looks(*looks, max_distance=max_distance)
    return [
        NearPair(one[first], other[second], distance)
        for first, second, distance in found
        if one[first] is not other[second]
        and (one[first].content is None or one[first].content != other[second].content)
    ]


def near_copy_notes(pairs: Sequence[NearPair], first: str, second: str) -> list[str]:
    """Sentences that name the suspected pairs; `first` and `second` say what each list is."""
    if not pairs:
        return []
    named = [
        f'"{pair.second.name}" ({second}) looks like "{pair.first.name}" ({first}).'
        for pair in pairs
    ]
    n_second = len({id(pair.second) for pair in pairs})
    return [
        *first_notes(named),
        f"{counted(n_second, f'{second} picture')} nearly the same as "
        f"{'a' if n_second == 1 else 'some'} {first} "
        f"{'picture' if n_second == 1 else 'pictures'}: look at them, and remove copies.",
    ]


@dataclass(frozen=True)
class Look:
    """What is compared of a picture: its hash, and 4 × 4 colours (48 levels)."""

    bits: int
    colours: bytes

    @classmethod
    def of(cls, image: Image.Image) -> Look | None:
        """None for a picture of one colour."""
        bits = picture_hash(image)
        if bits is None:
            return None
        return cls(bits, image.convert("RGB").resize((4, 4), Image.Resampling.BOX).tobytes())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Look:
        """Of `to_bytes()`. Raises ValueError when it is something else."""
        if len(raw) != 56:
            raise ValueError(f"a look has 56 bytes, not {len(raw)}")
        return cls(int.from_bytes(raw[:8], "big"), raw[8:])

    def to_bytes(self) -> bytes:
        return self.bits.to_bytes(8, "big") + self.colours

    @classmethod
    def from_text(cls, text: str) -> Look:
        """Of `text()`. Raises ValueError when it is no such text."""
        return cls.from_bytes(bytes.fromhex(text))

    def text(self) -> str:
        """112 hexadecimal digits, for files."""
        return self.to_bytes().hex()

    def near(self, other: Look, max_distance: int = MAX_DISTANCE) -> int | None:
        """Bits by which two looks differ; None where they are not suspected to be copies."""
        distance = (self.bits ^ other.bits).bit_count()
        if distance > max_distance:
            return None
        ours, theirs = (np.frombuffer(one.colours, np.uint8).astype(int) for one in (self, other))
        return distance if np.abs(ours - theirs).mean() <= MAX_COLOUR else None


_MOST = 1_000_000  # entries in a file, far above any number of shots


def are_digits(entries: Any, length: int) -> bool:
    """Whether something read from a file is a list of hexadecimal numbers of so many digits."""
    return (
        isinstance(entries, list)
        and len(entries) <= _MOST
        and all(
            isinstance(one, str) and re.fullmatch(rf"[0-9a-f]{{{length}}}", one) is not None
            for one in entries
        )
    )


def near_looks(
    one: Sequence[Look | None],
    other: Sequence[Look | None],
    *,
    max_distance: int = MAX_DISTANCE,
) -> list[tuple[int, int, int]]:
    """(position in one, position in other, bits) of suspected copies; None is nothing's copy."""
    places = [at for at, look in enumerate(other) if look is not None]
    hashes = np.array([look.bits for look in other if look is not None], dtype=np.uint64)  # (M,)
    found = []
    for first, look in enumerate(one):
        if look is None:
            continue
        close = np.flatnonzero(np.bitwise_count(hashes ^ np.uint64(look.bits)) <= max_distance)
        for second in (places[at] for at in close):
            twin = other[second]
            distance = None if twin is None else look.near(twin, max_distance)
            if distance is not None:
                found.append((first, second, distance))
    return sorted(found, key=lambda pair: pair[2])


def near_shots(
    looks: Sequence[Look | None], shots: Iterable[str], names: Sequence[str]
) -> list[str]:
    """A sentence where images look like ones that a prompt or ranker learned from.

    Args:
        looks: of the images to measure on; `names` are theirs.
        shots: `Look.text` of the images learned from.
    """
    return like_shot_notes(like_shots(looks, shots, names))


def like_shot_notes(found: Sequence[str]) -> list[str]:
    """The sentence of `near_shots`, for names that are known already."""
    if not found:
        return []
    verb = "looks" if len(found) == 1 else "look"
    return [
        f"{counted(len(found), 'picture')} measured on {verb} almost like one that was learned "
        f"from ({listed(found, 3)}): if it is a copy, leave it out."
    ]


def like_shots(
    looks: Sequence[Look | None], shots: Iterable[str], names: Sequence[str]
) -> list[str]:
    """Names of the images that look like one of `shots`, `Look.text` of images learned from."""
    known = [Look.from_text(text) for text in shots]
    return [names[at] for at in sorted({second for _, second, _ in near_looks(known, looks)})]


def _looks(pictures: Sequence[Picture]) -> list[Look | None]:
    looks: list[Look | None] = []
    for picture in pictures:
        try:
            looks.append(Look.of(picture.load()))
        except PictureError:
            looks.append(None)
    return looks


def _cosines() -> np.ndarray:
    """The first rows of the cosine transform: (8, 32)."""
    frequency, place = np.mgrid[:_KEPT, :_SIDE]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))


_COSINES = _cosines()
