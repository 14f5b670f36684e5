"""What comes onto the pile of the Rank tab: pictures, zips, tables of labels, sample sets."""

import csv
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from coop_demo.data.archives import read_archive
from coop_demo.data.csv_tables import read_table
from coop_demo.data.dataset import Picture
from coop_demo.data.images import is_picture_name
from coop_demo.errors import DatasetError, RankingError
from coop_demo.languages import rank as say
from coop_demo.languages.english import rank as in_english
from coop_demo.ranking.labels import image_column, read_labels_csv
from coop_demo.samples import SampleSet
from coop_demo.ui.rank.state import (
    Pile,
    take_all,
)
from coop_demo.ui.session import Session


def add_files(session: Session, paths: Sequence[str | Path]) -> None:
    """Pictures, zips and tables of labels onto the session's pile.

    What cannot be used costs itself only and is named in `pile.problems`.

    Raises:
        RankingError: nothing among the files is a picture, a zip or a table.
    """
    pile = session.pile
    problems: list[str] = []
    notes: list[str] = []
    tables: list[Path] = []
    given: list[Picture] = []
    with tempfile.TemporaryDirectory(dir=session.folder) as folder:
        for number, path in enumerate(map(Path, paths)):
            kind = path.suffix.lower()
            if kind == ".csv":
                tables.append(path)
            elif kind == ".zip":
                into = Path(folder) / str(number)
                into.mkdir()
                try:
                    pictures, found, said = _unpack(path, into)
                except DatasetError as error:
                    problems.append(str(error))
                    continue
                given, tables = given + pictures, tables + found
                problems += said
            elif is_picture_name(path.name):
                given.append(Picture(path.name, path))
            else:
                problems.append(in_english.no_such_kind(path.name))
        if not given and not tables:
            raise RankingError(problems[0] if problems else say.NO_FILE)
        taken, said = take_all(session.take, given)
        problems += said
        with session.lock:
            notes = pile.add(taken)
            if taken:
                pile.orders = ()
        for table in tables:
            try:
                problems += add_labels(pile, table, instruction=pile.instruction)
            except RankingError as error:
                problems.append(str(error))
    with session.lock:
        pile.problems, pile.notes = tuple(problems), tuple(notes)


def _unpack(path: Path, into: Path) -> tuple[list[Picture], list[Path], list[str]]:
    contents = read_archive(
        path, wanted=lambda name: is_picture_name(name) or name.lower() == "labels.csv", into=into
    )
    pictures, tables = [], []
    for parts, source in contents.files:
        assert isinstance(source, Path)
        if parts[-1].lower() == "labels.csv":
            named = source.with_name("labels.csv")  # messages call it by the name it had
            if named.exists():
                continue
            source.rename(named)
            tables.append(named)
        else:
            pictures.append(Picture("/".join(parts), source))
    return pictures, tables, [*contents.problems, *contents.notes]


def add_labels(pile: Pile, path: Path, *, instruction: str = "") -> list[str]:
    """Values of a labels.csv for the pictures on the pile; sentences for rows passed over.

    The table's paths are only compared with names on the pile, never opened. Rows without an
    instruction of their own count for `instruction`; for any when that is empty too.

    Raises:
        RankingError: it is no such table, a value is no number, all are equal, or none of the
            pictures it names is here.
    """
    if not pile.pictures:
        raise RankingError(in_english.labels_without_pictures(path.name))
    label = f'"{path.name}"'
    header, rows, separator = read_table(path, label=label, error=RankingError)
    column = image_column(header) or "image"
    missing: list[str] = []
    n_passed = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        found: dict[str, Picture] = {}
        lines: dict[int, list[str]] = {}
        for row in rows:
            cells = dict(row.cells)
            if cells.get(column):
                picture = pile.find(cells[column])
                if picture is None:
                    n_passed += 1
                    missing.append(cells[column])
                    continue
                name = f"{picture.content}.png"
                (home / name).touch()
                found[name] = picture
                cells[column] = name
            lines[row.line] = list(cells.values())
        if missing and not found:
            raise RankingError(in_english.labels_for_others(path.name, missing[0]))
        safe = home / path.name
        safe.write_text(_with_lines(header, lines, separator), encoding="utf-8")
        table = read_labels_csv(safe, default_prompt=_ANY, check=False)
    for row in table.rows:
        prompt = instruction if row.prompt == _ANY else row.prompt
        content = found[row.picture.name].content
        assert content is not None
        pile.labels.setdefault(prompt, {})[content] = row.value
    if not missing:
        return [*table.problems, *table.notes]
    names = list(dict.fromkeys(missing))
    return [*table.problems, *table.notes, in_english.labels_elsewhere(path.name, names, n_passed)]


_ANY = "*"  # no instruction reads so: one needs a letter or a number


def _with_lines(header: Sequence[str], lines: Mapping[int, Sequence[str]], separator: str) -> str:
    """A table whose rows stand on the lines they came from."""
    buffer = io.StringIO()
    delimiter = separator if separator in ",;" else "\t"
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow(header)
    at = 1
    for line, cells in sorted(lines.items()):
        buffer.write("\n" * max(0, line - at - 1))
        writer.writerow([" ".join(cell.split()) for cell in cells])
        at = max(line, at + 1)
    return buffer.getvalue()


def show_sample(session: Session, sample: SampleSet) -> None:
    """A sample set in place of the pile, with its labels and instructions."""
    about = json.loads((sample.folder / "set.json").read_text(encoding="utf-8"))
    instructions = about.get("instructions", [""])
    given = [
        Picture(f"pictures/{path.name}", path).checked()
        for path in sorted((sample.folder / "pictures").iterdir())
        if is_picture_name(path.name)
    ]
    with session.lock:
        pile = session.pile
        pile.clear()
        pile.add(given)
        add_labels(pile, sample.folder / "labels.csv")
        pile.source = sample.title
        pile.about = (sample.description, sample.expect, in_english.licence(sample.licence))
        pile.instruction = instructions[0]
        pile.second = instructions[1] if len(instructions) > 1 else ""
