"""Alle Sätze des Tabs „Ordnen“, die keine Fehlermeldungen des Kerns sind."""

from coop_demo.languages.german.page import counted, figures
from coop_demo.ranking.order import Judgement
from coop_demo.ranking.reading import Reading
from coop_demo.ranking.trust import AGREES, Trust

# --- Bilder -------------------------------------------------------------------------------------
TITLE = "Wählen"
LEAD = "Ein Stapel Bilder, und wonach sie geordnet werden."
DROP_LABEL = "Bilder, Zips und Tabellen mit Angaben"
DROP_HINT = (
    "Bilder, ein Zip davon und, falls Sie Angaben haben, eine CSV mit den Spalten image, value und "
    "prompt: zusammen oder nacheinander."
)
EMPTY = "Noch keine Bilder. Beginnen Sie mit einem Beispiel, oder nehmen Sie eigene."
START_OVER = "Neu anfangen"


def cleared(n: int) -> str:
    return f"{counted(n, 'Bild wurde', 'Bilder wurden')} entfernt, samt Nummern und Reihenfolge."


INSTRUCTION = "Anweisung"
INSTRUCTION_INFO = "Wählen Sie eine, oder schreiben Sie eine eigene, auf Deutsch oder Englisch."
SECOND = "Eine zweite Anweisung"
SECOND_INFO = "Wenn Sie mögen: dieselben Bilder in zwei Reihenfolgen nebeneinander."
RANK = "Ordnen"
NO_FILE = "Keine dieser Dateien ist ein Bild, ein Zip oder eine CSV. Wählen Sie andere."


def no_such_kind(name: str) -> str:
    return f"„{name}“ ist weder ein Bild noch ein Zip noch eine CSV."


def licence(name: str) -> str:
    return f"Lizenz: {name}."


def facts(n: int, labels: dict[str, dict[str, float]]) -> str:
    known = [name for name, values in labels.items() if values]
    pictures = counted(n, "Bild", "Bilder")
    if not known:
        return (
            f"{pictures} ohne Angaben: Eine Reihenfolge wird gezeigt, aber nicht, wie gut sie ist."
        )
    shown = ", ".join(f"„{name.rstrip('.')}“" if name else "jede Anweisung" for name in known[:4])
    more = f" und {len(known) - 4} weitere" if len(known) > 4 else ""
    return f"{pictures}; Angaben für {shown}{more}."


def twice(name: str, other: str) -> str:
    same = "ist zweimal da" if name == other else f"ist dasselbe Bild wie „{other}“"
    return f"„{name}“ {same} und zählt einmal."


def pile_full(n: int, most: int) -> str:
    return (
        figures(f"Die Seite ordnet bis zu {most:,} Bilder; {n:,} wurden weggelassen")
        + ". Für mehr nehmen Sie python -m coop_demo rank."
    )


def labels_elsewhere(table: str, names: list[str], n_rows: int) -> str:
    shown = ", ".join(f"„{name[:60]}“" for name in names[:3])
    more = f" und {len(names) - 3} weitere" if len(names) > 3 else ""
    missing = "das nicht hier ist" if len(names) == 1 else "die nicht hier sind"
    return (
        f"„{table}“ nennt {counted(len(names), 'Bild', 'Bilder')}, {missing} ({shown}{more}); "
        f"{counted(n_rows, 'Zeile wurde', 'Zeilen wurden')} übergangen."
    )


def labels_for_others(table: str, example: str) -> str:
    return (
        f"Keines der Bilder, zu denen „{table}“ Angaben hat, ist hier; das erste ist "
        f"„{example[:60]}“. Nehmen Sie diese Bilder dazu, oder eine Tabelle mit den Namen der "
        "Bilder hier."
    )


def labels_without_pictures(table: str) -> str:
    return (
        f"„{table}“ wurde nicht benutzt: Hier sind noch keine Bilder. Nehmen Sie sie zuerst dazu, "
        "oder zusammen damit."
    )


# --- Ranker -------------------------------------------------------------------------------------
SHIPPED_TITLE = "der Ranker, der der App beiliegt"
LOAD_RANKER = "Ranker laden"
SAVE_RANKER = "Ranker speichern"
USE_SHIPPED = "Zurück zum mitgelieferten"


def in_use(title: str) -> str:
    return f"In Benutzung: {title}."


def no_ranker(backbone: str) -> str:
    return (
        f"Für das Modell {backbone} gibt es noch keinen Ranker: Das Gegensatzpaar und der Kosinus "
        "ordnen die Bilder. Laden Sie einen Ranker, oder bringen Sie unten einem Ihre Reihenfolge "
        "bei."
    )


