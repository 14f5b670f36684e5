"""Cut-outs with transparency that our recipes compose pictures from.

Two sources, both Debian packages, read where Debian puts them and never copied into this
repository as they are:

- ``tuxpaint-stamps-default``: some 350 photographic cut-outs and 250 drawings, named in English,
  in folders by kind. Copyright Bill Kendrick and contributors, GPL-2.
- ``fonts-noto-color-emoji``: colour glyphs, SIL Open Font License 1.1; pictures made with a font
  are free of its licence.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from coop_demo.errors import DatasetError

STAMPS = Path("/usr/share/tuxpaint/stamps")
EMOJI_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
EMOJI_SIZE = 109  # the one bitmap size in Noto Color Emoji; FreeType refuses every other

Style = Literal["photograph", "drawing"]

# Stamps outside the folders called "cartoon" that are drawn all the same (looked through by eye).
DRAWN = re.compile(
    r"/cartoon/|^(cartoon|symbols/(alphabets|math|music|chess|faces|shapes)"
    r"|symbols/money/00_symbols|town/flags|clothes|seasonal/(easter|halloween|hanukkah|newyears))/"
    r"|^symbols/(recycle|clockface)|^food/pizza|^people/body_parts|^medical/tooth|/hedgehog\."
    r"|^animals/insects/(bee|fly)\.|^animals/mammals/(echidna|rhino_black)\.|inukshuk-outline"
    r"|^seasonal/christmas/(Santa|bow|candy_cane|hard_candy|lamp|santahat|star|stocking|tree"
    r"|xmas_tp_bulb)\.|ww2_german|/sedan_police|town/roadsigns/(crossroads|t-junction|arrow"
    r"|roundabout|stoplight|toilets|hospital|xing)|^space/planets/0_sun|^naturalforces"
)
# Stamps that are no single object on a transparent ground, or name nothing one can see.
UNUSABLE = re.compile(r"_mirror\.|final-roll-call|sedan_police|rugby_goal_posts|paratrooper")

# Where the text beside a stamp is a sentence to a child instead of a name.
NAMES: Mapping[str, str] = {
    "animals/fish/bluegroper.png": "blue groper",
    "animals/fish/lobster.png": "spiny lobster",
    "animals/fish/lionfish.png": "lionfish",
    "animals/fish/stripedfish.png": "striped fish",
    "animals/insects/hoverfly.png": "hoverfly",
    "animals/insects/xanthia.png": "moth",
    "animals/mammals/pig_golden.png": "pig",
    "animals/mammals/pig_golden2.png": "pig",
    "animals/mammals/bovines/gnu-baby-stand.png": "baby gnu",
    "animals/mammals/bovines/gnu-baby.png": "baby gnu",
    "animals/mammals/rodents/rabbit-2.png": "rabbit",
    "animals/mammals/rabbit_little.png": "rabbit",
    "animals/mammals/rodents/capybara.png": "capybara",
    "animals/mammals/wildboar.png": "wild boar",
    "food/pizza.png": "slice of pizza",
    "food/spices/ginger.png": "ginger root",
    "food/vegetables/broccoli.png": "broccoli",
    "food/vegetables/pumpkin_small.png": "pumpkin",
    "food/vegetables/tomato.png": "tomato",
    "food/vegetables/corn.png": "corn cob",
    "food/fruit/orange_seville.png": "Seville orange",
    "household/toilet.png": "toilet",
    "household/wheelie_bin.png": "wheelie bin",
    "household/dishes/pitcher_small.png": "pitcher",
    "medical/stethoscope.png": "stethoscope",
    "military/ammunition/old_naval_shell.png": "naval shell",
    "military/vehicles/bradley.png": "armoured vehicle",
    "military/vehicles/infantry-stryker.png": "armoured vehicle",
    "military/vehicles/f22_raptor.png": "fighter plane",
    "plants/flowers/adeenia.png": "desert rose",
    "plants/flowers/anthoorium.png": "anthurium",
    "plants/flowers/appooppanthady.png": "milkweed",
    "plants/flowers/chemparathi.png": "hibiscus",
    "plants/flowers/flower9.png": "flower",
    "plants/flowers/chuvanna_plastic_poo.png": "red flower",
    "plants/lavender.png": "lavender",
    "plants/mushrooms/cep-1.png": "mushroom",
    "plants/mushrooms/cep-2.png": "mushroom",
    "plants/mushrooms/cep.png": "mushroom",
    "plants/trees/birch.png": "birch",
    "plants/trees/holly_leaves.png": "holly leaves",
    "plants/trees/rambutan.png": "red tree",
    "plants/trees/tree336.png": "tree",
    "seasonal/christmas/Candy_cane_photo_1.png": "candy cane",
    "seasonal/christmas/Candy_cane_photo_2.png": "candy cane",
    "seasonal/christmas/Christmas_pudding.png": "Christmas pudding",
    "seasonal/christmas/German_Christmas_toy.png": "wooden toy",
    "seasonal/christmas/Mince_Pie.png": "pie",
    "seasonal/christmas/Roast_turkey.png": "roast turkey",
    "space/moon/moon_3qt.png": "moon",
    "space/moon/moon_crescent.png": "crescent moon",
    "space/moon/moon_full.png": "full moon",
    "space/apollo_lander.png": "lunar lander",
    "space/planets/1_mercury.png": "planet Mercury",
    "space/planets/2_venus.png": "planet Venus",
    "space/planets/3_earth.png": "planet Earth",
    "space/planets/4_mars.png": "planet Mars",
    "space/planets/5_jupiter.png": "planet Jupiter",
    "space/planets/6_saturn.png": "planet Saturn",
    "space/planets/7_uranus.png": "planet Uranus",
    "space/planets/8_neptune.png": "planet Neptune",
    "space/planets/9_pluto.png": "dwarf planet Pluto",
    "space/spacewalk.png": "astronaut",
    "space/voyager2.png": "space probe",
    "sports/australian_rules_football.png": "football",
    "town/monuments/inukshuk-photo.png": "inukshuk",
    "town/roadsigns/dead_end_sign.png": "dead end sign",
    "town/roadsigns/give_way_sign.png": "give way sign",
    "town/roadsigns/no_entry_sign.png": "no entry sign",
    "town/roadsigns/no_uturn.png": "no U-turn sign",
    "town/roadsigns/railroad_crossing.png": "railroad crossing sign",
    "town/roadsigns/school_sign.png": "school sign",
    "town/roadsigns/stop.png": "stop sign",
    "town/roadsigns/yield.png": "yield sign",
    "town/uk_post_box.png": "post box",
    "vehicles/7spoke256.png": "wheel",
    "vehicles/construction/dumper.png": "dumper",
    "vehicles/auto/beetle.png": "car",
    "vehicles/auto/sedan.png": "sedan car",
    "vehicles/ship/chineseJunk.png": "sailing ship",
}


@dataclass(frozen=True)
class Cutout:
    """One object with transparency.

    `name` is English without an article ("red apple"), `kind` the folder it came from
    ("food/fruit") or "emoji", `key` says where it is in its source (a path below the stamps'
    folder, or the code point of a glyph) and is what attribution lists.
    `image` is RGBA, cropped to what is visible.
    """

    name: str
    kind: str
    style: Style
    source: str
    key: str
    image: Image.Image

    @property
    def noun(self) -> str:
        """The last word of the name: "apple" for "red apple"."""
        return self.name.split()[-1].lower()


def plain_name(sentence: str) -> str:
    """`A “Fuji” apple.` -> `Fuji apple`: no article, quotes, brackets or full stop."""
    name = re.sub(r"\(.*?\)|[“”\"]", "", sentence)
    name = re.split(r"[.!?,;—]", name)[0]
    name = re.sub(
        r"^(an?|the|some|two|our|pair of|bunch of|cluster of|head of)\s+",
        "",
        name.strip(),
        flags=re.IGNORECASE,
    )
    name = re.sub(r"^(pair|bunch|cluster|head) of ", "", name)
    return re.sub(r"\s+", " ", name).strip()


def crop_to_visible(image: Image.Image, *, max_side: int = 420) -> Image.Image | None:
    """RGBA cropped to alpha > 8 of 255 and no larger than `max_side` pixels; None if empty."""
    image = image.convert("RGBA")
    alpha = image.getchannel("A").point([0] * 9 + [255] * 247)
    box = alpha.getbbox()
    if box is None:
        return None
    image = image.crop(box)
    if max(image.size) > max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return image


def load_stamps(
    root: Path = STAMPS, *, styles: Sequence[Style] = ("photograph",), min_side: int = 40
) -> list[Cutout]:
    """The stamps of the given styles, sorted by path.

    `min_side` leaves out stamps whose longer side is smaller: enlarged, they are only blur.

    Raises:
        DatasetError: when the folder is not there.
    """
    if not root.is_dir():
        raise DatasetError(
            f'There are no cut-outs in "{root}". '
            "Install Debian's tuxpaint-stamps-default, or name the folder they are in."
        )
    found: list[Cutout] = []
    for path in sorted(root.rglob("*.png")):
        key = path.relative_to(root).as_posix()
        if UNUSABLE.search(key):
            continue
        style: Style = "drawing" if DRAWN.search(key) else "photograph"
        text = path.with_suffix(".txt")
        if style not in styles or (key not in NAMES and not text.is_file()):
            continue
        name = NAMES.get(key)
        if name is None:
            lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
            name = plain_name(lines[0]) if lines else ""
        with Image.open(path) as opened:
            image = crop_to_visible(opened)
        if not name or image is None or max(image.size) < min_side or opaque(image):
            continue
        kind = path.parent.relative_to(root).as_posix()
        found.append(Cutout(name, kind, style, "tuxpaint-stamps", key, image))
    return found


def opaque(image: Image.Image) -> bool:
    """True for an RGBA picture that is a full rectangle: nothing was cut out."""
    return bool((np.asarray(image.getchannel("A")) > 250).mean() > 0.995)


def load_emoji(characters: Iterable[str] | None = None, *, font: Path = EMOJI_FONT) -> list[Cutout]:
    """Noto's colour glyphs of single characters, named by Unicode ("red apple", "guitar").

    Without `characters`: every pictograph of the blocks from U+1F300 to U+1FAFF that the font
    draws, flags' letters, skin tones and clock faces left out.

    Raises:
        DatasetError: when the font is not there.
    """
    if not font.is_file():
        raise DatasetError(
            f'There is no emoji font at "{font}". Install Debian\'s fonts-noto-color-emoji.'
        )
    face = ImageFont.truetype(str(font), EMOJI_SIZE)
    wanted = characters if characters is not None else _pictographs()
    found: list[Cutout] = []
    for character in wanted:
        canvas = Image.new("RGBA", (160, 160))
        ImageDraw.Draw(canvas).text((8, 8), character, font=face, embedded_color=True)
        image = crop_to_visible(canvas)
        if image is None or np.ptp(np.asarray(image)[..., :3]) == 0:  # no glyph, or a bare outline
            continue
        name = unicodedata.name(character[0], "").lower()
        key = " ".join(f"U+{ord(c):04X}" for c in character)
        found.append(Cutout(name, "emoji", "drawing", "noto-emoji", key, image))
    return found


def _pictographs() -> Iterable[str]:
    for start, stop in ((0x1F300, 0x1F650), (0x1F680, 0x1F700), (0x1F900, 0x1FB00)):
        for code in range(start, stop):
            name = unicodedata.name(chr(code), "")
            if name and not re.search(r"MODIFIER|CLOCK FACE|REGIONAL|SYMBOL|SIGN|SQUARE", name):
                yield chr(code)


def by_noun(cutouts: Iterable[Cutout]) -> dict[str, list[Cutout]]:
    """Cut-outs under the last word of their names: {"apple": [Fuji apple, green apple, ...]}."""
    groups: dict[str, list[Cutout]] = {}
    for cutout in cutouts:
        groups.setdefault(cutout.noun, []).append(cutout)
    return groups
