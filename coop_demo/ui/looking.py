"""What the Look tab does in a session: choosing a picture, its maps under both prompts, the check.

Everything that computes with the model is a `gpu_job`, so that it runs on ZeroGPU too.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.datasets import Picture, clean_class_name
from coop_demo.errors import UserError
from coop_demo.heatmaps.attribution import (
    METHODS,
    Explanation,
    difference,
    explain,
    view_box,
)
from coop_demo.heatmaps.faithfulness import Curve, Faithfulness, assess
from coop_demo.heatmaps.render import draw, zip_bytes
from coop_demo.prompts.templates import DEFAULT_TEMPLATE, class_weights
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.settings import ASSETS_DIR
from coop_demo.ui import look_text as say
from coop_demo.ui.session import Session

_TAB = "look"
_GPU_SECONDS = 60
MOST_TO_CHOOSE = 60  # pictures in the gallery
MOST_IN_STRIP = 12  # classes
MOST_IN_ZIP = 40  # pictures: half a minute on a laptop
SHOWN_SIDE = 640  # pixels: maps are drawn on pictures of this size at most


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture to look at and the class names it is told apart by."""

    picture: Picture
    class_names: tuple[str, ...]
    own: str = ""  # the class it is known to show


@dataclass(frozen=True, eq=False)
class Looked:
    """The maps of one picture.

    `words` and `learned` hold a map for each of `texts`; `index` is the one asked for. A free
    text stands first, before the class names. `learned` is None where a learned prompt has
    nothing to say, and `remark` says why.
    """

    image: Image.Image = field(repr=False)
    name: str
    box: tuple[float, float, float, float]
    texts: tuple[str, ...]
    index: int
    words: Explanation
    learned: Explanation | None
    difference: Tensor | None  # (T, h, w)
    remark: str
    seconds: float
    checks: tuple[tuple[str, Faithfulness], ...] = ()  # (prompt's title, check)

    @property
    def wanted(self) -> str:
        return self.texts[self.index]


@dataclass(frozen=True, eq=False)
class Drawn:
    """The maps asked for as pictures; the learned ones None where there are none."""

    words: Image.Image
    learned: Image.Image | None
    difference: Image.Image | None


@cache
def scenes(folder: Path = ASSETS_DIR / "samples" / "scenes") -> tuple[Subject, ...]:
    """The sample scenes with the names of what is on them."""
    table = folder / "objects.json"
    if not table.is_file():
        return ()
    found = []
    for name, objects in sorted(json.loads(table.read_text(encoding="utf-8")).items()):
        names = tuple(dict.fromkeys(entry["name"] for entry in objects))
        found.append(Subject(Picture(name, folder / "pictures" / name).checked(), names))
    return tuple(found)


def subjects(session: Session, source: str) -> list[Subject]:
    """The pictures to choose from. Raises UserError when there are none."""
    if source != say.MINE:
        return list(scenes())
    names = _known_classes(session)
    found: list[Subject] = []
    with session.lock:
        for row in session.rows:
            own = clean_class_name(row.name)
            found += [Subject(picture, names, own) for picture in (*row.pictures, *row.test)]
    if not found:
        raise UserError(say.NO_MINE)
    return found


def dropped(session: Session, path: str) -> Subject:
    """A picture a person handed over. Raises UserError when it cannot be read."""
    picture = session.take(Picture(Path(path).name, Path(path)))
    return Subject(picture, _known_classes(session))


def choose(session: Session, subject: Subject) -> None:
    """Make this the picture to look at. Another tab may do so before it opens this one."""
    with session.lock:
        session.by_tab.setdefault(_TAB, {}).update(subject=subject, looked=None)


def chosen(session: Session) -> Subject | None:
    return session.by_tab.get(_TAB, {}).get("subject")


def looked_at(session: Session) -> Looked | None:
    """What was drawn last, with the model in use."""
    return session.by_tab.get(_TAB, {}).get("looked")


def forget(session: Session) -> None:
    """Maps of another model say nothing about the one now in use."""
    with session.lock:
        session.by_tab.setdefault(_TAB, {})["looked"] = None


def check_question(wanted: object, method: object) -> tuple[str, str]:
    """Raises UserError: nothing asked, too long, or an unknown method."""
    asked = " ".join(str(wanted or "").split())
    if not asked:
        raise UserError(say.NOTHING_WANTED)
    if len(asked) > 300:
        raise UserError(say.WANTED_TOO_LONG)
    if method not in ("auto", *METHODS):
        raise UserError(f"There is no method “{str(method)[:40]}”. Choose one of those shown.")
    return asked, str(method)


