"""A table of `filename,label` beside pictures that do not lie in a folder for each class.

Which columns those are is found by their names and by what is in them; tables without them, or of
other pictures, are passed over.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from coop_demo.data.csv_tables import TableRow, column_of, read_table
from coop_demo.data.named_files import NamedFiles
from coop_demo.errors import DatasetError
from coop_demo.settings import LIMITS
from coop_demo.wording import counted, listed

FILE_COLUMNS = (
    *("image", "file", "filename", "file_name", "filepath", "file_path", "path", "image_path"),
    *("img_path", "image_name", "img_name", "img", "picture", "image_id", "img_id", "id", "name"),
)
_LABEL_COLUMNS = (
    *("class_name", "label_name", "category_name", "label", "class", "category", "target"),
    *("class_label", "labels", "dx", "species", "breed", "diagnosis"),
)
_PART_COLUMNS = ("split", "set", "part", "subset", "partition", "data_set")
_TABLE_SUFFIXES = (".csv", ".tsv")
_JSON_LINES = "metadata.jsonl"  # of Hugging Face's imagefolder; metadata.csv is the same as a CSV
_PROMISES_NOTHING = ("submission", "sample_sub")  # Kaggle's form for answers names every picture

_Parts = tuple[str, ...]


@dataclass(frozen=True)
class LabelledFile:
    """What a table says of one file."""

    number: int  # of the file
    label: str
    part: str  # train, val or test, as the table or its name says; "" if they do not


@dataclass(frozen=True)
class FileLabels:
    """What one or several tables say of a set's files."""

    items: tuple[LabelledFile, ...]
    tables: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def is_table_name(name: str) -> bool:
    """Whether a file may be a table of labels, by its name."""
    lowered = name.lower()
    return lowered == _JSON_LINES or (
        lowered.endswith(_TABLE_SUFFIXES) and not name.startswith(".")
    )


def read_label_tables(
    tables: Sequence[tuple[_Parts, Path | bytes]],
    files: Sequence[_Parts],
    *,
    part_of: Callable[[str], str],
) -> FileLabels | None:
    """What the tables among a set's files say of its pictures; None where none says anything.

    Args:
        tables: the parts of each table's path, and the table.
        files: the parts of each picture's path.
        part_of: the part of a set that a word means, "" where it is none.
    """
    named = NamedFiles(files)
    items: dict[int, LabelledFile] = {}
    used: list[str] = []
    problems: list[str] = []
    notes: list[str] = []
    for parts, source in tables:
        if any(word in parts[-1].lower() for word in _PROMISES_NOTHING):
            continue
        label = f'"{"/".join(parts)}"'
        try:
            if parts[-1].lower() == _JSON_LINES:
                header, rows = _read_json_lines(source, label)
            else:
                header, rows, _ = read_table(source, label=label)
        except DatasetError as error:
            problems.append(str(error))
            continue
        found = _read(header, rows, named, parts, label, part_of)
        if found is None:
            continue
        for item in found.items:
            before = items.setdefault(item.number, item)
            if before.label != item.label:
                problems.append(
                    f'"{"/".join(files[item.number])}" has two labels, "{before.label}" and '
                    f'"{item.label}"; the first is used.'
                )
        used.append(label)
        problems += found.problems
        notes += found.notes
    if not items:
        return None
    return FileLabels(tuple(items.values()), tuple(used), tuple(problems), tuple(notes))


