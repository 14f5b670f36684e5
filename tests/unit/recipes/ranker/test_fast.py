"""Training a ranker on many instructions a step: the same numbers as one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from images import coloured
from PIL import Image
from tiny import tiny_backbone

from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.losses import LossConfig, ranking_loss
from coop_demo.ranking.metrics import srcc
from coop_demo.ranking.ranker import RankingTask
from coop_demo.recipes.ranker import fast, gpu, train
from coop_demo.recipes.ranker.pictures import Sample, count_prompt
from coop_demo.recipes.ranker.train import SHIPPED, wanted_by

APPLES, PEARS = count_prompt("apple"), count_prompt("pear")
SEEING = AdapterConfig(
    dim=16,
    layers=2,
    heads=4,
    n_learnable_tokens=3,
    n_relational_tokens=5,
    dropout=0.0,
    token_dim=12,
    text_token_dim=8,
    concepts=6,
    concept_rank=2,
    hidden_words=2,
)


def test_many_instructions_at_once_score_as_each_alone():
    torch.manual_seed(0)
    adapter = RankingAdapter.seeded(SEEING, 1).eval()
    for table in adapter.evidence.buffers():
        table.normal_()
    images = torch.randn(3, 4, 7, 12)
    texts = [torch.randn(length, 8) for length in (5, 3, 4)]
    words, read = torch.randn(3, 6, 8), torch.zeros(3, 6, dtype=torch.bool)
    for at, text in enumerate(texts):
        words[at, : len(text)], read[at, : len(text)] = text, True
    ends, hide = torch.stack([text[-1] for text in texts]), torch.tensor([False, True, False])
    scores, pairs = fast.scores_and_pairs(adapter, images, words, read, ends, hide)
    targets = torch.randint(0, 3, (3, 4)).float()
    losses = []
    for at, text in enumerate(texts):
        alone = adapter(images[at], text, hide_words=bool(hide[at]))
        torch.testing.assert_close(scores[at], alone.scores, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(pairs[at], alone.pair_logits, atol=1e-5, rtol=1e-4)
        how = LossConfig(regression_weight=4.0, count_ties=False)
        losses.append(ranking_loss(*alone, targets[at], how).total)
    together = fast.group_loss(scores, pairs, targets, regression_weight=4.0)
    torch.testing.assert_close(together, torch.stack(losses).mean())


def two_tasks() -> list[RankingTask]:
    """Ten pictures with apples, and ten others without; four with pears, no negatives."""
    apples = RankingTask(
        APPLES,
        rows=torch.arange(10),
        values=torch.arange(10.0),
        weights=torch.tensor([1e-9] * 5 + [1.0] * 5),
        negatives=torch.arange(10, 20),
        paraphrases=("Count the apples.",),
        counts_things=True,
    )
    pears = RankingTask(PEARS, rows=torch.arange(20, 24), values=torch.arange(4.0))
    return [apples, pears]


def test_a_batch_has_a_tasks_own_pictures_by_weight_and_its_negatives():
    backbone, tasks = tiny_backbone(), two_tasks()
    config = fast.FastConfig(steps=1, n_instructions=40, batch_size=10, hide_words=1.0)
    scales = fast.value_scales(tasks)
    texts = fast.read_wordings(backbone, tasks)
    batches = fast.Batches(texts, tasks, scales, config, torch.device("cpu"))
    torch.manual_seed(1)
    rows, targets, wording, hide = batches.draw()
    assert rows.shape == targets.shape == (40, 10)
    of_apples = rows[:, 0] < 20
    assert 0 < of_apples.sum() < 40
    own, negative = rows[of_apples][:, :8], rows[of_apples][:, 8:]
    assert (own >= 5).all()  # the others weigh nothing
    assert (own < 10).all()
    assert ((negative >= 10) & (negative < 20)).all()
    offset, scale = scales[0]
    values = targets[of_apples] * scale + offset
    torch.testing.assert_close(values[:, :8], own.float())
    torch.testing.assert_close(values[:, 8:], torch.zeros_like(values[:, 8:]), atol=1e-5, rtol=0)
    assert (rows[~of_apples] >= 20).all()
    assert set(wording[of_apples].tolist()) == {0, 1}
    assert set(wording[~of_apples].tolist()) == {2}
    assert hide[of_apples].all()
    assert not hide[~of_apples].any()


def test_wordings_are_read_as_each_alone():
    backbone, tasks = tiny_backbone(), two_tasks()
    for text, tokens in fast.read_wordings(backbone, tasks).items():
        torch.testing.assert_close(tokens, backbone.text_tokens([text])[0], atol=1e-5, rtol=1e-4)


def test_an_order_is_learned_and_the_average_is_what_is_kept():
    backbone = tiny_backbone()
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(backbone.embed_dim, generator=generator)
    counts = torch.arange(24) % 6
    tokens = 0.1 * torch.randn(24, 9, backbone.embed_dim, generator=generator)
    tokens = (tokens + counts[:, None, None] / 6 * direction).half()
    tasks = [RankingTask(APPLES, rows=torch.arange(24), values=counts.float())]
    shape = AdapterConfig(dim=16, layers=1, heads=4, mlp_ratio=2.0, token_dim=backbone.embed_dim)
    wordings = [count_prompt(kind) for kind in ("apple", "orange", "lemon")]
    start = train.aligned_start(backbone, tokens, wordings, shape, seed=1)
    config = fast.FastConfig(
        steps=60, n_instructions=2, batch_size=12, learning_rate=5e-3, average=0.9
    )
    events = list(fast.train_fast(backbone, tokens, tasks, start, config))
    assert events[-1].step == events[-1].steps == 60
    ranker = events[-1].ranker()
    scores = train.adapter_scores(backbone, ranker, tokens, APPLES)
    assert srcc(scores.numpy(), counts.numpy()) > 0.9
    learned = ranker.learned(APPLES)
    assert learned is not None
    assert (learned.lowest, learned.highest, learned.n_pictures) == (0.0, 5.0, 24)


def test_the_average_of_a_short_training_has_forgotten_its_start():
    backbone, tasks = tiny_backbone(), two_tasks()
    tokens = torch.randn(24, 9, backbone.embed_dim).half()
    shape = AdapterConfig(dim=16, layers=1, heads=4, token_dim=backbone.embed_dim)
    adapter = RankingAdapter.seeded(shape, 1)
    config = fast.FastConfig(steps=300, n_instructions=1, batch_size=4)
    texts, scales = fast.read_wordings(backbone, tasks), fast.value_scales(tasks)
    batches = fast.Batches(texts, tasks, scales, config, torch.device("cpu"))
    step = fast._Step(adapter, tokens, batches, config)
    with torch.no_grad():  # as if the first step had moved all weights by one
        for weight in step.parameters:
            weight += 1
    for _ in range(300):
        step(0.0)
    moved = [(a - b).mean() for a, b in zip(step.average, step.before, strict=True)]
    assert min(moved) > 0.999


def test_the_learning_rate_rises_and_ends_at_zero():
    rates = [fast.schedule(step, 100, 0.1) for step in range(1, 101)]
    assert rates[4] == pytest.approx(0.5)
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] == pytest.approx(0.0, abs=1e-9)


def test_pictures_are_drawn_by_processes_as_they_are_by_the_backbone():
    image = coloured((40, 90, 200), size=(50, 31), grain=30)
    backbone = tiny_backbone()
    ours = torch.from_numpy(gpu.square(image, 24).copy())
    theirs = backbone.whole_pixels(image, replace(train.FORM, side=24))
    assert torch.equal(ours, theirs)


def test_settings_are_chosen_by_kinds_never_met_first():
    figures = {"never_met_mean": 0.4, "val": {"natural": 0.6, "dice": 0.9, "age": 0.7}}
    assert gpu.merit(figures) == pytest.approx(0.5 * 0.4 + 0.3 * 0.6 + 0.2 * 0.8)


def test_a_setting_without_scenes_on_photographs_keeps_the_others():
    plain = replace(SHIPPED, photographs=False)
    on, off = (
        Sample("counting", "train", Image.Image, {APPLES: 1.0}, complete=complete)
        for complete in (False, True)
    )
    assert [wanted_by(plain, one) for one in (on, off)] == [False, True]
    assert [wanted_by(SHIPPED, one) for one in (on, off)] == [True, True]


def test_packed_cutouts_come_back_by_kind(tmp_path):
    from coop_demo.recipes.ranker.pack import packed_library

    (tmp_path / "traffic light").mkdir()
    coloured((200, 10, 10), size=(20, 30), grain=0).convert("RGBA").save(
        tmp_path / "traffic light" / "000.webp"
    )
    library = packed_library(tmp_path)
    assert list(library) == ["traffic light"]
    assert library["traffic light"][0].image.mode == "RGBA"
    assert np.asarray(library["traffic light"][0].image).shape == (30, 20, 4)
