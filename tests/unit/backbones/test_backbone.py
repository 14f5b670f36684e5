"""A backbone gives features, tokens and texts of known shapes, and features are encoded once."""

import open_clip
import pytest
import torch
from images import edged
from open_clip.transform import PreprocessCfg
from PIL import Image
from tiny import MadePicture, tiny_backbone

from coop_demo.backbones.backbone import (
    PLAIN_FORM,
    Backbone,
    TokenForm,
    random_backbone,
    spatial_tokens,
)
from coop_demo.backbones.features import (
    WHOLE_VIEW,
    EncodeEvent,
    FeatureCache,
    encode_all,
    encode_pictures,
)
from coop_demo.errors import PromptError


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return tiny_backbone()


PICTURES = [MadePicture((200, 30, 30), i) for i in range(3)] + [MadePicture((30, 30, 200), 9)]


def pixels_of(backbone, pictures=PICTURES):
    return torch.stack([backbone.preprocess(picture.load()) for picture in pictures])


def test_features_are_unit_vectors_of_the_joint_width(backbone):
    features = backbone.image_features(pixels_of(backbone))
    texts = backbone.text_features(["red", "a photo of a blue thing"])
    assert features.shape == (4, 24)
    assert texts.shape == (2, 24)
    assert backbone.embed_dim == 24
    for unit in (features, texts):
        assert torch.allclose(unit.norm(dim=-1), torch.ones(len(unit)), atol=1e-5)


def test_everything_is_frozen(backbone):
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert not backbone.model.training


def test_tokens_have_the_joint_width_too(backbone):
    assert backbone.image_tokens(pixels_of(backbone)).shape == (4, 16, 24)
    assert backbone.text_tokens(["red", "blue"]).shape == (2, 77, 24)


def test_the_whole_view_has_what_the_test_time_view_cuts_off(backbone):
    wide = edged((255, 0, 0), ground=(0, 0, 255))  # red is outside the middle square
    middle, whole = backbone.preprocess(wide), backbone.whole_view(wide)
    assert middle.shape == whole.shape == (3, 32, 32)
    assert middle[0].max() == middle[0].min()  # no red anywhere
    assert whole[0, :, :4].min() > whole[0, :, 8:].max() + 1


def test_ranking_tokens_are_the_spatial_tokens_in_half_precision(backbone):
    pixels = pixels_of(backbone)
    tokens = backbone.ranking_tokens(pixels)
    assert backbone.ranking_dim == backbone.embed_dim
    assert torch.equal(tokens, backbone.image_tokens(pixels).half())


def detailed_backbone() -> Backbone:
    """64 pixels, a last map of 2 x 2 and a stage of 8 x 8 beside it."""
    model = open_clip.CLIP(
        embed_dim=8,
        vision_cfg={  # type: ignore[arg-type]
            "timm_model_name": "tf_efficientnet_lite0",
            "timm_pool": "avg",
            "timm_proj": "linear",
            "image_size": 64,
        },
        text_cfg={"width": 32, "heads": 2, "layers": 1},  # type: ignore[arg-type]
    )
    return Backbone(
        model,
        name="detailed",
        preprocess=PreprocessCfg(size=64),
        tokenizer=open_clip.tokenizer.SimpleTokenizer(),
        detail_stages=(2,),
    )


def test_detail_stages_add_mean_and_spread_of_each_channel_under_a_token():
    detailed = detailed_backbone()
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tokens = detailed.ranking_tokens(pixels).float()  # 2 x 2 places; stage 2 has 8 x 8
    trunk = detailed.model.visual.trunk
    with torch.no_grad():
        stage = trunk.forward_intermediates(pixels, indices=[2], intermediates_only=True)[0]
    channels = stage.shape[1]
    assert tokens.shape == (2, 4, detailed.ranking_dim) == (2, 4, 8 + 2 * channels)
    assert torch.allclose(tokens[..., :8], detailed.image_tokens(pixels), atol=1e-2)
    top_right = stage[:, :, :4, 4:].flatten(2)
    mean, spread = tokens[:, 1, 8:].split(channels, dim=-1)
    assert torch.allclose(mean, top_right.mean(-1), atol=2e-2)
    assert torch.allclose(spread, top_right.std(-1, correction=0), atol=2e-2)


