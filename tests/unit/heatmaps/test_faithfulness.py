"""Curves are what their definition says; a true map beats random ones, a false one does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import tiny_backbone
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import BackboneError
from coop_demo.heatmaps import faithfulness
from coop_demo.heatmaps.attribution import Explanation, Grid, blurred, explain
from coop_demo.heatmaps.faithfulness import Claim, Curve, assess, assess_together, text_correlation

SIDE = 32


class WindowBackbone(Backbone):
    """Sees one window only: its feature turns from one axis to another as the window brightens."""

    def __init__(self) -> None:
        tiny = tiny_backbone()
        self.__dict__.update(tiny.__dict__)
        self.logit_scale = 4.0
        self.encoded = 0

    def image_features(self, pixels: Tensor) -> Tensor:
        self.encoded += len(pixels)
        amount = pixels[:, :, 8:16, 16:24].mean(dim=(1, 2, 3)).clamp(0, 1)
        features = torch.zeros(len(pixels), 24)
        features[:, 0], features[:, 1] = amount, 1 - amount
        return torch.nn.functional.normalize(features, dim=-1)


def window_case(values: Tensor) -> tuple[WindowBackbone, Tensor, Tensor, Explanation]:
    """A picture bright in the window alone, two texts, and a hand-made map over 9 × 9 cells."""
    pixels = torch.zeros(3, SIDE, SIDE)
    pixels[:, 8:16, 16:24] = 1.0
    texts = torch.eye(24)[:2]
    grid = Grid((9, 9), (SIDE, SIDE))
    made = Explanation("occlusion", "contrast", values[None], torch.zeros(1), grid, 0.0)
    return WindowBackbone(), pixels, texts, made


def true_map() -> Tensor:
    values = torch.zeros(9, 9)
    values[2:5, 4:7] = 1.0
    return values


def test_a_curves_area_is_its_mean_height():
    curve = Curve((0.0, 0.5, 1.0), (1.0, 0.5, 0.2))
    assert curve.area == pytest.approx(0.5 * 0.75 + 0.5 * 0.35)
    assert curve.at(0.25) == pytest.approx(0.75)
    assert curve.at(0.0) == 1.0
    assert curve.at(1.0) == pytest.approx(0.2)
    x = tuple(np.linspace(0, 1, 11))
    y = tuple(np.cos(np.linspace(0, 1, 11)))
    assert Curve(x, y).area == pytest.approx(np.trapezoid(y, x))


def test_the_true_place_beats_random_maps():
    backbone, pixels, texts, made = window_case(true_map())
    found = assess(backbone, pixels, made, texts[:1], against=texts)
    assert found.quantity == "probability"
    assert found.verdict == "better"
    assert found.marked_drop > 0.9  # sigmoid(4) − sigmoid(−4) = 0.96
    assert found.random_drop < 0.4
    assert found.deletion.area < found.random_deletion.area
    assert found.insertion.area > found.random_insertion.area
    assert found.sentence.startswith("Removing the marked fifth lowers the probability by 0.9")
    assert found.sentence.endswith("the map does better than a random one.")


def test_a_map_of_every_other_place_is_not_believed():
    backbone, pixels, texts, made = window_case(1 - true_map())
    found = assess(backbone, pixels, made, texts[:1], against=texts)
    assert found.verdict == "no better"
    assert found.marked_drop == pytest.approx(0, abs=0.02)
    assert "do not believe it" in found.sentence
    assert "leaves the probability as it is" in found.sentence


def test_an_empty_map_says_so():
    backbone, pixels, texts, made = window_case(torch.zeros(9, 9))
    found = assess(backbone, pixels, made, texts[:1], against=texts)
    assert found.empty
    assert found.sentence.startswith("Nothing in this picture speaks for the text")


def test_a_single_text_is_measured_by_its_cosine():
    backbone, pixels, texts, made = window_case(true_map())
    found = assess(backbone, pixels, replace(made, target="cosine"), texts[:1])
    assert found.quantity == "cosine"
    assert found.deletion.scores[0] == pytest.approx(1.0)
    assert found.deletion.scores[-1] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_curve_points_equal_pictures_made_by_hand(fraction):
    """Without ties, the pixels removed first are exactly the largest of the upsampled map."""
    backbone = tiny_backbone()
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(3, SIDE, SIDE, generator=generator)
    texts = torch.randn(2, 24, generator=generator)
    made = explain(backbone, pixels, texts, "legrad")
    found = assess(backbone, pixels, made, texts, index=1)
    order = made.upsampled()[1].flatten().argsort(descending=True)
    first = order[: round(fraction * SIDE * SIDE)]
    deleted, inserted = pixels.clone().flatten(1), blurred(pixels).clone().flatten(1)
    deleted[:, first] = 0.0
    inserted[:, first] = pixels.flatten(1)[:, first]
    units = torch.nn.functional.normalize(texts, dim=-1)
    for curve, picture in ((found.deletion, deleted), (found.insertion, inserted)):
        feature = backbone.image_features(picture.reshape(1, 3, SIDE, SIDE))[0]
        probability = torch.softmax(backbone.logit_scale * units @ feature, dim=0)[1]
        # the map is ranked in ten thousandths of its range: near-ties may swap a pixel or two
        assert curve.at(fraction) == pytest.approx(float(probability), abs=0.02)


def test_each_picture_is_encoded_once_for_all_curves():
    backbone, pixels, texts, made = window_case(true_map())
    found = assess(backbone, pixels, made, texts[:1], against=texts, steps=5, random_maps=2)
    shuffled_map = 1 + 81  # the occlusion map of the meaningless text
    orders = 1 + 1 + 2  # the text's map, the shuffled text's, two random ones
    assert backbone.encoded == 3 + orders * 2 * 4 + shuffled_map
    assert len(found.deletion.scores) == 6
    assert found.insertion.scores[-1] == found.deletion.scores[0]


def test_two_prompts_maps_share_their_pictures_and_change_nothing_of_each_other():
    """The marked figures are those of each alone; random maps are the same for both."""
    backbone, pixels, texts, made = window_case(true_map())
    wrong = replace(made, maps=(1 - true_map())[None])
    claims = [Claim(made, texts[:1], 0, texts), Claim(wrong, texts[:1], 0, texts)]
    backbone.encoded = 0
    both = assess_together(backbone, pixels, claims, steps=5, random_maps=2)
    shuffled_maps = 2 * (1 + 81)
    assert backbone.encoded == 3 + (2 + 2 + 2) * 2 * 4 + shuffled_maps
    assert both[0].random_deletion == both[1].random_deletion
    for claim, found in zip(claims, both, strict=True):
        alone = assess(
            backbone, pixels, claim.explanation, texts[:1], against=texts, steps=5, random_maps=2
        )
        assert found.verdict == alone.verdict
        assert found.deletion.area == pytest.approx(alone.deletion.area, abs=0.02)
        assert torch.equal(found.shuffled_map, alone.shuffled_map)


def test_the_shuffled_texts_map_goes_through_the_same_by_the_texts_own_score():
    """Handed the shuffled text's map as its own, a text gets the shuffled text's curves."""
    backbone = tiny_backbone()
    pixels = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    texts = torch.randn(3, 24, generator=torch.Generator().manual_seed(4))
    made = explain(backbone, pixels, texts, "legrad")
    found = assess(backbone, pixels, made, texts, index=1)
    maps = made.maps.clone()
    maps[1] = found.shuffled_map
    handed = assess(backbone, pixels, replace(made, maps=maps), texts, index=1)
    # ties of the map leave in another random order: a pixel or two
    near = {"abs": 0.05}
    assert handed.deletion.scores == pytest.approx(found.shuffled_deletion.scores, **near)
    assert handed.insertion.scores == pytest.approx(found.shuffled_insertion.scores, **near)
    assert found.deletion.scores != pytest.approx(found.shuffled_deletion.scores, **near)


def test_a_check_gives_the_same_figures_every_time():
    backbone, pixels, texts, made = window_case(true_map())
    assert assess(backbone, pixels, made, texts) == assess(backbone, pixels, made, texts)


def test_rollout_is_warned_about_because_no_text_changes_it():
    backbone = tiny_backbone()
    pixels = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    texts = torch.randn(2, 24, generator=torch.Generator().manual_seed(1))
    found = assess(backbone, pixels, explain(backbone, pixels, texts, "rollout"), texts)
    assert found.text_correlation == 1.0
    assert any("meaningless text" in warning for warning in found.warnings)
    legrad = explain(backbone, pixels, texts, "legrad")
    assert text_correlation(backbone, pixels, Claim(legrad, texts)) < 1.0


def test_a_meaningless_text_keeps_no_meaning_of_its_rivals():
    """Of two opposed texts, one against the other is one axis; shuffled, it is another one."""
    backbone = tiny_backbone()
    pixels = torch.randn(3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    rival = torch.randn(24, generator=torch.Generator().manual_seed(4))
    texts = torch.stack([-rival, rival])
    made = explain(backbone, pixels, texts, "occlusion")
    shuffled = faithfulness.shuffled_text_map(backbone, pixels, Claim(made, texts))
    order = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    expected = explain(backbone, pixels, texts[:, order], "occlusion").maps[0]
    torch.testing.assert_close(shuffled, expected)


@pytest.mark.parametrize(("own", "warned"), [(0.1, False), (0.5, True)])
def test_a_meaningless_text_that_does_as_well_is_warned_about(own, warned):
    backbone, pixels, texts, made = window_case(true_map())
    found = assess(backbone, pixels, made, texts[:1], against=texts)
    found = replace(
        found,
        deletion=Curve((0.0, 1.0), (own, own)),
        insertion=Curve((0.0, 1.0), (1 - own, 1 - own)),
        shuffled_deletion=Curve((0.0, 1.0), (0.3, 0.3)),
        shuffled_insertion=Curve((0.0, 1.0), (0.7, 0.7)),
        text_correlation=0.0,
    )
    assert any("does as well" in warning for warning in found.warnings) is warned


def test_rank_correlation_is_scipys_with_ties():
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(5)
    a = torch.randint(0, 4, (6, 6), generator=generator).float()
    b = torch.randint(0, 4, (6, 6), generator=generator).float()
    expected = stats.spearmanr(a.flatten(), b.flatten()).statistic
    assert faithfulness._spearman(a, b) == pytest.approx(expected, abs=1e-9)
    assert faithfulness._spearman(a, torch.zeros(6, 6)) == 0.0


class TokenBackbone(WindowBackbone):
    """Gives the spatial features it was made with."""

    def __init__(self, tokens: Tensor) -> None:
        super().__init__()
        self.tokens = tokens

    def image_tokens(self, pixels: Tensor) -> Tensor:
        return self.tokens[None]


@pytest.mark.parametrize(("directions", "several"), [((0, 0), False), ((0, 1), True)])
def test_two_different_things_make_features_point_apart(directions, several):
    tokens = 0.01 * torch.randn(64, 24, generator=torch.Generator().manual_seed(0))
    for cell, axis in zip((9, 45), directions, strict=True):
        tokens[cell : cell + 3, axis] += 1.0
    backbone = TokenBackbone(tokens + 5.0)  # what all places share is not counted
    pixels = torch.zeros(3, SIDE, SIDE)
    assert faithfulness.several_objects(backbone, pixels) is several
    found = faithfulness.scatter(backbone, pixels)
    assert found is not None
    if several:  # two orthogonal unit vectors, taken around a mean near 0: 1 − 1/√2
        assert found == pytest.approx(1 - 0.5**0.5, abs=0.06)
    else:
        assert found < 0.02


def test_a_plain_picture_holds_one_thing():
    plain = TokenBackbone(torch.ones(64, 24))
    assert faithfulness.scatter(plain, torch.zeros(3, SIDE, SIDE)) == 0.0


def test_what_an_unknown_tower_sees_is_not_guessed():
    class Unknown(WindowBackbone):
        def image_tokens(self, pixels: Tensor) -> Tensor:
            raise BackboneError("no tokens")

    assert not faithfulness.several_objects(Unknown(), torch.zeros(3, SIDE, SIDE))


def test_several_things_are_warned_about():
    _, pixels, texts, made = window_case(true_map())
    tokens = torch.zeros(64, 24)
    tokens[9, 0], tokens[45, 1] = 1.0, 1.0
    crowded = TokenBackbone(tokens)
    found = assess(crowded, pixels, made, texts[:1], against=texts)
    assert any("Several things" in warning for warning in found.warnings)
