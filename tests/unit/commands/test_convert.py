"""The authors' checkpoints, in their own layout, give their own numbers: from pixels to scores."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from images import noise, write_image
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.backbones.catalog import load_backbone
from coop_demo.prompts.checkpoint import load_prompt
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.official import model_config

SMALL = {
    "embed_dim": 32,
    "vision_cfg": {
        "timm_model_name": "convnext_atto",
        "timm_model_pretrained": False,
        "timm_pool": "",
        "timm_proj": "mlp",
        "image_size": 64,
    },
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
INSTRUCTION = "Rank the numbers of apples."


def small_model() -> open_clip.CLIP:
    """The structure of the authors' model, small, with random weights."""
    vision = {**SMALL["vision_cfg"], "timm_proj": ""}
    torch.manual_seed(3)
    return open_clip.CLIP(embed_dim=32, vision_cfg=vision, text_cfg=SMALL["text_cfg"]).eval()


def restated_scores(model, adapter: RankingAdapter, images: list[Image.Image]) -> torch.Tensor:
    """The authors' inference, written plainly: a bilinear square, every location, all 77 tokens."""
    pixels = torch.stack(
        [
            torch.from_numpy(np.array(image.resize((64, 64), Image.Resampling.BILINEAR)) / 255.0)
            for image in images
        ]
    ).float()
    pixels = (pixels - torch.tensor(OPENAI_DATASET_MEAN)) / torch.tensor(OPENAI_DATASET_STD)
    feature_map = model.visual.trunk(pixels.permute(0, 3, 1, 2))  # (N, d, 2, 2)
    image_tokens = feature_map.flatten(2).transpose(1, 2)
    x = model.token_embedding(open_clip.tokenize([INSTRUCTION])) + model.positional_embedding
    text_tokens = model.ln_final(model.transformer(x, attn_mask=model.attn_mask))  # (1, 77, W)
    return adapter.scores(image_tokens, text_tokens.expand(len(images), -1, -1))


@pytest.fixture
def images(tmp_path) -> tuple[Path, list[Image.Image]]:
    made = [noise(number, size=(90, 70)).resize((180, 140)) for number in range(4)]
    for number, image in enumerate(made):
        write_image(image, tmp_path / "images" / f"{number}.png")
    return tmp_path / "images", made


@pytest.fixture
def checkpoint(tmp_path) -> tuple[Path, open_clip.CLIP, RankingAdapter]:
    model = small_model()
    adapter = RankingAdapter.seeded(AdapterConfig(dim=32, layers=1, heads=8), 1).eval()
    state = {f"module.{k}": v for k, v in model.state_dict().items()}
    state |= {f"module.adapter.{k}": v for k, v in adapter.state_dict().items()}
    path = tmp_path / "authors.pt"
    torch.save({"state_dict": state, "epoch": 3}, path)
    (tmp_path / "small.json").write_text(json.dumps(SMALL))
    return path, model, adapter


