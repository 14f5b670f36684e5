"""The live curves of a training: accuracy and loss over its steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from coop_demo.charts.style import HAND_CRAFTED_COLOUR, LEARNED_COLOUR, LEARNED_LIGHT_COLOUR
from coop_demo.charts.training import CurvePoint, accuracy_curves, loss_curve
from coop_demo.languages import page as strings
from coop_demo.ui.windows import Updates


@dataclass(frozen=True)
class Series:
    """What the lines of the accuracy plot are called; `training` "" where it is not measured."""

    learned: str  # on held-out pictures
    training: str
    flat_line: str


class Curves:
    """Two plots that are on show from when there is something to draw."""

    def __init__(self, title: str, series: Series, *, names: tuple[str, str], height: int) -> None:
        """`names` are the elements' ids."""
        self._series = series
        self.accuracy = gr.LinePlot(
            x="step",
            y="value",
            color="series",
            title=title,
            color_title=" ",
            x_title=" ",
            y_title=" ",
            y_lim=[0, 100],
            color_map={
                name: colour
                for name, colour in (
                    (series.learned, LEARNED_COLOUR),
                    (series.training, LEARNED_LIGHT_COLOUR),
                    (series.flat_line, HAND_CRAFTED_COLOUR),
                )
                if name
            },
            height=height,
            visible=False,
            buttons=[],
            elem_id=names[0],
            elem_classes="cs-plot",
        )
        self.loss = gr.LinePlot(
            x="step",
            y="value",
            title=strings.LOSS_TITLE,
            x_title=strings.STEP_AXIS,
            y_title=" ",
            height=170,
            visible=False,
            buttons=[],
            elem_id=names[1],
            elem_classes="cs-plot",
        )

    @property
    def outputs(self) -> list[Any]:
        return [self.accuracy, self.loss]

    def hidden(self) -> Updates:
        return {self.accuracy: gr.update(visible=False), self.loss: gr.update(visible=False)}

    def view(
        self, points: Sequence[CurvePoint], to_beat: float | None, total_steps: int
    ) -> Updates:
        """The curves so far, from step 0 to the last one; `to_beat` (0 to 1) is the flat line."""
        accuracies = accuracy_curves(
            points,
            to_beat,
            learned=self._series.learned,
            training=self._series.training,
            flat_line=self._series.flat_line,
            total_steps=total_steps,
        )
        losses = loss_curve([point for point in points if point.loss == point.loss])
        how: dict[str, Any] = {"visible": True, "x_lim": [0, max(total_steps, 1)]}
        updates: Updates = {self.loss: gr.update(value=losses, **how)}
        # gradio's chart takes its series from the first data it gets: none before all of them are
        # there
        if not self._series.training or any(one.train_accuracy is not None for one in points):
            updates[self.accuracy] = gr.update(value=accuracies, **how)
        return updates
