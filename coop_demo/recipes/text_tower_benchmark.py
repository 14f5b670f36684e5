"""How much faster the exact text tower is than the reference's full-length loop, measured.

Forward and backward to the context, the work of one training step, at several numbers of
classes: all 77 tokens as the reference does, cut after EOT, and with the shared prefix.
"""

import statistics
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.prompts.learner import PromptConfig, PromptLearner


@dataclass(frozen=True)
class TowerTiming:
    """Median seconds of one forward and backward, and how far the results are apart."""

    backbone: str
    n_classes: int
    full_length: float
    cut: float
    shared_prefix: float
    max_feature_difference: float
    max_gradient_difference: float  # relative to the reference's norm


def time_text_tower(
    backbone: Backbone,
    class_counts: Sequence[int] = (10, 100),
    *,
    n_ctx: int = 16,
    repeats: int = 5,
) -> Generator[TowerTiming, None, None]:
    """Time the three ways through one tower, one event a number of classes.

    The ways are timed in turn, round by round, so that a busy machine slows all three alike.
    """
    for count in class_counts:
        names = [f"number {i} kind of thing" for i in range(count)]
        learner = PromptLearner(
            backbone.text_tower,
            backbone.tokenizer,
            names,
            PromptConfig(n_ctx=n_ctx),
            generator=torch.Generator().manual_seed(0),
        )

        def full_length(learner: PromptLearner = learner) -> Tensor:
            prompts = learner.prompts()  # (C, L, W)
            padding = learner.text_tower.context_length - prompts.shape[1]
            padded = F.pad(prompts, (0, 0, 0, padding))
            return learner.text_tower.encode_full_length(padded, learner.eot)

        def cut(learner: PromptLearner = learner) -> Tensor:
            return learner.text_tower.encode(learner.prompts(), learner.eot)

        ways: dict[str, Callable[[], Tensor]] = {
            "full_length": full_length,
            "cut": cut,
            "shared_prefix": learner,
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        results = {way: _step(learner, encode)[1:] for way, encode in ways.items()}  # warm-up
        for _ in range(repeats):
            for way, encode in ways.items():
                times[way].append(_step(learner, encode)[0])
        features, gradient = results["full_length"]
        yield TowerTiming(
            backbone=backbone.name,
            n_classes=count,
            **{way: statistics.median(seconds) for way, seconds in times.items()},
            max_feature_difference=max(
                float((results[way][0] - features).abs().max()) for way in ways
            ),
            max_gradient_difference=max(
                float((results[way][1] - gradient).norm() / gradient.norm()) for way in ways
            ),
        )


def _step(learner: PromptLearner, encode: Callable[[], Tensor]) -> tuple[float, Tensor, Tensor]:
    """One forward and backward: seconds, features, gradient of the context."""
    wait = torch.cuda.synchronize if learner.ctx.device.type == "cuda" else _nothing
    wait()
    began = time.perf_counter()
    features = F.normalize(encode(), dim=-1)
    target = torch.linspace(-1, 1, features.numel(), device=features.device).view_as(features)
    (gradient,) = torch.autograd.grad((features * target).sum(), learner.ctx)
    wait()  # a GPU is told what to do long before it has done it
    return time.perf_counter() - began, features.detach(), gradient


def _nothing() -> None:
    pass