def loaded(name: str, n_instructions: int) -> str:
    return f"„{name}“, der {counted(n_instructions, 'Anweisung', 'Anweisungen')} gelernt hat"


# --- Reihenfolge --------------------------------------------------------------------------------
ORDER_TITLE = "Die Reihenfolge"
ORDER_LEAD = "Das Bild mit dem meisten von dem, wonach die Anweisung fragt, steht vorn."
NOTHING_RANKED = (
    "Wählen Sie Bilder und eine Anweisung und klicken Sie auf „Ordnen“. Dann sehen Sie:"
)
PROMISES = (
    "die Bilder in ihrer Reihenfolge; ein Klick zeigt, worauf der Ranker geschaut hat",
    "wie gut die Reihenfolge ist, wenn zu Ihren Bildern Angaben gehören",
    "zwei Anweisungen nebeneinander, und was einfachere Wege aus denselben Bildern machen",
    "je zwei Bilder, und welches davon er vorn sieht",
)
ONE_PICTURE = (
    "Hier ist ein Bild; für eine Reihenfolge braucht es mindestens zwei. Nehmen Sie Bilder dazu."
)
NO_PICTURES = (
    "Es gibt keine Bilder zu ordnen. Wählen Sie ein Beispiel, oder nehmen Sie eigene Bilder."
)
SAME_TWICE = "Beide Anweisungen sind gleich. Ändern Sie eine, oder lassen Sie die zweite leer."
GALLERY = "Bilder in ihrer Reihenfolge"
LOOK_PAIR = "Warum steht dieses vorn? Genauer hinsehen"
SAME_PICTURE = "Das ist zweimal dasselbe Bild. Wählen Sie zwei zum Vergleichen."
DOWNLOAD = "CSV herunterladen"
METHOD = {"ranker": "Ranker", "antonyms": "Gegensatzpaar", "cosine": "Kosinus"}
RIVALS_TITLE = "Was einfachere Wege daraus machen"
RIVALS_LEAD = (
    "Zwei Wege, die nichts lernen: wie viel näher ein Bild einem Prompt ist als dessen Gegenteil, "
    "und wie nah es der Anweisung selbst ist (der Kosinus)."
)
HIGH_LABEL = "Viel davon"
LOW_LABEL = "Wenig davon"
AGAIN = "Neu vergleichen"
PILE_CHANGED = "Die Bilder haben sich beim Ordnen geändert. Ordnen Sie sie noch einmal."
RANK_FIRST = "Ordnen Sie zuerst die Bilder."
SLOPE_TITLE = "Dieselben Bilder, zwei Anweisungen"
SCORES_TITLE = "Die Werte aller Bilder"
SCORES_LEAD = (
    "Wie weit die Bilder auseinanderliegen. Die Werte zweier Anweisungen haben keinen gemeinsamen "
    "Maßstab."
)
PAIRS_TITLE = "Je zwei Bilder: Welches steht vorn?"
PAIRS_LEAD = (
    "Ein zweiter Teil des Rankers sagt für jedes Paar, welches "
    "Bild vorn steht. Wählen Sie ein Feld "
    "oder zwei Bilder; × heißt, dass er sich widerspricht, wenn man ihn andersherum fragt."
)
FIRST_PICTURE = "Ein Bild"
OTHER_PICTURE = "und ein anderes"
NO_SUCH_PAIR = "Ein solches Paar gibt es nicht. Wählen Sie zwei der Bilder in der Tafel."
NO_PAIRS = "Paare brauchen einen Ranker."
LABELS_TITLE = "Gegen die Angaben"
AGREEMENT_LABEL = "Übereinstimmung mit den Angaben"
AGREEMENT_COLUMNS = ("", "SRCC", "PLCC", "Kendalls τ", "Paare richtig")
NOT_DEFINED = "nicht bestimmt"


def choose_two(n: int) -> str:
    return f"Wählen Sie zwei der {n} Bilder in der Tafel."


def places(name: str, left: int, right: int) -> str:
    return f"{name}: {left} links, {right} rechts"


def scored(score: float) -> str:
    return f"Wert {figures(f'{score:.3f}')}"


def above_the_other(logit: float, chance: float) -> str:
    return f"vor dem anderen: Logit {figures(f'{logit:+.2f}')} ({100 * chance:.0f} %)"


def ranked(n: int, seconds: float, n_instructions: int) -> str:
    what = "" if n_instructions == 1 else f" nach {n_instructions} Anweisungen"
    return f"{counted(n, 'Bild', 'Bilder')}{what} in {figures(f'{seconds:.1f}')} s geordnet."


