"""Was in den Diagrammen steht. `%{…}` füllt plotly aus."""

from coop_demo.languages.german.page import figures

ACCURACY = "Trefferquote (zurückgehalten), %"
ACCURACY_AND_INTERVAL = "Trefferquote (zurückgehalten), %<br>Strich: 95-%-Intervall"
CLASS_ACCURACY = "Trefferquote der Klasse, %"
SHOTS_AXIS = "Shots je Klasse"
SHOTS_HOVER = "%{x} Shots: %{y:.1f} %"
ANSWER, TRUE_CLASS = "Antwort", "wahre Klasse"
CONFIDENCE, RIGHT = "wie sicher es ist", "wie oft es richtig liegt"
CONFIDENCE_HOVER = "%{customdata[0]} Bilder<br>sagt %{customdata[1]:.1%}, liegt zu %{y:.1%} richtig"
SCORE = "Wert"
LABEL_AND_SCORE = "%{text}: Angabe %{x:g}, Wert %{y:.3f}"
PLACE = "Platz in der Reihenfolge"
CONTRADICTION = "andersherum gefragt behauptet er dasselbe"


def taken_for(true: str, answer: str, n: int) -> str:
    return f"{true} für {answer} gehalten: {n}"


def spread(share: float) -> str:
    return f"{100 * share:.0f} % der Streuung"


def first_direction(spread: str) -> str:
    return f"erste Richtung: {spread}"


def second_direction(spread: str) -> str:
    return f"zweite Richtung: {spread}"


def picture(number: int) -> str:
    return f"Bild {number}"


def learned_names(n: int) -> str:
    return f"{n} gelernte Namen"


def more_names(n: int) -> str:
    return f"mit {n} weiteren Namen"


def learned_classes(n: int) -> str:
    return f"{n} gelernte Klassen"


def new_classes(n: int) -> str:
    return f"{n} neue Klassen"


def label_of(instruction: str) -> str:
    return f"Angabe: {instruction}"


def above(first: str, other: str, chance: float) -> str:
    return f"{first} vor {other}: {figures(f'{100 * chance:.0f}')} %"