@gpu_job(duration=_GPU_SECONDS)
def maps_of(
    subject: Subject,
    wanted: str,
    method: str,
    *,
    model: str,
    template: str,
    prompt: LearnedPrompt | None,
) -> Looked:
    """The maps of a picture for a class or a free text, under both prompts.

    Raises:
        UserError: the picture cannot be read, or the method does not fit the model.
    """
    started = time.perf_counter()
    backbone = shared_backbone(model)
    image = subject.picture.load()
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    names, index = _texts(subject.class_names, wanted)
    hand, learned, remark = _vectors(backbone, names, index, subject, template, prompt)
    words = explain(backbone, image, hand, method)
    taught = None if learned is None else explain(backbone, image, learned, method)
    return Looked(
        image,
        subject.picture.name,
        view_box(backbone, image.size),
        names,
        index,
        words,
        taught,
        None if taught is None else difference(taught, words),
        remark,
        time.perf_counter() - started,
    )


@gpu_job(duration=_GPU_SECONDS)
def checks_of(
    looked: Looked, subject: Subject, *, model: str, template: str, prompt: LearnedPrompt | None
) -> Looked:
    """The same with the check of each of the maps asked for."""
    backbone = shared_backbone(model)
    hand, learned, _ = _vectors(backbone, looked.texts, looked.index, subject, template, prompt)
    pairs = [(say.WORDS, looked.words, hand), (say.LEARNED, looked.learned, learned)]
    checks = tuple(
        (title, assess(backbone, looked.image, maps, vectors, index=looked.index))
        for title, maps, vectors in pairs
        if maps is not None and vectors is not None
    )
    return replace(looked, checks=checks)


def look(session: Session, wanted: object, method: object) -> Iterator[Looked]:
    """First the maps, then the same with their checks; both are kept in the session.

    Raises:
        UserError: no picture is chosen, or as `check_question` and `maps_of`.
    """
    asked, how = check_question(wanted, method)
    subject = chosen(session)
    if subject is None:
        raise UserError(say.NO_PICTURE)
    given = _given(session)
    looked = maps_of(subject, asked, how, **given)
    _keep(session, subject, looked)
    yield looked
    looked = checks_of(looked, subject, **given)
    _keep(session, subject, looked)
    yield looked


def maps_of_set(
    session: Session, source: str, method: object, *, opacity: float
) -> Iterator[tuple[int, int, bytes | None]]:
    """(done, total, None) after each picture, and the zip with the last.

    A scene is asked for each of its things, a picture of a person's set for its own class.

    Raises:
        UserError: there are no pictures, or none of them can be drawn.
    """
    found = [subject for subject in subjects(session, source) if subject.class_names]
    found = found[:MOST_IN_ZIP]
    given = _given(session)
    pictures: dict[str, Image.Image] = {}
    for done, subject in enumerate(found, start=1):
        wanted = subject.own or subject.class_names[0]
        looked = maps_of(subject, *check_question(wanted, method), **given)
        every = range(len(looked.texts)) if not subject.own else (looked.index,)
        for index in every:
            drawn = drawings(replace(looked, index=index), opacity=opacity)
            pictures |= _named(f"{subject.picture.name}-{looked.texts[index]}", drawn)
        yield done, len(found), None
    yield len(found), len(found), zip_bytes(pictures)


def drawings(looked: Looked, *, opacity: float = 0.7, cells: bool = False) -> Drawn:
    """The maps over the picture."""

    def one(values: Tensor | None, *, two_sided: bool = False) -> Image.Image | None:
        if values is None:
            return None
        return draw(
            looked.image,
            looked.words.grid,
            values,
            box=looked.box,
            opacity=opacity,
            two_sided=two_sided,
            smooth=not cells,
        )

    at = looked.index
    words = one(looked.words.maps[at])
    assert words is not None
    return Drawn(
        words,
        one(None if looked.learned is None else looked.learned.maps[at]),
        one(None if looked.difference is None else looked.difference[at], two_sided=True),
    )


