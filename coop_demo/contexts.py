"""A function or generator that runs within a context, whichever thread asks for its next step."""

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")


def within(context: Callable[..., AbstractContextManager[Any]], handler: Callable) -> Callable:
    """The handler, each of whose steps is taken within `context(*args)` of its own arguments.

    A context variable that a generator set itself would be unset in its next step, which another
    thread may take.
    """
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            return (yield from each_within(lambda: context(*args), handler(*args, **kwargs)))

        return stream

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        with context(*args):
            return handler(*args, **kwargs)

    return call


def each_within(
    context: Callable[[], AbstractContextManager[Any]], events: Iterator[T]
) -> Iterator[T]:
    """Events of a generator, each of which is asked for within a context.

    Closing it closes the generator.
    """
    try:
        while True:
            with context():
                try:
                    event = next(events)
                except StopIteration:
                    return
            yield event
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()
