"""Alle Sätze des Tabs „Beibringen“."""

from coop_demo.languages.german.page import counted, figures
from coop_demo.settings import LIMITS

SHOW_TITLE = "Zeigen"


SHOW_LEAD = "Beginnen Sie mit einem Beispiel, oder geben Sie jeder Klasse einen Namen und Bilder."


ADD_CLASS = "Klasse hinzufügen"


START_OVER = "Neu anfangen"


NOT_WHILE_TRAINING = "Es läuft ein Training. Halten Sie es zuerst an."


def class_removed(name: str, n_pictures: int) -> str:
    called = f"„{name.strip()}“" if name.strip() else "Eine Klasse ohne Namen"
    return f"{called} wurde entfernt, mit {counted(n_pictures, 'Bild', 'Bildern')}."


def pictures_removed(names: list[str], class_name: str) -> str:
    where = f" aus „{class_name.strip()}“" if class_name.strip() else ""
    if len(names) == 1:
        return f"Ein Bild wurde{where} entfernt."
    return f"{figures(f'{len(names):,}')} Bilder wurden{where} entfernt."


def cleared(n_pictures: int, *, learned: bool) -> str:
    gone = [counted(n_pictures, "Bild", "Bilder")] if n_pictures else []
    gone += ["was daraus gelernt wurde" if gone else "was gelernt wurde"] if learned else []
    return f"Gelöscht: {' und '.join(gone) or 'die Namen'}."


def replaced(source: str) -> str:
    return f"„{source}“ ist an die Stelle Ihrer Klassen getreten."


UPLOAD_ZIP = "Zip öffnen"


UPLOAD_FOLDER = "Ordner öffnen"


UPLOAD_HINT = (
    "Ein Zip oder ein Ordner mit einem Ordner je Klasse, oder mit train/ und test/, in denen "
    "solche Ordner liegen."
)


NO_PICTURES_YET = "Noch keine Bilder."


ROWS_FULL = (
    f"Die Seite zeigt bis zu {LIMITS.max_classes_page} Klassen. Entfernen Sie erst eine, oder "
    "öffnen Sie ein Zip oder einen Ordner; dort dürfen es mehr sein."
)


NO_SUCH_ROW = "Diese Klasse gibt es nicht mehr. Laden Sie die Seite neu, um zu sehen, was da ist."


YOUR_FOLDER = "Ihr Ordner"


FOLDER_EMPTY = (
    "In diesem Ordner sind keine Bilder. Wählen Sie einen Ordner mit einem Ordner je Klasse."
)


NAME_PLACEHOLDER = "Name auf Englisch, z. B. oak"


NO_FILE = "Es ist keine Datei angekommen. Wählen Sie sie noch einmal."


def licence(name: str) -> str:
    return f"Lizenz der Bilder: {name}."


def remove_label(number: int) -> str:
    return f"Klasse {number} entfernen"


SHOW_ALL, SHOW_FEWER = "Alle zeigen", "Weniger zeigen"


HOLD = "Zum Aufnehmen halten"


def hold_label(number: int) -> str:
    return f"Halten, um mit der Webcam Bilder der Klasse {number} aufzunehmen"


NO_CAMERA = (
    "Der Browser gibt keine Kamera frei. Erlauben Sie sie für diese Seite, oder laden Sie Bilder "
    "hoch."
)


HOLD_AGAIN = "Die Kamera ist bereit. Halten Sie die Taste, um aufzunehmen."


def learn_and_test(n: int, n_test: int) -> str:
    return figures(f"{n:,} zum Lernen · {n_test:,} zum Testen")


def what_is_there(n_classes: int, n_train: int, n_test: int, n_held_out: int) -> str:
    classes = counted(n_classes, "Klasse", "Klassen")
    if n_held_out:
        return (
            f"{classes}, {counted(n_train + n_test, 'Bild', 'Bilder')}: "
            f"{figures(f'{n_test:,}')} davon, aus jeder Klasse gezogen, werden zum Testen "
            f"zurückgehalten; aus {figures(f'{n_train:,}')} wird gelernt."
        )
    return (
        f"{classes}, {counted(n_train, 'Bild', 'Bilder')} zum Lernen; {figures(f'{n_test:,}')} "
        "andere, die dabei waren, werden zum Testen zurückgehalten."
    )


