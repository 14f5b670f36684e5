"""The results file of a benchmark: one row per cell, read, resumed and appended to."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.errors import UserError


@dataclass(frozen=True)
class Cell:
    """One finished measurement: a row of the results."""

    dataset: str
    method: str
    shots: int  # 0 for methods that see no picture
    seed: int  # 0 where the seed changes nothing
    accuracy: float  # a fraction
    low: float  # Wilson's 95 % interval
    high: float
    correct: int
    n_test: int
    n_train: int
    n_classes: int
    seconds: float  # to fit
    seconds_encoding: float  # 0 where all features were there already
    chosen: str  # what the method chose or was set to, JSON
    backbone: str
    settings_hash: str

    @property
    def key(self) -> tuple[str, str, int, int, str]:
        return (self.dataset, self.method, self.shots, self.seed, self.settings_hash)


COLUMNS = tuple(f.name for f in fields(Cell))


def open_results(path: str | Path) -> list[Cell]:
    """Read the cells of a results file and make it ready to append to; new when not there.

    A last line that a kill cut short is removed.

    Raises:
        UserError: the file cannot be read or written, or is not a results file.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if not whole:
            # written under another name first: the header is there in full or not at all
            fresh = path.with_name(path.name + ".new")
            fresh.write_text(_line(COLUMNS), encoding="utf-8")
            if text and not _line(COLUMNS).startswith(text):
                fresh.unlink()
                raise _not_results(path)
            os.replace(fresh, path)
            return []
        cells = _parse(whole, path)
        if whole != text:
            with path.open("r+b") as file:
                file.truncate(len(whole.encode("utf-8")))
        return cells
    except OSError as error:
        raise UserError(
            f'The results file "{path}" cannot be used ({error.strerror or error}). Choose '
            "another place with --out."
        ) from error
    except UnicodeDecodeError as error:
        raise _not_results(path) from error


def append_cell(path: str | Path, cell: Cell) -> None:
    """Append one row in a single write that has reached the disk when this returns.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(file, _line(astuple(cell)).encode("utf-8"))
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise UnwritableResults(
            f'"{path}" cannot be written ({error.strerror}). The cells before are kept; make '
            "room and start again."
        ) from error


class UnwritableResults(UserError):
    """Ends the whole grid, not one set: nothing further could be kept."""


def _parse(text: str, path: Path) -> list[Cell]:
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or tuple(rows[0]) != COLUMNS:
        raise _not_results(path)
    kinds = {f.name: f.type for f in fields(Cell)}
    cells = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            values = dict(zip(COLUMNS, row, strict=True))
            cells.append(Cell(**{k: kinds[k](_unquoted(v)) for k, v in values.items()}))  # type: ignore[operator]
        except (ValueError, TypeError) as error:
            raise UserError(
                f'"{path}", line {number} is damaged. Remove that line and start again.'
            ) from error
    return cells


def _not_results(path: Path) -> UserError:
    return UserError(
        f'"{path}" is not a results file of this version. Choose another name with --out.'
    )


def _line(values: Sequence) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(map(_quoted, values))
    return buffer.getvalue()


def _quoted(value: object) -> object:
    """As a spreadsheet does not run it; one apostrophe more where there were some already."""
    return f"'{value}" if isinstance(value, str) and _would_run(value.lstrip("'")) else value


def _unquoted(text: str) -> str:
    return text[1:] if text[:1] == "'" and _would_run(text.lstrip("'")) else text


def _would_run(text: str) -> bool:
    return spreadsheet_safe(text) != text
