"""A column of text -> numbers, by the one way of writing them that the column agrees on.

`1,234` is a thousand in one country and little more than one in another, so a cell is not read by
itself: the way that reads most cells of the column reads all of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
_DATE = r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})?)?"


@dataclass(frozen=True)
class NumberColumn:
    """The numbers of a column, None where a cell is none, and what is to be said about them."""

    values: tuple[float | None, ...]
    note: str = ""  # a sentence without its subject, the column: "are dates and …"


def read_numbers(texts: Sequence[str], *, separator: str) -> NumberColumn:
    """Read decimal points or commas, thousands separators, percentages, or ISO dates as days.

    Args:
        texts: the cells.
        separator: of the table; where commas do not separate columns, 1,234 is 1.234.
    """
    cleaned = [
        re.sub(r"[\u00a0\u202f\u2009]", " ", text).replace("−", "-").strip() for text in texts
    ]
    best: list[float | None] = []
    most, chosen = -1, ""
    for name, read in _ways(cleaned, separator):
        values = [read(text) for text in cleaned]
        n_read = sum(value is not None for value in values)
        if n_read > most:
            best, most, chosen = values, n_read, name
    note = ""
    if chosen == "date":
        note = "are dates and are counted in days"
    elif chosen in ("comma", "thousands") and _only_triples(cleaned):
        example = next(text for text in cleaned if "," in text)
        value = next(v for v, text in zip(best, cleaned, strict=True) if text == example)
        note = f'are written like "{example}", which is read as {value:.10g}'
    return NumberColumn(tuple(best), note)


_Way = tuple[str, Callable[[str], float | None]]


def _ways(texts: Sequence[str], separator: str) -> list[_Way]:
    """The ways to read a column, in the order in which they are believed."""
    comma, thousands = ("comma", _decimal_comma), ("thousands", _thousands)
    one_meaning = [text for text in texts if re.search(r"\d,\d{3}(,\d{3})+(?!\d)|\d,\d{3}\.", text)]
    commas = [thousands, comma] if separator == "," or one_meaning else [comma, thousands]
    if any("," in text for text in texts) and not _only_triples(texts) and not one_meaning:
        commas = [comma, thousands]
    return [
        ("plain", _plain),
        *commas,
        ("dots", _thousands_by_dots),
        ("percent", _percent),
        ("date", _date),
    ]


def _only_triples(texts: Sequence[str]) -> bool:
    """Whether every comma of the column stands before exactly three digits, once a cell."""
    with_comma = [text for text in texts if "," in text]
    return bool(with_comma) and all(
        re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for text in with_comma
    )


def _plain(text: str) -> float | None:
    if re.fullmatch(_PLAIN, text) is None:  # float() also takes 1_000, nan and infinity
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _decimal_comma(text: str) -> float | None:
    if re.fullmatch(r"[+-]?\d{1,3}([. ']\d{3})+(,\d+)?", text):
        text = re.sub(r"[. ']", "", text)
    if text.count(",") > 1 or ("," in text and "." in text):
        return None
    return _plain(text.replace(",", "."))  # a lone 1.5 among them is what it says


def _thousands(text: str) -> float | None:
    if re.fullmatch(r"[+-]?\d{1,3}([, '’]\d{3})+(\.\d+)?", text):
        text = re.sub(r"[, '’]", "", text)
    return _plain(text)


def _thousands_by_dots(text: str) -> float | None:
    if re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})*", text) is None:
        return None
    return _plain(text.replace(".", ""))


def _percent(text: str) -> float | None:
    if not text.endswith("%"):
        return None
    number = text[:-1].rstrip()
    value = _plain(number)
    return _decimal_comma(number) if value is None else value


def _date(text: str) -> float | None:
    if re.fullmatch(_DATE, text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:  # the 31st of February
        return None
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (
        moment.toordinal()
        + (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        / 86_400
    )