CLASSES_LABEL = "Klassen"


CLASS_COLUMNS = ("Klasse", "Zum Lernen", "Zum Testen")


def right_of(right: int, n: int) -> str:
    return f"{right} von {n}"


def and_more(n: int) -> str:
    return f"und {n} weitere"


def class_label(number: int) -> str:
    return f"Klasse {number}"


def pictures_label(number: int) -> str:
    return f"Bilder der Klasse {number}"


def too_many_pictures(n: int) -> str:
    most = LIMITS.max_pictures_per_class_page
    return f"Eine Klasse fasst hier bis zu {most} Bilder; die ersten {most} von {n} werden benutzt."


def too_many_bytes(name: str) -> str:
    most = LIMITS.max_session_bytes // 2**20
    return (
        f"„{name}“ wurde nicht angenommen: Ihre Bilder füllen die {most} MB, die eine Person hier "
        "hat, entfernte eingeschlossen. Öffnen Sie die Seite in einem privaten Fenster, um "
        "weiterzumachen."
    )


def no_room(name: str) -> str:
    return f"„{name}“ wurde nicht angenommen: Auf diesem Computer ist dafür kein Platz mehr."


def twice(name: str) -> str:
    return f"„{name}“ ist zweimal in dieser Klasse und zählt einmal."


def no_test_part(names: list[str]) -> str:
    shown = ", ".join(f"„{name}“" for name in names[:4])
    more = f" und {len(names) - 4} weitere" if len(names) > 4 else ""
    return (
        f"{shown}{more} {'hat' if len(names) == 1 else 'haben'} keine eigenen Testbilder: Die "
        "Trefferquote wird an den anderen Klassen gemessen."
    )


TRAIN_TITLE = "Trainieren"


TRAIN_LEAD = "Das Modell bleibt, wie es ist; gelernt werden nur die Wörter vor jedem Namen."


TEMPLATE_LABEL = "Die Wörter, die es zu schlagen gilt"


TEMPLATE_INFO = "Der Prompt, den Sie schreiben würden, auf Englisch; {} steht für den Klassennamen."


TRAIN = "Trainieren"


GO_ON = "Weiter"


NOTHING_TO_GO_ON = "Hier gibt es kein unterbrochenes Training. Beginnen Sie eines mit „Trainieren“."


def interrupted(step: int, total: int) -> str:
    return (
        f"Dieses Training wurde bei Schritt {figures(f'{step:,} von {total:,}')} unterbrochen. "
        "Was es gelernt hatte, ist da und kann benutzt werden; mit „Weiter“ bringen Sie es zu Ende."
    )


SETTINGS = "Einstellungen"


CURVES_HINT = "Während es lernt, entstehen hier die Kurven von Fehler und Trefferquote."


STOPPED_BEFORE_TRAINING = "Vor dem ersten Schritt angehalten; es wurde nichts gelernt."


ACCURACY_TITLE = "Trefferquote bei zurückgehaltenen Bildern, %"


LEARNED = "Gelernter Prompt"


WORDS = "Ihre Wörter"


FLAT_LINE = "Ihre Wörter"


LEARNED_HELD_OUT = "gelernt"


LEARNED_TRAINING = "gelernt, Training"


def finished(steps: int, seconds: float) -> str:
    return figures(f"Alle {steps:,} Schritte in {seconds:.1f} s durchlaufen") + "."


def stopped(number: int, total: int, measured_at: int) -> str:
    kept = (
        ""
        if measured_at == number
        else f", zuletzt gemessen bei Schritt {figures(f'{measured_at:,}')}"
    )
    return (
        f"Bei Schritt {figures(f'{number:,} von {total:,}')} angehalten. Der bisher beste Prompt "
        f"ist aufgehoben{kept}."
    )


N_CTX_LABEL = "Länge des Kontexts"


N_CTX_INFO = "Wie viele Vektoren anstelle von Wörtern gelernt werden."


KIND_LABEL = "Kontext"


KINDS = ("einer für alle Klassen", "einer je Klasse")


POSITION_LABEL = "Der Klassenname steht"


POSITIONS = {"am Ende": "end", "in der Mitte": "middle", "am Anfang": "front"}


INIT_LABEL = "Anfangswörter"


