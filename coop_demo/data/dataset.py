"""A data set: its classes, its splits, its held-out part and its shots.

An image is held as its path (or its bytes) and decoded when it is needed, so a set of thousands
costs little memory. An image that cannot be read costs itself, never its set: it is left out and
one sentence in `problems` says so. What is worth knowing but cost nothing is in `notes`.

    dataset, n_held_out = split_held_out(read_zip("birds.zip"), seed=1)
    check_trainable(dataset)
    shots = few_shot(dataset, shots=16, seed=1)
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from coop_demo.data.images import content_hash, load_picture
from coop_demo.errors import DatasetError, PictureError
from coop_demo.letters import printable, shown
from coop_demo.settings import LIMITS
from coop_demo.wording import counted

HELD_OUT_FRACTION = 0.25  # of each class, when nobody gave test pictures: most are kept to learn


_NAMED_AT_MOST = 5  # notes of one kind; the rest is counted


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a set, decoded on demand.

    `content` is `content_hash` of the decoded picture once someone has checked it, else None.
    """

    name: str  # what the person calls it: a path inside the set, or a file name
    source: Path | bytes | Image.Image = field(repr=False)
    content: str | None = field(default=None, repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)  # what decoding guessed or mended

    def __post_init__(self) -> None:
        if not self.name.isprintable():
            object.__setattr__(self, "name", printable(self.name))

    def load(self, notes: list[str] | None = None) -> Image.Image:
        """Decode to a safe RGB image; raises PictureError. Nothing is kept.

        Args:
            notes: takes a sentence for each thing that was guessed or mended.
        """
        return load_picture(self.source, name=self.name, notes=notes)

    def checked(self) -> Picture:
        """Return this picture with its content hash and notes, decoding it once.

        Raises PictureError.
        """
        if self.content is not None:
            return self
        notes: list[str] = []
        image = load_picture(self.source, name=self.name, notes=notes)
        return replace(self, content=content_hash(image), notes=tuple(notes))


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and the index of its class in `Dataset.class_names`."""

    picture: Picture
    label: int


@dataclass(frozen=True)
class Dataset:
    """Pictures of named classes in up to three parts; `label` counts in `class_names`."""

    class_names: tuple[str, ...]
    train: tuple[LabelledPicture, ...]
    test: tuple[LabelledPicture, ...] = ()
    val: tuple[LabelledPicture, ...] = ()
    name: str = ""
    problems: tuple[str, ...] = ()  # a sentence for each picture that was left out
    notes: tuple[str, ...] = ()  # what is worth knowing and cost nothing

    def __post_init__(self) -> None:
        for item in (*self.train, *self.val, *self.test):
            if not 0 <= item.label < len(self.class_names):
                raise ValueError(f"label {item.label} of {len(self.class_names)} classes")
        for told in ("problems", "notes"):  # they repeat what files are called
            object.__setattr__(self, told, tuple(map(shown, getattr(self, told))))
        object.__setattr__(self, "name", printable(self.name))

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Number of training pictures of each class, in the order of `class_names`."""
        return _counts(self.train, len(self.class_names))

    @property
    def test_counts(self) -> tuple[int, ...]:
        """Number of test pictures of each class, in the order of `class_names`."""
        return _counts(self.test, len(self.class_names))


def short_content(content: str) -> str:
    """The first 8 bytes of a content hash, as saved files name the images they learned from."""
    return content[:16]


def clean_class_name(name: str) -> str:
    """Bring a class name into the form prompts use: `_` as a space, no spaces around or doubled,
    nothing that cannot be seen."""
    return " ".join(printable(unicodedata.normalize("NFC", name)).replace("_", " ").split())


def check_class_names(names: Sequence[str]) -> None:
    """Raise DatasetError unless every name is there, differs from the others and is short enough.

    Names that differ only in case, `_` for a space or spaces are the same name.
    """
    seen: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        clean = clean_class_name(name)
        if not clean:
            raise DatasetError(f"Class {number} has no name. Give it a name or remove it.")
        if len(clean) > LIMITS.max_class_name:
            raise DatasetError(
                f'The class name "{clean[:40]}…" has {len(clean)} characters; at most '
                f"{LIMITS.max_class_name} are taken. Shorten it."
            )
        first = seen.setdefault(class_key(clean), number)
        if first != number:
            raise DatasetError(
                f'Two classes are called "{clean}" (class {first} and class {number}). Rename one '
                f"of them or put their pictures together."
            )


