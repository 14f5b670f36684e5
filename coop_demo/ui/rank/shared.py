"""Rankers that everybody shares: those that ship, and those that the computer's owner offers."""

from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from coop_demo.errors import RankingError
from coop_demo.ranking.checkpoint import load_ranker
from coop_demo.ranking.ranker import Ranker
from coop_demo.settings import CHECKPOINT_DIR, ranker_folder

_origins: WeakKeyDictionary[Ranker, Path] = WeakKeyDictionary()


def shared_ranker(path: Path) -> Ranker:
    """The ranker of such a file, read once.

    Raises:
        RankingError: the file is damaged.
    """
    return _read(path, path.stat().st_mtime)


@lru_cache(maxsize=4)
def _read(path: Path, modified: float) -> Ranker:
    ranker = load_ranker(path)
    _origins[ranker] = path
    return ranker


def mark_of(ranker: Ranker) -> str:
    """Where a shared ranker is found again, on any computer; "" for a person's own."""
    path = _origins.get(ranker)
    if path is None:
        return ""
    where = "shipped" if path.parent == CHECKPOINT_DIR else "offered"
    return f"{where}:{path.name}"


def shared_by_mark(where: str, name: str) -> Ranker:
    """Raises RankingError: there is no such file on this computer."""
    folder = CHECKPOINT_DIR if where == "shipped" else ranker_folder()
    path = folder / Path(name).name if folder else None
    if path is None or not path.is_file():
        raise RankingError(f"The ranker {name[:80]} is not on this computer.")
    return shared_ranker(path)


def shared_path(ranker: Ranker) -> Path | None:
    """The file a shared ranker was read from."""
    return _origins.get(ranker)
