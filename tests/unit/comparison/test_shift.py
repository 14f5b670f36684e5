"""Train here, test there: a second set is matched by class names and never learned from."""

import pytest
from comparing import last, made_set, write_picture

from coop_demo.comparison.shift import Shift, shift
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_folder
from coop_demo.errors import UserError


def test_shift_matches_classes_by_name_whatever_their_order(backbone, comparison, tmp_path):
    second = made_set(tmp_path / "b", names=("YELLOW", "blue", "pink", "red"), seed=77)
    found = last(shift(backbone, comparison, second))
    assert isinstance(found, Shift)
    assert set(found.class_names) == {"blue", "red", "yellow"}
    assert any("green" in note for note in found.notes)
    assert any("pink" in note for note in found.notes)
    assert [row.method for row in found.rows] == [r.method for r in comparison.results]
    by_method = {row.method: row for row in found.rows}
    row = by_method["class-mean"]
    assert row.here.n == row.there.n == 12
    assert row.fall == pytest.approx((row.here.correct - row.there.correct) / 12)


def test_a_set_shifted_to_itself_falls_by_nothing(backbone, comparison, dataset):
    found = last(shift(backbone, comparison, dataset))
    assert all(row.fall == 0 for row in found.rows)


def test_pictures_that_were_learned_from_do_not_count_there(backbone, comparison, dataset):
    as_test = Dataset(dataset.class_names, (), dataset.train)
    found = last(shift(backbone, comparison, as_test))
    n_shots = len(comparison.prepared.dataset.train)
    assert found.rows[0].there.n == len(dataset.train) - n_shots
    assert any("learned from the same" in note for note in found.notes)


def test_a_second_set_of_other_classes_is_a_sentence(backbone, comparison, tmp_path):
    for name in ("pink", "brown"):
        write_picture(tmp_path / name / "a.png", (9, 9, 9), 1)
        write_picture(tmp_path / name / "b.png", (9, 9, 9), 2)
    with pytest.raises(UserError, match="none of"):
        last(shift(backbone, comparison, read_folder(tmp_path)))
