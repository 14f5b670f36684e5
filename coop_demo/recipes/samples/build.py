"""Builds the sample sets that ship in `assets/samples/`, so that the first click works.

    python -m coop_demo.recipes.samples            # every set
    python -m coop_demo.recipes.samples creatures  # one of them

Needs Debian's tuxpaint-stamps-default and fonts-noto-color-emoji (sources and licences:
`assets/samples/README.md`). A set's folder is written anew; every picture follows from its set,
class and number alone, so that changing one set changes no other.

Layout of a set to learn classes from:

    <set>/set.json               title, description, kind, template, expect, source, licence
    <set>/classes.csv            folder,name
    <set>/train/<folder>/*.jpg   <set>/test/<folder>/*.jpg
    <set>/cutouts.csv            picture,label,source,cutout: what each picture was made from

A set to rank has `labels.csv` (image,value,prompt,split,category) and its pictures in `pictures/`;
a set to look at has `objects.json` (picture -> names and boxes in pixels) and `pictures/`.
"""

import argparse
import csv
import json
import re
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from coop_demo.recipes.cutouts import Cutout, by_noun, load_emoji, load_stamps
from coop_demo.recipes.samples.invented import CREATURES, GRADES, biscuit, creature
from coop_demo.recipes.scenes import Item, Scene, compose, counting_scene, degrade, portrait
from coop_demo.settings import ASSETS_DIR

ASSETS = ASSETS_DIR / "samples"
LICENCES = Path("/usr/share/common-licenses")

SIDE = 224  # pixels; what most CLIP models take, and the shipped sets stay under 8 MB
TRAIN_PICTURES = 16  # a class; the paper's largest number of shots
TEST_PICTURES = 15
DRAWN_PICTURES = 12
JPEG_QUALITY = 80

GPL = "GPL-2.0 (pictures composed from Tux Paint stamps; text in ../LICENSE.GPL-2.txt)"
CC0 = "CC0-1.0 (rendered by this project's own recipe; text in ../LICENSE.CC0-1.0.txt)"
STAMPS_SOURCE = (
    "Cut-outs of Debian's tuxpaint-stamps-default (copyright 2002-2022 Bill Kendrick and "
    "contributors) composed by coop_demo/recipes/samples/build.py; cutouts.csv names them."
)

# What stands in each everyday picture: the classes' names, and where their cut-outs are.
EVERYDAY: Mapping[str, str] = {
    "ball": r"sports/(basketball|soccer|tennis_ball|cricketball|football|australian)",
    "bird": r"animals/birds/",
    "car": r"vehicles/(auto/(beetle|sedan|sportscar2)|race/indycar)\.",
    "fish": r"animals/fish/(blue|butterfly|clown|coral|dolphin|moon|striped)",
    "flower": r"plants/flowers/(?!app|bolsom|chuvanna|flower7)",
    "guitar": r"hobbies/music/string/guitar",
    "insect": r"animals/insects/(?!Brown|Woodlouse)",
    "mushroom": r"plants/mushrooms/|food/vegetables/mushroom\.",
    "rabbit": r"rabbit",
    "traffic sign": r"town/roadsigns/(dead|give|no_|school_sign|stop\.|yield)",
}
LETTERED = ("traffic sign",)  # mirrored, their writing would be wrong
# The same names in drawings: Noto's glyphs, and drawn stamps by their path.
DRAWN: Mapping[str, tuple[str, str]] = {
    "ball": ("⚽🏀🎾🏐🏈⚾🏉🥎", r"$^"),
    "bird": ("🐦🐧🦃🦅🦆🦉🦚🦜🦢🦩🐓🐤", r"animals/birds/cartoon/tux\."),
    "car": ("🚗🚕🚙🚓", r"$^"),
    "fish": ("🐟🐠🐡", r"$^"),
    "flower": ("🌸🌹🌺🌻🌼🌷🏵💮🪷", r"$^"),
    "guitar": ("🎸", r"$^"),
    "insect": ("🐝🐜🐞🦋🦗🦟🪲🪰🪳🐛", r"animals/insects/cartoon/(butterfly|dragonfly|ladybug)\."),
    "mushroom": ("🍄", r"$^"),
    "rabbit": ("🐇🐰", r"seasonal/easter/bunny"),
    "traffic sign": ("🚫🚸🛑🚷🚳", r"town/roadsigns/(crossroads|t-junction|arrow|xing|hospital)"),
}
FRUIT: Mapping[str, str] = {
    "apple": r"food/fruit/apple_",
    "orange": r"food/fruit/(mandarine|orange)\.",
    "lemon": r"food/fruit/lemon\.",
}
# For the tab that shows where the model looked: two to four things everybody can name.
TOGETHER: Sequence[Sequence[str]] = (
    ("zebra", "guitar"),
    ("strawberry", "teapot"),
    ("elephant", "soccer ball"),
    ("owl", "lemon", "hammer"),
    ("tiger", "violin"),
    ("banana", "camera", "basketball"),
    ("hot air balloon", "airplane"),
    ("giraffe", "mushroom", "trumpet"),
    ("penguin", "pineapple"),
    ("frog", "rose", "mug"),
    ("rooster", "broccoli", "binoculars"),
    ("lion", "tennis ball", "pumpkin", "kettle"),
)


