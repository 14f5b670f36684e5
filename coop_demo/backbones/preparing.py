"""Work ahead in threads: what comes out is in order, and so much of it waits at most.

    with ahead(prepare, pictures, workers=2, window=34) as prepared:
        for one in prepared:
            ...

Pillow and hashlib release Python's lock while they work, so pictures are decoded beside the tower
that encodes the batch before.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from coop_demo.settings import LIMITS

T = TypeVar("T")
R = TypeVar("R")


def decoding_workers(device: str) -> int:
    """Threads that decode beside a tower on a device of this kind (`cpu`, `cuda`, `mps`)."""
    cores = os.cpu_count() or 1
    if device == "cpu":
        # One for each core: whichever waits, decoders or tower, the other has all cores. Mini with
        # JPEGs of a megapixel on two idle cores: 1.35 times as fast as in one thread with two
        # workers, 1.22 with one, 1.37 with three, and less where others use the cores. Decoding is
        # a third of the work, so 8 are enough.
        return max(1, min(cores, 8, _decoders_in_memory()))
    # A GPU takes thousands of pictures a second and a core decodes fifty to a hundred: all cores
    # but one, which feeds the GPU. More than 16 wait for Python's lock and hold memory.
    return max(1, min(cores - 1, 16, _decoders_in_memory()))


def _decoders_in_memory() -> int:
    """How many of the largest pictures may be decoded at once in a quarter of the memory."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows, and systems that do not say
        memory = 8 * 2**30
    return memory // 4 // LIMITS.max_decode_bytes


_AT_ONCE = threading.BoundedSemaphore(max(1, min(os.cpu_count() or 1, 16, _decoders_in_memory())))


def _one_of_few(work: Callable[[T], R], item: T) -> R:
    with _AT_ONCE:
        return work(item)


@contextmanager
def ahead(
    work: Callable[[T], R], items: Sequence[T], *, workers: int, window: int
) -> Iterator[Iterator[R]]:
    """`work` of every item, in order, done ahead by threads.

    What `work` raises is raised where its result is asked for. At the end of the `with`, however
    it comes, work that has not begun is cancelled, and no thread is left.

    Args:
        workers: threads; 0, like a single item, does the work in the caller's own, when it is
            asked for. However many callers there are, no more works at once than there are cores
            and memory for.
        window: results and work begun or waiting for a thread, at most.
    """
    work = partial(_one_of_few, work)
    if workers == 0 or len(items) == 1:
        yield map(work, items)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        yield _in_order(pool, work, items, max(window, 1))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T], window: int
) -> Iterator[R]:
    begun: deque[Future[R]] = deque()
    rest = iter(items)
    for _, item in zip(range(window), rest, strict=False):
        begun.append(pool.submit(work, item))
    while begun:
        result = begun.popleft().result()
        for item in rest:
            begun.append(pool.submit(work, item))
            break
        yield result
        del result  # not held while the next is waited for
