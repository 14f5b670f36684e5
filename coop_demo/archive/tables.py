"""Results of very many rows, as Parquet or CSV by the file's suffix: whole, or not there."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from coop_demo.archive.index import arrow, parquet
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.errors import ArchiveError

SUFFIXES = (".parquet", ".csv")


class TableWriter:
    """Takes rows a batch at a time; the file appears under its name when `finish` is called.

    Args:
        columns: names with their kinds: `str`, `int`, `float` or `bool`. None is no value.
        about: what the table is, kept in a Parquet file's metadata.
    """

    def __init__(
        self, path: str | Path, columns: Mapping[str, type], about: Mapping[str, Any]
    ) -> None:
        self.path, self._columns = Path(path), dict(columns)
        self._fresh = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        self._is_csv = self.path.suffix.lower() == ".csv"
        with _written(self.path):
            if self._is_csv:
                self._file = self._fresh.open("w", encoding="utf-8", newline="")
                self._csv = csv.writer(self._file)
                self._csv.writerow(self._columns)
            else:
                kinds = {str: arrow().string(), int: arrow().int64(), bool: arrow().bool_()}
                fields = [(name, kinds.get(k, arrow().float64())) for name, k in columns.items()]
                metadata = {b"coop_demo": json.dumps(dict(about), ensure_ascii=False).encode()}
                self._schema = arrow().schema(fields, metadata=metadata)
                self._writer = parquet().ParquetWriter(
                    self._fresh, self._schema, compression="zstd", write_page_checksum=True
                )

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Rows in the order of the columns."""
        if not rows:
            return
        with _written(self.path):
            if self._is_csv:
                self._csv.writerows([spreadsheet_safe(cell) for cell in row] for row in rows)
            else:
                values = list(zip(*rows, strict=True))
                self._writer.write_table(arrow().table(values, schema=self._schema))

    def finish(self) -> None:
        """Put the file in its place."""
        with _written(self.path):
            self._close()
            os.replace(self._fresh, self.path)

    def give_up(self) -> None:
        """Leave nothing behind, and what stood there before as it was."""
        with contextlib.suppress(Exception):
            self._close()
        with contextlib.suppress(OSError):
            self._fresh.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._is_csv:
            self._file.close()
        else:
            self._writer.close()


@contextlib.contextmanager
def table(
    path: str | Path, columns: Mapping[str, type], about: Mapping[str, Any]
) -> Iterator[TableWriter]:
    """A table that is there after the `with`, and not at all when something is raised in it.

    Raises:
        ArchiveError: it cannot be written, or its suffix is none of SUFFIXES.
    """
    check_table_name(path)
    writer = TableWriter(path, columns, about)
    try:
        yield writer
        writer.finish()
    except BaseException:
        writer.give_up()
        raise


def check_table_name(path: str | Path) -> None:
    """Raise ArchiveError unless a table can be written under this name, as far as can be seen."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ArchiveError(f'"{path}" must end in {" or ".join(SUFFIXES)}.')
    if not path.absolute().parent.is_dir():
        raise ArchiveError(f'There is no folder "{path.absolute().parent}". Make it first.')


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            f'"{path}" cannot be written ({error.strerror or error}). Make room or choose another '
            "place."
        ) from error
