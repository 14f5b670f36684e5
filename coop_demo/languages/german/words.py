"""Fachwörter der Seite und was jedes bedeutet, in einem Satz ohne Fachsprache."""

MEANING_OF = "Was heißt das?"

MEANINGS: dict[str, tuple[str, str]] = {
    "held-out": (
        r"\b[Zz]urückgehalten\w*|\b[Zz]urückhalten\b",
        "Bilder, die beim Lernen beiseite bleiben, damit sie ehrlich prüfen können.",
    ),
    "accuracy": (r"\bTrefferquote\b", "Der Anteil der Bilder, die den richtigen Namen bekommen."),
    "loss": (
        r"\bFehler \(Loss\)|\bder Fehler\b|\bDer Fehler\b|\bvon Fehler\b",
        "Wie falsch es beim Lernen noch liegt; kleiner ist besser.",
    ),
    "prompt": (
        r"\bPrompts?\b",
        "Der Satz um den Klassennamen, den das Modell liest, zum Beispiel „a photo of a dog.“",
    ),
    "context": (
        r"\bKontext(vektor(s|en)?)?\b|\bKontexts\b",
        "Der Teil eines Prompts, der gelernt wird: Zahlenreihen, wo sonst Wörter stünden.",
    ),
    "vector": (
        r"\b(Klassen|Zufalls)?[Vv]ektor(en|s)?\b",
        "Eine Zahlenreihe, mit der das Modell ein Bild oder ein Wort beschreibt.",
    ),
    "shots": (r"\bShots?\b", "Die Bilder jeder Klasse, aus denen gelernt wird."),
    "seed": (
        r"\bStartwerte?s?n?\b( \(Seeds?\))?",
        "Eine Zahl, die alles Zufällige festlegt: Mit demselben Startwert kommt dasselbe heraus.",
    ),
    "interval": (
        r"95‑%‑Intervall",
        "Ein Bereich für den wahren Wert: Mit anderen Bildern derselben Art läge er in 95 von 100 "
        "so gebildeten Bereichen.",
    ),
    "chance": (
        r"\bp (?:=|<) [0-9,e-]+",
        "Wie oft der Zufall allein einen so großen Unterschied machen würde: 0,05 heißt einmal in "
        "zwanzig.",
    ),
    "mcnemar": (
        r"McNemar",
        "Ein Test, der nur Bilder ansieht, bei denen genau eines von zwei Verfahren richtig liegt.",
    ),
    "deviation": (
        r"Standardabweichung",
        "Wie weit Ergebnisse gewöhnlich von ihrem Mittel entfernt sind.",
    ),
    "calibration": (
        r"\bKalibrierung(sfehlers?)?\b",
        "Ob es so oft richtig liegt, wie es sich sicher ist; der Fehler ist der mittlere Abstand "
        "zwischen beidem.",
    ),
    "temperature": (
        r"\bTemperatur\b",
        "Eine Zahl, die alle Antworten mehr oder weniger sicher macht, ohne zu ändern, welche vorn "
        "steht.",
    ),
    "kgcoop": (
        r"KgCoOp",
        "Eine Art zu lernen, die den Prompt nah an den Wörtern hält, damit er weniger vergisst.",
    ),
    "harmonic": (
        r"harmonisches Mittel",
        "Ein Mittel zweier Zahlen, das nur groß ist, wenn beide groß sind.",
    ),
    "ranker": (
        r"\bRankers?n?\b",
        "Ein kleines Netz über dem Modell, das gelernt hat, Bilder nach einer Anweisung zu ordnen.",
    ),
    "antonyms": (
        r"\bGegensatzpaare?s?\b",
        "Zwei gegensätzliche Prompts, etwa „a bright photo“ und „a dark photo“: Was dem ersten "
        "näher ist, steht vorn.",
    ),
    "cosine": (
        r"\bKosinus\b",
        "Wie ähnlich zwei Zahlenreihen sind: 1 für dieselbe Richtung, 0 für nichts Gemeinsames.",
    ),
    "srcc": (
        r"\bSRCC\b|\bRangkorrelation\b",
        "Wie gut zwei Reihenfolgen übereinstimmen: 1 ist dieselbe, 0 kein Zusammenhang, −1 die "
        "umgekehrte.",
    ),
    "plcc": (
        r"\bPLCC\b",
        "Wie gut Werte und Angaben auf einer Geraden liegen: 1 genau, 0 gar nicht.",
    ),
    "kendall": (
        r"Kendalls τ",
        "Richtig geordnete Paare weniger falsch geordnete, als Anteil: 1 ist perfekt.",
    ),
    "pairs": (
        r"Paare richtig",
        "Der Anteil aller Bildpaare, die richtig herum stehen.",
    ),
    "logit": (
        r"\bLogit\b",
        "Eine Zahl hinter einer Entscheidung: über 0 heißt ja, und je größer, desto sicherer.",
    ),
    "attention": (
        r"Cross-Attention|\bAufmerksamkeit\b",
        "Welchen Teilen das Netz beim Rechnen Gewicht gibt.",
    ),
    "probability": (
        r"\bWahrscheinlichkeit\b",
        "Wie sicher es sich einer Antwort ist, von 0 bis 1.",
    ),
    "area": (
        r"\bFläche\b",
        "Die mittlere Höhe der Kurve darunter: Sie fasst in einer Zahl zusammen, wie schnell der "
        "Wert fällt oder steigt.",
    ),
    "patches": (
        r"\bTeilen des Bildes\b",
        "Die kleinen Quadrate, in die ein Bild für das Modell geschnitten wird.",
    ),
    "backbone": (
        r"ImageNet-Merkmale|das Modell des Ranking-aware Adapters",
        "Das große Netz, das Bilder und Wörter in vergleichbare Zahlen verwandelt; es bleibt, wie "
        "es ist.",
    ),
}
