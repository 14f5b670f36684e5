"""A ranker learns orders, the same way each time, and never loses what it had."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import tiny_backbone

from coop_demo.data.dataset import Picture
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.labels import RankingRow, RankingTable
from coop_demo.ranking.losses import LossConfig
from coop_demo.ranking.ranker import RankerTrainConfig, RankingTask, tasks_from_table
from coop_demo.ranking.training import mean_pair_accuracy, mean_srcc, task_metrics, train_ranker

SHAPE = AdapterConfig(
    dim=16,
    layers=1,
    heads=2,
    n_learnable_tokens=2,
    n_relational_tokens=4,
    mlp_ratio=2.0,
    dropout=0.0,
    token_dim=24,
)
QUICK = RankerTrainConfig(steps=6, batch_size=8, learning_rate=2e-3)
FIRST, SECOND = "Rank the first direction.", "Rank how much of the other one there is."


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def make_pictures(n, seed):
    """Tokens (n, 5, 24) whose mean moves along two directions, and how far along each."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(2, 24, generator=torch.Generator().manual_seed(99))
    amounts = torch.randn(n, 2, generator=generator)
    tokens = 0.3 * torch.randn(n, 5, 24, generator=generator)
    return tokens + (amounts @ directions)[:, None], amounts


def make_tasks(amounts, *, scale=(1.0, 1.0), offset=(0.0, 0.0)):
    rows = torch.arange(len(amounts))
    return [
        RankingTask(text, rows, offset[i] + scale[i] * amounts[:, i])
        for i, text in enumerate((FIRST, SECOND))
    ]


def run(backbone, tokens, tasks, config=QUICK, **options):
    options.setdefault("adapter_config", None if "start" in options else SHAPE)
    return list(train_ranker(backbone, tokens, tasks, config=config, **options))


@pytest.mark.slow
def test_two_instructions_are_learned_at_once_and_order_unseen_pictures_differently(backbone):
    tokens, amounts = make_pictures(64, seed=0)
    unseen, unseen_amounts = make_pictures(40, seed=1)
    # units a thousand times apart must not matter
    units = {"scale": (1000.0, 1.0), "offset": (5000.0, 0.0)}
    config = RankerTrainConfig(steps=250, batch_size=16, learning_rate=6e-3)
    events = run(
        backbone,
        tokens,
        make_tasks(amounts, **units),
        config,
        held_out=(unseen, make_tasks(unseen_amounts, **units)),
        measurements=2,
    )
    first, last = events[0], events[-1]
    assert (first.step, last.step, last.status) == (0, 250, "finished")
    assert last.before == first.held_out is not None
    for text in (FIRST, SECOND):
        assert last.held_out[text].srcc > 0.8
    assert mean_srcc(last.held_out) > mean_srcc(last.before) + 0.3
    assert mean_pair_accuracy(last.held_out) > 0.8
    # what is reported is what the saved adapter computes, on its own and for each instruction
    adapter = last.ranker.adapter()
    for task in make_tasks(unseen_amounts, **units):
        again = task_metrics(adapter, backbone, unseen, task)
        assert again.srcc == pytest.approx(last.held_out[task.instruction].srcc, abs=1e-6)
    # and scores turn back into the unit of each instruction
    scores = adapter.scores(unseen, backbone.text_tokens([FIRST]))
    values = torch.tensor(last.ranker.values(FIRST, scores.tolist()))
    truth = 5000 + 1000 * unseen_amounts[:, 0]
    assert (values - truth).abs().mean() < 0.6 * (truth - truth.mean()).abs().mean()
    assert last.ranker.values("Rank by luck.", [1.0]) is None


