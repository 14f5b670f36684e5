"""The line in front of the trainings: places, and how long it takes."""

from __future__ import annotations

import pytest

from coop_demo.ui import line as line_module
from coop_demo.ui.line import Line


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(line_module.time, "monotonic", lambda: now[0])
    return now


def test_first_come_first_served() -> None:
    line = Line(at_once=2)
    with line.join() as a:
        with line.join() as b, line.join() as c, line.join() as d:
            assert [one.number for one in (a, b, c, d)] == [0, 0, 1, 2]
        assert a.number == 0


def test_the_wait_is_that_of_those_before_at_the_usual_length(clock: list[float]) -> None:
    line = Line(at_once=1)
    with line.join() as first, line.join() as second:
        assert first.seconds == 0
        assert second.seconds is None  # nobody knows yet how long one takes
    clock[0] = 100.0
    with line.join():
        clock[0] += 10.0
    line._lengths.clear()
    line._lengths.append(10.0)
    with line.join():
        clock[0] += 4.0
        with line.join() as second, line.join() as third:
            assert second.seconds == pytest.approx(6.0)
            assert third.seconds == pytest.approx(16.0)


def test_who_leaves_makes_room_whether_let_in_or_not() -> None:
    line = Line(at_once=1)
    with line.join():
        with line.join() as waiting:
            assert waiting.number == 1
        with line.join() as another:
            assert another.number == 1
    with line.join() as now:
        assert now.number == 0
