"""Englische Sätze, die nicht hier entstehen, auf Deutsch: Fehler und Hinweise des Kerns, und was
von einer Sitzung aufgehoben wird. Siehe `coop_demo.languages.sentences`.
"""

from coop_demo.languages.german.core import CORE, PARTS
from coop_demo.languages.german.page import figures
from coop_demo.languages.sentences import Sentences

_SAMPLES = {
    "Biscuit quality control": "Kekse prüfen",
    "A bakery's own five grades, known to nobody outside: A: as it should be: golden, round, many "
    "chips; B: golden and round, but hardly a chip; C: a piece is missing; D: burnt; E: two that "
    "baked together.": (
        "Die fünf Güteklassen einer Bäckerei, die sonst niemand kennt. A: wie es sein soll, "
        "goldgelb, rund, viele Schokostücke; B: goldgelb und rund, aber kaum Schokolade; C: ein "
        "Stück fehlt; D: verbrannt; E: zwei zusammengebacken."
    ),
    "The names say nothing about the pictures, so words cannot help; a learned prompt finds what "
    "the grades mean.": (
        "Die Namen sagen nichts über die Bilder, Wörter können also nicht helfen; ein gelernter "
        "Prompt findet heraus, was die Güteklassen bedeuten."
    ),
    "Bright and sharp?": "Hell und scharf?",
    "24 scenes, each darkened and blurred to a known degree.": (
        "24 Szenen, jede in bekanntem Maß abgedunkelt und verwischt."
    ),
    "Brightness and sharpness are unrelated here, so the two instructions give two orders.": (
        "Helligkeit und Schärfe haben hier nichts miteinander zu tun, also geben die beiden "
        "Anweisungen zwei Reihenfolgen."
    ),
    "How much fruit?": "Wie viel Obst?",
    "24 scenes with known numbers of apples, oranges and lemons.": (
        "24 Szenen mit bekannter Zahl von Äpfeln, Orangen und Zitronen."
    ),
    "The same pictures change their order with the instruction.": (
        "Dieselben Bilder ändern mit der Anweisung ihre Reihenfolge."
    ),
    "Creatures nobody has heard of": "Wesen, die niemand kennt",
    "Eight invented species with nonsense names; each animal has its own colours and pose, so only "
    "shape tells them apart.": (
        "Acht erfundene Arten mit Fantasienamen; jedes Tier hat eigene Farben und eine eigene "
        "Haltung, also unterscheidet sie nur die Form."
    ),
    "Words are lost here: a name the model has never met is worth a guess. A few pictures of each "
    "win by far.": (
        "Wörter helfen hier nicht: Ein Name, den das Modell nie gesehen hat, ist geraten. Ein paar "
        "Bilder von jeder Art gewinnen mit Abstand."
    ),
    "Everyday things": "Alltagsdinge",
    "Ten kinds of things with plain names, other objects in the test than in training.": (
        "Zehn Arten von Dingen mit einfachen Namen; getestet wird mit anderen Gegenständen, als "
        "gelernt wird."
    ),
    "Words do well here: the hand-crafted prompt is hard to beat, and a learned one gains little.": (
        "Wörter sind hier gut: Der selbst geschriebene Prompt ist schwer zu schlagen, und ein "
        "gelernter gewinnt wenig."
    ),
    "Everyday things, drawn": "Alltagsdinge, gezeichnet",
    "The same ten names as emoji and cartoons, for testing only.": (
        "Dieselben zehn Namen als Emoji und Zeichnungen, nur zum Testen."
    ),
    "Train on the photographs, test here: accuracy falls for every prompt; see which one falls "
    "further.": (
        "Trainieren Sie mit den Fotos und testen Sie hier: Jeder Prompt wird schlechter; sehen Sie, "
        "welcher mehr verliert."
    ),
    "Several things at once": "Mehrere Dinge auf einmal",
    "Twelve scenes with two to four different objects whose places are known.": (
        "Zwölf Szenen mit zwei bis vier verschiedenen Gegenständen, deren Ort bekannt ist."
    ),
    "Ask for one of the things: a map that can be believed marks that thing and leaves the others "
    "alone.": (
        "Fragen Sie nach einem der Dinge: Eine Karte, der man trauen kann, markiert dieses Ding und "
        "lässt die anderen in Ruhe."
    ),
    "your pictures": "Ihre Bilder",
    "your folder": "Ihr Ordner",
}

