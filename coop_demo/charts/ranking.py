"""Orders, their agreement with labels and the pair matrix as figures."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from coop_demo.charts.style import (
    GRID_COLOUR,
    MARK_COLOUR,
    ORDER_COLOURS,
    PAIRS_SCALE,
    new_figure,
    short_label,
)
from coop_demo.languages import charts as say


def strip_figure(orders: Sequence[tuple[str, Sequence[float]]], names: Sequence[str]) -> go.Figure:
    """Every picture's score as a dot, a row an instruction.

    Args:
        orders: instruction and scores (N,); rows are scaled apart, since scores of two
            instructions have no common scale.
        names: of the N pictures.
    """
    figure = new_figure(90 + 110 * len(orders), showlegend=False)
    # spread by a fixed low-discrepancy sequence: no randomness, few overlaps
    spread = (np.arange(len(names)) * 0.6180339887) % 1.0 - 0.5
    for at, (instruction, scores) in enumerate(orders):
        axis = "" if at == 0 else str(at + 1)
        figure.add_scatter(
            x=np.asarray(scores, float),
            y=spread,
            xaxis=f"x{axis}",
            yaxis=f"y{axis}",
            mode="markers",
            marker={"color": ORDER_COLOURS[at % 2], "size": 10, "opacity": 0.65},
            text=[short_label(name) for name in names],
            hovertemplate="%{text}: %{x:.3f}<extra></extra>",
        )
        low = 1 - (at + 1) / len(orders)
        domain = [low + 0.28 / len(orders), low + 0.94 / len(orders)]
        layout = {
            f"xaxis{axis}": {
                "anchor": f"y{axis}",
                "title": {"text": short_label(instruction, 60), "font": {"size": 12}},
                "gridcolor": GRID_COLOUR,
                "zeroline": False,
            },
            f"yaxis{axis}": {
                "anchor": f"x{axis}",
                "domain": domain,
                "visible": False,
                "range": [-0.9, 0.9],
            },
        }
        figure.update_layout(layout)
    return figure


def agreement_figure(
    instruction: str, scores: Sequence[float], values: Sequence[float], names: Sequence[str]
) -> go.Figure:
    """Scores (N,) over the labelled values (N,); pictures without a label (NaN) are left out."""
    known = np.isfinite(np.asarray(values, float))
    at = np.flatnonzero(known)
    figure = new_figure(320, showlegend=False)
    figure.add_scatter(
        x=np.asarray(values, float)[at],
        y=np.asarray(scores, float)[at],
        mode="markers",
        marker={"color": ORDER_COLOURS[0], "size": 9, "opacity": 0.7},
        text=[short_label(names[i]) for i in at.tolist()],
        hovertemplate=say.LABEL_AND_SCORE + "<extra></extra>",
    )
    figure.update_xaxes(title=say.label_of(short_label(instruction, 60)))
    figure.update_yaxes(title=say.SCORE)
    return figure


def pair_matrix_figure(
    names: Sequence[str], logits: np.ndarray, contradicting: np.ndarray
) -> go.Figure:
    """How surely the row's picture ranks above the column's; × where both ways claim the same.

    Shape: logits and contradicting (M, M), in the order of the names. customdata is [row, column].
    """
    M = len(names)
    chances = 1 / (1 + np.exp(-np.clip(np.asarray(logits, float), -60, 60)))
    np.fill_diagonal(chances, np.nan)
    labels = [short_label(name, 18) for name in names]
    hover = [[say.above(labels[i], labels[j], chances[i, j]) for j in range(M)] for i in range(M)]
    figure = new_figure(max(300, min(620, 150 + 18 * M)), showlegend=False)
    figure.add_heatmap(
        z=chances,
        x=list(range(M)),  # positions, not names: two may look alike once shortened
        y=list(range(M)),
        customdata=np.moveaxis(np.indices((M, M)), 0, -1),  # (M, M, 2)
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        colorscale=PAIRS_SCALE,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        colorbar={"tickformat": ".0%", "thickness": 12},
    )
    rows, columns = np.nonzero(contradicting)
    figure.add_scatter(
        x=columns,
        y=rows,
        customdata=np.stack((rows, columns), axis=-1),
        mode="markers",
        marker={"symbol": "x-thin", "size": 7, "line": {"color": MARK_COLOUR, "width": 1.4}},
        text=[f"{hover[i][j]}; {say.CONTRADICTION}" for i, j in zip(rows, columns, strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )
    # places, not names: names would leave no room for the cells on a phone
    every = 1 if M <= 15 else 5
    show_names = [str(i + 1) if i == 0 or (i + 1) % every == 0 else "" for i in range(M)]
    ticks = {"tickvals": list(range(M)), "ticktext": show_names, "showgrid": False}
    figure.update_xaxes(
        range=[-0.5, M - 0.5],
        tickangle=0,
        title={"text": say.PLACE, "standoff": 4},
        **ticks,
    )
    figure.update_yaxes(range=[M - 0.5, -0.5], **ticks)
    return figure
