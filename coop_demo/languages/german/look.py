"""Alle Sätze des Tabs „Hinsehen“."""

from coop_demo.heatmaps.faithfulness import Faithfulness
from coop_demo.heatmaps.ranker import PairMaps
from coop_demo.languages.german.page import figures
from coop_demo.settings import LIMITS

PICTURE_TITLE, PICTURE_LEAD = (
    "Bild",
    "Wählen Sie eines oder ziehen Sie eines hierher, und sagen Sie, wonach gesucht wird.",
)
MAPS_TITLE = "Wohin es geschaut hat"
MAPS_LEAD = "Dasselbe Bild mit den Augen beider Prompts, und was sich dazwischen geändert hat."
CHECK_TITLE = "Kann man dem trauen?"
CHECK_LEAD = (
    "Wenn die Karte stimmt, fällt der Wert sofort, sobald wir wegnehmen, was sie markiert, und "
    "steigt sofort, sobald wir das in ein verwischtes Bild zurücksetzen. Zum Vergleich geschieht "
    "dasselbe mit zufälligen Stellen und mit der Karte eines Textes ohne Bedeutung."
)

SOURCES = {"Beispielszenen mit mehreren Dingen": "scenes", "Meine Bilder (Beibringen)": "mine"}
SOURCE_LABEL = "Bilder"
DROP_LABEL = "Oder ein eigenes Bild"
WANTED_LABEL = "Wonach gesucht wird"
WANTED_INFO = "Eine Klasse oder ein eigener Satz, auf Englisch."
METHOD_LABEL = "Verfahren"
SUITS = "Was zum Modell passt"
MAP_METHOD_TITLES = {
    SUITS: "auto",
    "LeGrad": "legrad",
    "Attention Rollout": "rollout",
    "Grad-CAM": "gradcam",
    "Abdecken": "occlusion",
}
LOOK = "Hinsehen"


def no_such_method(name: str) -> str:
    return f"Ein Verfahren „{name[:40]}“ gibt es nicht. Wählen Sie eines der gezeigten."


def one_or_two(n: int) -> str:
    return f"Die Karten des Rankers gibt es für ein oder zwei Bilder, nicht für {n}."


OPACITY_LABEL = "Deckkraft"
CELLS_LABEL = "Die wahre Auflösung der Karte zeigen"
WORDS, LEARNED, DIFFERENCE = "Selbst geschriebener Prompt", "Gelernter Prompt", "Unterschied"
SLIDER_LABEL = "Von einem zum anderen ziehen"
SLIDER_BOTH = "Ziehen: links der selbst geschriebene Prompt, rechts der gelernte"
SLIDER_ONE = "Ziehen: links das Bild, rechts seine Karte"
STRIP_LABEL = "Alle Klassen auf einmal"
ZIP_ONE = "Alle Karten dieses Bildes speichern (Zip)"
ZIP_SET = "Die Karten aller dieser Bilder zeichnen (Zip)"
GET_ZIP_SET = "Die Karten dieser Bilder speichern (Zip)"
DELETION_TITLE = "Das Markierte weggenommen"
INSERTION_TITLE = "Das Markierte zurückgesetzt"
AT_RANDOM, MEANINGLESS = "Zufällige Stellen", "Text ohne Bedeutung"
PROBABILITY_AXIS, COSINE_AXIS = "Wahrscheinlichkeit", "Kosinus"
LOOKING = "Die Karten werden gezeichnet …"
CHECKING = "Pixel werden weggenommen und zurückgesetzt …"
NO_PICTURE = "Wählen Sie zuerst ein Bild, oder ziehen Sie eines hierher."
NOTHING_WANTED = "Sagen Sie, wonach gesucht wird: eine Klasse oder ein Satz."
WANTED_TOO_LONG = (
    f"Wonach gesucht wird, ist länger als {LIMITS.max_template} Zeichen. Kürzen Sie es."
)
UNKNOWN_PICTURE = "Dieses Bild steht nicht mehr in der Liste. Wählen Sie eines der gezeigten."
NO_MAPS = "Es gibt noch keine Karten zu speichern. Wählen Sie ein Bild und sehen Sie zuerst hin."
NO_MINE = (
    "In „Beibringen“ sind noch keine Bilder. Laden Sie dort ein Beispiel, oder nehmen Sie eigene."
)
NO_PROMPT = (
    "Trainieren oder laden Sie in „Beibringen“ einen Prompt, dann erscheint dessen Karte neben "
    "dieser."
)
NONE_NAMED = (
    "Keines dieser Bilder hat einen Klassennamen, nach dem gesucht werden kann. Benennen Sie die "
    "Klassen in „Beibringen“."
)
CLASS_SPECIFIC = (
    "Der gelernte Prompt hat einen Kontext je Klasse und hat "
    "diese nie gesehen, deshalb gibt es nur "
    "die Karte des selbst geschriebenen."
)
FREE_TEXT = (
    "Ein Satz wird gelesen, wie er dasteht; ein gelernter Prompt hat nur für Klassennamen eine "
    "Karte."
)
BORROWED = (
    "Einige dieser Klassen hat der gelernte Prompt nie gesehen; sein Kontext wird auf ihre Namen "
    "angewendet."
)
EMPTY_MAP = (
    "Der selbst geschriebene Prompt findet hier nichts, was dafür spricht, also ist nichts "
    "markiert."
)
PALE = "Der blasse Teil liegt außerhalb des Quadrats, das das Modell sieht."
COLOURS = (
    "Unterschied: zinnoberrot, wo der gelernte Prompt mehr markiert, blau, wo er weniger markiert."
)
EMPTY = "Wählen Sie ein Bild und sagen Sie, wonach gesucht wird. Dann sehen Sie:"
PROMISES = (
    "die Karten des selbst geschriebenen und des gelernten Prompts und ihren Unterschied",
    "die Karten aller Klassen auf einmal",
    "eine Prüfung, ob man den Karten trauen kann",
    "zu einer Reihenfolge aus „Ordnen“: Klicken Sie dort auf ein Bild oder ein Paar, um zu sehen, "
    "worauf der Ranker geschaut hat",
)


