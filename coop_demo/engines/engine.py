"""What an engine can do.

Work is a function of values that can be sent to another process. An engine decides where it runs;
nothing that is computed may depend on that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from coop_demo.errors import UserError

MOST_ATTEMPTS = 3  # of one task whose worker died under it: then it is the task that kills


class EngineError(UserError):
    """Workers cannot be started, reached, or kept alive."""


@dataclass(frozen=True)
class Need:
    """What one task takes of a computer: cores, and a share of a GPU."""

    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        for what, value in (("cores", self.cpus), ("GPUs", self.gpus)):
            if not 0 <= value <= 1024:
                raise EngineError(f"A task cannot take {value:g} {what}. Give 0 to 1024.")


class Held(Protocol):
    """An object that lives with one worker, such as a set whose pictures are encoded once."""

    def call(self, method: str, *args: Any) -> Any:
        """Ask for a method's result; the task may be among the arguments of others."""
        ...


class Stream(Protocol):
    """Hands items to workers that each hold what they need for it, such as a model."""

    name: str
    workers: int

    def stream(self, make: Callable, args: tuple, items: Iterable[Any]) -> Iterator[Any]:
        """`make(*args)` in each worker, called with every item; no more results wait than a few
        a worker. In what order they come is the engine's."""
        ...


class Engine(Stream, Protocol):
    """Runs functions somewhere. Close it, or use it in a `with`."""

    here: bool  # whether workers are on this computer and see its memory

    def submit(self, function: Callable, *args: Any) -> Any:
        """Begin a task; an argument may be another task, whose result is then given."""
        ...

    def hold(self, make: Callable, *args: Any) -> Held:
        """Make an object where it can work, `make(*args)`; it is made again if its worker dies."""
        ...

    def get(self, task: Any) -> Any:
        """A task's result; what it raised is raised here. EngineError when workers keep dying."""
        ...

    def close(self) -> None:
        """End the workers, at work or not."""
        ...
