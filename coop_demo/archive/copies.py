"""Pictures of an index that are the same, or look the same: from their hashes alone.

Comparing every picture with every other takes the square of their number. Two hashes of 64 bits
that differ in 4 bits or fewer are equal in at least one of any 5 parts, so only pictures that
share a part are compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from coop_demo.archive.index import Index
from coop_demo.data.near_copies import MAX_COLOUR, MAX_DISTANCE

_AT_ONCE = 2_000_000  # pairs of hashes compared at a time: 16 MB


@dataclass(frozen=True)
class Copies:
    """Two pictures of an index: the same pixels (`distance` None), or alike but for some bits."""

    first: str
    second: str
    distance: int | None


def find_copies(index: Index, *, max_distance: int = MAX_DISTANCE) -> Iterator[Copies]:
    """Exact copies first (each picture beside the first with its pixels), then near ones.

    Holds hashes and paths of all pictures in memory: about 250 bytes each.

    Raises:
        ArchiveError: a partition is damaged.
    """
    paths: list[str] = []
    bits: list[int] = []
    colours: list[bytes] = []
    first_with: dict[bytes, str] = {}
    for rows in index.partitions(features=False):
        for path, content, look in zip(rows.paths, rows.contents, rows.looks, strict=True):
            if content is None:
                continue
            key = bytes.fromhex(content)
            before = first_with.setdefault(key, path)
            if before != path:
                yield Copies(before, path, None)
            elif look is not None:  # of exact copies, one is compared with the others
                paths.append(path)
                bits.append(look.bits)
                colours.append(look.colours)
    shades = np.frombuffer(b"".join(colours), np.uint8).reshape(-1, 48)
    for one, other, distance in near_pairs(np.array(bits, np.uint64), shades, max_distance):
        yield Copies(paths[one], paths[other], distance)


def near_pairs(
    bits: NDArray[np.uint64], colours: NDArray[np.uint8], max_distance: int = MAX_DISTANCE
) -> list[tuple[int, int, int]]:
    """(position, later position, bits apart) of pictures suspected to be copies, nearest first.

    Shape: bits (N,), colours (N, 48).
    """
    found: set[tuple[int, int, int]] = set()
    n_parts = max_distance + 1
    edges = np.linspace(0, 64, n_parts + 1).round().astype(int)
    for low, high in pairwise(edges):
        width = np.uint64(high - low)
        mask = np.uint64((1 << int(width)) - 1) if width < 64 else np.uint64(2**64 - 1)
        part = (bits >> np.uint64(low)) & mask
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.r_[True, part[order][1:] != part[order][:-1]])
        for group in np.split(order, starts[1:]):
            if len(group) > 1:
                found.update(_within(np.sort(group), bits, colours, max_distance))
    return sorted(found, key=lambda pair: (pair[2], pair[0], pair[1]))


def _within(
    group: NDArray[np.intp],
    bits: NDArray[np.uint64],
    colours: NDArray[np.uint8],
    max_distance: int,
) -> Iterator[tuple[int, int, int]]:
    rows = max(1, _AT_ONCE // len(group))
    own = bits[group]
    for start in range(0, len(group), rows):
        block = own[start : start + rows]
        apart = np.bitwise_count(block[:, None] ^ own[None, :])  # (R, G)
        ones, others = np.nonzero(apart <= max_distance)
        later = others > ones + start
        ones, others = ones[later] + start, others[later]
        if not len(ones):
            continue
        difference = np.abs(
            colours[group[ones]].astype(np.int16) - colours[group[others]].astype(np.int16)
        ).mean(axis=1)
        for one, other in zip(
            ones[difference <= MAX_COLOUR], others[difference <= MAX_COLOUR], strict=True
        ):
            distance = int(apart[one - start, other])
            yield int(group[one]), int(group[other]), distance
