"""Comparison results as tables and figures."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import torch

from coop_demo.charts.style import (
    PALETTE,
    SHARES_SCALE,
    SIDE_COLOURS,
    TEXT_COLOUR,
    kind_colour,
    method_colour,
    new_figure,
    percent,
    short_label,
)
from coop_demo.comparison.base_to_new import BaseToNew
from coop_demo.comparison.calibration import Calibration, Reliability
from coop_demo.comparison.compare import Comparison
from coop_demo.comparison.confusion import confusion_matrix, disagreements, per_class
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.comparison.projection import Projection
from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.shift import Shift
from coop_demo.comparison.statistics import Score
from coop_demo.comparison.summary import summary
from coop_demo.languages import charts as say
from coop_demo.languages import said
from coop_demo.prompts.words import NearWord, VectorWords, WordsAccuracy


def methods_table(comparison: Comparison) -> pd.DataFrame:
    """One row a method, best first: accuracy and its 95 % interval in %, the paired test against
    the hand-crafted prompt, seconds to train, and what the method chose.

    Methods of equal accuracy keep the order in which they ran.
    """
    rows = []
    for result in comparison.results:
        is_baseline = result.method == "hand-crafted"
        test = None if is_baseline else comparison.paired(result.method)
        chosen = ", ".join(
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in result.classifier.settings.items()
        )
        rows.append(
            {
                "method": result.title,
                "accuracy %": percent(result.score.accuracy),
                "from %": percent(result.score.low),
                "to %": percent(result.score.high),
                "right": result.score.correct,
                "of": result.score.n,
                "better on": None if test is None else test.only_first,
                "worse on": None if test is None else test.only_second,
                "McNemar p": None if test is None else float(f"{test.p_value:.3g}"),
                "seconds": round(result.classifier.seconds, 3),
                "chosen": chosen,
                "key": result.method,
            }
        )
    frame = pd.DataFrame(rows).astype({"better on": "Int64", "worse on": "Int64"})
    return frame.sort_values("accuracy %", ascending=False, kind="stable").reset_index(drop=True)


def methods_figure(comparison: Comparison) -> go.Figure:
    """Accuracy of every method with its 95 % interval, best on top."""
    table = methods_table(comparison).iloc[::-1]
    figure = new_figure(90 + 44 * len(table), showlegend=False)
    figure.add_bar(
        x=table["accuracy %"],
        y=[short_label(said(name), 60) for name in table["method"]],
        orientation="h",
        marker_color=[kind_colour(key) for key in table["key"]],
        error_x={
            "type": "data",
            "symmetric": False,
            "array": table["to %"] - table["accuracy %"],
            "arrayminus": table["accuracy %"] - table["from %"],
            "color": TEXT_COLOUR,
        },
        text=[f"{value:.1f}" for value in table["accuracy %"]],
        textposition="inside",
        insidetextanchor="start",
        hovertemplate="%{y}<br>%{x:.1f} %<extra></extra>",
    )
    figure.update_xaxes(range=[0, 100], title=say.ACCURACY_AND_INTERVAL)
    return figure


def shots_frame(cells: Sequence[Cell]) -> pd.DataFrame:
    """Tidy: method, shots, mean, sd (%), n_seeds. Methods that see no picture have shots 0."""
    rows = [
        {
            "method": COMPARISON_METHODS[record["method"]].title,
            "key": record["method"],
            "shots": record["shots"],
            "mean": percent(record["mean"]),
            "sd": percent(record["sd"]),
            "n_seeds": record["n_seeds"],
        }
        for record in summary(cells)
    ]
    frame = pd.DataFrame(rows, columns=["method", "key", "shots", "mean", "sd", "n_seeds"])
    return frame.sort_values(["key", "shots"], kind="stable").reset_index(drop=True)


def shots_figure(cells: Sequence[Cell]) -> go.Figure:
    """Accuracy over shots: a line a method with ± 1 standard deviation over seeds, methods that
    see no picture as flat lines. Fit for a grid that is still running: it draws what is there.
    """
    frame = shots_frame(cells)
    figure = new_figure(380, legend={"orientation": "h", "y": -0.25})
    fitted = frame[frame["shots"] > 0]
    shots = sorted({int(n) for n in fitted["shots"]}) or [1, 16]
    for at, (key, group) in enumerate(frame.groupby("key", sort=False)):
        name = short_label(said(str(group["method"].iloc[0])))
        colour = method_colour(str(key), at)
        if group["shots"].iloc[0] == 0:
            figure.add_scatter(
                x=[shots[0], shots[-1]],
                y=[group["mean"].mean()] * 2,
                name=name,
                mode="lines",
                line={"color": colour, "dash": "dash"},
                hovertemplate="%{y:.1f} %<extra>" + name + "</extra>",
            )
            continue
        figure.add_scatter(
            x=group["shots"],
            y=group["mean"],
            name=name,
            mode="lines+markers",
            line={"color": colour},
            error_y={"type": "data", "array": group["sd"].fillna(0), "thickness": 1.5},
            hovertemplate=say.SHOTS_HOVER + "<extra>" + name + "</extra>",
        )
    figure.update_xaxes(
        type="log", tickvals=shots, ticktext=[str(n) for n in shots], title=say.SHOTS_AXIS
    )
    figure.update_yaxes(title=say.ACCURACY)
    return figure


def confusion_figure(comparison: Comparison, method: str = "learned") -> go.Figure:
    """Counts of true class (down) against answer (across); customdata is [true, answer]."""
    result = comparison.result(method)
    C = len(comparison.class_names)
    counts = confusion_matrix(result.predicted, comparison.labels, C)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [short_label(name, 24) for name in comparison.class_names]
    cells = np.stack(np.meshgrid(np.arange(C), np.arange(C), indexing="ij"), axis=-1)
    # a click must not become a zoom when the hand shakes; the tool bar still zooms
    figure = new_figure(max(360, 120 + 26 * C), dragmode=False)
    figure.add_heatmap(
        z=shares,
        # positions, not names: two classes may look alike once shortened
        x=list(range(C)),
        y=list(range(C)),
        customdata=cells,
        text=counts,
        texttemplate="%{text}" if C <= 30 else None,
        hovertext=[
            [say.taken_for(names[t], names[a], counts[t, a]) for a in range(C)] for t in range(C)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        colorscale=SHARES_SCALE,
        zmin=0,
        zmax=1,
        xgap=1,
        ygap=1,
        showscale=False,  # the numbers say it; the room is worth more on a phone
    )
    ticks = {"tickvals": list(range(C)), "ticktext": names, "showgrid": False, "zeroline": False}
    figure.update_xaxes(title=say.ANSWER, tickangle=-45, **ticks)
    figure.update_yaxes(title=say.TRUE_CLASS, autorange="reversed", **ticks)
    return figure


def per_class_table(
    comparison: Comparison, methods: Sequence[str] = ("hand-crafted", "learned")
) -> pd.DataFrame:
    """One row a class: number of held-out pictures and each method's accuracy in %."""
    C = len(comparison.class_names)
    counts = torch.bincount(comparison.labels, minlength=C).tolist()
    frame = pd.DataFrame({"class": comparison.class_names, "pictures": counts})
    for method in methods:
        if any(result.method == method for result in comparison.results):
            result = comparison.result(method)
            scores = per_class(result.predicted, comparison.labels, C)
            frame[result.title] = [percent(score.accuracy) for score in scores]
    return frame


