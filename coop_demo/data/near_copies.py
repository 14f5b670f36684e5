"""Pictures that look the same though their pixels differ: re-encoded, resized, lightly edited.

`content_hash` finds exact copies only. A picture saved again at another quality has another
content, and a prompt that learned it would be measured on it all the same.

    pairs = near_copies(
        [item.picture for item in dataset.train], [item.picture for item in dataset.test]
    )
    notes = near_copy_notes(pairs, "training", "test")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from coop_demo.data.dataset import Picture, first_notes
from coop_demo.errors import PictureError
from coop_demo.wording import counted

# Measured on seven sets of photographs: of pictures saved as JPEG of quality 40 or at a third of
# their size, 99 in 100 differ by 4 bits or fewer (brighter or darker ones by 6, cropped ones by
# more); of 177,000 pairs of different pictures 3 do, and those look alike to the eye too.
MAX_DISTANCE = 4  # of 64 bits
_MAX_COLOUR = 24.0  # mean difference of a 4 × 4 thumbnail, in levels: a red cup is no blue cup
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
    small = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    grey = np.asarray(small, dtype=np.float64)  # (32, 32)
    if grey.std() < _FLATTEST:
        return None
    low = _COSINES @ grey @ _COSINES.T  # (8, 8)
    median = np.median(low.ravel()[1:])  # the first is the mean brightness
    bits = np.packbits((low > median).ravel())
    return int.from_bytes(bits.tobytes(), "big")


def near_copies(
    one: Sequence[Picture], other: Sequence[Picture], *, max_distance: int = MAX_DISTANCE
) -> list[NearPair]:
    """Pairs of a picture of `one` and a picture of `other` that are suspected to be copies.

    For whoever trains or measures: give the pictures that are learned from and those that are
    measured on, and leave out or name what comes back. Exact copies (one `content`) are not
    listed; other checks know them. Every picture is decoded once (about 100 a second), pictures
    that cannot be read are passed over. A suspicion only: show both pictures to the person.

    Args:
        max_distance: bits of `picture_hash` that may differ.

    Returns:
        The pairs, nearest first, then in the order of the lists.
    """
    left, right = _looks(one), _looks(other)
    hashes = np.array([look.bits for look in right], dtype=np.uint64)  # (M,)
    pairs = []
    for look in left:
        distances = np.bitwise_count(hashes ^ np.uint64(look.bits))  # (M,)
        for position in np.flatnonzero(distances <= max_distance):
            twin = right[position]
            is_same = look.picture is twin.picture or (
                look.picture.content is not None and look.picture.content == twin.picture.content
            )
            if not is_same and np.abs(look.colours - twin.colours).mean() <= _MAX_COLOUR:
                pairs.append(NearPair(look.picture, twin.picture, int(distances[position])))
    return sorted(pairs, key=lambda pair: pair.distance)


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


@dataclass(frozen=True, eq=False)
class _Look:
    picture: Picture
    bits: int
    colours: np.ndarray  # (48,)


def _looks(pictures: Sequence[Picture]) -> list[_Look]:
    looks = []
    for picture in pictures:
        try:
            image = picture.load()
        except PictureError:
            continue
        bits = picture_hash(image)
        if bits is not None:
            tiny = image.resize((4, 4), Image.Resampling.BOX)
            looks.append(_Look(picture, bits, np.asarray(tiny, dtype=np.float64).ravel()))
    return looks


def _cosines() -> np.ndarray:
    """The first rows of the cosine transform: (8, 32)."""
    frequency, place = np.mgrid[:_KEPT, :_SIDE]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))


_COSINES = _cosines()
