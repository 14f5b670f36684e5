"""The table of the grid: means and deviations over seeds, and losses counted."""

from dataclasses import replace

import pytest
from comparing import a_cell

from coop_demo.comparison.summary import losses, markdown_table, summary


def test_the_table_holds_mean_and_deviation_over_seeds():
    cells = [a_cell(seed=i, accuracy=a) for i, a in ((1, 0.5), (2, 0.6), (3, 0.7))]
    cells += [a_cell(method="hand-crafted", shots=0, seed=0, accuracy=0.55)]
    (record,) = [r for r in summary(cells) if r["method"] == "learned"]
    assert record["mean"] == pytest.approx(0.6)
    assert record["sd"] == pytest.approx(0.1)
    table = markdown_table(cells)
    assert "| Learned prompt | 60.0 ± 10.0 |" in table
    assert "| Hand-crafted prompt | 55.0 |" in table
    assert "Mean of" not in table
    both = markdown_table([*cells, *(replace(c, dataset="t", accuracy=0.8) for c in cells)])
    assert "### Mean of 2 sets" in both
    assert "| Learned prompt | 70.0 |" in both
    assert markdown_table([]) == "No cell is finished yet."


def test_losses_are_counted_cell_by_cell():
    cells = [a_cell(seed=i, correct=n) for i, n in ((1, 5), (2, 6), (3, 7))]
    cells += [a_cell(method="hand-crafted", shots=0, seed=0, correct=6)]
    cells += [a_cell(method="gda", seed=i, correct=9) for i in (1, 2)]
    found = losses(cells)
    assert "loses to Hand-crafted prompt in 1 of 3 cells and equals it in 1." in found[0]
    assert "loses to Gaussian classifier (GDA) in 2 of 2 cells." in found[1]
