"""Colours, labels and the empty figure that all charts share."""

import html
from typing import Any

import plotly.graph_objects as go

from coop_demo.comparison.methods import LEARNED_METHODS
from coop_demo.languages import page

#: readable on light and dark pages; the style sheet of the page has its own shades for text
LEARNED_COLOUR, HAND_CRAFTED_COLOUR, OTHER_COLOUR = "#138a7e", "#c8741a", "#8C8C8C"
LEARNED_LIGHT_COLOUR = "#86c9c0"  # the learned prompt on its training images
#: for everything else (Okabe & Ito 2008)
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D31", "#7F7F7F")


#: two sets or two groups of classes; not teal and ochre, which stand for who made a prompt
SIDE_COLOURS = ("#0072B2", "#7fb8dd")


TEXT_COLOUR = "#767676"  # readable on white and on a dark page


GRID_COLOUR = "rgba(128,128,128,0.25)"


#: 0 to 1 in a cell: grey where nothing is, on light and dark pages, then ever more of one blue
SHARES_SCALE = [[0.0, "#e9e7e2"], [0.001, "#cfe0ee"], [0.5, "#8fbbdb"], [1.0, "#08457e"]]


#: the first and the second instruction of an order
ORDER_COLOURS = ("#0f766e", "#7c5cbf")


#: of one image above another, 0 to 1: ochre, undecided, teal; and the signs on top of that
PAIRS_SCALE = [[0.0, "#b45309"], [0.5, "#f3efe6"], [1.0, "#0f766e"]]
MARK_COLOUR = "#292522"


def new_figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure of fixed height that suits light and dark pages and keeps its zoom."""
    figure = go.Figure()
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 24, "t": 30, "b": 10},  # room for half of "100%"
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": TEXT_COLOUR, "size": 13},
        uirevision="kept",
        separators=page.SEPARATORS,
        **layout,
    )
    figure.update_xaxes(
        gridcolor=GRID_COLOUR, zerolinecolor=GRID_COLOUR, automargin=True, title_font_size=12
    )
    figure.update_yaxes(
        gridcolor=GRID_COLOUR, zerolinecolor=GRID_COLOUR, automargin=True, title_font_size=12
    )
    return figure


def short_label(text: str, limit: int = 40) -> str:
    """A name as plotly shows it: its labels read markup, so a name's own `<` must be escaped."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return html.escape(shown, quote=False)


def method_colour(method: str, at: int = 0) -> str:
    if method == "hand-crafted":
        return HAND_CRAFTED_COLOUR
    if method == "learned":
        return LEARNED_COLOUR
    return PALETTE[2 + at % (len(PALETTE) - 2)]


def kind_colour(method: str) -> str:
    """Teal for what was learned, ochre for what a person wrote, grey for the rest."""
    if method in LEARNED_METHODS:
        return LEARNED_COLOUR
    return HAND_CRAFTED_COLOUR if method.startswith("hand-crafted") else OTHER_COLOUR


def percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 2)


def figure_html(figure: go.Figure, *, with_library: bool) -> str:
    """A figure as a piece of HTML; the first one of a page brings plotly's library along."""
    return figure.to_html(
        full_html=False,
        include_plotlyjs=with_library,
        config={"displaylogo": False, "responsive": True},
    )
