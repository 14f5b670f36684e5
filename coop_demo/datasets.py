"""Folder, zip or rows of the page -> classes, splits and shots.

A picture is held as its path (or its bytes) and decoded when it is needed, so a set of thousands
costs little memory. A picture that cannot be read costs itself, never its set: it is left out and
one sentence in `problems` says so. What is worth knowing but cost nothing is in `notes`.

    dataset, n_held_out = split_held_out(read_zip("birds.zip"), seed=1)
    check_trainable(dataset)
    shots = few_shot(dataset, shots=16, seed=1)
"""

from __future__ import annotations

import random
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from .archives import read_archive
from .errors import DatasetError, PictureError
from .images import content_hash, is_picture_name, load_picture
from .settings import LIMITS
from .tables import read_table

HELD_OUT_FRACTION = 0.25  # of each class, when nobody gave test pictures: most are kept to learn
CLASSES_FILE = "classes.csv"

# The folder names people use for the three parts of a set.
_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_MAX_DEPTH = 6  # folders below a set's own; ends the walk through a link that leads back up
_NAMED_AT_MOST = 5  # notes of one kind; the rest is counted


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a set, decoded on demand.

    `content` is `content_hash` of the decoded picture once someone has checked it, else None.
    """

    name: str  # what the person calls it: a path inside the set, or a file name
    source: Path | bytes | Image.Image = field(repr=False)
    content: str | None = field(default=None, repr=False)

    def load(self) -> Image.Image:
        """Decode to a safe RGB image; raises PictureError. Nothing is kept."""
        return load_picture(self.source, name=self.name)

    def checked(self) -> Picture:
        """Return this picture with its content hash, decoding it once; raises PictureError."""
        if self.content is not None:
            return self
        return replace(self, content=content_hash(self.load()))


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

    @property
    def train_counts(self) -> tuple[int, ...]:
        """Number of training pictures of each class, in the order of `class_names`."""
        return _counts(self.train, len(self.class_names))

    @property
    def test_counts(self) -> tuple[int, ...]:
        """Number of test pictures of each class, in the order of `class_names`."""
        return _counts(self.test, len(self.class_names))


# --- readers -----------------------------------------------------------------------------------


def read_folder(folder: str | Path, *, check: bool = True) -> Dataset:
    """Read `DIR/train/<class>/*`, `DIR/test/<class>/*` and maybe `DIR/val/<class>/*`, or a plain
    folder with a folder for each class (then everything is training material).

    An optional `classes.csv` (columns `folder,name`) names the classes and orders them; without it
    they are sorted by folder. One folder around all of this is looked through. Without a test
    folder, the val pictures are the test pictures.

    Args:
        folder: DIR.
        check: decode every picture now, so that `problems` is complete and duplicates are noted.
            False leaves that to `few_shot` and `check_pictures`: for sets of many thousands.

    Raises:
        DatasetError: no such folder, no pictures, a class name that is missing, double or too
            long, a `classes.csv` that cannot be read.
    """
    folder = Path(folder)
    label = f'"{folder}"'
    if not folder.is_dir():
        raise DatasetError(f"{label} is not a folder. Check the path.")
    try:
        found = list(_walk(folder, ()))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(f"{label} cannot be read ({reason}). Check its permissions.") from error
    files = [(parts, path) for parts, path, is_folder in found if not is_folder]
    folders = [parts for parts, _, is_folder in found if is_folder]
    name = folder.name or folder.resolve().name
    return _arranged(files, folders, (), name=name, label=label, check=check)


def read_zip(path: str | Path, *, check: bool = True, into: Path | None = None) -> Dataset:
    """Read a zip that holds what `read_folder` reads.

    Args:
        path: the zip file.
        check: as in `read_folder`.
        into: an existing folder that takes the pictures under numbers for names, and that the
            caller removes; None keeps their bytes in memory.

    Raises:
        DatasetError: as `read_folder`, and whatever makes the zip unsafe or unreadable
            (see `archives.read_archive`).
    """
    path = Path(path)
    contents = read_archive(path, wanted=_is_set_file, into=into)
    return _arranged(
        list(contents.files),
        list(contents.folders),
        contents.problems,
        name=path.stem,
        label=f'"{path.name}"',
        check=check,
    )


_GivenPicture = Picture | Path | str | bytes | Image.Image
_GivenClasses = (
    Mapping[str, Sequence[_GivenPicture]] | Sequence[tuple[str, Sequence[_GivenPicture]]]
)


def from_classes(
    train: _GivenClasses, test: _GivenClasses = (), *, name: str = "your pictures"
) -> Dataset:
    """Build a set from the rows of the page: class name -> pictures, in the person's order.

    Every picture is decoded once; a `Picture` that was checked before is not decoded again. A row
    with neither name nor pictures is passed over, a named one without pictures is left out with a
    note. Test rows are matched to training rows by name.

    Raises:
        DatasetError: pictures without a class name, or a name that is double or too long.
    """
    rows, test_rows = _rows(train), _rows(test)
    for part in (rows, test_rows):
        for number, (raw_name, pictures) in enumerate(part, start=1):
            if pictures and not clean_class_name(raw_name):
                raise DatasetError(
                    f"Class {number} has {_count(len(pictures), 'picture')} but no name. Give it a "
                    f"name or remove its pictures."
                )
    notes = []
    names: list[str] = []
    items: list[LabelledPicture] = []
    test_items: list[LabelledPicture] = []
    # Names are checked before empty rows go: the person sees two rows of one name either way.
    for part in (rows, test_rows):
        check_class_names([clean for raw, _ in part if (clean := clean_class_name(raw))])
    labels: dict[str, int] = {}
    for part, into in ((rows, items), (test_rows, test_items)):
        for raw_name, pictures in part:
            clean = clean_class_name(raw_name)
            if not clean:
                continue
            if not pictures:
                if part is rows:
                    notes.append(f'Class "{clean}" has no pictures and is left out.')
                continue
            label = labels.setdefault(_same_name(clean), len(names))
            if label == len(names):
                names.append(clean)
            into.extend(
                LabelledPicture(_as_picture(given, f"{clean} {position}"), label)
                for position, given in enumerate(pictures, start=1)
            )
    dataset = Dataset(tuple(names), tuple(items), tuple(test_items), name=name, notes=tuple(notes))
    return check_pictures(dataset)


# --- class names -------------------------------------------------------------------------------


def clean_class_name(name: str) -> str:
    """Bring a class name into the form prompts use: `_` as a space, no spaces around or doubled."""
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split())


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
        first = seen.setdefault(_same_name(clean), number)
        if first != number:
            raise DatasetError(
                f'Two classes are called "{clean}" (class {first} and class {number}). Rename one '
                f"of them or put their pictures together."
            )


def _same_name(clean: str) -> str:
    return clean.casefold()


# --- rules and choices -------------------------------------------------------------------------


def check_trainable(dataset: Dataset) -> None:
    """Raise DatasetError unless a prompt can be trained: two classes, each with enough pictures.

    A class needs two pictures, one to learn from and one to be measured on, and at least one of
    them in the training part.
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
        if n_train + n_held < 2:
            raise DatasetError(
                f'Class "{name}" has {_count(n_train + n_held, "picture")}; 2 or more are needed '
                f"to train. Add pictures or remove the class."
            )
        if n_train == 0:
            raise DatasetError(
                f'Class "{name}" has {_count(n_held, "test picture")} but none to train on. Add '
                f"training pictures or remove the class."
            )


