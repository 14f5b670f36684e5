"""What an instruction asks for, in the words a ranker learned: synonyms, opposites, German.

"Rank from old to young." and "Ordne nach dem Alter." ask for a scale that a ranker may know as
"Rank the age of the person.", and "fewest apples first" for the order of "Rank the numbers of
apples." turned round. A small list says which words name which scale, and which end of it. The
nearest learned instruction by text features would need no list, but it reads far fewer of these
rightly, and never which end comes first: `python -m coop_demo.recipes.ranker.readings` measures
both.

An instruction is read only if every one of its words is known here, but for the name of what is
counted; any other stays as it was written.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coop_demo.ranking.instructions import (
    COUNT_TEMPLATE,
    AntonymPair,
    instruction_key,
    is_count,
    propose_antonyms,
)
from coop_demo.ranking.ranker import Ranker


@dataclass(frozen=True)
class Reading:
    """An instruction as it was understood.

    `asked` is what the ranker is asked; `first` says what comes first where `is_turned`, the
    order of `asked` turned round, and is "" otherwise.
    """

    written: str
    asked: str
    is_turned: bool = False
    first: str = ""

    @property
    def differs(self) -> bool:
        """Whether the ranker is asked anything but what was written."""
        return self.is_turned or instruction_key(self.written) != instruction_key(self.asked)


@dataclass(frozen=True)
class _Scale:
    """One thing to rank by. `much` and `little` name its two ends, `names` itself."""

    wordings: tuple[str, ...]  # instructions for it; a ranker may have learned any
    names: str
    much: str
    little: str
    first: str  # what comes first in the order turned round


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words with their forms, English then German. What no shipped ranker learned is here too: the
# antonym pair and a ranker of one's own know it.
_SCALES: Sequence[_Scale] = (
    _Scale(
        ("Rank the age of the person.", "Rank the ages of the people."),
        "age ages alter",
        "old older oldest elderly alt alte alten alter älter ältere älteren älteste ältesten",
        "young younger youngest youth jung junge jungen jünger jüngere jüngeren jüngste jüngsten "
        "jugend",
        "youngest first",
    ),
    _Scale(
        ("Rank the quality of the image.", "Rank the image quality."),
        "quality bildqualität qualität",
        "good better best gut gute guten besser beste besten",
        "bad worse worst poor poorer poorest degraded schlecht schlechte schlechten schlechter "
        "schlechteste schlechtesten",
        "worst first",
    ),
    _Scale(
        ("Rank the brightness.",),
        "brightness lightness luminance exposure helligkeit",
        "bright brighter brightest light lighter lightest hell helle hellen heller "
        "hellste hellsten",
        "dark darker darkest darkness dim dimmer dimmest dunkel dunkle dunklen dunkler dunkelste "
        "dunkelsten dunkelheit",
        "darkest first",
    ),
    _Scale(
        ("Rank the contrast.",),
        "contrast contrasts kontrast kontraste",
        "contrasty kontrastreich kontrastreiche kontrastreichste kontrastreichsten",
        "flat flatter flattest kontrastarm kontrastarme kontrastärmste kontrastärmsten",
        "least contrast first",
    ),
    _Scale(
        ("Rank the colourfulness.", "Rank the colorfulness."),
        "colourfulness colorfulness saturation vividness farbigkeit buntheit sättigung "
        "farbsättigung",
        "colourful colorful saturated vivid vibrant bunt bunte bunten bunter bunteste buntesten "
        "farbig farbige farbigsten",
        "colourless colorless dull duller dullest pale paler palest desaturated grey greyer "
        "greyest gray grayer grayest dullness blass blasse blassen blasser blasseste blassesten "
        "grau graue grauen",
        "least colourful first",
    ),
    _Scale(
        ("Rank the warmth of the colours.",),
        "warmth wärme",
        "warm warmer warmest warme warmen wärmer wärmste wärmsten",
        "cold colder coldest cool cooler coolest coldness kalt kalte kalten kälter kälteste "
        "kältesten kälte kühl kühle kühlen",
        "coldest first",
    ),
    _Scale(
        ("Rank the sharpness.",),
        "sharpness crispness focus schärfe bildschärfe",
        "sharp sharper sharpest crisp crisper crispest scharf scharfe scharfen schärfer schärfste "
        "schärfsten",
        "blurry blurrier blurriest blurred blur blurriness unsharp unsharpness unscharf unscharfe "
        "unscharfen unschärfe unschärfer unschärfste unschärfsten verschwommen verschwommene "
        "verschwommensten",
        "blurriest first",
    ),
    _Scale(
        ("Rank the noise.",),
        "noise noisiness grain graininess rauschen bildrauschen körnung",
        "noisy noisier noisiest grainy grainier grainiest verrauscht verrauschte verrauschtesten "
        "körnig körnige körnigsten",
        "clean cleaner cleanest noiseless rauschfrei rauschfreie",
        "cleanest first",
    ),
    _Scale(
        ("Rank the visual complexity.",),
        "complexity clutter crowdedness busyness komplexität unordnung",
        "complex cluttered busy busier busiest crowded komplex komplexe komplexen komplexeste "
        "komplexesten unruhig unruhige unordentlich unordentliche unordentlichsten",
        "simple simpler simplest simplicity tidy tidier tidiest uncluttered empty emptier "
        "emptiest schlicht schlichte schlichten schlichteste schlichtesten einfach einfache "
        "einfachen einfachste einfachsten ordentlich ordentliche ordentlichsten",
        "simplest first",
    ),
)
_FILLERS = _words(
    "rank sort order arrange list rate score compare put show please the these those all my "
    "their its this that of in by with for from to according on how which what has is are it they "
    "a an at image images picture pictures photo photos photograph photographs person persons "
    "people face faces colour color colours colors visual degree level amount levels ones very "
    "ordne sortiere reihe ordnen sortieren bitte die der das dem den des diese alle meine nach von "
    "vom im am bis zu zum bild bilder bilds bildes bildern foto fotos gesicht gesichter menschen "
    "personen farbe farben grad wie welches hat sind ist sie es mit"
)
_MOST = _words(
    "most more many highest higher high much largest meisten meiste mehr vielen viel hoch höchste "
    "höchsten"
)
_LEAST = _words(
    "least less fewest fewer few lowest lower low little smallest wenigsten wenigste weniger "
    "wenigen wenig niedrig niedrigste niedrigsten geringste geringsten"
)
_FIRST = _words("first zuerst")
_LAST = _words("last zuletzt")
_RISING = _words("ascending increasing aufsteigend steigend")
_FALLING = _words("descending decreasing absteigend fallend")
_TO = _words("to bis zu zum nach")
_KNOWN = _FILLERS | _MOST | _LEAST | _FIRST | _LAST | _RISING | _FALLING | _TO

# What is counted, in German, to the English that rankers learn.
_GERMAN_THINGS: Mapping[str, str] = {
    "menschen personen leute": "people",
    "gegenstände gegenständen dinge dingen objekte objekten sachen": "objects",
    "äpfel äpfeln": "apples",
    "birnen": "pears",
    "orangen": "oranges",
    "zitronen": "lemons",
    "bananen": "bananas",
    "erdbeeren": "strawberries",
    "tomaten": "tomatoes",
    "karotten möhren": "carrots",
    "kartoffeln": "potatoes",
    "zwiebeln": "onions",
    "pilze pilzen": "mushrooms",
    "blumen blüten": "flowers",
    "autos": "cars",
    "fahrräder fahrrädern": "bicycles",
    "schiffe schiffen": "ships",
    "boote booten": "boats",
    "züge zügen": "trains",
    "stühle stühlen": "chairs",
    "flaschen": "bottles",
    "tassen": "cups",
    "bücher büchern": "books",
    "kerzen": "candles",
    "fenster fenstern": "windows",
    "häuser häusern": "houses",
    "bäume bäumen": "trees",
    "spielkarten": "playing cards",
    "schachfiguren": "chess pieces",
    "würfel würfeln": "dice",
    "fische fischen": "fish",
    "haie haien": "sharks",
    "rochen": "stingrays",
    "quallen": "jellyfish",
    "seesterne seesternen": "starfish",
    "pinguine pinguinen": "penguins",
    "papageitaucher papageitauchern": "puffins",
    "vögel vögeln": "birds",
    "hunde hunden": "dogs",
    "katzen": "cats",
    "pferde pferden": "horses",
    "kühe kühen": "cows",
    "schafe schafen": "sheep",
    "elefanten": "elephants",
}
_THINGS: Mapping[str, str] = {
    word: english for words, english in _GERMAN_THINGS.items() for word in words.split()
} | {"persons": "people", "humans": "people", "automobiles": "cars", "bikes": "bicycles"}

_UNUSUAL_PLURALS = _words(
    "people children men women fish jellyfish starfish sheep deer dice mice geese teeth feet "
    "shrimp broccoli"
)

_THING = r"(?P<thing>[\w-]+(?: [\w-]+){0,2}?)"
_TURN = (
    r"(?P<turn>,? (?:in )?(?:(?:the )?(?:fewest|least|lowest|smallest|most|highest|largest) "
    r"(?:first|last)|(?:ascending|increasing|descending|decreasing)(?: order)?"
    r"|(?:die )?(?:wenigsten|meisten) (?:zuerst|zuletzt)|aufsteigend|absteigend"
    r"|from (?:the )?(?:most|fewest|least) to (?:the )?(?:most|fewest|least)))?"
)
_VERB = (
    r"(?:please )?(?:(?:rank|sort|order|arrange|list|compare|show) )?"
    r"(?:(?:the|these|all|my) )?(?:(?:images|pictures|photos|photographs) )?"
)
_VERB_DE = (
    r"(?:bitte )?(?:(?:ordne|sortiere|reihe|ordnen|sortieren|zeige) )?(?:sie )?"
    r"(?:(?:die|diese|alle|meine) )?(?:(?:bilder|fotos) )?"
)
_SHOWN = (
    r"(?: (?:in|on|of|per) (?:the|each|every|this|these) "
    r"(?:images?|pictures?|photos?|photographs?))?(?: (?:there )?(?:are|you see)(?: there)?)?"
)
_SHOWN_DE = r"(?: sind)?(?: (?:auf|in|im) (?:(?:dem|den|jedem) )?(?:bild|bildern|foto|fotos))?"


@dataclass(frozen=True)
class _CountPattern:
    """A whole sentence about the number of something; `way` is 0 where `turn` says which end
    comes first."""

    pattern: re.Pattern[str]
    way: int
    german: bool = False


def _english(pattern: str, way: int = 0) -> _CountPattern:
    return _CountPattern(re.compile(_VERB + pattern), way)


def _german(pattern: str, way: int = 0) -> _CountPattern:
    return _CountPattern(re.compile(_VERB_DE + pattern), way, german=True)


_COUNTS: Sequence[_CountPattern] = (
    _english(
        r"(?:by |with |according to )?(?:the |their )?"
        r"(?:numbers?|counts?|amounts?|quantity|quantities) of (?:the )?" + _THING + _SHOWN + _TURN
    ),
    _english(r"(?:by )?how many (?:of the )?" + _THING + _SHOWN + _TURN),
    _english(r"count (?:the )?" + _THING + _SHOWN + _TURN),
    _english(r"(?:which (?:image|picture|photo) has )(?:the )?most " + _THING, 1),
    _english(r"(?:by |with )?(?:the )?(?:most|more) " + _THING + r" (?:first)", 1),
    _english(r"(?:by |with )?(?:the )?(?:most|more) " + _THING + r" last", -1),
    _english(r"(?:by |with )?(?:the )?(?:fewest|fewer|least) " + _THING + r" first", -1),
    _english(r"(?:by |with )?(?:the )?(?:fewest|fewer|least) " + _THING + r" last", 1),
    _english(
        r"from (?:the )?(?:few|fewest|least|no)(?: [\w-]+)? to (?:the )?(?:many|most) " + _THING, -1
    ),
    _english(
        r"from (?:the )?(?:many|most)(?: [\w-]+)? to (?:the )?(?:few|fewest|least|no) " + _THING, 1
    ),
    _german(
        r"(?:nach )?(?:der |die )?(?:anzahl|zahl|menge) (?:der |von |an )?"
        + _THING
        + _SHOWN_DE
        + _TURN
    ),
    _german(r"(?:danach,? )?wie viele " + _THING + _SHOWN_DE + _TURN),
    _german(r"(?:die )?meisten " + _THING + r" zuerst", 1),
    _german(r"(?:die )?wenigsten " + _THING + r" zuerst", -1),
    _german(r"von wenige?n?(?: [\w-]+)? (?:zu|bis|nach) viele?n? " + _THING, -1),
    _german(r"von viele?n?(?: [\w-]+)? (?:zu|bis|nach) wenige?n? " + _THING, 1),
)


def reading_sentence(reading: Reading) -> str:
    """What was understood, in one sentence; "" where the ranker is asked what was written."""
    if not reading.differs:
        return ""
    return f"Read as: “{reading.asked}”" + (f", {reading.first}." if reading.is_turned else "")


def every_first() -> tuple[str, ...]:
    """All that `Reading.first` can say."""
    return ("fewest first", *(scale.first for scale in _SCALES))


def read_words(text: str) -> Reading | None:
    """The instruction in a wording that rankers learn; None where some of it is not understood."""
    return _read(text, None)


def read_instruction(text: str, ranker: Ranker | None) -> Reading:
    """How an instruction is read for a ranker: as it was written, if the ranker learned exactly
    that or never what was understood."""
    if ranker is not None and ranker.learned(text) is not None:
        return Reading(text, text)
    found = _read(text, ranker)
    if found is None or not (ranker is None or _can_be_asked(ranker, found.asked)):
        return Reading(text, text)
    return found


def antonyms_for(instruction: str) -> AntonymPair:
    """`propose_antonyms` of what the instruction asks for, in whichever of these words.

    Raises:
        RankingError: the instruction is empty.
    """
    reading = read_words(instruction)
    if reading is None:
        return propose_antonyms(instruction)
    pair = propose_antonyms(reading.asked)
    return pair.swapped() if reading.is_turned else pair


def _can_be_asked(ranker: Ranker, asked: str) -> bool:
    """Whether it learned this, or this is a count in the template and it learned others in it."""
    if ranker.learned(asked) is not None:
        return True
    return is_count(asked) and any(is_count(one.instruction) for one in ranker.instructions)


def _read(text: str, ranker: Ranker | None) -> Reading | None:
    plain = unicodedata.normalize("NFC", " ".join(text.split())).casefold().rstrip(".!?: ")
    return _read_count(text, plain) or _read_scale(text, plain, ranker)


def _read_count(text: str, plain: str) -> Reading | None:
    for one in _COUNTS:
        found = one.pattern.fullmatch(plain)
        if found is None:
            continue
        thing = found["thing"]
        if one.german and thing not in _THINGS:
            continue
        if one.way and not _is_plural(thing):
            continue  # "most beautiful first" counts nothing
        way = one.way or _way(re.findall(r"[\w-]+", found["turn"] or ""))
        asked = COUNT_TEMPLATE.format(_THINGS.get(thing, thing))
        return Reading(text, asked, way == -1, "fewest first" if way == -1 else "")
    return None


def _is_plural(thing: str) -> bool:
    last = thing.split()[-1]
    if last in _ENDS_OF:
        return False
    return last in _UNUSUAL_PLURALS or thing in _THINGS or bool(re.search(r"(?<![su])s$", last))


def _read_scale(text: str, plain: str, ranker: Ranker | None) -> Reading | None:
    words = re.findall(r"[\w'-]+", plain)
    named = {at for word in words for at in _ENDS_OF.get(word, {})}
    if len(named) != 1 or any(word not in _ENDS_OF and word not in _KNOWN for word in words):
        return None
    at = named.pop()
    way = _way(words, {word: ends[at] for word, ends in _ENDS_OF.items() if at in ends})
    if way is None:
        return None
    scale = _SCALES[at]
    asked = scale.wordings[0]
    if ranker is not None:
        asked = next((w for w in scale.wordings if ranker.learned(w) is not None), asked)
    return Reading(text, asked, way < 0, scale.first if way < 0 else "")


def _way(words: Sequence[str], sides: Mapping[str, int] | None = None) -> int | None:
    """1 for most first, −1 for least; None where the words contradict themselves.

    Args:
        sides: which end of the scale each of its words names.
    """
    sides = sides or {}
    for at, word in enumerate(words):
        if word in _TO:  # "from least to most": what stands before it comes first
            before, after = (_end(part, sides) for part in (words[:at], words[at + 1 :]))
            if before and after:
                return before if before != after else None
    end = _end(words, sides)
    if end is None:
        return None
    has = set(words)
    way = end or 1
    if has & _RISING:
        way = -way
    return -way if has & _LAST else way


def _end(words: Sequence[str], sides: Mapping[str, int]) -> int | None:
    """Which end these words name: 1 for much, −1 for little, 0 for neither, None for both."""
    named = {sides[word] for word in words if sides.get(word)}
    if len(named) > 1:
        return None
    has = set(words)
    if not (named or has & (_MOST | _LEAST)):
        return 0
    end = named.pop() if named else 1
    return -end if has & _LEAST else end


def _ends_of() -> dict[str, dict[int, int]]:
    """Each word's scales, and which end of each it names: 1, −1, or 0 for the scale itself, which
    goes first: "nach dem Alter" is more likely than "ein alter Mann"."""
    found: dict[str, dict[int, int]] = {}
    for at, scale in enumerate(_SCALES):
        for side, words in ((1, scale.much), (-1, scale.little), (0, scale.names)):
            for word in words.split():
                found.setdefault(word, {})[at] = side
    return found


_ENDS_OF = _ends_of()
