"""The adapter computes what the authors' code computes, and pairs only when asked."""

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from coop_demo.backbones.backbone import TokenForm
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, Evidence, RankingAdapter, count_parameters
from coop_demo.ranking.losses import LossConfig, ranking_loss
from coop_demo.ranking.ranker import LearnedInstruction, Ranker

SMALL = AdapterConfig(
    dim=16, layers=1, heads=4, n_learnable_tokens=3, n_relational_tokens=5, dropout=0.1
)


def make_adapter(config=SMALL, seed=0, dtype=torch.float64):
    return RankingAdapter.seeded(config, seed).to(dtype).eval()


def make_tokens(n=6, n_tokens=7, n_words=9, dim=16, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, n_tokens, dim, generator=generator, dtype=dtype)
    return images, torch.randn(n_words, dim, generator=generator, dtype=dtype)


def gradient_of(parameter):
    assert parameter.grad is not None
    return parameter.grad


@pytest.fixture
def golden(shared_dir):
    path = shared_dir / "golden" / "rank_adapter.safetensors"
    with safe_open(path, "pt") as file:
        config = json.loads(file.metadata()["config"])
    return load_file(path), config


@pytest.fixture
def golden_adapter(golden):
    tensors, _ = golden
    state = {k.removeprefix("adapter."): t for k, t in tensors.items() if k.startswith("adapter.")}
    return RankingAdapter.from_state(AdapterConfig.from_state(state), state).eval()


@pytest.mark.shared
def test_shape_read_from_reference_weights_is_the_reference_setting(golden, golden_adapter):
    _, config = golden
    found = golden_adapter.config
    assert found.dim == config["d_model"]
    assert found.layers == config["num_layers"]
    assert found.heads == config["n_head"]
    assert found.n_learnable_tokens == config["num_learnable_text_tokens"]
    assert found.n_relational_tokens == config["n_reg_tokens"]


@pytest.mark.shared
def test_reference_outputs_are_reproduced(golden, golden_adapter):
    tensors, _ = golden
    inputs = tensors["input.image_tokens"], tensors["input.text_tokens"]
    close: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(golden_adapter.fuse(*inputs), tensors["output.fused"], **close)
    torch.testing.assert_close(
        golden_adapter.scores(*inputs)[:, None], tensors["output.scores"], **close
    )
    for pairs in (golden_adapter.pair_logits, golden_adapter.pair_logits_literal):
        torch.testing.assert_close(
            pairs(*inputs).reshape(-1, 1), tensors["output.pair_logits"], **close
        )
    torch.testing.assert_close(
        golden_adapter.pair_attention(*inputs), tensors["output.pair_attention"], **close
    )


@pytest.mark.shared
def test_reference_loss_and_gradients_are_reproduced(golden, golden_adapter):
    tensors, _ = golden
    output = golden_adapter(tensors["input.image_tokens"], tensors["input.text_tokens"])
    paper = LossConfig(count_ties=True)
    loss = ranking_loss(output.scores, output.pair_logits, tensors["input.targets"], paper).total
    loss.backward()
    torch.testing.assert_close(loss.reshape(1), tensors["output.loss"], rtol=1e-4, atol=1e-6)
    expected = tensors["grad.reg_tokens"]
    apart = (gradient_of(golden_adapter.reg_tokens) - expected).abs().max() / expected.abs().max()
    assert apart < 1e-4
    # This gradient is zero but for rounding (see the next test), so only its size can agree.
    assert tensors["grad.learnable_text_tokens"].abs().max() < 1e-6
    assert gradient_of(golden_adapter.learnable_text_tokens).abs().max() < 1e-6


def test_one_number_prompts_cannot_learn_but_full_width_prompts_can():
    # A number repeated over the width is flattened by the norm in front of the cross-attention:
    # the authors' learnable prompts act as fixed tokens. Prompts of full width do get a gradient.
    images, text = make_tokens()
    found = {}
    for width in (1, 16):
        adapter = make_adapter(AdapterConfig(**{**SMALL.to_mapping(), "prompt_width": width}))
        adapter(images, text).scores.sum().backward()
        found[width] = gradient_of(adapter.learnable_text_tokens).abs().max().item()
    assert found[1] < 1e-9
    assert found[16] > 1e-5


