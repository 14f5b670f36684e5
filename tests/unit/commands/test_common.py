"""Options that several commands share: data, samples, seeds, names as everybody writes them."""

from __future__ import annotations

import json

import pytest
from tiny import tiny_backbone

from coop_demo import runtime
from coop_demo.__main__ import main
from coop_demo.backbones.catalog import find


@pytest.mark.parametrize("seed", ["99999999999999999999", "-1", "one"])
@pytest.mark.parametrize("command", ["train", "compare"])
def test_a_seed_no_generator_takes_is_refused_in_a_sentence(capsys, command, seed):
    with pytest.raises(SystemExit) as ended:
        main([command, "--sample", "biscuits", f"--seed={seed}"])
    assert ended.value.code == 2
    assert "is not a whole number from 0 to" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ViT-B/16", "vit-b-16", "VIT-B-16"])
def test_a_model_is_known_as_everybody_writes_it(name):
    entry = find(name)
    assert entry is not None
    assert entry.name == "ViT-B-16"


def test_gpu_is_the_accelerator_there_is(monkeypatch):
    monkeypatch.setattr(runtime.torch.cuda, "is_available", lambda: True)
    assert runtime.pick_device("gpu") == "cuda"
    monkeypatch.setattr(runtime.torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(runtime.torch.backends.mps, "is_available", lambda: True)
    assert runtime.pick_device("GPU") == "mps"


def test_a_sample_set_can_be_trained_by_name(monkeypatch, tmp_path):
    backbone = tiny_backbone()
    monkeypatch.setattr("coop_demo.commands.train.backbone_for", lambda name, device="": backbone)
    out = tmp_path / "result.json"
    arguments = ["train", "--sample", "biscuits", "--shots", "1", "--steps", "2", "--views", "1"]
    assert main([*arguments, "--json", str(out)]) == 0
    assert json.loads(out.read_text())["n_classes"] >= 2


def test_a_sample_without_classes_is_refused_with_those_that_have(capsys):
    assert main(["train", "--sample", "counting"]) == 2
    said = capsys.readouterr().err
    assert "has no classes to learn" in said
    assert "biscuits" in said


def test_data_and_sample_exclude_each_other(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["train", "--data", str(tmp_path), "--sample", "biscuits"])
    assert "not allowed with" in capsys.readouterr().err
