"""What this computer has: device, shared backbones, ZeroGPU. Decided at run time, not at import."""

import contextlib
import ctypes
import gc
import importlib
import os
import platform
import threading
import time
from collections.abc import Callable
from typing import Any

import torch

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.catalog import find, load_backbone
from coop_demo.errors import UserError
from coop_demo.settings import on_zero_gpu
from coop_demo.threads import renew_in_child
from coop_demo.turns import TURNS

_backbones: dict[tuple[str, str], Backbone] = {}
_lock = threading.Lock()


def _in_forked_child(_: object) -> None:
    """Computing goes on in a forked process, as on ZeroGPU."""
    global _lock
    _lock = threading.Lock()
    # GNU's OpenMP waits there for ever for the threads that it had before the fork
    torch.set_num_threads(1)


renew_in_child(Backbone, _in_forked_child)


def pick_device(wanted: str = "") -> str:
    """`cuda`, `mps` or `cpu`: the one asked for, else COOP_DEMO_DEVICE, else the best there is.

    `gpu` is the accelerator there is.

    Raises:
        UserError: a device was asked for that this computer does not have.
    """
    available = ["cpu"]
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    elif torch.backends.mps.is_available():
        available.insert(0, "mps")
    wanted = (wanted or os.environ.get("COOP_DEMO_DEVICE", "")).strip().lower()
    if not wanted:
        return available[0]
    if wanted == "gpu" and len(available) > 1:
        return available[0]
    if wanted.split(":")[0] not in available:
        raise UserError(
            f'This computer has no device "{wanted}". Choose one of {", ".join(available)}.'
        )
    return wanted


def shared_backbone(name: str, device: str = "") -> Backbone:
    """The one copy of a backbone that everybody in this process reads.

    Raises:
        BackboneError: it is unknown, not on this computer yet, or does not fit.
        UserError: there is no such device.
    """
    entry = find(name)  # one copy, however its name is written
    key = (entry.name if entry else name, pick_device(device))
    with _lock:  # two people asking at once must not load it twice
        if key not in _backbones:
            _backbones[key] = load_backbone(key[0], device=key[1])
        return _backbones[key]


MOST_ARENAS = 4  # heaps of glibc that threads share


def keep_freed_memory() -> None:
    """Let glibc keep large freed blocks instead of giving each back to the kernel at once.

    Every tensor above 128 KB is otherwise a fresh mapping whose pages fault one by one, which
    costs a large share of the time of small networks on a CPU. Does nothing elsewhere.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8  # malloc.h
        # Each thread would get an arena of its own and keep what was freed there: with thirty
        # people at once that is gigabytes of nothing.
        mallopt(M_ARENA_MAX, MOST_ARENAS)
        mallopt(M_MMAP_THRESHOLD, 512 * 2**20)
        mallopt(M_TRIM_THRESHOLD, 512 * 2**20)
        mallopt(M_TOP_PAD, 64 * 2**20)


def give_back_memory_when_idle(*, after: float = 10.0, every: float = 5.0) -> None:
    """Start a thread that gives freed memory back to the system when nobody computes any more.

    What `keep_freed_memory` keeps makes computing fast, and is wanted by others afterwards. Does
    nothing where there is no glibc.

    Args:
        after, every: seconds of idleness, and between two looks.
    """
    if platform.libc_ver()[0] != "glibc":
        return

    def watch() -> None:
        trim, given_back = ctypes.CDLL("libc.so.6").malloc_trim, True
        while True:
            time.sleep(every)
            if TURNS.idle_seconds() < after:
                given_back = False
            elif not given_back:
                gc.collect()
                trim(0)
                given_back = True

    threading.Thread(target=watch, name="memory", daemon=True).start()


def gpu_job(duration: Callable[..., int] | int) -> Callable[[Callable], Callable]:
    """Marks a function or generator as needing the GPU of a ZeroGPU Space; elsewhere nothing.

    Args:
        duration: seconds, or a function of the job's arguments that estimates them.
    """
    if not on_zero_gpu():
        return lambda function: function
    spaces: Any = importlib.import_module("spaces")
    return spaces.GPU(duration=duration)
