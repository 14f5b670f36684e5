"""How many of other wordings are read rightly: by the list, and by text features alone.

    python -m coop_demo.recipes.ranker --data DIR --parts readings

Text features choose the learned instruction with the nearest vector. They cannot turn an order
round but where an opposite was learned for itself, as "Rank the darkness." was.
"""

from collections.abc import Sequence

import torch

from coop_demo.backbones.backbone import Backbone
from coop_demo.ranking.instructions import instruction_key
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import read_instruction

_AGE = "Rank the age of the person."
_QUALITY = "Rank the quality of the image."
_BRIGHT = "Rank the brightness."
_COLOUR = "Rank the colourfulness."
_SHARP = "Rank the sharpness."
_NOISE = "Rank the noise."
_WARMTH = "Rank the warmth of the colours."
_CONTRAST = "Rank the contrast."


def _count(things: str) -> str:
    return f"Rank the numbers of {things}."


# Wording, the instruction it means, and whether the least comes first.
ENGLISH: Sequence[tuple[str, str, bool]] = (
    ("Rank from old to young.", _AGE, False),
    ("Rank from young to old.", _AGE, True),
    ("Sort the people by age, youngest first.", _AGE, True),
    ("Rank the ages of the people.", _AGE, False),
    ("oldest first", _AGE, False),
    ("Rank by youth.", _AGE, True),
    ("Order by age, ascending.", _AGE, True),
    ("Best photo first.", _QUALITY, False),
    ("Worst pictures first.", _QUALITY, True),
    ("Sort the photos from worst to best.", _QUALITY, True),
    ("Rank the pictures by quality, lowest first.", _QUALITY, True),
    ("Rank the darkness of the pictures.", _BRIGHT, True),
    ("Darkest first", _BRIGHT, True),
    ("from dark to bright", _BRIGHT, True),
    ("Rank the lightness.", _BRIGHT, False),
    ("brightest pictures last", _BRIGHT, True),
    ("least colourful first", _COLOUR, True),
    ("most colorful first", _COLOUR, False),
    ("Rank by saturation.", _COLOUR, False),
    ("Sort by vividness.", _COLOUR, False),
    ("Rank from dull to vivid.", _COLOUR, True),
    ("from the most colourful to the least colourful", _COLOUR, False),
    ("Blurriest first.", _SHARP, True),
    ("Rank by how blurry they are.", _SHARP, True),
    ("Rank the crispness.", _SHARP, False),
    ("Sort from blurry to sharp.", _SHARP, True),
    ("Which picture is the sharpest?", _SHARP, False),
    ("Rank the graininess.", _NOISE, False),
    ("cleanest pictures first", _NOISE, True),
    ("coldest colours first", _WARMTH, True),
    ("from high to low contrast", _CONTRAST, False),
    ("fewest apples first", _count("apples"), True),
    ("Rank the number of apples.", _count("apples"), False),
    ("most people first", _count("people"), False),
    ("Sort by the number of people, fewest first.", _count("people"), True),
    ("How many cars are there?", _count("cars"), False),
    ("from few to many fish", _count("fish"), True),
    ("Count the chairs in each picture.", _count("chairs"), False),
    ("Rank by how many bottles there are, in ascending order.", _count("bottles"), True),
    ("Rank the numbers of persons.", _count("people"), False),
)
GERMAN: Sequence[tuple[str, str, bool]] = (
    ("Ordne nach der Anzahl der Äpfel.", _count("apples"), False),
    ("Sortiere nach der Anzahl von Menschen, die wenigsten zuerst.", _count("people"), True),
    ("die wenigsten Autos zuerst", _count("cars"), True),
    ("Wie viele Flaschen sind auf dem Bild?", _count("bottles"), False),
    ("von wenigen zu vielen Fischen", _count("fish"), True),
    ("Ordne die Bilder nach der Zahl der Stühle.", _count("chairs"), False),
    ("von alt nach jung", _AGE, False),
    ("Ordne von jung nach alt.", _AGE, True),
    ("Sortiere nach dem Alter.", _AGE, False),
    ("die jüngsten zuerst", _AGE, True),
    ("Ordne nach Helligkeit.", _BRIGHT, False),
    ("Sortiere die Bilder nach Helligkeit, dunkelste zuerst.", _BRIGHT, True),
    ("Ordne nach der Schärfe der Bilder.", _SHARP, False),
    ("unscharfe Bilder zuerst", _SHARP, True),
    ("Ordne von bunt nach blass.", _COLOUR, False),
    ("die am wenigsten bunten zuerst", _COLOUR, True),
    ("Ordne nach Farbigkeit.", _COLOUR, False),
    ("Sortiere nach der Qualität.", _QUALITY, False),
    ("die schlechtesten Bilder zuerst", _QUALITY, True),
    ("Ordne nach dem Rauschen.", _NOISE, False),
)
# Not understood as a whole, so read as they are written.
LEFT_AS_WRITTEN: Sequence[str] = (
    "most beautiful first",
    "Rank the happiness.",
    "the most famous first",
    "Rank the old and the young.",
    "Rank the redness of the apples.",
    "Ordne nach der Anzahl der Schnabeltiere.",
    "Rank the brightness and the sharpness.",
    "Rank how old the cars are.",
    "best dressed people first",
)


@torch.no_grad()
def measure_readings(backbone: Backbone, ranker: Ranker) -> list[dict]:
    """Of each language's wordings, how many name the right instruction by the list and by the
    nearest text features, and how many also the right direction."""
    learned = [one.instruction for one in ranker.instructions]
    features = backbone.text_features(learned)
    rows = []
    for language, wordings in (("English", ENGLISH), ("German", GERMAN)):
        found = {"list": [0, 0], "features": [0, 0]}
        for text, asked, turned in wordings:
            reading = read_instruction(text, ranker)
            nearest = learned[int((features @ backbone.text_features([text])[0]).argmax())]
            opposite = {"Rank the darkness.": _BRIGHT, "Rank the blurriness.": _SHARP}
            by_features = (opposite.get(nearest, nearest), nearest in opposite)
            if instruction_key(by_features[0]) == instruction_key("Rank the image quality."):
                by_features = (_QUALITY, False)
            for way, (name, is_turned) in (
                ("list", (reading.asked, reading.is_turned)),
                ("features", by_features),
            ):
                same = instruction_key(name) == instruction_key(asked)
                found[way][0] += same
                found[way][1] += same and is_turned == turned
        rows.append({"language": language, "wordings": len(wordings), **found})
    return rows
