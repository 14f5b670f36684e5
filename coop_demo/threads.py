"""How OpenMP's threads wait for each other, decided once, before torch loads them.

Imports nothing but the standard library: `coop_demo/__init__.py` calls it, so the page, the
command line and the tests all have it before torch comes.
"""

import os
from collections.abc import MutableMapping

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
