"""Alle Sätze des Tabs „Vergleichen“, die keine Fehlermeldungen des Kerns sind."""

from coop_demo.comparison.verdict import SIGNIFICANT, Outcome
from coop_demo.languages.german.comparison import p_value as p_value_text
from coop_demo.languages.german.page import counted, figures, left

# --- was verglichen wird --------------------------------------------------------------------------
SET_TITLE = "Wählen"
SET_LEAD = (
    "Alle Verfahren sehen dieselben Shots und werden an denselben zurückgehaltenen Bildern "
    "gemessen."
)
SOURCE_LABEL = "Bilder"
FROM_TEACH = "Die Bilder aus „Beibringen“"
METHODS_LABEL = "Verfahren"
TEMPLATES_LABEL = "Selbst geschriebene Prompts"
TEMPLATES_INFO = "Einer je Zeile; {} steht für den Klassennamen. Der erste ist zu schlagen."
OFFER_LABEL = "Prompt hinzufügen"
OFFER_INFO = "Die des CoOp-Artikels, jeder für seinen Datensatz."
REUSE_LABEL = "Den in „Beibringen“ gelernten Prompt nehmen, statt neu zu trainieren"
SHOTS_LABEL = "Bilder je Klasse"
SEED_LABEL = "Startwert (Seed)"
PRESET_LABEL = "Rezept"
N_CTX_LABEL = "Länge des Kontexts"
STEPS_LABEL = "Schritte"
FROM_RECIPE = "aus dem Rezept"
SETTINGS = "Einstellungen"
COMPARE = "Vergleichen"

# --- während es läuft -----------------------------------------------------------------------------
RESULT_TITLE = "Nebeneinander"
RESULT_LEAD = "Wer ist besser, und könnte es Zufall sein?"
TABLE_LEAD = (
    "Das beste Verfahren zuerst. Der Strich durch jeden Balken ist das 95-%-Intervall der "
    "Trefferquote. „+5 −2“ heißt: bei 5 Bildern richtig, bei denen die Wörter falsch liegen, und "
    "bei 2 falsch, bei denen sie richtig liegen."
)
NOTHING_YET = "Wählen Sie Bilder und klicken Sie auf „Vergleichen“. Dann sehen Sie:"
PROMISES = (
    "welches Verfahren am häufigsten richtig liegt, wie sicher "
    "das ist und ob es Zufall sein könnte",
    "wie viel mehr Bilder helfen würden und wo jedes Verfahren irrt, Bild für Bild",
    "was gelernt wurde, in Worten; was vergessen wurde; und wie gut es auf anderen Bildern klappt",
    "ob man seiner Sicherheit trauen kann",
)
STOPPED_EMPTY = "Angehalten, bevor etwas gemessen war."
COMPARE_FIRST = "Vergleichen Sie zuerst: Hier wird ein Vergleich genauer angesehen."
READING_WORDS = "Die Kontextvektoren werden als Wörter gelesen …"
REUSED = "Der gelernte Prompt ist der aus „Beibringen“, mit dessen Shots und Startwert."


def fitting(title: str) -> str:
    return f"Wird angepasst: {title} …"


def learning(title: str, step: int, total: int, seconds_left: float) -> str:
    return f"{title}: Schritt {figures(f'{step:,} von {total:,}')} · {left(seconds_left)}"


def compared(n_methods: int, n_test: int, seconds: float) -> str:
    return (
        f"{counted(n_methods, 'Verfahren')} an "
        f"{counted(n_test, 'zurückgehaltenen Bild', 'zurückgehaltenen Bildern')} in "
        f"{figures(f'{seconds:.1f}')} s."
    )


def stopped(n_methods: int) -> str:
    measured = "war" if n_methods == 1 else "waren"
    return f"Angehalten. {counted(n_methods, 'Verfahren')} {measured} gemessen, der Rest nicht."


def other_prompt(names: str) -> str:
    return (
        f"Der in „Beibringen“ gelernte Prompt kennt andere Klassen ({names}), deshalb wird der "
        "gelernte Prompt hier trainiert."
    )