def per_class_figure(
    comparison: Comparison, methods: Sequence[str] = ("hand-crafted", "learned")
) -> go.Figure:
    """Each class's own accuracy, a bar a method."""
    table = per_class_table(comparison, methods)
    figure = new_figure(
        max(300, 110 + 30 * len(table)),
        barmode="group",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
    )
    keys = {result.title: result.method for result in comparison.results}
    for at, title in enumerate(table.columns[2:]):
        figure.add_bar(
            x=table[title],
            y=list(range(len(table))),
            orientation="h",
            name=short_label(said(title)),
            marker_color=method_colour(keys[title], at),
            hovertemplate="%{x:.1f} %<extra>" + short_label(said(title)) + "</extra>",
        )
    names = [short_label(name, 30) for name in table["class"]]
    figure.update_yaxes(tickvals=list(range(len(table))), ticktext=names, autorange="reversed")
    figure.update_xaxes(range=[0, 100], title=say.CLASS_ACCURACY)
    return figure


def reliability_figure(
    reliability: Reliability, title: str = "", method: str = "learned"
) -> go.Figure:
    """Accuracy of the pictures in each band of confidence; on the diagonal it can be believed."""
    figure = new_figure(
        340, showlegend=False, title={"text": short_label(title, 80), "font": {"size": 14}}
    )
    filled = [b for b in reliability.bins if b.n]
    figure.add_bar(
        x=[(b.low + b.high) / 2 for b in filled],
        y=[b.accuracy for b in filled],
        width=[0.95 * (b.high - b.low) for b in filled],
        marker_color=kind_colour(method),
        customdata=[[b.n, b.confidence] for b in filled],
        hovertemplate=(say.CONFIDENCE_HOVER + "<extra></extra>"),
    )
    figure.add_scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        line={"color": TEXT_COLOUR, "dash": "dot"},
        hoverinfo="skip",
    )
    figure.update_xaxes(range=[0, 1], title=say.CONFIDENCE, tickformat=".0%")
    figure.update_yaxes(range=[0, 1], title=say.RIGHT, tickformat=".0%")
    return figure


