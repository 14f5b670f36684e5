"""What the tab Archive does: an order by words or by a class, its pictures, its list."""

import csv
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from coop_demo.archive.indexing import ArchivePicture
from coop_demo.archive.sources import Entry, open_source
from coop_demo.backbones.backbone import Backbone
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.errors import PictureError, UserError
from coop_demo.languages import archive as say
from coop_demo.prompts.templates import probabilities
from coop_demo.ranking.baselines import antonym_scores
from coop_demo.ranking.instructions import check_instruction
from coop_demo.ranking.reading import antonyms_for
from coop_demo.runtime import shared_backbone
from coop_demo.ui.archive.state import SHARED, Arranged, OpenIndex
from coop_demo.ui.session import Session

SHOWN = 24  # of each end
_SIDE = 160  # of a thumbnail
_AT_ONCE = 8_192  # features brought to single precision at a time


def opened(session: Session) -> OpenIndex:
    """The index with this session's model.

    Raises:
        UserError: there is none, it is of another model, too large, or damaged.
    """
    return SHARED.get(shared_backbone(session.backbone).identity)


def class_names(session: Session) -> tuple[str, ...]:
    """Those of the prompt in use; none without one."""
    taught = session.current
    return taught.prompt.class_names if taught else ()


def by_words(session: Session, instruction: str, only: str = "") -> Arranged:
    """The order by two opposite prompts that are made from an instruction.

    Raises:
        UserError: the instruction or the class cannot be used.
    """
    index, backbone = opened(session), shared_backbone(session.backbone)
    pair = antonyms_for(check_instruction(instruction, backbone))
    scores = torch.cat([antonym_scores(backbone, part, pair) for part in _parts(index)])
    return _arranged(session, index, backbone, scores, say.by_words(pair.high, pair.low), only)


def by_class(session: Session, name: str, only: str = "") -> Arranged:
    """The order by how likely the session's prompt finds a class.

    Raises:
        UserError: there is no prompt, or it has no such class.
    """
    index, backbone = opened(session), shared_backbone(session.backbone)
    likely = _probabilities(session, index, backbone)
    at = _class_number(session, name)
    return _arranged(session, index, backbone, likely[:, at].double(), say.by_class(name), only)


def pictures(session: Session, arranged: Arranged, places: range) -> tuple[list, int]:
    """(thumbnail, caption) of the pictures at these places, and how many could not be opened."""
    folder = session.folder / "archive"
    folder.mkdir(exist_ok=True)
    shown, n_lost = [], 0
    for at in places:
        position = int(arranged.positions[at])
        path = arranged.index.paths[position]
        small = folder / f"{arranged.index.contents[position]}.jpg"
        try:
            if not small.is_file():
                _shrink(path, small)
        except PictureError:
            n_lost += 1
            continue
        shown.append((str(small), say.place(at + 1, float(arranged.scores[at]))))
    return shown, n_lost


def ends(arranged: Arranged) -> tuple[range, range]:
    """Places of the first and of the last pictures, none in both; the last from the end."""
    n = len(arranged.positions)
    first = min(SHOWN, (n + 1) // 2)
    return range(first), range(n - 1, max(first, n - SHOWN) - 1, -1)


def write_list(session: Session, arranged: Arranged) -> Path:
    """The whole order as a CSV: place, picture, score and, with a prompt, the class."""
    path = session.folder / "archive.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        with_class = bool(arranged.called)
        writer.writerow(["place", "picture", "score", *(["class"] if with_class else [])])
        for at, position in enumerate(arranged.positions.tolist()):
            row = [at + 1, arranged.index.paths[position], f"{arranged.scores[at]:.6g}"]
            row += [arranged.called[at]] if with_class else []
            writer.writerow([spreadsheet_safe(cell) for cell in row])
    return path


def _arranged(
    session: Session, index: OpenIndex, backbone: Backbone, scores: Tensor, by: str, only: str
) -> Arranged:
    values = scores.numpy()
    order = np.argsort(-values, kind="stable")
    called: tuple[str, ...] = ()
    if session.current is not None:
        names = class_names(session)
        numbers = _probabilities(session, index, backbone).argmax(dim=-1).numpy()
        if only:
            order = order[numbers[order] == _class_number(session, only)]
        called = tuple(names[i] for i in numbers[order])
    elif only:
        raise UserError(say.NO_PROMPT)
    if not len(order):
        raise UserError(say.NOTHING_LEFT)
    return Arranged(index, by, only, order, values[order], called)


def _probabilities(session: Session, index: OpenIndex, backbone: Backbone) -> Tensor:
    """(N, C), of the session's prompt."""
    taught = session.current
    if taught is None:
        raise UserError(say.NO_PROMPT)
    weights = taught.prompt.class_weights
    return torch.cat([probabilities(p, weights, backbone.logit_scale) for p in _parts(index)])


def _class_number(session: Session, name: str) -> int:
    names = class_names(session)
    if name not in names:
        raise UserError(say.NO_PROMPT)
    return names.index(name)


def _parts(index: OpenIndex) -> list[Tensor]:
    if not len(index.features):
        raise UserError(say.NOTHING_LEFT)
    return [part.float() for part in index.features.split(_AT_ONCE)]


def _shrink(path: str, small: Path) -> None:
    """Paths come from the index that the app's owner named, never from a visitor."""
    source = open_source(path) if "://" in path else _File()
    image = ArchivePicture(source, Entry(path)).load()
    image.thumbnail((_SIDE, _SIDE))
    image.save(small, "JPEG", quality=85)


class _File:
    """Reads a file of this computer."""

    name = ""

    def entries(self):
        return iter(())

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def check(self) -> None:
        """There is nothing to check."""
