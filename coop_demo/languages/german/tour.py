"""Alle Sätze der geführten Lektion."""

INVITATION = "Neu hier? Eine geführte Lektion zeigt Ihnen in etwa zehn Minuten alles."
BEGIN = "Lektion beginnen"
THERE = "Dorthin"
NEXT = "Nächster Schritt"
SKIP = "Überspringen"
LEAVE = "Verlassen"
CLOSE = "Schließen"
DONE = "Geschafft."
DONE_MARK, HERE, OPEN = "geschafft", "hier sind Sie", "kommt noch"

STEPS = {
    "words": (
        "Wörter scheitern",
        "Öffnen Sie das Beispiel „Kekse prüfen“. Klicken Sie dann unter „Ausprobieren“ auf eines "
        "der zurückgehaltenen Bilder: Was machen die Wörter allein daraus?",
    ),
    "show": (
        "Ein paar Bilder zeigen",
        "Lassen Sie das Modell aus vier Bildern je Klasse lernen: Öffnen Sie „Einstellungen“, "
        "stellen Sie „Shots“ auf 4 und klicken Sie auf „Trainieren“.",
    ),
    "learn": (
        "Beim Lernen zusehen",
        "Geben Sie ihm jetzt alles: Stellen Sie „Shots“ auf 16, klicken Sie noch einmal auf "
        "„Trainieren“ und beobachten Sie die Kurven.",
    ),
    "rival": (
        "Schlägt er einen Rivalen?",
        "Klicken Sie auf „Vergleichen“. Andere Arten, dieselben Bilder zu nutzen, werden neben dem "
        "gelernten Prompt gemessen.",
    ),
    "forget": (
        "Vergisst er?",
        "Öffnen Sie unter der Tabelle „Vergessen“ und klicken Sie auf „Zurückhalten und lernen“: "
        "Die Hälfte der Klassen bleibt verborgen, während er die anderen lernt.",
    ),
    "order": (
        "Bilder ordnen",
        "Öffnen Sie das Beispiel „Hell und scharf?“ und klicken Sie auf „Ordnen“: Eine Anweisung "
        "bringt die Bilder in eine Reihenfolge.",
    ),
    "look": (
        "Wohin hat es geschaut?",
        "Klicken Sie auf eine der Szenen. Eine Karte zeigt, welche Stellen für das Wort sprachen, "
        "und eine Prüfung sagt, ob man ihr trauen kann.",
    ),
}

WORDS_SEEN = (
    "Sehen Sie auf die Balken: Namen wie A und B sagen nichts über einen Keks, also müssen Wörter "
    "allein raten. Bilder können sagen, was Wörter nicht können."
)


def show_seen(learned: int, words: int, n: int) -> str:
    return (
        f"Aus vier Bildern je Klasse benennt er {learned} von {n} zurückgehaltenen Bildern "
        f"richtig, die Wörter {words}. Das Modell selbst blieb, wie es war: Geändert haben sich "
        "nur die Wörter vor dem Klassennamen."
    )


def learn_seen(learned: int, words: int, n: int) -> str:
    return (
        f"Jetzt liegt er bei {learned} von {n} richtig. Der Fehler fällt beim Lernen; aber nur "
        "Bilder, aus denen er nie gelernt hat, zeigen, ob er es verstanden hat."
    )


def rival_seen(title: str, rival: int, learned: int, n: int) -> str:
    return (
        f"Das beste andere Verfahren, „{title}“, liegt bei {rival} von {n} richtig, der gelernte "
        f"Prompt bei {learned}. Ein einfaches Verfahren kann genauso gut sein, und ein kleiner "
        "Unterschied kann Zufall sein: Deshalb vergleicht man."
    )


def forget_seen(base: float, new: float, words: float) -> str:
    lesson = (
        "Dort ging verloren, was die Wörter konnten: Das heißt Vergessen."
        if new < words
        else "Dort ging nichts verloren; bei anderen Klassen kann das anders sein, also messen Sie."
    )
    return (
        f"Bei den gelernten Klassen liegt er zu {_percent(base)} richtig, bei den nie gesehenen zu "
        f"{_percent(new)} (die Wörter: {_percent(words)}). {lesson}"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def order_seen(instruction: str) -> str:
    return (
        f"Die Bilder stehen in der Reihenfolge von „{instruction.rstrip('.')}“. Lesen Sie, was er "
        "über seine eigene Reihenfolge sagt: Wie weit man ihr trauen kann, hängt davon ab, was der "
        "Ranker gelernt hat."
    )


LOOK_SEEN = (
    "Warme Stellen sprachen für das Wort. Glauben Sie der Karte nur, wenn die Prüfung darunter "
    "zeigt, dass es den Wert stärker senkt, sie wegzunehmen, als zufällige Stellen wegzunehmen."
)


def end(n_done: int) -> str:
    how = "Alle sieben Schritte sind geschafft" if n_done == 7 else f"{n_done} von sieben Schritten"
    return (
        f"{how}. Zeigen Sie ihm jetzt eigene Bilder: Zwei Klassen mit je zehn Bildern genügen für "
        "den Anfang."
    )
