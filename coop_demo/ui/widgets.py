"""Components that several tabs use, set up once."""

from typing import Any

import gradio as gr


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


def leave_to_our_loader(image: gr.Image) -> None:
    """Hand over the uploaded file as it is.

    gradio would decode it first: without bounds, and with an error of its own when it cannot.
    """

    def path_of(payload: Any) -> str | None:
        return payload.path if payload else None

    image.preprocess = path_of  # type: ignore[method-assign]
