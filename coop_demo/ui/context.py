"""What every tab is given: the sessions, the browser's key, and a way to hear of changes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from coop_demo.ui.session import SessionStore

TRAINING = "training"  # concurrency_id of everything that trains
TRAINING_LIMIT = 2  # at once; more would only make each of them slower on a small computer
LOOKING = "looking"  # concurrency_id of everything that predicts or draws maps
LOOKING_LIMIT = 4  # trying pictures, at once


@dataclass(frozen=True)
class Refresh:
    """Brings a tab up to date: `handler(key)` returns a list with one update for each output.

    Handlers are plain functions; the page runs all of them in one event and says what they raise.
    """

    handler: Callable
    outputs: Sequence[Any]


@dataclass
class Shell:
    """Passed to each tab's `build(shell)`.

    A tab opens its own `gr.Tab`, reads and writes only the session behind `key`, and appends to
    `on_open` what brings its components up to date when the page opens (a reload included), and
    to `on_model` what must change when another model is chosen. To follow what another tab did,
    it reads the session when its own `gr.Tab` is selected.
    """

    store: SessionStore
    key: gr.BrowserState
    on_open: list[Refresh] = field(default_factory=list)
    on_model: list[Refresh] = field(default_factory=list)
    model_events: list[Any] = field(default_factory=list)  # the header's; the page wires on_model
    tabs: Any = None  # the gr.Tabs of all tabs; `gr.update(selected="look")` opens one
