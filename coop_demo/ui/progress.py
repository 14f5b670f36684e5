"""What a long job reports while it runs, and how often."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from coop_demo.backbones.features import EncodeEvent
from coop_demo.charts.training import CurvePoint
from coop_demo.languages import page as strings
from coop_demo.settings import LIMITS

# Seconds between two reports of a long job, and between two drawings of its live curves. Every
# update costs the page about 0.15 s of a core, which a browser beside it takes from the job.
SHOW_EVERY = 0.8
CURVES_EVERY = 2.0
KEEP_EVERY = 3.0  # seconds of a training that are lost when the app is killed


@dataclass(frozen=True)
class Progress:
    """What the page shows meanwhile: a sentence, and how much is done, 0 to 1, or None."""

    sentence: str
    share: float | None = None
    so_far: Any = None  # what is new, for the tab to show
    points: tuple[CurvePoint, ...] = ()  # of a training; empty where the curves stay as they are
    to_beat: float | None = None  # the flat line: what the held-out pictures give without learning
    total_steps: int = 0


class Pace:
    """Says when it is time to show something again."""

    def __init__(self, every: float = SHOW_EVERY) -> None:
        self._every = every
        self._last = -every

    def is_due(self) -> bool:
        """Whether enough time has passed since it was last true."""
        now = time.monotonic()
        if now - self._last <= self._every:
            return False
        self._last = now
        return True


class Deadline:
    """When a training that others wait behind has to end."""

    def __init__(self) -> None:
        self._at = time.monotonic() + LIMITS.max_training_seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self._at


class TrainingPace:
    """The pace of a training's reports, whose curves are drawn less often."""

    def __init__(self) -> None:
        self._show, self._curves = Pace(), Pace(CURVES_EVERY)

    def is_due(self) -> bool:
        return self._show.is_due()

    def report(
        self, event: Any, points: Sequence[CurvePoint], to_beat: float | None
    ) -> Iterator[Progress]:
        """The report of a step (an event with step, total_steps and seconds_left), if it is due."""
        if self._show.is_due():
            yield Progress(
                strings.step(event.step, event.total_steps, _known(event.seconds_left)),
                event.step / event.total_steps,
                points=tuple(points) if self._curves.is_due() else (),
                to_beat=to_beat,
                total_steps=event.total_steps,
            )


def encoding(event: EncodeEvent, *, unit: str = " views") -> Progress:
    """Progress of looking at pictures, of each of which there may be several views."""
    sentence = strings.encoding(event.done, event.total, event.seconds_left, unit=unit)
    return Progress(sentence, event.done / max(event.total, 1))


def _known(seconds: float) -> float:
    return seconds if math.isfinite(seconds) else 0.0