def about(instruction: str, sentence: str) -> str:
    return f"„{instruction}“ {sentence}"


def all_same(method: str) -> str:
    return (
        f"{METHOD[method]}: Jedes Bild hat hier denselben Wert, das ist also keine Reihenfolge; "
        "die Bilder stehen, wie sie kamen."
    )


def shown_of(shown: int, n: int) -> str:
    return (
        f"Die ersten {shown - shown // 2} und die letzten {shown // 2} von {figures(f'{n:,}')}; "
        "die CSV hat alle."
    )


def gallery_hint(shown: int, n: int, ranker: bool) -> str:
    said = [shown_of(shown, n)] if shown < n else []
    if ranker:
        said.append("Klicken Sie auf ein Bild, um zu sehen, worauf der Ranker geschaut hat.")
    return " ".join(said)


def sampled(shown: int, n: int) -> str:
    return (
        f"{shown} von {figures(f'{n:,}')} Bildern sind gezeichnet, gleichmäßig vom ersten bis zum "
        "letzten."
    )


def slope_summary(n: int, agreement: float | None) -> str:
    pictures = counted(n, "Bild", "Bilder")
    if agreement is None:
        return f"{pictures}; eine der beiden Reihenfolgen hat nur gleiche Werte."
    how = (
        "Die beiden Reihenfolgen sind fast gleich"
        if agreement > 0.9
        else "Die beiden Reihenfolgen sind ähnlich"
        if agreement > 0.5
        else "Die beiden Reihenfolgen haben wenig miteinander zu tun"
        if agreement > -0.5
        else "Die beiden Reihenfolgen sind fast entgegengesetzt"
    )
    return f"{how}: Rangkorrelation {figures(f'{agreement:.2f}')} über {pictures}."


def too_few_to_judge(n: int, least: int) -> str:
    return (
        f"{n} Angaben sind zu wenig, um zu sagen, welcher Weg besser ist; es braucht mindestens "
        f"{least}."
    )


def verdict(found: Judgement) -> str:
    numbers = (
        f"SRCC {figures(f'{found.ranker_srcc:.2f}')} gegen "
        f"{figures(f'{found.rival_srcc:.2f}')} bei "
        f"{counted(found.n, 'Bild', 'Bildern')} mit Angabe; das 95‑%‑Intervall des Unterschieds "
        f"reicht von {figures(f'{found.low:+.2f}')} bis {figures(f'{found.high:+.2f}')}"
    )
    the = {"antonyms": "das Gegensatzpaar", "cosine": "den Kosinus"}[found.rival]
    to = {"antonyms": "dem Gegensatzpaar", "cosine": "dem Kosinus"}[found.rival]
    if found.kind == "better":
        return f"Der Ranker schlägt {the}: {numbers}."
    if found.kind == "worse":
        return f"Der Ranker verliert gegen {the}: {numbers}."
    return f"Zwischen dem Ranker und {to} ist kein klarer Unterschied: {numbers}."


VERDICT_UNDEFINED = (
    "Die Angaben oder die Werte eines Weges sind alle gleich: Eine Rangkorrelation gibt es dann "
    "nicht."
)


def few_labels(n: int) -> str:
    if n == 1:
        return (
            "Zu einem dieser Bilder gibt es eine Angabe; für eine Übereinstimmung braucht es "
            "mindestens zwei verschiedene."
        )
    return (
        "Zu keinem Bild hier gibt es eine Angabe für diese Anweisung: Die Reihenfolge lässt sich "
        "nicht messen."
    )


def pair_sentence(first: str, other: str, one_way: float, other_way: float) -> str:
    if (one_way > 0) == (other_way > 0):
        claim = "jedes vor das andere" if one_way > 0 else "keines vor das andere"
        return f"Ein Widerspruch: In beiden Richtungen gefragt, stellt er {claim}."
    above, below = (first, other) if one_way > 0 else (other, first)
    return f"In beiden Richtungen stellt er „{above}“ vor „{below}“."


_FIRST = {
    "fewest first": "die wenigsten zuerst",
    "youngest first": "die jüngsten zuerst",
    "worst first": "die schlechtesten zuerst",
    "darkest first": "die dunkelsten zuerst",
    "least contrast first": "die mit dem geringsten Kontrast zuerst",
    "least colourful first": "die am wenigsten bunten zuerst",
    "coldest first": "die kältesten zuerst",
    "blurriest first": "die unschärfsten zuerst",
    "cleanest first": "die mit dem wenigsten Rauschen zuerst",
    "simplest first": "die schlichtesten zuerst",
}


