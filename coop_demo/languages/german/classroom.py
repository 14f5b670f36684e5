"""Sätze des Tabs „Unterricht“."""

from collections.abc import Sequence

from coop_demo.languages.german.page import figures

TITLE = "Unterricht"

ADDRESS_TITLE = "Hereinkommen"
ADDRESS_LEAD = (
    "Öffnen Sie diese Adresse in einem Browser im selben Netz, oder scannen Sie den Code."
)
QR_LABEL = "QR-Code"

NICKNAME_LABEL = "Spitzname"
NICKNAME_INFO = "Nur wenn Sie mögen: Andere sehen ihn, was Sie trainieren und wie gut es klappt."
JOIN, LEAVE = "Mitmachen", "Gehen"
NO_NICKNAME = "Schreiben Sie zuerst einen Spitznamen, unter dem die anderen Sie kennen."
CLASS_FULL = "Mehr Leute können hier nicht mitmachen."

ROSTER_TITLE = "Wer da ist"
NOBODY = "Noch macht niemand mit. Wer mitmacht, steht hier mit dem, was er oder sie trainiert."
ROSTER_HEADS = ("Spitzname", "Bilder", "Training", "Gelernt", "Wörter")

HANDED_TITLE = "Bilder für alle"
NOTHING_HANDED = "Es wurde noch nichts ausgeteilt."
OPEN_HANDED = "In „Beibringen“ öffnen"
OPENED_HANDED = "Es ist in „Beibringen“ geöffnet. Was dort war, holt „Rückgängig“ zurück."

BALLOT_TITLE = "Ein Bild, alle Prompts"
NO_BALLOT = "Wenn die Lehrkraft ein Bild wählt, sagt der Prompt von jedem, was es ist."
NO_VOTES = "Von denen, die mitmachen, hat noch niemand einen Prompt gelernt."

TEACHER_TITLE = "Für die Lehrkraft"
CODE_LABEL = "Code"
CODE_INFO = "Er steht dort, wo die App gestartet wurde, unter der Adresse."
ENTER = "Ich bin die Lehrkraft"
WRONG_CODE = "Das ist nicht der Code. Er steht dort, wo die App gestartet wurde."
TOO_MANY_CODES = (
    "Das waren zu viele falsche Codes. Starten Sie die App neu, um es noch einmal zu versuchen."
)
TEACHERS_ONLY = "Das kann nur die Lehrkraft: Geben Sie zuerst den Code ein."
SET_LABEL = "Bilder zum Austeilen"
MY_SET = "Was bei mir in „Beibringen“ offen ist"
HAND_OUT = "Austeilen"
BALLOT_LABEL = "Bild, über das abgestimmt wird"
NO_PICTURE = "Wählen Sie zuerst ein Bild."


def nickname_taken(name: str) -> str:
    return f"Jemand hier heißt schon „{name}“. Nehmen Sie einen anderen Spitznamen."


def no_such_set(name: str) -> str:
    return f"„{name[:80]}“ kann nicht ausgeteilt werden. Wählen Sie etwas von dem Gezeigten."


def handed_out(title: str, n_classes: int, n_pictures: int) -> str:
    return f"„{title}“: {n_classes} Klassen, {figures(f'{n_pictures:,}')} Bilder."


def training_at(step: int, total: int) -> str:
    return f"Schritt {figures(f'{step:,} von {total:,}')}"


def without_prompt(nicknames: Sequence[str]) -> str:
    return f"Noch ohne Prompt: {', '.join(nicknames)}."


def votes_for(class_name: str, n: int) -> str:
    return f"{class_name}: {n} {'Stimme' if n == 1 else 'Stimmen'}"


def terminal(address: str, code: str) -> str:
    return (
        f"Die Klasse findet die Seite unter {address}\n"
        f"Ihr Code zum Austeilen und Abstimmen im Tab „Unterricht“: {code}"
    )
