"""Everything the page says, one folder a language, with the same modules and names in each.

    from coop_demo.languages import teach as say

    say.TRAIN                          # in the language that is spoken just now
    with speaking("de"):
        say.finished(50, 2.1)          # "Alle 50 Schritte in 2,1 s durchlaufen."

Strings are looked up when they are said: not where a module is loaded, nor as a default argument.
Without `speaking`, English is spoken: by the command line, by the endpoints for programs, and in
what is kept of a session, which another language may show later. A sentence that comes from below
(an error, a note on a picture) or was kept is put into the language by `said`.

A new language is a folder beside `english` with the same modules, and a line in `LANGUAGES`.
"""

import contextlib
import contextvars
import functools
import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")

ENGLISH = "en"

#: what a browser calls a language -> (its folder, what it calls itself)
LANGUAGES = {ENGLISH: ("english", "English"), "de": ("german", "Deutsch")}
OTHERS = tuple(language for language in LANGUAGES if language != ENGLISH)

MODULES = (
    "archive",
    "charts",
    "classroom",
    "compare",
    "comparison",
    "keeping",
    "look",
    "page",
    "rank",
    "teach",
    "tour",
)

_spoken = contextvars.ContextVar("language", default=ENGLISH)


def name_of(language: str) -> str:
    """What it calls itself."""
    return LANGUAGES[language][1]


def spoken() -> str:
    """The language that is spoken just now, as a browser calls it."""
    return _spoken.get()


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
    """Within it, strings are those of this language, in this thread."""
    before = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(before)


def each_in(language: str, events: Iterator[T]) -> Iterator[T]:
    """Events of a generator that speaks a language, whichever thread asks for them."""
    try:
        while True:
            with speaking(language):
                try:
                    event = next(events)
                except StopIteration:
                    return
            yield event
    finally:
        close = getattr(events, "close", None)
        if close is not None:
            close()


def in_every_language(what: Callable[[], Any]) -> str:
    """Strings for a script of the page, as JSON: {"en": …, "de": …}."""
    found = {}
    for language in LANGUAGES:
        with speaking(language):
            found[language] = what()
    return json.dumps(found)


def in_language(language: str, handler: Callable) -> Callable:
    """The function or generator, speaking this language."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args: Any, **kwargs: Any) -> Iterator[Any]:
            return (yield from each_in(language, handler(*args, **kwargs)))

        return stream

    @functools.wraps(handler)
    def call(*args: Any, **kwargs: Any) -> Any:
        with speaking(language):
            return handler(*args, **kwargs)

    return call


def strings_of(language: str, module: str) -> ModuleType:
    folder, _ = LANGUAGES[language]
    return importlib.import_module(f"coop_demo.languages.{folder}.{module}")


def said(sentence: str) -> str:
    """An English sentence that was not made here, in the language that is spoken."""
    if not sentence or spoken() == ENGLISH:
        return sentence
    return strings_of(spoken(), "sentences").SENTENCES.translated(sentence)


class _Spoken:
    """A module of strings, in the language that is spoken when one of them is asked for."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(strings_of(spoken(), self._module), name)


if TYPE_CHECKING:  # editors and checkers know the English ones
    from coop_demo.languages.english import archive as archive
    from coop_demo.languages.english import charts as charts
    from coop_demo.languages.english import classroom as classroom
    from coop_demo.languages.english import compare as compare
    from coop_demo.languages.english import comparison as comparison
    from coop_demo.languages.english import keeping as keeping
    from coop_demo.languages.english import look as look
    from coop_demo.languages.english import page as page
    from coop_demo.languages.english import rank as rank
    from coop_demo.languages.english import teach as teach
    from coop_demo.languages.english import tour as tour
else:
    for _module in MODULES:
        globals()[_module] = _Spoken(_module)
