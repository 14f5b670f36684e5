"""What the shipped ranker learns from and is judged on: pictures whose order is known.

- Rendered scenes with exact counts of many kinds of things, among them apples beside oranges;
  some kinds are held out entirely, and met only when the ranker is judged.
- Photographs and scenes changed by known amounts: brightness, colourfulness, contrast, sharpness,
  noise, warmth, and their opposites.
- Picture sets with labels, where they are at hand: dice, aquarium animals, ages, quality.

A picture belongs to one part for good: `train`, `val` (chooses settings) or `test` (judges). All
pictures made from one photograph are in that photograph's part. Everything follows from names and
numbers, nothing from the order files happen to have.
"""

import csv
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from coop_demo.data.images import load_picture
from coop_demo.ranking.instructions import COUNT_TEMPLATE
from coop_demo.ranking.labels import RankingRow, read_labels_csv
from coop_demo.recipes.cutouts import Cutout, by_noun, load_emoji, load_stamps
from coop_demo.recipes.scenes import GRADES, Degradation, counting_scene, degrade, grade

PARTS = ("train", "val", "test")
TEST_PERCENT, VAL_PERCENT = 22, 8  # of the photographs of a set; the rest is learned from

# Kinds of things that are learned, in the singular. Their cut-outs are the stamps with this noun,
# the glyphs below and drawn shapes.
_SEEN = (
    "apple orange lemon banana pear strawberry mango lime pomegranate carrot potato onion pepper "
    "pumpkin broccoli mushroom walnut flower rose daffodil penguin duck flamingo pigeon toucan "
    "peacock hen lion tiger elephant giraffe bear dog cat horse cow pig sheep fox squirrel "
    "kangaroo koala camel frog fish seahorse shrimp lobster grasshopper moth car bus airplane "
    "balloon ship tricycle guitar trumpet drum teapot kettle key hammer scissors pliers wrench "
    "basketball football lightbulb pen candle sign moon circle square triangle star heart"
)
# What everyday photographs are asked about, mostly drawn glyphs. Learned from alone: the scenes
# that judge were chosen before them.
_EVERYDAY = (
    "person chair bottle cup glass bicycle motorcycle train boat bird umbrella backpack handbag "
    "suitcase book laptop phone clock vase fork spoon knife bowl donut cake sandwich pizza egg "
    "bread cookie grape peach cherry corn cucumber eggplant coconut kiwi avocado sofa bed door box "
    "shirt shoe hat sock ball kite turtle snail bee ladybug snake monkey goat turkey swan dolphin "
    "shark octopus tree cactus leaf house balloon flag ring bell gift basket bucket"
)
# The more words, the less a word not among them is a surprise.
_MORE = (
    "deer rat hedgehog bat eagle parrot whale ant spider scorpion dinosaur gorilla panda raccoon "
    "otter sloth leopard wolf crocodile lizard squid shell television radio printer keyboard "
    "joystick battery microscope telescope plate pan broom soap toothbrush sponge ladder magnet "
    "paperclip pencil envelope coin crown sandal boot dress scarf glove sunglasses skateboard "
    "surfboard scooter helicopter rocket tractor ambulance taxi van watermelon melon pretzel "
    "croissant pancake taco burger lollipop candy cheese garlic lettuce peanut toilet mailbox "
    "tent anchor globe racket doll baby trophy medal lamp axe saw screw bathtub mirror banjo "
    "saxophone piano accordion bone tooth feather acorn sunflower tulip pot"
)
_TWO_WORDS = (
    "traffic light",
    "stop sign",
    "teddy bear",
    "hot dog",
    "potted plant",
    "fire engine",
    "shopping cart",
)
# Kinds the ranker never learns: near relatives of learned ones and things of their own.
_UNSEEN = "tomato owl violin rabbit pineapple rooster truck camera zebra mug crab diamond butterfly"
JUDGED_KINDS: Sequence[str] = tuple(_SEEN.split())  # the scenes that judge are made of these
SEEN_KINDS: Sequence[str] = tuple(
    dict.fromkeys((*JUDGED_KINDS, *_EVERYDAY.split(), *_MORE.split(), *_TWO_WORDS))
)
UNSEEN_KINDS: Sequence[str] = tuple(_UNSEEN.split())
GLYPHS: Mapping[str, str] = {
    "apple": "🍎🍏",
    "orange": "🍊",
    "lemon": "🍋",
    "banana": "🍌",
    "pear": "🍐",
    "strawberry": "🍓",
    "mango": "🥭",
    "carrot": "🥕",
    "potato": "🥔",
    "onion": "🧅",
    "broccoli": "🥦",
    "mushroom": "🍄",
    "flower": "🌸🌼🌺",
    "rose": "🌹",
    "penguin": "🐧",
    "duck": "🦆",
    "flamingo": "🦩",
    "peacock": "🦚",
    "hen": "🐔",
    "lion": "🦁",
    "tiger": "🐅",
    "elephant": "🐘",
    "giraffe": "🦒",
    "bear": "🐻",
    "dog": "🐕🐶",
    "cat": "🐈🐱",
    "horse": "🐎",
    "cow": "🐄",
    "pig": "🐖",
    "sheep": "🐑",
    "fox": "🦊",
    "squirrel": "🐿",
    "kangaroo": "🦘",
    "koala": "🐨",
    "camel": "🐫",
    "frog": "🐸",
    "fish": "🐟🐠🐡",
    "shrimp": "🦐",
    "lobster": "🦞",
    "grasshopper": "🦗",
    "car": "🚗🚙",
    "bus": "🚌",
    "guitar": "🎸",
    "trumpet": "🎺",
    "drum": "🥁",
    "key": "🔑",
    "hammer": "🔨",
    "wrench": "🔧",
    "basketball": "🏀",
    "football": "⚽",
    "lightbulb": "💡",
    "candle": "🕯",
    "star": "⭐",
    "heart": "💜💙💚",
    "person": "🧍🚶🏃👩👨👦👧👵👴",
    "chair": "🪑",
    "bottle": "🍾🍼",
    "cup": "🍵☕",
    "glass": "🍷🍸",
    "bicycle": "🚲",
    "motorcycle": "🏍🛵",
    "train": "🚂🚆",
    "boat": "🚤🛶",
    "bird": "🐦🐤",
    "umbrella": "🌂☂",
    "backpack": "🎒",
    "handbag": "👜",
    "suitcase": "🧳",
    "book": "📕📘📗",
    "laptop": "💻",
    "phone": "📱",
    "clock": "⏰🕰",
    "vase": "🏺",
    "fork": "🍴",
    "spoon": "🥄",
    "knife": "🔪",
    "bowl": "🥣",
    "donut": "🍩",
    "cake": "🎂🍰",
    "sandwich": "🥪",
    "pizza": "🍕",
    "egg": "🥚",
    "bread": "🍞",
    "cookie": "🍪",
    "grape": "🍇",
    "peach": "🍑",
    "cherry": "🍒",
    "corn": "🌽",
    "cucumber": "🥒",
    "eggplant": "🍆",
    "coconut": "🥥",
    "kiwi": "🥝",
    "avocado": "🥑",
    "sofa": "🛋",
    "bed": "🛏",
    "door": "🚪",
    "box": "📦",
    "shirt": "👕👔",
    "shoe": "👟👞",
    "hat": "👒🎩",
    "sock": "🧦",
    "ball": "🏐🎾",
    "kite": "🪁",
    "turtle": "🐢",
    "snail": "🐌",
    "bee": "🐝",
    "ladybug": "🐞",
    "snake": "🐍",
    "monkey": "🐒🐵",
    "goat": "🐐",
    "turkey": "🦃",
    "swan": "🦢",
    "dolphin": "🐬",
    "shark": "🦈",
    "octopus": "🐙",
    "tree": "🌳🌲🌴",
    "cactus": "🌵",
    "leaf": "🍁🍂",
    "house": "🏠",
    "flag": "🚩",
    "ring": "💍",
    "bell": "🔔",
    "gift": "🎁",
    "basket": "🧺",
    "bucket": "🪣",
    "deer": "🦌",
    "rat": "🐀",
    "hedgehog": "🦔",
    "bat": "🦇",
    "eagle": "🦅",
    "parrot": "🦜",
    "whale": "🐋🐳",
    "ant": "🐜",
    "spider": "🕷",
    "scorpion": "🦂",
    "dinosaur": "🦕🦖",
    "gorilla": "🦍",
    "panda": "🐼",
    "raccoon": "🦝",
    "otter": "🦦",
    "sloth": "🦥",
    "leopard": "🐆",
    "wolf": "🐺",
    "crocodile": "🐊",
    "lizard": "🦎",
    "squid": "🦑",
    "shell": "🐚",
    "television": "📺",
    "radio": "📻",
    "printer": "🖨",
    "keyboard": "⌨",
    "joystick": "🕹",
    "battery": "🔋",
    "microscope": "🔬",
    "telescope": "🔭",
    "plate": "🍽",
    "pan": "🍳",
    "broom": "🧹",
    "soap": "🧼",
    "toothbrush": "🪥",
    "sponge": "🧽",
    "ladder": "🪜",
    "magnet": "🧲",
    "paperclip": "📎",
    "pencil": "✏",
    "envelope": "✉📩",
    "coin": "🪙",
    "crown": "👑",
    "sandal": "👡🩴",
    "boot": "👢🥾",
    "dress": "👗",
    "scarf": "🧣",
    "glove": "🧤",
    "sunglasses": "🕶",
    "skateboard": "🛹",
    "surfboard": "🏄",
    "scooter": "🛴",
    "helicopter": "🚁",
    "rocket": "🚀",
    "tractor": "🚜",
    "ambulance": "🚑",
    "taxi": "🚕",
    "van": "🚐",
    "watermelon": "🍉",
    "melon": "🍈",
    "pretzel": "🥨",
    "croissant": "🥐",
    "pancake": "🥞",
    "taco": "🌮",
    "burger": "🍔",
    "lollipop": "🍭",
    "candy": "🍬",
    "cheese": "🧀",
    "garlic": "🧄",
    "lettuce": "🥬",
    "peanut": "🥜",
    "traffic light": "🚦",
    "stop sign": "🛑",
    "teddy bear": "🧸",
    "toilet": "🚽",
    "hot dog": "🌭",
    "potted plant": "🪴",
    "mailbox": "📫",
    "fire engine": "🚒",
    "tent": "⛺",
    "anchor": "⚓",
    "globe": "🌍",
    "racket": "🎾",
    "doll": "🪆",
    "baby": "👶",
    "shopping cart": "🛒",
    "trophy": "🏆",
    "medal": "🏅",
    "lamp": "🪔",
    "axe": "🪓",
    "saw": "🪚",
    "screw": "🔩",
    "bathtub": "🛁",
    "mirror": "🪞",
    "banjo": "🪕",
    "saxophone": "🎷",
    "piano": "🎹",
    "accordion": "🪗",
    "bone": "🦴",
    "tooth": "🦷",
    "feather": "🪶",
    "acorn": "🌰",
    "sunflower": "🌻",
    "tulip": "🌷",
    "pot": "🍲",
    "tomato": "🍅",
    "owl": "🦉",
    "violin": "🎻",
    "rabbit": "🐇🐰",
    "pineapple": "🍍",
    "rooster": "🐓",
    "truck": "🚚",
    "camera": "📷",
    "zebra": "🦓",
    "crab": "🦀",
    "butterfly": "🦋",
}
SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond")
_PLURALS = {
    "person": "people",
    "candy": "candies",
    "wolf": "wolves",
    "scarf": "scarves",
    "tooth": "teeth",
    "mouse": "mice",
    "cheese": "pieces of cheese",
    "garlic": "bulbs of garlic",
    "lettuce": "heads of lettuce",
    "soap": "bars of soap",
    "squid": "squid",
    "deer": "deer",
    "sunglasses": "pairs of sunglasses",
    "knife": "knives",
    "leaf": "leaves",
    "bread": "loaves of bread",
    "corn": "corn cobs",
    "octopus": "octopuses",
    "cactus": "cacti",
    "sheep": "sheep",
    "fish": "fish",
    "shrimp": "shrimp",
    "scissors": "scissors",
    "pliers": "pliers",
    "mango": "mangoes",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "broccoli": "broccoli",
    "bus": "buses",
}
ANYTHING = "object"  # all things of a scene together
APPLES_AND_ORANGES = ("apple", "orange")

