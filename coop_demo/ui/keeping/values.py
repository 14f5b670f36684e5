"""Our dataclasses <-> plain JSON values with tensors and files beside them; never pickle.

What JSON does not know stands in it as a mark, an object with one key that begins with `$`:
a tensor by its name in the safetensors file, a picture by its file, a prompt or ranker by its
checkpoint. Reading checks everything: a project file comes from anybody.
"""

import hashlib
import math
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import torch
from cattrs import Converter
from torch import Tensor

from coop_demo.data.dataset import Picture
from coop_demo.data.near_copies import Look
from coop_demo.letters import printable
from coop_demo.prompts.checkpoint import prompt_to_bytes, read_prompt
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.ranking.checkpoint import load_ranker, ranker_to_bytes
from coop_demo.ranking.ranker import Ranker
from coop_demo.settings import ASSETS_DIR
from coop_demo.ui.rank.shared import mark_of, shared_by_mark

T = TypeVar("T")

PICTURES, PROMPTS, RANKERS = "pictures", "prompts", "rankers"  # folders
GONE = Path("gone")  # the source of a picture that was never on this computer's disk
_MOST_LETTERS = 20_000  # of one text; the longest is a box of templates
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CONTENT = re.compile(r"[0-9a-f]{32}")  # of `content_hash`
_PICTURE = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
_LEAVES = (Tensor, np.ndarray, Picture, LearnedPrompt, Ranker, Look, Path)


class NotOurs(ValueError):
    """What was read is nothing that this app has written."""


@dataclass
class Writer:
    """One document being made of values.

    Args:
        pictures: the folder in which the person's pictures lie.
        keep: `keep("prompts/….safetensors", contents)` puts a file beside the document, unless it
            is there already.
    """

    pictures: Path
    keep: Callable[[str, bytes], None]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)  # beside the document, which it needs
    _names: dict[int, str] = field(default_factory=dict)

    def plain(self, value: Any) -> Any:
        """The value as plain JSON, with marks."""
        return self._plain(_converter().unstructure(value))

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            pairs = [(str(key), self._plain(one)) for key, one in value.items()]
            if any(key.startswith("$") for key, _ in pairs):
                return {"$dict": [list(pair) for pair in pairs]}
            return dict(pairs)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._plain(one) for one in value]
        if isinstance(value, float) and not math.isfinite(value):
            return {"$float": str(value)}
        if isinstance(value, Tensor):
            return {"$tensor": self._tensor(value, value)}
        if isinstance(value, np.ndarray):
            return {"$array": self._tensor(value, torch.from_numpy(value.copy()))}
        if isinstance(value, Picture):
            return {"$picture": self._picture(value)}
        if isinstance(value, LearnedPrompt):
            return {"$prompt": self._prompt(value)}
        if isinstance(value, Ranker):
            return {"$ranker": self._ranker(value)}
        if isinstance(value, Look):
            return {"$look": value.text()}
        if isinstance(value, Path):
            return None  # where a thing lay here means nothing elsewhere
        assert value is None or isinstance(value, bool | int | float | str), type(value)
        return value

    def _tensor(self, owner: object, tensor: Tensor) -> str:
        name = self._names.setdefault(id(owner), str(len(self._names)))
        # a clone: safetensors refuses two that share memory
        self.tensors.setdefault(name, tensor.detach().cpu().contiguous().clone())
        return name

    def _picture(self, picture: Picture) -> tuple[Any, ...]:
        place, source = "", picture.source
        if isinstance(source, Path):
            if source.parent == self.pictures:
                place = f"{PICTURES}/{source.name}"
                self.files.add(place)
            elif source.is_relative_to(ASSETS_DIR):
                place = f"assets/{source.relative_to(ASSETS_DIR).as_posix()}"
        return (picture.name, place, picture.content, list(picture.notes))

    def _prompt(self, prompt: LearnedPrompt) -> tuple[str, str]:
        place = self._beside(PROMPTS, prompt_to_bytes(prompt))
        return place, self._tensor(prompt.class_weights, prompt.class_weights)

    def _ranker(self, ranker: Ranker) -> str:
        return mark_of(ranker) or self._beside(RANKERS, ranker_to_bytes(ranker))

    def _beside(self, folder: str, contents: bytes) -> str:
        place = f"{folder}/{hashlib.sha256(contents).hexdigest()}.safetensors"
        self.keep(place, contents)
        self.files.add(place)
        return place