def check_sentence(check: Faithfulness) -> str:
    if check.empty:
        return "Nichts in diesem Bild spricht für den Text, also ist nichts markiert."
    what = COSINE_AXIS if check.quantity == "cosine" else PROBABILITY_AXIS
    article = "den" if check.quantity == "cosine" else "die"
    it = "ihn" if check.quantity == "cosine" else "sie"
    found = {
        "better": "Die Karte ist besser als eine zufällige.",
        "mixed": "Die Karte ist nur nach einem von zwei Maßen besser als eine zufällige.",
        "no better": "Die Karte ist nicht besser als eine zufällige; trauen Sie ihr nicht.",
    }[check.verdict]
    return (
        f"Das markierte Fünftel wegzunehmen {_changes(check.marked_drop)} {article} {what}"
        f"{_by(check.marked_drop)}, ein zufälliges Fünftel {_changes(check.random_drop)} {it}"
        f"{_by(check.random_drop)}: {found}"
    )


def _changes(drop: float) -> str:
    if round(abs(drop), 2) == 0:
        return "ändert"
    return "senkt" if drop > 0 else "hebt"


def _by(drop: float) -> str:
    return " kaum" if round(abs(drop), 2) == 0 else f" um {figures(f'{abs(drop):.2f}')}"


def pair_sentence(pair: PairMaps, first: str, other: str) -> str:
    ahead, behind, index = (first, other, 0) if pair.probability >= 0.5 else (other, first, 1)
    sure = max(pair.probability, 1 - pair.probability)
    share = pair.share if index == 0 else 1 - pair.share
    row, column = divmod(int(pair.attention[index].argmax()), pair.attention.shape[-1])
    height, width = pair.attention.shape[-2:]
    return (
        f"„{ahead}“ wird mit {100 * sure:.0f} % Sicherheit vor „{behind}“ gestellt; "
        f"{100 * share:.0f} % der Aufmerksamkeit liegen auf „{ahead}“, am meisten "
        f"{_place(row, column, height, width)}."
    )