# value -> how it is asked for; the first wording is the one that is measured.
WORDINGS: Mapping[str, tuple[str, ...]] = {
    "brightness": (
        "Rank the brightness.",
        "Sort from bright to dark.",
        "Rank by brightness.",
        "Which picture is the brightest?",
    ),
    "darkness": ("Rank the darkness.", "Sort from dark to bright.", "Rank by darkness."),
    "colourfulness": (
        "Rank the colourfulness.",
        "Rank the colorfulness.",
        "Sort from colourful to dull.",
        "Which picture is the most colourful?",
    ),
    "contrast": ("Rank the contrast.", "Rank by contrast.", "Sort by contrast, highest first."),
    "sharpness": (
        "Rank the sharpness.",
        "Rank by sharpness.",
        "Sort from sharp to blurry.",
        "Which picture is the sharpest?",
    ),
    "blurriness": ("Rank the blurriness.", "Sort from blurry to sharp.", "Rank by blur."),
    "noise": ("Rank the noise.", "Rank by noise.", "Sort by how noisy the pictures are."),
    "warmth": ("Rank the warmth of the colours.", "Rank the warmth.", "Sort from warm to cold."),
    "graded": (
        "Rank the image quality.",
        "Rank the picture quality.",
        "Sort by image quality.",
        "Which photo is the best?",
    ),
    "quality": ("Rank the quality of the image.", "Rank the quality.", "Sort by quality."),
    "age": (
        "Rank the age of the person.",
        "Rank the ages of the people.",
        "Sort by age.",
        "Rank the people from old to young.",
    ),
}
_COUNT_WORDINGS = (
    "Rank the number of {}.",
    "Sort by the number of {}.",
    "How many {} are there?",
    "Count the {}.",
    "Rank by how many {} there are.",
    "Which picture has the most {}?",
    "{} from most to fewest.",
)


