"""This computer: a process for each core, each with one thread.

Two processes that compute in two threads each on two cores wait for one another, and a sum in
another number of threads has other last digits. So a worker has one thread whatever the computer,
and a result does not depend on how many cores there are.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch
import torch.multiprocessing  # tensors go to workers in shared memory

from coop_demo.engines.engine import MOST_ATTEMPTS, EngineError


class _Task:
    """What was asked for, so that it can be asked for again when its worker dies."""

    def __init__(self, function: Callable, args: tuple) -> None:
        self.function, self.args = function, args
        self.future: Future = Future()
        self.attempts = 0


class _Done:
    """A task that was done at once."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _HeldHere:
    def __init__(self, held: Any) -> None:
        self._held = held

    def call(self, method: str, *args: Any) -> _Done:
        return _Done(getattr(self._held, method)(*args))


class LocalEngine:
    """Tasks in processes of this computer; objects that are held live in this process.

    Args:
        workers: processes; one for each core when None.
    """

    name = "local"
    here = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores()
        self._pool: ProcessPoolExecutor | None = None
        self._unfinished: weakref.WeakSet[_Task] = weakref.WeakSet()

    def submit(self, function: Callable, *args: Any) -> _Task:
        task = _Task(function, tuple(a.value if isinstance(a, _Done) else a for a in args))
        self._begin(task)
        return task

    def hold(self, make: Callable, *args: Any) -> _HeldHere:
        return _HeldHere(make(*args))

    def get(self, task: _Task | _Done) -> Any:
        if isinstance(task, _Done):
            return task.value
        while True:
            try:
                return task.future.result()
            except BrokenProcessPool as error:
                if task.attempts >= MOST_ATTEMPTS:
                    raise EngineError(
                        f"A worker process ended {MOST_ATTEMPTS} times at the same task, probably "
                        "for want of memory. Close other programs, or use fewer workers."
                    ) from error
                self._begin_again()

    def stream(self, make: Callable, args: tuple, items: Iterable[Any]) -> Iterator[Any]:
        """`make(*args)` in each worker, called with every item; results in the items' order.

        Two items a worker are under way at most, so that memory does not grow with their number.
        """
        recipe = pickle.dumps((make, args))
        waiting: deque[_Task] = deque()
        for item in items:
            waiting.append(self.submit(_worked, recipe, item))
            if len(waiting) >= 2 * self.workers:
                yield self.get(waiting.popleft())
        while waiting:
            yield self.get(waiting.popleft())

    def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(5)

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, task: _Task) -> None:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=_context(), initializer=_start_worker
            )
        try:
            task.future = self._pool.submit(task.function, *task.args)
        except BrokenProcessPool:
            self._begin_again()
            if self._pool is None:
                self._begin(task)
                return
            task.future = self._pool.submit(task.function, *task.args)
        task.attempts += 1
        self._unfinished.add(task)

    def _begin_again(self) -> None:
        """New workers, and whatever a dead one took along."""
        self.close()
        lost = [task for task in self._unfinished if _broken(task.future)]
        for task in lost:
            self._begin(task)


class ThisProcess:
    """No workers: everything here, with as many threads as torch takes. For a GPU."""

    name = "local"
    here = True
    workers = 1

    def stream(self, make: Callable, args: tuple, items: Iterable[Any]) -> Iterator[Any]:
        """`make(*args)`, called with every item when its result is asked for."""
        work = make(*args)
        for item in items:
            yield work(item)

    def __enter__(self) -> ThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""


_made: dict[bytes, Any] = {}  # in a worker: what its items are handed to


def _worked(recipe: bytes, item: Any) -> Any:
    if recipe not in _made:
        make, args = pickle.loads(recipe)  # from our own driver, never from a file
        _made.clear()
        _made[recipe] = make(*args)
    return _made[recipe](item)


def cores() -> int:
    """Cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _broken(future: Future) -> bool:
    if not future.done():
        return True  # its pool is closed: nobody will do it
    return future.cancelled() or isinstance(future.exception(), BrokenProcessPool)


def _context() -> Any:
    # a fork would take along locks and OpenMP's threads, which are not there in the child
    return torch.multiprocessing.get_context("spawn")


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the driver, which ends its workers
    torch.set_num_threads(1)
    with contextlib.suppress(RuntimeError):
        torch.set_num_interop_threads(1)
    parent = multiprocessing.parent_process()
    if parent is not None:  # a killed driver cannot end its workers
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
