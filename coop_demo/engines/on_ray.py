"""Ray: the cores and GPUs of this computer, or of a cluster.

Nothing of Ray is imported before an engine is made. Without an address Ray is started here and for
this run alone: its ports are open to this computer only and ask for a token, the dashboard is off
and no usage is reported. With an address a cluster that somebody else set up is used as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import pickle
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch

from coop_demo.engines.engine import MOST_ATTEMPTS, EngineError, Need

MISSING = (
    "The engine ray needs the package ray, which is not installed. Install it with "
    '`pip install "coop-demo[scale]"`, or `pip install "ray[data]"`, or use --engine local.'
)
# Ray reads these once, when it is imported
_HERE_ONLY = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name: 127.0.0.1 is this computer
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",  # the command has a bar of its own
}


class RayEngine:
    """Tasks on Ray; objects that are held are actors.

    Args:
        address: of a cluster, `auto` or `ray://…`; None starts Ray here.
        workers: cores that are used when it is started here; all when None.
        need: of each task.
        memory: bytes of the object store when it is started here; Ray's own choice when None.

    Raises:
        EngineError: Ray is not installed, cannot be started, or the cluster cannot be reached.
    """

    name = "ray"
    here = False

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | None = None,
        need: Need | None = None,
        memory: int | None = None,
    ) -> None:
        self.need = need or Need()
        self._ray = _ray(address)
        self._started = not self._ray.is_initialized()
        if self._started:
            self._start(address, workers, memory)
        self._remote: dict[Callable, Any] = {}
        self.workers = max(1, int(self._places()))

    def submit(self, function: Callable, *args: Any) -> Any:
        remote = self._remote.get(function)
        if remote is None:
            remote = self._remote[function] = self._ray.remote(_in_one_thread).options(
                num_cpus=self.need.cpus,
                num_gpus=self.need.gpus,
                max_retries=MOST_ATTEMPTS - 1,
                name=getattr(function, "__name__", "task"),
            )
        return remote.remote(function, *args)

    def hold(self, make: Callable, *args: Any) -> Any:
        actor = self._ray.remote(_Holder).options(
            num_cpus=0,
            num_gpus=self.need.gpus,
            max_restarts=MOST_ATTEMPTS - 1,
            max_task_retries=MOST_ATTEMPTS - 1,
        )
        return _HeldThere(actor.remote(torch.get_num_threads(), make, *args))

    def get(self, task: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from error
        except errors.RayError as error:
            raise _lost(error) from error

    def stream(self, make: Callable, args: tuple, items: Iterable[Any]) -> Iterator[Any]:
        """`make(*args)` in an actor each, called with every item; results as they come.

        Ray Data runs it: an actor holds what it made, restarts when its process dies, and no more
        items are under way than its results are taken.
        """
        data = importlib.import_module("ray.data")
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        # an item is a block, so that it is redone by itself; in bytes, for Arrow knows no objects
        packed = [{"item": pickle.dumps(item)} for item in items]
        if not packed:
            return
        rows = data.from_items(packed, override_num_blocks=len(packed))
        mapped = rows.map(
            _Worker,
            fn_constructor_args=(make, args),
            compute=data.ActorPoolStrategy(size=min(self.workers, len(packed))),
            num_cpus=self.need.cpus,
            num_gpus=self.need.gpus or None,
        )
        try:
            for row in mapped.iter_rows():
                yield pickle.loads(row["result"])
        except self._ray.exceptions.RayTaskError as error:
            cause = error.cause
            raise (cause if isinstance(cause, Exception) else error) from error
        except self._ray.exceptions.RayError as error:
            raise _lost(error) from error

    def close(self) -> None:
        if self._started:
            self._ray.shutdown()

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, address: str | None, workers: int | None, memory: int | None) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if address is None:
            options |= {
                "num_cpus": workers,
                "include_dashboard": False,
                "object_store_memory": memory,
            }
        else:
            options["address"] = address
        try:
            with _path_for_workers(address is None):
                self._ray.init(**options)
        except Exception as error:  # of Ray and of gRPC, many kinds
            said = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
            where = f"at {address} cannot be reached" if address else "cannot be started here"
            raise EngineError(
                f"Ray {where} ({type(error).__name__}: {said}). "
                + ("Check the address and RAY_AUTH_TOKEN." if address else "Use --engine local.")
            ) from error

    def _places(self) -> float:
        """Tasks that run at a time by what the cluster has."""
        has = self._ray.cluster_resources()
        places = [has.get("CPU", 1.0) / self.need.cpus] if self.need.cpus else []
        if self.need.gpus:
            places.append(has.get("GPU", 0.0) / self.need.gpus)
            if not has.get("GPU"):
                raise EngineError(
                    "The tasks ask for a share of a GPU, and Ray knows of none. Use --device cpu."
                )
        return min(places, default=1.0)


class _Holder:
    """Runs in an actor: makes an object and calls its methods."""

    def __init__(self, threads: int, make: Callable, *args: Any) -> None:
        torch.set_num_threads(threads)  # as many as the driver's: a sum has the same last digits
        self._held = make(*args)

    def call(self, method: str, *args: Any) -> Any:
        return getattr(self._held, method)(*args)


class _HeldThere:
    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def call(self, method: str, *args: Any) -> Any:
        return self._actor.call.remote(method, *args)


class _Worker:
    """Runs in an actor of Ray Data: makes its object once, and hands each item to it."""

    def __init__(self, make: Callable, args: tuple) -> None:
        torch.set_num_threads(1)
        self._work = make(*args)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"result": pickle.dumps(self._work(pickle.loads(row["item"])))}


@contextlib.contextmanager
def _path_for_workers(here: bool) -> Iterator[None]:
    """What is importable in this process is so in workers that are started from it."""
    before = os.environ.get("PYTHONPATH")
    if here:
        os.environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    try:
        yield
    finally:
        if before is not None:
            os.environ["PYTHONPATH"] = before
        elif here:
            del os.environ["PYTHONPATH"]


def _in_one_thread(function: Callable, *args: Any) -> Any:
    torch.set_num_threads(1)
    return function(*args)


def _ray(address: str | None) -> Any:
    if address is None:
        for name, value in _HERE_ONLY.items():
            os.environ.setdefault(name, value)
        if os.environ["RAY_AUTH_MODE"] == "token" and not os.environ.get("RAY_AUTH_TOKEN_PATH"):
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with contextlib.suppress(AttributeError):
        logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise EngineError(MISSING) from error


def _lost(error: Exception) -> EngineError:
    said = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
    return EngineError(
        f"Ray lost its work ({said}). What was finished is kept; start the same command again."
    )