_MODELS_AND_METHODS = {
    "built-in mini model: ImageNet features with a small text tower; choose CLIP ViT-B/32 or "
    "larger for open-ended recognition": (
        "eingebautes Mini-Modell: ImageNet-Merkmale mit einem kleinen Textteil; für freies "
        "Erkennen nehmen Sie CLIP ViT-B/32 oder größer"
    ),
    "ships with the app": "liegt der App bei",
    "the ranking-aware adapter's own backbone": "das Modell des Ranking-aware Adapters",
    "Hand-crafted prompt": "Selbst geschriebener Prompt",
    "Hand-crafted prompt {number}: {text}": "Selbst geschriebener Prompt {number}: {text}",
    "These {n} prompts averaged": "Mittel dieser {n} Prompts",
    "Nearest class mean": "Nächster Klassenmittelwert",
    "Tip-Adapter": "Tip-Adapter",
    "Gaussian classifier (GDA)": "Gauß-Klassifikator (GDA)",
    "Hand-crafted ensemble": "Ensemble geschriebener Prompts",
    "Linear probe": "Lineare Probe",
    "Learned prompt": "Gelernter Prompt",
    "Learned prompt, class-specific": "Gelernter Prompt, je Klasse",
    "Learned prompt with KgCoOp": "Gelernter Prompt mit KgCoOp",
    "Learned vectors": "Gelernte Vektoren",
    "(part of a sign)": "(Teil eines Zeichens)",
    "Nearest words by cosine in their place": "Nächste Wörter nach Kosinus an ihrer Stelle",
    "Nearest words by distance in their place": "Nächste Wörter nach Abstand an ihrer Stelle",
}