def check_pictures(dataset: Dataset) -> Dataset:
    """Decode each picture that nobody checked yet; leave out what cannot be read and say so.

    The result's pictures have their content hash, and its notes name pictures that lie in two
    classes, or in both the training and the test part. Checking twice costs nothing.
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
    new_notes = [note for note in _duplicate_notes(checked) if note not in dataset.notes]
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
        contents = list(dict.fromkeys(_content(item) for item in sorted(own, key=_order)))
        candidates = [content for content in contents if len(classes_of[content]) == 1]
        n_held = min(max(1, round(fraction * len(contents))), len(contents) - 1, len(candidates))
        if n_held < 1:
            reason = (
                "all are the same picture"
                if len(contents) == 1
                else "all of them are in another class too"
            )
            raise DatasetError(
                f'Class "{name}" has {_count(len(own), "picture")}, but {reason}, so none can be '
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
        drawn = sorted(by_class[label], key=_order)
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
                f'Class "{name}" has {_count(len(kept), "training picture")}, fewer than the '
                f"{shots} shots asked for: all are used."
            )
        train.extend(sorted(kept, key=_order))
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


# --- how a set lies in its folder or zip -------------------------------------------------------

_Parts = tuple[str, ...]


def _is_set_file(name: str) -> bool:
    return is_picture_name(name) or name.lower() == CLASSES_FILE


def _walk(folder: Path, parts: _Parts) -> Iterator[tuple[_Parts, Path, bool]]:
    """Yield (path parts, path, whether a folder) of what may belong to a set, sorted by name."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        if path.is_dir():
            yield (*parts, path.name), path, True
            if len(parts) < _MAX_DEPTH:
                yield from _walk(path, (*parts, path.name))
        elif _is_set_file(path.name):
            yield (*parts, path.name), path, False


