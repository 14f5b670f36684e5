"""Sentences of the tab Class."""

from collections.abc import Sequence

TITLE = "Class"

ADDRESS_TITLE = "Come in"
QR_LABEL = "QR code"
ADDRESS_LEAD = "Open this address in a browser in the same network, or scan the code."

NICKNAME_LABEL = "Nickname"
NICKNAME_INFO = "Only if you like: others see it with what you train and how well it does."
JOIN, LEAVE = "Join", "Leave"
NO_NICKNAME = "Write a nickname first: one that others in the class know you by."
CLASS_FULL = "The class is full."

ROSTER_TITLE = "Who is here"
NOBODY = "Nobody has joined yet. Whoever does is listed here, with what they train."
ROSTER_HEADS = ("Nickname", "Set", "Training", "Learned", "Words")

HANDED_TITLE = "A set for everybody"
NOTHING_HANDED = "No set was handed out yet."
OPEN_HANDED = "Open it in Teach"
OPENED_HANDED = "It is open in the tab Teach. What was there can be brought back by Undo."

BALLOT_TITLE = "One picture, all prompts"
NO_BALLOT = "When your teacher chooses a picture, everybody's prompt says what it is."
NO_VOTES = "Nobody who joined has learned a prompt yet."

TEACHER_TITLE = "For the teacher"
CODE_LABEL = "Code"
CODE_INFO = "It stands where the app was started, under the address."
ENTER = "I am the teacher"
WRONG_CODE = "This is not the code. It stands where the app was started."
TOO_MANY_CODES = "That was too many wrong codes. Restart the app to try again."
TEACHERS_ONLY = "Only the teacher can do this: enter the code first."
SET_LABEL = "Set to hand out"
MY_SET = "What is open in my tab Teach"
HAND_OUT = "Hand out"
BALLOT_LABEL = "Picture to vote on"
NO_PICTURE = "Choose a picture first."


def nickname_taken(name: str) -> str:
    return f"Somebody here is called “{name}” already. Take another nickname."


def no_such_set(name: str) -> str:
    return f"There is no set “{name[:80]}” to hand out. Choose one of those shown."


def handed_out(title: str, n_classes: int, n_pictures: int) -> str:
    return f"“{title}”: {n_classes} classes, {n_pictures:,} pictures."


def training_at(step: int, total: int) -> str:
    return f"step {step:,} of {total:,}"


def without_prompt(nicknames: Sequence[str]) -> str:
    return f"No prompt yet: {', '.join(nicknames)}."


def votes_for(class_name: str, n: int) -> str:
    return f"{class_name}: {n} {'vote' if n == 1 else 'votes'}"


def terminal(address: str, code: str) -> str:
    """What the teacher reads where the app was started."""
    return (
        f"The class finds the page at {address}\n"
        f"Your code, to hand out sets and hold ballots in the tab Class: {code}"
    )
