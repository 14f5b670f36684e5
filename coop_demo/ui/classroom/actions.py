"""What the tab Class does: who trains what, handing out a set, a ballot on one picture."""

from dataclasses import dataclass
from pathlib import Path

from coop_demo import samples
from coop_demo.backbones.features import encode_all
from coop_demo.data.dataset import Picture
from coop_demo.errors import UserError
from coop_demo.languages import classroom as say
from coop_demo.languages import said
from coop_demo.prompts.templates import probabilities
from coop_demo.runtime import shared_backbone
from coop_demo.ui.classroom.state import Ballot, Classroom, HandedOut, Vote
from coop_demo.ui.session import Session
from coop_demo.ui.teach.actions import open_sample, take_set


@dataclass(frozen=True)
class Row:
    """One member, as the class sees them. Accuracies are shares of held-out pictures, or None."""

    nickname: str
    source: str
    training: str
    learned: float | None
    words: float | None


def roster(classroom: Classroom) -> list[Row]:
    """Who joined, in that order."""
    with classroom.lock:
        members = list(classroom.members.values())
    return [_row(nickname, session) for nickname, session in members]


def _row(nickname: str, session: Session) -> Row:
    under_way = session.under_way.get(session.backbone)
    taught = under_way.taught if under_way and session.training else session.current
    training = ""
    if session.training and under_way:
        training = say.training_at(under_way.state.step, under_way.total_steps)
    elif session.training:
        training = "…"
    verdict = taught.verdict if taught else None
    return Row(
        nickname,
        session.source,
        training,
        verdict.learned_right / verdict.n_test if verdict and verdict.n_test else None,
        verdict.words_right / verdict.n_test if verdict and verdict.n_test else None,
    )


def sets_to_hand_out() -> list[tuple[str, str]]:
    """(title, name) of the sample sets, after the teacher's own."""
    known = [(said(one.title), one.name) for one in samples.sample_sets() if one.teaches]
    return [(say.MY_SET, ""), *known]


def hand_out(classroom: Classroom, session: Session, name: str) -> HandedOut:
    """Offer a sample set, or the teacher's own, to everybody.

    Raises:
        UserError: it is not the teacher who asks, there is no such set, or theirs is not complete.
    """
    classroom.check_teacher(session)
    if name and name not in {known for _, known in sets_to_hand_out()}:
        raise UserError(say.no_such_set(name))
    if name:
        sample = samples.find_sample(name)
        handed = HandedOut(sample.title, samples.read_sample(name), sample.template or "", name)
    else:
        cupboard = classroom.cupboard()
        take_set(cupboard, session.dataset(), source=session.source)
        dataset = cupboard.dataset()
        handed = HandedOut(dataset.name, dataset, session.template)
    classroom.handed_out = handed
    return handed


def open_handed_out(classroom: Classroom, session: Session) -> None:
    """What was handed out in place of this session's classes; its pictures become their own.

    Raises:
        UserError: nothing was handed out.
    """
    handed = classroom.handed_out
    if handed is None:
        raise UserError(say.NOTHING_HANDED)
    if handed.sample:
        open_sample(session, handed.sample)
        return
    take_set(session, handed.dataset, source=handed.title, template=handed.template)


def vote(classroom: Classroom, session: Session, path: str | None) -> Ballot:
    """Ask every member's prompt what a picture is.

    Raises:
        UserError: it is not the teacher who asks, or the picture cannot be read.
    """
    classroom.check_teacher(session)
    if not path:
        raise UserError(say.NO_PICTURE)
    picture = classroom.cupboard().take(Picture(Path(path).name, Path(path)))
    with classroom.lock:
        members = list(classroom.members.values())
    votes = [_vote(nickname, member, picture) for nickname, member in members]
    without = [n for (n, _), one in zip(members, votes, strict=True) if one is None]
    ballot = Ballot(picture, tuple(one for one in votes if one is not None), tuple(without))
    classroom.ballot = ballot
    return ballot


def _vote(nickname: str, member: Session, picture: Picture) -> Vote | None:
    taught = member.current
    if taught is None:
        return None
    backbone = shared_backbone(member.backbone)
    features = encode_all(backbone, [picture]).features[0]  # once a model: it is cached
    shares = probabilities(features, taught.prompt.class_weights, backbone.logit_scale)[0]
    best = int(shares.argmax())
    return Vote(nickname, taught.prompt.class_names[best], float(shares[best]))
