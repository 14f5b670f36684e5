"""The built-in model: what it is made of, that it is exact, and that it knows a little."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from open_clip import tokenize
from open_clip.model import CLIP
from open_clip.transform import image_transform
from PIL import Image

from coop_demo.backbones import mini
from coop_demo.errors import BackboneError


@pytest.fixture(scope="module")
def model() -> Any:
    return mini.build_mini()


@pytest.fixture(scope="module")
def pixels() -> torch.Tensor:
    return torch.randn(2, 3, 260, 260, generator=torch.Generator().manual_seed(0))


def texts(model: Any, *words: str) -> torch.Tensor:
    with torch.no_grad():
        return model.encode_text(tokenize(list(words)), normalize=True)


def test_it_is_an_open_clip_model_frozen_in_fp32(model: Any) -> None:
    assert type(model) is CLIP
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())
    assert {t.dtype for t in model.parameters()} == {torch.float32}
    assert float(model.logit_scale.exp()) == pytest.approx(mini.MINI_LOGIT_SCALE)


def test_both_towers_give_vectors_of_the_joint_space(model: Any, pixels: torch.Tensor) -> None:
    assert model.encode_image(pixels).shape == (2, mini.MINI_EMBED_DIM)
    assert texts(model, "a dog").shape == (1, mini.MINI_EMBED_DIM)


def test_building_it_twice_gives_the_same_features(model: Any, pixels: torch.Tensor) -> None:
    again = mini.build_mini()
    assert torch.equal(again.encode_image(pixels), model.encode_image(pixels))
    assert torch.equal(texts(again, "a red car"), texts(model, "a red car"))


def test_the_pooled_embedding_is_the_mean_of_the_spatial_tokens(
    model: Any, pixels: torch.Tensor
) -> None:
    feature_map = model.visual.trunk.forward_features(pixels)  # (2, 1280, 9, 9)
    tokens = model.visual.head(feature_map.flatten(2).transpose(1, 2))
    assert tokens.shape == (2, mini.MINI_GRID**2, mini.MINI_EMBED_DIM)
    torch.testing.assert_close(tokens.mean(dim=1), model.encode_image(pixels))


def test_folding_the_batch_norms_changes_nothing_but_rounding(pixels: torch.Tensor) -> None:
    trunk = timm.create_model("tf_efficientnet_lite2", pretrained=False).eval()
    trunk.load_state_dict(mini.imagenet_weights())
    with torch.no_grad():
        before = trunk.forward_features(pixels)
        mini.fold_batch_norms(trunk)
        after = trunk.forward_features(pixels)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in trunk.modules())
    assert (after - before).abs().max() < 1e-4


def test_gradients_reach_the_last_feature_map_and_the_pixels(
    model: Any, pixels: torch.Tensor
) -> None:
    given = pixels[:1].clone().requires_grad_()
    feature_map = model.visual.trunk.forward_features(given)
    feature_map.retain_grad()
    model.visual.head(model.visual.trunk.forward_head(feature_map)).square().sum().backward()
    assert feature_map.grad is not None
    assert feature_map.grad.abs().sum() > 0
    assert given.grad is not None
    assert given.grad.abs().sum() > 0


def test_open_clips_transform_prepares_its_pictures(model: Any) -> None:
    transform = image_transform(
        mini.MINI_IMAGE_SIZE, is_train=False, mean=mini.MINI_MEAN, std=mini.MINI_STD,
        interpolation=mini.MINI_INTERPOLATION, resize_mode="shortest",
    )  # fmt: skip
    white = transform(Image.new("RGB", (400, 300), "white"))
    assert isinstance(white, torch.Tensor)
    assert white.shape == (3, 260, 260)
    assert white.unique().tolist() == [1.0]  # (1 - 0.5) / 0.5


def test_the_weight_files_are_small_enough_to_be_kept_in_the_repository() -> None:
    files = mini.mini_weight_files()
    assert all(path.stat().st_size < 10e6 for path in files)


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"has no weight files.*recipes.mini"):
        mini.build_mini(tmp_path)


def test_a_missing_weight_file_is_named(tmp_path: Path) -> None:
    files = mini.mini_weight_files()
    for path in files[:-1]:
        shutil.copy(path, tmp_path)
    with pytest.raises(BackboneError, match=files[-1].name):
        mini.build_mini(tmp_path)


def test_a_damaged_weight_file_is_named(tmp_path: Path) -> None:
    for path in mini.mini_weight_files():
        shutil.copy(path, tmp_path)
    damaged = tmp_path / mini.mini_weight_files()[0].name
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(BackboneError, match=damaged.name):
        mini.build_mini(tmp_path)


def test_packed_weights_come_back_within_half_a_step_of_int8(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    given = {
        "token_embedding.weight": torch.randn(10, 6, generator=generator),
        "ln_final.bias": torch.randn(6, generator=generator),
    }
    packed = mini.pack_mini_weights(given, shards=3, int8={"token_embedding.weight"})
    paths = [tmp_path / f"mini-{i + 1}-of-3.safetensors" for i in range(3)]
    for path, part in zip(paths, packed, strict=True):
        save_file(part, path)
    found, _ = mini.read_mini_weights(paths)
    assert found.keys() == given.keys()
    rows = given["token_embedding.weight"]
    step = rows.abs().amax(dim=1, keepdim=True) / 127
    assert ((found["token_embedding.weight"] - rows).abs() <= 0.6 * step).all()
    torch.testing.assert_close(found["ln_final.bias"], given["ln_final.bias"], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("dog", "puppy", "truck"),
        ("car", "vehicle", "banana"),
        ("apple", "fruit", "hammer"),
        ("a photo of a cat.", "kitten", "airplane"),
    ],
)
def test_words_lie_near_words_of_like_meaning(model: Any, word: str, near: str, far: str) -> None:
    anchor, close, distant = texts(model, word, near, far)
    assert anchor @ close > anchor @ distant + 0.1


def test_imagenets_own_names_point_where_its_classifier_looks(model: Any) -> None:
    """The classifier's directions, brought to the joint space, are found by their plain names."""
    classifier = mini.imagenet_weights()["classifier.weight"]
    directions = F.normalize(
        (classifier - classifier.mean(dim=0)) @ model.visual.head.proj.weight.T, dim=-1
    )
    wanted = {"goldfish": 1, "zebra": 340, "banana": 954, "castle": 483, "acoustic guitar": 402}
    found = (texts(model, *wanted) @ directions.T).argmax(dim=-1).tolist()
    assert found == list(wanted.values())
