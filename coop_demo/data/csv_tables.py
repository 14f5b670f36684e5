"""A CSV that a person or a spreadsheet wrote -> rows of text, or one sentence with the line."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coop_demo.data.file_kinds import known_kind
from coop_demo.data.images import is_picture_name
from coop_demo.errors import DatasetError, UserError
from coop_demo.letters import printable
from coop_demo.settings import LIMITS


@dataclass(frozen=True)
class TableRow:
    """One row of a CSV: column -> text without spaces around it, and its line in the file."""

    line: int
    cells: Mapping[str, str]


def read_table(
    source: str | Path | bytes,
    *,
    label: str,
    required: Sequence[str] = (),
    error: type[UserError] = DatasetError,
) -> tuple[tuple[str, ...], tuple[TableRow, ...], str]:
    """Read a CSV of UTF-8 text, or UTF-16 with a byte-order mark (Excel's "Unicode text"),
    separated by comma, semicolon or tab, or by what a first line `sep=;` says.

    Args:
        source: the file's path, or its bytes.
        label: what messages call the file.
        required: columns that must be there. Column names are compared in lower case.
        error: the class of the errors raised.

    Returns:
        The column names in lower case, the rows that are not blank, and the separator.

    Raises:
        error: unreadable, not such text, empty, a column that is missing or double, a row with
            too many or too few cells; the message has the line.
    """
    try:
        data = source if isinstance(source, bytes) else _bounded(Path(source))
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise error(f"{label} cannot be opened ({reason}). Check the path.") from problem
    if len(data) > LIMITS.max_table_bytes:
        raise error(
            f"{label} is larger than {LIMITS.max_table_bytes / 2**20:.0f} MB, the most that is "
            f"taken. Split it."
        )
    text = _text(data, label, error)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise error(f"{label} is empty. Its first line must name the columns.")
    told = re.fullmatch(r'"?sep=(.)"?[,;\t]*', first.strip("\r\n "), re.IGNORECASE)
    separator = told[1] if told else max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: tuple[str, ...] = ()
    rows: list[TableRow] = []
    try:
        for cells in reader:
            cells = [printable(cell, lines=True).strip() for cell in cells]
            if not any(cells):
                continue
            if told:  # the line that names the separator
                told = None
                continue
            if not header:
                header = tuple(cell.lower() for cell in cells)
                _check_header(header, required, label, error)
            elif len(cells) != len(header):
                raise error(
                    f"{label}, line {reader.line_num}: {len(cells)} cells where the "
                    f"first line has {len(header)}. Put text that holds the separator in quotes."
                )
            else:
                rows.append(TableRow(reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as problem:
        raise error(
            f"{label}, line {reader.line_num}: {problem}. Check the quotes in that line."
        ) from problem
    if not header:
        raise error(f"{label} is empty. Its first line must name the columns.")
    return header, tuple(rows), separator


def column_of(header: Sequence[str], names: Sequence[str]) -> str | None:
    """The column that goes by one of these names, the first name first; None if there is none.

    "File Name" and "file-name" are `file_name`.
    """
    found = {re.sub(r"[\s\-]+", "_", column): column for column in header}
    return next((found[name] for name in names if name in found), None)


def missing_columns(label: str, header: Sequence[str], missing: str, wanted: Sequence[str]) -> str:
    """Say that columns are missing; where the first line is a row already, say that.

    Args:
        missing: what is missing, with quotes.
        wanted: the columns such a table has.
    """
    if any(is_picture_name(cell.replace("\\", "/")) or _is_number(cell) for cell in header):
        shown = ",".join(header)[:80]
        return (
            f'{label} has no first line that names the columns; it begins with "{shown}". Write '
            f'"{",".join(wanted)}" above it.'
        )
    return f"{label} has no column {missing}; its first line names {', '.join(header)}."


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+([.,]\d+)?%?", text) is not None


def _text(data: bytes, label: str, error: type[UserError]) -> str:
    if not data:
        raise error(f"{label} is empty (0 bytes). Its first line must name the columns.")
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise error(
            f"{label} is a spreadsheet (XLSX or its kind), not a CSV. Open it, save it as "
            f'"CSV UTF-8" and add that.'
        )
    known = known_kind(data[:512])
    if known is not None:
        kind, advice = known
        raise error(f"{label} is {kind}, not a table. {advice}")
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(
            f'{label} is not UTF-8 text. Save it as "CSV UTF-8" and add it again.'
        ) from problem


def _check_header(
    header: tuple[str, ...], required: Sequence[str], label: str, error: type[UserError]
) -> None:
    missing = [f'"{column}"' for column in required if column not in header]
    if missing:
        said = missing_columns(label, header, " or ".join(missing), required)
        raise error(said if " above it" in said else f"{said} Add the column or its name.")
    double = [column for column, count in Counter(header).items() if count > 1 and column]
    if double:
        raise error(f'{label} has two columns named "{double[0]}". Rename one of them.')


def _bounded(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(LIMITS.max_table_bytes + 1)


def spreadsheet_safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula, with an apostrophe before it; else as is."""
    risky = isinstance(value, str) and value.lstrip()[:1] in tuple("=+-@＝＋－＠")
    risky = risky or (isinstance(value, str) and value[:1] in ("\t", "\r", "\n"))
    return f"'{value}" if risky else value
