"""A prompt's answers from an index are those it gives of the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from archiving import indexed, made_rows, open_tiny
from comparing import FAST, write_set

from coop_demo.archive.answers import answers, labelled_answers, unit_features
from coop_demo.archive.index import new_index
from coop_demo.archive.sources import open_source
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.data.dataset import Picture
from coop_demo.data.folders import read_folder
from coop_demo.engines.local import ThisProcess
from coop_demo.errors import ArchiveError
from coop_demo.prompts.teach import TeachResult, teach
from coop_demo.prompts.templates import class_weights, probabilities

pytest.importorskip("pyarrow", reason="an index needs pyarrow")
TEMPLATE = "a photo of a {}."


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    folder = write_set(tmp_path_factory.mktemp("answers") / "set")
    *_, result = teach(open_tiny(), read_folder(folder), **FAST)
    assert isinstance(result, TeachResult)
    index, _ = indexed(open_source(str(folder)), folder.parent / "index", ThisProcess())
    return result.prompt, index


def test_every_answer_is_that_of_the_picture_to_half_precision(taught):
    prompt, index = taught
    for found in answers(index, open_tiny(), prompt, TEMPLATE):
        pictures = [Picture(path, Path(path)) for path in found.rows.paths]
        features = encode_all(open_tiny(), pictures, cache=FeatureCache()).features[0]
        words = class_weights(open_tiny(), prompt.class_names, [TEMPLATE])
        for weights, likely in (
            (prompt.class_weights, found.learned_probability),
            (words, found.hand_crafted_probability),
        ):
            exact = probabilities(features, weights, open_tiny().logit_scale).max(dim=-1)
            assert likely == pytest.approx(exact.values.numpy(), abs=5e-3)


def test_an_unreadable_row_has_no_answer(taught, tmp_path):
    prompt, _ = taught
    index = new_index(tmp_path / "index", open_tiny())
    rows = made_rows(np.random.default_rng(0).normal(size=(2, 24)))
    object.__setattr__(rows, "problems", (None, "It is damaged."))
    index.write(0, rows)
    (found,) = answers(index, open_tiny(), prompt, TEMPLATE)
    assert found.learned[1] == -1
    assert np.isnan(found.learned_probability[1])
    assert found.learned[0] >= 0


def test_shots_are_not_measured_and_folders_name_the_classes(taught):
    prompt, index = taught
    words = class_weights(open_tiny(), prompt.class_names, [TEMPLATE])
    found = labelled_answers(index, prompt.class_names, prompt.class_weights, words, prompt)
    n_all = sum(len(rows.readable) for rows in index.partitions())
    assert len(found.labels) == n_all - len(prompt.learned_from)
    assert any(f"learned from {len(prompt.learned_from)} of" in note for note in found.notes)


def test_labels_of_a_list_come_before_folders_and_others_are_counted(taught, tmp_path):
    prompt, _ = taught
    index = new_index(tmp_path / "index", open_tiny())
    weights = prompt.class_weights
    index.write(
        0,
        made_rows(
            torch.cat([weights[:2], weights[1:2], weights[:1]]).numpy(),
            names=["/x/red/1.png", f"/x/{prompt.class_names[1]}/2.png", "/x/none/3.png", "/4.png"],
            labels=[prompt.class_names[0], None, None, "stranger"],
        ),
    )
    found = labelled_answers(index, prompt.class_names, weights, weights, prompt)
    assert found.labels.tolist() == [0, 1]
    assert found.learned.tolist() == [0, 1]
    assert "2 pictures with no or another label left out." in found.notes


def test_nothing_to_measure_is_said(taught, tmp_path):
    prompt, _ = taught
    index = new_index(tmp_path / "index", open_tiny())
    index.write(0, made_rows(np.ones((2, 24))))
    with pytest.raises(ArchiveError, match="2 have no label"):
        labelled_answers(
            index, prompt.class_names, prompt.class_weights, prompt.class_weights, prompt
        )


def test_features_are_of_unit_length_again():
    rows = made_rows(np.random.default_rng(0).normal(size=(3, 24)))
    assert unit_features(rows).norm(dim=-1) == pytest.approx(torch.ones(3))