def _arranged(
    files: list[tuple[_Parts, Path | bytes]] | list[tuple[_Parts, Path]],
    folders: list[_Parts],
    problems: tuple[str, ...],
    *,
    name: str,
    label: str,
    check: bool,
) -> Dataset:
    """Find the classes and parts of a set from the paths of its files."""
    tables = {parts: source for parts, source in files if parts[-1].lower() == CLASSES_FILE}
    pictures = [(parts, source) for parts, source in files if parts not in tables]
    if not pictures:
        lost = f" {problems[0]}" if problems else ""
        raise DatasetError(
            f"{label} holds no pictures.{lost} Put the pictures of each class into a folder named "
            f"after it."
        )
    around = _wrapper([parts for parts, _ in pictures])
    n_around = len(around)
    pictures = [
        (parts[n_around:] if parts[:n_around] == around else parts[-1:], source)
        for parts, source in pictures
    ]
    folders = [parts[n_around:] for parts in folders if parts[:n_around] == around]
    table = next((source for parts, source in tables.items() if parts[:-1] == around), None)

    has_parts = any(len(parts) >= 3 and parts[0].lower() in _SPLIT_FOLDERS for parts, _ in pictures)
    notes: list[str] = []
    members: list[tuple[str, str, Picture]] = []  # (part of the set, class folder, picture)
    outside: list[str] = []
    for parts, source in pictures:
        shown = "/".join(parts)
        if has_parts and len(parts) == 3 and parts[0].lower() in _SPLIT_FOLDERS:
            members.append((_SPLIT_FOLDERS[parts[0].lower()], parts[1], Picture(shown, source)))
        elif not has_parts and len(parts) == 2:
            members.append(("train", parts[0], Picture(shown, source)))
        else:
            outside.append(shown)
    if not members:
        raise DatasetError(
            f"{label} holds {_count(len(outside), 'picture')} but no folder for each class. Put "
            f"the pictures of each class into a folder named after it."
        )
    if outside:
        notes.append(
            f"{_count(len(outside), 'picture')} outside the class folders left out, the first is "
            f'"{outside[0]}".'
        )

    used = {folder for _, folder, _ in members}
    class_level = 2 if has_parts else 1
    empty = {
        parts[-1]
        for parts in folders
        if len(parts) == class_level
        and (not has_parts or parts[0].lower() in _SPLIT_FOLDERS)
        and parts[-1] not in used
    }
    notes.extend(
        f'Class folder "{folder}" has no pictures and was left out.' for folder in sorted(empty)
    )
    names, named_notes = _class_names(used, empty, table, label)
    notes.extend(named_notes)
    label_of = {folder: index for index, folder in enumerate(names)}
    by_part: dict[str, list[LabelledPicture]] = {"train": [], "val": [], "test": []}
    for part, folder, picture in members:
        by_part[part].append(LabelledPicture(picture, label_of[folder]))
    if by_part["val"] and not by_part["test"]:
        by_part["test"], by_part["val"] = by_part["val"], []
        notes.append("There are no test pictures; the validation pictures take their place.")
    for items in by_part.values():
        items.sort(key=lambda item: (item.label, *_order(item)))

    dataset = Dataset(
        class_names=tuple(names.values()),
        train=tuple(by_part["train"]),
        test=tuple(by_part["test"]),
        val=tuple(by_part["val"]),
        name=name,
        problems=problems,
        notes=tuple(notes),
    )
    if dataset.train and dataset.test:
        uneven = [
            f'Class "{class_name}" has no {what} pictures.'
            for what, counts in (("training", dataset.train_counts), ("test", dataset.test_counts))
            for class_name, count in zip(dataset.class_names, counts, strict=True)
            if count == 0
        ]
        dataset = replace(dataset, notes=(*dataset.notes, *_some(uneven)))
    if not check:
        return dataset
    checked = check_pictures(dataset)
    if not (checked.train or checked.test):
        raise DatasetError(
            f"None of the {_count(len(members), 'picture')} in {label} can be read. The first: "
            f"{checked.problems[0]}"
        )
    return checked