def test_same_seed_same_ranker_even_when_two_trainings_take_turns(backbone):
    tokens, amounts = make_pictures(20, seed=0)
    shape = replace(SHAPE, dropout=0.2)  # its random numbers are part of the promise
    state = torch.get_rng_state()

    def training(seed):
        config = replace(QUICK, seed=seed)
        return train_ranker(
            backbone, tokens, make_tasks(amounts), adapter_config=shape, config=config
        )

    alone = list(training(1))
    turns = list(zip(training(1), training(2), strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()
    assert [event.loss for event in alone[1:]] == [one.loss for one, _ in turns[1:]]
    assert [one.loss for one, _ in turns[1:]] != [other.loss for _, other in turns[1:]]
    kept, kept_in_turns = alone[-1].ranker, turns[-1][0].ranker
    for name, tensor in kept.state.items():
        assert torch.equal(tensor, kept_in_turns.state[name]), name


def test_nothing_is_held_across_a_yield_and_closing_stops(backbone):
    tokens, amounts = make_pictures(12, seed=0)
    training = train_ranker(
        backbone,
        tokens,
        make_tasks(amounts),
        adapter_config=SHAPE,
        config=replace(QUICK, steps=50),
        measurements=50,
    )
    for _ in range(4):
        event = next(training)
        assert torch.is_grad_enabled()
        assert not torch.is_autocast_enabled()
    with torch.no_grad():
        event = next(training)  # the caller's own mode does not reach the training
    assert event.step == 4
    training.close()
    assert event.ranker.adapter().scores(tokens, backbone.text_tokens([FIRST])).shape == (12,)


def test_a_trained_ranker_is_the_start_and_is_not_changed(backbone):
    tokens, amounts = make_pictures(48, seed=0)
    config = RankerTrainConfig(steps=60, batch_size=16, learning_rate=3e-3)
    shipped = run(backbone, tokens, make_tasks(amounts), config)[-1].ranker
    saved = {name: tensor.clone() for name, tensor in shipped.state.items()}
    few, few_amounts = make_pictures(10, seed=5)
    # the person's numbers have another unit and go the same way
    mine = RankingTask(FIRST, torch.arange(10), 3 + 0.1 * few_amounts[:, 0])
    events = run(
        backbone, few, [mine], replace(QUICK, learning_rate=1e-4), start=shipped, measurements=1
    )
    assert events[0].ranker.state.keys() == shipped.state.keys()
    assert events[1].regression_loss < 0.4  # no head to move first: the scale met the scores
    taught = events[-1].ranker
    assert {one.instruction for one in taught.instructions} == {FIRST, SECOND}
    assert taught.learned(FIRST).n_pictures == 10
    assert taught.learned(SECOND).n_pictures == 48
    assert any(not torch.equal(taught.state[name], saved[name]) for name in saved)
    for name, tensor in shipped.state.items():
        assert torch.equal(tensor, saved[name]), name


def test_a_loss_that_is_no_number_ends_the_training_with_the_last_good_ranker(backbone):
    tokens, amounts = make_pictures(12, seed=0)
    config = RankerTrainConfig(
        steps=40, batch_size=8, learning_rate=1.0, gradient_clip=1e30, warmup=0.0
    )
    tokens = tokens.double()
    tasks = make_tasks(amounts)
    generator = train_ranker(
        backbone, tokens, tasks, adapter_config=SHAPE, config=config, measurements=40
    )
    events = []
    for event in generator:
        events.append(event)
        if event.step == 3:
            tokens *= 1e30  # squares overflow in single precision: what fp16 does on real data
    last = events[-1]
    assert last.status == "diverged"
    assert last.step == 4
    assert "step 4 of 40" in last.message
    assert "last good ranker was kept" in last.message
    assert all(torch.isfinite(tensor).all() for tensor in last.ranker.state.values())
    assert last.ranker.history[-1]["step"] == 3


def test_held_out_pictures_choose_only_when_asked(backbone):
    tokens, amounts = make_pictures(24, seed=0)
    # held-out values that go the wrong way: the better the training, the worse the figure
    wrong = RankingTask(FIRST, torch.arange(24), -amounts[:, 0])
    right = make_tasks(amounts)[:1]
    config = RankerTrainConfig(steps=40, batch_size=12, learning_rate=3e-3)
    results = {}
    for keep in ("training", "held_out"):
        events = run(
            backbone,
            tokens,
            right,
            replace(config, keep=keep),
            held_out=(tokens, [wrong]),
            measurements=8,
        )
        results[keep] = (task_metrics(events[-1].ranker.adapter(), backbone, tokens, wrong), events)
    chosen, events = results["held_out"]
    measured = [mean_srcc(e.held_out) for e in events[1:] if e.held_out]
    assert chosen.srcc == pytest.approx(max(measured), abs=1e-6)
    settled, events = results["training"]
    assert settled.srcc == pytest.approx(mean_srcc(events[-1].held_out), abs=1e-6)
    assert settled.srcc < chosen.srcc


def test_negatives_are_a_fifth_of_the_batch_with_value_zero(backbone, monkeypatch):
    tokens, _ = make_pictures(30, seed=0)
    task = RankingTask(
        "Rank the numbers of apples.",
        torch.arange(20),
        torch.arange(1.0, 21.0),
        negatives=torch.arange(20, 30),
    )
    seen = []
    import coop_demo.ranking.training as training

    def spy(scores, pair_logits, targets, config, *, zero):
        seen.append((targets, zero))
        return real(scores, pair_logits, targets, config, zero=zero)

    real = training.ranking_loss
    monkeypatch.setattr(training, "ranking_loss", spy)
    events = run(backbone, tokens, [task], replace(QUICK, batch_size=10))
    learned = events[-1].ranker.learned("rank the numbers of  APPLES.")
    for targets, zero in seen:
        assert learned.offset + learned.scale * zero == pytest.approx(0, abs=1e-6)
        values = learned.offset + learned.scale * targets
        assert len(values) == 10
        assert sum(abs(v) < 1e-4 for v in values.tolist()) == 2
        assert len(set(values.round().tolist())) == 9  # eight different ones and zero: none twice


def test_rare_values_are_drawn_more_often_when_balanced():
    from coop_demo.ranking.training import balanced_weights

    values = torch.tensor([1.0] * 90 + [2.0] * 10)
    assert torch.allclose(balanced_weights(values, 0.0), torch.ones(100, dtype=torch.float64))
    weights = balanced_weights(values, 1.0)
    assert weights[:90].sum().item() == pytest.approx(weights[90:].sum().item())
    many = balanced_weights(torch.linspace(0, 1, 1000) ** 3, 1.0)  # more values than bins
    assert many[-1] > 3 * many[0]


def test_without_the_pair_branch_only_the_score_learns(backbone):
    tokens, amounts = make_pictures(16, seed=0)
    config = replace(QUICK, loss=LossConfig(rank_weight=0.0))
    events = run(backbone, tokens, make_tasks(amounts), config)
    assert all(event.rank_loss == 0 for event in events[1:])
    start = run(backbone, tokens, make_tasks(amounts), replace(QUICK, steps=1, learning_rate=1e-9))
    before, after = start[-1].ranker.state, events[-1].ranker.state
    apart = {name: (after[name] - before[name]).abs().max().item() for name in before}
    assert apart["regressor.output_head.weight"] > 1e-4
    assert apart["reg_tokens"] < 1e-6


def test_views_paraphrases_and_half_precision_are_taken(backbone):
    tokens, amounts = make_pictures(12, seed=0)
    views = torch.stack([tokens, tokens.flip(1)]).half()  # (2, 12, 5, 24)
    task = RankingTask(FIRST, torch.arange(12), amounts[:, 0], paraphrases=("Sort it.", "Order."))
    events = run(backbone, views, [task])
    assert events[-1].status == "finished"
    assert [one.instruction for one in events[-1].ranker.instructions] == [FIRST]


def test_counts_of_different_things_can_share_a_scale(backbone):
    tokens, _ = make_pictures(12, seed=0)
    rows = torch.arange(6)
    tasks = [
        RankingTask("Rank the apples.", rows, torch.arange(6.0), scale_of="count"),
        RankingTask("Rank the pears.", rows + 6, 10 * torch.arange(6.0), scale_of="count"),
        RankingTask("Rank the ages.", rows, 50 + torch.arange(6.0)),
    ]
    ranker = run(backbone, tokens, tasks)[-1].ranker
    apples, pears, ages = (ranker.learned(t.instruction) for t in tasks)
    assert (apples.offset, apples.scale) == (pears.offset, pears.scale)
    assert ages.offset == pytest.approx(52.5)
    assert (pears.lowest, pears.highest) == (0, 50)


def test_a_table_becomes_tasks_with_pictures_of_other_things_as_negatives():
    def row(name, value, things, weight=1.0):
        prompt = f"Rank the {things}." if things else "Rank the light."
        return RankingRow(Picture(name, Path(name)), value, prompt, things, weight=weight)

    table = RankingTable(
        (
            row("a", 1, "fish"),
            row("b", 2, "fish"),
            row("b", 5, "sharks", weight=2.0),
            row("c", 6, "sharks"),
            row("gone", 9, "fish"),
            row("d", 1, ""),
            row("a", 2, ""),
        )
    )
    row_of = {"a": 0, "b": 1, "c": 2, "d": 3}
    (fish, sharks, light), left_out = tasks_from_table(table, row_of)
    assert left_out == []
    assert (fish.instruction, fish.rows.tolist()) == ("Rank the fish.", [0, 1])
    assert fish.negatives.tolist() == [2]  # b has fish as well, and nobody said what d shows
    assert sharks.negatives.tolist() == [0]
    assert sharks.weights.tolist() == [2.0, 1.0]
    assert light.negatives is None
    assert light.weights is None
    assert tasks_from_table(table, row_of, negatives=False)[0][0].negatives is None
    del row_of["c"]  # could not be read
    (fish, light), left_out = tasks_from_table(table, row_of)
    assert (fish.instruction, light.instruction) == ("Rank the fish.", "Rank the light.")
    assert left_out == [
        '"Rank the sharks." has 1 labelled picture; 2 or more are needed to rank. '
        "Label more pictures."
    ]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0], "has 1 labelled picture; 2 or more"),
        ([1.0, float("nan")], "not a finite number"),
        ([3.0, 3.0, 3.0], "All 3 pictures .* have the value 3"),
    ],
)
def test_labels_that_order_nothing_are_refused(values, said):
    with pytest.raises(RankingError, match=said):
        RankingTask(FIRST, torch.arange(len(values)), torch.tensor(values))


