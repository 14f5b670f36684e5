"""Part of the tab Look: the maps of both prompts."""

from typing import Any

import gradio as gr

from coop_demo.languages import look as say
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.context import QUIET, Shell
from coop_demo.ui.explain import actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain.saving import PackedFile
from coop_demo.ui.explain.state import Looked
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


class Maps:
    """The maps of both prompts and their difference, the slider, the strip of all classes."""

    def __init__(self) -> None:
        gr.HTML(page_html.step_head(2, say.MAPS_TITLE, say.MAPS_LEAD), padding=False)
        self.empty = gr.HTML(explain_html.promise(), padding=False, elem_id="look-empty")
        with gr.Column(visible=False) as self.all:
            with gr.Row(elem_classes="cs-look-maps", equal_height=False):
                _, self.words = _map(say.WORDS, "look-words")
                self.learned_column, self.learned = _map(say.LEARNED, "look-learned")
                self.difference_column, self.difference = _map(say.DIFFERENCE, "look-difference")
            self.note = gr.HTML(padding=False, elem_id="look-note")
            with gr.Row(elem_classes="cs-options cs-look-options"):
                self.opacity = gr.Slider(
                    0,
                    1,
                    explain_html.OPACITY,
                    step=0.05,
                    label=say.OPACITY_LABEL,
                    buttons=[],
                    elem_id="look-opacity",
                )
                self.cells = gr.Checkbox(False, label=say.CELLS_LABEL, elem_id="look-cells")
            with gr.Row(equal_height=False, elem_classes="cs-look-more"):
                with gr.Column(min_width=240):
                    self.slider_hint = gr.HTML(padding=False)
                    self.slider = gr.ImageSlider(
                        label=say.SLIDER_LABEL,
                        show_label=False,
                        interactive=False,
                        type="pil",
                        format="jpeg",
                        buttons=[],
                        elem_id="look-slider",
                    )
                with gr.Column(min_width=240) as self.strip_column:
                    self.strip_hint = gr.HTML(padding=False)
                    self.strip = widgets.pictures_to_click(
                        say.STRIP_LABEL,
                        columns=3,
                        format="jpeg",
                        elem_id="look-strip",
                        elem_classes=["cs-look-strip", "cs-look-many"],
                    )
            self.zip = PackedFile(say.ZIP_ONE, "look")

    @property
    def pictures(self) -> list[Any]:
        return [
            self.words,
            self.learned_column,
            self.learned,
            self.difference_column,
            self.difference,
            self.slider_hint,
            self.slider,
            self.strip_column,
            self.strip_hint,
            self.strip,
        ]

    @property
    def outputs(self) -> list[Any]:
        return [self.empty, self.all, self.note, *self.pictures]

    def pictures_view(
        self, session: Session, looked: Looked, opacity: float, cells: bool
    ) -> Updates:
        """Updates for `pictures`: what changes with the opacity and the resolution."""
        drawn = actions.drawings(looked, opacity=opacity, cells=cells)
        strip = actions.strip(looked, opacity=opacity, cells=cells)
        pair = (drawn.words, drawn.learned) if drawn.learned else (looked.image, drawn.words)

        def file(kind: str, picture: Any) -> str | None:
            name = f"{looked.name}-{looked.wanted}"
            return picture and str(actions.saved_png(session, kind, name, picture))

        hint = say.strip_hint(looked.learned is not None, len(strip), len(looked.texts))
        return {
            self.words: file("hand-crafted", drawn.words),
            self.learned_column: gr.update(visible=drawn.learned is not None),
            self.learned: file("learned", drawn.learned),
            self.difference_column: gr.update(visible=drawn.difference is not None),
            self.difference: file("difference", drawn.difference),
            self.slider_hint: page_html.hint(say.SLIDER_BOTH if drawn.learned else say.SLIDER_ONE),
            self.slider: pair,
            self.strip_column: gr.update(visible=bool(strip)),
            self.strip_hint: page_html.hint(hint),
            self.strip: strip,
        }

    def view(self, session: Session, looked: Looked | None, opacity: Any, cells: Any) -> Updates:
        if looked is None:
            return {
                self.empty: gr.update(visible=True),
                self.all: gr.update(visible=False),
                self.note: "",
            }
        remarks = [looked.remark] if looked.remark else []
        if bool(looked.words.empty[looked.index]):
            remarks.insert(0, say.EMPTY_MAP)
        if looked.difference is not None:
            remarks.append(say.COLOURS)
        if looked.box[0] > 0.5 or looked.box[1] > 0.5:
            remarks.append(say.PALE)
        asked = say.asked(
            looked.wanted, looked.words.method, looked.seconds, looked.words.grid.shape
        )
        return {
            self.empty: gr.update(visible=False),
            self.all: gr.update(visible=True),
            self.note: page_html.hint(asked) + page_html.notes((), remarks),
            **self.pictures_view(session, looked, explain_html.held(opacity), bool(cells)),
        }

    def wire(self, shell: Shell) -> None:
        def redraw(session: Session, opacity: Any, cells: Any) -> Updates:
            looked = actions.looked_at(session)
            if looked is None:
                return {}
            return self.pictures_view(session, looked, explain_html.held(opacity), bool(cells))

        def pack(session: Session, opacity: Any, cells: Any) -> bytes | None:
            looked = actions.looked_at(session)
            if looked is None:
                return None
            strength = explain_html.held(opacity)
            return actions.zip_of(looked, opacity=strength, cells=bool(cells))

        how = [self.opacity, self.cells]
        # `input` and not `release`, which a keyboard never sends; what came too fast is skipped
        shell.on(
            self.opacity.input, redraw, how, self.pictures, trigger_mode="always_last", **QUIET
        )
        shell.on(self.cells.input, redraw, how, self.pictures, **QUIET)
        self.zip.wire(shell, "maps.zip", pack, how)


def _map(title: str, elem_id: str) -> tuple[gr.Column, gr.Image]:
    """A titled picture in a column of its own."""
    with gr.Column(min_width=160) as column:
        gr.HTML(page_html.hint(title), padding=False)
        image = gr.Image(
            label=title,
            show_label=False,
            interactive=False,
            type="filepath",
            buttons=["download", "fullscreen"],
            elem_id=elem_id,
        )
    return column, image