def _wrapper(paths: list[_Parts]) -> _Parts:
    """Find the folders around a whole set, which a zip made of one folder has, to look through.

    Such a folder is the only one at its level, holds folders of pictures, and is not itself a
    part of the set.
    """
    around: _Parts = ()
    while True:
        n_around = len(around)
        inside = [parts for parts in paths if len(parts) >= n_around + 2]
        tops = {parts[n_around] for parts in inside}
        if len(tops) != 1 or not any(len(parts) >= n_around + 3 for parts in inside):
            return around
        (top,) = tops
        if top.lower() in _SPLIT_FOLDERS:
            return around
        around = (*around, top)


def _class_names(
    used: set[str], empty: set[str], table: Path | bytes | None, label: str
) -> tuple[dict[str, str], list[str]]:
    """Name the class folders in use, in the order of classes.csv, else sorted; with notes."""
    given: dict[str, str] = {}
    table_label = f"{CLASSES_FILE} of {label}"
    if table is not None:
        _, rows, _ = read_table(table, label=table_label, required=("folder", "name"))
        for row in rows:
            folder, name = row.cells["folder"], row.cells["name"]
            if not folder or not clean_class_name(name):
                lacking = "name" if folder else "folder"
                raise DatasetError(
                    f"{table_label}, line {row.line}: the {lacking} is missing. Write it there or "
                    f"remove the line."
                )
            if folder in given:
                raise DatasetError(
                    f'{table_label}, line {row.line}: the folder "{folder}" is named twice. '
                    f"Remove one of the lines."
                )
            given[folder] = name
    notes = _some(
        [
            f'{CLASSES_FILE} names the folder "{folder}", which is not there.'
            for folder in given
            if folder not in used | empty
        ]
    )
    names = {folder: clean_class_name(name) for folder, name in given.items() if folder in used}
    unnamed = sorted(used - set(given))
    if given:
        notes += _some(
            [
                f'{CLASSES_FILE} does not name the folder "{folder}"; it is called after itself.'
                for folder in unnamed
            ]
        )
    names.update((folder, clean_class_name(folder)) for folder in unnamed)
    for folder, name in names.items():
        if not name:
            raise DatasetError(
                f'The class folder "{folder}" of {label} gives no class name. Rename it or name it '
                f"in {CLASSES_FILE}."
            )
    check_class_names(list(names.values()))
    return names, notes


# --- small helpers -----------------------------------------------------------------------------


def _rows(classes: _GivenClasses) -> list[tuple[str, Sequence[_GivenPicture]]]:
    return list(classes.items() if isinstance(classes, Mapping) else classes)


def _as_picture(given: _GivenPicture, fallback: str) -> Picture:
    if isinstance(given, Picture):
        return given
    if isinstance(given, (str, Path)):
        return Picture(Path(given).name, Path(given))
    return Picture(fallback, given)  # pasted, or from the webcam: it has no name of its own


def _counts(items: Iterable[LabelledPicture], n_classes: int) -> tuple[int, ...]:
    counts = Counter(item.label for item in items)
    return tuple(counts[label] for label in range(n_classes))


def _content(item: LabelledPicture) -> str:
    assert item.picture.content is not None, "check_pictures comes first"
    return item.picture.content


def _order(item: LabelledPicture) -> tuple[str, str]:
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
    notes = _some(list(twice.values()))
    trained = {_content(item) for item in dataset.train}
    seen_before = sum(_content(item) in trained for item in dataset.test)
    if seen_before:
        notes.append(
            f"{_count(seen_before, 'test picture')} also in the training part: accuracy on test "
            f"pictures will look better than it is."
        )
    return notes


def _some(notes: list[str]) -> list[str]:
    """Keep the first few notes of one kind and count the rest."""
    if len(notes) <= _NAMED_AT_MOST:
        return notes
    return [*notes[:_NAMED_AT_MOST], f"And {len(notes) - _NAMED_AT_MOST} more of this kind."]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
