"""Data sets read from folders, zip archives and lists of images."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from coop_demo.data.archives import is_litter, read_archive
from coop_demo.data.csv_tables import column_of, missing_columns, read_table
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
from coop_demo.data.label_tables import folders_are_mixed, is_table_name, read_label_tables
from coop_demo.errors import DatasetError
from coop_demo.wording import counted, listed

CLASSES_FILE = "classes.csv"


# What classes.csv may call its columns.
_FOLDER_COLUMNS = ("folder", "directory", "dir", "class_folder", "wnid", "id")
_NAME_COLUMNS = ("name", "class_name", "classname", "label_name", "readable_name")

# The folder names people use for the three parts of a set.
_SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "trainingset": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "valset": "val",
    "dev": "val",
    "development": "val",
    "eval": "test",
    "evaluation": "test",
    "holdout": "test",
    "heldout": "test",
    "unseen": "test",
    "test": "test",
    "testing": "test",
    "testset": "test",
}
# Words that stand beside them and mean nothing here: training_set, train_data, seg_train.
_BESIDE_PARTS = frozenset(
    ("data", "dataset", "folder", "images", "imgs", "labels", "pictures", "seg", "set", "split")
)
_IMAGE_FOLDERS = frozenset(("images", "imgs", "img", "pictures", "photos"))  # train/images/<class>


_COVERS = 0.9  # share of all pictures that a table must name to be believed against class folders
_MAX_DEPTH = 6  # folders below a set's own; ends the walk through a link that leads back up


def read_folder(folder: str | Path, *, check: bool = True) -> Dataset:
    """Read `DIR/train/<class>/*`, `DIR/test/<class>/*` and maybe `DIR/val/<class>/*`, or a plain
    folder with a folder for each class (then everything is training material).

    Class folders may lie in folders of their kind (`animals/cat`), and without class folders a
    table (columns such as `filename,label`) may say the class of each picture. Folders whose names
    differ in case, blanks or Unicode form only are one class.

    An optional `classes.csv` (columns `folder,name`) names the classes and orders them; without it
    they are sorted by folder. One folder around all of this is looked through. Without a test
    folder, the val pictures are the test pictures. What was guessed is in the set's notes.

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
    problems: list[str] = []
    try:
        found = list(_walk(folder, (), problems))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(f"{label} cannot be read ({reason}). Check its permissions.") from error
    files = [(parts, path) for parts, path, is_folder in found if not is_folder]
    folders = [parts for parts, _, is_folder in found if is_folder]
    name = folder.name or folder.resolve().name
    return _arranged(files, folders, tuple(problems), name=name, label=label, check=check)


def read_data(path: str | Path) -> Dataset:
    """A folder or a zip of pictures, unchecked: pictures are decoded when they are needed."""
    return read_zip(path, check=False) if Path(path).is_file() else read_folder(path, check=False)


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
    return is_picture_name(name) or is_table_name(name)


