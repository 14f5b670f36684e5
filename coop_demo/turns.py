"""Who computes next, when many people share one computer.

Trainings and large encodings are long: they are cut into steps, and each step asks for a turn. A
prediction, an order and a map are short: they go between two steps and not behind a training.
There are as many turns at a time as cores (four at most). The number of threads an operation
uses stays as it is: with another number a sum has other last digits, and a training would not give
what it gives alone.

Short work goes first as long as it has not taken more than its share lately; from then on most of
the time is kept for the long work, so that a training goes on however many people ask. Among its
own kind, whoever computed least lately is next.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

from coop_demo.contexts import each_within

Kind = Literal["short", "long"]
T = TypeVar("T")

MOST_TURNS = 4  # at a time; a step of a training gains little from more than a few cores
LONG_SHARE = 2 / 3  # of the time, kept for long work while short work waits
BURST_SECONDS = 0.5  # of short work that may go ahead of its share: some ten predictions at once
FORGOTTEN_AFTER = 60.0  # seconds without a turn, after which a person starts afresh


class Ticket:
    """Somebody who waits for a turn."""

    def __init__(self, kind: Kind, person: str, number: int, wake: threading.Event) -> None:
        self.kind, self.person, self.number, self.wake = kind, person, number, wake


class Turns:
    """Turns at computing: `with turns.short(): …` and `with turns.long(): …`.

    A turn inside a turn of the same thread is the same turn. Nothing may be waited for within one
    that itself needs a turn of another thread.
    """

    def __init__(self, at_once: int) -> None:
        self.at_once = max(1, at_once)
        self.reset()

    def reset(self) -> None:
        """Nobody has a turn or waits for one."""
        self._lock = threading.Lock()
        self._waiting: list[Ticket] = []
        self._busy = 0
        self._number = 0
        self._last_end = 0.0
        self._ahead = 0.0  # seconds that short work has had above its share while long work waited
        self._used: dict[str, tuple[float, float]] = {}  # person -> seconds, when last
        self._here = threading.local()  # of this thread: in a turn, for whom

    @contextmanager
    def on_behalf_of(self, person: str) -> Iterator[None]:
        """Turns that this thread asks for are this person's, who shares fairly with others."""
        before = getattr(self._here, "person", "")
        self._here.person = person
        try:
            yield
        finally:
            self._here.person = before

    def idle_seconds(self) -> float:
        """Since when nobody computes or waits; 0 while somebody does."""
        with self._lock:
            idle = not (self._busy or self._waiting)
            return time.monotonic() - self._last_end if idle else 0.0

    def each(self, person: str, events: Iterable[T]) -> Iterator[T]:
        """Events of a generator whose turns are this person's, whichever thread asks for them.

        Closing it closes the generator.
        """
        return each_within(lambda: self.on_behalf_of(person), iter(events))

    @contextmanager
    def short(self, done: threading.Event | None = None) -> Iterator[bool]:
        """A turn for something a person waits for: well below a second.

        Args:
            done: whoever sets it says that the work was done by another, and no turn is needed any
                more; then there is none, and False.
        """
        with self._turn("short", done) as granted:
            yield granted

    @contextmanager
    def long(self) -> Iterator[None]:
        """A turn for one step of something long."""
        with self._turn("long"):
            yield

    @contextmanager
    def _turn(self, kind: Kind, done: threading.Event | None = None) -> Iterator[bool]:
        if getattr(self._here, "depth", 0):
            yield True
            return
        person = getattr(self._here, "person", "") or f"thread {threading.get_ident()}"
        if not self._wait(kind, person, done or threading.Event()):
            yield False
            return
        began = time.monotonic()
        self._here.depth = 1
        try:
            yield True
        finally:
            self._here.depth = 0
            self._end(kind, person, time.monotonic() - began)

    def _wait(self, kind: Kind, person: str, wake: threading.Event) -> bool:
        """Whether there is a turn: not when `wake` was set by somebody else."""
        with self._lock:
            if wake.is_set():
                return False
            if self._busy < self.at_once and not self._waiting:
                self._busy += 1
                return True
            self._number += 1
            ticket = Ticket(kind, person, self._number, wake)
            self._waiting.append(ticket)
        wake.wait()
        with self._lock:
            if ticket not in self._waiting:
                wake.clear()  # it said that the turn has come; it may be waited for again
                return True
            self._waiting.remove(ticket)
            return False

    def _end(self, kind: Kind, person: str, seconds: float) -> None:
        now = time.monotonic()
        with self._lock:
            other = "long" if kind == "short" else "short"
            if any(one.kind == other for one in self._waiting):
                self._ahead += (
                    seconds * LONG_SHARE if kind == "short" else seconds * (LONG_SHARE - 1)
                )
                self._ahead = min(max(self._ahead, -BURST_SECONDS), 2 * BURST_SECONDS)
            used, last = self._used.get(person, (0.0, now))
            self._used[person] = (seconds if now - last > FORGOTTEN_AFTER else used + seconds, now)
            self._forget(now)
            self._last_end = now
            self._busy -= 1
            while self._waiting and self._busy < self.at_once:
                ticket = self._next()
                self._waiting.remove(ticket)
                self._busy += 1
                ticket.wake.set()

    def _next(self) -> Ticket:
        first: Kind = "short" if self._ahead < BURST_SECONDS else "long"
        chosen = [one for one in self._waiting if one.kind == first] or self._waiting
        return min(chosen, key=lambda one: (self._used.get(one.person, (0.0, 0.0))[0], one.number))

    def _forget(self, now: float) -> None:
        if len(self._used) > 1_000:
            self._used = {
                person: used
                for person, used in self._used.items()
                if now - used[1] <= FORGOTTEN_AFTER
            }


def _cores() -> int:
    limit = os.environ.get("OMP_NUM_THREADS", "")
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return min(cores, int(limit)) if limit.isdigit() and int(limit) else cores


TURNS = Turns(min(MOST_TURNS, _cores()))
if hasattr(os, "register_at_fork"):  # turns of a process are not held in its child
    os.register_at_fork(after_in_child=TURNS.reset)
