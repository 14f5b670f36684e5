"""Training keeps its promises: it learns, repeats itself, stops, and notices when it fails."""

import pytest
import torch
from tiny import separable_features, tiny_backbone

from coop_demo.errors import PromptError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import train_config_for
from coop_demo.prompts.templates import accuracy, class_weights
from coop_demo.prompts.training import TrainConfig, fast, paper, train_prompt

NAMES = ("red", "green", "blue")
PROMPT = PromptConfig(n_ctx=4)


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def events_of(backbone, config=None, prompt_config=PROMPT, **options):
    features, labels = separable_features()
    config = config or fast(steps=30, learning_rate=0.05)
    return train_prompt(backbone, features, labels, NAMES, prompt_config, config, **options)


@pytest.mark.parametrize("class_specific", [False, True])
@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_the_loss_falls_and_the_classes_are_learned(backbone, class_specific, position):
    prompt_config = PromptConfig(n_ctx=4, class_specific=class_specific, position=position)
    events = list(events_of(backbone, fast(steps=80, learning_rate=0.05), prompt_config))
    assert events[-1].status == "finished"
    assert events[-1].loss < 0.5 * events[0].loss
    assert events[-1].train_accuracy > 0.8


def test_same_seed_same_prompt_other_seed_other_prompt(backbone):
    first, again, other = (
        list(events_of(backbone, fast(steps=10, seed=seed)))[-1].prompt for seed in (1, 1, 2)
    )
    assert torch.equal(first.ctx, again.ctx)
    assert not torch.equal(first.ctx, other.ctx)


def test_two_interleaved_trainings_give_what_each_gives_alone(backbone):
    configs = [fast(steps=12, seed=1), fast(steps=12, seed=2, kgcoop_weight=2.0)]
    alone = [list(events_of(backbone, config))[-1].prompt.ctx for config in configs]
    pair = [events_of(backbone, config) for config in configs]
    last = [None, None]
    for _ in range(12):
        for i, training in enumerate(pair):
            last[i] = next(training)
            torch.rand(3)  # somebody else uses the global generator in between
            with torch.no_grad():
                backbone.text_features(["something else"])
    assert all(torch.equal(event.prompt.ctx, ctx) for event, ctx in zip(last, alone, strict=True))


def test_no_autograd_mode_is_held_while_an_event_is_looked_at(backbone):
    training = events_of(backbone)
    next(training)
    assert torch.is_grad_enabled()
    with torch.no_grad():  # a page may call next() inside its own mode, on another thread
        assert next(training).loss > 0
        assert not torch.is_grad_enabled()


def test_the_backbone_is_left_as_it_was(backbone):
    before = {key: value.clone() for key, value in backbone.model.state_dict().items()}
    list(events_of(backbone))
    assert all(torch.equal(before[k], v) for k, v in backbone.model.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.model.parameters())


def test_a_stopped_training_leaves_its_best_prompt(backbone):
    training = events_of(backbone, measurements=30)
    prompt = None
    for event in training:
        prompt = event.prompt or prompt
        if event.step == 7:
            break
    training.close()
    assert prompt is not None
    assert prompt.class_weights.shape == (3, 24)
    assert len(prompt.history) == 7


def test_held_out_pictures_are_measured_beside_the_hand_crafted_prompt(backbone):
    held_out, labels = separable_features(views=1, seed=5)
    events = list(events_of(backbone, held_out=(held_out[0], labels)))
    measured = [event for event in events if event.held_out_accuracy is not None]
    assert len(measured) >= 20
    assert {event.hand_crafted_accuracy for event in events} == {events[0].hand_crafted_accuracy}
    assert measured[-1].train_accuracy is not None


def test_held_out_pictures_never_change_what_is_learned(backbone):
    held_out, labels = separable_features(views=1, seed=5)
    with_them = list(events_of(backbone, held_out=(held_out[0], labels)))[-1].prompt
    without = list(events_of(backbone))[-1].prompt
    assert torch.equal(with_them.ctx, without.ctx)


def test_the_kgcoop_pull_keeps_the_prompt_near_the_hand_crafted_one(backbone):
    hand_crafted = class_weights(backbone, NAMES, [TrainConfig().template])

    def distance(weight):
        config = fast(steps=60, learning_rate=0.05, kgcoop_weight=weight)
        prompt = list(events_of(backbone, config))[-1].prompt
        return float((prompt.class_weights - hand_crafted).square().sum(-1).mean())

    assert distance(50.0) < 0.5 * distance(0.0)


