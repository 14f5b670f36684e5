"""A saved prompt comes back whole, and a wrong file is refused with the reason."""

import json

import pytest
import safetensors.torch
import torch
from images import write_folders
from tiny import separable_features, tiny_backbone

from coop_demo.__main__ import main
from coop_demo.commands import evaluate
from coop_demo.errors import PromptError
from coop_demo.prompts.checkpoint import load_prompt, prompt_backbone, prompt_to_bytes, save_prompt
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.training import TrainConfig, fast, train_prompt

NAMES = ("red", "green", "blå_bär")


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="module", params=[False, True], ids=["unified", "class-specific"])
def prompt(request, backbone):
    features, labels = separable_features()
    config = PromptConfig(n_ctx=4, class_specific=request.param)
    *_, last = train_prompt(backbone, features, labels, NAMES, config, fast(steps=5), shots=8)
    return last.prompt


def test_a_prompt_comes_back_as_it_was_saved(prompt, backbone, tmp_path):
    path = save_prompt(prompt, tmp_path / "folder" / "prompt.safetensors")
    loaded = load_prompt(path, backbone)
    assert torch.equal(loaded.ctx, prompt.ctx)
    assert torch.allclose(loaded.class_weights, prompt.class_weights, atol=1e-6)
    assert loaded.class_names == NAMES
    assert (loaded.prompt_config, loaded.train_config) == (
        prompt.prompt_config,
        prompt.train_config,
    )
    assert (loaded.shots, loaded.history) == (8, prompt.history)
    assert loaded.familiar is not None
    assert loaded.familiar.to_mapping() == prompt.familiar.to_mapping()
    assert prompt_backbone(path) == backbone.identity
    assert path.stat().st_size < 300_000


def test_a_loaded_unified_prompt_applies_to_other_class_names(prompt, backbone, tmp_path):
    loaded = load_prompt(save_prompt(prompt, tmp_path / "p.safetensors"), backbone)
    if loaded.prompt_config.class_specific:
        with pytest.raises(PromptError, match="one context per class"):
            loaded.learner(backbone).with_class_names(["a", "b"])
    else:
        assert loaded.learner(backbone).with_class_names(["a", "b"])().shape == (2, 24)


def test_a_prompt_of_another_backbone_is_refused_by_both_names(prompt, tmp_path):
    path = save_prompt(prompt, tmp_path / "p.safetensors")
    with pytest.raises(PromptError, match="made with the model tiny.*in use is other"):
        load_prompt(path, tiny_backbone(seed=9, name="other"))


def test_a_prompt_of_other_weights_of_the_same_backbone_is_refused(prompt, tmp_path):
    path = save_prompt(prompt, tmp_path / "p.safetensors")
    with pytest.raises(PromptError, match="other weights of tiny"):
        load_prompt(path, tiny_backbone(seed=1))


def rewritten(prompt, path, *, tensors=None, **changes):
    data = prompt_to_bytes(prompt)
    header = int.from_bytes(data[:8], "little")
    metadata = json.loads(json.loads(data[8 : 8 + header])["__metadata__"]["prompt"])
    metadata.update(changes)
    tensors = tensors or {"ctx": prompt.ctx}
    path.write_bytes(safetensors.torch.save(tensors, {"prompt": json.dumps(metadata)}))
    return path


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"", "0 bytes"),
        (b"not a prompt at all", "not a prompt saved by this app"),
        (b"\x80\x04\x95pickle", "not a prompt saved by this app"),
        (b"\xff" * 64, "not a prompt saved by this app"),
        (safetensors.torch.save({"ctx": torch.zeros(2, 2)}), "not a prompt saved by this app"),
    ],
)
def test_files_that_are_no_prompts_are_refused(contents, words, backbone, tmp_path):
    path = tmp_path / "p.safetensors"
    path.write_bytes(contents)
    with pytest.raises(PromptError, match=words):
        load_prompt(path, backbone)


def test_a_truncated_file_is_refused(prompt, backbone, tmp_path):
    path = tmp_path / "p.safetensors"
    path.write_bytes(prompt_to_bytes(prompt)[:-10])
    with pytest.raises(PromptError, match=r"p\.safetensors"):
        load_prompt(path, backbone)


def test_a_missing_file_is_named(backbone, tmp_path):
    with pytest.raises(PromptError, match="nowhere"):
        load_prompt(tmp_path / "nowhere.safetensors", backbone)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 99}, "another version"),
        ({"class_names": "red"}, "missing or of the wrong kind"),
        ({"class_names": ["red", "green"], "shots": "many"}, "missing or of the wrong kind"),
        ({"history": [{"loss": float("inf")}]}, "missing or of the wrong kind"),
        ({"history": [{}]}, "missing or of the wrong kind"),
        ({"prompt_config": {"n_ctx": 4, "colour": 1}}, "do not belong together"),
        ({"prompt_config": {"n_ctx": 4.0}}, "do not belong together"),
        ({"train_config": {"template": 5}}, "damaged|do not belong together"),
        ({"prompt_config": {"n_ctx": 9, "class_specific": False}}, "shape"),
        ({"familiar": {"class_means": "", "text_share": 0, "least": 1}}, "damaged.*familiar"),
        ({"familiar": [1]}, "damaged.*familiar"),
    ],
)
def test_a_description_that_was_tampered_with_is_refused(
    prompt, backbone, tmp_path, changes, words
):
    with pytest.raises(PromptError, match=words):
        load_prompt(rewritten(prompt, tmp_path / "p.safetensors", **changes), backbone)


