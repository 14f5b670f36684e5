"""What a grid will take, before it begins: cells, pictures, hours and bytes.

Measured on this computer with a few pictures and a few training steps; what a step costs grows
with the number of classes, nearly along a line.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.comparison.grid import find_dataset, grid_settings, plan_cells
from coop_demo.comparison.methods import LEARNED_METHODS, find_methods
from coop_demo.comparison.results_csv import Cell
from coop_demo.data.dataset import Dataset
from coop_demo.errors import UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import train_config_for
from coop_demo.prompts.training import Preset, train_prompt

PROBED_PICTURES = 16
PROBED_STEPS = 2
PROBED_CLASSES = 100  # with more, steps are extrapolated


@dataclass(frozen=True)
class Estimate:
    """A guess within a factor of two or so: other programs use the computer too."""

    n_sets: int
    n_cells: int  # to be run
    n_there: int
    n_trainings: int  # of the cells: those that learn a prompt
    n_views: int  # passes of pictures through the image tower
    seconds_encoding: float
    seconds_training: float  # of one worker
    workers: int
    feature_bytes: int

    @property
    def hours(self) -> float:
        return (self.seconds_encoding + self.seconds_training / self.workers) / 3600

    def __str__(self) -> str:
        return (
            f"{self.n_cells:,} cells of {self.n_sets} sets to run ({self.n_there:,} are there), "
            f"{self.n_trainings:,} of them trainings; {self.n_views:,} views to encode; about "
            f"{_duration(3600 * self.hours)} with {self.workers} at a time "
            f"({_duration(self.seconds_encoding)} of it encoding), and "
            f"{self.feature_bytes / 2**20:,.0f} MB of features on disk."
        )


def estimate_grid(
    backbone: Backbone,
    root: str | Path,
    datasets: Sequence[str],
    *,
    shots: Sequence[int],
    seeds: Sequence[int],
    methods: Sequence[str],
    there: Sequence[Cell] = (),
    preset: Preset = "fast",
    template: str = "",
    prompt_config: PromptConfig | None = None,
    workers: int = 1,
    **overrides,
) -> Estimate | None:
    """What `benchmark` with the same arguments will take; None when no set can be used.

    Args:
        there: cells of earlier runs.
        workers: trainings at a time.

    Raises:
        UserError: unknown methods or settings out of range.
    """
    chosen = find_methods(methods)
    settings = grid_settings(backbone, preset, template, prompt_config, overrides)
    given = dict(settings.overrides)
    config = train_config_for(preset, 1, 1, **given)
    known = {cell.key: cell for cell in there}
    views_each = 1 if backbone.mean_pooled else len(config.view_numbers)
    n_sets = n_cells = n_there = n_trainings = n_passes = n_features = 0
    trainings: list[tuple[int, int, int]] = []  # classes, steps, how many
    probe: Dataset | None = None
    for name in dict.fromkeys(datasets):
        try:
            dataset = find_dataset(root, name)
            planning = plan_cells(
                dataset_named(dataset, name), chosen, shots, seeds, settings, known
            )
            while True:
                try:
                    next(planning)
                except StopIteration as done:
                    plan = done.value
                    break
        except UserError:
            continue  # the run itself says so
        n_sets, n_there = n_sets + 1, n_there + plan.done
        n_cells += len(plan.missing)
        if not plan.missing:
            continue
        probe = probe or dataset
        n_classes = len(dataset.class_names)
        n_test = len(dataset.test) or len(dataset.train)
        drawn = sum(min(plan.most_shots, n) for n in dataset.train_counts) * len(set(seeds))
        drawn = min(drawn, len(dataset.train))
        n_passes += n_test + drawn * views_each
        n_features += n_test + drawn * len(config.view_numbers)
        for method, n_shots, _ in plan.missing:
            if method in LEARNED_METHODS:
                n_trainings += 1
                n_train = n_shots * n_classes
                steps = train_config_for(preset, n_shots, n_train, dataset=name, **given).steps
                trainings.append((n_classes, steps, 1))
    if probe is None:
        return None if not n_sets else Estimate(n_sets, 0, n_there, 0, 0, 0.0, 0.0, workers, 0)
    a_pass = _seconds_a_pass(backbone, probe)
    classes = sorted({n for n, _, _ in trainings})
    step_of = _seconds_a_step(backbone, classes, settings.prompt_config, preset, given)
    return Estimate(
        n_sets,
        n_cells,
        n_there,
        n_trainings,
        n_passes,
        n_passes * a_pass,
        sum(steps * step_of(n) * times for n, steps, times in trainings),
        workers,
        n_features * backbone.embed_dim * 4,
    )


def dataset_named(dataset: Dataset, name: str) -> Dataset:
    """The set under the name it was asked for by, as the results call it."""
    return Dataset(dataset.class_names, dataset.train, dataset.test, dataset.val, name)


def _seconds_a_pass(backbone: Backbone, dataset: Dataset) -> float:
    items = (*dataset.test, *dataset.train)[: PROBED_PICTURES + 2]
    pictures = [item.picture for item in items]
    encode_all(backbone, pictures[:2], cache=FeatureCache())  # the first is slower
    began = time.perf_counter()
    encode_all(backbone, pictures[2:], cache=FeatureCache())
    return (time.perf_counter() - began) / max(1, len(pictures) - 2)


def _seconds_a_step(
    backbone: Backbone,
    classes: Sequence[int],
    prompt_config: PromptConfig,
    preset: Preset,
    overrides: dict,
):
    """Seconds of a training step by the number of classes: a line through two measurements."""
    if not classes:
        return lambda n: 0.0
    few, many = min(classes[0], PROBED_CLASSES), min(classes[-1], PROBED_CLASSES)
    timed = {n: _timed_step(backbone, n, prompt_config, preset, overrides) for n in {few, many}}
    slope = 0.0 if few == many else max(0.0, (timed[many] - timed[few]) / (many - few))
    if few == many and classes[-1] > many:
        slope = timed[many] / many
    return lambda n: max(timed[few] + slope * (n - few), 0.0)


def _timed_step(
    backbone: Backbone, n: int, prompt_config: PromptConfig, preset: Preset, overrides: dict
) -> float:
    features = F.normalize(torch.randn(1, n, backbone.embed_dim), dim=-1)
    given = {**overrides, "steps": PROBED_STEPS + 1, "n_views": 1}
    config = train_config_for(preset, 1, n, **given)
    names = [f"thing number {i}" for i in range(n)]
    marks = []
    for _ in train_prompt(
        backbone, features, torch.arange(n), names, prompt_config, config, measurements=1
    ):
        marks.append(time.perf_counter())
    return (marks[-1] - marks[0]) / PROBED_STEPS


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