def strip(
    looked: Looked, *, opacity: float = 0.7, cells: bool = False
) -> list[tuple[Image.Image, str]]:
    """Every class's map, each to its own scale, captioned with its name and cosine.

    The learned prompt's where there is one. [] for a single text.
    """
    maps = looked.learned or looked.words
    if len(looked.texts) < 2:
        return []
    return [
        (
            draw(looked.image, maps.grid, one, box=looked.box, opacity=opacity, smooth=not cells),
            say.scored(title, float(score)),
        )
        for title, one, score in zip(looked.texts, maps.maps, maps.scores, strict=True)
    ][:MOST_IN_STRIP]


def zip_of(looked: Looked, *, opacity: float, cells: bool) -> bytes:
    """All maps of this picture, as PNGs."""
    pictures: dict[str, Image.Image] = {}
    for index, title in enumerate(looked.texts):
        drawn = drawings(replace(looked, index=index), opacity=opacity, cells=cells)
        pictures |= _named(f"{looked.name}-{title}", drawn)
    return zip_bytes(pictures)


def curve_frame(looked: Looked, kind: Literal["deletion", "insertion"]) -> pd.DataFrame:
    """Columns removed (percent of the picture), value and series, for a line chart.

    A series for each prompt's map, and random order as the prompt named last sees it.
    """
    rows: list[tuple[float, float, str]] = []

    def add(curve: Curve, series: str) -> None:
        for fraction, score in zip(curve.fractions, curve.scores, strict=True):
            rows.append((100 * fraction, score, series))

    for title, check in looked.checks:
        add(check.deletion if kind == "deletion" else check.insertion, title)
    for title, check in looked.checks[-1:]:
        chance = check.random_deletion if kind == "deletion" else check.random_insertion
        add(chance, say.LEARNED_AT_RANDOM if title == say.LEARNED else say.AT_RANDOM)
    return pd.DataFrame(rows, columns=["removed", "value", "series"])


# ---- helpers


def _known_classes(session: Session) -> tuple[str, ...]:
    """The classes of the learned prompt, else those named in the tab Teach."""
    current = session.current
    return current.prompt.class_names if current else tuple(session.named_classes())


def _given(session: Session) -> dict:
    current = session.current
    template = current.template if current else session.template or DEFAULT_TEMPLATE
    return {
        "model": session.backbone,
        "template": template,
        "prompt": current.prompt if current else None,
    }


def _keep(session: Session, subject: Subject, looked: Looked) -> None:
    with session.lock:
        tab = session.by_tab.setdefault(_TAB, {})
        if tab.get("subject") is subject:  # not when another picture was chosen meanwhile
            tab["looked"] = looked


def _named(name: str, drawn: Drawn) -> dict[str, Image.Image]:
    found = {f"{name}-hand-crafted": drawn.words}
    if drawn.learned is not None and drawn.difference is not None:
        found |= {f"{name}-learned": drawn.learned, f"{name}-difference": drawn.difference}
    return found


def _texts(class_names: Sequence[str], wanted: str) -> tuple[tuple[str, ...], int]:
    """What is drawn, and which of it was asked for.

    The rivals of a free text are the classes it does not name: a class that it names would be
    set against itself.
    """
    for index, name in enumerate(class_names):
        if name.casefold() == wanted.casefold():
            return tuple(class_names), index
    rivals = [name for name in class_names if name.casefold() not in wanted.casefold()]
    return (wanted, *rivals), 0


def _vectors(
    backbone: Backbone,
    names: tuple[str, ...],
    index: int,
    subject: Subject,
    template: str,
    prompt: LearnedPrompt | None,
) -> tuple[Tensor, Tensor | None, str]:
    """Text vectors (T, d) of the hand-crafted and the learned prompt, and a remark."""
    if names[index] not in subject.class_names:  # a free text, as it stands
        own = backbone.text_features([names[0]])
        rest = [class_weights(backbone, names[1:], [template])] if len(names) > 1 else []
        return torch.cat([own, *rest]), None, say.FREE_TEXT if prompt else ""
    hand = class_weights(backbone, names, [template])
    if prompt is None:
        return hand, None, say.NO_PROMPT
    known = {name.casefold(): row for row, name in enumerate(prompt.class_names)}
    if all(name.casefold() in known for name in names):
        rows = torch.tensor([known[name.casefold()] for name in names])
        return hand, prompt.class_weights[rows], ""
    if prompt.prompt_config.class_specific:
        return hand, None, say.CLASS_SPECIFIC
    with torch.no_grad(), backbone.autocast():
        learned = prompt.learner(backbone).with_class_names(names)().float().cpu()
    return hand, learned, say.BORROWED
