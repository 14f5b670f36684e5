"""How OpenMP's threads wait for each other, decided once, before torch loads them; and locks after
a fork.

Imports nothing but the standard library: `coop_demo/__init__.py` calls it, so the page, the
command line and the tests all have it before torch comes.
"""

import os
import weakref
from collections.abc import Callable, MutableMapping
from typing import Any

# Times round its loop that GNU's OpenMP looks for work before a thread sleeps. By itself it looks
# for milliseconds, and keeps others' threads from the core it waits on: three trainings at once on
# two cores took nine times as long as one. A few microseconds cost one training alone nothing.
SPIN_COUNT = "300"


def let_threads_sleep(environment: MutableMapping[str, str] | None = None) -> None:
    """Threads with nothing to do leave the core to others instead of spinning on it.

    Has no effect on a process that has loaded torch already. What a person has set stays: with
    their own OMP_WAIT_POLICY nothing is changed, and their GOMP_SPINCOUNT is kept.

    Args:
        environment: `os.environ`, which processes started from here inherit too.
    """
    environment = os.environ if environment is None else environment
    if "OMP_WAIT_POLICY" in environment:
        return
    environment["OMP_WAIT_POLICY"] = "PASSIVE"  # for the OpenMP of Intel and LLVM
    environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)  # GNU's, which puts it above the policy


_renewed: "weakref.WeakKeyDictionary[Any, Callable[[Any], None]]" = weakref.WeakKeyDictionary()


def renew_in_child(owner: Any, renew: Callable[[Any], None]) -> None:
    """In a forked process call `renew(owner)`, which makes its locks anew.

    A lock that another thread held at the fork is held for ever in the child, where that thread
    is not. ZeroGPU forks the app for every job.
    """
    _renewed[owner] = renew


def _renew() -> None:
    for owner, renew in list(_renewed.items()):
        renew(owner)


if hasattr(os, "register_at_fork"):  # not on Windows, which knows no fork
    os.register_at_fork(after_in_child=_renew)
