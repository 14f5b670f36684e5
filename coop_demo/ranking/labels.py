"""A table of pictures with values -> what the ranker trains and is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coop_demo.data.csv_tables import TableRow, column_of, missing_columns, read_table
from coop_demo.data.dataset import Picture, first_notes
from coop_demo.data.images import is_picture_name
from coop_demo.data.label_tables import FILE_COLUMNS
from coop_demo.data.named_files import NamedFiles, path_parts
from coop_demo.data.number_columns import read_numbers
from coop_demo.errors import PictureError, RankingError
from coop_demo.wording import counted

_MISSING_NAMED = 3  # rows without an image that are named one by one; more are counted

# What tables call our columns, the reference (github.com/uynaes/RankingAwareCLIP: filepath, title,
# cname, value, sample_weights_by_class) among them.
_COLUMNS = {
    "image": FILE_COLUMNS,
    "value": ("value", "score", "rating", "label", "count", "number", "target", "y", "mos"),
    "prompt": ("prompt", "instruction", "title"),
    "category": ("category", "cname", "class"),
    "split": ("split", "set", "part", "subset", "partition"),
    "weight": ("weight", "sample_weight", "sample_weights_by_class"),
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

    Columns go by their usual other names too (`_COLUMNS`), values by any way of writing numbers
    that the column agrees on (`read_numbers`). An image is looked for below `images`, below the
    table's folder, and by its file name where only one file below `images` has it. A row that
    cannot be used (its picture missing or unreadable, its value no number) is left out with a
    sentence in `problems`.

    Args:
        path: the CSV file; comma, semicolon or tab separated, UTF-8 or UTF-16 with a mark.
        images: the folder the pictures' paths start from.
        default_prompt: the instruction of rows that have none.
        check: decode every picture now (each once); False only looks whether the file is there.

    Raises:
        RankingError: a missing column, no usable row, fewer than two, all values equal. The
            message names the file, and the line where there is one.
    """
    path = Path(path)
    label = f'"{path.name}"'
    header, rows, separator = read_table(path, label=label, error=RankingError)
    columns = {
        ours: column
        for ours, theirs in _COLUMNS.items()
        if (column := column_of(header, theirs)) is not None
    }
    _check_columns(columns, header, label, default_prompt)
    if not rows:
        raise RankingError(f"{label} has no rows below its first line. Add a row for each picture.")

    def cell(row: TableRow, column: str) -> str:
        return row.cells[columns[column]] if column in columns else ""

    values = read_numbers([cell(row, "value") for row in rows], separator=separator)
    weights = read_numbers([cell(row, "weight") or "1" for row in rows], separator=separator)
    folder = Path(images) if images is not None else path.parent
    places = _Places(folder, path.parent)
    missing: list[str] = []
    wrong: list[str] = []
    unread: list[str] = []
    kept: list[RankingRow] = []
    seen: dict[str, Picture | PictureError] = {}  # a picture of several rows is opened once
    for row, value, weight in zip(rows, values.values, weights.values, strict=True):
        where = f"{label}, line {row.line}"
        image = cell(row, "image")
        prompt = cell(row, "prompt") or default_prompt or ""
        problem = _row_problem(
            image, cell(row, "value"), value, cell(row, "weight"), weight, prompt
        )
        if problem or value is None or weight is None:
            wrong.append(f"{where}: {problem}")
            continue
        if image not in seen:
            seen[image] = places.picture(image, check=check)
        found = seen[image]
        if isinstance(found, PictureError):
            (missing if isinstance(found, _MissingError) else unread).append(f"{where}: {found}")
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
    if len(missing) > _MISSING_NAMED:
        missing = [
            f"{len(missing)} of the {len(rows)} rows are left out: their pictures were not found. "
            f"The first: {missing[0]}"
        ]
    problems = [*first_notes(wrong), *missing, *unread]
    if not kept:
        raise RankingError(
            f'None of the {len(rows)} pictures that {label} lists in "{folder}" can be used. The '
            f"first: {problems[0]}"
        )
    table = RankingTable(tuple(kept), name=path.name, problems=tuple(problems))
    check_rankable(table)
    notes = [f"The values of {label} {values.note}."] if values.note else []
    others = [c for name in _COLUMNS["value"] if (c := column_of(header, (name,)))][1:]
    if others and columns["value"] != "value":
        shown = ", ".join(f'"{column}"' for column in others)
        notes.append(f'The values are those of the column "{columns["value"]}", not of {shown}.')
    opened = dict.fromkeys(row.picture for row in kept)
    notes += first_notes([note for picture in opened for note in picture.notes])
    return replace(table, notes=(*notes, *places.notes(), *_equal_notes(table)))


