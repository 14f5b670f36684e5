"""Was der Tab „Archiv“ sagt."""

from coop_demo.languages.german.page import counted, figures

TITLE = "Archiv"
LEAD_TITLE = "Viele Bilder auf einmal"
LEAD = "Die Bilder eines Index in eine Reihenfolge gebracht, ohne eines davon zu öffnen."
BY_LABEL = "Ordnen nach"
BY_WORDS = "einer Anweisung"
BY_CLASS = "einer Ihrer Klassen"
INSTRUCTION_LABEL = "Anweisung"
INSTRUCTION_INFO = (
    "Auf Englisch. Daraus werden zwei gegensätzliche Prompts, mit denen jedes Bild verglichen "
    "wird. Der Ranker braucht die Bilder selbst: Das ist der Befehl rank --top."
)
CLASS_LABEL = "Klasse"
ONLY_LABEL = "Nur Bilder, die Ihr Prompt so nennt"
EVERY = "beliebig"
SHOW = "Reihenfolge zeigen"
FIRST_TITLE = "Die ersten"
LAST_TITLE = "Die letzten"
DOWNLOAD = "Liste herunterladen (CSV)"
NO_INDEX = (
    "Es gibt keinen Index zum Öffnen. Starten Sie die App mit COOP_DEMO_INDEX, das einen nennt."
)
NO_PROMPT = (
    "Bringen Sie zuerst im Reiter Beibringen einen Prompt bei: Dann erscheinen seine Klassen hier."
)
NOTHING_LEFT = "Ihr Prompt nennt keines dieser Bilder so. Wählen Sie eine andere Klasse."
NOTHING_SHOWN = "Wählen Sie, wonach geordnet wird, und zeigen Sie dann die Reihenfolge."


def facts(n: int, n_unreadable: int, model: str) -> str:
    said = f"{counted(n, 'Bild', 'Bilder')}, berechnet mit {model}."
    if not n_unreadable:
        return said
    return f"{said} {figures(f'{n_unreadable:,}')} weitere waren nicht lesbar."


def too_many(n: int, most: int) -> str:
    return figures(
        f"Dieser Index hat {n:,} Bilder; die Seite öffnet bis zu {most:,}. Verwenden Sie die "
        "Befehle rank und predict mit --index."
    )


def ordered(n: int, by: str, only: str) -> str:
    said = f"{counted(n, 'Bild', 'Bilder')}, geordnet danach, {by}"
    return f"{said}; nur solche, die {only} genannt werden." if only else f"{said}."


def by_words(high: str, low: str) -> str:
    return f"wie viel näher sie an „{high}“ liegen als an „{low}“"


def by_class(name: str) -> str:
    return f"für wie wahrscheinlich Ihr Prompt „{name}“ hält"


def place(at: int, score: float, name: str) -> str:
    return f"{figures(f'{at:,}')}: {figures(f'{score:.3f}')} {name}"


def not_shown(n: int) -> str:
    werden = "wird" if n == 1 else "werden"
    return f"{counted(n, 'Bild', 'Bilder')} {werden} nicht gezeigt: Die Datei ist nicht mehr da."
