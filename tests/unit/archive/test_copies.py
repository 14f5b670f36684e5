"""Copies are found by parts of their hashes: the same pairs that comparing all finds."""

from __future__ import annotations

import numpy as np
import pytest
from images import photograph, write_image

from coop_demo.archive.copies import Copies, find_copies, near_pairs
from coop_demo.archive.sources import open_source
from coop_demo.data.near_copies import Look, near_looks
from coop_demo.engines.local import ThisProcess

pytest.importorskip("pyarrow", reason="an index needs pyarrow")


def test_near_pairs_are_those_of_comparing_each_with_each():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**64, 300, dtype=np.uint64)
    for at in range(100):  # near ones, 0 to 6 bits from another
        flipped = sum(1 << int(b) for b in rng.choice(64, at % 7, replace=False))
        bits[at] = bits[at + 100] ^ np.uint64(flipped)
    colours = rng.integers(0, 30, (300, 48), dtype=np.uint8)
    colours[::9] += 100  # of other colours
    looks = [Look(int(b), c.tobytes()) for b, c in zip(bits, colours, strict=True)]
    every = {(i, j, d) for i, j, d in near_looks(looks, looks) if i < j}
    assert len(every) > 30
    assert set(near_pairs(bits, colours)) == every


def test_exact_and_near_copies_of_an_index_are_listed(tmp_path):
    from archiving import indexed

    archive = tmp_path / "archive"
    for seed in range(3):
        write_image(photograph(seed), archive / f"{seed}.png")
    write_image(photograph(1), archive / "same.png")
    write_image(photograph(2).resize((120, 100)), archive / "smaller.jpg", quality=60)
    index, _ = indexed(open_source(str(archive)), tmp_path / "index", ThisProcess())
    found = list(find_copies(index))
    same = Copies(str(archive / "1.png"), str(archive / "same.png"), None)
    assert found[0] == same
    (near,) = found[1:]
    assert (near.first, near.second) == (str(archive / "2.png"), str(archive / "smaller.jpg"))
    assert near.distance <= 4