def check_trainable(dataset: Dataset, *, drawn: bool = False) -> None:
    """Raise DatasetError unless a prompt can be trained: two classes, each with enough pictures.

    A class needs two pictures, one to learn from and one to be measured on, and at least one of
    them in the training part. Once the shots are `drawn`, one to learn from is enough.
    """
    n_classes = len(dataset.class_names)
    if n_classes == 0:
        raise DatasetError("There are no pictures. Add at least two classes with pictures.")
    if n_classes == 1:
        raise DatasetError(
            f'"{dataset.class_names[0]}" is the only class; 2 or more are needed to train. Add '
            f"another class with pictures."
        )
    held_out = _counts((*dataset.test, *dataset.val), n_classes)
    for name, n_train, n_held in zip(
        dataset.class_names, dataset.train_counts, held_out, strict=True
    ):
        if n_train + n_held < 2 and not (drawn and n_train):
            raise DatasetError(
                f'Class "{name}" has {counted(n_train + n_held, "picture")}; 2 or more are needed '
                f"to train. Add pictures or remove the class."
            )
        if n_train == 0:
            raise DatasetError(
                f'Class "{name}" has {counted(n_held, "test picture")} but none to train on. Add '
                f"training pictures or remove the class."
            )


def check_pictures(dataset: Dataset) -> Dataset:
    """Decode each picture that nobody checked yet; leave out what cannot be read and say so.

    The result's pictures have their content hash, and its notes name pictures that lie in two
    classes, or in both the training and the test part, and what was mended in a picture. Checking
    twice costs nothing.
    """
    problems = list(dataset.problems)
    parts: dict[str, tuple[LabelledPicture, ...]] = {}
    for part in ("train", "val", "test"):
        kept = []
        for item in getattr(dataset, part):
            try:
                kept.append(LabelledPicture(item.picture.checked(), item.label))
            except PictureError as error:
                problems.append(str(error))
        parts[part] = tuple(kept)
    checked = replace(dataset, **parts, problems=tuple(problems))
    notes = [*_duplicate_notes(checked), *_picture_notes(checked)]
    new_notes = [note for note in notes if note not in dataset.notes]
    return replace(checked, notes=(*dataset.notes, *new_notes))


