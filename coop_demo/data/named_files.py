"""Which of some files a table's cell means, however it is written."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

_Parts = tuple[str, ...]


def path_parts(written: str) -> _Parts:
    """A path of a table as its parts: `.\\a\\..\\b.png`, `./b.png` and `b.png` are all (b.png,).

    A `..` that leads out of everything stays in front.
    """
    parts: list[str] = []
    for part in written.replace("\\", "/").split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return tuple(parts)


class NamedFiles:
    """Files known by the parts of their paths, found again by what a person wrote for them.

    A whole path comes before a part of one, the exact spelling before another case, Unicode form
    or missing suffix; where several files fit alike, none is taken.

    Args:
        paths: the parts of each file's path.
        by_name: take a file of the right name from another folder too. Otherwise the written path
            must be the end of the file's, or the other way round: test/1.png is not train/1.png.
    """

    def __init__(self, paths: Iterable[_Parts], *, by_name: bool = False) -> None:
        self.paths = list(paths)
        self.by_name = by_name
        self._exact = {path: number for number, path in enumerate(self.paths)}
        self._by_name: dict[str, list[int]] | None = None

    def find(self, written: str, *, beside: _Parts = ()) -> list[int]:
        """The positions of the files that fit best: none, one, or several that fit alike.

        Args:
            written: the cell.
            beside: the folder of the table, where paths start from unless they start higher up.
        """
        parts = path_parts(written)
        if not parts:
            return []
        for start in (beside, ()):
            path = path_parts("/".join((*start, *parts)))
            if path in self._exact:
                return [self._exact[path]]
        if self._by_name is None:
            self._by_name = {}
            for number, path in enumerate(self.paths):
                for key in dict.fromkeys((_key(path[-1]), _key(_stem(path[-1])))):
                    self._by_name.setdefault(key, []).append(number)
        alike = self._by_name.get(_key(parts[-1]), [])
        wanted = [_key(part) for part in parts]
        for start in ([_key(part) for part in beside], []):
            whole = [n for n in alike if self._keys(n, wanted) == [*start, *wanted]]
            if whole:
                return whole
        # the table may count from another folder: the longest common end decides
        best: list[int] = []
        most = 0
        for number in alike:
            keys = self._keys(number, wanted)
            common = _common_end(keys, wanted)
            if not self.by_name and common < min(len(keys), len(wanted)):
                continue
            if common > most:
                best, most = [number], common
            elif common == most:
                best.append(number)
        return best

    def _keys(self, number: int, wanted: Sequence[str]) -> list[str]:
        keys = [_key(part) for part in self.paths[number]]
        if keys[-1] != wanted[-1]:  # the cell has no suffix
            keys[-1] = _key(_stem(self.paths[number][-1]))
        return keys


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    common = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        common += 1
    return common


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name
