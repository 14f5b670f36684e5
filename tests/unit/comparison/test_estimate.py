"""An estimate counts what the grid will do: no cell more or less, whatever is there already."""

from __future__ import annotations

import pytest
from comparing import write_set
from tiny import tiny_backbone

from coop_demo.comparison.estimate import estimate_grid
from coop_demo.comparison.grid import GridResult, benchmark
from coop_demo.prompts.learner import PromptConfig

OPTIONS = {
    "shots": (1, 2),
    "seeds": (1, 2),
    "methods": ("hand-crafted", "class-mean", "learned"),
    "prompt_config": PromptConfig(n_ctx=2),
    "steps": 3,
}


def test_cells_are_those_the_grid_runs_and_those_that_are_there(tmp_path):
    backbone = tiny_backbone()
    write_set(tmp_path / "colours", names=("red", "blue"), train=3, test=2)
    datasets = ["colours", "none"]
    before = estimate_grid(backbone, tmp_path, datasets, workers=2, **OPTIONS)
    assert (before.n_sets, before.n_cells, before.n_there, before.n_trainings) == (1, 9, 0, 4)
    assert before.hours > 0
    assert before.feature_bytes > 0
    out = tmp_path / "r.csv"
    *_, result = benchmark(backbone, tmp_path, ["colours"], out=out, **{**OPTIONS, "shots": (1,)})
    assert isinstance(result, GridResult)
    after = estimate_grid(backbone, tmp_path, datasets, there=result.cells, **OPTIONS)
    assert (after.n_cells, after.n_there, after.n_trainings) == (4, 5, 2)
    assert after.hours < before.hours * 2
    *_, result = benchmark(backbone, tmp_path, ["colours"], out=out, **OPTIONS)
    done = estimate_grid(backbone, tmp_path, ["colours"], there=result.cells, **OPTIONS)
    assert (done.n_cells, done.n_there, done.hours) == (0, 9, 0)


def test_twice_the_steps_of_training_are_twice_the_time(tmp_path):
    backbone = tiny_backbone()
    write_set(tmp_path / "colours", names=("red", "blue"), train=2, test=1)
    few = estimate_grid(backbone, tmp_path, ["colours"], **{**OPTIONS, "steps": 10})
    many = estimate_grid(backbone, tmp_path, ["colours"], **{**OPTIONS, "steps": 1000})
    assert many.seconds_training > 10 * few.seconds_training


def test_no_set_is_no_estimate(tmp_path):
    assert estimate_grid(tiny_backbone(), tmp_path, ["none"], **OPTIONS) is None


@pytest.mark.parametrize("workers", [1, 4])
def test_workers_share_the_trainings(tmp_path, workers):
    write_set(tmp_path / "colours", names=("red", "blue"), train=2, test=1)
    said = estimate_grid(tiny_backbone(), tmp_path, ["colours"], workers=workers, **OPTIONS)
    assert said.hours * 3600 == pytest.approx(
        said.seconds_encoding + said.seconds_training / workers
    )
    assert f"{workers} at a time" in str(said)
