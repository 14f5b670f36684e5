"""Texts for the mini model's text tower: WordNet's nouns and adjectives, and phrases made of them.

WordNet 3.0 is read from its own database files (Debian package `wordnet-base`); their format is
described in the manual pages wndb(5WN) and wnlex(5WN). ImageNet's class identifiers are noun
offsets of the same WordNet 3.0, so `n02084071` is the line of `data.noun` at byte 2084071.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Lexicographer files of nouns that name what a picture can show (lexnames(5WN)).
CONCRETE = {
    3: "tops",
    5: "animal",
    6: "artifact",
    8: "body",
    13: "food",
    15: "location",
    17: "object",
    18: "person",
    19: "phenomenon",
    20: "plant",
    27: "substance",
}


def _words(text: str) -> list[str]:
    return text.split()


# Words that change how a thing looks; combined with nouns at random so that the tower learns
# what a modifier does to a name. Common English, chosen by kind, not by any test set.
COLOURS = _words(
    "red green blue yellow orange purple pink brown black white grey golden silver beige "
    "turquoise colourful dark bright pale light multicoloured transparent"
)
MATERIALS = _words(
    "wooden metal plastic glass leather cotton woollen silk paper stone steel iron "
    "ceramic rubber denim fur brick concrete straw velvet knitted wicker cardboard "
    "stainless-steel porcelain marble clay bamboo nylon canvas lace"
)
PATTERNS = _words(
    "striped spotted plaid checked floral plain patterned printed dotted woven quilted "
    "rough smooth shiny glossy fuzzy furry wrinkled cracked rusty dusty wet dry scaly "
    "feathered hairy spiky rippled grooved braided pleated embroidered polished"
)
SHAPES = _words(
    "round square long short tall wide narrow flat thick thin big small large tiny huge "
    "little curved pointed tiny oval hollow slim oversized miniature giant"
)
STATES = _words(
    "old new young ripe unripe fresh rotten broken open closed empty full clean dirty "
    "sliced peeled cooked raw frozen baked burnt folded hanging standing sitting lying "
    "sleeping running flying swimming wild domestic adult baby female male vintage modern "
    "antique traditional homemade electric toy stuffed decorative portable"
)
WEAR = _words(
    "long-sleeved short-sleeved sleeveless hooded button-down casual formal summer winter "
    "sports women's men's children's tight loose high-heeled waterproof warm elegant"
)
MODIFIERS = COLOURS + MATERIALS + PATTERNS + SHAPES + STATES + WEAR

# Ways to show a thing. What is shown stays the meaning; the medium only colours it.
STYLES = (
    "painting",
    "oil painting",
    "watercolour",
    "drawing",
    "sketch",
    "pencil drawing",
    "cartoon",
    "comic",
    "illustration",
    "clip art picture",
    "logo",
    "icon",
    "sculpture",
    "statue",
    "toy",
    "model",
    "poster",
    "print",
    "silhouette",
    "tattoo",
    "stamp",
    "black and white photograph",
    "close-up",
    "rendering",
    "origami",
)

COUNTS = (
    "two",
    "three",
    "four",
    "five",
    "six",
    "several",
    "many",
    "a few",
    "a lot of",
    "a group of",
    "a pile of",
    "a row of",
    "a bunch of",
    "a pair of",
    "a couple of",
)

PLACES = _words(
    "kitchen garden street table beach forest field room bedroom shop market office park "
    "river lake mountain road city house wall floor shelf box plate bowl basket grass "
    "snow water tree window desk bed sofa boat car zoo farm garage bathroom sky"
)

VERBS = _words(
    "holding riding wearing eating carrying watching using beside near behind under on in "
    "with and without"
)


@dataclass(frozen=True)
class Synset:
    """One WordNet meaning: `offset` in its data file, its words, its parents, its gloss."""

    offset: int
    lexfile: int
    lemmas: tuple[str, ...]
    hypernyms: tuple[int, ...]
    gloss: str

    @property
    def definition(self) -> str:
        """The gloss without its examples."""
        return self.gloss.split('; "')[0].strip(" ;")

    @property
    def short_definition(self) -> str:
        """The gloss's first clause."""
        return self.definition.split(";")[0].strip()


@dataclass(frozen=True)
class WordNet:
    """Nouns by offset; for each lemma its noun offsets, most frequent sense first."""

    nouns: dict[int, Synset]
    senses: dict[str, tuple[int, ...]]
    common: frozenset[str]  # lemmas tagged in WordNet's own corpus: everyday words
    adjectives: tuple[str, ...]
    verbs: tuple[str, ...]

    def ancestors(self, offset: int) -> set[int]:
        """Every hypernym of a noun, itself included."""
        found: set[int] = set()
        stack = [offset]
        while stack:
            current = stack.pop()
            if current not in found:
                found.add(current)
                stack.extend(self.nouns[current].hypernyms)
        return found

    def visible_sense(self, lemma: str) -> Synset | None:
        """The most frequent meaning that names a thing one can see, else None."""
        for offset in self.senses.get(lemma, ())[:4]:
            if self.nouns[offset].lexfile in CONCRETE:
                return self.nouns[offset]
        return None