def _walk(folder: Path, parts: _Parts, problems: list[str]) -> Iterator[tuple[_Parts, Path, bool]]:
    """Yield (path parts, path, whether a folder) of what may belong to a set, sorted by name.

    A folder below the first that cannot be read costs itself, with a sentence in `problems`.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        if not parts:
            raise
        reason = error.strerror or type(error).__name__
        problems.append(f'The folder "{"/".join(parts)}" cannot be read ({reason}).')
        return
    for path in paths:
        if is_litter(path.name):
            continue
        if path.is_dir():
            yield (*parts, path.name), path, True
            if len(parts) < _MAX_DEPTH:
                yield from _walk(path, (*parts, path.name), problems)
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
    label_tables = [
        (parts, source)
        for parts, source in files
        if is_table_name(parts[-1]) and parts not in tables
    ]
    pictures = [(parts, source) for parts, source in files if not is_table_name(parts[-1])]
    whole = [parts for parts, _ in pictures]
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
    notes = list(given_notes)
    if inside:
        notes.append("Every class folder holds its own training and test folder; taken as that.")
    members, outside, has_parts = _members(named)
    by_table = _members_by_table(whole, named, label_tables, members, needed=table is None)
    is_tree = not members and by_table is None
    if is_tree:
        members, outside, tree_notes = _members_of_tree(named, label)
        notes.extend(tree_notes)
    empty: set[str] = set()
    if by_table is not None:
        members, outside, table_notes, table_problems = by_table
        notes.extend(table_notes)
        problems = (*problems, *table_problems)
    if not members:
        raise DatasetError(_no_class_folders(label, len(outside), label_tables))
    used = {folder for _, folder, _ in members}
    if by_table is None:
        notes.extend(_outside_notes(outside, named, members, has_parts))
        keys = set(map(class_key, used))
        class_level = 1 + has_parts + is_tree
        empty = {
            parts[-1]
            for parts in folders
            if len(parts) == class_level
            and (not has_parts or _part_of(parts[0]))
            and class_key(parts[-1]) not in keys
            and not any(other[: len(parts)] == parts for other, _ in pictures)
        }
        notes.extend(
            f'Class folder "{folder}" has no pictures and was left out.' for folder in sorted(empty)
        )
    names, named_notes = _class_names(members, empty, table, label)
    notes.extend(named_notes)
    if not has_parts and table is None and by_table is None:
        notes.extend(_refuse_parts_as_classes(used, label))
    class_names = list(dict.fromkeys(names.values()))
    if all(re.fullmatch(r"n\d{8}|\d{2,}", name) for name in class_names):
        notes.append(
            f"The classes are called {listed(class_names, 2)}, which a model cannot read as words: "
            f"name them in {CLASSES_FILE} (folder,name)."
        )
    number_of = {name: number for number, name in enumerate(class_names)}
    label_of = {folder: number_of[name] for folder, name in names.items()}
    by_part: dict[str, list[LabelledPicture]] = {"train": [], "val": [], "test": []}
    for part, folder, picture in members:
        by_part[part].append(LabelledPicture(picture, label_of[folder]))
    if by_part["val"] and not by_part["test"]:
        by_part["test"], by_part["val"] = by_part["val"], []
        notes.append("There are no test pictures; the validation pictures take their place.")
    for items in by_part.values():
        items.sort(key=lambda item: (item.label, *image_order(item)))

    dataset = Dataset(
        class_names=tuple(class_names),
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


_Member = tuple[str, str, Picture]  # part of the set, class folder, picture
_Named = list[tuple[str, _Parts, Path | bytes]]  # shown name, path parts, content


def _members(named: _Named) -> tuple[list[_Member], list[str], bool]:
    """Pictures in `<part>/<class>`, else in `<class>`; those elsewhere; whether there are parts."""
    has_parts = any(len(parts) >= 3 and _part_of(parts[0]) for _, parts, _ in named)
    members: list[_Member] = []
    outside: list[str] = []
    for shown, parts, source in named:
        if has_parts and len(parts) == 3 and (part := _part_of(parts[0])):
            members.append((part, parts[1], Picture(shown, source)))
        elif not has_parts and len(parts) == 2:
            members.append(("train", parts[0], Picture(shown, source)))
        else:
            outside.append(shown)
    return members, outside, has_parts


def _members_of_tree(named: _Named, label: str) -> tuple[list[_Member], list[str], list[str]]:
    """Pictures in `animals/cat` and `vehicles/car`, perhaps below a part: the lowest folder is the
    class.

    Raises:
        DatasetError: two of the lowest folders have one name.
    """
    members: list[_Member] = []
    outside: list[str] = []
    above: dict[str, set[_Parts]] = defaultdict(set)  # class -> the folders it lies in
    for shown, parts, source in named:
        part = _part_of(parts[0]) if len(parts) > 3 else ""
        folders = parts[1:-1] if part else parts[:-1]
        if len(folders) < 2:
            outside.append(shown)
            continue
        members.append((part or "train", folders[-1], Picture(shown, source)))
        above[class_key(folders[-1])].add(folders)
    for folders in above.values():
        if len(folders) > 1:
            first, second = sorted("/".join(path) for path in folders)[:2]
            raise DatasetError(
                f'{label} has folders in folders, and "{first}" and "{second}" end alike, so it '
                f"is not clear what the classes are. Put the pictures of each class into one "
                f"folder named after it."
            )
    if not members:
        return [], outside, []
    shown = next(iter(sorted("/".join(path) for paths in above.values() for path in paths)))
    return members, outside, [f'The lowest folders are taken as the classes, such as "{shown}".']


def _members_by_table(
    whole: Sequence[_Parts],
    named: _Named,
    tables: Sequence[tuple[_Parts, Path | bytes]],
    members: Sequence[_Member],
    *,
    needed: bool,
) -> tuple[list[_Member], list[str], list[str], list[str]] | None:
    """The classes as a table beside the pictures tells them, where folders do not tell them:
    members, pictures that no table names, notes and problems.

    Args:
        whole: the path of each picture of `named`, as the tables know it.
        members: what the folders tell.
        needed: False where classes.csv says that the folders are the classes.
    """
    folders = {folder for _, folder, _ in members}
    no_classes = len(folders) <= 1 or all(
        _part_of(f) or f.lower() in _IMAGE_FOLDERS for f in folders
    )
    if not tables or (members and not needed):
        return None
    found = read_label_tables(tables, whole, part_of=_part_of)
    if found is None:
        return None
    mixed = folders_are_mixed([path[:-1] for path in whole], found.items)
    covered = len(found.items) >= _COVERS * len(whole)
    if not no_classes and not (mixed and covered):
        return None
    by_table: list[_Member] = []
    for item in found.items:
        shown, parts, source = named[item.number]
        part = item.part or next((part for p in parts[:-1] if (part := _part_of(p))), "train")
        by_table.append((part, item.label, Picture(shown, source)))
    labelled = {item.number for item in found.items}
    outside = [shown for number, (shown, _, _) in enumerate(named) if number not in labelled]
    notes = [f"The classes are those that {' and '.join(found.tables)} names.", *found.notes]
    if outside:
        notes.append(
            f"{counted(len(outside), 'picture')} without a label left out, the first is "
            f'"{outside[0]}".'
        )
    return by_table, outside, notes, list(found.problems)


def _no_class_folders(
    label: str, n_pictures: int, tables: Sequence[tuple[_Parts, Path | bytes]]
) -> str:
    said = f"{label} holds {counted(n_pictures, 'picture')} but no folder for each class. "
    if not tables:
        return (
            f"{said}Put the pictures of each class into a folder named after it, or add a table "
            "with the columns filename,label."
        )
    parts, source = tables[0]
    shown = f'"{"/".join(parts)}"'
    try:
        header, _, _ = read_table(source, label=shown)
    except DatasetError as error:
        return f"{said}{error}"
    wanted = ("filename", "label")
    missing = missing_columns(shown, header, '"filename" or "label" with pictures of it', wanted)
    return said + missing


def _outside_notes(
    outside: Sequence[str], named: _Named, members: Sequence[_Member], has_parts: bool
) -> list[str]:
    """What is said of pictures outside the class folders."""
    if not outside:
        return []
    notes: list[str] = []
    left = list(outside)
    if has_parts:
        keys = {class_key(folder) for _, folder, _ in members}
        beside: dict[str, list[_Parts]] = defaultdict(list)
        shown_of: dict[str, list[str]] = defaultdict(list)
        for shown, parts, _ in named:
            if len(parts) == 3 and not _part_of(parts[0]):
                beside[parts[0]].append(parts)
                shown_of[parts[0]].append(shown)
        for top, paths in sorted(beside.items()):
            if all(class_key(path[1]) in keys for path in paths):
                notes.append(
                    f'The folder "{top}" has the same classes, but its name says no part of the '
                    f"set: its {counted(len(paths), 'picture')} left out. Call it train, val or "
                    f"test to use them."
                )
                left = [shown for shown in left if shown not in shown_of[top]]
    if left:
        notes.append(
            f"{counted(len(left), 'picture')} outside the class folders left out, the first is "
            f'"{left[0]}".'
        )
    return notes


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
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder)  # TrainingSet
    words = re.sub(r"[_\-.]", " ", apart).lower().split()
    words = [re.sub(r"(19|20)\d\d$", "", word) for word in words]  # val2017
    words = [word for word in words if word and word not in _BESIDE_PARTS]
    return _SPLIT_FOLDERS.get("".join(words), "") if words else ""


def _split_inside_classes(folders: Sequence[_Parts]) -> bool:
    """Whether images lie in `<class>/train` and `<class>/test`, all of them."""
    return bool(folders) and all(
        len(parts) == 2 and _part_of(parts[1]) and not _part_of(parts[0]) for parts in folders
    )


def _canonical(folders: _Parts, inside: bool) -> _Parts:
    """The folders of an image as part and class, whichever way round and however wrapped.

    `train/train/<class>`, `train/images/<class>`, `train/<class>/images` and, where the split is
    inside the classes, `<class>/train` all become `train/<class>`.
    """
    if inside and len(folders) == 2:
        return folders[1], folders[0]
    if len(folders) >= 2 and folders[-1].lower() in _IMAGE_FOLDERS and not _part_of(folders[-2]):
        folders = folders[:-1]
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
    members: Sequence[_Member], empty: set[str], table: Path | bytes | None, label: str
) -> tuple[dict[str, str], list[str]]:
    """Name the class folders in use, in the order of classes.csv, else sorted; with notes.

    Folders of different parts whose names mean the same are one class and get one name.

    Raises:
        DatasetError: two such folders in one part, a name that is missing or too long, a wrong
            classes.csv.
    """
    used = {folder for _, folder, _ in members}
    given, notes = _given_names(used | empty, table, label)
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
    alike: dict[str, list[str]] = defaultdict(list)
    for folder, name in names.items():
        alike[class_key(name)].append(folder)
    parts_of: dict[str, set[str]] = defaultdict(set)
    for part, folder, _ in members:
        parts_of[folder].add(part)
    for same in alike.values():
        for second in range(1, len(same)):
            for first in range(second):
                if parts_of[same[first]] & parts_of[same[second]]:
                    raise DatasetError(_double_class(same[first], same[second], names, label))
        # the training part's way of writing it is the one that was meant
        same.sort(key=lambda folder: "train" not in parts_of[folder])
        name = names[same[0]]
        if any(names[folder] != name for folder in same):
            shown = " and ".join(f'"{folder}"' for folder in same)
            notes.append(f'The folders {shown} are taken as one class, "{name}".')
        names.update(dict.fromkeys(same, name))
    check_class_names(list(dict.fromkeys(names.values())))
    return names, notes


def _given_names(
    folders: set[str], table: Path | bytes | None, label: str
) -> tuple[dict[str, str], list[str]]:
    """The names that classes.csv gives to folders, in its order; with notes."""
    if table is None:
        return {}, []
    table_label = f"{CLASSES_FILE} of {label}"
    header, rows, _ = read_table(table, label=table_label)
    folder_column, name_column = (
        column_of(header, names) for names in (_FOLDER_COLUMNS, _NAME_COLUMNS)
    )
    if folder_column is None or name_column is None:
        pairs = (("folder", folder_column), ("name", name_column))
        missing = " or ".join(f'"{name}"' for name, column in pairs if column is None)
        said = missing_columns(table_label, header, missing, ("folder", "name"))
        raise DatasetError(said)
    by_key: dict[str, list[str]] = defaultdict(list)
    for folder in sorted(folders):
        by_key[class_key(folder)].append(folder)
    lines: dict[str, str] = {}
    for row in rows:
        folder, name = row.cells[folder_column], row.cells[name_column]
        if not folder or not clean_class_name(name):
            lacking = "name" if folder else "folder"
            raise DatasetError(
                f"{table_label}, line {row.line}: the {lacking} is missing. Write it there or "
                f"remove the line."
            )
        if folder in lines:
            raise DatasetError(
                f'{table_label}, line {row.line}: the folder "{folder}" is named twice. '
                f"Remove one of the lines."
            )
        lines[folder] = name
    given: dict[str, str] = {}
    absent: list[str] = []
    for folder, name in lines.items():
        # that folder, and those that differ in case or the like and have no line of their own
        alike = [other for other in by_key.get(class_key(folder), []) if other not in lines]
        meant = [folder, *alike] if folder in folders else alike
        if not meant:
            absent.append(folder)
        for each in meant:
            given.setdefault(each, name)
    notes = [
        f'{CLASSES_FILE} names the folder "{folder}", which is not there.' for folder in absent
    ]
    return given, first_notes(notes)


def _double_class(first: str, second: str, names: Mapping[str, str], label: str) -> str:
    one, other = sorted((first, second))
    alike = clean_class_name(one) == clean_class_name(other)
    hint = " (they differ only in blanks or in how accents are stored)" if alike else ""
    return (
        f'Two classes are called "{names[second]}" in {label}: the folders "{one}" and "{other}"'
        f"{hint}. Rename one of them or put their pictures together."
    )


def _rows(classes: _GivenClasses) -> list[tuple[str, Sequence[_GivenPicture]]]:
    return list(classes.items() if isinstance(classes, Mapping) else classes)


def _as_picture(given: _GivenPicture, fallback: str) -> Picture:
    if isinstance(given, Picture):
        return given
    if isinstance(given, (str, Path)):
        return Picture(Path(given).name, Path(given))
    return Picture(fallback, given)  # pasted, or from the webcam: it has no name of its own
