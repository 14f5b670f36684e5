"""The fast text tower gives what the plain full-length forward gives, in value and gradient."""

import open_clip
import pytest
import torch

from coop_demo.backbones import text_tower
from coop_demo.backbones.text_tower import TextTower
from coop_demo.errors import BackboneError

NAMES = ["cat", "golden retriever", "a very long name of a thing with many words", "forklift"]
TINY_VISION = {"image_size": 32, "layers": 1, "width": 32, "head_width": 32, "patch_size": 16}
TEXT_TOWERS = {
    # the text halves of the real models; the image half is made tiny, it plays no part here
    "mini": ({"width": 256, "heads": 4, "layers": 4}, 256, False),
    "ViT-B-32": ({"width": 512, "heads": 8, "layers": 12}, 512, True),
    "RN50": ({"width": 512, "heads": 8, "layers": 12}, 1024, True),
}


def make_model(name: str) -> open_clip.CLIP:
    text_cfg, embed_dim, quick_gelu = TEXT_TOWERS[name]
    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=embed_dim,
        vision_cfg=TINY_VISION,  # type: ignore[arg-type]
        text_cfg={"context_length": 77, "vocab_size": 49408, **text_cfg},  # type: ignore[arg-type]
        quick_gelu=quick_gelu,
    )
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module", params=TEXT_TOWERS)
def model(request) -> open_clip.CLIP:
    return make_model(request.param)


def prompts(tower: TextTower, ctx: torch.Tensor):
    """[SOS] ctx [name] . [EOT] as embeddings, the way the reference joins them."""
    tokens = open_clip.tokenize([" ".join(["X"] * len(ctx)) + f" {n}." for n in NAMES])
    embeddings = tower.embed(tokens)  # (N, 77, W)
    joined = torch.cat(
        [embeddings[:, :1], ctx.expand(len(NAMES), -1, -1), embeddings[:, 1 + len(ctx) :]], dim=1
    )
    return joined, tokens.argmax(dim=-1)


def value_and_gradient(features: torch.Tensor, ctx: torch.Tensor):
    target = torch.linspace(-1, 1, features.numel()).view_as(features)
    unit = torch.nn.functional.normalize(features, dim=-1)
    (gradient,) = torch.autograd.grad((unit * target).sum(), ctx)
    return unit.detach(), gradient


def assert_same(got, expected):
    assert (got[0] - expected[0]).abs().max() < 1e-5
    assert (got[1] - expected[1]).norm() / expected[1].norm() < 1e-4


def random_context(tower: TextTower) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return (0.02 * torch.randn(16, tower.width, generator=generator)).requires_grad_()


def test_cut_after_eot_equals_full_length(model):
    tower = TextTower(model)
    ctx = random_context(tower)
    joined, eot = prompts(tower, ctx)
    expected = value_and_gradient(tower.encode_full_length(joined, eot), ctx)
    joined, eot = prompts(tower, ctx)
    assert_same(value_and_gradient(tower.encode(joined, eot), ctx), expected)


@pytest.mark.parametrize("multiple", [1, 8])  # 8: how rows are padded on a GPU
def test_shared_prefix_equals_full_length(model, multiple, monkeypatch):
    monkeypatch.setattr(text_tower, "_row_multiple", lambda device: multiple)
    tower = TextTower(model)
    ctx = random_context(tower)
    joined, eot = prompts(tower, ctx)
    expected = value_and_gradient(tower.encode_full_length(joined, eot), ctx)
    joined, eot = prompts(tower, ctx)
    P = 1 + len(ctx)
    got = tower.encode_with_prefix(joined[0, :P], joined[:, P:], eot - P)
    assert_same(value_and_gradient(got, ctx), expected)


def test_frozen_matrices_are_cast_once_and_stay_in_step_with_full_precision(model):
    tower = TextTower(model)
    tokens = open_clip.tokenize([f"a photo of a {name}." for name in NAMES])
    exact = torch.nn.functional.normalize(tower.encode_tokens(tokens), dim=-1)
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = tower.encode_tokens(tokens)
        assert (torch.nn.functional.normalize(half.float(), dim=-1) * exact).sum(-1).min() > 0.999
    assert len(tower._weights) == 1
    assert torch.equal(torch.nn.functional.normalize(tower.encode_tokens(tokens), dim=-1), exact)


def test_plain_texts_equal_open_clip_encode_text(model):
    tokens = open_clip.tokenize([f"a photo of a {name}." for name in NAMES])
    tower = TextTower(model)
    assert torch.allclose(tower.encode_tokens(tokens), model.encode_text(tokens), atol=1e-5)


def test_hidden_states_end_in_the_text_feature(model):
    tokens = open_clip.tokenize(NAMES)
    tower = TextTower(model)
    hidden = tower.hidden_states(tokens)
    assert hidden.shape == (len(NAMES), 77, tower.width)
    at_eot = hidden[torch.arange(len(NAMES)), tower.eot_positions(tokens)]
    assert torch.allclose(tower.project(at_eot), model.encode_text(tokens), atol=1e-5)


def test_a_tower_that_is_not_causal_is_refused_by_name():
    model = open_clip.CLIP(
        embed_dim=32,
        vision_cfg=TINY_VISION,  # type: ignore[arg-type]
        text_cfg={"width": 32, "heads": 2, "layers": 1, "no_causal_mask": True},  # type: ignore[arg-type]
    )
    with pytest.raises(BackboneError, match="SigLIP-like"):
        TextTower(model, name="SigLIP-like")