def _read(
    header: tuple[str, ...],
    rows: tuple[TableRow, ...],
    named: NamedFiles,
    parts: _Parts,
    label: str,
    part_of: Callable[[str], str],
) -> FileLabels | None:
    part_column = column_of(header, _PART_COLUMNS)
    own_part = part_of(parts[-1].rpartition(".")[0])  # train.csv

    def part_told(row: TableRow) -> str:
        return (part_of(row.cells[part_column]) if part_column else "") or own_part

    def find(row: TableRow, column: str) -> list[int]:
        where = named.find(row.cells[column], beside=parts[:-1])
        part = part_told(row)
        if len(where) > 1 and part:  # 1.png of train.csv is that in train/
            there = [n for n in where if part in map(part_of, named.paths[n][:-1])]
            return there or where
        return where

    candidates = [column for name in FILE_COLUMNS if (column := column_of(header, (name,)))]
    places: dict[str, list[list[int]]] = {
        column: [find(row, column) for row in rows] for column in candidates
    }
    hits = {column: sum(len(where) == 1 for where in places[column]) for column in candidates}
    file_column = max(candidates, key=lambda column: hits[column], default="")
    if not hits.get(file_column):
        return None
    label_of = _label_of(header, rows, file_column)
    if label_of is None:
        return None
    items: list[LabelledFile] = []
    missing: list[str] = []
    problems: list[str] = []
    unlabelled = 0
    for row, where in zip(rows, places[file_column], strict=True):
        written = row.cells[file_column]
        name = label_of(row)
        if not name:
            unlabelled += 1
        elif len(where) > 1:
            problems.append(
                f'{label}, line {row.line}: "{written}" could be any of {len(where)} pictures; '
                "write its path."
            )
        elif where:
            items.append(LabelledFile(where[0], name, part_told(row)))
        else:
            missing.append(written)
    if missing:
        problems.append(
            f"{label} names {counted(len(missing), 'picture')} that "
            f"{'is' if len(missing) == 1 else 'are'} not there: {listed(missing, 3)}."
        )
    notes = []
    if unlabelled:
        notes.append(f"{counted(unlabelled, 'row')} of {label} without a label passed over.")
    return FileLabels(tuple(items), (label,), tuple(problems), tuple(notes))


def _read_json_lines(
    source: Path | bytes, label: str
) -> tuple[tuple[str, ...], tuple[TableRow, ...]]:
    """One JSON object a line; what is neither text nor a number is left empty."""
    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        lines = data[: LIMITS.max_table_bytes].decode("utf-8-sig").split("\n")
        found = [(n, json.loads(line)) for n, line in enumerate(lines, start=1) if line.strip()]
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{label} is not JSON Lines ({error}). Correct it.") from error
    objects = [(n, item) for n, item in found if isinstance(item, dict)]
    header = tuple(dict.fromkeys(str(key).lower() for _, item in objects for key in item))
    rows = []
    for line, item in objects:
        cells = {str(key).lower(): value for key, value in item.items()}
        texts = {key: cells.get(key) for key in header}
        rows.append(
            TableRow(
                line,
                {
                    k: str(v).strip() if isinstance(v, (str, int, float)) else ""
                    for k, v in texts.items()
                },
            )
        )
    return header, tuple(rows)


def _label_of(
    header: tuple[str, ...], rows: tuple[TableRow, ...], file_column: str
) -> Callable[[TableRow], str] | None:
    """How a row tells its class: by a column of names, else by a column of 0 and 1 for each."""
    there = [
        column
        for name in _LABEL_COLUMNS
        if (column := column_of(header, (name,))) and column != file_column
    ]
    if there:
        words = [c for c in there if not all(_is_code(row.cells[c]) for row in rows)]
        best = (words or there)[0]  # a name says more than its number
        return lambda row: row.cells[best]
    flags = [
        column
        for column in header
        if column and all(row.cells[column] in ("0", "1", "0.0", "1.0") for row in rows)
    ]

    def chosen(row: TableRow) -> list[str]:
        return [column for column in flags if row.cells[column][0] == "1"]

    if len(flags) < 2 or any(len(chosen(row)) != 1 for row in rows):
        return None
    return lambda row: chosen(row)[0]


def _is_code(text: str) -> bool:
    return not text or text.replace(".", "", 1).isdecimal()


def folders_are_mixed(folders: Sequence[_Parts], items: Sequence[LabelledFile]) -> bool:
    """Whether the labels cut across the folders of most labelled pictures: batches, not classes.

    Args:
        folders: the folder of each file.
    """
    labels: dict[_Parts, Counter[str]] = defaultdict(Counter)
    for item in items:
        labels[folders[item.number]][item.label] += 1
    mixed = sum(count.total() for count in labels.values() if len(count) > 1)
    return 2 * mixed > len(items)
