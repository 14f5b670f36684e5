"""Short work goes between the steps of long work, and nobody waits for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from coop_demo.turns import BURST_SECONDS, Turns


class Line:
    """People who queue up for turns behind one who has the only turn, and in what order they go."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.order = turns, []
        self.threads: list[threading.Thread] = []

    def join(self, name: str, kind: str, *, person: str = "", seconds: float = 0.0) -> None:
        def wait() -> None:
            turn = self.turns.short() if kind == "short" else self.turns.long()
            with self.turns.on_behalf_of(person or name), turn:
                self.order.append(name)
                time.sleep(seconds)

        before = len(self.turns._waiting)
        thread = threading.Thread(target=wait)
        thread.start()
        self.threads.append(thread)
        until(lambda: len(self.turns._waiting) > before)

    def go(self) -> list[str]:
        for thread in self.threads:
            thread.join(20)
        return self.order


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_short_work_goes_before_long_work_that_came_earlier():
    turns = Turns(1)
    line = Line(turns)
    with turns.long():
        line.join("step", "long")
        line.join("prediction", "short")
    assert line.go() == ["prediction", "step"]


def test_long_work_goes_on_however_much_short_work_waits():
    turns = Turns(1)
    line = Line(turns)
    with turns.long():
        line.join("step", "long")
        for number in range(12):
            line.join(f"{number}", "short", seconds=BURST_SECONDS / 4)
    order = line.go()
    assert 2 <= order.index("step") <= 8
    assert len(order) == 13


def test_who_computed_least_is_next_among_equals():
    turns = Turns(1)
    line = Line(turns)
    with turns.on_behalf_of("greedy"), turns.short():
        time.sleep(0.02)
    with turns.long():
        for number in range(3):
            line.join(f"greedy {number}", "short", person="greedy")
        line.join("modest", "short")
    assert line.go()[0] == "modest"


def test_a_turn_within_a_turn_is_the_same_turn():
    turns = Turns(1)
    with turns.long(), turns.short(), turns.long():
        pass
    assert turns._busy == 0


def test_an_error_gives_the_turn_back():
    turns = Turns(1)
    with pytest.raises(ValueError, match="no"), turns.long():
        raise ValueError("no")
    with turns.short() as granted:
        assert granted


def test_who_was_served_by_another_needs_no_turn():
    turns = Turns(1)
    done, got = threading.Event(), []

    def wait() -> None:
        with turns.short(done) as granted:
            got.append(granted)

    thread = threading.Thread(target=wait)
    with turns.long():
        thread.start()
        until(lambda: len(turns._waiting) == 1)
        done.set()
        thread.join(20)
        assert got == [False]
    assert not turns._waiting
    assert turns._busy == 0


def test_a_closed_stream_of_events_closes_the_job():
    turns, closed = Turns(1), []

    def job():
        try:
            while True:
                with turns.long():
                    pass
                yield turns._here.person
        finally:
            closed.append(True)

    events = turns.each("ada", job())
    assert next(events) == "ada"
    events.close()
    assert closed == [True]
    assert turns._busy == 0
