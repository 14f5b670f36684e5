"""The file of results keeps every value, and a foreign or damaged one is left alone."""

import csv

import pytest
from comparing import a_cell

from coop_demo.comparison.results_csv import COLUMNS, append_cell, open_results
from coop_demo.errors import UserError


def test_a_foreign_or_damaged_file_is_refused_and_left_alone(tmp_path):
    foreign = tmp_path / "mine.csv"
    foreign.write_text("name,price\ntea,3\n")
    with pytest.raises(UserError, match="not a results file"):
        open_results(foreign)
    assert foreign.read_text() == "name,price\ntea,3\n"
    foreign.write_text("my diary, without an end of line")
    with pytest.raises(UserError, match="not a results file"):
        open_results(foreign)
    assert foreign.read_text() == "my diary, without an end of line"
    damaged = tmp_path / "damaged.csv"
    damaged.write_text(",".join(COLUMNS) + "\na,b\n")
    with pytest.raises(UserError, match="line 2 is damaged"):
        open_results(damaged)


def test_a_row_survives_the_file_with_every_value(tmp_path):
    out = tmp_path / "r.csv"
    cell = a_cell(
        dataset='odd, "quoted" name', chosen='{"template": "a, \\"b\\" {}"}', accuracy=1 / 3
    )
    assert open_results(out) == []
    append_cell(out, cell)
    append_cell(out, a_cell())
    assert open_results(out) == [cell, a_cell()]
    with out.open(newline="") as file:
        assert len(list(csv.reader(file))) == 3


@pytest.mark.parametrize("name", ["=2+5", "'quoted", "'=quoted formula", "@sum", "plain"])
def test_a_name_that_a_spreadsheet_would_run_is_text_there_and_itself_when_read_again(
    tmp_path, name
):
    out = tmp_path / "r.csv"
    open_results(out)
    append_cell(out, a_cell(dataset=name))
    with out.open(newline="") as file:
        assert next(csv.DictReader(file))["dataset"][0] not in "=+-@"
    assert open_results(out)[0].dataset == name