INIT_INFO = "Womit das Lernen beginnt, zum Beispiel „a photo of a“; leer heißt zufällig."


SHOTS_LABEL = "Shots"


SHOTS_INFO = "Bilder jeder Klasse, aus denen gelernt wird."


PRESET_LABEL = "Rezept"


PRESETS = ("schnell", "Artikel")


PRESET_INFO = "schnell: alle Bilder in jedem Schritt. Artikel: wie im CoOp-Artikel, langsamer."


STEPS_LABEL = "Schritte"


RATE_LABEL = "Lernrate"


FROM_RECIPE = "0: wie im Rezept."


PULL_LABEL = "Zug zu den Wörtern hin"


PULL_INFO = (
    "Das λ von KgCoOp: 0 heißt aus; mit 8, wie im zugehörigen Artikel, vergisst es weniger über "
    "neue Klassen."
)


SEED_LABEL = "Startwert (Seed)"


SEED_INFO = (
    "Legt fest, welche Bilder Shots sind, welche zurückgehalten werden und wo das Lernen beginnt."
)


TEMPLATE_TOO_LONG = (
    f"Die Wörter, die es zu schlagen gilt, sind länger als {LIMITS.max_template} Zeichen. Kürzen "
    "Sie sie."
)


def choose_one(label: str, given: object, choices: object) -> str:
    return f"{label}: „{str(given)[:40]}“ gehört nicht zu {', '.join(map(str, choices))}."  # type: ignore[call-overload]


def too_many_steps(steps: int, most: int) -> str:
    return (
        figures(f"Das wären {steps:,} Schritte; auf der Seite sind bis zu {most:,} möglich")
        + ". Wählen Sie weniger, oder trainieren Sie mit python -m coop_demo train."
    )


TRY_TITLE = "Ausprobieren"


TRY_LEAD = "Ein Bild, das das Modell nicht kennt: Was macht jeder Prompt daraus?"


TRY_LABEL = "Ein Bild zum Ausprobieren"


MANY_TITLE = "Viele Bilder auf einmal"


MANY_LABEL = "Bilder oder ein Zip davon"


TABLE_HEADERS = ("Bild", "Gelernter Prompt", "%", "Ihre Wörter", "% ")


RESULTS_LABEL = "Was jeder Prompt sagt"


DOWNLOAD_CSV = "CSV herunterladen"


SAVE_PROMPT = "Prompt speichern"


LOAD_PROMPT = "Prompt laden"


TRY_EMPTY = "Ziehen Sie ein Bild hierher, fügen Sie eines ein, oder nehmen Sie die Webcam."


EXAMPLES = "Zurückgehaltene Bilder zum Ausprobieren"


EXAMPLES_HINT = "Oder klicken Sie auf eines von diesen, die zurückgehalten sind:"


EXAMPLE_GONE = "Dieses Bild ist nicht mehr da. Wählen Sie ein anderes."


SURPRISE = "Überraschung"


NO_OTHER_SET = "Es gibt kein anderes Beispiel, aus dem ein Bild kommen könnte."


def truth(name: str, elsewhere: str) -> str:
    if elsewhere:
        return f"Aus einem anderen Beispiel, „{elsewhere}“: {name}."
    return f"Zurückgehalten; die wahre Klasse ist „{name}“."


TRY_NOTHING_TO_TELL = (
    "Nennen Sie zwei Klassen oder laden Sie einen Prompt. Dann können Sie ein Bild ausprobieren."
)


TRAIN_FIRST = "Trainieren Sie zuerst, dann erscheint hier die Antwort."


NO_TRY_PICTURES = "Unter diesen Dateien ist kein Bild. Nehmen Sie JPEG- oder PNG-Bilder."


def prompt_in_use(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5]) + (f" und {len(names) - 5} weitere" if len(names) > 5 else "")
    return f"Ein Prompt für {shown}."


def loaded(name: str, n_classes: int, model: str) -> str:
    return (
        f"„{name}“ geladen: {counted(n_classes, 'Klasse', 'Klassen')}, gemacht mit dem Modell "
        f"{model}."
    )


def too_many_to_try(n: int, most: int) -> str:
    return (
        figures(
            f"Auf einmal werden bis zu {most:,} Bilder ausprobiert; es waren die ersten {most:,} "
            f"von {n:,}"
        )
        + "."
    )