def _lines(path: Path) -> Iterable[str]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("  "):  # the licence at the top is indented
                yield line.rstrip("\n")


def _plain(lemma: str) -> str:
    return lemma.split("(")[0].replace("_", " ")  # adjectives carry a syntactic marker: "ill(p)"


def read_wordnet(directory: Path) -> WordNet:
    """Read data.noun, index.noun, index.adj and index.verb of `directory`.

    Raises:
        FileNotFoundError: the folder does not hold WordNet's database files.
    """
    nouns: dict[int, Synset] = {}
    for line in _lines(directory / "data.noun"):
        data, _, gloss = line.partition(" | ")
        fields = data.split()
        n_words = int(fields[3], 16)
        lemmas = tuple(_plain(word) for word in fields[4 : 4 + 2 * n_words : 2])
        pointers = fields[5 + 2 * n_words :]
        hypernyms = tuple(
            int(pointers[i + 1]) for i in range(0, len(pointers), 4) if pointers[i] in ("@", "@i")
        )
        offset = int(fields[0])
        nouns[offset] = Synset(offset, int(fields[1]), lemmas, hypernyms, gloss.strip())
    senses, common = {}, set()
    for line in _lines(directory / "index.noun"):
        fields = line.split()
        lemma, n_senses = _plain(fields[0]), int(fields[2])
        senses[lemma] = tuple(int(field) for field in fields[-n_senses:])
        if int(fields[-n_senses - 1]) > 0:
            common.add(lemma)
    adjectives = tuple(_plain(line.split()[0]) for line in _lines(directory / "index.adj"))
    verbs = tuple(_plain(line.split()[0]) for line in _lines(directory / "index.verb"))
    return WordNet(nouns, senses, frozenset(common), adjectives, verbs)


def plural(noun: str) -> str:
    """A regular English plural: "wooden box" -> "wooden boxes"."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return ("an " if noun[:1].lower() in "aeiou" else "a ") + noun


def phrases(wordnet: WordNet, names: Iterable[str], *, seed: int, scale: int = 1) -> list[str]:
    """Phrases around nouns, without repeats, in a fixed order for a seed.

    Args:
        wordnet: where nouns, hypernyms and everyday words come from.
        names: names of ImageNet classes and their ancestors; they appear most often.
        seed: of the random choices.
        scale: multiplies how many phrases of each kind are drawn.
    """
    rng = random.Random(seed)
    names = sorted(set(names))
    things = sorted(
        {
            lemma
            for lemma in wordnet.senses
            if lemma in wordnet.common and wordnet.visible_sense(lemma)
        }
    )
    concrete = sorted(
        {
            lemma
            for s in wordnet.nouns.values()
            if s.lexfile in CONCRETE and s.lexfile not in (15, 18)
            for lemma in s.lemmas
        }
    )

    def noun() -> str:
        pool = rng.choice((names, names, things, concrete))
        return rng.choice(pool)

    found: dict[str, None] = {}
    for _ in range(110_000 * scale):
        found[f"{rng.choice(MODIFIERS)} {noun()}"] = None
    for _ in range(15_000 * scale):
        found[f"{rng.choice(MODIFIERS)} {rng.choice(MODIFIERS)} {noun()}"] = None
    for _ in range(15_000 * scale):
        found[f"{rng.choice(wordnet.adjectives)} {noun()}"] = None
    for _ in range(40_000 * scale):
        found[f"{rng.choice(things)} {noun()}"] = None
    for _ in range(15_000 * scale):
        found[f"{noun()} {rng.choice(('and', 'or', 'and a', 'or a'))} {noun()}"] = None
    for _ in range(15_000 * scale):
        found[f"{noun()} {rng.choice(VERBS)} {article(noun())}"] = None
    for _ in range(10_000 * scale):
        found[
            f"{noun()} {rng.choice(('in', 'on', 'near', 'in the', 'on the', 'next to the'))} "
            f"{rng.choice(PLACES)}"
        ] = None
    for _ in range(15_000 * scale):
        found[plural(noun())] = None
    for _ in range(10_000 * scale):
        found[f"{rng.choice(COUNTS)} {plural(noun())}"] = None
    for _ in range(20_000 * scale):
        found[f"{rng.choice(STYLES)} of {article(noun())}"] = None
    for _ in range(4_000 * scale):
        kind = rng.choice(("texture", "pattern", "surface", "fabric", "material", "shape"))
        found[f"{rng.choice(wordnet.adjectives + tuple(PATTERNS))} {kind}"] = None
    # Name and kind together, as people write them: "Granny Smith apple", "oak tree".
    for synset in wordnet.nouns.values():
        if synset.lexfile not in CONCRETE or not synset.hypernyms:
            continue
        kind = wordnet.nouns[synset.hypernyms[0]].lemmas[0]
        for lemma in synset.lemmas:
            if kind.split()[-1].lower() not in lemma.lower() and rng.random() < 0.6:
                found[f"{lemma} {kind}" if rng.random() < 0.7 else f"{lemma}, {kind}"] = None
    return list(found)