def calibration_table(calibrations: Mapping[str, Calibration]) -> pd.DataFrame:
    """One row a method (by title): calibration error in %, before and after its temperature."""
    return pd.DataFrame(
        [
            {
                "method": title,
                "accuracy %": percent(found.before.accuracy),
                "mean confidence %": percent(found.before.confidence),
                "calibration error %": percent(found.before.ece),
                "temperature": round(found.temperature, 3),
                "error with it %": percent(found.after.ece),
                "on pictures it was not fitted to %": percent(found.honest_ece),
            }
            for title, found in calibrations.items()
        ]
    )


_NAMED_ON_MAP = 20  # classes; more names would hide the pictures


def _class_colours(n: int) -> list[str]:
    """A colour a class: told apart by colour-blind readers while there are few."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    # neighbours in the list are far apart in hue, and lightness alternates
    return [f"hsl({137.5 * i % 360:.0f}, 62%, {(44, 60)[i % 2]}%)" for i in range(n)]


def _name_places(picture_map: Projection, n_classes: int) -> list[tuple[int, float, float]]:
    """(class, x, y): above its pictures, pushed up where another name would be written over."""
    pictures, labels = picture_map.pictures, picture_map.labels
    wide, high = np.ptp(pictures, axis=0) if len(pictures) else (0.0, 0.0)
    there = [label for label in range(n_classes) if (labels == label).any()]
    wanted = {
        label: (
            float(pictures[labels == label, 0].mean()),
            float(np.quantile(pictures[labels == label, 1], 0.9) + 0.03 * high),
        )
        for label in there
    }
    placed: list[tuple[int, float, float]] = []
    for label in sorted(there, key=lambda label: wanted[label][1]):
        x, y = wanted[label]
        for _, other_x, other_y in placed:  # from the lowest up
            if abs(x - other_x) < 0.16 * wide and abs(y - other_y) < 0.055 * high:
                y = other_y + 0.055 * high
        placed.append((label, x, y))
        placed.sort(key=lambda place: place[2])
    return placed


def projection_figure(
    picture_map: Projection, class_names: Sequence[str], picture_names: Sequence[str] = ()
) -> go.Figure:
    """Pictures as dots, class vectors as large marks.

    A picture's customdata is its number among the held-out pictures; class vectors have −1.
    """
    percent = [say.spread(share) for share in picture_map.explained]
    figure = new_figure(520, legend={"orientation": "h", "y": -0.12}, dragmode=False)
    C = len(class_names)
    colours = _class_colours(C)
    for label in range(C):
        rows = np.flatnonzero(picture_map.labels == label)
        figure.add_scatter(
            x=picture_map.pictures[rows, 0],
            y=picture_map.pictures[rows, 1],
            mode="markers",
            name=short_label(class_names[label], 24),
            showlegend=False,  # the class's name stands among its dots instead
            marker={"color": colours[label], "size": 8, "opacity": 0.65},
            customdata=rows,
            text=[
                short_label(picture_names[row]) if picture_names else say.picture(row + 1)
                for row in rows.tolist()
            ],
            hovertemplate="%{text}<extra>" + short_label(class_names[label], 24) + "</extra>",
        )
    symbols = ("star", "x", "diamond", "square", "cross", "triangle-up")
    for at, (method, points) in enumerate(picture_map.vectors.items()):
        title = short_label(said(picture_map.titles[method]))
        figure.add_scatter(
            x=points[:, 0],
            y=points[:, 1],
            mode="markers",
            name=title,
            marker={
                "color": colours,
                "size": 14,
                "symbol": symbols[at % len(symbols)],
                "line": {"color": TEXT_COLOUR, "width": 1.5},
            },
            customdata=[-1] * C,
            text=[short_label(name) for name in class_names],
            hovertemplate="%{text}<extra>" + title + "</extra>",
        )
    if C <= _NAMED_ON_MAP:
        for label, x, y in _name_places(picture_map, C):
            figure.add_annotation(
                x=x,
                y=y,
                text=short_label(class_names[label], 24),
                showarrow=False,
                bgcolor="rgba(128,128,128,0.12)",
                captureevents=False,
            )
    figure.update_xaxes(title=say.first_direction(percent[0]), showticklabels=False)
    figure.update_yaxes(title=say.second_direction(percent[1]), showticklabels=False)
    return figure


def base_to_new_table(found: BaseToNew) -> pd.DataFrame:
    """One row a method, in %: learned and new classes each among their own names, the harmonic
    mean of both, and the pictures of both among all names."""
    return pd.DataFrame(
        [
            {
                "method": row.title,
                "learned classes %": percent(row.base.accuracy),
                "new classes %": percent(row.new.accuracy),
                "harmonic mean %": percent(row.harmonic_mean),
                "among all names %": percent(row.together.accuracy),
                "pictures of learned": row.base.n,
                "pictures of new": row.new.n,
            }
            for row in found.rows
        ]
    )


def base_to_new_figure(found: BaseToNew) -> go.Figure:
    """Accuracy on learned and on new classes, with 95 % intervals.

    Without pictures of new classes, the learned ones among their own names and among all.
    """
    n_base, n_new = len(found.base_names), len(found.new_names)
    if found.n_without_pictures == n_new:
        scores = [(row.title, (row.base, row.together)) for row in found.rows]
        return _paired_bars(scores, (say.learned_names(n_base), say.more_names(n_new)))
    scores = [(row.title, (row.base, row.new)) for row in found.rows]
    return _paired_bars(scores, (say.learned_classes(n_base), say.new_classes(n_new)))


def shift_table(found: Shift) -> pd.DataFrame:
    """One row a method: accuracy here and there, and the fall, in % and points."""
    return pd.DataFrame(
        [
            {
                "method": row.title,
                f"{found.here_name} %": percent(row.here.accuracy),
                f"{found.there_name}, second set %"
                if found.there_name == found.here_name
                else f"{found.there_name} %": percent(row.there.accuracy),
                "fall, points": percent(row.fall),
                "pictures here": row.here.n,
                "pictures there": row.there.n,
            }
            for row in found.rows
        ]
    )


def shift_figure(found: Shift) -> go.Figure:
    """Accuracy where it learned and on the second set, with 95 % intervals."""
    scores = [(row.title, (row.here, row.there)) for row in found.rows]
    return _paired_bars(scores, (said(found.here_name), said(found.there_name)))


def _paired_bars(
    scores: Sequence[tuple[str, tuple[Score, Score]]], names: tuple[str, str]
) -> go.Figure:
    """Two bars a method, each with its interval; what was not measured has no bar."""
    figure = new_figure(
        110 + 60 * len(scores),
        barmode="group",
        legend={"orientation": "h", "y": 1.0, "yanchor": "bottom"},
    )
    for side, colour in enumerate(SIDE_COLOURS):
        own = [pair[side] for _, pair in scores]
        figure.add_bar(
            x=[percent(s.accuracy) for s in own],
            y=list(range(len(scores))),  # positions: two titles may look alike once shortened
            orientation="h",
            name=short_label(names[side]),
            marker_color=colour,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [_reach(s.high, s.accuracy) for s in own],
                "arrayminus": [_reach(s.accuracy, s.low) for s in own],
                "color": TEXT_COLOUR,
            },
            hovertemplate="%{x:.1f} %<extra>" + short_label(names[side]) + "</extra>",
        )
    titles = ["<br>".join(map(short_label, wrap(said(title), 22)[:3])) for title, _ in scores]
    figure.update_yaxes(
        tickvals=list(range(len(scores))), ticktext=titles, autorange="reversed", showgrid=False
    )
    figure.update_xaxes(range=[0, 100], title=say.ACCURACY_AND_INTERVAL)
    return figure


def _reach(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else 100 * (high - low)


def words_table(found: Sequence[VectorWords]) -> pd.DataFrame:
    """One row a context vector: nearest words with cosine and distance, beside a random vector."""

    def shown(words: Sequence[NearWord]) -> str:
        return ", ".join(f"{said(near.word)} ({near.value:.2f})" for near in words)

    rows = []
    for row in found:
        own = {} if row.class_name is None else {"class": row.class_name}
        rows.append(
            {
                **own,
                "vector": row.position,
                "length": round(row.norm, 3),
                "nearest by cosine": shown(row.by_cosine),
                "a random vector's cosine": round(row.random_cosine, 3),
                "nearest by distance": shown(row.by_distance),
                "a random vector's distance": round(row.random_distance, 3),
            }
        )
    return pd.DataFrame(rows)


def words_accuracy_table(found: WordsAccuracy) -> pd.DataFrame:
    """Held-out accuracy in % of the learned vectors and of words in their place."""
    rows = {
        "Learned vectors": found.learned,
        "Nearest words by cosine in their place": found.by_cosine,
        "Nearest words by distance in their place": found.by_distance,
        "Hand-crafted prompt": found.hand_crafted,
    }
    return pd.DataFrame(
        {"prompt": list(rows), "accuracy %": [percent(value) for value in rows.values()]}
    )


def disagreement_table(
    comparison: Comparison, first: str = "learned", second: str = "hand-crafted"
) -> pd.DataFrame:
    """Pictures that exactly one of two methods gets right, with both answers."""
    a, b = comparison.result(first), comparison.result(second)
    parted = disagreements(a.logits, b.logits, comparison.labels)
    names = comparison.class_names
    rows = []
    for right, pictures in (
        (a.title, parted.only_first_right),
        (b.title, parted.only_second_right),
        ("neither", parted.both_wrong),
    ):
        for at in pictures:
            rows.append(
                {
                    "picture": comparison.pictures[at].picture.name,
                    "class": names[int(comparison.labels[at])],
                    "right": right,
                    a.title: names[int(a.predicted[at])],
                    b.title: names[int(b.predicted[at])],
                }
            )
    return pd.DataFrame(rows, columns=["picture", "class", "right", a.title, b.title])
