"""Prompts: the reference's numbers, every layout, and names as people write them."""

import json

import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from coop_demo.backbones.text_tower import TextTower
from coop_demo.errors import PromptError
from coop_demo.prompts.learner import PromptConfig, PromptLearner

TOKENIZER = open_clip.tokenizer.SimpleTokenizer()
TINY_VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 32, "patch_size": 16}


def tiny_model(width=16, heads=2, layers=2, embed_dim=12) -> open_clip.CLIP:
    torch.manual_seed(0)
    return (
        open_clip.CLIP(
            embed_dim=embed_dim,
            vision_cfg=TINY_VISION,  # type: ignore[arg-type]
            text_cfg={"width": width, "heads": heads, "layers": layers},  # type: ignore[arg-type]
            quick_gelu=True,
        )
        .eval()
        .requires_grad_(False)
    )


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower(tiny_model())


def learner(tower, names, seed=0, **config) -> PromptLearner:
    generator = torch.Generator().manual_seed(seed)
    return PromptLearner(tower, TOKENIZER, names, PromptConfig(**config), generator=generator)


def golden_cases(shared_dir):
    return safe_open(str(shared_dir / "golden" / "coop.safetensors"), "pt")


@pytest.mark.shared
@pytest.mark.parametrize("index", range(9))
def test_reproduces_the_reference_implementation(shared_dir, index):
    golden = golden_cases(shared_dir)
    metadata = golden.metadata()
    case = json.loads(metadata["cases"])[index]
    model = tiny_model()
    weights = {
        key.removeprefix("clip."): golden.get_tensor(key)
        for key in golden.keys()  # noqa: SIM118  (safe_open is not a dict)
        if key.startswith("clip.")
    }
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(key.startswith("visual.") for key in missing)

    prompt = PromptLearner(
        TextTower(model),
        TOKENIZER,
        json.loads(metadata["class_names"]),
        PromptConfig(
            n_ctx=case["n_ctx"],
            class_specific=case["class_specific"],
            position=case["position"],
            init=case["init"],
        ),
        ctx=golden.get_tensor(f"case{index}.ctx"),
    )
    if case["init"]:  # the reference's own word initialisation
        started = PromptLearner(prompt.text_tower, TOKENIZER, prompt.class_names, prompt.config)
        assert torch.allclose(started.ctx, prompt.ctx, atol=1e-6)

    features = prompt()
    images = F.normalize(golden.get_tensor("input.image_features"), dim=-1)
    logits = model.logit_scale.exp() * images @ features.T
    loss = F.cross_entropy(logits, golden.get_tensor("input.labels"))
    loss.backward()

    def close(got, name, tolerance=1e-4):
        expected = golden.get_tensor(f"case{index}.{name}").view_as(got)
        assert (got - expected).abs().max() <= tolerance * max(1.0, float(expected.abs().max()))

    close(features, "text_features")
    close(logits, "logits")
    close(loss, "loss")
    expected = golden.get_tensor(f"case{index}.grad")
    assert prompt.ctx.grad is not None
    assert (prompt.ctx.grad - expected).norm() / expected.norm() < 1e-4


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("class_specific", [False, True])
@pytest.mark.parametrize("n_ctx", [1, 2, 7, 32])
def test_every_layout_reads_as_the_prompt_it_stands_for(tower, position, class_specific, n_ctx):
    """With the embeddings of words as context, the prompt is that sentence's own embedding."""
    names = ["cat", "golden_retriever", "a very old red fire engine with a big ladder on it"]
    words = " ".join(["photo"] * n_ctx)
    prompt = learner(
        tower, names, n_ctx=n_ctx, class_specific=class_specific, position=position, init=words
    )
    assert prompt.n_ctx == n_ctx
    before = {"end": n_ctx, "middle": n_ctx // 2, "front": 0}[position]
    texts = [
        " ".join(["photo"] * before + [n.replace("_", " ")] + ["photo"] * (n_ctx - before)) + "."
        for n in names
    ]
    expected = F.normalize(tower.encode_tokens(TOKENIZER(texts)), dim=-1)
    assert torch.allclose(prompt(), expected, atol=1e-5)


@pytest.mark.parametrize("class_specific", [False, True])
@pytest.mark.parametrize("init", ["", "a photo of a"])
def test_word_and_random_start_work_for_both_kinds(tower, class_specific, init):
    prompt = learner(tower, ["cat", "dog"], n_ctx=4, class_specific=class_specific, init=init)
    assert prompt.ctx.shape == ((2, 4, 16) if class_specific else (4, 16))
    if init:
        ids = torch.tensor([TOKENIZER.encode(init)])
        assert torch.allclose(prompt.ctx[..., :, :], tower.embed(ids)[0], atol=1e-6)
    else:
        assert 0.01 < float(prompt.ctx.detach().std()) < 0.04


@pytest.mark.parametrize(
    "name",
    [
        "Löwenzahn",
        "雪豹",
        "crème brûlée",
        "St. Bernard",
        "rock 'n' roll",
        "C++",
        "don't",
        "A+.",
        "🦔",
    ],
)
@pytest.mark.parametrize("position", ["end", "middle", "front"])
def test_names_work_as_people_write_them(tower, name, position):
    prompt = learner(tower, [name, "cat"], n_ctx=3, position=position)
    assert torch.isfinite(prompt()).all()
    if position == "end":
        words = learner(tower, [name, "cat"], init="a photo of a")
        expected = tower.encode_tokens(TOKENIZER([f"a photo of a {name}.", "a photo of a cat."]))
        assert torch.allclose(words(), F.normalize(expected, dim=-1), atol=1e-5)


def test_gradient_reaches_only_the_context(tower):
    prompt = learner(tower, ["cat", "dog"])
    prompt().sum().backward()
    assert [name for name, _ in prompt.named_parameters()] == ["ctx"]
    assert prompt.ctx.grad is not None


def test_same_seed_same_context_other_seed_other_context(tower):
    assert torch.equal(learner(tower, ["cat"], seed=1).ctx, learner(tower, ["cat"], seed=1).ctx)
    assert not torch.equal(learner(tower, ["cat"], seed=1).ctx, learner(tower, ["cat"], seed=2).ctx)


def test_a_unified_prompt_can_be_applied_to_other_names(tower):
    prompt = learner(tower, ["cat", "dog"])
    other = prompt.with_class_names(["oak", "cat", "very long name of a tree"])
    assert other().shape == (3, 12)
    assert torch.allclose(other()[1], prompt()[0], atol=1e-6)


def test_a_class_specific_prompt_cannot_be_applied_to_other_names(tower):
    with pytest.raises(PromptError, match="one context per class"):
        learner(tower, ["cat", "dog"], class_specific=True).with_class_names(["oak"])


def test_too_long_a_name_is_named_and_never_cut(tower):
    name = "supercalifragilistic " * 20
    with pytest.raises(PromptError, match="supercalifragilistic.*room for 58"):
        learner(tower, ["cat", name])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"n_ctx": 0}, "context length is 0"),
        ({"n_ctx": 33}, "1 to 32"),
        ({"position": "behind"}, "end, middle, front"),
        ({"init": " ".join(["word"] * 40)}, "40 tokens"),
    ],
)
def test_wrong_settings_say_what_may_be_chosen(tower, config, words):
    with pytest.raises(PromptError, match=words):
        learner(tower, ["cat"], **config)


def test_a_class_without_a_name_is_refused(tower):
    with pytest.raises(PromptError, match="no name"):
        learner(tower, ["cat", " _ "])


def test_a_context_of_another_width_is_refused(tower):
    with pytest.raises(PromptError, match="shape"):
        PromptLearner(tower, TOKENIZER, ["cat"], PromptConfig(n_ctx=4), ctx=torch.zeros(4, 8))
