"""The pointing game counts hits as defined, and a model that knows where things are wins it."""

from __future__ import annotations

import numpy as np
import pytest
from images import disc
from tiny import tiny_backbone

from coop_demo.errors import HeatmapError
from coop_demo.recipes.cutouts import Cutout
from coop_demo.recipes.localisation import Pointing, measure_localisation, scene_of, vocabulary

COLOURS = {
    "red": (255, 0, 0),
    "green": (0, 200, 0),
    "blue": (0, 0, 255),
    "gold": (250, 200, 0),
    "pink": (255, 120, 200),
}


def discs() -> list[Cutout]:
    """Round cut-outs of one colour each."""
    return [
        Cutout(name, "disc", "photograph", "made", name, disc(colour, 40))
        for name, colour in COLOURS.items()
    ]


def test_events_count_up_and_the_last_holds_a_row_for_each_method_and_target():
    events = list(measure_localisation(tiny_backbone(), n_scenes=6, cutouts=discs()))
    assert [event.done for event in events] == [1, 2, 3, 4, 5, 6]
    assert all(not event.rows for event in events[:-1])
    rows = events[-1].rows
    whole = [row for row in rows if row.n_objects is None and not row.recognised_only]
    assert {(row.method, row.target) for row in whole} == {
        (method, target) for method in ("legrad", "rollout") for target in ("cosine", "contrast")
    }
    for row in whole:
        parts = [
            r
            for r in rows
            if (r.method, r.target, r.recognised_only) == (row.method, row.target, False)
            and r.n_objects
        ]
        assert [part.n for part in parts] == [2, 2, 2]
        assert sum(part.hits for part in parts) == row.hits
        assert row.n == 6
        assert 0 < row.chance < row.any_chance < 0.5
        assert row.hits <= row.any_object_hits <= 6


def test_the_same_seed_gives_the_same_table_and_another_one_other_scenes():
    backbone = tiny_backbone()

    def table(seed: int):
        *_, last = measure_localisation(
            backbone, n_scenes=3, cutouts=discs(), methods=["legrad"], seed=seed
        )
        return last.rows

    assert table(1) == table(1)
    assert table(1)[0].chance != table(2)[0].chance


def test_chance_is_what_a_random_point_hits():
    """Many random points in a scene hit the named object as often as `chance` says."""
    scene = scene_of(discs()[:3], list(COLOURS)[:3], side=64, seed=4)
    mask = scene.mask("red")
    rng = np.random.default_rng(0)
    points = rng.integers(0, 64, size=(20_000, 2))
    assert mask[points[:, 0], points[:, 1]].mean() == pytest.approx(mask.mean(), abs=0.01)
    assert 0.03 < mask.mean() < 0.2
    assert not (mask & scene.mask("blue")).any()


def test_wilsons_interval_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    row = Pointing("gradcam", "cosine", None, False, 37, 50, 120, 0.05, 0.2)
    expected = stats.binomtest(37, 120).proportion_ci(method="wilson")
    assert row.interval == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-4)
    assert row.to_mapping()["percent"] == 30.8
    assert row.to_mapping()["chance_percent"] == 5.0


def test_too_few_names_are_refused():
    with pytest.raises(HeatmapError, match="4 different names and the cut-outs have 3"):
        vocabulary(discs()[:3])