#: was von einer Sitzung aufgehoben wird: Sätze aus `languages.english`
_KEPT = {
    "{name} was removed, with {pictures}.": "{name} wurde entfernt, mit {pictures}.",
    "A class without a name was removed, with {pictures}.": (
        "Eine Klasse ohne Namen wurde entfernt, mit {pictures}."
    ),
    "One picture was removed.": "Ein Bild wurde entfernt.",
    "One picture was removed from {name}.": "Ein Bild wurde aus {name} entfernt.",
    "{n} pictures were removed.": "{n} Bilder wurden entfernt.",
    "{n} pictures were removed from {name}.": "{n} Bilder wurden aus {name} entfernt.",
    "Cleared: {pictures}.": "Gelöscht: {pictures}.",
    "Cleared: {pictures} and what was learned from them.": (
        "Gelöscht: {pictures} und was daraus gelernt wurde."
    ),
    "Cleared: what was learned.": "Gelöscht: was gelernt wurde.",
    "Cleared: the names.": "Gelöscht: die Namen.",
    "{source} took the place of the classes you had.": (
        "{source} ist an die Stelle Ihrer Klassen getreten."
    ),
    "Licence of the pictures: {name}.": "Lizenz der Bilder: {name}.",
    "Licence: {name}.": "Lizenz: {name}.",
    "Licence: GPL-2.0 (pictures composed from Tux Paint stamps; text in ../LICENSE.GPL-2.txt).": (
        "Lizenz: GPL-2.0 (Bilder aus Stempeln von Tux Paint; Text in ../LICENSE.GPL-2.txt)."
    ),
    "{name} was not taken: your pictures fill the {most} MB one person has here, removed ones "
    "included. Open the page in a private window to go on.": (
        "{name} wurde nicht angenommen: Ihre Bilder füllen die {most} MB, die eine Person hier hat, "
        "entfernte eingeschlossen. Öffnen Sie die Seite in einem privaten Fenster, um "
        "weiterzumachen."
    ),
    "{name} was not taken: there is no room for it on the disk of this computer.": (
        "{name} wurde nicht angenommen: Auf diesem Computer ist dafür kein Platz mehr."
    ),
    "There is no room for more pictures here at the moment: other people's fill it. Try again "
    "later, or run the app on your own computer.": (
        "Im Moment ist hier kein Platz für weitere Bilder: Die Bilder anderer füllen ihn. Versuchen "
        "Sie es später, oder starten Sie die App auf Ihrem eigenen Computer."
    ),
    "Completed all {steps} steps in {seconds} s.": (
        "Alle {steps} Schritte in {seconds} s durchlaufen."
    ),
    "Completed all {steps} steps in {seconds} s, on {pictures}; {n} were held out.": (
        "Alle {steps} Schritte in {seconds} s durchlaufen, mit {pictures}; {n} wurden "
        "zurückgehalten."
    ),
    "Stopped at step {step} of {total}. The best prompt so far is kept.": (
        "Bei Schritt {step} von {total} angehalten. Der bisher beste Prompt ist aufgehoben."
    ),
    "Stopped at step {step} of {total}. The best prompt so far is kept, last measured at step "
    "{measured}.": (
        "Bei Schritt {step} von {total} angehalten. Der bisher beste Prompt ist aufgehoben, zuletzt "
        "gemessen bei Schritt {measured}."
    ),
    "Stopped at step {step} of {total}.": "Bei Schritt {step} von {total} angehalten.",
    "Stopped at step {step} of {total}. The ranker of step {measured} is kept.": (
        "Bei Schritt {step} von {total} angehalten. Der Ranker von Schritt {measured} ist "
        "aufgehoben."
    ),
    "It ended after {n} minutes, the longest one training may take here.": (
        "Nach {n} Minuten war Schluss, länger darf ein Training hier nicht dauern."
    ),
    "This training was interrupted at step {step} of {total}. What it had learned is here and can "
    "be used; press Go on to finish it.": (
        "Dieses Training wurde bei Schritt {step} von {total} unterbrochen. Was es gelernt hatte, "
        "ist da und kann benutzt werden; mit „Weiter“ bringen Sie es zu Ende."
    ),
    "This training was interrupted at step {step} of {total}. What it had learned is here and in "
    "use; teach again to go on from it.": (
        "Dieses Training wurde bei Schritt {step} von {total} unterbrochen. Was es gelernt hatte, "
        "ist da und in Benutzung; mit „Beibringen“ geht es von dort weiter."
    ),
    "Loaded {name}: {classes}, made with {model}.": (
        "{name} geladen: {classes}, gemacht mit dem Modell {model}."
    ),
    "{methods} on {pictures} in {seconds} s.": "{methods} an {pictures} in {seconds} s.",
    "Stopped. {methods} had been measured; the rest was not.": (
        "Angehalten. Gemessen: {methods}; der Rest nicht."
    ),
    "Stopped before anything was measured.": "Angehalten, bevor etwas gemessen war.",
    "All {points} of the curve in {seconds} s.": "Alle {points} der Kurve in {seconds} s.",
    "Stopped after {points}. Draw again to go on from here.": (
        "Nach {points} angehalten. Zeichnen Sie noch einmal, geht es von hier weiter."
    ),
    "The prompt learned in Teach knows other classes ({names}), so the learned prompt is trained "
    "here.": (
        "Der in „Beibringen“ gelernte Prompt kennt andere Klassen ({names}), deshalb wird der "
        "gelernte Prompt hier trainiert."
    ),
    "The learned prompt is the one from the Teach tab, with its shots and seed.": (
        "Der gelernte Prompt ist der aus „Beibringen“, mit dessen Shots und Startwert."
    ),
    "{name} is neither a picture nor a zip nor a CSV.": (
        "{name} ist weder ein Bild noch ein Zip noch eine CSV."
    ),
    "{name} is there twice and counts once.": "{name} ist zweimal da und zählt einmal.",
    "{name} is the same picture as {other} and counts once.": (
        "{name} ist dasselbe Bild wie {other} und zählt einmal."
    ),
    "The page ranks up to {most} pictures; {n} were left out. For more, use python -m coop_demo "
    "rank.": (
        "Die Seite ordnet bis zu {most} Bilder; {n} wurden weggelassen. Für mehr nehmen Sie python "
        "-m coop_demo rank."
    ),
    "{table} names 1 picture that is not here ({shown}); {rows} of it was skipped.": (
        "{table} nennt 1 Bild, das nicht hier ist ({shown}); übergangen: {rows}."
    ),
    "{table} names 1 picture that is not here ({shown}); {rows} of it were skipped.": (
        "{table} nennt 1 Bild, das nicht hier ist ({shown}); übergangen: {rows}."
    ),
    "{table} names {pictures} that are not here ({shown}); {rows} of it were skipped.": (
        "{table} nennt {pictures}, die nicht hier sind ({shown}); übergangen: {rows}."
    ),
    "None of the pictures that {table} labels is here; its first is {example}. Add those pictures, "
    "or a table with the names of these.": (
        "Keines der Bilder, zu denen {table} Angaben hat, ist hier; das erste ist {example}. Nehmen "
        "Sie diese Bilder dazu, oder eine Tabelle mit den Namen der Bilder hier."
    ),
    "{table} was not used: there are no pictures here yet. Add them first, or with it.": (
        "{table} wurde nicht benutzt: Hier sind noch keine Bilder. Nehmen Sie sie zuerst dazu, oder "
        "zusammen damit."
    ),
    "the ranker that ships with the app": "der Ranker, der der App beiliegt",
    "the ranker you taught {instruction}": "der Ranker, dem Sie {instruction} beigebracht haben",
    "{name}, which learned {instructions}": "{name}, der {instructions} gelernt hat",
    "{section} could not be read again; everything else is here.": (
        "{section} ließ sich nicht wieder lesen; alles andere ist da."
    ),
    "{pictures} is no longer on this computer.": "{pictures} ist nicht mehr auf diesem Computer.",
    "{pictures} are no longer on this computer.": (
        "{pictures} sind nicht mehr auf diesem Computer."
    ),
    "The learned prompt has one context per class and never saw these, so only the hand-crafted "
    "prompt's map is shown.": (
        "Der gelernte Prompt hat einen Kontext je Klasse und hat diese nie gesehen, deshalb gibt es "
        "nur die Karte des selbst geschriebenen."
    ),
    "A sentence is read as it stands; a learned prompt has a map for class names only.": (
        "Ein Satz wird gelesen, wie er dasteht; ein gelernter Prompt hat nur für Klassennamen eine "
        "Karte."
    ),
    "The learned prompt never saw some of these classes; its context is applied to their names.": (
        "Einige dieser Klassen hat der gelernte Prompt nie gesehen; sein Kontext wird auf ihre "
        "Namen angewendet."
    ),
    "Train or load a prompt in the Teach tab, and its map will appear next to this one.": (
        "Trainieren oder laden Sie in „Beibringen“ einen Prompt, dann erscheint dessen Karte neben "
        "dieser."
    ),
}

SENTENCES = Sentences(
    {**_SAMPLES, **_MODELS_AND_METHODS, **_KEPT, **CORE},
    PARTS,
    figures=figures,
    quotes="„“",
)
