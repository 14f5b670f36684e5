"""Batches of the image tower among people: short requests share one, long ones take turns."""

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from torch import Tensor

from coop_demo.threads import renew_in_child
from coop_demo.turns import TURNS, Turns

# Passes through the tower up to which a request is short: a person waits for its answer.
SHORT_PASSES = 16
# Passes of a long request between two chances for somebody else's, on a CPU that others want too.
PASSES_A_TURN = 4

Encode = Callable[[list[Tensor]], list[Tensor]]  # pixels of each pass -> its result


@dataclass(eq=False)
class _Request:
    pixels: list[Tensor]
    encode: Encode
    results: list[Tensor] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event)
    at_rest: threading.Event = field(default_factory=threading.Event)  # in nobody else's batch
    alone: bool = False  # after an error in a shared batch


class SharedBatches:
    """Short requests of several people that wait for a turn go through the tower together.

    Whoever has the turn takes what waits along, the longest waiting first, and those whose results
    it brought need no turn of their own any more.
    """

    def __init__(self, turns: Turns, most: int = SHORT_PASSES) -> None:
        self.turns, self.most = turns, most
        self._start()
        renew_in_child(self, SharedBatches._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, list[_Request]] = {}

    def encode(self, group: Hashable, pixels: list[Tensor], encode: Encode) -> list[Tensor]:
        """`encode(pixels)`, perhaps in one batch with other requests of the same group.

        Args:
            group: what may share a batch: one tower, and pixels of one shape.
        """
        request = _Request(pixels, encode)
        request.at_rest.set()
        with self._lock:
            self._waiting.setdefault(group, []).append(request)
        try:
            while not request.results:
                with self.turns.short(request.done) as granted:
                    batch = self._take(group, request) if granted else []
                    if batch:
                        self._run(group, batch, request)
                request.at_rest.wait()
        finally:
            self._forget(group, request)
        return request.results

    def _take(self, group: Hashable, request: _Request) -> list[_Request]:
        """The request and others that fit into its batch; none where it is in another's."""
        with self._lock:
            waiting = self._waiting.get(group, [])
            if request not in waiting:
                return []
            taken, room = [request], self.most - len(request.pixels)
            for other in waiting:
                if other is request or other.alone or request.alone:
                    continue
                if len(other.pixels) <= room:
                    taken.append(other)
                    room -= len(other.pixels)
            for one in taken:
                waiting.remove(one)
                if one is not request:
                    one.at_rest.clear()
            return taken

    def _run(self, group: Hashable, batch: list[_Request], own: _Request) -> None:
        try:
            results = own.encode([pixels for one in batch for pixels in one.pixels])
        except Exception:
            if len(batch) == 1:
                raise
            with self._lock:  # one of them is at fault: each for itself
                for one in batch:
                    one.alone = True
                    self._waiting.setdefault(group, []).append(one)
                    one.at_rest.set()
            return
        with self._lock:
            at = 0
            for one in batch:
                one.results = results[at : at + len(one.pixels)]
                at += len(one.pixels)
                one.at_rest.set()
                one.done.set()

    def _forget(self, group: Hashable, request: _Request) -> None:
        with self._lock:
            waiting = self._waiting.get(group, [])
            if request in waiting:
                waiting.remove(request)
            if not waiting:
                self._waiting.pop(group, None)


SHARED_BATCHES = SharedBatches(TURNS)


def encode_in_turns(pixels: list[Tensor], encode: Encode, *, on_gpu: bool) -> list[Tensor]:
    """`encode(pixels)` of a long request: on a CPU in parts, so that short ones come between."""
    results: list[Tensor] = []
    at_once = len(pixels) if on_gpu else PASSES_A_TURN
    for first in range(0, len(pixels), at_once):
        with TURNS.long():
            results += encode(pixels[first : first + at_once])
    return results
