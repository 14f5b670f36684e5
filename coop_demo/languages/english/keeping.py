"""Sentences about what is kept, forgotten, saved and brought back."""

from coop_demo.languages.english.page import counted

SECTION_NAMES = {
    "classes": "your classes",
    "settings": "your settings",
    "pile": "your pictures to rank",
    "ranker": "your ranker",
    "lesson": "the ranker that was being taught",
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


STILL_WORKING = "Something of yours is still running. Stop it or wait for it, then try again."


def not_saved(reason: str) -> str:
    return f"The project could not be saved ({reason}). Make room on the disk and try again."


def not_opened(reason: str) -> str:
    return f"The project could not be opened ({reason}). What you have here is as it was."


def no_project(name: str, why: str) -> str:
    return f"“{name}” is not a project that was saved here. {why}"


def project_damaged(name: str) -> str:
    return (
        f"“{name}” is not a project that was saved here, or it is damaged. What you have is as it "
        "was. Choose a file that was saved with Save project."
    )


SAVE = "Save project"


OPEN = "Open project"


FORGET = "Forget everything"


FORGET_SURE = (
    "Your pictures, prompts, rankers and comparisons are deleted now, for good. Save the project "
    "first if you may want them again."
)


FORGET_YES = "Yes, delete them"


FORGET_NO = "Keep them"


def download(n_bytes: int) -> str:
    return f"Download project ({max(n_bytes / 1e6, 0.1):,.1f} MB)"


def opened(name: str) -> str:
    return f"“{name}” is open."


KEPT = (
    "What you make here stays on the computer that runs this page for half a day after you last "
    "used it, also when the app is restarted. Only this browser can open it."
)


NOT_KEPT = (
    "What you make here stays on the computer that runs this page for half a day after you last "
    "used it, and is gone when the app is restarted. Only this browser can open it."
)
