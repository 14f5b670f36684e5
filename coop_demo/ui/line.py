"""The line in front of the trainings: who waits is told their place and about how long."""

import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from coop_demo.errors import UserError
from coop_demo.languages import page as strings
from coop_demo.settings import LIMITS

AT_ONCE = 2  # trainings; more would only make each of them slower on a small computer
_REMEMBERED = 8  # trainings whose length says how long one takes


class Place:
    """Somebody's place in the line."""

    def __init__(self, line: "Line", person: str = "") -> None:
        self._line = line
        self.person = person
        self.began: float | None = None  # when it was let in

    @property
    def number(self) -> int:
        """1 for the next one, 0 for whoever has been let in."""
        return self._line.number(self)

    @property
    def seconds(self) -> float | None:
        """About how long until it is let in; None while no training has ended yet."""
        return self._line.seconds(self)

    def wait(self, seconds: float) -> None:
        """Until the line moves, at most so long."""
        self._line.wait(seconds)


class Line:
    """First come, first served; `at_once` are let in at a time."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self.at_once = at_once
        self._moved = threading.Condition()
        self._waiting: list[Place] = []
        self._inside: list[Place] = []
        self._lengths: deque[float] = deque(maxlen=_REMEMBERED)

    @contextmanager
    def join(self, person: str = "") -> Iterator[Place]:
        """A place at the end of the line, until the end of the `with`.

        Args:
            person: who asks, of whom there may be a few at a time; "" is nobody in particular.

        Raises:
            UserError: this person has as many places as one may, or the line is full.
        """
        place = Place(self, person)
        with self._moved:
            everybody = [*self._waiting, *self._inside]
            own = sum(one.person == person for one in everybody)
            if person and own >= LIMITS.max_jobs:
                raise UserError(strings.too_many_jobs(own))
            if len(everybody) >= LIMITS.max_in_line:
                raise UserError(strings.LINE_FULL)
            self._waiting.append(place)
            self._let_in()
        try:
            yield place
        finally:
            with self._moved:
                if place in self._inside:
                    self._inside.remove(place)
                    assert place.began is not None
                    self._lengths.append(time.monotonic() - place.began)
                else:
                    self._waiting.remove(place)
                self._let_in()

    def _let_in(self) -> None:
        while self._waiting and len(self._inside) < self.at_once:
            place = self._waiting.pop(0)
            place.began = time.monotonic()
            self._inside.append(place)
        self._moved.notify_all()

    def number(self, place: Place) -> int:
        with self._moved:
            return self._waiting.index(place) + 1 if place in self._waiting else 0

    def seconds(self, place: Place) -> float | None:
        with self._moved:
            if place not in self._waiting:
                return 0.0
            if not self._lengths:
                return None
            length = statistics.median(self._lengths)
            now = time.monotonic()
            # when each of those inside will be through, and after them those before this one
            free = sorted(max(0.0, length - (now - (one.began or now))) for one in self._inside)
            for _ in range(self._waiting.index(place)):
                free[0] += length
                free.sort()
            return free[0]

    def wait(self, seconds: float) -> None:
        with self._moved:
            self._moved.wait(seconds)


TRAININGS = Line()
