"""Instructions: what may be asked of a ranker, and the antonym prompts an instruction suggests.

The antonym pair is the hand-crafted rival of CLIP-IQA (Wang et al., AAAI 2023, arXiv 2207.12396):
a picture's score is how much nearer it is to "a bright photo." than to "a dark photo.". The pair
proposed here is a starting point for a person to edit; nothing is learned from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import RankingError
from coop_demo.settings import LIMITS

COUNT_TEMPLATE = "Rank the numbers of {}."  # the paper's wording for counts

# For the page's menu; each is read by a ranker exactly as written.
EXAMPLE_INSTRUCTIONS: tuple[str, ...] = (
    "Rank the numbers of apples.",
    "Rank the ages of the people.",
    "Rank the image quality.",
    "Rank the brightness.",
    "Rank the colourfulness.",
    "Rank the sharpness.",
)


@dataclass(frozen=True)
class AntonymPair:
    """Two opposite prompts: pictures nearer to `high` rank first. RankingError when unusable."""

    high: str
    low: str

    def __post_init__(self) -> None:
        for side, prompt in (("first", self.high), ("second", self.low)):
            if not prompt.strip():
                raise RankingError(f"The {side} of the two opposite prompts is empty. Write one.")
        if self.high.strip().lower() == self.low.strip().lower():
            raise RankingError(
                f'Both opposite prompts are "{self.high.strip()}". Make one the opposite of the '
                "other."
            )

    def swapped(self) -> AntonymPair:
        return AntonymPair(high=self.low, low=self.high)


def check_instruction(text: str, backbone: Backbone | None = None) -> str:
    """The instruction with its white space tidied.

    Raises:
        RankingError: it is empty, has nothing to read in it, or, when the backbone is given,
            is longer than its text tower reads.
    """
    if backbone is None and len(text or "") > LIMITS.max_instruction:
        raise RankingError(
            f'The instruction "{_shorten(" ".join(text[:200].split()))}" has {len(text):,} '
            f"characters; at most {LIMITS.max_instruction} are read. Shorten it."
        )
    tidy = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())
    if not any(c.isalnum() for c in tidy):
        raise RankingError(
            'The instruction is empty. Write what to rank by, for example "Rank the brightness.".'
        )
    if backbone is not None:
        n_tokens = len(backbone.tokenizer.encode(tidy)) + 2
        limit = backbone.text_tower.context_length
        if n_tokens > limit:
            raise RankingError(
                f'The instruction "{_shorten(tidy)}" is {n_tokens} tokens long and the model '
                f"reads {limit}. Shorten it."
            )
    return tidy


def instruction_key(text: str) -> str:
    """What two instructions have in common when they are the same: case, spaces and the final
    full stop play no part."""
    return " ".join(text.split()).casefold().rstrip(". ")


def is_count(instruction: str) -> bool:
    """Whether it asks for the number of something, in the wording that rankers learn."""
    return instruction_key(instruction).startswith(_COUNT_BEGINS)


_COUNT_BEGINS = instruction_key(COUNT_TEMPLATE.partition("{}")[0])

# ---- antonyms

# Words for much of it | words for little of it -> the prompts for much and for little. The first
# six are CLIP-IQA's own attributes. A word matches as a whole word.
_ATTRIBUTES: tuple[tuple[str, str, str, str], ...] = (
    (
        "brightness|bright|brighter|brightest|light|lightness|lighter|exposure",
        "darkness|dark|darker|darkest",
        "a bright photo.",
        "a dark photo.",
    ),
    (
        "sharpness|sharp|sharper|sharpest|focus|in focus|crisp|crispness",
        "blur|blurry|blurred|blurriness|blurriest|unsharp|out of focus",
        "a sharp photo.",
        "a blurry photo.",
    ),
    (
        "colourfulness|colorfulness|colourful|colorful|colours|colors|colour|color|saturation"
        "|saturated|vivid|vividness",
        "dullness|dull|pale|desaturated|grey|gray",
        "a colorful photo.",
        "a dull photo.",
    ),
    (
        "noise|noisy|noisiness|grain|grainy",
        "clean|cleanness|noiseless",
        "a noisy photo.",
        "a clean photo.",
    ),
    ("contrast", "flat|flatness", "a photo with high contrast.", "a photo with low contrast."),
    (
        "aesthetics|aesthetic|beauty|beautiful|pretty|attractive|attractiveness",
        "ugliness|ugly",
        "a beautiful photo.",
        "an ugly photo.",
    ),
    (
        "quality|good|better|best",
        "bad|worse|worst|degradation|distortion|damage",
        "a good photo.",
        "a bad photo.",
    ),
    (
        "age|ages|old|older|oldest|elderly",
        "youth|young|younger|youngest",
        "a photo of an old person.",
        "a photo of a young person.",
    ),
    (
        "happiness|happy|happier|happiest|joy|joyful|smile|smiling",
        "sadness|sad|sadder|saddest",
        "a happy photo.",
        "a sad photo.",
    ),
    (
        "complexity|complex|clutter|cluttered|busy|crowded|crowdedness",
        "simplicity|simple|tidy|empty|emptiness",
        "a cluttered photo.",
        "a simple photo.",
    ),
    (
        "warmth|warm|warmer|warmest",
        "cold|coldness|colder|coldest|cool",
        "a warm photo.",
        "a cold photo.",
    ),
    (
        "size|large|larger|largest|big|bigger|biggest",
        "small|smaller|smallest|tiny",
        "a photo of something large.",
        "a photo of something small.",
    ),
    (
        "modern|modernity|new|newer|newest|recent|year|date|decade",
        "historical|historic|vintage|antique",
        "a modern photo.",
        "a very old photo.",
    ),
    (
        "scary|scariness|fear|frightening",
        "peaceful|peace|calm",
        "a scary photo.",
        "a peaceful photo.",
    ),
)

_COUNT = re.compile(
    r"\b(?:numbers?|counts?)\s+of\s+(?:the\s+)?(?P<of>.+)$"
    r"|\bhow\s+many\s+(?P<many>.+?)(?:\s+(?:are|there|is|do|does|can|it|each|the|in)\b.*)?$"
    r"|\b(?:most|many|more)\s+(?P<most>.+?)(?:\s+first)?$",
    re.IGNORECASE,
)
_AMOUNT = re.compile(
    r"\b(?:amounts?|quantity|quantities|how\s+much)\s+(?:of\s+)?(?:the\s+)?(.+)$", re.IGNORECASE
)
_FEWEST = re.compile(r"\b(?:fewest|least|few|fewer)\s+(?P<few>.+?)(?:\s+first)?$", re.IGNORECASE)
_TAIL = re.compile(
    r"\s+(?:in|on|of|from|for|by|per)\s+(?:the|these|each|every|all)\b.*$|\s+first$|\s+you see$",
    re.IGNORECASE,
)
_ORDER_WORDS = re.compile(
    r"^(?:please\s+)?(?:rank|sort|order|arrange|list|rate|score|compare)\b"
    r"(?:\s+(?:the|these|all|my))*(?:\s+(?:images?|pictures?|photos?|photographs?))?"
    r"(?:\s+(?:by|with|for|according\s+to|in\s+order\s+of|on))?"
    r"(?:\s+(?:the|their|how))*\s*",
    re.IGNORECASE,
)


def propose_antonyms(instruction: str) -> AntonymPair:
    """Two opposite prompts for an instruction, the one that should rank first in `high`.

    Counts give "many" against "no", known attributes their own two prompts (turned round when
    the instruction names the small end), and anything else "a lot of" against "without".

    Raises:
        RankingError: the instruction is empty.
    """
    text = check_instruction(instruction).rstrip(".!?: ")
    if pair := _attribute_named_by_order(text):
        return pair
    if match := _COUNT.search(text):
        things = _things(next(part for part in match.groups() if part))
        pair = _attribute(things) if match["most"] else None  # "the most colourful first"
        return pair or _count_pair(things)
    if match := _FEWEST.search(text):
        things = _things(match["few"])
        return (_attribute(things) or _count_pair(things)).swapped()
    if pair := _attribute(text):
        return pair
    amount = _AMOUNT.search(text)
    things = _things(amount[1] if amount else _ORDER_WORDS.sub("", text)) or text
    return AntonymPair(f"a photo with a lot of {things}.", f"a photo without any {things}.")


def _count_pair(things: str) -> AntonymPair:
    return AntonymPair(f"a photo with many {things}.", f"a photo with no {things}.")


def _attribute_named_by_order(text: str) -> AntonymPair | None:
    """ "from dark to bright": what is named first ranks first."""
    match = re.search(r"\bfrom\s+(?:the\s+)?(.+?)\s+to\s+(?:the\s+)?(.+)$", text, re.IGNORECASE)
    return _attribute(match[1]) if match else None


def _attribute(text: str) -> AntonymPair | None:
    """The pair of the attribute that is named first in the text."""
    found: list[tuple[int, AntonymPair]] = []
    for much, little, high, low in _ATTRIBUTES:
        pair = AntonymPair(high, low)
        for words, proposal in ((much, pair), (little, pair.swapped())):
            if match := re.search(rf"\b(?:{words})\b", text, re.IGNORECASE):
                found.append((match.start(), proposal))
    return min(found, key=lambda item: item[0])[1] if found else None


def _things(text: str) -> str:
    return _TAIL.sub("", text.strip()).strip(" .!?,;:\"'")


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