def test_a_context_with_nan_is_refused(prompt, backbone, tmp_path):
    broken = prompt.ctx.clone()
    broken.view(-1)[0] = float("nan")
    path = rewritten(prompt, tmp_path / "p.safetensors", tensors={"ctx": broken})
    with pytest.raises(PromptError, match="finite"):
        load_prompt(path, backbone)


# --- files of earlier versions

FIRST = {
    "format": "coop-studio-prompt",
    "version": 1,
    "class_names": list(NAMES),
    "prompt_config": {"n_ctx": 4, "class_specific": False, "position": "end", "init": ""},
    "train_config": {
        "preset": "fast",
        "optimizer": "adamw",
        "learning_rate": 0.01,
        "weight_decay": 0.01,
        "steps": 5,
        "batch_size": 0,
        "n_views": 4,
        "kgcoop_weight": 0.0,
        "template": "a photo of a {}.",
        "seed": 1,
    },
    "shots": 8,
    "history": [{"step": 5, "loss": 0.5, "train_accuracy": 1.0, "held_out_accuracy": None}],
}
SOURCES = ["0123456789abcdef", "fedcba9876543210"]


def earlier_file(path, backbone, **later):
    """A prompt file as the first version wrote it, with the keys that later ones added."""
    ctx = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    metadata = {**FIRST, "backbone": backbone.identity, **later}
    path.write_bytes(safetensors.torch.save({"ctx": ctx}, {"prompt": json.dumps(metadata)}))
    return path, ctx


@pytest.mark.parametrize(
    ("later", "learned_from"),
    [
        ({}, None),
        ({"learned_from": None}, None),
        ({"learned_from": SOURCES}, tuple(SOURCES)),
        ({"learned_from": SOURCES, "looks": []}, tuple(SOURCES)),
    ],
    ids=["first", "not known", "learned_from", "looks"],
)
def test_a_file_of_an_earlier_version_still_loads(backbone, tmp_path, later, learned_from):
    path, ctx = earlier_file(tmp_path / "old.safetensors", backbone, **later)
    loaded = load_prompt(path, backbone)
    assert torch.equal(loaded.ctx, ctx)
    assert loaded.class_weights.shape == (3, 24)
    assert loaded.class_names == NAMES
    assert loaded.train_config == TrainConfig(steps=5)
    assert loaded.prompt_config == PromptConfig(n_ctx=4)
    assert (loaded.shots, loaded.history) == (8, tuple(FIRST["history"]))
    assert (loaded.learned_from, loaded.looks, loaded.familiar) == (learned_from, (), None)


def test_a_file_of_an_earlier_version_may_be_saved_again(backbone, tmp_path):
    path, _ = earlier_file(tmp_path / "old.safetensors", backbone)
    loaded = load_prompt(path, backbone)
    again = load_prompt(save_prompt(loaded, tmp_path / "new.safetensors"), backbone)
    assert torch.equal(again.ctx, loaded.ctx)
    assert again.learned_from is None, "what is not known is not made up"


def evaluated(monkeypatch, capsys, backbone, path, data):
    monkeypatch.setattr(evaluate, "backbone_for", lambda name, device="": backbone)
    given = ["evaluate", "--data", str(data), "--prompt", str(path), "--json", "-"]
    assert main(given) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def data(tmp_path):
    return write_folders(tmp_path / "set", {f"test/{name}": 2 for name in ("red", "green", "blue")})


def test_evaluate_says_of_an_old_file_that_it_does_not_know_what_it_learned_from(
    monkeypatch, capsys, backbone, tmp_path, data
):
    path, _ = earlier_file(
        tmp_path / "old.safetensors", backbone, class_names=["red", "green", "blue"]
    )
    found = evaluated(monkeypatch, capsys, backbone, path, data)
    assert found["n_test"] == 6, "nothing is left out on a suspicion"
    (note,) = found["notes"]
    assert note.startswith("This prompt file does not say which pictures it learned from")


def test_evaluate_says_nothing_of_the_kind_of_a_file_that_knows(
    monkeypatch, capsys, backbone, tmp_path, data
):
    path, _ = earlier_file(
        tmp_path / "p.safetensors",
        backbone,
        class_names=["red", "green", "blue"],
        learned_from=SOURCES,
    )
    assert evaluated(monkeypatch, capsys, backbone, path, data)["notes"] == []
