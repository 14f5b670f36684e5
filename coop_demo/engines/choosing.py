"""An engine by its name, as the command line gives it."""

from __future__ import annotations

from coop_demo.engines.engine import EngineError, Need
from coop_demo.engines.local import LocalEngine
from coop_demo.engines.on_ray import RayEngine

ENGINES = ("local", "ray")


def open_engine(
    name: str = "local",
    *,
    address: str | None = None,
    workers: int | None = None,
    need: Need | None = None,
) -> LocalEngine | RayEngine:
    """The engine of a name, closed by its `with`.

    Args:
        address: of a Ray cluster; None starts Ray on this computer.
        workers: tasks at a time on this computer; one a core when None.

    Raises:
        EngineError: no such engine, an address for another than ray, or Ray cannot be had.
    """
    if name == "ray":
        return RayEngine(address, workers=workers, need=need)
    if name != "local":
        raise EngineError(f'There is no engine "{name}". Choose {" or ".join(ENGINES)}.')
    if address:
        raise EngineError("--address is for --engine ray. Leave it out, or choose ray.")
    return LocalEngine(workers)