def no_such_source(name: str) -> str:
    return f"Die Bilder „{name[:80]}“ gibt es nicht. Wählen Sie welche von den gezeigten."


def too_many_templates(n: int, most: int) -> str:
    return f"Das sind {n} selbst geschriebene Prompts; auf einmal werden bis zu {most} verglichen."


# --- die Tabelle ----------------------------------------------------------------------------------
TABLE_LABEL = "Verfahren und ihre Trefferquote"
COLUMN_METHOD = "Verfahren"
COLUMN_ACCURACY = "Trefferquote (zurückgehalten)"
COLUMN_INTERVAL = "95-%-Intervall"
COLUMN_PAIRED = "Gegen die Wörter"
COLUMN_SECONDS = "Angepasst in"
THE_LINE = "ist zu schlagen"


def paired(better: int, worse: int, p_value: float) -> str:
    if better == worse:
        return f"+{better} −{worse}: unentschieden"
    said = "kaum Zufall" if p_value < SIGNIFICANT else "könnte Zufall sein"
    return f"+{better} −{worse}: {said} ({p_value_text(p_value)})"


def headline(title: str, found: Outcome, *, learned: bool) -> str:
    words = "den selbst geschriebenen Prompt"
    them = "der selbst geschriebene Prompt"
    name = f"Der {title[:1].lower()}{title[1:]}" if learned else f"„{title}“"
    if learned and title.startswith("Gelernter"):
        name = f"Der gelernte{title.removeprefix('Gelernter')}"
    return {
        Outcome.SAME: f"Unentschieden: {_within(name)} und {them} liegen bei genau denselben "
        "Bildern richtig.",
        Outcome.EQUAL: f"Unentschieden: {_within(name)} und {them} liegen gleich oft richtig.",
        Outcome.BETTER: f"{name} schlägt {words}, und das ist sehr wahrscheinlich kein Zufall.",
        Outcome.AHEAD: f"{name} liegt vor dem selbst geschriebenen Prompt, aber das könnte Zufall "
        "sein.",
        Outcome.BEHIND: f"{name} liegt hinter dem selbst geschriebenen Prompt, aber das könnte "
        "Zufall sein.",
        Outcome.WORSE: f"{name} verliert gegen {words}, und das ist sehr wahrscheinlich kein "
        "Zufall.",
    }[found]


def _within(name: str) -> str:
    """Mitten im Satz."""
    return f"der{name.removeprefix('Der')}" if name.startswith("Der ") else name


def against_rival(rival: str, found: Outcome) -> str:
    return {
        Outcome.SAME: f"„{rival}“ ist genauso gut.",
        Outcome.EQUAL: f"„{rival}“ ist genauso gut.",
        Outcome.BETTER: f"Er schlägt „{rival}“.",
        Outcome.AHEAD: f"Er liegt vor „{rival}“, aber das könnte Zufall sein.",
        Outcome.BEHIND: f"„{rival}“ liegt vor ihm, aber das könnte Zufall sein.",
        Outcome.WORSE: f"„{rival}“ schlägt ihn.",
    }[found]


_COLUMNS = {
    "method": "Verfahren",
    "accuracy %": "Trefferquote %",
    "mean confidence %": "mittlere Sicherheit %",
    "calibration error %": "Kalibrierungsfehler %",
    "temperature": "Temperatur",
    "error with it %": "Fehler damit %",
    "on pictures it was not fitted to %": "an Bildern, an die nicht angepasst wurde %",
    "learned classes %": "gelernte Klassen %",
    "new classes %": "neue Klassen %",
    "harmonic mean %": "harmonisches Mittel %",
    "among all names %": "unter allen Namen %",
    "pictures of learned": "Bilder der gelernten",
    "pictures of new": "Bilder der neuen",
    "fall, points": "Verlust in Punkten",
    "pictures here": "Bilder hier",
    "pictures there": "Bilder dort",
    "class": "Klasse",
    "vector": "Vektor",
    "length": "Länge",
    "nearest by cosine": "am nächsten nach Kosinus",
    "a random vector's cosine": "Kosinus eines Zufallsvektors",
    "nearest by distance": "am nächsten nach Abstand",
    "a random vector's distance": "Abstand eines Zufallsvektors",
    "prompt": "Prompt",
    "Everyday things %": "Alltagsdinge %",
    "Everyday things, drawn %": "Alltagsdinge, gezeichnet %",
    "Everyday things, second set %": "Alltagsdinge, zweite Bilder %",
}


