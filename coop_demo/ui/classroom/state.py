"""The class: one for all people of an app that was started for a classroom."""

import secrets
import socket
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from coop_demo.data.dataset import Dataset, Picture
from coop_demo.errors import UserError
from coop_demo.languages import classroom as say
from coop_demo.ui.session import Session

MOST_MEMBERS = 100
MOST_LETTERS = 30  # of a nickname
MOST_WRONG_CODES = 5  # a session; six digits are not found in five attempts


@dataclass(frozen=True, eq=False)
class HandedOut:
    """A set that everybody may open."""

    title: str
    dataset: Dataset = field(repr=False)
    template: str
    sample: str = ""  # the name of the sample set that it is


@dataclass(frozen=True)
class Vote:
    """What one member's prompt takes the picture of the ballot for."""

    nickname: str
    class_name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Ballot:
    """One picture that all prompts vote on."""

    picture: Picture
    votes: tuple[Vote, ...]
    without: tuple[str, ...]  # nicknames of those who have no prompt yet


@dataclass
class Classroom:
    """Nobody is in it but those who joined under a nickname of their choice."""

    code: str = field(default_factory=lambda: f"{secrets.randbelow(10**6):06d}")  # the teacher's
    address: str = ""  # where students find the page
    handed_out: HandedOut | None = None
    ballot: Ballot | None = None
    members: "OrderedDict[str, tuple[str, Session]]" = field(default_factory=OrderedDict)
    teachers: set[str] = field(default_factory=set)  # keys of sessions
    wrong_codes: dict[str, int] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    # its pictures lie here, so that they stay when the teacher forgets everything
    _home: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="coop-studio-class-")
    )

    def cupboard(self) -> Session:
        """A session of nobody's, which keeps pictures for the class."""
        folder = Path(self._home.name) / secrets.token_hex(8)
        folder.mkdir()
        return Session("", folder, "mini")

    def join(self, session: Session, nickname: str) -> str:
        """The nickname as it stands in the list.

        Raises:
            UserError: it is empty or somebody else's, or the class is full.
        """
        name = " ".join("".join(c for c in nickname if c.isprintable()).split())[:MOST_LETTERS]
        if not name:
            raise UserError(say.NO_NICKNAME)
        with self.lock:
            taken = {
                other.casefold() for key, (other, _) in self.members.items() if key != session.key
            }
            if name.casefold() in taken:
                raise UserError(say.nickname_taken(name))
            if len(self.members) >= MOST_MEMBERS and session.key not in self.members:
                raise UserError(say.CLASS_FULL)
            self.members[session.key] = (name, session)
        return name

    def leave(self, session: Session) -> None:
        with self.lock:
            self.members.pop(session.key, None)

    def nickname(self, session: Session) -> str:
        """ "" for somebody who has not joined."""
        return self.members.get(session.key, ("", session))[0]

    def teach(self, session: Session, code: str) -> None:
        """Let this session hand out sets and hold ballots.

        Raises:
            UserError: the code is wrong, or was too often.
        """
        with self.lock:
            if self.wrong_codes.get(session.key, 0) >= MOST_WRONG_CODES:
                raise UserError(say.TOO_MANY_CODES)
            if not secrets.compare_digest(code.strip().encode(), self.code.encode()):
                self.wrong_codes[session.key] = self.wrong_codes.get(session.key, 0) + 1
                raise UserError(say.WRONG_CODE)
            self.teachers.add(session.key)

    def check_teacher(self, session: Session) -> None:
        if session.key not in self.teachers:
            raise UserError(say.TEACHERS_ONLY)


def address_in_the_network(port: int) -> str:
    """Where others in the same network find this computer. Nothing is sent to find it out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation: only a route is chosen
            host = probe.getsockname()[0]
        except OSError:
            host = "127.0.0.1"
    return f"http://{host}:{port}"