def seed_of(*parts: object) -> int:
    """A seed from words and numbers, the same on every machine."""
    return zlib.crc32("/".join(str(part) for part in parts).encode())


@dataclass(frozen=True)
class Pictures:
    """What the sets are made from, loaded once."""

    photographs: Sequence[Cutout]
    drawings: Sequence[Cutout]

    @classmethod
    def load(cls) -> "Pictures":
        return cls(load_stamps(), load_stamps(styles=("drawing",)))


@dataclass(frozen=True)
class Made:
    """One finished picture: its path below the set's folder, and what is in it."""

    path: str
    image: Image.Image
    label: str
    parts: Sequence[tuple[str, str]] = ()  # (source, key of the cut-out)


def matching(cutouts: Iterable[Cutout], pattern: str) -> list[Cutout]:
    """The cut-outs whose key the pattern is found in."""
    return [cutout for cutout in cutouts if re.search(pattern, cutout.key)]


def split_objects(cutouts: Sequence[Cutout], *, seed: int) -> tuple[list[Cutout], list[Cutout]]:
    """Different objects for training and test: about two to one, of few objects half and half."""
    order = np.random.default_rng(seed).permutation(len(cutouts))
    cut = max(len(cutouts) // 3, min(2, len(cutouts) // 2))
    return [cutouts[i] for i in order[cut:]], [cutouts[i] for i in order[:cut]]


def folder_of(name: str) -> str:
    return name.replace(" ", "_")


def object_pictures(
    name: str, split: str, cutouts: Sequence[Cutout], number: int, *, set_name: str
) -> Iterator[Made]:
    """Pictures of one object each, the cut-outs taken in turn."""
    for index in range(number):
        cutout = cutouts[index % len(cutouts)]
        scene = portrait(
            Item(name, cutout.image, cutout.key),
            size=(SIDE, SIDE),
            seed=seed_of(set_name, split, name, index),
            flip=name not in LETTERED,
        )
        yield Made(
            f"{split}/{folder_of(name)}/{index + 1:02d}.jpg",
            scene.image,
            name,
            [(cutout.source, cutout.key)],
        )


def everyday(pictures: Pictures) -> Iterator[Made]:
    for name, pattern in EVERYDAY.items():
        train, test = split_objects(matching(pictures.photographs, pattern), seed=1)
        yield from object_pictures(name, "train", train, TRAIN_PICTURES, set_name="everyday")
        yield from object_pictures(name, "test", test, TEST_PICTURES, set_name="everyday")


def everyday_drawn(pictures: Pictures) -> Iterator[Made]:
    for name, (glyphs, pattern) in DRAWN.items():
        drawn = load_emoji(glyphs) + matching(pictures.drawings, pattern)
        yield from object_pictures(name, "test", drawn, DRAWN_PICTURES, set_name="everyday_drawn")


def creatures(_: Pictures) -> Iterator[Made]:
    for species in CREATURES:
        for split, number in (("train", TRAIN_PICTURES), ("test", TEST_PICTURES)):
            for index in range(number):
                seed = seed_of("creatures", split, species, index)
                clay = creature(species, seed=seed)
                scene = portrait(Item(species, clay), size=(SIDE, SIDE), seed=seed)
                yield Made(f"{split}/{species}/{index + 1:02d}.jpg", scene.image, species)


def biscuits(_: Pictures) -> Iterator[Made]:
    trays = ("paper", "cloth", "wood", "stone", "gradient")
    for grade in GRADES:
        for split, number in (("train", TRAIN_PICTURES), ("test", TEST_PICTURES)):
            for index in range(number):
                seed = seed_of("biscuits", split, grade, index)
                dough = biscuit(grade, seed=seed)
                scene = portrait(
                    Item(grade, dough),
                    size=(SIDE, SIDE),
                    seed=seed,
                    rotation=180,
                    on=trays[seed % len(trays)],
                )
                yield Made(
                    f"{split}/grade_{grade}/{index + 1:02d}.jpg", scene.image, f"grade {grade}"
                )


def scene_parts(scene: Scene, source: str = "tuxpaint-stamps") -> list[tuple[str, str]]:
    return sorted({(source, placed.key) for placed in scene.objects})


def counting_counts() -> list[dict[str, int]]:
    """Counts for 24 scenes; apples and oranges are each spread over 0…9, and unrelated."""
    rng = np.random.default_rng(4)
    columns = [rng.permutation(np.arange(24) % 10) for _ in range(2)]
    lemons = rng.permutation(np.arange(24) % 5)
    return [
        {"apple": int(a), "orange": int(o), "lemon": int(n)}
        for a, o, n in zip(columns[0], columns[1], lemons, strict=True)
    ]


def counting(pictures: Pictures) -> Iterator[Made]:
    library = {name: matching(pictures.photographs, key) for name, key in FRUIT.items()}
    tables = ("wood", "cloth", "stone", "paper", "gradient", "room")
    for index, counts in enumerate(counting_counts()):
        scene = counting_scene(
            counts,
            library,
            size=(320, 320),
            seed=seed_of("counting", index),
            on=tables[index % len(tables)],
        )
        yield Made(
            f"pictures/{index + 1:02d}.jpg", scene.image, json.dumps(counts), scene_parts(scene)
        )


def condition_levels() -> list[tuple[float, float]]:
    """(darkness, blur) of 24 pictures: both spread evenly, and unrelated."""
    rng = np.random.default_rng(7)
    dark, blur = (rng.permutation(np.linspace(0, most, 24)) for most in (0.7, 0.9))
    return [(round(float(d), 2), round(float(b), 2)) for d, b in zip(dark, blur, strict=True)]


def conditions(pictures: Pictures) -> Iterator[Made]:
    named = by_name(pictures.photographs)
    for index, (darkness, blur) in enumerate(condition_levels()):
        names = TOGETHER[index % len(TOGETHER)]
        scene = together(names, named, seed=seed_of("conditions", index), size=(256, 256))
        image = degrade(degrade(scene.image, "blur", blur), "darkness", darkness)
        # Scenes differ in brightness before they are darkened, so it is measured, not assumed.
        brightness = float(np.asarray(image.convert("L")).mean() / 255)
        yield Made(
            f"pictures/{index + 1:02d}.jpg",
            image,
            json.dumps([brightness, 1 - blur]),
            scene_parts(scene),
        )


def by_name(cutouts: Sequence[Cutout]) -> dict[str, Cutout]:
    """The sharpest cut-out under each full name and each noun; full names win."""
    best: dict[str, Cutout] = {}
    for noun, group in by_noun(cutouts).items():
        best[noun] = max(group, key=lambda cutout: max(cutout.image.size))
    for cutout in sorted(cutouts, key=lambda cutout: max(cutout.image.size)):
        best[cutout.name] = cutout
    return best


def together(
    names: Sequence[str], named: Mapping[str, Cutout], *, seed: int, size: tuple[int, int]
) -> Scene:
    items = [Item(name, named[name].image, named[name].key) for name in names]
    largest = {2: 0.52, 3: 0.46}.get(len(names), 0.4)
    return compose(
        items, size=size, seed=seed, scale=(0.85 * largest, largest), max_overlap=0.0, rotation=12
    )


def scenes(pictures: Pictures) -> Iterator[Made]:
    named = by_name(pictures.photographs)
    for index, names in enumerate(TOGETHER):
        scene = together(names, named, seed=seed_of("scenes", index), size=(320, 320))
        objects = [{"name": placed.label, "box": list(placed.box)} for placed in scene.objects]
        yield Made(
            f"pictures/{index + 1:02d}.jpg", scene.image, json.dumps(objects), scene_parts(scene)
        )


@dataclass(frozen=True)
class SampleSet:
    """How a set is made and what is said about it on the page."""

    make: Callable[[Pictures], Iterator[Made]]
    about: Mapping[str, object]


SETS: Mapping[str, SampleSet] = {
    "everyday": SampleSet(
        everyday,
        {
            "title": "Everyday things",
            "description": "Ten kinds of things with plain names, other objects in the test than "
            "in training.",
            "kind": "classes",
            "template": "a photo of a {}.",
            "expect": "Words do well here: the hand-crafted prompt is hard to beat, and a learned "
            "one gains little.",
            "source": STAMPS_SOURCE,
            "licence": GPL,
        },
    ),
    "everyday_drawn": SampleSet(
        everyday_drawn,
        {
            "title": "Everyday things, drawn",
            "description": "The same ten names as emoji and cartoons, for testing only.",
            "kind": "classes",
            "template": "a drawing of a {}.",
            "expect": "Train on the photographs, test here: accuracy falls for every prompt; see "
            "which one falls further.",
            "source": "Glyphs of Noto Color Emoji (Debian's fonts-noto-color-emoji) and drawn "
            "stamps of tuxpaint-stamps-default, composed by coop_demo/recipes/samples/build.py; "
            "cutouts.csv names them.",
            "licence": "GPL-2.0 where cutouts.csv names a Tux Paint stamp; elsewhere CC0-1.0 for "
            "the composition, with glyphs of a font under OFL-1.1, which leaves "
            "pictures made with it free (texts in ..)",
        },
    ),
    "creatures": SampleSet(
        creatures,
        {
            "title": "Creatures nobody has heard of",
            "description": "Eight invented species with nonsense names; each animal has its own "
            "colours and pose, so only shape tells them apart.",
            "kind": "classes",
            "template": "a photo of a {}.",
            "expect": "Words are lost here: a name the model has never met is worth a guess. A few "
            "pictures of each win by far.",
            "source": "Modelled and rendered by coop_demo/recipes/samples/invented.py.",
            "licence": CC0,
        },
    ),
    "biscuits": SampleSet(
        biscuits,
        {
            "title": "Biscuit quality control",
            "description": "A bakery's own five grades, known to nobody outside: "
            + "; ".join(f"{grade}: {text}" for grade, text in GRADES.items())
            + ".",
            "kind": "classes",
            "template": "a photo of a biscuit of {}.",
            "expect": "The names say nothing about the pictures, so words cannot help; a learned "
            "prompt finds what the grades mean.",
            "source": "Modelled and rendered by coop_demo/recipes/samples/invented.py.",
            "licence": CC0,
        },
    ),
    "counting": SampleSet(
        counting,
        {
            "title": "How much fruit?",
            "description": "24 scenes with known numbers of apples, oranges and lemons.",
            "kind": "ranking",
            "instructions": [f"Rank the numbers of {name}s." for name in FRUIT],
            "expect": "The same pictures change their order with the instruction.",
            "source": STAMPS_SOURCE,
            "licence": GPL,
        },
    ),
    "conditions": SampleSet(
        conditions,
        {
            "title": "Bright and sharp?",
            "description": "24 scenes, each darkened and blurred to a known degree.",
            "kind": "ranking",
            "instructions": ["Rank the brightness.", "Rank the sharpness."],
            "expect": "Brightness and sharpness are unrelated here, so the two instructions give "
            "two orders.",
            "source": STAMPS_SOURCE,
            "licence": GPL,
        },
    ),
    "scenes": SampleSet(
        scenes,
        {
            "title": "Several things at once",
            "description": "Twelve scenes with two to four different objects whose places are "
            "known.",
            "kind": "scenes",
            "expect": "Ask for one of the things: a map that can be believed marks that thing and "
            "leaves the others alone.",
            "source": STAMPS_SOURCE,
            "licence": GPL,
        },
    ),
}


def label_rows(name: str, made: Sequence[Made]) -> list[dict[str, str]]:
    """The rows of labels.csv: one for each picture and category."""
    rows: list[dict[str, str]] = []
    for picture in made:
        if name == "counting":
            values = {f"{kind}s": float(count) for kind, count in json.loads(picture.label).items()}
            prompts = {category: f"Rank the numbers of {category}." for category in values}
        else:
            brightness, sharpness = json.loads(picture.label)
            values = {"brightness": round(brightness, 3), "sharpness": round(sharpness, 2)}
            prompts = {category: f"Rank the {category}." for category in values}
        rows += [
            {
                "image": picture.path,
                "value": f"{value:g}",
                "prompt": prompts[category],
                "split": "test",
                "category": category,
            }
            for category, value in values.items()
        ]
    return rows


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def build(name: str, pictures: Pictures, root: Path = ASSETS) -> int:
    """Write one set anew and return the bytes of its pictures."""
    sample, folder = SETS[name], root / name
    if folder.exists():
        shutil.rmtree(folder)
    made = list(sample.make(pictures))
    size = 0
    for picture in made:
        path = folder / picture.path
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.image.save(path, "JPEG", quality=JPEG_QUALITY, optimize=True)
        size += path.stat().st_size
    about = json.dumps(dict(sample.about), indent=2, ensure_ascii=False) + "\n"
    (folder / "set.json").write_text(about, encoding="utf-8")
    kind = sample.about["kind"]
    if kind == "classes":
        names = dict.fromkeys((Path(p.path).parent.name, p.label) for p in made)
        write_csv(
            folder / "classes.csv",
            ("folder", "name"),
            ({"folder": f, "name": label} for f, label in names),
        )
    elif kind == "ranking":
        write_csv(
            folder / "labels.csv",
            ("image", "value", "prompt", "split", "category"),
            label_rows(name, made),
        )
    else:
        objects = {Path(p.path).name: json.loads(p.label) for p in made}
        text = json.dumps(objects, indent=1, ensure_ascii=False) + "\n"
        (folder / "objects.json").write_text(text, encoding="utf-8")
    rows = [
        {
            "picture": p.path,
            "label": p.label if kind == "classes" else "",
            "source": source,
            "cutout": key,
        }
        for p in made
        for source, key in p.parts
    ]
    if rows:
        write_csv(folder / "cutouts.csv", ("picture", "label", "source", "cutout"), rows)
    return size


def write_licences(root: Path = ASSETS) -> None:
    """The full texts beside the sets, from where Debian keeps them."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("GPL-2", "CC0-1.0"):
        shutil.copyfile(LICENCES / name, root / f"LICENSE.{name}.txt")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m coop_demo.recipes.samples",
        description="Build the sample sets in assets/samples/.",
    )
    parser.add_argument(
        "sets", nargs="*", metavar="SET", help=f"which ones (default: all): {', '.join(SETS)}"
    )
    parser.add_argument("--out", type=Path, default=ASSETS, help="the folder to write to")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.sets if name not in SETS]
    if unknown:
        parser.error(f'there is no set "{unknown[0]}"; choose from {", ".join(SETS)}')
    pictures = Pictures.load()
    write_licences(options.out)
    total = 0
    for name in options.sets or SETS:
        size = build(name, pictures, options.out)
        total += size
        print(f"{name:16s} {size / 1e6:5.2f} MB", file=sys.stderr)
    print(f"{'together':16s} {total / 1e6:5.2f} MB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
