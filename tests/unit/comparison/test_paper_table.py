"""The paper's figures stand beside ours, and a difference is one of the same cell."""

from __future__ import annotations

import pytest
from comparing import a_cell

from coop_demo.comparison.paper_table import PAPER_ACCURACY, beside_paper, paper_figure
from coop_demo.data.coop_datasets import COOP_DATASETS


def test_the_eleven_sets_are_there_and_their_means_are_the_papers():
    assert len(PAPER_ACCURACY) == 11
    assert set(PAPER_ACCURACY) <= set(COOP_DATASETS)
    means = [sum(column) / 11 for column in zip(*PAPER_ACCURACY.values(), strict=True)]
    # the row of means that is printed below the table: it would tell a mistyped figure
    assert means == pytest.approx([58.53, 59.80, 62.21, 66.84, 70.05, 73.45], abs=0.02)
    assert paper_figure("dtd", 0) == 40.07
    assert paper_figure("dtd", 3) is None
    assert paper_figure("mine", 1) is None


def test_each_difference_is_ours_less_the_papers_of_the_same_cell():
    cells = [
        a_cell(dataset="dtd", method="hand-crafted", shots=0, seed=0, accuracy=0.41),
        *(
            a_cell(dataset="dtd", shots=16, seed=seed, accuracy=accuracy)
            for seed, accuracy in ((1, 0.60), (2, 0.62))
        ),
        a_cell(dataset="eurosat", shots=16, seed=1, accuracy=0.90),
        a_cell(dataset="mine", shots=16, seed=1, accuracy=0.5),
        a_cell(dataset="dtd", method="gda", shots=16, seed=1, accuracy=0.9),
    ]
    table = beside_paper(cells)
    assert "| dtd | 41.0 (40.1, +0.9) | 61.0 (63.7, -2.7 ▼) |" in table
    assert "| eurosat | – | 90.0 (83.3, +6.7 ▲) |" in table
    assert "| mean | 41.0 (40.1, +0.9) of 1 | 75.5 (73.5, +2.0 ▲) of 2 |" in table
    assert "mine" not in table
    assert "The models differ" in table  # not the paper's ResNet-50


def test_without_one_of_its_sets_there_is_no_table():
    assert beside_paper([a_cell(dataset="mine")]) == ""