def test_cells_keep_the_four_quarters_of_a_token_apart():
    detailed, form = detailed_backbone(), TokenForm(cells=True)
    pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tokens = detailed.ranking_tokens(pixels, form).float()
    with torch.no_grad():
        trunk = detailed.model.visual.trunk
        stage = trunk.forward_intermediates(pixels, indices=[2], intermediates_only=True)[0]
    channels = stage.shape[1]
    assert tokens.shape[-1] == detailed.ranking_width(form) == 8 + 4 * channels
    lower_left = tokens[:, 1, 8:].unflatten(-1, (4, channels))[:, 2]  # of the upper right token
    assert torch.allclose(lower_left, stage[:, :, 2:4, 4:6].mean(dim=(2, 3)), atol=2e-2)


def test_a_larger_square_gives_more_tokens_of_the_same_picture():
    detailed, form = detailed_backbone(), TokenForm(side=128)
    wide = Image.new("RGB", (90, 40), (200, 10, 10))
    pixels = detailed.whole_view(wide, form)
    assert pixels.shape == (3, 128, 128)
    tokens = detailed.ranking_tokens(pixels[None], form)
    assert tokens.shape == (1, 16, detailed.ranking_dim)
    assert torch.equal(detailed.whole_view(wide), detailed.whole_view(wide, PLAIN_FORM))


@pytest.mark.parametrize("architecture", ["RN50", "convnext_base"])
def test_spatial_tokens_of_convolutional_towers(architecture):
    config = open_clip.get_model_config(architecture)
    assert config is not None
    torch.manual_seed(0)
    model = open_clip.create_model(architecture).eval()
    with torch.no_grad():
        tokens = spatial_tokens(model.visual, torch.rand(1, 3, 224, 224))
    assert tokens.shape == (1, 49, config["embed_dim"])


def test_a_text_that_is_too_long_is_refused_not_cut(backbone):
    with pytest.raises(PromptError, match="82 tokens long"):
        backbone.tokenize(["word " * 80])


def test_identity_tells_weights_apart(backbone):
    assert backbone.identity == tiny_backbone().identity
    assert backbone.identity != tiny_backbone(seed=1).identity
    assert backbone.identity.startswith("tiny@")


def test_random_views_repeat_for_a_seed_and_differ_between_seeds(backbone):
    image = PICTURES[0].load()
    assert torch.equal(backbone.random_view(image, 1), backbone.random_view(image, 1))
    assert not torch.equal(backbone.random_view(image, 1), backbone.random_view(image, 2))


def test_a_picture_of_one_row_still_has_random_views(backbone):
    image = PICTURES[0].load().resize((640, 1))
    assert backbone.random_view(image, 3).shape == (3, 32, 32)


def test_features_are_encoded_once(backbone):
    cache = FeatureCache()
    first = encode_all(backbone, PICTURES, views=(0, 1), cache=cache)
    again = encode_all(backbone, PICTURES, views=(0, 1), cache=cache)
    assert first.features.shape == (2, 4, 24)
    assert (first.n_encoded, again.n_encoded) == (8, 0)
    assert torch.equal(first.features, again.features)
    assert encode_all(backbone, PICTURES, views=(0, 1, 2), cache=cache).n_encoded == 4


def test_another_backbone_shares_nothing(backbone):
    cache = FeatureCache()
    encode_all(backbone, PICTURES, cache=cache)
    assert encode_all(tiny_backbone(seed=1), PICTURES, cache=cache).n_encoded == 4


