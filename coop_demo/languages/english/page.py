"""Sentences that no single tab owns."""

from coop_demo.settings import LIMITS

APP_NAME = "CoOp Studio"


TEACH_TAB, COMPARE_TAB, RANK_TAB, LOOK_TAB = "Teach", "Compare", "Rank", "Look"


def figures(written: str) -> str:
    """Numbers written the English way, such as 1,234.5, as this language writes them."""
    return written


#: what plotly writes between whole numbers and decimals, and between thousands
SEPARATORS = ".,"


PROMISE = (
    "Show a model a few pictures, watch it learn its own prompt, and see whether that beats yours."
)


MODEL_LABEL = "Model"


FETCH = "Fetch"


ABOUT_MODELS = "About the models"


MODELS_LABEL = "Models"


MODEL_COLUMNS = ("Model", "Licence", "Size", "Here?", "Note")


SHIPPED = "ships with the app"


YES, NO = "yes", "not yet"


def model_choice(title: str, megabytes: int, here: bool) -> str:
    short = title.split(":")[0]
    return short if here else f"{short} · {size(megabytes)}, not here yet"


def size(megabytes: int) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes} MB"


def fetch_button(megabytes: int) -> str:
    return f"Fetch {size(megabytes)}"


def not_here_yet(title: str, in_use: str) -> str:
    return f"{title} is not on this computer yet. {in_use} stays in use until it is."


def fetching(title: str) -> str:
    return f"Fetching {title}"


def fetched(done: float, total: float) -> str:
    """In megabytes."""
    return f"{done:,.0f} of {total:,.0f} MB"


def unknown_model(name: str) -> str:
    return f"There is no model “{name[:80]}” in the list. Choose one of those shown."


def in_use(title: str, licence: str) -> str:
    name, _, about = title.partition(":")
    described = f":{about}." if about else "."
    return f"{name} is in use{described}" + (f" Licence: {licence}." if licence else "")


SESSION_GONE = (
    "Your session is no longer on this server: it was restarted, or you were away for half a day. "
    "Reload the page to start again."
)


WAS_AWAY = (
    "The connection to the app was lost for a moment, so the page has been reloaded. If your last "
    "click did nothing, please click again."
)


CLOSE = "Close"


STILL_OPENING = "The page is still opening. Try again in a moment."


UPLOADS_FULL = "This computer holds as many uploaded files as it may. Try again in a few minutes."
UNEXPECTED = (
    "Something went wrong here that is not your fault. What you made is still there; please try "
    "again. The server's log has the details."
)


FOOTER = (
    "Code: Apache-2.0. Built-in model: Apache-2.0. Sample pictures: GPL-2.0 (Tux Paint stamps) and "
    "CC0-1.0 (rendered here), as each says. Methods: CoOp, Zhou et al., IJCV 2022; ranking-aware "
    "adapter, Yu et al., ICLR 2025. "
    "Numbers that the model computed from your pictures are kept longer, to save time."
)


SAMPLE_OR_ZIP = "Give either the name of a sample set or a zip, not both."


PROMPT_AND_PICTURE = "Give a saved prompt and a picture."


def and_more(n: int) -> str:
    """Of lines that are not shown."""
    return f"And {n} more."


PROGRESS_LABEL = "Progress"


def not_a_number(label: str) -> str:
    return f"{label} is not a number. Give a number and try again."


def out_of_range(label: str, given: float, low: int, high: int) -> str:
    return f"{label} is {given:g}; choose a whole number from {low} to {high:,}."


UNDO = "Undo"


NOTHING_TO_UNDO = "There is nothing left to undo: something has changed since."


STOP = "Stop"


PREPARING = "Getting ready…"


BUSY = (
    "A training or comparison of yours is already running, perhaps in another tab or window. Stop "
    "it or wait until it is done."
)


STOPPED_IN_LINE = "Stopped while waiting in line; nothing was started."


def in_line(number: int, seconds: float | None) -> str:
    """Whose trainings come first, and about how long they take."""
    before = (
        "You are next" if number == 1 else f"{counted(number - 1, 'person', 'people')} before you"
    )
    wait = "" if seconds is None else f" · {_about(seconds)}"
    return f"Others are training. {before}{wait}"


def too_many_jobs(number: int) -> str:
    return (
        f"{number} trainings of yours are running or waiting already, the most one person may "
        "have here. Wait until one of them has ended."
    )


LINE_FULL = "Too many people are waiting to train here. Try again in a few minutes."


def time_is_up() -> str:
    return (
        f"It ended after {LIMITS.max_training_seconds // 60} minutes, the longest one training may "
        "take here."
    )


NOTHING_IN_TIME = (
    "Nothing was learned by then. Choose fewer pictures, shots or steps, or use the command line."
)


def too_many_classes(number: int) -> str:
    return (
        f"There are {number:,} classes; at most {LIMITS.max_classes:,} are taken here. Leave some "
        "out, or use the command line."
    )


SERVER_FULL = (
    "There is no room for more pictures here at the moment: other people's fill it. Try again "
    "later, or run the app on your own computer."
)


NOTHING_TO_STOP = "Nothing of yours is running."


LOSS_TITLE = "Loss"


STEP_AXIS = "step"


def encoding(done: int, total: int, seconds_left: float, *, unit: str = " views") -> str:
    return f"Looking at the pictures: {done:,} of {total:,}{unit} · {left(seconds_left)}"


def step(number: int, total: int, seconds_left: float) -> str:
    return f"Step {number:,} of {total:,} · {left(seconds_left)}"


def left(seconds: float) -> str:
    if seconds < 1:
        return "almost there"
    return f"{_about(seconds)} left"


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"about {max(seconds, 1):.0f} s"
    return f"about {seconds / 60:.0f} min"


def counted(n: int, noun: str, plural: str = "") -> str:
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def own_model(ranker: str) -> str:
    return f"The model of the ranker “{ranker}”"