def test_an_official_checkpoint_is_its_own_backbone_and_ranker(
    tmp_path, checkpoint, images, capsys
):
    path, model, adapter = checkpoint
    folder, made = images
    out = tmp_path / "ranker.safetensors"
    architecture = ["--architecture", str(tmp_path / "small.json")]
    assert main(["convert", str(path), "--out", str(out), *architecture]) == 0
    assert "bilinearly" in capsys.readouterr().out
    arguments = ["rank", "--images", str(folder), "--instruction", INSTRUCTION]
    assert main([*arguments, "--ranker", str(out), "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    scores = {entry["image"]: entry["score"] for entry in found["order"]}
    with torch.no_grad():
        expected = restated_scores(model, adapter, made)
    for number, score in enumerate(expected.tolist()):
        assert scores[f"{number}.png"] == pytest.approx(score, abs=1e-3)  # tokens are kept in fp16


def test_a_converted_ranker_may_be_moved_with_its_model_and_be_explained(
    tmp_path, checkpoint, images, capsys
):
    folder, _ = images
    made = tmp_path / "made"
    arguments = ["convert", str(checkpoint[0]), "--out", str(made / "ranker.safetensors")]
    assert main([*arguments, "--architecture", str(tmp_path / "small.json")]) == 0
    moved = made.rename(tmp_path / "moved")
    ranker = ["--ranker", str(moved / "ranker.safetensors"), "--instruction", INSTRUCTION]
    capsys.readouterr()
    assert main(["rank", "--images", str(folder), *ranker, "--json", "-"]) == 0
    scores = {e["image"]: e["score"] for e in json.loads(capsys.readouterr().out)["order"]}
    pair = ["--image", str(folder / "0.png"), "--versus", str(folder / "1.png")]
    out = tmp_path / "why.png"
    assert main(["explain", *pair, *ranker, "--out", str(out), "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["grid"] == [2, 2]
    assert out.is_file()
    for number, entry in enumerate(found["pictures"]):
        assert entry["score"] == pytest.approx(scores[f"{number}.png"], abs=1e-3)


def test_the_tower_of_a_converted_checkpoint_is_mapped_for_a_text(
    tmp_path, checkpoint, images, capsys
):
    folder, _ = images
    out = tmp_path / "ranker.safetensors"
    arguments = ["convert", str(checkpoint[0]), "--out", str(out)]
    assert main([*arguments, "--architecture", str(tmp_path / "small.json")]) == 0
    capsys.readouterr()
    asked = ["explain", "--image", str(folder / "0.png"), "--text", "an apple", "--json", "-"]
    asked += ["--backbone", f"local-dir:{tmp_path / 'ranker-backbone'}"]
    assert main(asked) == 0
    found = json.loads(capsys.readouterr().out)["maps"]["text"]
    backbone = load_backbone(f"local-dir:{tmp_path / 'ranker-backbone'}")
    pixels = backbone.preprocess(Image.open(folder / "0.png").convert("RGB"))
    cosine = backbone.image_features(pixels[None]) @ backbone.text_features(["an apple"]).T
    assert found["cosine"] == pytest.approx(cosine.item(), abs=1e-4)


def test_an_adapter_alone_is_refused(tmp_path, checkpoint, capsys):
    path, _, adapter = checkpoint
    torch.save({"state_dict": {f"adapter.{k}": v for k, v in adapter.state_dict().items()}}, path)
    assert main(["convert", str(path), "--out", str(tmp_path / "r.safetensors")]) == 2
    assert "towers it was trained with" in capsys.readouterr().err


def test_towers_of_another_architecture_are_named(tmp_path, checkpoint, capsys):
    path, _, _ = checkpoint
    other = {**SMALL, "text_cfg": {**SMALL["text_cfg"], "layers": 3}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    arguments = ["convert", str(path), "--out", str(tmp_path / "r.safetensors")]
    assert main([*arguments, "--architecture", str(tmp_path / "other.json")]) == 2
    assert "does not fit the architecture" in capsys.readouterr().err


def test_the_papers_architecture_ends_in_the_authors_head():
    vision = model_config()["vision_cfg"]
    assert (vision["timm_model_name"], vision["timm_pool"], vision["timm_proj"]) == (
        "convnext_large", "", "",
    )  # fmt: skip


def test_a_pickle_that_would_run_code_is_not_opened(tmp_path, capsys):
    class Harm:
        def __reduce__(self):
            return (print, ("harm",))

    path = tmp_path / "bad.pt"
    torch.save({"state_dict": Harm()}, path)
    assert main(["convert", str(path), "--out", str(tmp_path / "r.safetensors")]) == 2
    said = capsys.readouterr()
    assert "is not opened" in said.err
    assert "harm" not in said.out


# --- CoOp -------------------------------------------------------------------------------------


@pytest.fixture
def backbone(monkeypatch):
    backbone = tiny_backbone()
    monkeypatch.setattr("coop_demo.commands.convert.backbone_for", lambda name, device="": backbone)
    return backbone


def coop_file(path: Path, backbone, names, *, class_specific=False, half=False) -> PromptLearner:
    """`prompt_learner/model.pth.tar-50` as CoOp writes it: all 77 tokens around the context."""
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        names,
        PromptConfig(n_ctx=4, class_specific=class_specific),
        generator=torch.Generator().manual_seed(5),
    )
    tokens = open_clip.tokenize([f"X X X X {name}." for name in names])
    embedded = backbone.text_tower.embed(tokens).detach()
    state = {
        "ctx": learner.ctx.detach(),
        "token_prefix": embedded[:, :1],
        "token_suffix": embedded[:, 5:],
    }
    if half:
        state = {name: tensor.half() for name, tensor in state.items()}
    torch.save({"state_dict": state, "epoch": 50, "val_result": None}, path)
    return learner


@pytest.mark.parametrize("class_specific", [False, True])
@pytest.mark.parametrize("half", [False, True])
def test_a_checkpoint_of_coop_becomes_a_prompt(tmp_path, backbone, class_specific, half):
    names = ["red fox", "cat", "a very long-eared owl"]
    path, out = tmp_path / "model.pth.tar-50", tmp_path / "prompt.safetensors"
    learner = coop_file(path, backbone, names, class_specific=class_specific, half=half)
    (tmp_path / "names.txt").write_text("\n".join(names) + "\n")
    arguments = ["convert", str(path), "--class-names", str(tmp_path / "names.txt")]
    assert main([*arguments, "--position", "end", "--out", str(out)]) == 0
    prompt = load_prompt(out, backbone)
    assert prompt.class_names == tuple(names)
    with torch.no_grad():
        expected = learner()
    torch.testing.assert_close(prompt.class_weights, expected, rtol=0, atol=2e-3 if half else 1e-5)


def test_class_names_in_another_order_are_refused(tmp_path, backbone, capsys):
    path = tmp_path / "model.pth.tar-50"
    coop_file(path, backbone, ["fox", "cat"])
    (tmp_path / "names.txt").write_text("cat\nfox\n")
    arguments = ["convert", str(path), "--class-names", str(tmp_path / "names.txt")]
    assert main([*arguments, "--out", str(tmp_path / "p.safetensors")]) == 2
    assert "in its own order" in capsys.readouterr().err


def test_missing_class_names_are_asked_for(tmp_path, backbone, capsys):
    path = tmp_path / "model.pth.tar-50"
    coop_file(path, backbone, ["fox", "cat"])
    assert main(["convert", str(path), "--out", str(tmp_path / "p.safetensors")]) == 2
    assert "--class-names" in capsys.readouterr().err
