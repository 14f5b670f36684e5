"""The benchmark sets of the CoOp paper, where CoOp's own code expects them -> Dataset.

Folders, split files and formats as documented in DATASETS.md and datasets/*.py of
github.com/KaiyangZhou/CoOp. Most sets come with a file `split_zhou_<Set>.json` of the form

    {"train": [[path, label, class name], ...], "val": [...], "test": [...]}

whose paths are relative to the set's picture folder. `few_shot` samples the shots.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coop_demo.data.dataset import (
    Dataset,
    LabelledPicture,
    Picture,
    clean_class_name,
)
from coop_demo.data.images import list_pictures
from coop_demo.errors import DatasetError


@dataclass(frozen=True)
class _Place:
    """Where one set lies below the data root."""

    folder: str
    pictures: str  # below `folder`; "" for the folder itself
    split_file: str = ""  # below `folder`; "" when the set is not described by such a file


_SPLIT_FILE_SETS = {
    "caltech101": _Place("caltech-101", "101_ObjectCategories", "split_zhou_Caltech101.json"),
    "oxford_pets": _Place("oxford_pets", "images", "split_zhou_OxfordPets.json"),
    "stanford_cars": _Place("stanford_cars", "", "split_zhou_StanfordCars.json"),
    "oxford_flowers": _Place("oxford_flowers", "jpg", "split_zhou_OxfordFlowers.json"),
    "food101": _Place("food-101", "images", "split_zhou_Food101.json"),
    "sun397": _Place("sun397", "SUN397", "split_zhou_SUN397.json"),
    "dtd": _Place("dtd", "images", "split_zhou_DescribableTextures.json"),
    "eurosat": _Place("eurosat", "2750", "split_zhou_EuroSAT.json"),
    "ucf101": _Place("ucf101", "UCF-101-midframes", "split_zhou_UCF101.json"),
}
_AIRCRAFT = _Place("fgvc_aircraft", "images")
_IMAGENET = _Place("imagenet", "images")
# Sets that only test a prompt learned on ImageNet, each a folder of class folders.
_IMAGENET_SHIFTS = {
    "imagenetv2": _Place("imagenetv2", "imagenetv2-matched-frequency-format-val"),
    "imagenet_sketch": _Place("imagenet-sketch", "images"),
    "imagenet_a": _Place("imagenet-adversarial", "imagenet-a"),
    "imagenet_r": _Place("imagenet-rendition", "imagenet-r"),
}

COOP_DATASETS: tuple[str, ...] = (
    "imagenet",
    *_SPLIT_FILE_SETS,
    "fgvc_aircraft",
    *_IMAGENET_SHIFTS,
)


def read_coop(root: str | Path, dataset: str) -> Dataset:
    """Read one of COOP_DATASETS below the folder CoOp calls DATA.ROOT.

    No picture is opened (some sets have a million): `few_shot` checks what it draws, and
    `check_pictures` the rest. Class names may repeat, as two of ImageNet's do.

    Raises:
        DatasetError: an unknown set, or a folder or file of it that is missing or malformed; the
            message names it.
    """
    root = Path(root)
    if dataset in _SPLIT_FILE_SETS:
        return _read_split_file(root, dataset, _SPLIT_FILE_SETS[dataset])
    if dataset == "fgvc_aircraft":
        return _read_aircraft(root)
    if dataset == "imagenet":
        return _read_imagenet(root)
    if dataset in _IMAGENET_SHIFTS:
        return _read_imagenet_shift(root, dataset, _IMAGENET_SHIFTS[dataset])
    raise DatasetError(
        f'"{dataset}" is not one of CoOp\'s data sets. Choose one of: {", ".join(COOP_DATASETS)}.'
    )


def _read_split_file(root: Path, dataset: str, place: _Place) -> Dataset:
    pictures = _folder(root / place.folder / place.pictures)
    path = root / place.folder / place.split_file
    try:
        split: Any = json.loads(_text(path))
    except ValueError as error:
        raise DatasetError(
            f'"{path}" is not JSON ({error}). Download the split file again.'
        ) from error

    names: dict[int, str] = {}
    parts: dict[str, list[LabelledPicture]] = {}
    for part in ("train", "val", "test"):
        rows = split.get(part) if isinstance(split, dict) else None
        if not isinstance(rows, list):
            raise DatasetError(
                f'"{path}" has no list "{part}". Download the split file of {dataset} again.'
            )
        parts[part] = []
        for number, row in enumerate(rows, start=1):
            match row:
                case [str(relative), int(label), str(name)] if label >= 0:
                    pass
                case _:
                    raise DatasetError(
                        f'"{path}", entry {number} of "{part}": expected [path, label, class '
                        f"name], found {json.dumps(row)[:80]}. Download the split file again."
                    )
            if names.setdefault(label, name) != name:
                raise DatasetError(
                    f'"{path}" calls class {label} both "{names[label]}" and "{name}". Download '
                    f"the split file again."
                )
            parts[part].append(LabelledPicture(Picture(relative, pictures / relative), label))
    if not names or sorted(names) != list(range(len(names))):
        raise DatasetError(
            f'"{path}" does not number its classes 0, 1, 2, …. Download the split file again.'
        )
    return Dataset(
        class_names=tuple(clean_class_name(names[label]) for label in range(len(names))),
        train=tuple(parts["train"]),
        val=tuple(parts["val"]),
        test=tuple(parts["test"]),
        name=dataset,
    )


def _read_aircraft(root: Path) -> Dataset:
    """FGVC-Aircraft: `variants.txt` has a class a line, each split file `<picture> <class>`."""
    folder = root / _AIRCRAFT.folder
    pictures = _folder(folder / _AIRCRAFT.pictures)
    names = [line.strip() for line in _lines(folder / "variants.txt")]
    label_of = {name: label for label, name in enumerate(names)}
    parts: dict[str, tuple[LabelledPicture, ...]] = {}
    for part in ("train", "val", "test"):
        path = folder / f"images_variant_{part}.txt"
        items = []
        for line in _lines(path):
            stem, _, name = line.strip().partition(" ")
            if name not in label_of:
                raise DatasetError(
                    f'"{path}" names the class "{name}", which variants.txt does not. Unpack the '
                    f"data set again."
                )
            file_name = f"{stem}.jpg"
            items.append(LabelledPicture(Picture(file_name, pictures / file_name), label_of[name]))
        parts[part] = tuple(items)
    class_names = tuple(clean_class_name(name) for name in names)
    return Dataset(
        class_names=class_names,
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        name="fgvc_aircraft",
    )


def _read_imagenet(root: Path) -> Dataset:
    """ImageNet: a folder a class, numbered in sorted order; its val part is what is tested on."""
    pictures = root / _IMAGENET.folder / _IMAGENET.pictures
    name_of = _imagenet_names(root / _IMAGENET.folder / "classnames.txt")
    train_folders = _class_folders(pictures / "train")
    label_of = {folder: label for label, folder in enumerate(train_folders)}
    return Dataset(
        class_names=tuple(_imagenet_name(folder, name_of) for folder in train_folders),
        train=tuple(_in_folders(pictures / "train", label_of)),
        test=tuple(_in_folders(pictures / "val", label_of)),
        name="imagenet",
    )


def _read_imagenet_shift(root: Path, dataset: str, place: _Place) -> Dataset:
    pictures = root / place.folder / place.pictures
    name_of = _imagenet_names(root / place.folder / "classnames.txt")
    folders = _class_folders(pictures)
    if dataset == "imagenetv2":
        # Its folders are called 0 … 999: positions in classnames.txt.
        names = list(name_of.values())
        label_of = {folder: int(folder) for folder in folders if folder.isdecimal()}
        if len(label_of) < len(folders) or max(label_of.values()) >= len(names):
            raise DatasetError(
                f'"{pictures}" has folders that are no class numbers below {len(names)}. Unpack '
                f"the data set again."
            )
    else:
        names = [_imagenet_name(folder, name_of) for folder in folders]
        label_of = {folder: label for label, folder in enumerate(folders)}
    return Dataset(
        class_names=tuple(names),
        train=(),
        test=tuple(_in_folders(pictures, label_of)),
        name=dataset,
    )


def _imagenet_names(path: Path) -> dict[str, str]:
    """Read lines `<folder> <class name>`."""
    pairs = (line.strip().partition(" ") for line in _lines(path))
    return {folder: clean_class_name(name) for folder, _, name in pairs}


def _imagenet_name(folder: str, name_of: dict[str, str]) -> str:
    if not name_of.get(folder):
        raise DatasetError(
            f'classnames.txt does not name the folder "{folder}". Copy the file that CoOp\'s '
            f"DATASETS.md links to."
        )
    return name_of[folder]


def _class_folders(folder: Path) -> list[str]:
    found = sorted(
        path.name
        for path in _folder(folder).iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    if not found:
        raise DatasetError(f'"{folder}" has no class folders. Unpack the data set again.')
    return found


def _in_folders(folder: Path, label_of: dict[str, int]) -> Iterable[LabelledPicture]:
    for class_folder in _class_folders(folder):
        if class_folder not in label_of:
            raise DatasetError(
                f'"{folder}" has the class folder "{class_folder}", which the training part does '
                f"not have. Unpack the data set again."
            )
        for path in list_pictures(folder / class_folder):
            yield LabelledPicture(
                Picture(f"{class_folder}/{path.name}", path), label_of[class_folder]
            )


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise DatasetError(
            f'The folder "{path}" is missing. Unpack the data set there, as CoOp\'s DATASETS.md '
            f"describes."
        )
    return path


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise DatasetError(
            f'"{path}" cannot be read ({reason}). Put the file there, as CoOp\'s DATASETS.md '
            f"describes."
        ) from error


def _lines(path: Path) -> list[str]:
    return [line for line in _text(path).splitlines() if line.strip()]
