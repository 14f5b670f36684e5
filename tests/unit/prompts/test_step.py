"""A step of training: eager everywhere, replayed as one graph on a GPU, the same either way."""

from __future__ import annotations

import contextlib

import pytest
import torch
import torch.nn.functional as F
from tiny import tiny_backbone

from coop_demo.backbones.backbone import random_backbone
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.step import TrainStep
from coop_demo.prompts.training import TrainConfig, train_prompt

NAMES = ["red", "green", "a rather longer name"]


def problem(backbone):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(3).repeat_interleave(4)
    features = torch.randn(2, 12, backbone.embed_dim, generator=generator)
    return F.normalize(features, dim=-1).to(backbone.device), labels.to(backbone.device)


def make_step(backbone, *, optimizer="adamw", kgcoop_weight=None, capture=True):
    features, labels = problem(backbone)
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        NAMES,
        PromptConfig(n_ctx=4),
        generator=torch.Generator().manual_seed(0),
    )
    anchor = torch.zeros(3, backbone.embed_dim, device=backbone.device)
    step = TrainStep(
        backbone,
        learner,
        features,
        labels,
        anchor,
        batch_size=8,
        optimizer=optimizer,
        weight_decay=1e-3,
        kgcoop_weight=kgcoop_weight,
        capture=capture,
    )
    return step, learner


def test_a_step_on_the_cpu_is_eager_and_lowers_the_loss():
    step, _ = make_step(tiny_backbone())
    assert not step.captured
    view, rows = torch.zeros(8, dtype=torch.long), torch.arange(8)
    losses = [float(step(view, rows, 0.01)) for _ in range(15)]
    assert losses[-1] < losses[0]


def test_the_pull_of_kgcoop_grows_with_the_logit_scale_as_the_cross_entropy_does():
    backbone = tiny_backbone()
    view, rows = torch.zeros(8, dtype=torch.long), torch.arange(8)
    plain = make_step(backbone)[0].loss(view, rows)
    step, learner = make_step(backbone, kgcoop_weight=8.0)
    pull = learner().square().sum(-1).mean()  # towards the zeros that stand for the words
    expected = plain + 8.0 * backbone.logit_scale / 100 * pull
    assert step.loss(view, rows).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_loss_that_is_no_number_changes_nothing():
    backbone = tiny_backbone()
    step, learner = make_step(backbone)
    with torch.no_grad():
        learner.ctx[0, 0] = float("nan")
    before = learner.ctx.detach().clone()
    value = step(torch.zeros(8, dtype=torch.long), torch.arange(8), 0.01)
    assert not torch.isfinite(value)
    assert torch.equal(learner.ctx.isnan(), before.isnan())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("kgcoop_weight", [None, 8.0])
def test_a_replayed_step_is_the_eager_step(optimizer, kgcoop_weight, monkeypatch):
    backbone = random_backbone("RN50", device="cuda")
    monkeypatch.setattr(backbone, "autocast", contextlib.nullcontext, raising=False)
    runs = []
    for capture in (True, False):
        step, learner = make_step(
            backbone, optimizer=optimizer, kgcoop_weight=kgcoop_weight, capture=capture
        )
        assert step.captured == capture
        generator = torch.Generator().manual_seed(2)
        losses = []
        for _ in range(20):
            rows = torch.randperm(12, generator=generator)[:8].cuda()
            view = torch.randint(2, (8,), generator=generator).cuda()
            losses.append(float(step(view, rows, 0.002)))
        runs.append((losses, learner.ctx.detach().cpu(), step.weights().clone().cpu()))
    assert runs[0][0] == pytest.approx(runs[1][0], rel=1e-3)
    torch.testing.assert_close(runs[0][1], runs[1][1], rtol=1e-2, atol=1e-4)
    torch.testing.assert_close(runs[0][2], runs[1][2], rtol=1e-2, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_two_captured_trainings_in_turn_give_what_each_gives_alone():
    backbone = random_backbone("RN50", device="cuda")
    features, labels = problem(backbone)

    def events(seed):
        config = TrainConfig(steps=12, seed=seed)
        return train_prompt(
            backbone, features.cpu(), labels.cpu(), NAMES, PromptConfig(n_ctx=4), config
        )

    alone = [[e.loss for e in events(seed)] for seed in (1, 2)]
    together = [[], []]
    for a, b in zip(events(1), events(2), strict=True):
        together[0].append(a.loss)
        together[1].append(b.loss)
    assert together[0] == pytest.approx(alone[0], rel=1e-2)
    assert together[1] == pytest.approx(alone[1], rel=1e-2)
