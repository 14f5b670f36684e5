"""Ranking maps equal the adapter's own numbers, taken apart word by word and patch by patch."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_backbone

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import HeatmapError, RankingError
from coop_demo.heatmaps.ranker import (
    PairMaps,
    pair_maps,
    score_map,
    token_grid,
    word_maps,
    word_spans,
)
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter

INSTRUCTION = "Rank the numbers of strawberries."


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return tiny_backbone()


@pytest.fixture(scope="module")
def adapter() -> RankingAdapter:
    config = AdapterConfig(
        dim=16, layers=2, heads=4, n_learnable_tokens=3, n_relational_tokens=5, token_dim=24
    )
    return RankingAdapter.seeded(config, 0).eval()


def tokens(seed: int = 0, n: int = 2) -> torch.Tensor:
    return torch.randn(n, 16, 24, generator=torch.Generator().manual_seed(seed))


def test_words_are_found_where_their_tokens_are(backbone):
    ids = backbone.tokenize([INSTRUCTION])[0].tolist()
    spans = word_spans(backbone, INSTRUCTION)
    assert [word for word, _, _ in spans] == ["Rank", "the", "numbers", "of", "strawberries."]
    for word, start, stop in spans:
        decoded = backbone.tokenizer.decode(ids[start:stop]).replace(" ", "")
        assert decoded == word.lower()
    assert ids[spans[-1][2]] == max(ids)  # the end-of-text token comes next


def test_word_maps_are_the_cross_attention_summed_over_a_words_tokens(backbone, adapter):
    picture = tokens()[0]
    found = word_maps(adapter, backbone, picture, INSTRUCTION)
    with torch.no_grad():
        text = backbone.text_tokens([INSTRUCTION])
        attention = adapter.text_attention(picture[None], text)  # (1, L, H, V, 3 + T)
    for i, (_, start, stop) in enumerate(word_spans(backbone, INSTRUCTION)):
        expected = torch.zeros(16)
        for layer in range(2):
            for head in range(4):
                for token in range(start, stop):
                    expected += attention[0, layer, head, :, 3 + token] / 8
        torch.testing.assert_close(found.maps[i].flatten(), expected)
    rest = 1 - found.maps.sum(dim=0)
    assert found.elsewhere == pytest.approx(float(rest.mean()), abs=1e-6)


def test_pair_attention_shares_one_softmax_between_both_pictures(backbone, adapter):
    a, b = tokens()
    text = backbone.text_tokens([INSTRUCTION])
    found = pair_maps(adapter, a, b, text)
    assert float(found.attention.sum()) == pytest.approx(1.0, abs=1e-5)
    with torch.no_grad():
        encoded = adapter.encode(torch.stack([a, b]), text)
        q, k = adapter.reg_token_pooler.query_and_key(adapter.reg_tokens, encoded)
        both = torch.softmax(q @ torch.cat([k[0], k[1]], dim=1).transpose(-1, -2), dim=-1)
        logit = adapter.pair_logits_literal(torch.stack([a, b]), text)[0, 1]
    torch.testing.assert_close(found.attention.flatten(), both.mean(dim=(0, 1)))
    assert found.probability == pytest.approx(float(torch.sigmoid(logit)), abs=1e-5)


@pytest.mark.parametrize("what", ["score", "pair"])
def test_signed_maps_equal_finite_differences(backbone, adapter, what):
    pictures, text = tokens(), backbone.text_tokens([INSTRUCTION])
    exact = RankingAdapter.from_state(adapter.config, adapter.state_dict()).double().eval()
    x = pictures.double()

    def value(t: torch.Tensor) -> float:
        with torch.no_grad():
            if what == "score":
                return float(exact.scores(t[:1], text)[0])
            return float(exact.pair_logits(t, text)[0, 1])

    if what == "score":
        maps = score_map(adapter, pictures[0], text).map[None]
    else:
        maps = pair_maps(adapter, pictures[0], pictures[1], text).pull
    for image in range(len(maps)):
        for patch in (0, 7, 15):
            # a patch's part is what the value gains while the patch alone grows by itself
            step = 1e-5
            up, down = x.clone(), x.clone()
            up[image, patch] *= 1 + step
            down[image, patch] *= 1 - step
            slope = (value(up) - value(down)) / (2 * step)
            assert float(maps[image].flatten()[patch]) == pytest.approx(slope, rel=2e-2, abs=2e-5)


def test_score_map_names_the_adapters_own_score(backbone, adapter):
    text = backbone.text_tokens([INSTRUCTION])
    found = score_map(adapter, tokens()[0], text)
    with torch.no_grad():
        assert found.score == pytest.approx(float(adapter.scores(tokens()[:1], text)), abs=1e-5)
    assert found.map.shape == (4, 4)


def test_the_adapter_is_left_as_it_was(backbone, adapter):
    before = {name: value.clone() for name, value in adapter.state_dict().items()}
    a, b = tokens()
    text = backbone.text_tokens([INSTRUCTION])
    with torch.no_grad():
        first = pair_maps(adapter, a, b, text)
    with torch.inference_mode():
        again = pair_maps(adapter, a * 1, b * 1, text)
    torch.testing.assert_close(first.pull, again.pull)
    score_map(adapter, a, text)
    word_maps(adapter, backbone, a, INSTRUCTION)
    assert all(p.grad is None for p in adapter.parameters())
    for name, value in adapter.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_the_sentence_speaks_of_the_picture_that_is_ahead():
    attention = torch.zeros(2, 3, 3)
    attention[0, 0, 0], attention[1, 2, 2] = 0.3, 0.7
    ahead = PairMaps(0.9, attention, torch.zeros(2, 3, 3)).sentence("plums.jpg", "figs.jpg")
    assert ahead == (
        "plums.jpg is put ahead of figs.jpg with 90% certainty; 30% of the attention is on "
        "plums.jpg, most of all at the top left."
    )
    behind = PairMaps(0.2, attention, torch.zeros(2, 3, 3)).sentence("plums.jpg", "figs.jpg")
    assert behind.startswith("figs.jpg is put ahead of plums.jpg with 80% certainty; 70%")
    assert behind.endswith("at the bottom right.")


def test_tokens_of_a_rectangle_need_their_shape(backbone, adapter):
    text = backbone.text_tokens([INSTRUCTION])
    strip = tokens()[0][:6]
    with pytest.raises(HeatmapError, match="6 patches fill no square"):
        score_map(adapter, strip, text)
    assert score_map(adapter, strip, text, shape=(2, 3)).map.shape == (2, 3)
    with pytest.raises(HeatmapError, match="grid of 3 × 3"):
        score_map(adapter, strip, text, shape=(3, 3))


def test_what_cannot_be_mapped_is_refused(backbone, adapter):
    with pytest.raises(HeatmapError, match="no words"):
        word_maps(adapter, backbone, tokens()[0], "   ")
    with pytest.raises(RankingError, match="width 24"):
        score_map(adapter, tokens()[0, :, :8], backbone.text_tokens([INSTRUCTION]))


def test_token_grid_covers_the_models_view(backbone):
    grid = token_grid(backbone, 16)
    assert grid.view == (32, 32)
    assert grid.step == (8.0, 8.0)