def column(name: str) -> str:
    return _COLUMNS.get(name, name)


def right_of(right: int, n: int, low: float, high: float) -> str:
    return f"{right} von {n}, wahrscheinlich {100 * low:.0f} bis {100 * high:.0f} %"


# --- genauer hinsehen -----------------------------------------------------------------------------
SHOTS_TAB = "Shots"
SHOTS_LEAD = (
    "Wie viel helfen mehr Bilder? Jeder Punkt wird mit jedem Startwert von vorn trainiert; der "
    "Strich durch ihn ist eine Standardabweichung über die Startwerte. Verfahren, die keine Bilder "
    "sehen, verlaufen waagerecht."
)
SHOTS_METHODS_LABEL = "Verfahren der Kurve"
SEEDS_LABEL = "Startwerte (Seeds)"
DRAW_CURVE = "Kurve zeichnen"


def grid(done: int, total: int, title: str, shots: int, seed: int, seconds_left) -> str:
    where = f"{title}, {counted(shots, 'Shot', 'Shots')}, Startwert {seed}" if shots else title
    rest = "" if seconds_left is None else f" · {left(seconds_left)}"
    return f"{done} von {total} Punkten: {where}{rest}"


def curve_done(n: int, seconds: float) -> str:
    points = "Der eine Punkt" if n == 1 else f"Alle {n} Punkte"
    return f"{points} der Kurve in {seconds:.0f} s."


def curve_stopped(n: int) -> str:
    return (
        f"Nach {counted(n, 'Punkt', 'Punkten')} angehalten. Zeichnen Sie noch einmal, geht es von "
        "hier weiter."
    )


MISTAKES_TAB = "Fehler"
MISTAKES_LEAD = (
    "Zeilen sind die wahre Klasse, Spalten die Antwort. Klicken Sie auf ein Feld, oder wählen Sie "
    "beides, um die Bilder dazu zu sehen; ein Klick auf ein Bild zeigt, wohin das Modell geschaut "
    "hat."
)
METHOD_LABEL = "Verfahren"
TRUE_LABEL = "Wahre Klasse"
ANSWER_LABEL = "Antwort"


def cell(n: int, true: str, answer: str) -> str:
    if not n:
        return f"Kein zurückgehaltenes Bild von „{true}“ wird für „{answer}“ gehalten."
    pictures = counted(n, "Bild", "Bilder")
    if true == answer:
        return f"{pictures} von „{true}“ richtig benannt."
    return f"{pictures} von „{true}“ für „{answer}“ gehalten."


DIFFER_TAB = "Uneinigkeit"
DIFFER_LEAD = (
    "Bilder, bei denen zwei Verfahren verschieden antworten, die sichersten Antworten zuerst. Ein "
    "Klick zeigt, wohin das Modell geschaut hat."
)
FIRST_LABEL = "Ein Verfahren"
SECOND_LABEL = "Das andere"
WHICH_LABEL = "Zeigen"
SAME_METHOD = "Wählen Sie zwei verschiedene Verfahren, um zu sehen, wo sie sich uneinig sind."


def only(title: str, n: int) -> str:
    return f"nur „{title}“ liegt richtig: {n}"


def neither(n: int) -> str:
    return f"beide liegen falsch, aber verschieden: {n}"


NONE_OF_THESE = "Ein solches Bild gibt es nicht."
LOOK_AT = "Wohin hat es geschaut? In „Hinsehen“ öffnen"