def test_cached_features_equal_those_computed_one_by_one(backbone):
    together = encode_all(backbone, PICTURES, cache=FeatureCache(), batch_size=3).features[0]
    alone = torch.cat([backbone.image_features(pixels_of(backbone, [p])) for p in PICTURES])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_mean_pooled_tower_gives_all_views_in_one_pass(monkeypatch):
    backbone = tiny_backbone()
    backbone.mean_pooled = True
    passes = []
    image_tokens = backbone.image_tokens
    monkeypatch.setattr(
        backbone, "image_tokens", lambda p: passes.append(len(p)) or image_tokens(p)
    )
    cache = FeatureCache()
    result = encode_all(backbone, PICTURES, views=(0, 1, 2, 3), cache=cache)
    assert sum(passes) == len(PICTURES)
    assert (result.features.shape, result.n_encoded) == ((4, 4, 24), 16)
    tokens = image_tokens(pixels_of(backbone))
    whole = torch.nn.functional.normalize(tokens.mean(dim=1), dim=-1)
    assert torch.allclose(result.features[0], whole, atol=1e-5)
    assert torch.allclose(result.features.norm(dim=-1), torch.ones(4, 4), atol=1e-5)
    assert not torch.allclose(result.features[1], result.features[0], atol=1e-3)
    again = encode_all(backbone, PICTURES, views=(0, 3), cache=cache)
    assert again.n_encoded == 0
    assert torch.equal(again.features[1], result.features[3])


def test_tokens_of_a_mean_pooled_tower_bring_the_pooled_features_with_them():
    backbone = tiny_backbone()
    backbone.mean_pooled = True
    cache = FeatureCache()
    encode_all(backbone, PICTURES, tokens=True, cache=cache)
    after = encode_all(backbone, PICTURES, views=(WHOLE_VIEW,), cache=cache)
    assert after.n_encoded == 0
    alone = encode_all(backbone, PICTURES, views=(WHOLE_VIEW,), cache=FeatureCache())
    assert torch.allclose(after.features, alone.features, atol=1e-3)
    # the test-time view is another picture
    assert encode_all(backbone, PICTURES, cache=cache).n_encoded == 4


def test_the_whole_view_has_a_pass_of_its_own(backbone):
    with pytest.raises(ValueError, match="asked for alone"):
        encode_all(backbone, PICTURES, views=(0, WHOLE_VIEW), cache=FeatureCache())


def test_a_tower_that_learned_cut_texts_gives_tokens_up_to_the_end_of_the_text():
    whole, cut = tiny_backbone(), tiny_backbone()
    cut.text_ends_at_eot = True
    tokens = cut.text_tokens(["red", "two red squares"])
    assert tokens.shape == (2, 5, 24)  # start, three words, end
    assert torch.allclose(tokens, whole.text_tokens(["red", "two red squares"])[:, :5], atol=1e-5)


def test_a_broken_picture_costs_itself_only(backbone):
    pictures = [PICTURES[0], MadePicture((0, 0, 0), broken=True), PICTURES[3]]
    result = encode_all(backbone, pictures, cache=FeatureCache())
    assert result.kept == (0, 2)
    assert result.features.shape == (1, 2, 24)
    assert result.problems == ('"broken.jpg" is damaged. Leave it out.',)


def test_progress_counts_up_to_the_total(backbone):
    *events, _ = encode_pictures(backbone, PICTURES, cache=FeatureCache(), batch_size=2)
    assert [e.done for e in events if isinstance(e, EncodeEvent)] == [2, 4]
    assert {e.total for e in events if isinstance(e, EncodeEvent)} == {4}


def test_the_cache_forgets_the_oldest_first_and_stays_in_its_bound():
    cache = FeatureCache(max_bytes=3 * 4 * 10)
    for i in range(5):
        cache.put((i,), torch.full((10,), float(i)))
        cache.get((0,))
    assert len(cache) == 3
    assert cache.get((0,)) is not None
    assert cache.get((1,)) is None


def test_a_random_backbone_of_a_real_architecture_has_its_shapes():
    backbone = random_backbone("ViT-B-32-quickgelu")
    assert backbone.image_size == 224
    assert backbone.text_features(["a"]).shape == (1, 512)


def test_words_in_a_script_that_the_tokenizer_breaks_into_bytes_are_named():
    backbone = tiny_backbone()
    assert backbone.unread_words(["a dog 🐕", "naïve café", "Äpfel", "red_apple", "3 × 4"]) == ()
    assert backbone.unread_words(["猫", "a 苹果.", "яблоко", "تفاحة", "dog"]) == (
        "猫", "苹果", "яблоко", "تفاحة",
    )  # fmt: skip
