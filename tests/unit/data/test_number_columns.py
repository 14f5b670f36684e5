"""A column of text is read by the one way of writing numbers that it agrees on."""

from __future__ import annotations

import pytest

from coop_demo.data.number_columns import read_numbers


@pytest.mark.parametrize(
    ("cells", "separator", "values"),
    [
        (["1", "2.5", "-3", "1e2", ".5", "+4"], ",", [1, 2.5, -3, 100, 0.5, 4]),
        (["3,5", "4", "12,25"], ";", [3.5, 4, 12.25]),
        (["3,5", "4", "12,25"], ",", [3.5, 4, 12.25]),
        (["3,5", "1.5"], ";", [3.5, 1.5]),
        (["1,234", "12", "1,234,567"], ",", [1234, 12, 1234567]),
        (["1,234", "12", "1,234,567"], ";", [1234, 12, 1234567]),
        (["1,234.5", "12.25"], ";", [1234.5, 12.25]),
        (["1.234,5", "12,25", "7"], ";", [1234.5, 12.25, 7]),
        (["1.234.567", "12.345", "7"], ",", [1234567, 12345, 7]),
        (["1 234", "12", "1\u00a0234\u202f567"], ",", [1234, 12, 1234567]),
        (["1'234.5", "2"], ",", [1234.5, 2]),
        (["45%", "7.5 %", "100%"], ",", [45, 7.5, 100]),
        (["45%", "7,5 %"], ";", [45, 7.5]),
        (["−3", "2"], ",", [-3, 2]),
        (["1", "many", "3"], ",", [1, None, 3]),
        (["nan", "inf", "1_000", "1"], ",", [None, None, None, 1]),
        (["1e999", "1"], ",", [None, 1]),
        (["0.5", "0.25", "50%"], ",", [0.5, 0.25, None]),
        (["", "2"], ",", [None, 2]),
    ],
)
def test_a_column_is_read_as_it_was_meant(cells, separator, values):
    column = read_numbers(cells, separator=separator)
    assert list(column.values) == values
    assert column.note == ""


def test_what_can_be_meant_in_two_ways_is_said():
    column = read_numbers(["1,234", "5"], separator=",")
    assert (column.values, column.note) == (
        (1234.0, 5.0),
        'are written like "1,234", which is read as 1234',
    )
    column = read_numbers(["1,234", "5"], separator=";")
    assert (column.values, column.note) == (
        (1.234, 5.0),
        'are written like "1,234", which is read as 1.234',
    )


def test_dates_are_days():
    column = read_numbers(
        ["2024-02-28", "2024-03-01", "2024-03-01T12:00", "2024-02-31"], separator=","
    )
    first, second, noon, wrong = column.values
    assert wrong is None
    days = [day or 0.0 for day in (first, second, noon)]
    assert (days[1] - days[0], days[2] - days[1]) == (2, 0.5)
    assert column.note == "are dates and are counted in days"
    zoned = read_numbers(["2024-03-01T01:00:00+01:00", "2024-03-01T00:00:00Z"], separator=",")
    assert zoned.values[0] == zoned.values[1]