@pytest.mark.parametrize("scale", [float("nan"), 1e6], ids=["not a number", "runs away"])
def test_a_loss_that_leaves_its_range_ends_the_training_with_a_sentence(scale):
    features, labels = separable_features()
    broken = tiny_backbone()
    training = train_prompt(
        broken, features, labels, NAMES, PROMPT, fast(steps=30), measurements=30
    )
    for event in training:
        if event.step == 5:
            broken.logit_scale = scale
    assert event.status == "diverged"
    assert event.step == 6
    assert event.prompt is not None
    assert torch.isfinite(event.prompt.ctx).all()
    assert "step 6" in event.message
    assert "smaller learning rate" in event.message


def test_the_history_of_a_prompt_ends_with_its_own_measurement():
    features, labels = separable_features()
    broken = tiny_backbone()
    for event in train_prompt(
        broken,
        features,
        labels,
        NAMES,
        PROMPT,
        fast(steps=12, learning_rate=3.0),
        held_out=(features[0], labels),
        measurements=12,
    ):
        if event.prompt is None:
            continue
        own = accuracy(features[0], labels, event.prompt.class_weights)
        assert event.prompt.history[-1]["held_out_accuracy"] == pytest.approx(own)


def test_the_paper_preset_is_the_papers_recipe():
    config = paper(shots=16, n_train=160)
    assert (config.optimizer, config.learning_rate, config.batch_size) == ("sgd", 0.002, 32)
    assert config.steps == 200 * 5
    assert paper(shots=1, n_train=10).steps == 50
    assert paper(shots=4, n_train=40).steps == 100
    assert 0 not in config.view_numbers  # random crops only


def test_the_paper_preset_trains_imagenet_for_50_epochs_at_any_shots():
    assert paper(16, 16_000, dataset="imagenet").steps == 50 * 500
    assert paper(16, 16_000, dataset="food101").steps == 200 * 500
    assert train_config_for("paper", 8, 8_000, dataset="ImageNet").steps == 50 * 250


def test_the_paper_preset_warms_up_for_an_epoch_then_follows_a_cosine():
    from coop_demo.prompts.training import _learning_rate

    config = paper(shots=16, n_train=160)
    rates = [_learning_rate(step, 160, config) for step in range(config.steps)]
    assert rates[:5] == [1e-5] * 5
    assert rates[5] == pytest.approx(0.002)
    assert rates[-1] < 1e-5
    assert sorted(rates[5:], reverse=True) == rates[5:]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"learning_rate": 0.0}, "learning rate is 0"),
        ({"learning_rate": float("nan")}, "learning rate"),
        ({"steps": 0}, "number of steps is 0"),
        ({"kgcoop_weight": -1.0}, "pull"),
    ],
)
def test_settings_out_of_range_are_refused_with_the_range(config, words):
    with pytest.raises(PromptError, match=words):
        fast(**config)


def test_a_class_without_pictures_is_named(backbone):
    features, labels = separable_features()
    with pytest.raises(PromptError, match='"violet" has no picture'):
        next(train_prompt(backbone, features, labels, [*NAMES, "violet"]))


def test_one_class_alone_is_refused(backbone):
    features, labels = separable_features(n_classes=1)
    with pytest.raises(PromptError, match="only one"):
        next(train_prompt(backbone, features, labels, ["red"]))


@pytest.mark.parametrize("preset", ["adamw", "sgd", "batches"])
def test_an_interrupted_training_goes_on_to_the_very_prompt_it_would_have_given(backbone, preset):
    config = {
        "adamw": fast(steps=30, learning_rate=0.05, kgcoop_weight=1.0),
        "sgd": paper(4, 36, steps=30, learning_rate=0.05),
        "batches": fast(steps=30, learning_rate=0.05, batch_size=5),
    }[preset]
    whole = list(events_of(backbone, config))
    cut = []
    for event in events_of(backbone, config, state_every=0.0):
        cut.append(event)
        if event.step == 13:
            break
    rest = list(events_of(backbone, config, resume=cut[-1].state))
    assert [event.step for event in rest] == list(range(14, 31))
    assert [event.loss for event in [*cut, *rest]] == [event.loss for event in whole]
    assert torch.equal(rest[-1].prompt.ctx, whole[-1].prompt.ctx)
    assert rest[-1].prompt.history == whole[-1].prompt.history
    assert rest[0].seconds > cut[-1].state.seconds


def test_a_state_comes_only_when_asked_for(backbone):
    assert all(event.state is None for event in events_of(backbone))


def test_a_state_of_another_training_is_refused(backbone):
    state = next(events_of(backbone, state_every=0.0)).state
    with pytest.raises(PromptError, match="does not belong"):
        next(events_of(backbone, resume=state, prompt_config=PromptConfig(n_ctx=5)))
    with pytest.raises(PromptError, match="does not belong"):
        next(events_of(backbone, fast(steps=1), resume=state))
