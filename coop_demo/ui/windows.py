"""Open windows of the page: which session each shows, and what came last on it.

Events are answered in the order they end, not in the order a person caused them. A window knows
when each component was last set and each field last typed into, so that an answer that was begun
earlier leaves alone what came after it.
"""

import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_WINDOWS = 2_000  # the longest unused is forgotten: its answers are only no longer sorted
OPENING_SECONDS = 20.0  # how long a click waits for a page that is still opening

Updates = dict[Any, Any]  # component -> its new value, or gr.update(…); others stay as they are


@dataclass
class Window:
    """One page in one browser. Times are counted by its own clock."""

    key: str = ""  # of the session, from when the opening knows it
    is_opening: bool = False
    known: threading.Event = field(default_factory=threading.Event)  # the opening set `key`
    _clock: itertools.count = field(default_factory=lambda: itertools.count(1))
    _set: dict[int, int] = field(default_factory=dict)  # component -> when an answer set it
    _typed: dict[int, int] = field(default_factory=dict)  # field -> when a person typed into it

    def now(self) -> int:
        return next(self._clock)

    def begin_opening(self) -> int:
        """The time it is."""
        self.known.clear()
        self.key, self.is_opening = "", True
        return self.now()

    def shows(self, key: str) -> None:
        self.key = key
        self.known.set()

    def typed(self, component: Any) -> None:
        """A person has typed into this field just now."""
        self._typed[component._id] = self.now()

    def answer(self, updates: Mapping[Any, Any] | None, began: int) -> Updates:
        """What of a handler's updates goes to the page: no field that was typed into since."""
        kept = {c: u for c, u in (updates or {}).items() if self._typed.get(c._id, 0) <= began}
        at = self.now()
        self._set.update((component._id, at) for component in kept)
        return kept

    def not_newer(self, drawn: Iterable[tuple[int, Mapping[Any, Any]]]) -> Updates:
        """Updates with the time each was drawn, without what another answer has set since."""
        return {
            component: update
            for at, updates in drawn
            for component, update in updates.items()
            if self._set.get(component._id, 0) <= at
        }


class Windows:
    """All open windows, by gradio's name for them."""

    def __init__(self) -> None:
        self._windows: OrderedDict[str, Window] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, name: str | None) -> Window:
        """The window of this name; a program that calls without one gets one of its own."""
        if not name:
            return Window()
        with self._lock:
            window = self._windows.setdefault(name, Window())
            self._windows.move_to_end(name)
            while len(self._windows) > MAX_WINDOWS:
                self._windows.popitem(last=False)
            return window
