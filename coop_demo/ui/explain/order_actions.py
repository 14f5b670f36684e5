"""The Look tab's maps of a ranker: choose, map, export."""

import time
from collections.abc import Sequence
from dataclasses import replace

from PIL import Image

from coop_demo.data.dataset import Picture
from coop_demo.errors import RankingError
from coop_demo.heatmaps.ranker import Layer, order_maps
from coop_demo.heatmaps.render import draw_layer, shrunken, whole_box, zip_bytes
from coop_demo.languages import look as say
from coop_demo.ranking.instructions import check_instruction
from coop_demo.ranking.order import Order
from coop_demo.runtime import gpu_job, shared_backbone
from coop_demo.ui.explain import actions
from coop_demo.ui.explain.actions import SHOWN_SIDE, STRIP_SIDE
from coop_demo.ui.explain.state import OrderLookState, RankedLook, RankedSubject
from coop_demo.ui.session import Session

_GPU_SECONDS = 60


Captioned = tuple[Image.Image, str]


def choose(session: Session, order: Order, pictures: Sequence[Picture]) -> None:
    """Make these the pictures whose ranking is looked at, as the tab Look opens.

    Raises:
        RankingError: not one or two different pictures, or no ranker ranked them.
    """
    if order.ranker is None:
        raise RankingError(say.NO_RANKER)
    ranking = tuple(order.pictures[at] for at in order.ranking(order.leading))
    _choose(
        session,
        RankedSubject(tuple(pictures), order.asked, ranking, order.backbone, order.ranker),
    )


def choose_again(session: Session, places: Sequence[int]) -> None:
    """Other pictures of the same order, by their places in it, counted from 0.

    Raises:
        RankingError: nothing was chosen before, or as `choose`.
    """
    subject = chosen(session)
    if subject is None:
        raise RankingError(say.NOTHING_RANKED)
    _choose(session, replace(subject, pictures=tuple(subject.order[at] for at in places)))


def _choose(session: Session, subject: RankedSubject) -> None:
    n = len(subject.pictures)
    if n not in (1, 2):
        raise RankingError(say.one_or_two(n))
    if n == 2 and subject.pictures[0] is subject.pictures[1]:
        raise RankingError(say.SAME_PICTURE)
    actions.taken_up(session)  # what was chosen last is looked at, and nothing else
    with session.lock:
        session.order_look = OrderLookState(subject, fresh=True)


def chosen(session: Session) -> RankedSubject | None:
    return session.order_look.subject


def looked_at(session: Session) -> RankedLook | None:
    return session.order_look.looked


def is_fresh(session: Session) -> bool:
    """Whether pictures were chosen that were not looked at yet."""
    return session.order_look.fresh


def taken_up(session: Session) -> bool:
    """`is_fresh`, and from now on it is not."""
    with session.lock:
        fresh, session.order_look.fresh = session.order_look.fresh, False
        return fresh


def forget(session: Session) -> None:
    """Nothing of an order is looked at any more."""
    with session.lock:
        session.order_look = OrderLookState()


def look(session: Session) -> RankedLook:
    """The maps of what was chosen, kept in the session.

    Raises:
        RankingError: nothing was chosen.
        UserError: a picture cannot be read.
    """
    subject = chosen(session)
    if subject is None:
        raise RankingError(say.NOTHING_RANKED)
    looked = _maps_of(subject)
    with session.lock:
        if session.order_look.subject is subject:  # not when others were chosen meanwhile
            session.order_look.looked = looked
    return looked


@gpu_job(duration=_GPU_SECONDS)
def _maps_of(subject: RankedSubject) -> RankedLook:
    started = time.perf_counter()
    backbone = shared_backbone(subject.model)
    instruction = check_instruction(subject.instruction, backbone)
    images = [picture.load() for picture in subject.pictures]
    adapter = subject.ranker.adapter(backbone.device, instruction)
    maps = order_maps(adapter, backbone, images, instruction)
    for image in images:
        image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    return RankedLook(
        instruction,
        tuple(picture.name.rsplit("/", 1)[-1] for picture in subject.pictures),
        tuple(images),
        tuple(whole_box(image.size) for image in images),
        maps,
        time.perf_counter() - started,
    )


def pair_pictures(looked: RankedLook, *, opacity: float, cells: bool) -> list[Captioned]:
    """Rank-aware attention on both pictures, then what pushed the first ahead; [] for one."""
    pair, found = looked.maps.pair, []
    for layer, caption in (
        (looked.maps.attention(), say.attention_on),
        (looked.maps.pull(), say.pull_on),
    ):
        if pair is None or layer is None:
            return []
        pictures = _drawn(looked, layer, opacity, cells)
        for at, picture in enumerate(pictures):
            found.append((picture, caption(looked.names[at], float(pair.attention[at].sum()))))
    return found


def score_pictures(looked: RankedLook, *, opacity: float, cells: bool) -> list[Captioned]:
    """What raises and what lowers each picture's score, all to one scale."""
    pictures = _drawn(looked, looked.maps.score(), opacity, cells)
    return [
        (picture, say.scored_as(name, one.score))
        for picture, name, one in zip(pictures, looked.names, looked.maps.scores, strict=True)
    ]


def word_pictures(looked: RankedLook, *, opacity: float, cells: bool) -> list[Captioned]:
    """Where each word of the instruction is read more than on average, picture by picture."""
    words = looked.maps.words[0].words
    drawn = [
        _drawn(looked, looked.maps.word(index), opacity, cells, side=STRIP_SIDE)
        for index in range(len(words))
    ]
    found = []
    for at, own in enumerate(looked.maps.words):
        name = looked.names[at] if len(looked.names) > 1 else ""
        for index, word in enumerate(words):
            found.append((drawn[index][at], say.word_read(word, own.shares[index], name)))
    return found


def zip_of(looked: RankedLook, *, opacity: float, cells: bool) -> bytes:
    """All these maps as PNGs."""
    kinds = {
        "pair": pair_pictures(looked, opacity=opacity, cells=cells),
        "score": score_pictures(looked, opacity=opacity, cells=cells),
        "word": word_pictures(looked, opacity=opacity, cells=cells),
    }
    return zip_bytes(
        {
            f"{kind}-{number:02}-{caption[:40]}": picture
            for kind, pictures in kinds.items()
            for number, (picture, caption) in enumerate(pictures, start=1)
        }
    )


def _drawn(
    looked: RankedLook, layer: Layer, opacity: float, cells: bool, *, side: int = SHOWN_SIDE
) -> list[Image.Image]:
    """One layer over each picture."""
    sized = [
        shrunken(image, box, side) for image, box in zip(looked.images, looked.boxes, strict=True)
    ]
    return draw_layer(layer, looked.maps.grid, sized, opacity=opacity, cells=cells)