def asked_for(instruction: str) -> str:
    return f"„{instruction}“:"


def reading_sentence(reading: Reading) -> str:
    if not reading.differs:
        return ""
    first = f", {_FIRST[reading.first]}." if reading.is_turned else "."
    return f"Verstanden als: „{reading.asked.rstrip('.')}“{first}"


def trust_sentence(trust: Trust) -> str:
    if trust.kind == "drawn":
        said = "Der Ranker hat diese Anweisung an gezeichneten Szenen gelernt und nicht an Fotos."
    elif trust.is_learned and trust.held_out is not None:
        said = (
            "Der Ranker hat diese Anweisung gelernt; bei Bildern, die er nicht kannte, stimmte "
            f"seine Reihenfolge zu {figures(f'{trust.held_out:.2f}')} mit der wahren überein "
            "(SRCC, 1 ist perfekt)."
        )
    elif trust.is_learned:
        said = "Der Ranker hat diese Anweisung gelernt; wie gut, wurde nicht gemessen."
    elif trust.is_near:
        said = f"Der Ranker hat fast dieselbe gelernt: „{trust.nearest}“."
    elif trust.nearest:
        said = (
            "Der Ranker hat diese Anweisung nie gelernt; am nächsten kommt ihr von denen, die er "
            f"kennt, „{trust.nearest}“."
        )
    else:
        said = "Der Ranker hat nie eine Anweisung gelernt."
    if trust.kind != "learned" and trust.reliability is not None:
        mean, lowest = (
            figures(f"{value:.2f}") for value in (trust.reliability.srcc, trust.reliability.lowest)
        )
        said += (
            " In unseren Tests stimmten Reihenfolgen von Fotos unter solchen Anweisungen im Mittel "
            f"zu {mean} mit den wahren überein, im schlechtesten Fall zu {lowest} (SRCC, 1 ist "
            "perfekt)."
        )
    if trust.agreement is not None and trust.agreement < AGREES:
        said += " Seine zwei Arten, Bilder zu vergleichen, sind sich über diese Reihenfolge uneins."
    if trust.level == "doubtful":
        said += (
            " Verlassen Sie sich nicht auf diese Reihenfolge, bevor Sie sie angesehen haben. "
            "Bringen Sie sie dem Ranker mit zwanzig eigenen Bildern bei, oder wählen Sie ein "
            "größeres CLIP-Modell."
        )
    return said


# --- beibringen ---------------------------------------------------------------------------------
TEACH_TITLE = "Ihre Reihenfolge beibringen"
TEACH_LEAD = "Zehn bis dreißig Bilder genügen. Ein Drittel davon wird zum Testen zurückgehalten."
CLICK_LABEL = "Bilder zum Anklicken in Ihrer Reihenfolge"
CLICK_HINT = (
    "Klicken Sie die Bilder in Ihrer Reihenfolge an, das erste zuerst; ein zweiter Klick nimmt "
    "eines wieder heraus. Oder tippen Sie Nummern in die Tabelle."
)
TABLE_LABEL = "Ihre Nummern"
TABLE_HEADERS = ["", "Bild", "Nummer"]
MEANING_LABEL = "Die Nummern sind"
MEANINGS = {"Plätze: 1 steht vorn": "place", "Mengen: die größte steht vorn": "amount"}
ONE_MEANING = "Die Nummern sind: Wählen Sie eines von beiden."
FROM_LABELS = "Angaben nehmen"
FROM_ORDER = "Reihenfolge oben nehmen"
FROM_CSV = "CSV öffnen"
CLEAR_NUMBERS = "Nummern löschen"
TEACH = "Beibringen"
BEFORE, AFTER = "Vorher", "Nachher"
STEPS_LABEL = "Schritte"
RATE_LABEL = "Lernrate"
SEED_LABEL = "Startwert (Seed)"
STEPS_INFO = "Wie oft der Ranker ein wenig geändert wird. 0: aus dem Rezept"
RATE_INFO = "Wie groß jede Änderung ist. 0: aus dem Rezept"
SEED_INFO = "Legt fest, welche Bilder zurückgehalten werden."
FRESH_LABEL = "Beginnen mit"
FRESH_INFO = "Ein Ranker, der schon ordnen kann, braucht viel weniger Bilder."
STARTS = {"dem Ranker in Benutzung": False, "nichts": True}
CURVES_TITLE = "Zurückgehaltene Paare richtig geordnet, %"
LEARNED = "Ranker, zurückgehaltene Paare"
RIVAL_LINE = "bester einfacherer Weg"
TEACH_HINT = "Nummerieren Sie einige Bilder; hier entstehen die Kurven, während er lernt."
BAD_TABLE = (
    "Die Tabelle der Nummern kam beschädigt an. Laden Sie die Seite neu und nummerieren Sie noch "
    "einmal."
)
NO_LABELS = (
    "Für diese Anweisung gibt es keine Angaben. Öffnen Sie eine CSV, oder tippen Sie Nummern."
)
NO_ORDER = "Es gibt noch keine Reihenfolge. Ordnen Sie zuerst die Bilder."


