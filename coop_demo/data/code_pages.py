"""File names as bytes of an unknown code page -> the page that decodes them all to plausible words.

Zips of old Windows programs store names in the code page of the computer they were made on and do
not say which. A page is judged by how many of the characters it gives are ordinary ones of its
language, standing where they do in words; which are ordinary is what the national standards put
into their first level. The answer is a guess, and callers say so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

_PLAUSIBLE = 0.8  # share of ordinary characters that makes a guess
_COMMON_CYRILLIC = frozenset("оеаинтсрвлкмдп")


def guessed_code_page(names: Sequence[bytes]) -> tuple[str, str] | None:
    """Python's name of the code page and what people call it; None where none is plausible.

    Args:
        names: each with a byte above 127 in it.
    """
    # a folder's name stands in every path below it, and counts once
    parts = dict.fromkeys(part for name in names for part in name.split(b"/"))
    names = [part for part in parts if not part.isascii()]
    best: tuple[float, float] = (_PLAUSIBLE, -1.0)
    guess = None
    for codec, title, judge in _PAGES:
        try:
            texts = [name.decode(codec) for name in names]
        except UnicodeDecodeError:
            continue
        if any(unicodedata.category(char) in ("Cc", "Cn", "Co") for char in "".join(texts)):
            continue
        score = judge(b"".join(names), "\n".join(texts))
        if score > best or (guess is None and score >= best):
            best, guess = score, (codec, title)
    return guess


def _double_bytes(data: bytes, is_ordinary: Callable[[int, int], float]) -> float:
    """The share of two-byte characters that are ordinary; 0 if single high bytes are left over."""
    at, good, total = 0, 0.0, 0
    while at < len(data):
        if data[at] < 0x80:
            at += 1
            continue
        if at + 1 >= len(data):
            return 0.0
        total += 1
        good += is_ordinary(data[at], data[at + 1])
        at += 2
    return good / max(total, 1)


def _chinese(data: bytes, text: str) -> tuple[float, float]:
    # GB 2312: the 3755 usual characters of level 1, and half as usual those of level 2
    def is_ordinary(a: int, b: int) -> float:
        return 0.0 if b < 0xA1 else 1.0 if 0xB0 <= a <= 0xD7 else 0.5 if 0xD8 <= a <= 0xF7 else 0.0

    return _double_bytes(data, is_ordinary), 0.0


def _korean(data: bytes, text: str) -> tuple[float, float]:
    # Hangul of KS X 1001. They are also usual Chinese characters, but only of the first half of
    # that list: five different ones and no other are seldom chance.
    score = _double_bytes(data, lambda a, b: 0xB0 <= a <= 0xC8 and b >= 0xA1)
    n_hangul = len({char for char in text if "가" <= char <= "힣"})
    return score, 1.0 if score == 1.0 and n_hangul >= 5 else -0.5


def _japanese(data: bytes, text: str) -> tuple[float, float]:
    def is_ordinary(a: int, b: int) -> bool:  # kana, and level 1 of JIS X 0208
        return (a in (0x82, 0x83) and b >= 0x40) or 0x88 <= a <= 0x97 or (a == 0x81 and b == 0x5B)

    return _double_bytes(data, is_ordinary), 0.0


def _taiwanese(data: bytes, text: str) -> tuple[float, float]:
    return _double_bytes(data, lambda a, b: 0xA4 <= a <= 0xC6), -0.2


def _cyrillic(data: bytes, text: str) -> tuple[float, float]:
    words = re.findall(r"[^\W\d_]+", text)
    foreign = [word for word in words if not word.isascii()]
    good = [word for word in foreign if all("Ѐ" <= char <= "ӿ" for char in word)]
    # a capital inside a word of small letters betrays another page
    good = [word for word in good if word in (word.lower(), word.upper(), word.capitalize())]
    n_foreign = sum(not char.isascii() for char in text)
    letters = "".join(good).lower()
    common = sum(char in _COMMON_CYRILLIC for char in letters) / max(len(letters), 1)
    return sum(map(len, good)) / max(n_foreign, 1), common - 0.5


def _western(data: bytes, text: str) -> tuple[float, float]:
    # accented letters stand alone or in pairs beside plain ones
    n_foreign = sum(not char.isascii() for char in text)
    good = 0
    for word in re.findall(r"[^\W\d_]+", text):
        accented = [char for char in word if not char.isascii()]
        is_latin = all("LATIN" in unicodedata.name(char, "") for char in accented)
        is_cased = word in (word.lower(), word.upper(), word.capitalize())
        if is_latin and is_cased and len(accented) <= 0.6 * len(word):
            good += len(accented)
    return good / max(n_foreign, 1), 0.5


# In the order in which they are believed where two fit alike.
_PAGES: tuple[tuple[str, str, Callable[[bytes, str], tuple[float, float]]], ...] = (
    ("cp437", "Western, DOS", _western),
    ("cp850", "Western, DOS", _western),
    ("cp1252", "Western, Windows", _western),
    ("cp852", "Central European, DOS", _western),
    ("cp1250", "Central European, Windows", _western),
    ("gbk", "Chinese, GBK", _chinese),
    ("cp932", "Japanese, Shift-JIS", _japanese),
    ("cp949", "Korean, EUC-KR", _korean),
    ("cp950", "Chinese, Big5", _taiwanese),
    ("cp866", "Cyrillic, DOS", _cyrillic),
    ("cp1251", "Cyrillic, Windows", _cyrillic),
    ("koi8_r", "Cyrillic, KOI8-R", _cyrillic),
)
