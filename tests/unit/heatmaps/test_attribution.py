"""Maps equal slow independent computations, share nothing between callers and leave no trace."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.transform import PreprocessCfg
from PIL import Image
from tiny import tiny_backbone
from torch import Tensor, nn

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import HeatmapError
from coop_demo.heatmaps import attribution
from coop_demo.heatmaps.attribution import Grid, compare, difference, explain, methods_for, view_box

SIDE = 64


def small(vision: dict[str, Any], seed: int = 0, dim: int = 12) -> Backbone:
    """A random backbone with a small image tower of any kind, for pictures of 64 pixels."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = open_clip.CLIP(
        dim,
        {"image_size": SIDE, **vision},  # type: ignore[arg-type]
        {"width": 16, "heads": 2, "layers": 1, "vocab_size": 49408},  # type: ignore[arg-type]
    )
    for module in model.modules():  # fresh batch norms are no norms: nothing would be centred
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.5)
    torch.set_rng_state(state)
    return Backbone(
        model,
        name="small",
        preprocess=PreprocessCfg(size=SIDE),
        tokenizer=open_clip.tokenizer.SimpleTokenizer(),
        logit_scale=30.0,
    )


RESNET = {"layers": [1, 1, 1, 1], "width": 8, "head_width": 64}
EFFICIENTNET = {
    "timm_model_name": "test_efficientnet",
    "timm_pool": "avg",
    "timm_proj": "linear",
    "timm_proj_bias": True,
}
CONVNEXT = {"timm_model_name": "test_convnext", "timm_pool": "avg", "timm_proj": "linear"}
TIMM_VIT = {"timm_model_name": "test_vit", "timm_pool": "", "timm_proj": "linear"}


@pytest.fixture(scope="module")
def vit() -> Backbone:
    return tiny_backbone()


@pytest.fixture(scope="module")
def resnet() -> Backbone:
    return small(RESNET)


@pytest.fixture(scope="module")
def efficientnet() -> Backbone:
    return small(EFFICIENTNET)


@pytest.fixture(scope="module")
def convnext() -> Backbone:
    return small(CONVNEXT)


