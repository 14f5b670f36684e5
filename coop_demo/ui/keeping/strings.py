"""Sentences about what is kept, forgotten, saved and brought back."""

from coop_demo.ui.strings import counted

SECTION_NAMES = {
    "classes": "your classes",
    "settings": "your settings",
    "pile": "your pictures to rank",
    "ranker": "your ranker",
    "prompt": "your learned prompt",
    "training": "the interrupted training",
    "comparison": "your comparison",
    "look": "the picture you looked at",
}


def could_not_read(section: str) -> str:
    what = SECTION_NAMES.get(section, "a part of what you made")
    return f"{what[:1].upper()}{what[1:]} could not be read again; everything else is here."


def pictures_gone(n: int) -> str:
    verb = "is" if n == 1 else "are"
    return f"{counted(n, 'picture')} {verb} no longer on this computer."


def not_kept(reason: str) -> str:
    return (
        f"What you made could not be written to the disk ({reason}). You can go on, but it is "
        "lost when the app ends: save what you need."
    )


OPEN_ELSEWHERE = (
    "What you made here is open in another copy of this app, which uses the same folder. Close "
    "that one and reload this page."
)
