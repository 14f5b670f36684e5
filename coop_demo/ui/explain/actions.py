"""What the Look tab does to a session: choose, map, check, export."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.data.dataset import Picture, clean_class_name
from coop_demo.errors import UserError
from coop_demo.heatmaps.attribution import MAP_METHODS, compare, explain, methods_for, view_box
from coop_demo.heatmaps.faithfulness import Claim, Curve, assess_together
from coop_demo.heatmaps.render import draw, png_bytes, safe_stem, shrunken, zip_bytes
from coop_demo.languages import look as say
from coop_demo.languages.english import look as in_english
from coop_demo.letters import printable
from coop_demo.prompts.templates import DEFAULT_TEMPLATE, class_weights
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.settings import ASSETS_DIR, LIMITS
from coop_demo.ui.explain.state import (
    AT_RANDOM,
    LEARNED,
    MEANINGLESS,
    MINE,
    WORDS,
    Drawn,
    Looked,
    Subject,
)
from coop_demo.ui.session import Session
from coop_demo.wording import unread_words

_GPU_SECONDS = 60


_NAME_LENGTH = 40  # of a file; four bytes a letter still fit what file systems take


_FILES_KEPT = 8  # of each kind of map, so that one on its way to the browser is still there


MOST_TO_CHOOSE = 120  # pictures in the gallery: two seconds of thumbnails


MOST_IN_STRIP = 12  # classes


MOST_IN_ZIP = 40  # pictures: half a minute on a laptop


SHOWN_SIDE = 640  # pixels: maps are drawn on pictures of this size at most


STRIP_SIDE = 320  # pixels of the small maps of all classes


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
    if source != MINE:
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


def offer(session: Session, source: str) -> tuple[list[Subject], int]:
    """The pictures the page shows to choose from, kept for `offered`, and how many there are.

    Raises:
        UserError: there are none.
    """
    found = subjects(session, source)
    shown = found[:MOST_TO_CHOOSE]
    with session.lock:
        session.look.offered = shown
    return shown, len(found)


def offered(session: Session, index: object) -> Subject:
    """One of the pictures that were shown last, whatever became of the classes since.

    Raises:
        UserError: there is no such picture.
    """
    shown = session.look.offered
    if not isinstance(index, int) or not 0 <= index < len(shown):
        raise UserError(say.UNKNOWN_PICTURE)
    return shown[index]


def dropped(session: Session, path: str) -> Subject:
    """A picture a person handed over. Raises UserError when it cannot be read."""
    picture = session.take(Picture(Path(path).name, Path(path)))
    return Subject(picture, _known_classes(session))


def choose(session: Session, subject: Subject) -> None:
    """Make this the picture to look at.

    Another tab may do so before it opens this one: the maps are then drawn as the tab opens.
    """
    with session.lock:
        _begin(session)
        look = session.look
        look.subject, look.looked, look.fresh = subject, None, True


def is_fresh(session: Session) -> bool:
    """Whether a picture was chosen that was not looked at yet."""
    return session.look.fresh


def taken_up(session: Session) -> bool:
    """`is_fresh`, and from now on it is not."""
    with session.lock:
        fresh, session.look.fresh = session.look.fresh, False
        return fresh


def chosen(session: Session) -> Subject | None:
    return session.look.subject


def looked_at(session: Session) -> Looked | None:
    """What was drawn last, with the model in use."""
    return session.look.looked


def forget(session: Session) -> None:
    """Maps of another model say nothing about the one now in use."""
    with session.lock:
        _begin(session)
        session.look.looked = None


def fitting_methods(model: str) -> list[tuple[str, str]]:
    """(title, name) of the methods that can be asked for with a model, its own choice first.

    Raises:
        UserError: the model cannot be loaded.
    """
    fitting = methods_for(shared_backbone(model))
    titles = {name: title for title, name in say.MAP_METHOD_TITLES.items()}
    return [(say.its_own(titles[fitting[0]]), "auto"), *((titles[m], m) for m in fitting[1:])]


def check_question(wanted: object, method: object) -> tuple[str, str]:
    """Raises UserError: nothing asked, too long, or an unknown method."""
    asked = " ".join(printable(str(wanted or "")).split())
    if not asked:
        raise UserError(say.NOTHING_WANTED)
    if len(asked) > LIMITS.max_template:
        raise UserError(say.WANTED_TOO_LONG)
    if method not in ("auto", *MAP_METHODS):
        raise UserError(say.no_such_method(str(method)))
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
    if unread := backbone.unread_words([wanted]):
        remark = f"{remark} {unread_words(unread)}".strip()
    if learned is None:
        words, taught, change = explain(backbone, image, hand, method), None, None
    else:
        both = compare(backbone, image, learned, hand, method)
        words, taught, change = both.hand_crafted, both.learned, both.difference
    return Looked(
        image,
        subject.picture.name,
        view_box(backbone, image.size),
        names,
        index,
        words,
        taught,
        change,
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
    claims = {WORDS: Claim(looked.words, hand, looked.index)}
    if looked.learned is not None and learned is not None:
        claims[LEARNED] = Claim(looked.learned, learned, looked.index)
    checks = assess_together(backbone, looked.image, list(claims.values()))
    return replace(looked, checks=tuple(zip(claims, checks, strict=True)))


def look(session: Session, wanted: object, method: object) -> Iterator[Looked]:
    """First the maps, then the same with their checks; both are kept in the session.

    Ends without a word when another look was begun meanwhile: what is shown last is what was
    asked for last.

    Raises:
        UserError: no picture is chosen, or as `check_question` and `maps_of`.
    """
    asked, how = check_question(wanted, method)
    subject = chosen(session)
    if subject is None:
        raise UserError(say.NO_PICTURE)
    number = _begin(session)
    given = _given(session, subject)
    looked = maps_of(subject, asked, how, **given)
    if not _keep(session, number, looked):
        return
    yield looked
    looked = checks_of(looked, subject, **given)
    if _keep(session, number, looked):
        yield looked


def maps_of_set(
    session: Session, source: str, method: object, *, opacity: float, cells: bool = False
) -> Iterator[tuple[int, int, bytes | None, str]]:
    """(done, total, None, "") after each picture; the zip and what to say of it come last.

    A scene is asked for each of its things, a picture of a person's set for its own class.

    Raises:
        UserError: there are no pictures, or none of them can be drawn.
    """
    every_one = subjects(session, source)
    named = [subject for subject in every_one if subject.own or subject.class_names]
    found = named[:MOST_IN_ZIP]
    if not found:
        raise UserError(say.NONE_NAMED)
    given = _given(session)
    pictures: dict[str, Image.Image] = {}
    for done, subject in enumerate(found, start=1):
        wanted = subject.own or subject.class_names[0]
        looked = maps_of(subject, *check_question(wanted, method), **given)
        every = range(len(looked.texts)) if not subject.own else (looked.index,)
        for index in every:
            drawn = drawings(replace(looked, index=index), opacity=opacity, cells=cells)
            name = _free(f"{subject.picture.name}-{looked.texts[index]}", pictures)
            pictures |= _named(name, drawn)
        yield done, len(found), None, ""
    remark = say.drawn_set(len(found), len(every_one), len(every_one) - len(named), MOST_IN_ZIP)
    yield len(found), len(found), zip_bytes(pictures), remark


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
    image, box = shrunken(looked.image, looked.box, STRIP_SIDE)
    shown = list(zip(looked.texts, maps.maps, maps.scores, strict=True))[:MOST_IN_STRIP]
    return [
        (
            draw(image, maps.grid, one, box=box, opacity=opacity, smooth=not cells),
            say.scored(title, float(score)),
        )
        for title, one, score in shown
    ]


def shuffled(looked: Looked, *, opacity: float = 0.7, cells: bool = False) -> Image.Image | None:
    """The map of the meaningless text the last check was made with; None before a check."""
    if not looked.checks:
        return None
    _, check = looked.checks[-1]
    return draw(
        looked.image,
        looked.words.grid,
        check.shuffled_map,
        box=looked.box,
        opacity=opacity,
        smooth=not cells,
    )


def zip_of(looked: Looked, *, opacity: float, cells: bool) -> bytes:
    """All maps of this picture, as PNGs."""
    pictures: dict[str, Image.Image] = {}
    for index, title in enumerate(looked.texts):
        drawn = drawings(replace(looked, index=index), opacity=opacity, cells=cells)
        pictures |= _named(_free(f"{looked.name}-{title}", pictures), drawn)
    return zip_bytes(pictures)


def saved_png(session: Session, kind: str, name: str, picture: Image.Image) -> Path:
    """The picture as a file whose name says what it is; the last few of each kind are kept."""
    folder = session.folder / "maps" / kind
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{safe_stem(name[:_NAME_LENGTH])}-{kind}.png"
    path.write_bytes(png_bytes(picture))
    newest_first = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in newest_first[_FILES_KEPT:]:
        old.unlink(missing_ok=True)
    return path


def as_numbers(looked: Looked) -> dict[str, Any]:
    """What was found, for programs: cosines and, once checked, areas and sentences."""
    prompts = {WORDS: looked.words, LEARNED: looked.learned}
    checks = dict(looked.checks)
    found: dict[str, Any] = {}
    for name, explanation in prompts.items():
        if explanation is None:
            continue
        one: dict[str, Any] = {
            "cosines": dict(zip(looked.texts, explanation.scores.tolist(), strict=True)),
            "empty": bool(explanation.empty[looked.index]),
        }
        if name in checks:
            one |= checks[name].as_numbers()
        found[name] = one
    return {
        "wanted": looked.wanted,
        "method": looked.words.method,
        "target": looked.words.target,
        "grid": list(looked.words.grid.shape),
        "seconds": looked.seconds,
        "prompts": found,
    }


def curves(looked: Looked, kind: Literal["deletion", "insertion"]) -> list[tuple[str, Curve]]:
    """Every curve of the check with its name.

    One for each prompt's map; random places and the meaningless text's map as the prompt named
    last sees them.
    """
    found: list[tuple[str, Curve]] = []
    for title, check in looked.checks:
        found.append((title, check.deletion if kind == "deletion" else check.insertion))
    for _, check in looked.checks[-1:]:
        if kind == "deletion":
            chance, meaningless = check.random_deletion, check.shuffled_deletion
        else:
            chance, meaningless = check.random_insertion, check.shuffled_insertion
        found += [(AT_RANDOM, chance), (MEANINGLESS, meaningless)]
    return found


def _known_classes(session: Session) -> tuple[str, ...]:
    """The classes of the learned prompt, else those named in the tab Teach."""
    current = session.current
    return current.prompt.class_names if current else tuple(session.named_classes())


def _given(session: Session, subject: Subject | None = None) -> dict:
    brought = subject.prompts if subject else None
    if brought and brought.model == session.backbone:
        return dict(vars(brought))
    current = session.current
    template = current.template if current else session.template or DEFAULT_TEMPLATE
    return {
        "model": session.backbone,
        "template": template,
        "prompt": current.prompt if current else None,
    }


def _begin(session: Session) -> int:
    """The number of a look; any older one is of no interest from now on."""
    with session.lock:
        session.look.number += 1
        return session.look.number


def _keep(session: Session, number: int, looked: Looked) -> bool:
    """Keep it, unless something else is looked at by now."""
    with session.lock:
        if session.look.number != number:
            return False
        session.look.looked = looked
        return True


def _free(name: str, pictures: Mapping[str, Image.Image]) -> str:
    """The name, numbered where another picture of the set has the same."""
    name = name[:_NAME_LENGTH]
    number, free = 1, name
    while any(key.startswith(f"{free}-") for key in pictures):
        number += 1
        free = f"{name[: _NAME_LENGTH - 5]} ({number})"
    return free


def _named(name: str, drawn: Drawn) -> dict[str, Image.Image]:
    name = name[:_NAME_LENGTH]
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
        return torch.cat([own, *rest]), None, in_english.FREE_TEXT if prompt else ""
    hand = class_weights(backbone, names, [template])
    if prompt is None:
        return hand, None, in_english.NO_PROMPT
    known = {name.casefold(): row for row, name in enumerate(prompt.class_names)}
    if all(name.casefold() in known for name in names):
        rows = torch.tensor([known[name.casefold()] for name in names])
        return hand, prompt.class_weights[rows], ""
    if prompt.prompt_config.class_specific:
        return hand, None, in_english.CLASS_SPECIFIC
    with torch.no_grad(), backbone.autocast():
        learned = prompt.learner(backbone).with_class_names(names)().float().cpu()
    return hand, learned, in_english.BORROWED
