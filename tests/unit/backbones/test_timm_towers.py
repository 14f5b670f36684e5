"""Every kind of timm tower that open_clip lists gives spatial tokens, or a sentence says no."""

from __future__ import annotations

from typing import Any

import open_clip
import open_clip.timm_model
import pytest
import timm
import torch
from open_clip.transform import PreprocessCfg

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import BackboneError

SIDE = 64  # pixels
_ONE_BLOCK = {"depth": 1, "embed_dim": 64, "num_heads": 2, "img_size": SIDE}
SWIN = {
    "img_size": SIDE,
    "window_size": 2,
    "embed_dim": 16,
    "depths": (1, 1, 1, 1),
    "num_heads": (1, 1, 2, 2),
}
# timm's module and class -> a small network of that kind (name, what makes it small) and whether
# it has a map with a place for each part of the picture
FAMILIES: dict[tuple[str, str], tuple[str, dict[str, Any], bool]] = {
    ("convnext", "ConvNeXt"): ("test_convnext", {}, True),
    ("fastvit", "FastVit"): (
        "fastvit_mci0",
        {"layers": (1, 1, 1, 1), "embed_dims": (8, 16, 32, 64)},
        True,
    ),
    ("swin_transformer", "SwinTransformer"): ("swin_tiny_patch4_window7_224", SWIN, True),
    ("vision_transformer", "VisionTransformer"): (
        "vit_base_patch16_siglip_224",
        _ONE_BLOCK,
        False,
    ),
    ("vision_transformer_hybrid", "VisionTransformer"): (
        "vit_base_mci_224",
        {"depth": 1, "img_size": SIDE},
        False,
    ),
    ("vision_transformer_relpos", "VisionTransformerRelPos"): (
        "vit_relpos_medium_patch16_cls_224",
        _ONE_BLOCK,
        False,
    ),
    ("vitamin", "VisionTransformer"): ("vitamin_small_224", {"depth": 1, "img_size": SIDE}, False),
    ("eva", "Eva"): ("eva02_base_patch16_clip_224", _ONE_BLOCK, False),
}


def small_timm(monkeypatch, name: str, smaller: dict[str, Any], pool: str = "") -> Backbone:
    """A CLIP whose image tower is a small network of a timm kind, with random weights."""
    create = timm.create_model
    monkeypatch.setattr(
        open_clip.timm_model.timm,
        "create_model",
        lambda model_name, **options: create(model_name, **options, **smaller),
    )
    torch.manual_seed(0)
    model = open_clip.CLIP(
        embed_dim=8,
        vision_cfg={  # type: ignore[arg-type]
            "timm_model_name": name,
            "timm_pool": pool,
            "timm_proj": "linear",
            "image_size": SIDE,
        },
        text_cfg={"width": 32, "heads": 2, "layers": 1},  # type: ignore[arg-type]
    )
    return Backbone(
        model,
        name="small",
        preprocess=PreprocessCfg(size=SIDE),
        tokenizer=open_clip.tokenizer.SimpleTokenizer(),
    )


def listed_families() -> set[tuple[str, str]]:
    """The kinds of the timm networks in open_clip's configurations, without building weights."""
    configs = [open_clip.get_model_config(name) for name in open_clip.list_models()]
    names = {config["vision_cfg"].get("timm_model_name") for config in configs if config} - {None}
    found = set()
    for name in sorted(names):
        module = timm.models.model_entrypoint(name).__module__.rpartition(".")[2]
        kinds = [kind for known, kind in FAMILIES if known == module]
        found.add((module, kinds[0] if kinds else "?"))
    return found


def test_the_table_names_every_kind_that_open_clip_lists():
    assert listed_families() == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_a_kind_of_tower_gives_spatial_tokens_or_says_that_it_does_not(monkeypatch, family):
    name, smaller, has_map = FAMILIES[family]
    backbone = small_timm(monkeypatch, name, smaller)
    assert type(backbone.model.visual.trunk).__name__ == family[1]
    pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    assert backbone.image_features(pixels).shape == (2, 8)
    if has_map:
        assert backbone.image_tokens(pixels).shape == (2, 4, 8)
    else:
        with pytest.raises(BackboneError, match="small gives no spatial tokens .* Choose a ViT of"):
            backbone.image_tokens(pixels)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "test_convnext"])
def test_the_mean_of_the_tokens_is_the_feature_where_the_head_is_linear(monkeypatch, name):
    backbone = small_timm(monkeypatch, name, SWIN if name.startswith("swin") else {})
    pixels = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    visual = backbone.model.visual
    if name == "test_convnext":  # its head has a norm after the pooling
        visual.trunk.head.norm = torch.nn.Identity()
    tokens = backbone.image_tokens(pixels)
    feature = torch.nn.functional.normalize(tokens.mean(dim=1), dim=-1)
    assert torch.allclose(feature, backbone.image_features(pixels), atol=1e-5)


def test_the_tokens_of_a_channels_last_tower_lie_where_the_picture_has_them(monkeypatch):
    backbone = small_timm(monkeypatch, "swin_tiny_patch4_window7_224", SWIN)
    trunk = backbone.model.visual.trunk
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        last = trunk.forward_features(pixels)  # (1, 2, 2, C)
        top_right = backbone.model.visual.head(trunk.forward_head(last[:, :1, 1:]))
    assert torch.allclose(backbone.image_tokens(pixels)[:, 1], top_right, atol=1e-5)