def test_factorised_pairs_equal_literal_pairs_in_values_and_gradients():
    images, text = make_tokens()
    adapter = make_adapter()
    weights = torch.randn(6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradients = []
    for pairs in (adapter.pair_logits, adapter.pair_logits_literal):
        adapter.zero_grad()
        leaf = images.clone().requires_grad_()
        logits = pairs(leaf, text)
        (logits * weights).sum().backward()
        gradients.append(
            [logits, leaf.grad] + [p.grad for p in adapter.parameters() if p.grad is not None]
        )
    fast, literal = gradients
    assert len(fast) == len(literal) > 10
    for one, other in zip(fast, literal, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


def test_forward_gives_the_scores_and_pair_logits_of_the_single_methods():
    adapter, (images, text) = make_adapter(), make_tokens()
    output = adapter(images, text)
    torch.testing.assert_close(output.scores, adapter.scores(images, text))
    torch.testing.assert_close(output.pair_logits, adapter.pair_logits(images, text))


def test_chunks_change_nothing():
    adapter, (images, text) = make_adapter(), make_tokens(n=7)
    with torch.no_grad():
        torch.testing.assert_close(
            adapter.scores(images, text, chunk=3), adapter.scores(images, text, chunk=100)
        )
        torch.testing.assert_close(
            adapter.pair_logits(images, text, chunk=3), adapter.pair_logits_literal(images, text)
        )


class LargestTensor(TorchDispatchMode):
    """Remembers how many numbers the largest tensor made inside it has."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return out


def test_scoring_makes_no_tensor_that_grows_with_pairs(monkeypatch):
    adapter = make_adapter()
    images, text = make_tokens(n=400, n_tokens=3, n_words=2)

    def forbidden(*_):
        raise AssertionError("scoring asked for pairs")

    monkeypatch.setattr(adapter.reg_token_pooler, "summarise", forbidden)
    monkeypatch.setattr(adapter.reg_token_pooler, "differences", forbidden)
    largest = {}
    for n in (100, 400):
        pile = images[:n]
        with torch.no_grad(), LargestTensor() as seen:
            adapter.scores(pile, text, chunk=20)
        largest[n] = seen.numbers
    # Working memory belongs to a chunk, not to the pile; 400² = 160,000 is far out of reach.
    assert largest[100] == largest[400] < 400 * 20


def test_order_of_pictures_permutes_scores_and_pairs():
    adapter, (images, text) = make_adapter(), make_tokens()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(
        adapter.scores(images[order], text), adapter.scores(images, text)[order]
    )
    torch.testing.assert_close(
        adapter.pair_logits(images[order], text),
        adapter.pair_logits(images, text)[order][:, order],
    )


def test_a_picture_scores_the_same_in_any_company():
    adapter, (images, text) = make_adapter(), make_tokens()
    torch.testing.assert_close(adapter.scores(images[:1], text), adapter.scores(images, text)[:1])


def test_one_shared_instruction_equals_the_instruction_given_for_each_picture():
    adapter, (images, text) = make_adapter(), make_tokens()
    each = text.expand(len(images), -1, -1)
    torch.testing.assert_close(adapter.scores(images, text), adapter.scores(images, each))
    torch.testing.assert_close(adapter.scores(images, text), adapter.scores(images, text[None]))


def test_instruction_changes_the_order():
    adapter, (images, text) = make_adapter(), make_tokens()
    first = adapter.scores(images, text)
    second = adapter.scores(images, make_tokens(seed=9)[1])
    assert (first - second).abs().max() > 1e-3


def test_attention_rows_are_shares():
    adapter, (images, text) = make_adapter(), make_tokens()
    pair = adapter.pair_attention(images, text, torch.tensor([[0, 1], [4, 2]]))
    assert pair.shape == (2, 4, 5, 14)
    torch.testing.assert_close(pair.sum(-1), torch.ones(2, 4, 5, dtype=torch.float64))
    everyone = adapter.pair_attention(images, text)
    torch.testing.assert_close(everyone[[1, 4 * 6 + 2]], pair)
    words = adapter.text_attention(images, text)
    assert words.shape == (6, 1, 4, 7, 3 + 9)
    torch.testing.assert_close(words.sum(-1), torch.ones(6, 1, 4, 7, dtype=torch.float64))


def test_attention_to_words_is_the_attention_of_the_fusion():
    # With every word's value replaced by one, a word that gets no attention cannot matter.
    adapter, (images, text) = make_adapter(), make_tokens()
    fused = adapter.fuse(images, text)
    changed = text.clone()
    changed[4] = torch.randn(16, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert (adapter.fuse(images, changed) - fused).abs().max() > 1e-6
    attn: Any = adapter.crossmodal_block.cross_attn[0]
    x = adapter.crossmodal_block.resblocks[0](images)
    learned = adapter.learnable_text_tokens.T.expand(-1, 16)
    keys = attn.ln_1_kv(torch.cat([learned, text]))[None].expand(6, -1, -1)
    _, oracle = attn.attn(attn.ln_1(x), keys, keys, average_attn_weights=False)  # torch's own
    torch.testing.assert_close(adapter.text_attention(images, text)[:, 0], oracle)


def test_half_precision_tokens_are_accepted():
    adapter = make_adapter(dtype=torch.float32)
    images, text = make_tokens(dtype=torch.float32)
    half = adapter.scores(images.half(), text.half())
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, adapter.scores(images, text), rtol=0.02, atol=0.02)


def test_no_learnable_prompts_is_a_valid_ablation():
    adapter = make_adapter(AdapterConfig(**{**SMALL.to_mapping(), "n_learnable_tokens": 0}))
    images, text = make_tokens()
    assert adapter.scores(images, text).shape == (6,)
    assert adapter.text_attention(images, text).shape[-1] == 9


def test_wider_tokens_are_brought_to_the_adapters_width():
    config = AdapterConfig(**{**SMALL.to_mapping(), "token_dim": 24})
    adapter = make_adapter(config)
    images, text = make_tokens(dim=24)
    assert adapter.fuse(images, text).shape == (6, 7, 16)
    assert adapter(images, text).pair_logits.shape == (6, 6)
    assert AdapterConfig.from_state(adapter.state_dict(), heads=4).token_dim == 24
    with pytest.raises(RankingError, match="tokens of width 24"):
        adapter.scores(images[..., :16], text)


def test_drawing_an_adapter_leaves_torchs_random_state_alone():
    before = torch.get_rng_state()
    make_adapter(seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another():
    one, same, other = (make_adapter(seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_every_parameter_is_initialised_with_its_stock_spread():
    config = AdapterConfig(dim=64, layers=2, heads=4, token_dim=96, prompt_width=64)
    ours, stock = RankingAdapter.seeded(config, 0), RankingAdapter(config)
    for (name, one), other in zip(ours.named_parameters(), stock.parameters(), strict=True):
        assert torch.isfinite(one).all(), name
        if one.numel() > 1000:
            assert one.std().item() == pytest.approx(other.std().item(), rel=0.1), name


def test_weights_that_do_not_fit_are_named():
    state = make_adapter(dtype=torch.float32).state_dict()
    with pytest.raises(RankingError, match="lacks reg_tokens"):
        RankingAdapter.from_state(SMALL, {k: v for k, v in state.items() if k != "reg_tokens"})
    with pytest.raises(RankingError, match="unknown: extra"):
        RankingAdapter.from_state(SMALL, {**state, "extra": torch.zeros(1)})
    with pytest.raises(RankingError, match=r"reg_tokens has shape \(1, 2\), not \(5, 16\)"):
        RankingAdapter.from_state(SMALL, {**state, "reg_tokens": torch.zeros(1, 2)})
    broken = torch.full((5, 16), float("nan"))
    with pytest.raises(RankingError, match="reg_tokens holds numbers that are not finite"):
        RankingAdapter.from_state(SMALL, {**state, "reg_tokens": broken})


def test_presets_have_the_stated_sizes():
    paper = AdapterConfig.paper()
    assert (paper.dim, paper.layers, paper.heads) == (768, 2, 8)
    assert (paper.n_learnable_tokens, paper.n_relational_tokens) == (32, 16)
    assert count_parameters(AdapterConfig.mini()) * 4 < 10e6  # bytes of fp32: the file that ships


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dim": 0}, "dim must be 1 or more; it is 0"),
        ({"layers": 0}, "layers must be 1 or more"),
        ({"dim": 18}, "18 is not a multiple of 4"),
        ({"n_learnable_tokens": -1}, "it is -1"),
        ({"n_relational_tokens": 0}, "n_relational_tokens must be 1 or more"),
        ({"dropout": 1.0}, "it is 1.0"),
        ({"prompt_width": 3}, "prompt_width must be 1 or its width 16"),
        ({"mlp_ratio": 0.0}, "mlp_ratio must be positive"),
        ({"token_dim": 0}, "token_dim must be 1 or more; it is 0"),
        ({"token_dim": 9, "text_token_dim": -1}, "text_token_dim must be 1 or more; it is -1"),
        ({"token_dim": None, "text_token_dim": 8}, "needs a token_dim"),
    ],
)
def test_impossible_settings_are_named(change, said):
    with pytest.raises(RankingError, match=said):
        AdapterConfig(**{**SMALL.to_mapping(), **change})


def test_settings_survive_saving():
    assert AdapterConfig.from_mapping(SMALL.to_mapping()) == SMALL
    assert AdapterConfig.from_state(make_adapter().state_dict(), heads=4) == SMALL


def test_settings_that_are_not_an_adapters_are_named():
    with pytest.raises(RankingError, match="colour"):
        AdapterConfig.from_mapping({**SMALL.to_mapping(), "colour": 3})
    with pytest.raises(RankingError, match="incomplete"):
        AdapterConfig.from_mapping({"layers": 2})
    with pytest.raises(RankingError, match="not a ranking-aware adapter"):
        AdapterConfig.from_state({"weight": torch.zeros(2, 2)})


def test_pictures_and_words_may_come_in_different_widths():
    config = AdapterConfig(dim=16, layers=1, heads=4, token_dim=20, text_token_dim=12)
    adapter = RankingAdapter.seeded(config, 0)
    assert (config.input_dim, config.text_input_dim) == (20, 12)
    assert AdapterConfig.from_state(adapter.state_dict(), heads=4) == config
    scores = adapter.scores(torch.randn(3, 4, 20), torch.randn(5, 12))
    assert scores.shape == (3,)
    with pytest.raises(RankingError, match=r"width 12, but the instruction came as \(1, 5, 20\)"):
        adapter.scores(torch.randn(3, 4, 20), torch.randn(5, 20))
    assert AdapterConfig.mini(24, 24).text_token_dim is None


def test_tokens_of_another_model_are_refused_in_one_sentence():
    adapter, (images, text) = make_adapter(), make_tokens()
    with pytest.raises(RankingError, match=r"width 16, but the pictures came as \(6, 7, 12\)"):
        adapter.scores(images[..., :12], text)
    with pytest.raises(RankingError, match="the instruction came as"):
        adapter.scores(images, text[:, :12])
    with pytest.raises(RankingError, match="6 pictures and 2 instructions"):
        adapter(images, text.expand(2, -1, -1))
    with pytest.raises(RankingError, match="no pictures"):
        adapter.scores(images[:0], text)


# --- evidence

SEEING = AdapterConfig(
    dim=16,
    layers=1,
    heads=4,
    n_learnable_tokens=3,
    n_relational_tokens=5,
    dropout=0.0,
    token_dim=12,
    text_token_dim=8,
    concepts=6,
    hidden_words=4,
)


def seeing_adapter():
    """An adapter whose concepts are six directions of the joint space of eight."""
    adapter = make_adapter(SEEING)
    with torch.no_grad():
        adapter.evidence.concepts.copy_(20 * torch.eye(8)[:6])
        adapter.evidence.word_projection.copy_(torch.eye(8))
        adapter.evidence.neutral.copy_(torch.eye(8)[7])
        adapter.evidence.hidden_words.copy_(torch.ones(4, 8))
    return adapter


def pictures_and_words():
    images, _ = make_tokens(dim=12)
    return images, make_tokens(dim=8, seed=3)[1]


def test_a_ranker_without_concepts_is_the_reference():
    assert not any("evidence" in name for name in make_adapter().state_dict())
    assert AdapterConfig.paper().form == TokenForm()


def test_evidence_is_high_where_a_token_looks_like_the_instruction():
    adapter = seeing_adapter()
    images, words = pictures_and_words()
    images, words = torch.zeros_like(images), torch.zeros_like(words)
    images[0, 2, 1], words[-1, 1] = 1.0, 1.0  # one token is of the second concept
    channels = adapter.evidence.channels(images, words[None])
    assert channels.shape == (6, 7, adapter.evidence.CHANNELS)
    cosine, own = channels[0, :, 0], channels[0, :, adapter.evidence.OWN_CLASSES]
    assert cosine.argmax() == own.argmax() == 2
    assert channels[1].std(dim=0).max() < 1e-9  # nothing in the others


def test_one_instruction_and_the_same_for_every_picture_are_one_thing():
    adapter = seeing_adapter()
    images, words = pictures_and_words()
    one = adapter.scores(images, words)
    torch.testing.assert_close(one, adapter.scores(images, words[None].expand(6, -1, -1)))
    torch.testing.assert_close(one, adapter.scores(images, words, chunk=2))


def test_hidden_words_leave_the_evidence_alone():
    adapter = seeing_adapter()
    images, words = pictures_and_words()
    other = words.clone()
    other[:-1] = 5.0  # the end, which the evidence reads, stays
    shown = [adapter(images, text).scores for text in (words, other)]
    hidden = [adapter(images, text, hide_words=True).scores for text in (words, other)]
    assert not torch.allclose(*shown)
    torch.testing.assert_close(*hidden)
    other[-1] = -words[-1]
    assert not torch.allclose(hidden[0], adapter(images, other, hide_words=True).scores)


def test_a_share_of_the_score_can_come_with_the_words_hidden():
    adapter = seeing_adapter()
    images, words = pictures_and_words()
    shown, hidden = (adapter(images, words, hide_words=hide) for hide in (False, True))
    for share in (0.0, 0.25, 1.0):
        adapter.hidden_share = share
        for found, one, other in (
            (adapter.scores(images, words), shown.scores, hidden.scores),
            (adapter.pair_logits(images, words), shown.pair_logits, hidden.pair_logits),
        ):
            torch.testing.assert_close(found, (1 - share) * one + share * other)


def test_the_evidence_itself_can_add_to_the_score_and_to_the_pairs():
    adapter = seeing_adapter()
    images, words = pictures_and_words()
    plain = adapter(images, words)
    own = adapter.evidence.channels(images, words[None])[..., Evidence.OWN_CLASSES].sum(dim=1)
    adapter.evidence_share = 0.3
    scores = adapter.scores(images, words, chunk=2)
    torch.testing.assert_close(scores, plain.scores + 0.3 * own)
    pairs = adapter.pair_logits(images, words, chunk=2)
    torch.testing.assert_close(pairs, plain.pair_logits + 0.3 * (own[:, None] - own[None]))


def test_only_counts_that_a_ranker_never_learned_are_scored_with_hidden_words():
    config = replace(SEEING, hidden_unlearned=0.5, evidence_unlearned=0.1, evidence_drawn=0.05)
    learned = LearnedInstruction("Rank the numbers of apples.", 0.0, 1.0, 0.0, 9.0, 30)
    ranker = Ranker(config, seeing_adapter().state_dict(), "tiny@0", (learned,))
    assert ranker.adapter(instruction="rank the numbers of Pears").hidden_share == 0.5
    assert ranker.adapter(instruction="rank the numbers of Pears").evidence_share == 0.1
    assert ranker.adapter(instruction="rank the numbers of apples").hidden_share == 0
    assert ranker.adapter(instruction="rank the numbers of apples").evidence_share == 0
    assert ranker.adapter(instruction="Rank the beauty.").hidden_share == 0
    drawn = replace(ranker, instructions=(replace(learned, drawn=True),))
    assert drawn.adapter(instruction="rank the numbers of apples").hidden_share == 0
    assert drawn.adapter(instruction="rank the numbers of apples").evidence_share == 0.05
    assert ranker.adapter().hidden_share == 0


def test_a_learned_choice_of_concepts_starts_as_the_instructions_own():
    images, words = pictures_and_words()
    plain = seeing_adapter()
    learning = make_adapter(replace(SEEING, concept_rank=2))
    learning.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        learning.evidence.choose[1].weight.zero_()
    torch.testing.assert_close(learning.scores(images, words), plain.scores(images, words))
    with torch.no_grad():
        learning.evidence.choose[1].weight.normal_()
    assert not torch.allclose(learning.scores(images, words), plain.scores(images, words))
    assert AdapterConfig.from_state(learning.state_dict(), heads=4).concept_rank == 2


def test_what_the_backbone_knows_is_saved_and_not_trained():
    adapter = seeing_adapter()
    trained = {name for name, _ in adapter.named_parameters()}
    assert "evidence.first.weight" in trained
    assert "evidence.concepts" not in trained
    copy = RankingAdapter.from_state(SEEING, adapter.state_dict())
    assert torch.equal(copy.evidence.concepts, adapter.evidence.concepts.float())
    assert AdapterConfig.from_state(adapter.state_dict(), heads=4) == replace(SEEING, dropout=0.1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"concepts": -1}, "concepts"),
        ({"concepts": 5}, "token_dim"),
        ({"concept_rank": 2}, "concepts"),
        ({"view_side": 0}, "view_side"),
        ({"hidden_unlearned": 0.5}, "concepts"),
        ({"evidence_unlearned": 0.5}, "concepts"),
    ],
)
def test_settings_of_the_form_that_cannot_be_are_refused(values, reason):
    with pytest.raises(RankingError, match=reason):
        replace(SMALL, **values)


def test_settings_saved_before_forms_and_evidence_still_read():
    old = {k: v for k, v in AdapterConfig.mini().to_mapping().items() if k not in NEWER}
    assert AdapterConfig.from_mapping(old) == AdapterConfig.mini()


NEWER = (
    "view_side",
    "cells",
    "concepts",
    "concept_rank",
    "hidden_words",
    "hidden_unlearned",
    "evidence_unlearned",
    "evidence_drawn",
)