def not_a_number(name: str, given: str) -> str:
    return f"„{name}“: „{given[:40]}“ ist keine Zahl. Verbessern Sie sie, oder leeren Sie das Feld."


def numbered(n: int, n_pictures: int, n_shown: int) -> str:
    some = f" Die ersten {n_shown} sind aufgeführt." if n_shown < n_pictures else ""
    return f"{n} von {counted(n_pictures, 'Bild', 'Bildern')} nummeriert.{some}"


def finished(steps: int, seconds: float, n_learned: int, n_held_out: int) -> str:
    were = "wurde" if n_held_out == 1 else "wurden"
    return (
        f"Alle {figures(f'{steps:,}')} Schritte in {figures(f'{seconds:.1f}')} s durchlaufen, mit "
        f"{counted(n_learned, 'Bild', 'Bildern')}; {n_held_out} {were} zurückgehalten."
    )


def interrupted(step: int, total: int) -> str:
    return (
        f"Dieses Training wurde bei Schritt {figures(f'{step:,} von {total:,}')} unterbrochen. Was "
        "es gelernt hatte, ist da und in Benutzung; mit „Beibringen“ geht es von dort weiter."
    )


def stopped(number: int, total: int, measured_at: int) -> str:
    kept = (
        f" Der Ranker von Schritt {figures(f'{measured_at:,}')} ist aufgehoben."
        if measured_at != number
        else ""
    )
    return f"Bei Schritt {figures(f'{number:,} von {total:,}')} angehalten.{kept}"


STOPPED_EARLY = "Vor dem ersten Schritt angehalten; es wurde nichts gelernt."


def taught_title(instruction: str) -> str:
    return f"der Ranker, dem Sie „{instruction[:60]}“ beigebracht haben"


def taught_verdict(
    before: float | None, after: float | None, rival: str, other: float | None, n_pairs: int
) -> str:
    if after is None:
        return "Die zurückgehaltenen Bilder haben alle dieselbe Nummer, also war nichts zu messen."
    few = (
        ""
        if n_pairs >= 30
        else f" {counted(n_pairs, 'Paar kann', 'Paare können')} nur einen Hinweis geben."
    )
    if before is None or after > before:
        own = (
            ""
            if before is None
            else f"Er hat sich von {_percent(before)} auf {_percent(after)} verbessert."
        )
    elif after == before:
        own = f"Er ist so gut wie vorher: {_percent(after)}."
    else:
        own = f"Er ist schlechter geworden: vorher {_percent(before)}, jetzt {_percent(after)}."
    if other is None:
        return f"{own}{few}".strip()
    to = {"antonyms": "dem Gegensatzpaar", "cosine": "dem Kosinus"}[rival]
    than = {"antonyms": "das Gegensatzpaar, das", "cosine": "der Kosinus, der"}[rival]
    if after > other:
        against = f"Er liegt vor {to} ({_percent(other)})."
    else:
        against = f"Er ist nicht besser als {than} nichts lernt ({_percent(other)})."
    return f"{own} {against}{few}".strip()


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def measured_on(n_pairs: int, n_held_out: int, instruction: str) -> str:
    return (
        f"„{instruction[:60]}“: {counted(n_pairs, 'Paar', 'Paare')} aus den {n_held_out} "
        "zurückgehaltenen Bildern, Anteil in der richtigen Reihenfolge."
    )


OFFERED_LABEL = "Ranker auf diesem Computer"
OFFERED_INFO = (
    "Aus dem Ordner in COOP_DEMO_RANKERS. Jeder gehört zu einem Modell, das oben gewählt wird."
)


def offered(title: str, name: str) -> str:
    return f"„{title}“ ({name})"


def no_such_offer(name: str) -> str:
    return f"Im Ordner gibt es keinen Ranker „{name[:80]}“ mehr. Wählen Sie einen anderen."


def offer_needs(title: str, model: str) -> str:
    return f"„{title}“ wurde für das Modell {model} gemacht. Wählen Sie zuerst oben dieses Modell."