def _check_columns(
    columns: dict[str, str], header: tuple[str, ...], label: str, default_prompt: str | None
) -> None:
    required = ["image", "value"] + (["prompt"] if default_prompt is None else [])
    for column in required:
        if column in columns:
            continue
        said = missing_columns(label, header, f'"{column}"', required)
        if " above it" in said:
            raise RankingError(said)
        advice = (
            "Add the column, or give one instruction for all rows."
            if column == "prompt"
            else "Add the column or its name."
        )
        raise RankingError(f"{said} {advice}")


def _row_problem(
    image: str,
    value_text: str,
    value: float | None,
    weight_text: str,
    weight: float | None,
    prompt: str,
) -> str:
    """Why a row cannot be used; "" where it can."""
    for what, text, number in (("value", value_text, value), ("weight", weight_text, weight)):
        if image and number is None:
            return (
                f'the {what} "{text[:40]}" is not a number that fits the others. Write a number or '
                "drop the line."
            )
    if not image:
        return "the picture is missing. Write its path or drop the line."
    if weight is not None and weight <= 0:
        return f"the weight {weight_text} is not above 0. Correct it or drop the line."
    if not prompt:
        return "the instruction (prompt) is missing. Write it there or drop the line."
    return ""


def image_column(header: Sequence[str]) -> str | None:
    """The column of a table's header that names the pictures; None if there is none."""
    return column_of(header, FILE_COLUMNS)


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
        lost = f" Left out: {table.problems[0]}" if table.problems else ""
        raise RankingError(
            f'"{table.name}" has 1 usable row; 2 or more are needed for an order. Add pictures.'
            f"{lost}"
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
        self._files: NamedFiles | None = None
        self._by_name: list[str] = []  # found in another folder than the table says

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

    def notes(self) -> list[str]:
        """What was guessed."""
        if not self._by_name:
            return []
        return [
            f"{counted(len(self._by_name), 'picture')} found by the file name alone, in another "
            f"folder than the table says: {self._by_name[0]}."
        ]

    def _find(self, image: str) -> Path | PictureError:
        # Tables written on Windows have backslashes; as part of a name they are rare enough.
        for written in dict.fromkeys(
            (image, image.replace("\\", "/"), "/".join(path_parts(image)))
        ):
            for folder in dict.fromkeys((self.folder, self.beside)):
                if (folder / written).is_file():
                    return folder / written
        if self._files is None:
            paths = sorted(self.folder.rglob("*")) if self.folder.is_dir() else []
            self._files = NamedFiles(
                [
                    path.relative_to(self.folder).parts
                    for path in paths
                    if is_picture_name(path.name)
                ],
                by_name=True,
            )
        alike = self._files.find(image)
        if len(alike) == 1:
            parts = self._files.paths[alike[0]]
            wanted = path_parts(image)
            if len(wanted) > 1 and len(parts) > 1 and parts[-2].casefold() != wanted[-2].casefold():
                self._by_name.append(f'"{image}" is "{"/".join(parts)}"')
            return self.folder.joinpath(*parts)
        if alike:
            return _MissingError(
                f'the picture "{image}" could be any of {len(alike)} below "{self.folder}"; write '
                "its path."
            )
        return _MissingError(f'the picture "{image}" does not exist below "{self.folder}".')


def _split_name(text: str) -> str:
    lowered = text.strip().lower()
    return _SPLIT_NAMES.get(lowered, lowered)


def _choices(what: str, found: Iterable[str]) -> str:
    shown = [f'"{name}"' for name in found if name][:10]
    return f"{what} there are: {', '.join(shown)}." if shown else f"It names no {what.lower()}."
