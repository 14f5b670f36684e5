"""What every tab is given: the sessions, and the one way to wire a handler."""

import contextlib
import inspect
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import ENGLISH, in_language
from coop_demo.languages import page as strings
from coop_demo.turns import TURNS
from coop_demo.ui.classroom.state import Classroom
from coop_demo.ui.events import forgiving, warn
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore
from coop_demo.ui.uploads import uploads_in
from coop_demo.ui.windows import OPENING_SECONDS, Updates, Window, Windows

LOOKING = "looking"  # concurrency_id of everything that predicts or draws maps
LOOKING_LIMIT = 8  # at once: those that wait for their turn share a batch of the image tower

# Options of `Shell.on`: an answer so quick that nothing need say it is on its way, and one that
# asks the model.
QUIET: dict[str, Any] = {"show_progress": "hidden"}
LOOKS: dict[str, Any] = {"concurrency_id": LOOKING, "concurrency_limit": LOOKING_LIMIT}


class Part(Protocol):
    """A column or panel, as its neighbours know it: what it shows of a session, and where."""

    @property
    def outputs(self) -> list[Any]: ...

    def view(self, session: Session) -> Updates: ...


@dataclass(frozen=True)
class Refresh:
    """Brings a tab up to date: `view(session)` returns updates for some of `outputs`.

    Views are plain functions; the page runs all of them in one event and says what they raise.
    """

    view: Callable[[Session], Updates]
    outputs: Sequence[Any]


class Follower(Protocol):
    """Looks at a session after every answer; `news` are updates for some of its `outputs`."""

    @property
    def outputs(self) -> list[Any]: ...

    def news(self, session: Session) -> Updates: ...


@dataclass
class Shell:
    """Passed to each tab's `build(shell)`.

    A tab opens its own `gr.Tab`, wires its handlers by `on`, and appends to `on_open` what brings
    its components up to date when the page opens (a reload included), and to `on_model` what must
    change when another model is chosen. To follow what another tab did, it reads the session when
    its own `gr.Tab` is selected.
    """

    store: SessionStore
    key: gr.BrowserState
    language: str = ENGLISH  # of this page
    on_open: list[Refresh] = field(default_factory=list)
    on_model: list[Refresh] = field(default_factory=list)
    model_events: list[Any] = field(default_factory=list)  # the header's; the page wires on_model
    everything_events: list[Any] = field(default_factory=list)  # after these, all is drawn anew
    classroom: Classroom | None = None  # of an app that was started with --classroom
    tabs: Any = None  # the gr.Tabs of all tabs; `gr.update(selected="look")` opens one
    panels: Any = None  # likewise, of the panels of the tab Compare
    windows: Windows = field(default_factory=Windows)
    tour: Follower | None = None  # the guided lesson, which every answer may bring a step further

    def on(
        self,
        events: Any,
        handler: Callable,
        inputs: Sequence[Any] = (),
        outputs: Sequence[Any] = (),
        **options: Any,
    ) -> Any:
        """Wire one event or several to a handler, for which `options` go to gradio.

        The handler is called with the session and the inputs' values, and returns (or yields)
        updates: a dictionary of what changes. Outputs it leaves out stay as they are, and so does
        a field of `keep_typed` that a person typed into since the handler began.
        """
        following = [one for one in self._following if one not in outputs]
        given = (
            self.spoken(self._served(handler, inputs, [*outputs, *following])),
            [self.key, *inputs],
            [*outputs, *following],
        )
        options = {"api_visibility": "private"} | options
        if following and "show_progress_on" not in options:  # it does not wait for the answer
            options |= {"show_progress_on": list(outputs)} if outputs else QUIET
        if callable(events):
            return events(*given, **options)
        return gr.on(list(events), *given, **options)

    @property
    def _following(self) -> list[Any]:
        return self.tour.outputs if self.tour else []

    def spoken(self, handler: Callable) -> Callable:
        """The handler speaking this page's language, and forgiving (see `events`)."""
        return in_language(self.language, forgiving(handler))

    def keep_typed(self, *fields: Any) -> None:
        """From now on, what a person types into these is safe from handlers that began earlier."""
        for box in fields:
            heard = [box.input, box.key_up] if isinstance(box, gr.Dropdown) else [box.input]
            gr.on(
                heard,
                self._typed(box),
                None,
                None,
                queue=False,
                trigger_mode="always_last",
                show_progress="hidden",
                api_visibility="private",
            )

    def _typed(self, box: Any) -> Callable:
        def typed(request: gr.Request) -> None:
            self.windows.of(request.session_hash).typed(box)

        return typed

    def refreshes(self, view: Callable[[Session], Updates], outputs: Sequence[Any]) -> None:
        """Bring `outputs` up to date when the page opens and when the model changes."""
        self.on_open.append(Refresh(view, outputs))
        self.on_model.append(Refresh(view, outputs))

    def _served(self, handler: Callable, inputs: Sequence[Any], outputs: Sequence[Any]) -> Callable:
        """The handler as gradio calls it: with the window and the key in place of the session."""

        def shown(session: Session, updates: Updates | None, window: Window, began: int) -> Any:
            news = self.tour.news(session) if self.tour else {}
            kept = window.answer((updates or {}) | news, began)
            return kept or (gr.skip() if outputs else None)

        def call(request: gr.Request, key: Any, *values: Any) -> Any:
            window = self.windows.of(request.session_hash)
            session = self._session(window, key, inputs)
            began = window.now()
            session.uploads |= set(uploads_in(values))
            try:
                with TURNS.on_behalf_of(session.key):
                    return shown(session, handler(session, *values), window, began)
            finally:
                self._keep(session)

        def stream(request: gr.Request, key: Any, *values: Any) -> Iterator[Any]:
            window = self.windows.of(request.session_hash)
            session = self._session(window, key, inputs)
            began = window.now()
            answered = False
            session.uploads |= set(uploads_in(values))
            answers = TURNS.each(session.key, handler(session, *values))
            try:
                with contextlib.closing(answers):  # type: ignore[type-var]  # its end is kept too
                    for updates in answers:
                        answered = True
                        self._keep(session)
                        yield shown(session, updates, window, began)
            finally:
                self._keep(session)
            if not answered:  # gradio would empty every output of a generator that yields nothing
                yield shown(session, {}, window, began)

        served = stream if inspect.isgeneratorfunction(inspect.unwrap(handler)) else call
        return _posing_as(served, handler)

    def _keep(self, session: Session) -> None:
        """Write to disk what a handler changed."""
        sentence = self.store.keep(session)
        if sentence:
            warn(sentence)

    def _session(self, window: Window, key: Any, inputs: Sequence[Any]) -> Session:
        """Raises UserError while the fields that are sent along may not show the session yet."""
        if window.is_opening:
            restored = {output._id for refresh in self.on_open for output in refresh.outputs}
            if key and any(one._id in restored for one in inputs):
                raise UserError(strings.STILL_OPENING)
            if window.known.wait(OPENING_SECONDS):
                key = window.key
        return self.store.get(key)


def _posing_as(served: Callable, handler: Callable) -> Callable:
    """With the handler's name and parameters, by which gradio knows who wants its event data."""
    hints = typing.get_type_hints(handler)
    first = list(inspect.signature(served).parameters.values())[:2]
    _, *rest = inspect.signature(handler).parameters.values()
    served.__signature__ = inspect.Signature([*first, *rest])  # type: ignore[attr-defined]
    asked = {one.name: hints[one.name] for one in rest if one.name in hints}
    served.__annotations__ = {"request": gr.Request} | asked
    served.__name__ = handler.__name__
    return served
