"""What the tab Archive says."""

TITLE = "Archive"
LEAD_TITLE = "Many pictures at once"
LEAD = "The pictures of an index, put in order without opening one of them."
BY_LABEL = "Order by"
BY_WORDS = "an instruction"
BY_CLASS = "one of your classes"
INSTRUCTION_LABEL = "Instruction"
INSTRUCTION_INFO = (
    "Two opposite prompts are made from it and compared with each picture. The ranker needs the "
    "pictures themselves: that is the command rank --top."
)
CLASS_LABEL = "Class"
ONLY_LABEL = "Only pictures that your prompt calls"
EVERY = "anything"
SHOW = "Show the order"
FIRST_TITLE = "First"
LAST_TITLE = "Last"
DOWNLOAD = "Download the list (CSV)"
NO_INDEX = "There is no index to open. Start the app with COOP_DEMO_INDEX set to one."
NO_PROMPT = "Teach a prompt in the tab Teach first: its classes appear here then."
NOTHING_LEFT = "Your prompt calls none of these pictures that. Choose another class."
NOTHING_SHOWN = "Choose what to order by, then show the order."


def facts(n: int, n_unreadable: int, model: str) -> str:
    said = f"{n:,} pictures, encoded by {model}."
    return f"{said} {n_unreadable:,} more could not be read." if n_unreadable else said


def too_many(n: int, most: int) -> str:
    return (
        f"This index has {n:,} pictures; the page opens up to {most:,}. Use the commands rank and "
        "predict with --index."
    )


def ordered(n: int, by: str, only: str) -> str:
    said = f"{n:,} pictures by {by}"
    return f"{said}, of those called {only}." if only else f"{said}."


def by_words(high: str, low: str) -> str:
    return f"how much nearer they are to “{high}” than to “{low}”"


def by_class(name: str) -> str:
    return f"how likely your prompt finds “{name}”"


def place(at: int, score: float, name: str) -> str:
    return f"{at:,}: {score:.3f} {name}"


def not_shown(n: int) -> str:
    are = "picture is" if n == 1 else "pictures are"
    return f"{n} {are} not shown: the file is not there any more."