def test_what_does_not_fit_is_refused_before_training(backbone):
    tokens, amounts = make_pictures(12, seed=0)
    tasks = make_tasks(amounts)
    with pytest.raises(RankingError, match="nothing to learn from"):
        run(backbone, tokens, [])
    with pytest.raises(RankingError, match="is there twice"):
        run(backbone, tokens, [tasks[0], replace(tasks[0], instruction=FIRST.upper())])
    with pytest.raises(RankingError, match="tokens of width 24, but the pictures' have 12"):
        run(backbone, tokens[..., :12], tasks)
    with pytest.raises(RankingError, match="tokens are not finite"):
        run(backbone, tokens / 0, tasks)
    with pytest.raises(RankingError, match="model reads 77"):
        run(backbone, tokens, [replace(tasks[0], instruction="word " * 500)])
    ranker = run(backbone, tokens, tasks)[-1].ranker
    with pytest.raises(RankingError, match=r"trained for the model tiny, .* in use is other"):
        run(tiny_backbone(seed=9, name="other"), tokens, tasks, start=ranker)
    with pytest.raises(RankingError, match="other weights of tiny"):
        run(tiny_backbone(seed=1), tokens, tasks, start=ranker)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "number of steps is 0"),
        ({"batch_size": 1}, "batch size is 1"),
        ({"learning_rate": float("nan")}, "learning rate is nan"),
        ({"negatives": 1.5}, r"negatives is 1\.5"),
    ],
)
def test_impossible_training_settings_are_named(change, said):
    with pytest.raises(RankingError, match=said):
        RankerTrainConfig(**change)


def test_only_words_of_counted_things_are_hidden_and_only_as_often_as_asked(backbone, monkeypatch):
    tokens, amounts = make_pictures(16, seed=3)
    first, second = make_tasks(amounts)
    shape = replace(SHAPE, concepts=3, hidden_words=2)
    hidden = []
    forward = RankingAdapter.forward

    def watched(self, images, text, *, hide_words=False):
        hidden.append(hide_words)
        return forward(self, images, text, hide_words=hide_words)

    monkeypatch.setattr(RankingAdapter, "forward", watched)
    tasks = [replace(first, counts_things=True), second]
    for share, expected in ((0.0, {False}), (0.5, {True, False})):
        hidden.clear()
        config = replace(QUICK, steps=24, hide_words=share)
        events = run(backbone, tokens, tasks, config, adapter_config=shape)
        assert set(hidden) == expected
        asked = [event.instruction for event in events[1:]]
        both = zip(hidden, asked, strict=True)
        assert all(name == FIRST for hide, name in both if hide)
