"""How every handler of the page fails: with one sentence, and without losing anything."""

import functools
import html
import inspect
import logging
from collections.abc import Callable

import gradio as gr

from coop_demo.errors import UserError
from coop_demo.languages import page as strings
from coop_demo.languages import said

log = logging.getLogger(__name__)


def warn(sentence: str) -> None:
    """Show a sentence at the edge of the page. It is escaped: names come from people's files."""
    gr.Warning(html.escape(said(sentence), quote=False), title="")


def forgiving(handler: Callable) -> Callable:
    """Wrap a handler or generator: a UserError becomes its sentence, anything else a neutral one.

    Either way every output stays as it is, so that nothing on the page is lost.
    """
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def stream(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except Exception as error:
                warned(error)
                yield gr.skip()

        return stream

    @functools.wraps(handler)
    def call(*args, **kwargs):
        try:
            return handler(*args, **kwargs)
        except Exception as error:
            warned(error)
            return gr.skip()

    return call


def sentence_for(error: Exception) -> str:
    """What to tell the person; an unexpected error goes to the log in full."""
    if isinstance(error, UserError):
        return said(str(error))
    log.error("unexpected error in a handler", exc_info=error)
    return strings.UNEXPECTED


def warned(error: Exception) -> str:
    """Tell the person at the edge of the page, and give the sentence to be left beside it."""
    sentence = sentence_for(error)
    warn(sentence)
    return sentence