def made(backbone: Backbone, n_texts: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Pixels and text vectors, the same for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    side = backbone.image_size
    pixels = torch.randn(3, side, side, generator=generator)
    return pixels, torch.randn(n_texts, backbone.embed_dim, generator=generator)


def slow_score(target: str, feature: Tensor, texts: Tensor, index: int, scale: float) -> Tensor:
    """The score from its definition, one text at a time, by plain exponentials."""
    cosines = [F.cosine_similarity(feature, text, dim=0) for text in texts]
    if target == "cosine":
        return cosines[index]
    others = [torch.exp(scale * c) for i, c in enumerate(cosines) if i != index]
    return torch.log(torch.exp(scale * cosines[index]) / sum(others))


# ---- LeGrad and rollout


def slow_legrad(backbone: Backbone, pixels: Tensor, texts: Tensor, target: str, layers: int):
    """By autograd through attention matrices that are leaves, head by head."""
    visual = backbone.model.visual
    blocks = list(visual.transformer.resblocks)
    hidden = visual._embeds(pixels[None])
    inputs = []
    for block in blocks:
        inputs.append(hidden)
        hidden = block(hidden)  # open_clip's own forward
    maps = torch.zeros(len(texts), visual.grid_size[0] * visual.grid_size[1])
    for block, x in list(zip(blocks, inputs, strict=True))[-layers:]:
        normed = block.ln_1(x)
        _, weights = block.attn(
            normed, normed, normed, need_weights=True, average_attn_weights=False
        )  # torch's own attention weights
        W, A = x.shape[-1], block.attn.num_heads
        for index in range(len(texts)):
            leaf = weights.detach().clone().requires_grad_()
            projection = block.attn.in_proj_weight[2 * W :], block.attn.in_proj_bias[2 * W :]
            v = F.linear(normed, *projection)
            per_head = [leaf[0, a] @ v[0, :, a * W // A : (a + 1) * W // A] for a in range(A)]
            y = x + block.attn.out_proj(torch.cat(per_head, dim=-1))[None]
            y = y + block.mlp(block.ln_2(y))
            feature = (visual.ln_post(y[0].mean(dim=0)) @ visual.proj).flatten()
            slow_score(target, feature, texts, index, backbone.logit_scale).backward()
            assert leaf.grad is not None
            maps[index] += leaf.grad[0].clamp(min=0).mean(dim=(0, 1))[1:] / layers
    return maps.reshape(len(texts), *visual.grid_size)


@pytest.mark.parametrize("target", ["cosine", "contrast"])
@pytest.mark.parametrize("layers", [1, 2])
def test_legrad_equals_autograd_through_explicit_attention(vit, target, layers):
    pixels, texts = made(vit)
    found = explain(vit, pixels, texts, "legrad", target=target, layers=layers)
    expected = slow_legrad(vit, pixels, texts, target, layers)
    assert expected.amax() > 0
    torch.testing.assert_close(found.maps, expected, rtol=1e-3, atol=1e-5 * float(expected.max()))
    assert found.target == target


def test_rollout_equals_the_product_of_torchs_own_attention_weights(vit):
    pixels, texts = made(vit)
    visual = vit.model.visual
    x = visual._embeds(pixels[None])
    product = np.eye(x.shape[1])
    for block in visual.transformer.resblocks:
        normed = block.ln_1(x)
        _, weights = block.attn(normed, normed, normed, need_weights=True)  # mean over heads
        product = (0.5 * weights[0].numpy() + 0.5 * np.eye(x.shape[1])) @ product
        x = block(x)
    found = explain(vit, pixels, texts, "rollout")
    np.testing.assert_allclose(found.maps[0].flatten(), product[0, 1:], rtol=1e-4)
    assert not found.text_matters
    assert torch.equal(found.maps[0], found.maps[2])


# ---- Grad-CAM


def last_map_and_head(backbone: Backbone, pixels: Tensor):
    visual = copy.deepcopy(backbone.model.visual).double()
    x = pixels[None].double()
    if hasattr(visual, "attnpool"):
        x = visual.stem(x)
        for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = stage(x)
        return x, visual.attnpool
    return visual.trunk.forward_features(x), lambda a: visual.head(visual.trunk.forward_head(a))


@pytest.mark.parametrize("kind", ["resnet", "efficientnet", "convnext"])
@pytest.mark.parametrize("target", ["cosine", "contrast"])
def test_gradcam_equals_finite_differences(kind, target, request):
    backbone = request.getfixturevalue(kind)
    pixels, texts = made(backbone)
    found = explain(backbone, pixels, texts, "gradcam", target=target)
    features, head = last_map_and_head(backbone, pixels)
    _, K, h, w = features.shape
    step = 1e-4
    nudges = step * torch.eye(K * h * w, dtype=torch.double).reshape(-1, K, h, w)
    with torch.no_grad():
        up, down = head(features + nudges), head(features - nudges)  # (K·h·w, d)
    for index in range(len(texts)):
        wanted = texts.double()
        slopes = torch.tensor(
            [
                float(
                    slow_score(target, a, wanted, index, backbone.logit_scale)
                    - slow_score(target, b, wanted, index, backbone.logit_scale)
                )
                / (2 * step)
                for a, b in zip(up, down, strict=True)
            ]
        ).reshape(K, h, w)
        expected = torch.zeros(h, w, dtype=torch.double)
        for k in range(K):
            expected += slopes[k].mean() * features[0, k]
        expected = expected.clamp(min=0)
        torch.testing.assert_close(
            found.maps[index].double(),
            expected,
            rtol=1e-2,
            atol=2e-3 * float(expected.max() + 1e-6),
        )
    assert found.maps.amax() > 0


def test_gradcam_equals_the_grad_cam_library(efficientnet):
    library = pytest.importorskip("pytorch_grad_cam")
    pixels, texts = made(efficientnet)
    model = copy.deepcopy(efficientnet.model).requires_grad_(True)

    class Cosines(nn.Module):
        def __init__(self):
            super().__init__()
            self.visual = model.visual

        def forward(self, x):
            return F.normalize(self.visual(x), dim=-1) @ F.normalize(texts, dim=-1).T

    wrapped = Cosines()
    found = explain(efficientnet, pixels, texts, "gradcam", target="cosine")
    drawn = 0
    for index in range(len(texts)):
        with library.GradCAM(wrapped, [wrapped.visual.trunk.bn2]) as cam:
            cam(pixels[None], [lambda out, i=index: out[i]])
            activations = cam.activations_and_grads.activations[0].detach().numpy()
            gradients = cam.activations_and_grads.gradients[0].detach().numpy()
            raw = cam.get_cam_image(
                pixels[None], wrapped.visual.trunk.bn2, [], activations, gradients
            )[0]
        expected = np.maximum(raw, 0)
        np.testing.assert_allclose(
            found.maps[index], expected, rtol=1e-3, atol=1e-5 * (expected.max() + 1e-9)
        )
        drawn += int(expected.max() > 0)
    assert drawn


# ---- occlusion


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_occlusion_is_the_fall_of_the_score_under_each_blurred_window(kind, request):
    backbone = request.getfixturevalue(kind)
    pixels, texts = made(backbone, n_texts=2)
    found = explain(backbone, pixels, texts, "occlusion", target="cosine")
    side, n = backbone.image_size, attribution.OCCLUSION_STEPS
    soft = attribution.blurred(pixels)
    units = F.normalize(texts, dim=-1)
    whole = backbone.image_features(pixels[None])[0] @ units.T
    for row, column in ((0, 0), (4, 3), (n - 1, n - 1)):
        covered = pixels.clone()
        step = side / n
        top, bottom = max(0, round((row - 0.5) * step)), round((row + 1.5) * step)
        left, right = max(0, round((column - 0.5) * step)), round((column + 1.5) * step)
        covered[:, top:bottom, left:right] = soft[:, top:bottom, left:right]
        fall = whole - backbone.image_features(covered[None])[0] @ units.T
        torch.testing.assert_close(found.maps[:, row, column], fall, rtol=1e-3, atol=1e-5)


def test_blur_keeps_a_plain_colour_and_flattens_a_speck():
    plain = torch.full((3, 20, 24), 0.7)
    torch.testing.assert_close(attribution.blurred(plain), plain)
    speck = torch.zeros(3, 21, 21)
    speck[:, 10, 10] = 1.0
    soft = attribution.blurred(speck)
    assert soft.max() < 0.2
    assert int(soft[0].argmax()) == 10 * 21 + 10


# ---- nobody notices


@pytest.mark.parametrize("kind", ["vit", "resnet", "efficientnet"])
def test_two_people_at_once_get_what_each_gets_alone(kind, request):
    backbone = request.getfixturevalue(kind)
    method = methods_for(backbone)[0]
    jobs = [made(backbone, n_texts=n, seed=n) for n in (1, 2, 3, 4)]
    alone = [explain(backbone, p, t, method).maps for p, t in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: explain(backbone, *job, method).maps, jobs * 3))
    for i, maps in enumerate(together):
        torch.testing.assert_close(maps, alone[i % len(jobs)], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", ["vit", "resnet", "efficientnet"])
def test_the_model_is_left_as_it_was(kind, request):
    backbone = request.getfixturevalue(kind)
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    pixels, texts = made(backbone)
    given = pixels.clone(), texts.clone()
    for method in methods_for(backbone):
        explain(backbone, pixels, texts, method)
    assert torch.equal(pixels, given[0])
    assert torch.equal(texts, given[1])
    for name, value in backbone.model.state_dict().items():
        assert torch.equal(value, before[name]), name
    for parameter in backbone.model.parameters():
        assert parameter.grad is None
        assert not parameter.requires_grad
    for module in backbone.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert not module._backward_hooks
    assert not backbone.model.training
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_a_callers_gradient_mode_changes_nothing_and_stays(kind, request):
    backbone = request.getfixturevalue(kind)
    pixels, texts = made(backbone)
    expected = explain(backbone, pixels, texts).maps
    with torch.no_grad():
        torch.testing.assert_close(explain(backbone, pixels, texts).maps, expected)
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        within = explain(backbone, pixels * 1, texts * 1).maps
        assert torch.is_inference_mode_enabled()
    torch.testing.assert_close(within, expected)


@pytest.mark.parametrize("kind", ["vit", "resnet", "efficientnet"])
def test_texts_sharing_a_pass_get_the_maps_each_gets_alone(kind, request):
    backbone = request.getfixturevalue(kind)
    pixels, texts = made(backbone, n_texts=4)
    for method in methods_for(backbone):
        together = explain(backbone, pixels, texts, method, target="contrast")
        for i, text in enumerate(texts):
            alone = explain(backbone, pixels, text, method, target="contrast", against=texts)
            torch.testing.assert_close(together.maps[i], alone.maps[0], rtol=1e-3, atol=5e-6)
        features = backbone.image_features(pixels[None])[0]
        torch.testing.assert_close(together.scores, features @ F.normalize(texts, dim=-1).T)


def test_the_length_of_a_text_vector_does_not_matter(resnet):
    pixels, texts = made(resnet)
    one, other = explain(resnet, pixels, texts), explain(resnet, pixels, 7 * texts)
    torch.testing.assert_close(one.maps, other.maps, rtol=1e-3, atol=1e-6)


# ---- targets and comparison


def test_auto_contrasts_as_soon_as_there_is_another_text(vit):
    pixels, texts = made(vit)
    assert explain(vit, pixels, texts[0]).target == "cosine"
    assert explain(vit, pixels, texts[0], against=texts[:1]).target == "cosine"
    assert explain(vit, pixels, texts[0], against=texts).target == "contrast"
    assert explain(vit, pixels, texts).target == "contrast"


def test_difference_is_the_learned_share_less_the_handcrafted_share(resnet):
    pixels, learned = made(resnet, seed=1)
    hand_crafted = made(resnet, seed=2)[1]
    found = compare(resnet, pixels, learned, hand_crafted, classes=[2, 0])
    alone = explain(resnet, pixels, learned[[2, 0]], against=learned)
    torch.testing.assert_close(found.learned.maps, alone.maps, rtol=1e-3, atol=1e-6)
    by_hand = alone.maps[0] / alone.maps[0].mean() if alone.maps[0].max() > 0 else alone.maps[0]
    other = found.hand_crafted.maps[0]
    by_hand = by_hand - (other / other.mean() if other.max() > 0 else other)
    torch.testing.assert_close(found.difference[0], by_hand, rtol=1e-3, atol=1e-4)
    assert torch.equal(difference(found.learned, found.learned), torch.zeros(2, 2, 2))


# ---- where a map lies in the picture


def test_a_grid_puts_each_cells_value_on_its_own_pixels():
    grid = Grid((2, 3), (20, 30))
    cells = torch.arange(6.0).reshape(1, 2, 3)
    expected = cells.repeat_interleave(10, dim=1).repeat_interleave(10, dim=2)
    assert torch.equal(grid.upsample(cells, smooth=False), expected)
    smooth = grid.upsample(cells)
    torch.testing.assert_close(
        smooth, F.interpolate(cells[None], size=(20, 30), mode="bilinear")[0], atol=1e-5, rtol=0
    )


def test_peak_is_the_strongest_pixel(resnet):
    pixels, texts = made(resnet)
    found = explain(resnet, pixels, texts, "occlusion")
    for (y, x), big in zip(found.peaks(), found.upsampled(), strict=True):
        assert big[y, x] == big.max()


@pytest.mark.parametrize(
    ("mode", "size", "box"),
    [
        ("shortest", (100, 60), (20, 0, 80, 60)),
        ("shortest", (60, 100), (0, 20, 60, 80)),
        ("squash", (100, 60), (0, 0, 100, 60)),
        ("longest", (100, 60), (0, -20, 100, 80)),
    ],
)
def test_view_box_is_what_the_preprocessing_keeps(vit, mode, size, box):
    backbone = copy.copy(vit)
    backbone.preprocess_cfg = PreprocessCfg(size=32, resize_mode=mode)
    assert view_box(backbone, size) == box


def test_view_box_agrees_with_the_real_preprocessing(vit):
    """A picture that is bright inside the box only is bright everywhere in the model's view."""
    left, top, right, bottom = view_box(vit, (90, 50))
    picture = Image.new("RGB", (90, 50))
    picture.paste((255, 255, 255), (int(left), int(top), int(right), int(bottom)))
    pixels = vit.preprocess(picture)
    assert float((pixels > 1.9).float().mean()) > 0.9  # white is 1.93 and more once normalised


# ---- errors


@pytest.mark.parametrize(
    ("kind", "valid"),
    [
        ("vit", ("legrad", "rollout", "occlusion")),
        ("resnet", ("gradcam", "occlusion")),
        ("efficientnet", ("gradcam", "occlusion")),
        ("convnext", ("gradcam", "occlusion")),
    ],
)
def test_each_tower_names_its_methods(kind, valid, request):
    assert methods_for(request.getfixturevalue(kind)) == valid


def test_a_channels_last_tower_has_a_map_of_its_own_places(monkeypatch):
    create = open_clip.timm_model.timm.create_model
    tiny = {"img_size": 64, "window_size": 2, "embed_dim": 16}
    tiny |= {"depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
    monkeypatch.setattr(
        open_clip.timm_model.timm, "create_model", lambda *name, **o: create(*name, **o, **tiny)
    )
    swin = {"timm_model_name": "swin_tiny_patch4_window7_224", "timm_pool": "", "image_size": 64}
    backbone = small(swin | {"timm_proj": "linear"})
    assert methods_for(backbone) == ("gradcam", "occlusion")
    pixels, texts = made(backbone)
    explanation = explain(backbone, pixels, texts, "gradcam")
    assert explanation.maps.shape == (3, 2, 2)
    trunk, head = backbone.model.visual.trunk, backbone.model.visual.head
    leaf = trunk.forward_features(pixels[None]).detach().requires_grad_()  # (1, 2, 2, C)
    feature = head(trunk.forward_head(leaf))[0]
    slow_score("contrast", feature, texts, 1, backbone.logit_scale).backward()
    expected = (leaf.grad.mean(dim=(1, 2)) * leaf).sum(dim=-1).relu()[0]  # (2, 2)
    assert torch.allclose(explanation.maps[1], expected.detach(), atol=1e-4)


def test_a_timm_vit_can_only_be_occluded():
    backbone = small(TIMM_VIT | {"image_size": 160})
    assert methods_for(backbone) == ("occlusion",)


def test_an_unknown_method_lists_those_that_fit(vit):
    pixels, texts = made(vit)
    with pytest.raises(HeatmapError, match="legrad, rollout, occlusion"):
        explain(vit, pixels, texts, "saliency")


@pytest.mark.parametrize(
    ("kind", "method", "message"),
    [
        ("vit", "gradcam", '"gradcam" does not fit tiny.*Choose legrad or rollout or occlusion'),
        ("resnet", "legrad", '"legrad" does not fit small.*Choose gradcam or occlusion'),
    ],
)
def test_a_method_that_does_not_fit_lists_those_that_do(kind, method, message, request):
    backbone = request.getfixturevalue(kind)
    pixels, texts = made(backbone)
    with pytest.raises(HeatmapError, match=message):
        explain(backbone, pixels, texts, method)


def test_texts_that_cannot_be_explained_are_refused(vit):
    pixels, texts = made(vit)
    with pytest.raises(HeatmapError, match="made with another model"):
        explain(vit, pixels, texts[:, :-1])
    with pytest.raises(HeatmapError, match="not finite"):
        explain(vit, pixels, texts.log())
    with pytest.raises(HeatmapError, match="at least one"):
        explain(vit, pixels, texts[:0])
    with pytest.raises(HeatmapError, match="no target"):
        explain(vit, pixels, texts, target="loss")
    with pytest.raises(HeatmapError, match="another text"):
        explain(vit, pixels, texts[0], target="contrast")
    with pytest.raises(HeatmapError, match="3 classes and the hand-crafted one has 2"):
        compare(vit, pixels, texts, texts[:2])
