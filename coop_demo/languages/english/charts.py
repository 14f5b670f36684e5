"""What stands in the figures. `%{…}` is filled in by plotly."""

ACCURACY = "held-out accuracy, %"
ACCURACY_AND_INTERVAL = "held-out accuracy, %<br>line: 95 % interval"
CLASS_ACCURACY = "accuracy of the class, %"
SHOTS_AXIS = "shots a class"
SHOTS_HOVER = "%{x} shots: %{y:.1f} %"
ANSWER, TRUE_CLASS = "answer", "true class"
CONFIDENCE, RIGHT = "how sure it is", "how often it is right"
CONFIDENCE_HOVER = "%{customdata[0]} pictures<br>says %{customdata[1]:.1%}, is right %{y:.1%}"
SCORE = "score"
LABEL_AND_SCORE = "%{text}: label %{x:g}, score %{y:.3f}"
PLACE = "place in the order"
CONTRADICTION = "the other way claims the same"


def taken_for(true: str, answer: str, n: int) -> str:
    return f"{true} taken for {answer}: {n}"


def spread(share: float) -> str:
    return f"{100 * share:.0f} % of the spread"


def first_direction(spread: str) -> str:
    return f"first direction: {spread}"


def second_direction(spread: str) -> str:
    return f"second direction: {spread}"


def picture(number: int) -> str:
    return f"picture {number}"


def learned_names(n: int) -> str:
    return f"{n} learned names"


def more_names(n: int) -> str:
    return f"with {n} more names"


def learned_classes(n: int) -> str:
    return f"{n} learned classes"


def new_classes(n: int) -> str:
    return f"{n} new classes"


def label_of(instruction: str) -> str:
    return f"label: {instruction}"


def above(first: str, other: str, chance: float) -> str:
    return f"{first} above {other}: {chance:.0%}"
