"""Sätze, die keinem Tab allein gehören."""

from coop_demo.settings import LIMITS

APP_NAME = "CoOp Studio"


TEACH_TAB, COMPARE_TAB, RANK_TAB, LOOK_TAB = "Beibringen", "Vergleichen", "Ordnen", "Hinsehen"


def figures(written: str) -> str:
    return written.translate(str.maketrans(",.", ".,"))


SEPARATORS = ",."


PROMISE = (
    "Zeigen Sie einem Modell ein paar Bilder, sehen Sie zu, wie es seinen eigenen Prompt lernt, "
    "und prüfen Sie, ob er besser ist als Ihrer."
)


MODEL_LABEL = "Modell"


FETCH = "Herunterladen"


ABOUT_MODELS = "Über die Modelle"


MODELS_LABEL = "Modelle"


MODEL_COLUMNS = ("Modell", "Lizenz", "Größe", "Hier?", "Hinweis")


SHIPPED = "liegt der App bei"


YES, NO = "ja", "noch nicht"


def model_choice(title: str, megabytes: int, here: bool) -> str:
    short = title.split(":")[0]
    return short if here else f"{short} · {size(megabytes)}, noch nicht hier"


def size(megabytes: int) -> str:
    return figures(f"{megabytes / 1000:.1f} GB") if megabytes >= 1000 else f"{megabytes} MB"


def fetch_button(megabytes: int) -> str:
    return f"{size(megabytes)} herunterladen"


def not_here_yet(title: str, in_use: str) -> str:
    return f"{title} ist noch nicht auf diesem Computer. Bis dahin wird weiter {in_use} benutzt."


def fetching(title: str) -> str:
    return f"{title} wird heruntergeladen"


def fetched(done: float, total: float) -> str:
    return figures(f"{done:,.0f} von {total:,.0f} MB")


def unknown_model(name: str) -> str:
    return f"Das Modell „{name[:80]}“ steht nicht in der Liste. Wählen Sie eines der gezeigten."


def in_use(title: str, licence: str) -> str:
    name, _, about = title.partition(":")
    described = f":{about}." if about else "."
    return f"In Benutzung: {name}{described}" + (f" Lizenz: {licence}." if licence else "")


SESSION_GONE = (
    "Ihre Sitzung gibt es auf diesem Server nicht mehr: Er wurde neu gestartet, oder Sie waren "
    "einen halben Tag weg. Laden Sie die Seite neu, um wieder anzufangen."
)


WAS_AWAY = (
    "Die Verbindung zur App war kurz unterbrochen, deshalb wurde die Seite neu geladen. Wenn Ihr "
    "letzter Klick nichts bewirkt hat, klicken Sie bitte noch einmal."
)


CLOSE = "Schließen"


STILL_OPENING = "Die Seite wird noch geladen. Versuchen Sie es gleich noch einmal."


UPLOADS_FULL = (
    "Dieser Computer fasst keine weiteren hochgeladenen Dateien. Versuchen Sie es in ein paar "
    "Minuten noch einmal."
)
UNEXPECTED = (
    "Hier ist etwas schiefgegangen, das nicht an Ihnen liegt. Was Sie gemacht haben, ist noch da; "
    "bitte versuchen Sie es noch einmal. Genaueres steht im Protokoll des Servers."
)


FOOTER = (
    "Code: Apache-2.0. Eingebautes Modell: Apache-2.0. Beispielbilder: GPL-2.0 (Stempel aus Tux "
    "Paint) und CC0-1.0 (hier gerendert), wie jeweils angegeben. Verfahren: CoOp, Zhou et al., "
    "IJCV 2022; Ranking-aware Adapter, Yu et al., ICLR 2025. "
    "Zahlen, die das Modell aus Ihren Bildern berechnet hat, werden länger aufgehoben, um Zeit zu "
    "sparen."
)


SAMPLE_OR_ZIP = "Geben Sie entweder den Namen eines Beispiels oder ein Zip an, nicht beides."


