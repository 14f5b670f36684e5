"""Sätze des Tabs „Archiv“."""

from coop_demo.languages.german.page import figures

TITLE = "Archiv"
LEAD_TITLE = "Viele Bilder auf einmal"
LEAD = "Die Bilder eines Verzeichnisses, geordnet, ohne eines davon zu öffnen."
BY_LABEL = "Ordnen nach"
BY_WORDS = "einer Anweisung"
BY_CLASS = "einer Ihrer Klassen"
INSTRUCTION_LABEL = "Anweisung (englisch)"
INSTRUCTION_INFO = (
    "Daraus werden zwei gegensätzliche Prompts gemacht und mit jedem Bild verglichen. Der Ranker "
    "braucht die Bilder selbst: Das macht der Befehl rank --top."
)
CLASS_LABEL = "Klasse"
ONLY_LABEL = "Nur Bilder, die Ihr Prompt so nennt"
EVERY = "alles"
SHOW = "Reihenfolge zeigen"
FIRST_TITLE = "Vorn"
LAST_TITLE = "Hinten"
DOWNLOAD = "Liste herunterladen (CSV)"
NO_INDEX = (
    "Es gibt kein Verzeichnis zum Öffnen. Starten Sie die App mit COOP_DEMO_INDEX, das eines nennt."
)
NO_PROMPT = (
    "Bringen Sie zuerst im Tab „Beibringen“ einen Prompt bei: Seine Klassen stehen dann hier."
)
NOTHING_LEFT = "So nennt Ihr Prompt keines dieser Bilder. Wählen Sie eine andere Klasse."
NOTHING_SHOWN = "Wählen Sie, wonach geordnet wird, und lassen Sie die Reihenfolge zeigen."


def facts(n: int, n_unreadable: int, model: str) -> str:
    told = f"{figures(f'{n:,}')} Bilder, kodiert von {model}."
    if not n_unreadable:
        return told
    return f"{told} {figures(f'{n_unreadable:,}')} weitere waren nicht lesbar."


def too_many(n: int, most: int) -> str:
    return (
        f"Dieses Verzeichnis hat {figures(f'{n:,}')} Bilder; die Seite öffnet bis zu "
        f"{figures(f'{most:,}')}. Nehmen Sie die Befehle rank und predict mit --index."
    )


def ordered(n: int, by: str, only: str) -> str:
    told = f"{figures(f'{n:,}')} Bilder danach, {by}"
    return f"{told}, von denen, die {only} genannt werden." if only else f"{told}."


def by_words(high: str, low: str) -> str:
    return f"wie viel näher sie „{high}“ sind als „{low}“"


def by_class(name: str) -> str:
    return f"für wie wahrscheinlich Ihr Prompt „{name}“ hält"


def place(at: int, score: float) -> str:
    return figures(f"{at:,}: {score:.3f}")


def not_shown(n: int) -> str:
    fehlen = "Bild fehlt" if n == 1 else "Bilder fehlen"
    return f"{n} {fehlen} hier: Die Datei ist nicht mehr da."