@dataclass
class Reader:
    """One document being read.

    Args:
        folder: where the document's files lie, in `prompts` and `rankers`.
        pictures_at: where the person's pictures lie.
        tensors: those beside it.
        pictures: every picture that was read, by content.
    """

    folder: Path
    pictures_at: Path
    tensors: Mapping[str, Tensor]
    pictures: dict[str, Picture] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)  # prompts and rankers that were read
    _known: dict[tuple, Any] = field(default_factory=dict)  # one thing stays one thing

    def value(self, plain: Any, kind: type[T]) -> T:
        """Raises NotOurs: this is not what `Writer.plain` made of such a value."""
        try:
            return _converter().structure(self._marked(plain), kind)
        except NotOurs:
            raise
        except Exception as error:  # cattrs, our own checks of what belongs together, recursion
            raise NotOurs(f"{type(error).__name__}: {error}") from error

    def _marked(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return [self._marked(one) for one in plain]
        if not isinstance(plain, dict):
            return plain
        if len(plain) == 1:
            (mark, given), *_ = plain.items()
            if mark.startswith("$"):
                return self._unmarked(mark, given)
        return {key: self._marked(one) for key, one in plain.items()}

    def _unmarked(self, mark: str, given: Any) -> Any:
        if mark == "$dict":
            return {str(key): self._marked(one) for key, one in given}
        if mark == "$float":
            return float(given)
        if mark == "$tensor":
            return self.tensors[given]
        if mark == "$array":
            return self.tensors[given].numpy()
        if mark == "$look":
            return Look.from_text(given)
        readers = {"$picture": self._picture, "$prompt": self._prompt, "$ranker": self._ranker}
        if mark not in readers:
            raise NotOurs(f"unknown mark {mark[:20]}")
        key = (mark, *map(str, given)) if isinstance(given, list) else (mark, str(given))
        if key not in self._known:
            self._known[key] = readers[mark](given)
        return self._known[key]

    def _picture(self, given: list[Any]) -> Picture:
        name, place, content, notes = given
        if content is not None and not _CONTENT.fullmatch(content):
            raise NotOurs("a picture's content is not a hash")
        picture = Picture(str(name), self._source(place), content, tuple(map(str, notes)))
        if content is not None and place:
            self.pictures.setdefault(content, picture)
        return picture

    def _source(self, place: str) -> Path:
        if not place:
            return GONE
        folder, *parts = PurePosixPath(place).parts
        if any(part in ("..", "/", "") or "\\" in part for part in parts):
            raise NotOurs("a path that leads elsewhere")
        if folder == "assets":
            return ASSETS_DIR.joinpath(*parts)
        if folder != PICTURES or len(parts) != 1 or not is_picture_file(parts[0]):
            raise NotOurs("a picture with another name than it was kept by")
        return self.pictures_at / parts[0]

    def _prompt(self, given: list[str]) -> LearnedPrompt:
        place, weights = given
        return read_prompt(self._file(place, PROMPTS), self.tensors[weights])

    def _ranker(self, place: str) -> Ranker:
        folder, _, name = place.partition(":")
        if folder in ("shipped", "offered"):
            return shared_by_mark(folder, name)
        return load_ranker(self._file(place, RANKERS))

    def _file(self, place: str, folder: str) -> Path:
        name = place.removeprefix(f"{folder}/").removesuffix(".safetensors")
        if not _DIGEST.fullmatch(name):
            raise NotOurs("a file with another name than it was kept by")
        self.files.add(f"{folder}/{name}.safetensors")
        return self.folder / folder / f"{name}.safetensors"


def is_picture_file(name: str) -> bool:
    """Whether a kept picture may be called this: its content's hash and a suffix."""
    return _PICTURE.fullmatch(name) is not None


@cache
def _converter() -> Converter:
    """Knows our dataclasses; what has a mark goes through it as it is, and plain values are not
    bent into others: a number is not text."""
    converter = Converter(detailed_validation=False)
    for leaf in _LEAVES:
        converter.register_unstructure_hook(leaf, lambda value: value)
        converter.register_structure_hook(leaf, _is_a)
    for plain in (bool, int):
        converter.register_structure_hook(plain, _is_a)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(Path, lambda value, kind: None)
    converter.register_unstructure_hook_func(_is_array, lambda value: value)
    converter.register_structure_hook_func(_is_array, lambda value, kind: _is_a(value, np.ndarray))
    return converter


def _is_a(value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise NotOurs(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _text(value: Any, kind: type) -> str:
    """Text is shown: what cannot be seen stays out, and nobody wrote a book here."""
    text = _is_a(value, str)
    if len(text) > _MOST_LETTERS:
        raise NotOurs("a text that is too long")
    return printable(text, lines=True)


def _float(value: Any, kind: type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotOurs(f"{type(value).__name__} in place of a number")
    return float(value)


def _is_array(kind: Any) -> bool:
    return typing.get_origin(kind) is np.ndarray
