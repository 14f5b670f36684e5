"""Components that several tabs use, set up once."""

from typing import Any

import gradio as gr

from coop_demo.languages import page as strings
from coop_demo.ui import html as page_html
from coop_demo.ui.windows import Updates


def pictures_to_click(
    label: str, *, columns: int, height: int | str = "auto", **more: Any
) -> gr.Gallery:
    """A gallery whose pictures are chosen by a click; nothing opens over the page, nothing can be
    added. `more` goes to gradio."""
    return gr.Gallery(
        label=label,
        show_label=False,
        interactive=False,
        allow_preview=False,
        columns=columns,
        height=height,
        object_fit="cover",
        buttons=[],
        **more,
    )


def picture_box(label: str, *, height: int, elem_id: str, webcam: bool = True) -> gr.Image:
    """Where a picture is dropped, pasted or taken. It hands over the uploaded file as it is.

    gradio would decode it first: without bounds, and with an error of its own when it cannot. No
    event may have it as its output: gradio would then make it anew, without that change.
    """
    image = gr.Image(
        label=label,
        type="filepath",
        sources=["upload", *(["webcam"] if webcam else []), "clipboard"],
        height=height,
        buttons=[],
        elem_id=elem_id,
    )

    def path_of(payload: Any) -> str | None:
        return payload.path if payload else None

    image.preprocess = path_of  # type: ignore[method-assign]
    return image


class Undo:
    """Says what was deleted, with a button that brings it back; there only while that can be."""

    def __init__(self, elem_id: str) -> None:
        with gr.Row(visible=False, elem_classes="cs-undo", elem_id=elem_id) as self.row:
            self.said = gr.HTML(padding=False)
            self.button = gr.Button(strings.UNDO, size="sm", min_width=80, scale=0)

    @property
    def outputs(self) -> list[Any]:
        return [self.row, self.said]

    def view(self, sentence: str) -> Updates:
        """What was deleted, or "" for nothing."""
        return {
            self.row: gr.update(visible=bool(sentence)),
            self.said: page_html.hint(sentence),
        }
