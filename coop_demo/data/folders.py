"""Data sets read from folders, zip archives and lists of images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from coop_demo.data.archives import read_archive
from coop_demo.data.csv_tables import read_table
from coop_demo.data.dataset import (
    Dataset,
    LabelledPicture,
    Picture,
    check_class_names,
    check_pictures,
    class_key,
    clean_class_name,
    first_notes,
    image_order,
)
from coop_demo.data.images import is_picture_name
from coop_demo.errors import DatasetError
from coop_demo.wording import counted

CLASSES_FILE = "classes.csv"


# The folder names people use for the three parts of a set.
_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "eval": "test",
    "evaluation": "test",
    "holdout": "test",
    "test": "test",
    "testing": "test",
}
# Words that stand beside them and mean nothing here: training_set, train_data, seg_train.
_BESIDE_PARTS = frozenset(("data", "dataset", "folder", "images", "seg", "set", "split"))
_IMAGE_FOLDERS = frozenset(("images", "imgs", "img", "pictures", "photos"))  # train/images/<class>


_MAX_DEPTH = 6  # folders below a set's own; ends the walk through a link that leads back up


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
    return _arranged(files, folders, name=name, label=label, check=check)


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
    contents = read_archive(path, wanted=_is_set_file, into=into, zips_inside=True)
    return _arranged(
        list(contents.files),
        list(contents.folders),
        contents.problems,
        contents.notes,
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
                    f"Class {number} has {counted(len(pictures), 'picture')} but no name. "
                    "Give it a name or remove its pictures."
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
            label = labels.setdefault(class_key(clean), len(names))
            if label == len(names):
                names.append(clean)
            into.extend(
                LabelledPicture(_as_picture(given, f"{clean} {position}"), label)
                for position, given in enumerate(pictures, start=1)
            )
    dataset = Dataset(tuple(names), tuple(items), tuple(test_items), name=name, notes=tuple(notes))
    return check_pictures(dataset)


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
    problems: tuple[str, ...] = (),
    given_notes: tuple[str, ...] = (),
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

    given = {parts: "/".join(parts) for parts, _ in pictures}  # named as the person knows them
    inside = _split_inside_classes([parts[:-1] for parts, _ in pictures])
    named = [
        (given[parts], (*_canonical(parts[:-1], inside), parts[-1]), source)
        for parts, source in pictures
    ]
    folders = [_canonical(parts, inside) for parts in folders]
    has_parts = any(len(parts) >= 3 and _part_of(parts[0]) for _, parts, _ in named)
    notes = list(given_notes)
    if inside:
        notes.append("Every class folder holds its own training and test folder; taken as that.")
    members: list[tuple[str, str, Picture]] = []  # (part of the set, class folder, picture)
    outside: list[str] = []
    for shown, parts, source in named:
        if has_parts and len(parts) == 3 and (part := _part_of(parts[0])):
            members.append((part, parts[1], Picture(shown, source)))
        elif not has_parts and len(parts) == 2:
            members.append(("train", parts[0], Picture(shown, source)))
        else:
            outside.append(shown)
    if not members:
        raise DatasetError(
            f"{label} holds {counted(len(outside), 'picture')} but no folder for each class. Put "
            f"the pictures of each class into a folder named after it."
        )
    if outside:
        notes.append(
            f"{counted(len(outside), 'picture')} outside the class folders left out, the first is "
            f'"{outside[0]}".'
        )

    used = {folder for _, folder, _ in members}
    class_level = 2 if has_parts else 1
    empty = {
        parts[-1]
        for parts in folders
        if len(parts) == class_level
        and (not has_parts or _part_of(parts[0]))
        and parts[-1] not in used
    }
    notes.extend(
        f'Class folder "{folder}" has no pictures and was left out.' for folder in sorted(empty)
    )
    names, named_notes = _class_names(used, empty, table, label)
    notes.extend(named_notes)
    if not has_parts and table is None:
        notes.extend(_refuse_parts_as_classes(used, label))
    label_of = {folder: index for index, folder in enumerate(names)}
    by_part: dict[str, list[LabelledPicture]] = {"train": [], "val": [], "test": []}
    for part, folder, picture in members:
        by_part[part].append(LabelledPicture(picture, label_of[folder]))
    if by_part["val"] and not by_part["test"]:
        by_part["test"], by_part["val"] = by_part["val"], []
        notes.append("There are no test pictures; the validation pictures take their place.")
    for items in by_part.values():
        items.sort(key=lambda item: (item.label, *image_order(item)))

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
        dataset = replace(dataset, notes=(*dataset.notes, *first_notes(uneven)))
    if not check:
        return dataset
    checked = check_pictures(dataset)
    if not (checked.train or checked.test):
        raise DatasetError(
            f"None of the {counted(len(members), 'picture')} in {label} can be read. The first: "
            f"{checked.problems[0]}"
        )
    return checked


def _refuse_parts_as_classes(folders: set[str], label: str) -> list[str]:
    """DatasetError where the folders of images are parts of a set, not classes; else notes.

    A single such name among others may be a class ("train" beside "bus"): that is said.
    """
    parts = sorted(folder for folder in folders if _part_of(folder))
    different = {_part_of(folder) for folder in parts}
    if parts and (len(different) > 1 or len(parts) == len(folders)):
        shown = " and ".join(f'"{folder}"' for folder in parts)
        raise DatasetError(
            f"{label} has pictures directly in {shown}: these are parts of a set, not classes. "
            f'Put the pictures of each class into a folder of its own, such as "{parts[0]}/apple". '
            f"If they are classes all the same, say so in {CLASSES_FILE} (folder,name)."
        )
    return [f'The folder "{folder}" is taken as a class of that name.' for folder in parts]


def _part_of(folder: str) -> str:
    """The part of a set that a folder's name means: train, val or test; "" where it is none."""
    words = folder.lower().replace("_", " ").replace("-", " ").split()
    words = [word for word in words if word not in _BESIDE_PARTS]
    return _SPLIT_FOLDERS.get(words[0], "") if len(words) == 1 else ""