PROMPT_AND_PICTURE = "Geben Sie einen gespeicherten Prompt und ein Bild an."


def and_more(n: int) -> str:
    return f"Und {n} weitere."


PROGRESS_LABEL = "Fortschritt"


def not_a_number(label: str) -> str:
    return f"{label}: Das ist keine Zahl. Geben Sie eine Zahl ein und versuchen Sie es noch einmal."


def out_of_range(label: str, given: float, low: int, high: int) -> str:
    return (
        figures(f"{label} ist {given:g}; wählen Sie eine ganze Zahl von {low} bis {high:,}") + "."
    )


UNDO = "Rückgängig"


NOTHING_TO_UNDO = "Es gibt nichts mehr rückgängig zu machen: Inzwischen hat sich etwas geändert."


STOP = "Anhalten"


PREPARING = "Wird vorbereitet …"


BUSY = (
    "Von Ihnen läuft schon ein Training oder ein Vergleich, vielleicht in einem anderen Tab oder "
    "Fenster. Halten Sie es an oder warten Sie, bis es fertig ist."
)


STOPPED_IN_LINE = "In der Warteschlange angehalten; es wurde nichts begonnen."


def in_line(number: int, seconds: float | None) -> str:
    before = (
        "Sie sind als Nächstes dran"
        if number == 1
        else f"Vor Ihnen: {counted(number - 1, 'Person', 'Personen')}"
    )
    wait = "" if seconds is None else f" · {_about(seconds)}"
    return f"Andere trainieren gerade. {before}{wait}"


def too_many_jobs(number: int) -> str:
    return (
        f"Von Ihnen laufen oder warten schon {number} Trainings, mehr darf hier niemand zugleich "
        "haben. Warten Sie, bis eines davon zu Ende ist."
    )


LINE_FULL = (
    "Zu viele Leute warten hier auf ein Training. Versuchen Sie es in ein paar Minuten noch einmal."
)


def time_is_up() -> str:
    return (
        f"Nach {LIMITS.max_training_seconds // 60} Minuten war Schluss, länger darf ein Training "
        "hier nicht dauern."
    )


NOTHING_IN_TIME = (
    "Bis dahin wurde nichts gelernt. Nehmen Sie weniger Bilder, Shots oder Schritte, oder "
    "benutzen Sie die Kommandozeile."
)


def too_many_classes(number: int) -> str:
    return figures(
        f"Das sind {number:,} Klassen; hier werden höchstens {LIMITS.max_classes:,} angenommen"
    ) + (". Lassen Sie einige weg, oder benutzen Sie die Kommandozeile.")


SERVER_FULL = (
    "Im Moment ist hier kein Platz für weitere Bilder: Die Bilder anderer füllen ihn. Versuchen "
    "Sie es später, oder starten Sie die App auf Ihrem eigenen Computer."
)


NOTHING_TO_STOP = "Von Ihnen läuft gerade nichts."


LOSS_TITLE = "Fehler (Loss)"


STEP_AXIS = "Schritt"


def encoding(done: int, total: int, seconds_left: float, *, unit: str = " views") -> str:
    what = " Ansichten" if unit == " views" else unit
    return (
        f"Die Bilder werden angesehen: {figures(f'{done:,} von {total:,}')}{what}"
        f" · {left(seconds_left)}"
    )


def step(number: int, total: int, seconds_left: float) -> str:
    return f"Schritt {figures(f'{number:,} von {total:,}')} · {left(seconds_left)}"


def left(seconds: float) -> str:
    if seconds < 1:
        return "fast fertig"
    return f"noch {_about(seconds)}"


def _about(seconds: float) -> str:
    if seconds < 90:
        return f"etwa {max(seconds, 1):.0f} s"
    return f"etwa {seconds / 60:.0f} min"


def counted(n: int, noun: str, plural: str = "") -> str:
    return f"{figures(f'{n:,}')} {noun if n == 1 else plural or noun}"


def own_model(ranker: str) -> str:
    return f"Das Modell des Rankers „{ranker}“"