def split_held_out(
    dataset: Dataset, *, fraction: float = HELD_OUT_FRACTION, seed: int = 0
) -> tuple[Dataset, int]:
    """Hold out a part of each class as test pictures, if the set has none.

    Each class keeps at least one picture on either side, and no content is on both sides: copies
    of one picture go together, and a picture that lies in two classes stays in training. The
    choice depends on the seed, the class's name and its pictures' names only, not on their order
    nor on the other classes.

    Returns:
        The dataset (checked) and the number of pictures held out: 0 if it has test pictures.

    Raises:
        DatasetError: a class whose pictures cannot be split (see also `check_trainable`).
        ValueError: `fraction` not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}")
    dataset = check_pictures(dataset)
    if dataset.test:
        return dataset, 0
    check_trainable(dataset)

    classes_of: dict[str, set[int]] = defaultdict(set)
    for item in dataset.train:
        classes_of[_content(item)].add(item.label)
    held: set[str] = set()
    for label, name in enumerate(dataset.class_names):
        own = [item for item in dataset.train if item.label == label]
        # One representative a content, in an order that does not depend on the folder's.
        contents = list(dict.fromkeys(_content(item) for item in sorted(own, key=image_order)))
        candidates = [content for content in contents if len(classes_of[content]) == 1]
        n_held = min(max(1, round(fraction * len(contents))), len(contents) - 1, len(candidates))
        if n_held < 1:
            reason = (
                "all are the same picture"
                if len(contents) == 1
                else "all of them are in another class too"
            )
            raise DatasetError(
                f'Class "{name}" has {counted(len(own), "picture")}, but {reason}, so none can be '
                f"held out. Add other pictures or remove the class."
            )
        _generator("held out", seed, name).shuffle(candidates)
        held.update(candidates[:n_held])
    test = tuple(item for item in dataset.train if _content(item) in held)
    train = tuple(item for item in dataset.train if _content(item) not in held)
    return replace(dataset, train=train, test=test), len(test)


def few_shot(dataset: Dataset, *, shots: int, seed: int) -> Dataset:
    """Draw `shots` training pictures a class at random without replacement, as CoOp's paper does.

    A class with fewer gives all it has, with a note. The draw depends on the seed, the class's
    name and its pictures' names only. A picture drawn that turns out unreadable is replaced by
    the next of the draw, so sets that were read unchecked stay cheap. Test and val are untouched.

    Raises:
        DatasetError: `shots` below 1.
    """
    if shots < 1:
        raise DatasetError(f"The number of shots is {shots}; 1 or more are needed.")
    train: list[LabelledPicture] = []
    problems, notes = list(dataset.problems), list(dataset.notes)
    by_class: dict[int, list[LabelledPicture]] = defaultdict(list)
    for item in dataset.train:
        by_class[item.label].append(item)
    for label, name in enumerate(dataset.class_names):
        drawn = sorted(by_class[label], key=image_order)
        _generator("few shot", seed, name).shuffle(drawn)
        kept: list[LabelledPicture] = []
        for item in drawn:
            if len(kept) == shots:
                break
            try:
                kept.append(LabelledPicture(item.picture.checked(), label))
            except PictureError as error:
                problems.append(str(error))
        if 0 < len(kept) < shots:
            notes.append(
                f'Class "{name}" has {counted(len(kept), "training picture")}, fewer than the '
                f"{shots} shots asked for: all are used."
            )
        train.extend(sorted(kept, key=image_order))
    drawn_notes = first_notes([note for item in train for note in item.picture.notes])
    notes += [note for note in drawn_notes if note not in notes]
    return replace(dataset, train=tuple(train), problems=tuple(problems), notes=tuple(notes))


def select_classes(dataset: Dataset, labels: Sequence[int]) -> Dataset:
    """Keep the classes with these labels, in this order; labels are counted anew from 0."""
    new_label = {old: new for new, old in enumerate(labels)}

    def part(items: Iterable[LabelledPicture]) -> tuple[LabelledPicture, ...]:
        return tuple(
            LabelledPicture(item.picture, new_label[item.label])
            for item in items
            if item.label in new_label
        )

    return replace(
        dataset,
        class_names=tuple(dataset.class_names[label] for label in labels),
        train=part(dataset.train),
        val=part(dataset.val),
        test=part(dataset.test),
    )


def _counts(items: Iterable[LabelledPicture], n_classes: int) -> tuple[int, ...]:
    counts = Counter(item.label for item in items)
    return tuple(counts[label] for label in range(n_classes))


def _content(item: LabelledPicture) -> str:
    assert item.picture.content is not None, "check_pictures comes first"
    return item.picture.content


def image_order(item: LabelledPicture) -> tuple[str, str]:
    # Pictures of the page may share a name; their content then decides.
    return item.picture.name, item.picture.content or ""


def _generator(purpose: str, seed: int, class_name: str) -> random.Random:
    # Seeded by text: the same on every platform, and one class's draw is independent of the rest.
    return random.Random(f"{purpose}/{seed}/{class_name}")


def _duplicate_notes(dataset: Dataset) -> list[str]:
    """Name pictures whose content lies in two classes, or in both training and test."""
    first: dict[str, LabelledPicture] = {}
    twice: dict[str, str] = {}
    for item in (*dataset.train, *dataset.val, *dataset.test):
        content = _content(item)
        other = first.setdefault(content, item)
        if other.label != item.label and content not in twice:
            names = dataset.class_names
            twice[content] = (
                f'The same picture is in class "{names[other.label]}" ("{other.picture.name}") and '
                f'in class "{names[item.label]}" ("{item.picture.name}").'
            )
    notes = first_notes(list(twice.values()))
    trained = {_content(item) for item in dataset.train}
    seen_before = sum(_content(item) in trained for item in dataset.test)
    if seen_before:
        notes.append(
            f"{counted(seen_before, 'test picture')} also in the training part: what is learned "
            f"from is left out of what is measured."
        )
    return notes


def _picture_notes(dataset: Dataset) -> list[str]:
    items = (*dataset.train, *dataset.val, *dataset.test)
    return first_notes(
        list(dict.fromkeys(note for item in items for note in item.picture.notes)),
    )


def first_notes(notes: list[str]) -> list[str]:
    """Keep the first few notes of one kind and count the rest."""
    if len(notes) <= _NAMED_AT_MOST:
        return notes
    return [*notes[:_NAMED_AT_MOST], f"And {len(notes) - _NAMED_AT_MOST} more of this kind."]


def class_key(name: str) -> str:
    return clean_class_name(name).casefold()


def class_numbers(names: Sequence[str]) -> dict[str, int]:
    return {class_key(name): number for number, name in enumerate(names)}
