"""Puts a whole English sentence into another language, by its template.

The errors of the core, its notes on pictures, and what is kept of a session are English sentences
in which names and numbers stand. A language's module `sentences` has their templates,

    "{name} is empty (0 bytes). Copy or download it again.":
        "{name} ist leer (0 Byte). Kopieren Sie die Datei neu oder laden Sie sie neu herunter.",

and this finds the one a sentence was made from. What stands in its gaps is put into the language
in turn where it is a number, a count or a sentence itself; a name stays as it is.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

_GAP = re.compile(r"\{(\w+)\}")
_END = re.compile(r"(?<=[.!?”]) (?=[A-Z“\"])")  # between two sentences


class Sentences:
    """Templates of sentences, and smaller ones of what stands in their gaps."""

    def __init__(
        self,
        whole: Mapping[str, str],
        parts: Mapping[str, str],
        *,
        figures: Callable[[str], str],
        quotes: str,
    ) -> None:
        """`figures` writes a number such as 1,234.5 as the language does; `quotes` are its two
        marks."""
        self._whole = [_Template(english, other) for english, other in whole.items()]
        self._parts = [_Template(english, other) for english, other in parts.items()]
        self._figures = figures
        self._quotes = quotes
        # a page shows the same few sentences again and again
        self.translated = lru_cache(maxsize=2_000)(self._translated)

    def _translated(self, sentence: str) -> str:
        """The sentence, or several in a row, in the language; as it is where it is unknown."""
        return self._found(self._whole, sentence) or self._row(sentence) or sentence

    def _row(self, text: str) -> str:
        """Several sentences in a row, each of which may be unknown; "" where all are."""
        pieces = _END.split(text)
        if len(pieces) < 2:
            return ""
        said: list[str] = []
        is_known = False
        while pieces:
            for n in range(len(pieces), 0, -1):  # a template may hold several sentences
                found = self._found(self._whole, " ".join(pieces[:n]))
                if found:
                    is_known = True
                    break
            else:
                n, found = 1, pieces[0]
            said.append(found)
            pieces = pieces[n:]
        return " ".join(said) if is_known else ""

    def _found(self, templates: Iterable["_Template"], text: str) -> str:
        """By the template with the most words of its own that fits."""
        fitting = [
            (one.own_letters, one, match)
            for one in templates
            if (match := one.pattern.fullmatch(text)) is not None
        ]
        if not fitting:
            return ""
        _, template, match = max(fitting, key=lambda fit: fit[0])
        values = {name: self._part(value) for name, value in match.groupdict().items()}
        return _GAP.sub(lambda gap: values[gap[1]], template.other)

    def _part(self, value: str) -> str:
        if re.fullmatch(r"[+−-]?\d[\d,]*(\.\d+)?", value):
            return self._figures(value)
        if found := re.fullmatch('“([^“]*)”|"([^"]*)"', value):
            return self._quotes[0] + (found[1] or found[2] or "") + self._quotes[1]  # a name
        return self._found(self._parts, value) or self._found(self._whole, value) or value


class _Template:
    def __init__(self, english: str, other: str) -> None:
        self.other = other
        self.own_letters = len(_GAP.sub("", english))
        pieces = _GAP.split(english)  # text, name, text, name, …, text
        pattern, seen = "", set()
        for at, piece in enumerate(pieces):
            if at % 2 == 0:
                pattern += re.escape(piece)
            elif piece in seen:
                pattern += f"(?P={piece})"
            else:
                pattern += f"(?P<{piece}>.+?)"
                seen.add(piece)
        self.pattern = re.compile(pattern, re.DOTALL)
