"""A ranker survives its file exactly, and no other file passes for one."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from images import grey, write_images
from safetensors import safe_open
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.checkpoints import is_history
from coop_demo.commands import rank
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.checkpoint import (
    RANKER,
    load_ranker,
    offered_rankers,
    ranker_backbone,
    ranker_from_reference,
    ranker_to_bytes,
    save_ranker,
)
from coop_demo.ranking.losses import LossConfig
from coop_demo.ranking.ranker import LearnedInstruction, Ranker, RankerTrainConfig, Reliability

SHAPE = AdapterConfig(
    dim=16, layers=1, heads=2, n_learnable_tokens=2, n_relational_tokens=4, token_dim=24
)
TEXT = "Rank the brightness."


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture
def ranker(backbone):
    return Ranker(
        config=SHAPE,
        state=RankingAdapter.seeded(SHAPE, 0).state_dict(),
        backbone=backbone.identity,
        instructions=(LearnedInstruction(TEXT, 5.0, 2.0, 1.0, 9.0, 30, 0.8, True),),
        train_config=RankerTrainConfig(steps=7, loss=LossConfig(count_ties=False)),
        history=({"step": 7, "loss": 0.5, "held_out_srcc": None},),
        title="Brightness — 明るさ",
        reliability={"unknown": Reliability(0.4, -0.1, 12)},
    )


@pytest.fixture
def path(ranker, tmp_path):
    return save_ranker(ranker, tmp_path / "new folder" / "ranker.safetensors")


def change(path, metadata=None, tensors=None, **fields):
    """The file with some of its description or its tensors changed."""
    with safe_open(path, "pt") as file:
        found = json.loads(file.metadata()["ranker"]) if metadata is None else metadata
    found.update(fields)
    state = safetensors.torch.load_file(path) if tensors is None else tensors
    safetensors.torch.save_file(state, path, {"ranker": json.dumps(found)})
    return path


def test_everything_survives(ranker, path, backbone):
    loaded = load_ranker(path, backbone)
    assert loaded.state.keys() == ranker.state.keys()
    assert all(torch.equal(loaded.state[name], ranker.state[name]) for name in ranker.state)
    for name in (
        "config",
        "backbone",
        "instructions",
        "train_config",
        "history",
        "title",
        "reliability",
    ):
        assert getattr(loaded, name) == getattr(ranker, name), name
    tokens = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(0))
    text = backbone.text_tokens([TEXT])
    assert torch.equal(loaded.adapter().scores(tokens, text), ranker.adapter().scores(tokens, text))
    assert ranker_backbone(path) == backbone.identity


def test_half_precision_halves_the_file_and_barely_moves_scores(ranker, tmp_path, backbone):
    assert len(ranker_to_bytes(ranker, half=True)) < 0.65 * len(ranker_to_bytes(ranker))
    loaded = load_ranker(save_ranker(ranker, tmp_path / "half.safetensors", half=True), backbone)
    tokens = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(0))
    text = backbone.text_tokens([TEXT])
    torch.testing.assert_close(
        loaded.adapter().scores(tokens, text),
        ranker.adapter().scores(tokens, text),
        atol=5e-3,
        rtol=0,
    )


def test_a_ranker_for_another_model_names_both(path):
    with pytest.raises(RankingError, match=r"trained for the model tiny, .* in use is other"):
        load_ranker(path, tiny_backbone(seed=9, name="other"))
    with pytest.raises(RankingError, match="other weights of tiny"):
        load_ranker(path, tiny_backbone(seed=1))


def test_files_that_are_no_rankers_are_told_apart(tmp_path, path):
    with pytest.raises(RankingError, match="There is no ranker file"):
        load_ranker(tmp_path / "missing.safetensors")
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    with pytest.raises(RankingError, match="is 0 bytes"):
        load_ranker(empty)
    text = tmp_path / "text.safetensors"
    text.write_text("hello, this is not a tensor file at all")
    with pytest.raises(RankingError, match="not a ranker saved by this app"):
        load_ranker(text)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RankingError, match="not a ranker saved by this app"):
        load_ranker(cut)
    other = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"ctx": torch.zeros(2)}, other, {"prompt": "{}"})
    with pytest.raises(RankingError, match="safetensors file but not a ranker"):
        load_ranker(other)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"version": 99}, "another version of this app \\(format 99"),
        ({"backbone": 3}, "missing or of the wrong kind"),
        ({"history": [{"loss": "low"}]}, "missing or of the wrong kind"),
        ({"instructions": [{"instruction": "x"}]}, "do not belong together"),
        (
            {
                "instructions": [
                    {
                        "instruction": "x",
                        "offset": 0,
                        "scale": 0,
                        "lowest": 0,
                        "highest": 1,
                        "n_pictures": 3,
                    }
                ]
            },
            "not a usable number",
        ),
        ({"adapter_config": {"dim": 16, "wings": 2}}, "settings .* does not know: wings"),
        ({"adapter_config": {**SHAPE.to_mapping(), "n_relational_tokens": 5}}, "reg_tokens has"),
        ({"adapter_config": {**SHAPE.to_mapping(), "layers": 2}}, "lacks"),
        ({"train_config": {"steps": 0, "loss": {}}}, "number of steps is 0"),
        ({"train_config": {"steps": 5}}, "do not belong together"),
    ],
)
def test_a_description_that_was_changed_is_noticed(path, fields, said):
    with pytest.raises(RankingError, match=said):
        load_ranker(change(path, **fields))


def test_weights_that_were_changed_are_noticed(ranker, path):
    broken = {k: v.clone() for k, v in ranker.state.items()}
    broken["reg_tokens"][0, 0] = float("nan")
    with pytest.raises(RankingError, match="reg_tokens holds numbers that are not finite"):
        load_ranker(change(path, tensors=broken))


def test_a_ranker_without_a_training_of_ours_is_saved_too(ranker, tmp_path):
    bare = replace(ranker, train_config=None, instructions=(), history=())
    loaded = load_ranker(save_ranker(bare, tmp_path / "bare.safetensors"))
    assert loaded.train_config is None
    assert loaded.learned(TEXT) is None


def test_a_folder_that_cannot_be_written_is_named(ranker, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RankingError, match="cannot be written"):
        save_ranker(ranker, tmp_path / "file" / "ranker.safetensors")


@pytest.mark.shared
def test_an_official_checkpoints_entries_become_a_ranker(shared_dir):
    tensors = safetensors.torch.load_file(shared_dir / "golden" / "rank_adapter.safetensors")
    model = {f"module.{k}": v for k, v in tensors.items()} | {"module.visual.x": torch.zeros(1)}
    width = tensors["input.image_tokens"].shape[-1]
    backbone = SimpleNamespace(
        name="wide",
        identity="wide@1",
        ranking_width=lambda form: width,
        embed_dim=width,
        has_weights_of="wide@1".__eq__,
    )
    loaded = ranker_from_reference(model, backbone)
    scores = loaded.adapter().scores(tensors["input.image_tokens"], tensors["input.text_tokens"])
    torch.testing.assert_close(scores[:, None], tensors["output.scores"], rtol=1e-4, atol=1e-5)


def test_entries_without_an_adapter_become_no_ranker(backbone):
    with pytest.raises(RankingError, match="not a ranking-aware adapter"):
        ranker_from_reference({"visual.conv1.weight": torch.zeros(1)}, backbone)


def test_an_adapter_without_its_own_towers_is_refused_with_the_reason(backbone, tmp_path):
    state = RankingAdapter.seeded(AdapterConfig(dim=24, layers=1), 0).state_dict()
    official = tmp_path / "official.safetensors"
    safetensors.torch.save_file({f"adapter.{k}": v.clone() for k, v in state.items()}, official)
    for read in (lambda: load_ranker(official, backbone), lambda: ranker_backbone(official)):
        with pytest.raises(RankingError, match="towers it was trained with.*convert CHECKPOINT"):
            read()


def test_where_a_ranker_cannot_be_written_is_said_before_it_is_trained(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RankingError, match="cannot be written"):
        RANKER.check_writable(tmp_path / "file" / "ranker.safetensors")
    RANKER.check_writable(tmp_path / "new" / "ranker.safetensors")
    assert list((tmp_path / "new").iterdir()) == []
    RANKER.check_writable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "in the way"


# --- files of earlier versions

FIRST = {  # what the first files of format 2 said
    "format": "coop-studio-ranker",
    "version": 2,
    "title": "An old one",
    "adapter_config": {
        "dim": 16,
        "layers": 1,
        "heads": 2,
        "n_learnable_tokens": 2,
        "n_relational_tokens": 4,
        "mlp_ratio": 4.0,
        "dropout": 0.1,
        "prompt_width": 1,
        "token_dim": 24,
        "text_token_dim": None,
    },
    "instructions": [
        {
            "instruction": TEXT,
            "offset": 5.0,
            "scale": 2.0,
            "lowest": 1.0,
            "highest": 9.0,
            "n_pictures": 30,
        }
    ],
    "train_config": {
        "steps": 7,
        "batch_size": 32,
        "learning_rate": 5e-4,
        "weight_decay": 0.05,
        "warmup": 0.05,
        "gradient_clip": 1.0,
        "negatives": 0.2,
        "balance": 0.5,
        "loss": {
            "rank_weight": 1.0,
            "regression_weight": 0.2,
            "zero_weight": 0.0,
            "count_ties": True,
        },
        "keep": "training",
        "seed": 1,
    },
    "history": [{"step": 7, "loss": 0.5, "held_out_srcc": None}],
}
SOURCES = ["0123456789abcdef", "fedcba9876543210"]


@pytest.mark.parametrize(
    "claimed",
    [
        {"unknown": {"srcc": 7.0, "lowest": 0.0, "n_instructions": 3}},
        {"unknown": {"srcc": "high", "lowest": 0.0, "n_instructions": 3}},
        {"unknown": {"srcc": 0.5}},
        {"unknown": 0.5},
        [0.5],
    ],
)
def test_a_file_whose_orders_are_worth_no_number_is_refused(path, claimed):
    with pytest.raises(RankingError, match="damaged"):
        load_ranker(change(path, reliability=claimed))


def earlier_file(path, backbone, **later):
    """A ranker file as the first ones were written, with the keys that later ones added."""
    metadata = {**FIRST, "backbone": backbone.identity, **later}
    state = RankingAdapter.seeded(SHAPE, 0).state_dict()
    safetensors.torch.save_file(state, path, {"ranker": json.dumps(metadata)})
    return path


@pytest.mark.parametrize(
    ("later", "learned_from"),
    [
        ({}, None),
        ({"learned_from": None, "looks": []}, None),
        ({"learned_from": SOURCES}, tuple(SOURCES)),
        ({"learned_from": SOURCES, "looks": []}, tuple(SOURCES)),
    ],
    ids=["first", "not known", "learned_from", "looks"],
)
def test_a_file_of_an_earlier_version_still_loads(backbone, tmp_path, later, learned_from):
    loaded = load_ranker(earlier_file(tmp_path / "old.safetensors", backbone, **later), backbone)
    assert loaded.config == SHAPE
    assert loaded.title == "An old one"
    assert loaded.train_config == RankerTrainConfig(steps=7)
    assert loaded.history == tuple(FIRST["history"])
    assert loaded.learned(TEXT) == LearnedInstruction(TEXT, 5.0, 2.0, 1.0, 9.0, 30)
    assert (loaded.learned_from, loaded.looks) == (learned_from, ())


def test_a_ranker_of_an_earlier_version_orders_as_it_did(ranker, backbone, tmp_path):
    loaded = load_ranker(earlier_file(tmp_path / "old.safetensors", backbone), backbone)
    tokens = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(0))
    text = backbone.text_tokens([TEXT])
    assert torch.equal(loaded.adapter().scores(tokens, text), ranker.adapter().scores(tokens, text))


def test_an_old_ranker_that_does_not_know_what_it_learned_from_is_measured_on_all(
    monkeypatch, capsys, backbone, tmp_path
):
    monkeypatch.setattr(rank, "backbone_for", lambda name, device="": backbone)
    path = earlier_file(tmp_path / "old.safetensors", backbone)
    images = [grey(60 * i, i, grain=10) for i in range(5)]
    names = [image.name for image in write_images(images, tmp_path / "set")]
    rows = "\n".join(f"{name},{i},{TEXT}" for i, name in enumerate(names))
    table = tmp_path / "set" / "labels.csv"
    table.write_text(f"image,value,prompt\n{rows}\n")
    given = ["rank", "--images", str(table), "--ranker", str(path), "--json", "-"]
    assert main(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_labelled"] == 5, "nothing is left out on a suspicion"


def test_what_cannot_be_put_beside_a_file_is_written_in_place(tmp_path, backbone, monkeypatch):
    path = tmp_path / "ranker.safetensors"

    def refused(*_):
        raise OSError(16, "Device or resource busy")  # a single mounted file

    path.write_bytes(b"old")
    monkeypatch.setattr("coop_demo.checkpoints.os.replace", refused)
    RANKER.check_writable(path)
    RANKER.write(b"new", path)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("header", ["[" * 100_000, "9" * 5_000, '{"format": '])
def test_a_description_that_json_chokes_on_is_refused_in_a_sentence(tmp_path, header):
    path = tmp_path / "crafted.safetensors"
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(1)}, {"ranker": header}))
    with pytest.raises(RankingError, match="not a ranker saved by this app"):
        ranker_backbone(path)
    assert offered_rankers(tmp_path) == ()
    assert not is_history([{"step": 10**400}])