@dataclass(frozen=True)
class Sample:
    """One picture, drawn or decoded when it is needed, and what is known of it."""

    family: str  # dice, aquarium, natural, unmet, age, quality, counting, unseen, flips, …
    part: str  # train, val or test
    draw: Callable[[], Image.Image] = field(repr=False)
    values: Mapping[str, float]  # by instruction; larger ranks first
    plain: bool = True  # as it is; False for an augmented view, which is learned from only
    complete: bool = False  # what has no value is not in it


def plural(noun: str) -> str:
    """ "strawberry" -> "strawberries"; the few irregular ones we use are listed."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    if re.search(r"(s|x|ch|sh)$", noun):
        return noun + "es"
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + "s"


def count_prompt(kind: str) -> str:
    """ "apple" -> "Rank the numbers of apples."."""
    return COUNT_TEMPLATE.format(plural(kind))


def paraphrases(instruction: str) -> tuple[str, ...]:
    """Other wordings of an instruction of ours that are learned beside it, without itself."""
    for wordings in WORDINGS.values():
        if instruction == wordings[0]:
            return wordings[1:]
    start, end = COUNT_TEMPLATE.split("{}")
    if instruction.startswith(start):
        things = instruction.removeprefix(start).removesuffix(end)
        return tuple(wording.format(things) for wording in _COUNT_WORDINGS)
    return ()


def part_of(*name: object) -> str:
    """The part a photograph is in, by its name alone."""
    place = seed_of("part", *name) % 100
    if place < TEST_PERCENT:
        return "test"
    return "val" if place < TEST_PERCENT + VAL_PERCENT else "train"


def seed_of(*parts: object) -> int:
    """A seed from words and numbers, the same on every machine."""
    return zlib.crc32("/".join(str(part) for part in parts).encode())


# --- rendered counts --------------------------------------------------------------------------


def shape_cutouts(shape: str, *, side: int = 120) -> list[Cutout]:
    """A plain shape in eight colours."""
    t = np.linspace(0, 2 * np.pi, 60)
    outlines = {
        "circle": np.stack([np.sin(t), np.cos(t)], 1),
        "square": np.array([[-0.9, -0.9], [0.9, -0.9], [0.9, 0.9], [-0.9, 0.9]]),
        "triangle": np.array([[0, -0.9], [0.95, 0.8], [-0.95, 0.8]]),
        "diamond": np.array([[0, -1], [0.6, 0], [0, 1], [-0.6, 0]]),
        "star": np.stack([np.sin(np.arange(10) * np.pi / 5), -np.cos(np.arange(10) * np.pi / 5)], 1)
        * np.where(np.arange(10) % 2, 0.42, 1.0)[:, None],
        "heart": np.stack(
            [
                np.sin(t) ** 3,
                -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) / 16,
            ],
            1,
        ),
    }
    points = [tuple(p) for p in ((outlines[shape] * 0.48 + 0.5) * side).tolist()]
    colours = (
        (220, 40, 40),
        (40, 90, 220),
        (40, 160, 60),
        (240, 200, 30),
        (150, 50, 190),
        (240, 130, 20),
        (30, 30, 30),
        (245, 245, 245),
    )
    found = []
    for number, colour in enumerate(colours):
        image = Image.new("RGBA", (side, side))
        ImageDraw.Draw(image).polygon(points, fill=(*colour, 255))
        found.append(Cutout(shape, "shape", "drawing", "drawn", f"{shape}{number}", image))
    return found


def kind_library() -> dict[str, list[Cutout]]:
    """Cut-outs of every kind, seen and unseen. DatasetError when a Debian package is missing."""
    stamps = by_noun(load_stamps())
    library: dict[str, list[Cutout]] = {}
    for kind in (*SEEN_KINDS, *UNSEEN_KINDS):
        found = list(stamps.get(kind, ()))
        if kind in GLYPHS:
            found += load_emoji(GLYPHS[kind])
        if kind in SHAPES:
            found += shape_cutouts(kind)
        if not found:
            raise ValueError(f"there is no cut-out of the kind {kind}")
        library[kind] = found
    return library


Photographs = Sequence[tuple[str, str, Callable[[], Image.Image]]]  # name, part, how to get it


def counting_samples(
    library: Mapping[str, Sequence[Cutout]],
    *,
    share: float = 1.0,
    more: float = 1.0,
    photographs: Photographs = (),
) -> Iterator[Sample]:
    """Scenes of one to three kinds, none to nine of each, and of two kinds that trade places.

    Every scene also has the value 0 under kinds that are not in it, as many as are in it. Every
    second scene that is learned from stands on one of the `photographs`, where there are any, with
    its things small and more of other kinds around them. `more` makes so many times as many to
    learn from; the first of them stay the same.
    """
    plan = (
        ("counting", "train", round(9000 * more)),
        ("counting", "val", 60),
        ("counting", "test", 192),
        ("unseen", "test", 156),
        ("flips", "train", 240),
        ("flips", "test", 40),
    )
    for family, part, number in plan:
        for index in range(max(4, round(number * share))):
            counts = _scene_counts(family, part, index)
            seed = seed_of("scene", family, part, index)
            among_photographs = family == "counting" and part == "train" and index % 2 == 1
            on = None
            if photographs and among_photographs and not set(counts) & set(_IN_PHOTOGRAPHS):
                on = photographs[seed % len(photographs)][2]
            yield Sample(
                family,
                part,
                _Scene(counts, library, seed, on),
                {count_prompt(kind): float(n) for kind, n in counts.items()}
                | {count_prompt(ANYTHING): float(sum(counts.values()))},
                complete=on is None,
            )


def _scene_counts(family: str, part: str, index: int) -> dict[str, int]:
    rng = np.random.default_rng(seed_of("counts", family, part, index))

    def some() -> int:
        return int(rng.choice(10, p=_COUNT_SHARES))

    if family == "flips":
        return dict(zip(APPLES_AND_ORANGES, (int(n) for n in rng.integers(0, 9, 2)), strict=True))
    first = _first_kinds(family, part)
    first = first[index % len(first)]
    among = SEEN_KINDS if part == "train" else JUDGED_KINDS
    others = rng.permutation([kind for kind in among if kind != first])
    counts = {first: some()}
    for kind in others[: int(rng.integers(0, 3))].tolist():
        counts[kind] = some()
    if sum(counts.values()) == 0 or len(counts) == 1:  # something else to look at
        counts[str(others[3])] = 1 + some() // 3
    # known zeros: kinds that are not there
    for kind in others[4 : 4 + len(counts) - 1].tolist():
        counts.setdefault(kind, 0)
    return counts


def _first_kinds(family: str, part: str) -> Sequence[str]:
    """The kinds that take turns in the scenes of a part: all to learn from, but few to be judged
    on, since an order is only as well known as it has pictures."""
    if family == "unseen":
        return UNSEEN_KINDS
    return {"train": SEEN_KINDS, "val": JUDGED_KINDS[2::16], "test": JUDGED_KINDS[::5]}[part]


_COUNT_SHARES = np.array([1.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]) / 10.5


# Kinds that may be in any photograph: a scene with one of them stands on none.
_IN_PHOTOGRAPHS = ("person", "car", "chair", "shirt", "hat", "shoe", "bottle", "cup", "tree")


@dataclass(frozen=True)
class _Scene:
    counts: Mapping[str, int]
    library: Mapping[str, Sequence[Cutout]] = field(repr=False)
    seed: int
    on: Callable[[], Image.Image] | None = None  # a photograph that it stands on, things small

    def __call__(self) -> Image.Image:
        return counting_scene(
            self.counts,
            self.library,
            size=(288, 288),
            seed=self.seed,
            largest=(0.14, 0.4) if self.on is None else (0.07, 0.25),
            on=None if self.on is None else self.on(),
        ).image


# --- plain attributes -------------------------------------------------------------------------


def attribute_values(image: Image.Image) -> dict[str, float]:
    """What can be measured of any picture: brightness, colourfulness, contrast, warmth.

    Colourfulness is Hasler and Süsstrunk's M (SPIE 2003): spread plus 0.3 times the distance from
    grey of the opponent colours. All on levels from 0 to 1.
    """
    small = np.asarray(image.convert("RGB").resize((96, 96)), np.float64) / 255
    r, g, b = small[..., 0], small[..., 1], small[..., 2]
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    rg, yb = r - g, (r + g) / 2 - b
    spread = np.hypot(rg.std(), yb.std())
    return {
        "brightness": float(luma.mean()),
        "contrast": float(luma.std()),
        "colourfulness": float(spread + 0.3 * np.hypot(rg.mean(), yb.mean())),
        "warmth": float((r - b).mean()),
    }


@dataclass(frozen=True)
class _Changed:
    """A picture with drawn amounts of darkness, colour, blur and noise."""

    base: Callable[[], Image.Image]
    seed: int

    def amounts(self) -> tuple[float, float, float, float, float]:
        """Light and colour as factors, warmth as a gain, blur and noise as levels in 0…1."""
        rng = np.random.default_rng(self.seed)
        light = float(np.exp(rng.uniform(np.log(0.25), np.log(1.5))))
        colour = float(rng.uniform(0, 1.8))
        warm = float(rng.normal(0, 0.12))
        blur, noise = (float(rng.uniform() ** 1.5) * float(rng.uniform() < 0.65) for _ in range(2))
        return light, colour, warm, 0.8 * blur, 0.7 * noise

    def __call__(self) -> Image.Image:
        light, colour, warm, blur, noise = self.amounts()
        image = ImageEnhance.Color(self.base()).enhance(colour)
        pixels = np.asarray(image, np.float32) * light
        pixels *= np.exp(np.array([warm, 0, -warm], np.float32))
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
        return degrade(degrade(image, "blur", blur), "noise", noise, seed=self.seed)


Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


def _measured(planned: tuple[str, "_Changed"]) -> dict[str, float]:
    return attribute_values(planned[1]())


def attribute_samples(
    bases: Sequence[tuple[str, str, Callable[[], Image.Image]]],
    *,
    number: int = 420,
    spread: Spread = map,
) -> Iterator[Sample]:
    """Pictures changed by drawn amounts; `bases` are (name, part, how to get the picture).

    `spread` measures them as `map` would, perhaps in several processes.
    """
    plan = []
    for index in range(number):
        name, part, base = bases[index % len(bases)]
        plan.append((part, _Changed(base, seed_of("attributes", name, index))))
    for (part, changed), measured in zip(plan, spread(_measured, plan), strict=True):
        *_, blur, noise = changed.amounts()
        values = measured | {
            "darkness": -measured["brightness"],
            "sharpness": 1 - blur,
            "blurriness": blur,
            "noise": noise,
        }
        yield Sample(
            "attributes",
            part,
            changed,
            {WORDINGS[name][0]: value for name, value in values.items()},
        )


def graded_samples(
    bases: Sequence[tuple[str, str, Callable[[], Image.Image]]], *, number: int = 240
) -> Iterator[Sample]:
    """Pictures with one degradation each, of any level: quality 5 untouched, 1 at its worst."""
    kinds = list(GRADES)
    for index in range(number):
        base_name, part, base = bases[(7 * index) % len(bases)]
        rng = np.random.default_rng(seed_of("graded", base_name, index))
        level = max(0.0, float(rng.uniform(-0.5, 4)))
        kind = kinds[int(rng.integers(len(kinds)))]
        yield Sample(
            "graded",
            part,
            _Degraded(base, kind, level, index),
            {WORDINGS[name][0]: 5 - level for name in ("graded", "quality")},
        )


@dataclass(frozen=True)
class _Degraded:
    base: Callable[[], Image.Image]
    kind: Degradation
    level: float
    seed: int

    def __call__(self) -> Image.Image:
        return grade(self.base(), self.kind, self.level, seed=self.seed)


# --- picture sets with labels -----------------------------------------------------------------

# folder -> family; how its photographs are grouped, so that one photograph is in one part only
LABELLED_SETS: Mapping[str, str] = {
    "dice_count": "dice",
    "aquarium_count": "aquarium",
    "fairface_age": "age",
    "quality_synth": "quality",
    "counts_natural": "natural",
}
# Natural kinds that are never learned, only judged: tomatoes, which no scene that is learned from
# has either, and windows, whose photographs' licence is not known.
UNMET_CATEGORIES = ("tomatoes", "windows")
# Sources of the natural counts that state no licence: their photographs may judge.
UNLICENSED_SOURCES = (
    "a-hwang/building-facade-segmentation",
    "tamaturgo/intelligent_transportation_system_ModelML",
)
# Photographs of these hold nothing else that is asked for: what has no number there is not there.
# In the others, everyday scenes, it was not counted.
_NOTHING_ELSE = ("apples", "pears", "playing_cards", "chess_pieces")

# sets with classes, whose training photographs serve to be changed; their labels play no part
CLASS_SETS = ("clothing10", "grocery20")
# family -> augmented views of each picture that is learned from
AUGMENTED_VIEWS: Mapping[str, int] = {
    "dice": 3,
    "aquarium": 9,
    "age": 6,
    "quality": 1,
    "natural": 5,
}
# family -> pictures made of two or of four in one square
MOSAICS: Mapping[str, int] = {"aquarium": 900, "natural": 3600}


def labelled_samples(
    folder: Path, *, augmented: bool = True, only: Sequence[str] = (), more: float = 1.0
) -> Iterator[Sample]:
    """The pictures of the labelled sets below a folder, and augmented views of those that are
    learned from, `more` times as many where they are natural. Sets that are not there are passed
    over, and all but `only` those named.

    Aquarium and the natural counts keep their own split, whose `val` judges. Quality is parted by
    reference photograph.
    """
    for name, family in LABELLED_SETS.items():
        if (only and name not in only) or not (folder / name / "labels.csv").is_file():
            continue
        table = read_labels_csv(folder / name / "labels.csv", check=False)
        learned: list[Sample] = []
        pictures: dict[str, list[RankingRow]] = {}
        for row in table.rows:
            pictures.setdefault(row.picture.name, []).append(row)
        for picture, rows in pictures.items():
            group = picture
            if family == "quality":  # banana_blur2 -> banana
                group = re.sub(r"_[a-z]+\d*$", "", Path(picture).stem)
            part = part_of(family, group)
            if family == "aquarium":
                part = "test" if rows[0].split == "val" else {"test": "train"}.get(part, part)
            if family == "natural":
                part = "test" if rows[0].split == "val" else {"test": "val"}.get(part, "train")
            values = {row.prompt: row.value for row in rows}
            draw = _File(folder / name / picture)
            if {row.category for row in rows} & set(UNMET_CATEGORIES):
                yield Sample("unmet", "test", draw, values)
                continue
            alone = {row.category for row in rows} <= set(_NOTHING_ELSE)
            sample = Sample(family, part, draw, values, complete=alone or family == "aquarium")
            yield sample
            if part != "test":
                learned.append(sample)
            views = round(AUGMENTED_VIEWS[family] * (more if family == "natural" else 1))
            for view in range(views if augmented and part != "test" else 0):
                seed = seed_of("view", picture, view)
                # quality must not be touched by another resampling
                changed = _View(
                    draw, seed, mirrored_only=family == "quality", may_cut=family == "age"
                )
                yield Sample(family, part, changed, values, plain=False)
        if family == "natural" and augmented:
            yield from _single_faces(folder)
        if augmented:
            yield from mosaics(learned, number=round(more * MOSAICS.get(family, 0)))


def _single_faces(folder: Path) -> Iterator[Sample]:
    """Faces that are learned from, as photographs of one person each."""
    people = count_prompt("person")
    for sample in labelled_samples(folder, augmented=False, only=("fairface_age",)):
        known = sample.part == "train" and isinstance(sample.draw, _File)
        if known and seed_of("single", sample.draw.path.name) % 2:
            yield Sample("natural", "train", sample.draw, {people: 1.0}, plain=False)


def mosaics(samples: Sequence[Sample], *, number: int) -> Iterator[Sample]:
    """Two or four pictures of one part in one square: their numbers of things add up.

    A mosaic has a number under an instruction where all of its pictures have one, or are known to
    hold none. Every second picture is drawn from those that share an instruction with the first.
    """
    by_part = {part: [one for one in samples if one.part == part] for part in PARTS}
    like: dict[tuple[str, tuple[str, ...]], list[Sample]] = {}
    for index in range(number if samples else 0):
        first = samples[index % len(samples)]
        seed = seed_of("mosaic", first.family, index)
        rng = np.random.default_rng(seed)
        asked = first.part, tuple(first.values)
        if asked not in like:
            like[asked] = [one for one in by_part[asked[0]] if set(one.values) & set(asked[1])]
        alike = like[asked]
        chosen = [first]
        for _ in range(3 if first.family == "natural" and index % 2 else 1):
            others = alike if rng.uniform() < 0.5 else by_part[first.part]
            chosen.append(others[int(rng.integers(len(others)))])
        if any(one is first for one in chosen[1:]):
            continue
        values = _added(chosen)
        if values:
            views = tuple(_View(one.draw, seed + at) for at, one in enumerate(chosen))
            yield Sample(first.family, first.part, Mosaic(views), values, plain=False)


def _added(samples: Sequence[Sample]) -> dict[str, float]:
    """Sums by instruction, where every picture has a number or is known to hold none."""
    return {
        prompt: sum(one.values.get(prompt, 0.0) for one in samples)
        for prompt in {p: None for one in samples for p in one.values}
        if all(prompt in one.values or one.complete for one in samples)
    }


def backgrounds(folder: Path) -> Photographs:
    """Photographs that are learned from and hold no cut-out's kind as a rule: garments, and
    everyday scenes with people and chairs."""
    found = []
    for sample in labelled_samples(folder, augmented=False, only=("counts_natural",)):
        asked = {count_prompt("person"), count_prompt("chair")}
        if sample.part == "train" and asked & set(sample.values):
            found.append((sample.family, sample.part, sample.draw))
    for path in sorted((folder / "clothing10" / "train").glob("*/*.jpg")):
        label = f"clothing10/{path.parent.name}/{path.name}"
        if part_of(label) == "train":
            found.append((label, "train", _File(path)))
    return found


def licensed_only(samples: Sequence[Sample], folder: Path) -> list[Sample]:
    """The samples, those in no part any more that would be learned from and hold a photograph
    whose licence the natural counts' list of images does not know. What judges stays."""
    table = folder / "counts_natural" / "images.csv"
    if not table.is_file():
        return list(samples)
    with table.open(encoding="utf-8", newline="") as file:
        unknown = {
            folder / "counts_natural" / row["image"]
            for row in csv.DictReader(file)
            if row["repository"].partition("@")[0] in UNLICENSED_SOURCES
        }
    return [
        replace(one, part="left out")
        if one.part != "test" and unknown & set(files_of(one.draw))
        else one
        for one in samples
    ]


