"""Sätze über das, was aufgehoben, vergessen, gespeichert und zurückgeholt wird."""

from coop_demo.languages.german.page import counted, figures

SECTION_NAMES = {
    "classes": "Ihre Klassen konnten",
    "settings": "Ihre Einstellungen konnten",
    "pile": "Ihre Bilder zum Ordnen konnten",
    "ranker": "Ihr Ranker konnte",
    "lesson": "Der Ranker, dem gerade etwas beigebracht wurde, konnte",
    "prompt": "Ihr gelernter Prompt konnte",
    "training": "Das unterbrochene Training konnte",
    "comparison": "Ihr Vergleich konnte",
    "look": "Das angesehene Bild konnte",
}


def could_not_read(section: str) -> str:
    what = SECTION_NAMES.get(section, "Ein Teil dessen, was Sie gemacht haben, konnte")
    return f"{what} nicht wieder gelesen werden; alles andere ist da."


def pictures_gone(n: int) -> str:
    verb = "ist" if n == 1 else "sind"
    return f"{counted(n, 'Bild', 'Bilder')} {verb} nicht mehr auf diesem Computer."


def not_kept(reason: str) -> str:
    return (
        f"Was Sie gemacht haben, ließ sich nicht auf die Platte schreiben ({reason}). Sie können "
        "weitermachen, aber es ist verloren, wenn die App endet: Speichern Sie, was Sie brauchen."
    )


OPEN_ELSEWHERE = (
    "Was Sie hier gemacht haben, ist in einem anderen Exemplar dieser App offen, das denselben "
    "Ordner benutzt. Schließen Sie jenes und laden Sie diese Seite neu."
)


STILL_WORKING = (
    "Von Ihnen läuft noch etwas. Halten Sie es an oder warten Sie darauf, und versuchen Sie es "
    "dann noch einmal."
)


def not_saved(reason: str) -> str:
    return (
        f"Das Projekt konnte nicht gespeichert werden ({reason}). Schaffen Sie Platz auf der "
        "Platte und versuchen Sie es noch einmal."
    )


def not_opened(reason: str) -> str:
    return (
        f"Das Projekt konnte nicht geöffnet werden ({reason}). Was Sie hier haben, ist unverändert."
    )


def no_project(name: str, why: str) -> str:
    return f"„{name}“ ist kein Projekt, das hier gespeichert wurde. {why}"


def project_damaged(name: str) -> str:
    return (
        f"„{name}“ ist kein Projekt, das hier gespeichert wurde, oder es ist beschädigt. Was Sie "
        "haben, ist unverändert. Wählen Sie eine Datei, die mit „Projekt speichern“ entstanden ist."
    )


SAVE = "Projekt speichern"


OPEN = "Projekt öffnen"


FORGET = "Alles vergessen"


FORGET_SURE = (
    "Ihre Bilder, Prompts, Ranker und Vergleiche werden jetzt endgültig gelöscht. Speichern Sie "
    "zuerst das Projekt, wenn Sie sie vielleicht noch brauchen."
)


FORGET_YES = "Ja, löschen"


FORGET_NO = "Behalten"


def download(n_bytes: int) -> str:
    return f"Projekt herunterladen ({figures(f'{max(n_bytes / 1e6, 0.1):,.1f}')} MB)"


def opened(name: str) -> str:
    return f"„{name}“ ist geöffnet."


KEPT = (
    "Was Sie hier machen, bleibt auf dem Computer, der diese Seite betreibt, bis zu einem halben "
    "Tag nach der letzten Benutzung, auch wenn die App neu gestartet wird. Nur dieser Browser kann "
    "es öffnen."
)


NOT_KEPT = (
    "Was Sie hier machen, bleibt auf dem Computer, der diese Seite betreibt, bis zu einem halben "
    "Tag nach der letzten Benutzung und ist weg, wenn die App neu gestartet wird. Nur dieser "
    "Browser kann es öffnen."
)
