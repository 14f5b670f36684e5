"""The comparison that a session keeps for each model: find it, keep it, add to it."""

from dataclasses import replace
from typing import Any

from coop_demo.errors import UserError
from coop_demo.languages import compare as say
from coop_demo.ui.compare.state import Compared
from coop_demo.ui.session import Session


def compared_of(session: Session) -> Compared | None:
    """The comparison made with the model in use, if there is one."""
    return session.compare.compared.get(session.backbone)


def need_compared(session: Session) -> Compared:
    """Raises UserError when nothing was compared with the model in use."""
    found = compared_of(session)
    if found is None:
        raise UserError(say.COMPARE_FIRST)
    return found


def keep(session: Session, backbone: str, compared: Compared) -> Compared:
    with session.lock:
        session.compare.compared[backbone] = compared
    return compared


def amend(session: Session, backbone: str, base: Compared, **changes: Any) -> Compared:
    """Add to a comparison what looking closer found, unless another one took its place."""
    with session.lock:
        now = session.compare.compared.get(backbone)
        if now is None or now.comparison is not base.comparison:
            return base
        return keep(session, backbone, replace(now, **changes))