def files_of(draw: Callable[[], Image.Image]) -> Iterator[Path]:
    """The files that a picture is made from."""
    if isinstance(draw, _File):
        yield draw.path
    for name in ("base", "on", "pieces"):
        inner = getattr(draw, name, None)
        for one in inner if isinstance(inner, tuple) else (inner,):
            if one is not None:
                yield from files_of(one)


def photographs(folder: Path) -> list[tuple[str, str, Callable[[], Image.Image]]]:
    """Undegraded photographs to change, as (name, part, how to get it): those of the labelled
    sets, of a folder `gallery`, and of the training parts of sets with classes; a photograph that
    has a part keeps it."""
    found: list[tuple[str, str, Callable[[], Image.Image]]] = []
    for sample in labelled_samples(folder, augmented=False):
        untouched = sample.values.get(WORDINGS["quality"][0], 5) == 5
        changed = sample.family not in ("dice", "unmet")
        if changed and untouched and isinstance(sample.draw, _File):
            found.append((sample.draw.path.name, sample.part, sample.draw))
    for path in sorted((folder / "gallery" / "images").glob("*.jpg")):
        found.append((path.name, part_of("gallery", path.name), _File(path)))
    for name in CLASS_SETS:
        for path in sorted((folder / name / "train").glob("*/*.jpg")):
            label = f"{name}/{path.parent.name}/{path.name}"
            found.append((label, part_of(label), _File(path)))
    order = np.random.default_rng(11).permutation(len(found))
    return [found[i] for i in order.tolist()]


