"""Encoding is timed both ways on the same pictures, and gives the same features."""

from tiny import tiny_backbone

from coop_demo.recipes.speed import made_jpegs, time_encoding


def test_both_ways_of_encoding_give_the_same_features():
    timing = time_encoding(tiny_backbone(), "tiny", n_pictures=5, repeats=1)
    assert timing.equal
    assert min(timing.serial, timing.ahead, timing.found) > 0
    assert "the same features" in str(timing)


def test_made_jpegs_are_a_megapixel_and_all_different():
    pictures = made_jpegs(3)
    assert len({str(picture.source) for picture in pictures}) == 3
    assert pictures[0].load().size == (640, 480)