def gone(name: str) -> str:
    return f"„{name}“ ist nicht mehr da. Vergleichen Sie noch einmal."


def more_pictures(shown: int, n: int) -> str:
    return f"Die ersten {shown} von {figures(f'{n:,}')}; die Tabellen des Berichts nennen alle."


LEARNED_TAB = "Was gelernt wurde"
LEARNED_LEAD = (
    "Die Wörter des Wortschatzes, die jedem Kontextvektor am nächsten liegen, neben denen eines "
    "zufälligen Vektors derselben Länge. Wörter, die nicht näher sind als zufällige, bedeuten "
    "nichts. Die Trefferquote mit den Wörtern anstelle der Vektoren zeigt, wie viel vom Prompt sie "
    "erfassen."
)
NO_LEARNED = "In diesem Vergleich war kein gelernter Prompt."
MAP_LEAD = (
    "Bilder sind Punkte, Klassenvektoren große Zeichen, in der Ebene, in der sich die Bilder am "
    "meisten unterscheiden. Klicken Sie auf einen Punkt, oder bewegen Sie den Regler, um das Bild "
    "dazu zu sehen."
)
PICTURE_LABEL = "Bild"
WORDS_TABLE_LABEL = "Die nächsten Wörter jedes Kontextvektors"
WORDS_ACCURACY_LABEL = "Trefferquote mit Wörtern anstelle der Vektoren"


def more_vectors(shown: int, n: int) -> str:
    return f"Die ersten {shown} von {figures(f'{n:,}')} Vektoren; im Bericht stehen alle."


def words_verdict(learned: float, best: float, hand: float | None) -> str:
    lost = learned - best
    beside = "" if hand is None else f" (der selbst geschriebene Prompt: {_percent(hand)})"
    if lost <= 0.005:
        return (
            f"Mit Wörtern anstelle seiner Vektoren liegt der Prompt bei {_percent(best)} richtig, "
            f"nicht schlechter als gelernt{beside}: Hier erfassen ihn die Wörter."
        )
    return (
        f"Mit Wörtern anstelle seiner Vektoren fällt der Prompt von {_percent(learned)} auf "
        f"{_percent(best)}{beside}: Die Wörter sagen nicht, was gelernt wurde."
    )


def _percent(share: float) -> str:
    return figures(f"{100 * share:.1f} %")


FORGET_TAB = "Vergessen"
FORGET_LEAD = (
    "Der Prompt wird nur an einigen Klassen gelernt und dann auf die Namen der anderen angewendet, "
    "deren Bilder er nie gesehen hat. Der Zug von KgCoOp zu den Wörtern hin soll diese erhalten."
)
HELD_LABEL = "Klassennamen, die er nicht sehen darf"
HELD_INFO = (
    "Wählen Sie Klassen zum Zurückhalten, oder tippen Sie beliebige andere Namen: Ohne Bilder sind "
    "sie weitere falsche Antworten zur Auswahl. Leer heißt: die zweite Hälfte der Klassen."
)
PULL_LABEL = "Zug von KgCoOp"
PULL_RANGE = "Zug von KgCoOp: Wählen Sie eine Zahl über 0 und höchstens 100."
FORGET_RUN = "Zurückhalten und lernen"


def forgetting_verdict(base: float, new: float, hand_base: float, hand_new: float) -> str:
    return (
        "Bei den gelernten Klassen "
        f"{_moved(base - hand_base)} der Prompt gegenüber den Wörtern{_after(base - hand_base)}; "
        f"bei den nie gesehenen {_moved(new - hand_new)} er{_after(new - hand_new)}."
    )


def more_names_verdict(alone: float, together: float, hand: float, hand_together: float) -> str:
    words = hand_together - hand
    return (
        "Stehen auch die neuen Namen zur Auswahl, "
        f"{_moved(together - alone)} der gelernte Prompt{_after(together - alone)}, und die Wörter "
        f"{_moved(words, plural=True)}{_after(words)}."
    )