def _place(row: int, column: int, height: int, width: int) -> str:
    down = ("oben", "in der Mitte", "unten")[min(2, 3 * row // height)]
    across = ("links", "", "rechts")[min(2, 3 * column // width)]
    return f"{down} {across}".strip()


def axes(quantity: str, kind: str) -> str:
    return f"{quantity} · % des Bildes {'weggenommen' if kind == 'deletion' else 'zurückgesetzt'}"


def curves_aria(title: str, quantity: str, areas: str) -> str:
    return f"{title}: {quantity} über dem Anteil des Bildes. Flächen: {areas}."


def curve_point(name: str, fraction: float, score: float) -> str:
    return f"{name}: {figures(f'{score:.2f}')} bei {100 * fraction:.0f} % des Bildes"


def its_own(title: str) -> str:
    return f"{title} (was zum Modell passt)"


def asked(wanted: str, method: str, seconds: float, shape: tuple[int, int]) -> str:
    names = {key: title for title, key in MAP_METHOD_TITLES.items()}
    return (
        f"„{wanted}“ mit {names[method]}, {shape[0]} × {shape[1]} Felder, "
        f"{figures(f'{seconds:.1f}')} s."
    )


def scored(title: str, cosine: float) -> str:
    return f"{title} · {figures(f'{cosine:.2f}')}"


def strip_hint(learned: bool, shown: int, n: int) -> str:
    whose = "gelernten" if learned else "selbst geschriebenen"
    some = f" Die ersten {shown} von {n}." if shown < n else ""
    return (
        f"{STRIP_LABEL}, vom {whose} Prompt, mit dem Kosinus.{some} Ein Klick sucht nach dieser "
        "Klasse."
    )


def shuffled_hint(correlation: float) -> str:
    return (
        "Dieselbe Karte für einen Text ohne Bedeutung (die Zahlen seines Vektors sind gemischt). "
        f"Rangkorrelation mit der echten Karte: {figures(f'{correlation:.2f}')}."
    )


def offered(shown: int, n: int) -> str:
    return f"Die ersten {shown} von {n} werden gezeigt." if shown < n else ""


def drawing(done: int, total: int) -> str:
    return f"Bild {done} von {total}"


def areas(
    quantity: str,
    whole: float,
    deletion: float,
    random_deletion: float,
    meaningless_deletion: float,
    insertion: float,
    random_insertion: float,
    meaningless_insertion: float,
) -> str:
    article = "den" if quantity == COSINE_AXIS else "die"
    away, away_random, away_meaningless, back, back_random, back_meaningless = (
        figures(f"{area:.2f}")
        for area in (
            deletion,
            random_deletion,
            meaningless_deletion,
            insertion,
            random_insertion,
            meaningless_insertion,
        )
    )
    return (
        f"Das ganze Bild hat {article} {quantity} {figures(f'{whole:.2f}')}. Fläche beim "
        f"Wegnehmen {away} (Zufall {away_random}, Text ohne Bedeutung {away_meaningless}; kleiner "
        f"ist besser), beim Zurücksetzen {back} (Zufall {back_random}, Text ohne Bedeutung "
        f"{back_meaningless}; größer ist besser)."
    )


def drawn_set(n: int, n_all: int, left_out: int, most: int) -> str:
    said = []
    if left_out == 1:
        said.append("Ein Bild hat keine Klasse, nach der gesucht werden kann, und fehlt.")
    elif left_out:
        said.append(
            f"{left_out} Bilder haben keine Klasse, nach der gesucht werden kann, und fehlen."
        )
    if n < n_all - left_out:
        said.append(f"Die ersten {most} von {n_all - left_out} Bildern wurden gezeichnet.")
    return " ".join(said)


# --- worauf der Ranker geschaut hat ---------------------------------------------------------------
RANKED_TITLE = "Worauf der Ranker geschaut hat"
RANKED_LEAD = "Bilder der Reihenfolge aus „Ordnen“, eines oder zwei auf einmal."
RANKED_FIRST, RANKED_OTHER = "Bild", "Gegen"
ALONE = "keines: dieses allein"
BACK = "Zurück zu den Karten der Prompts"
PAIR_HEAD = "Warum steht dieses vorn?"
PAIR_LEAD = (
    "Oben: wohin der Vergleich geschaut hat, soweit mehr als gleichmäßig über beide Bilder. Unten: "
    "Zinnoberrot schiebt das erste Bild nach vorn, Blau hält es zurück. Wohin er schaut, ist nicht "
    "immer, was dafür spricht; lesen Sie also beides."
)
SCORE_HEAD = "Woraus der Wert entsteht"
SCORE_LEAD = "Zinnoberrot hebt den Wert des Bildes, Blau senkt ihn (in erster Ordnung)."
WORDS_HEAD = "Wo jedes Wort gelesen wird"
ZIP_RANKED = "Diese Karten speichern (Zip)"
NO_RANKER = (
    "Für dieses Modell gibt es keinen Ranker, also nichts, wo man hineinsehen könnte. Bringen Sie "
    "einem etwas bei, oder laden Sie einen."
)
NOTHING_RANKED = "Klicken Sie zuerst in „Ordnen“ auf ein Bild oder ein Paar."


def words_lead(elsewhere: float) -> str:
    return (
        "Cross-Attention von den Teilen des Bildes zu jedem Wort, wo sie über ihrem Mittel im Bild "
        "liegt; der Anteil ist dieses Mittel. "
        f"{100 * elsewhere:.0f} % des Lesens gelten keinem Wort: gelernten Token, Anfang, Ende und "
        "Auffüllung."
    )


def ranked_by(instruction: str, shape: tuple[int, int], seconds: float) -> str:
    return f"„{instruction}“, {shape[0]} × {shape[1]} Felder, {figures(f'{seconds:.1f}')} s."


SAME_PICTURE = "Das ist zweimal dasselbe Bild. Wählen Sie zwei zum Vergleichen."


def score_is(name: str, score: float) -> str:
    return f"„{name}“ hat den Wert {figures(f'{score:.3f}')}."


def scores_are(first: float, other: float, agrees: bool) -> str:
    also = (
        "sagen dasselbe"
        if agrees
        else "sagen das Gegenteil: Seine zwei Arten zu urteilen sind uneins"
    )
    return f"Die Werte, {figures(f'{first:.3f}')} und {figures(f'{other:.3f}')}, {also}."


def scores_are_equal(score: float) -> str:
    return f"Die Werte sind gleich, {figures(f'{score:.3f}')}: Keines steht vorn."


def attention_on(name: str, share: float) -> str:
    return f"{name} · {100 * share:.0f} % der Aufmerksamkeit"


def pull_on(name: str, share: float) -> str:
    return f"{name} · nach vorn oder zurück"


def scored_as(name: str, score: float) -> str:
    return f"{name} · Wert {figures(f'{score:.3f}')}"


def word_read(word: str, share: float, name: str) -> str:
    where = f" · {name}" if name else ""
    return f"{word} · {figures(f'{100 * share:.1f}')} %{where}"
