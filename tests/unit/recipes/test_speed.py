"""Encoding is timed both ways on the same pictures, and gives the same features."""

from tiny import tiny_backbone

from coop_demo.recipes.speed import (
    StageTiming,
    StepTiming,
    made_jpegs,
    markdown,
    time_encoding,
    time_many_classes,
)


def test_both_ways_of_encoding_give_the_same_features():
    timing = time_encoding(tiny_backbone(), "tiny", n_pictures=5, repeats=1)
    assert timing.equal
    assert min(timing.serial, timing.ahead, timing.found) > 0
    assert "the same features" in str(timing)


def test_made_jpegs_are_a_megapixel_and_all_different():
    pictures = made_jpegs(3)
    assert len({str(picture.source) for picture in pictures}) == 3
    assert pictures[0].load().size == (640, 480)


def test_timings_become_tables():
    made = markdown(
        [
            StepTiming("mini", 10, 500.0, 50.0, None, 0, 7e-6),
            StepTiming("mini", 1000, None, 16.0, 4.0, 2**30, None),
            StageTiming("mini", 20.0, 1.0, 3.0, 26.0),
        ]
    )
    assert "| mini, 10 classes | 500 | – | 50 | 10 | – | 7e-06 |" in made
    assert "| mini, 1000 classes | – | 16 | 4 | – | 1.0 GB | – |" in made
    assert "| mini | 20 | 1 | 3 | 26 |" in made


def test_blocks_and_samples_are_timed_on_the_same_problem():
    found = time_many_classes(tiny_backbone(), "tiny", 20)
    assert found.gradient_difference < 1e-3
    assert (found.block, found.sampled) == (5, 2)
    assert min(found.at_once, found.in_blocks, found.by_sample) > 0