def _split_inside_classes(folders: Sequence[_Parts]) -> bool:
    """Whether images lie in `<class>/train` and `<class>/test`, all of them."""
    return bool(folders) and all(
        len(parts) == 2 and _part_of(parts[1]) and not _part_of(parts[0]) for parts in folders
    )


def _canonical(folders: _Parts, inside: bool) -> _Parts:
    """The folders of an image as part and class, whichever way round and however wrapped.

    `train/train/<class>`, `train/images/<class>` and, where the split is inside the classes,
    `<class>/train` all become `train/<class>`.
    """
    if inside and len(folders) == 2:
        return folders[1], folders[0]
    if len(folders) >= 3 and (part := _part_of(folders[0])):
        again = _part_of(folders[1]) == part
        if again or folders[1].lower() in _IMAGE_FOLDERS:
            return folders[0], *folders[2:]
    return folders


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
        if _part_of(top):
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
    notes = first_notes(
        [
            f'{CLASSES_FILE} names the folder "{folder}", which is not there.'
            for folder in given
            if folder not in used | empty
        ]
    )
    names = {folder: clean_class_name(name) for folder, name in given.items() if folder in used}
    unnamed = sorted(used - set(given))
    if given:
        notes += first_notes(
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


def _rows(classes: _GivenClasses) -> list[tuple[str, Sequence[_GivenPicture]]]:
    return list(classes.items() if isinstance(classes, Mapping) else classes)


def _as_picture(given: _GivenPicture, fallback: str) -> Picture:
    if isinstance(given, Picture):
        return given
    if isinstance(given, (str, Path)):
        return Picture(Path(given).name, Path(given))
    return Picture(fallback, given)  # pasted, or from the webcam: it has no name of its own