def pull_verdict(new: float, pulled: float) -> str:
    difference = pulled - new
    return (
        f"Mit dem Zug {_moved(difference)} er bei den neuen Klassen gegenüber dem ohne"
        f"{_after(difference)}."
    )


def _moved(difference: float, *, plural: bool = False) -> str:
    """Das Verb; was hinter dem Subjekt steht, sagt `_after`."""
    if abs(100 * difference) < 0.05:
        return "bleiben" if plural else "bleibt"
    if difference > 0:
        return "gewinnen" if plural else "gewinnt"
    return "verlieren" if plural else "verliert"


def _after(difference: float) -> str:
    points = abs(100 * difference)
    return " gleich gut" if points < 0.05 else f" {figures(f'{points:.1f}')} Punkte"


SHIFT_TAB = "Andere Bilder"
SHIFT_LEAD = (
    "Hier gelernt, dort getestet: andere Bilder mit denselben Klassennamen, in einem anderen Stil "
    "oder mit einer anderen Kamera."
)
SECOND_SET_LABEL = "Die anderen Bilder"
SECOND_ZIP = "Zip öffnen"
SHIFT_RUN = "Dort testen"
NO_SECOND = "Wählen Sie andere Bilder, oder öffnen Sie ein Zip mit denselben Klassennamen."
CHOOSE_SECOND = "Bitte wählen"


def shift_verdict(words_fall: float, learned_fall: float) -> str:
    gap = learned_fall - words_fall
    both = (
        f"Die Wörter verlieren {figures(f'{100 * words_fall:.1f}')} Punkte, der gelernte Prompt "
        f"{figures(f'{100 * learned_fall:.1f}')}"
    )
    if abs(gap) < 0.0005:
        return f"{both}: gleich viel."
    return f"{both}: {'Der gelernte Prompt verliert' if gap > 0 else 'Die Wörter verlieren'} mehr."


TRUST_TAB = "Sicherheit"
TRUST_LEAD = (
    "Liegt ein Verfahren bei den Bildern, bei denen es sich zu 80 % sicher ist, auch zu 80 % "
    "richtig? Auf der gepunkteten Linie tut es das. Eine Temperatur über 1 macht jede Antwort "
    "weniger sicher, ändert aber keine."
)
TEMPERATURE_LABEL = "Temperatur"
FIT = "Anpassen"
AS_IS = "Wie sie ist"
CALIBRATION_LABEL = "Kalibrierung aller Verfahren"


def trust(ece: float, temperature: float, confidence: float, accuracy: float) -> str:
    side = "zu sicher" if confidence > accuracy else "weniger sicher, als es sein könnte"
    if abs(confidence - accuracy) < 0.01:
        side = "im Mittel etwa so sicher, wie es richtig liegt"
    return (
        f"Bei Temperatur {figures(f'{temperature:.2f}')} sagt es {_percent(confidence)} und liegt "
        f"zu {_percent(accuracy)} richtig: {side}. Erwarteter Kalibrierungsfehler {_percent(ece)}."
    )


FITTED_ON = (
    "Diese Temperatur wurde an den hier gezeigten Bildern gewählt und sieht deshalb besser aus, "
    "als sie ist. Fairer ist die letzte Spalte der Tabelle: Dort wird an der einen Hälfte gewählt "
    "und an der anderen gemessen."
)

TAKE_TAB = "Mitnehmen"
TAKE_LEAD = (
    "Alles, was oben gemessen wurde, mit Einstellungen, "
    "Startwerten und Versionen: eine HTML-Seite, "
    "die kein Netz braucht, und alle Tabellen als CSV (auf Englisch)."
)
WITH_PICTURES = "Mit kleinen Kopien der Bilder, bei denen sich die Verfahren uneinig sind"
WRITE = "Bericht schreiben"
GET_HTML = "Bericht (HTML)"
GET_CSV = "Alle Tabellen (Zip mit CSV)"


def written(n_tables: int) -> str:
    return f"Fertig: ein Bericht und {counted(n_tables, 'Tabelle', 'Tabellen')}."