@dataclass(frozen=True)
class _File:
    path: Path

    def __call__(self) -> Image.Image:
        return load_picture(self.path)


@dataclass(frozen=True)
class Mosaic:
    """Two pictures side by side, or four in two rows, in one square."""

    pieces: tuple[Callable[[], Image.Image], ...]

    def __call__(self) -> Image.Image:
        square = Image.new("RGB", (320, 320))
        height = 320 if len(self.pieces) == 2 else 160
        for number, piece in enumerate(self.pieces):
            row, column = divmod(number, 2)
            small = piece().resize((160, height), Image.Resampling.BICUBIC)
            square.paste(small, (160 * column, 160 * row))
        return square


@dataclass(frozen=True)
class Mirrored:
    """A picture seen in a mirror."""

    base: Callable[[], Image.Image]

    def __call__(self) -> Image.Image:
        return self.base().transpose(Image.Transpose.FLIP_LEFT_RIGHT)


@dataclass(frozen=True)
class _View:
    """Mirrored, and unless only that, turned a little and with another light and colour. Nothing
    is cut away, since a number must stay what it is, unless the view `may_cut`."""

    base: Callable[[], Image.Image]
    seed: int
    mirrored_only: bool = False
    may_cut: bool = False

    def __call__(self) -> Image.Image:
        image = self.base()
        rng = np.random.default_rng(self.seed)
        if self.mirrored_only or rng.uniform() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.mirrored_only:
            return image
        width, height = image.size
        margin = rng.uniform(0.0, 0.2)  # a border of mean colour: everything a little smaller
        mean = tuple(int(c) for c in np.asarray(image).reshape(-1, 3).mean(0))
        if self.may_cut:
            left, top, right, bottom = rng.uniform(0, 0.12, 4)
            left, right = round(left * width), round((1 - right) * width)
            top, bottom = round(top * height), round((1 - bottom) * height)
            image = image.crop((left, top, right, bottom))
        else:
            size = (round(width * (1 + margin)), round(height * (1 + margin)))
            around = Image.new("RGB", size, mean)
            around.paste(image, ((size[0] - width) // 2, (size[1] - height) // 2))
            image = around
        image = image.rotate(rng.uniform(-10, 10), Image.Resampling.BILINEAR, fillcolor=mean)
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
            image = enhance(image).enhance(float(np.exp(rng.normal(0, 0.25))))
        return image
