"""Counts of right and wrong answers are scikit-learn's, and every cell leads to its images."""

import pytest
import sklearn.metrics
import torch
from comparing import made_logits

from coop_demo.comparison.confusion import cell_pictures, confusion_matrix, disagreements, per_class


def test_confusion_and_class_scores_are_sklearns():
    logits, labels = made_logits()
    predicted = logits.argmax(-1)
    ours = confusion_matrix(predicted, labels, 5)
    assert (ours == sklearn.metrics.confusion_matrix(labels, predicted)).all()
    recall = sklearn.metrics.recall_score(labels, predicted, average=None)
    assert [s.accuracy for s in per_class(predicted, labels, 5)] == pytest.approx(list(recall))
    cell = cell_pictures(predicted, labels, 1, 2)
    assert len(cell) == ours[1, 2]
    assert all(labels[k] == 1 and predicted[k] == 2 for k in cell)


def test_all_predictions_equal_and_an_empty_cell_are_defined():
    labels = torch.tensor([0, 1, 1])
    predicted = torch.zeros(3, dtype=torch.long)
    assert confusion_matrix(predicted, labels, 3).tolist() == [[1, 0, 0], [2, 0, 0], [0, 0, 0]]
    assert cell_pictures(predicted, labels, 0, 2) == ()
    assert [s.accuracy for s in per_class(predicted, labels, 3)] == [1.0, 0.0, None]


def test_disagreements_part_every_picture_where_answers_differ():
    first, labels = made_logits(seed=1)
    second, _ = made_logits(seed=2)
    found = disagreements(first, second, labels)
    a, b = first.argmax(-1), second.argmax(-1)
    every = [*found.only_first_right, *found.only_second_right, *found.both_wrong]
    assert sorted(every) == torch.nonzero(a != b).flatten().tolist()
    assert all(a[k] == labels[k] != b[k] for k in found.only_first_right)
    assert all(a[k] != labels[k] == b[k] for k in found.only_second_right)
    sure = [
        float(first[k].softmax(-1).max() + second[k].softmax(-1).max()) for k in found.both_wrong
    ]
    assert sure == sorted(sure, reverse=True)
