"""A table of pictures with values -> what the ranker trains and is measured on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from coop_demo.data.csv_tables import TableRow, read_table
from coop_demo.data.dataset import Picture
from coop_demo.data.images import is_picture_name
from coop_demo.errors import PictureError, RankingError

_MISSING_NAMED = 3  # rows without an image that are named one by one; more are counted

# The reference's names (github.com/uynaes/RankingAwareCLIP, tab-separated) for our columns.
_REFERENCE_COLUMNS = {
    "filepath": "image",
    "title": "prompt",
    "cname": "category",
    "sample_weights_by_class": "weight",
}
_SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}


@dataclass(frozen=True)
class RankingRow:
    """One picture with its value under one instruction."""

    picture: Picture
    value: float  # larger ranks higher; any unit
    prompt: str  # the instruction, such as "Rank the numbers of dice."
    category: str = ""  # what is ranked; rows of other categories are a batch's negatives
    split: str = ""  # train, val, test or whatever the table says, in lower case; "" if it does not
    weight: float = 1.0  # how often to draw the row in training, relative to the others


@dataclass(frozen=True)
class RankingTable:
    """Rows of a labels.csv in the file's order. One picture may stand in several rows."""

    rows: tuple[RankingRow, ...]
    name: str = ""
    problems: tuple[str, ...] = ()  # a sentence for each row that was left out
    notes: tuple[str, ...] = ()

    @property
    def prompts(self) -> tuple[str, ...]:
        """The instructions, each once, in the order of the rows."""
        return tuple(dict.fromkeys(row.prompt for row in self.rows))

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts, each once, in the order of the rows."""
        return tuple(dict.fromkeys(row.split for row in self.rows))

    def select(self, *, split: str | None = None, prompt: str | None = None) -> RankingTable:
        """Keep the rows of one part and/or one instruction.

        Raises RankingError, listing what there is, if no row is left.
        """
        rows = self.rows
        if split is not None:
            wanted = _split_name(split)
            rows = tuple(row for row in rows if row.split == wanted)
            if not rows:
                raise RankingError(
                    f'"{self.name}" has no rows of the split "{split}". '
                    f"{_choices('Splits', self.splits)}"
                )
        if prompt is not None:
            rows = tuple(row for row in rows if row.prompt == prompt)
            if not rows:
                raise RankingError(
                    f'"{self.name}" has no rows with the instruction "{prompt[:100]}". '
                    f"{_choices('Instructions', self.prompts)}"
                )
        return replace(self, rows=rows)


def read_labels_csv(
    path: str | Path,
    *,
    images: str | Path | None = None,
    default_prompt: str | None = None,
    check: bool = True,
) -> RankingTable:
    """Read `image,value,prompt[,split,category,weight]`, or the reference's tab-separated
    `filepath, title, cname, value, sample_weights_by_class`.

    An image is looked for below `images`, below the table's folder, and by its file name where only
    one file below `images` has it. A row whose picture is
    missing or unreadable is left out with a sentence in `problems`; a value that is no number is
    an error, since a wrong label would be learned.

    Args:
        path: the CSV file; comma, semicolon or tab separated, UTF-8.
        images: the folder the pictures' paths start from.
        default_prompt: the instruction of rows that have none.
        check: decode every picture now (each once); False only looks whether the file is there.

    Raises:
        RankingError: a missing column, a value or weight that is not a finite number, a row
            without a picture or an instruction, no usable picture, all values equal. The message
            names the file, and the line where there is one.
    """
    path = Path(path)
    label = f'"{path.name}"'
    header, rows, separator = read_table(path, label=label, error=RankingError)
    columns = {_REFERENCE_COLUMNS.get(column, column): column for column in header}
    required = ["image", "value"] + (["prompt"] if default_prompt is None else [])
    for column in required:
        if column not in columns:
            advice = (
                "Add the column, or give one instruction for all rows."
                if column == "prompt"
                else "Add the column or its name."
            )
            raise RankingError(
                f'{label} has no column "{column}"; its first line names {", ".join(header)}. '
                f"{advice}"
            )
    if not rows:
        raise RankingError(f"{label} has no rows below its first line. Add a row for each picture.")

    def cell(row: TableRow, column: str) -> str:
        return row.cells[columns[column]] if column in columns else ""

    folder = Path(images) if images is not None else path.parent
    places = _Places(folder, path.parent)
    missing: list[str] = []
    kept: list[RankingRow] = []
    problems: list[str] = []
    seen: dict[str, Picture | PictureError] = {}  # a picture of several rows is opened once
    for row in rows:
        where = f"{label}, line {row.line}"
        image = cell(row, "image")
        if not image:
            raise RankingError(f"{where}: the picture is missing. Write its path or drop the line.")
        value = _number(cell(row, "value"), "value", where, separator)
        weight_text = cell(row, "weight")
        weight = _number(weight_text, "weight", where, separator) if weight_text else 1.0
        if weight <= 0:
            raise RankingError(
                f"{where}: the weight {weight_text} is not above 0. Correct it or drop the line."
            )
        prompt = cell(row, "prompt") or default_prompt or ""
        if not prompt:
            raise RankingError(
                f"{where}: the instruction (prompt) is missing. Write it there or drop the line."
            )
        if image not in seen:
            seen[image] = places.picture(image, check=check)
        found = seen[image]
        if isinstance(found, _MissingError):
            missing.append(f"{where}: {found}")
            continue
        if isinstance(found, PictureError):
            problems.append(f"{where}: {found}")
            continue
        kept.append(
            RankingRow(
                picture=found,
                value=value,
                prompt=prompt,
                category=cell(row, "category"),
                split=_split_name(cell(row, "split")),
                weight=weight,
            )
        )
    if len(missing) <= _MISSING_NAMED:
        problems = missing + problems
    else:
        problems.append(
            f"{len(missing)} of the {len(rows)} rows are left out: their pictures were not found. "
            f"The first: {missing[0]}"
        )
    if not kept:
        raise RankingError(
            f'None of the {len(rows)} pictures that {label} lists in "{folder}" can be used. The '
            f"first: {problems[0]}"
        )
    table = RankingTable(tuple(kept), name=path.name, problems=tuple(problems))
    check_rankable(table)
    return replace(table, notes=_equal_notes(table))


def check_apart(learn: RankingTable, judge: RankingTable) -> None:
    """Raise RankingError when one file is in both, however its path is written."""

    def identity(picture: Picture) -> object:
        source = picture.source
        return source.resolve() if isinstance(source, Path) else picture.content or picture.name

    known = {identity(row.picture) for row in learn.rows}
    if double := next((r.picture.name for r in judge.rows if identity(r.picture) in known), None):
        raise RankingError(
            f'"{double}" is among the pictures to learn from and among those to judge by, so what '
            "is learned would be measured on itself. Put every picture into one split."
        )


def check_rankable(table: RankingTable) -> None:
    """Raise RankingError unless at least one instruction has two rows of different value."""
    if len(table.rows) < 2:
        raise RankingError(
            f'"{table.name}" has 1 usable row; 2 or more are needed for an order. Add pictures.'
        )
    first = table.rows[0].value
    if all(row.value == first for row in table.rows):
        raise RankingError(
            f'All {len(table.rows)} values of "{table.name}" are {first:g}, so there is no order '
            f"to learn or to measure. Give pictures different values."
        )
    if len(table.prompts) == len(_equal_notes(table)):
        raise RankingError(
            f'In "{table.name}" no instruction has pictures of different values, so there is no '
            f"order to learn or to measure. Give two or more pictures of one instruction different "
            f"values."
        )


def _equal_notes(table: RankingTable) -> tuple[str, ...]:
    values: dict[str, set[float]] = {}
    for row in table.rows:
        values.setdefault(row.prompt, set()).add(row.value)
    return tuple(
        f'All pictures under "{prompt}" have the value {next(iter(found)):g}: nothing to order.'
        for prompt, found in values.items()
        if len(found) == 1
    )


class _MissingError(PictureError):
    """No file fits what a row names."""


class _Places:
    """Where a table's images may lie: below a folder, beside the table, or by their bare name."""

    def __init__(self, folder: Path, beside: Path) -> None:
        self.folder, self.beside = folder, beside
        self._by_name: dict[str, list[Path]] | None = None

    def picture(self, image: str, *, check: bool) -> Picture | PictureError:
        """The image that a cell names; an error where none or several fit."""
        path = self._find(image)
        if isinstance(path, PictureError):
            return path
        picture = Picture(image, path)
        if not check:
            return picture
        try:
            return picture.checked()
        except PictureError as error:
            return error

    def _find(self, image: str) -> Path | PictureError:
        # Tables written on Windows have backslashes; as part of a name they are rare enough.
        for written in dict.fromkeys((image, image.replace("\\", "/"))):
            for folder in dict.fromkeys((self.folder, self.beside)):
                if (folder / written).is_file():
                    return folder / written
        if self._by_name is None:
            self._by_name = {}
            for path in sorted(self.folder.rglob("*")) if self.folder.is_dir() else ():
                if is_picture_name(path.name):
                    self._by_name.setdefault(path.name.lower(), []).append(path)
        alike = self._by_name.get(image.replace("\\", "/").rpartition("/")[2].lower(), [])
        if len(alike) == 1:
            return alike[0]
        if alike:
            return _MissingError(
                f'the picture "{image}" could be any of {len(alike)} below "{self.folder}"; write '
                "its path."
            )
        return _MissingError(f'the picture "{image}" does not exist below "{self.folder}".')


def _number(text: str, what: str, where: str, separator: str) -> float:
    # Where commas do not separate, a spreadsheet of many countries writes 3,5 for 3.5.
    plain = text.replace(",", ".") if separator != "," and text.count(",") == 1 else text
    try:
        number = float(plain)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RankingError(
            f'{where}: the {what} "{text[:40]}" is not a number. Write a number or drop the line.'
        )
    return number


def _split_name(text: str) -> str:
    lowered = text.strip().lower()
    return _SPLIT_NAMES.get(lowered, lowered)


def _choices(what: str, found: Iterable[str]) -> str:
    shown = [f'"{name}"' for name in found if name][:10]
    return f"{what} there are: {', '.join(shown)}." if shown else f"It names no {what.lower()}."
