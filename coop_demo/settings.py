"""Limits and environment variables, each with the reason for its value."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

PACKAGE_DIR = Path(__file__).resolve().parent
PROJECT_DIR = PACKAGE_DIR.parent


def _shipped_folder(name: str) -> Path:
    """A folder that ships with the app: inside the package once pip has installed it, beside the
    package in a checkout."""
    inside = PACKAGE_DIR / name
    return inside if inside.is_dir() else PROJECT_DIR / name


CHECKPOINT_DIR = _shipped_folder("checkpoints")
ASSETS_DIR = _shipped_folder("assets")

DEFAULT_BACKBONE = "mini"  # there the moment the app starts: no download


def environment_backbone() -> str:
    """Name of the backbone asked for by COOP_DEMO_BACKBONE, else the built-in one."""
    return os.environ.get("COOP_DEMO_BACKBONE", "").strip() or DEFAULT_BACKBONE


def ranker_folder() -> Path | None:
    """Folder of this computer whose rankers the page offers, from COOP_DEMO_RANKERS.

    An official ranker is too large to be uploaded, and needs the model converted beside it.
    """
    named = os.environ.get("COOP_DEMO_RANKERS", "").strip()
    return Path(named).expanduser() if named else None


def index_folder() -> Path | None:
    """An index of this computer that the page opens for everybody, from COOP_DEMO_INDEX.

    Only the owner names it: its pictures are shown to whoever comes to the page.
    """
    named = os.environ.get("COOP_DEMO_INDEX", "").strip()
    return Path(named).expanduser() if named else None


CACHE_BYTES = 10**9  # features on disk: half a million vectors of mini, or 5,000 images' tokens


def cache_folder() -> Path | None:
    """Where features are kept between runs; None where they are not.

    COOP_DEMO_CACHE names another folder, or says `off`. On Hugging Face Spaces it is off unless a
    folder is named: its disk is lost with every start, and it belongs to many people.
    """
    wanted = os.environ.get("COOP_DEMO_CACHE", "").strip()
    if wanted.lower() == "off":
        return None
    try:
        if wanted:
            return Path(wanted).expanduser()
        return None if os.environ.get("SPACE_ID") else _user_cache_folder() / "coop-demo"
    except RuntimeError:  # no home folder
        return None


def _user_cache_folder() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "").strip()
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME", "").strip())
    return named if named.is_absolute() else Path.home() / ".cache"


def sessions_folder() -> Path | None:
    """Where what people made is kept between runs; None where it is not.

    COOP_DEMO_SESSIONS names another folder, or says `off`. On Hugging Face Spaces it is off unless
    a folder is named: nothing of a visitor outlives the container.
    """
    wanted = os.environ.get("COOP_DEMO_SESSIONS", "").strip()
    if wanted.lower() == "off":
        return None
    try:
        if wanted:
            return Path(wanted).expanduser().absolute()
        if os.environ.get("SPACE_ID"):
            return None
        return _user_data_folder() / "coop-demo" / "sessions"
    except RuntimeError:  # no home folder
        return None


def _user_data_folder() -> Path:
    if sys.platform == "win32":
        return _user_cache_folder()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    named = Path(os.environ.get("XDG_DATA_HOME", "").strip())
    return named if named.is_absolute() else Path.home() / ".local" / "share"


def on_zero_gpu() -> bool:
    """Whether this is a ZeroGPU Space, which lends its GPU for one call at a time."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true", "t")


@dataclass(frozen=True)
class Limits:
    """What one person may ask of the app; each bound keeps one visitor from stopping the others."""

    max_decode_bytes: int = (
        400_000_000  # memory one picture may take: 40 megapixels of most formats
    )
    max_jpeg_pixels: int = 200_000_000  # JPEGs decode at 1/2 to 1/8 of their size; this takes 1.5 s
    max_file_bytes: int = 64 * 2**20  # one picture on disk
    max_upload: str = "100mb"  # one upload to the page, a zip of phone pictures included
    max_zip_files: int = 5_000  # entries in one archive
    max_zip_bytes: int = 500 * 2**20  # all entries of one archive, unpacked
    max_zip_ratio: int = 200  # unpacked size over packed size of one entry: a bomb above it
    max_table_bytes: int = 32 * 2**20  # one CSV: some 300,000 rows, read into memory at once
    max_classes_page: int = 10  # class rows on the page; the command line has no such limit
    max_pictures_per_class_page: int = 200  # enough for 16 shots and a held-out part
    max_classes: int = 1_000  # of one set on the page or at an endpoint: ImageNet's number
    max_class_name: int = 200  # characters; the token limit is checked apart, by the tokenizer
    max_template: int = 300  # characters of a prompt or of words to look for; models read 77 tokens
    max_instruction: int = 3_000  # characters to rank by; the tokenizer counts more closely
    max_session_bytes: int = 500 * 2**20  # all pictures of one person: a whole zip of them
    max_all_sessions_bytes: int = 4 * 2**30  # everybody's pictures: eight people with all they may
    max_uploads_bytes: int = 4 * 2**30  # files sent to the page that no session has taken yet
    max_jobs: int = 3  # trainings of one client that run or wait; thirty people share two places
    max_in_line: int = 120  # everybody's: thirty people with all they may, and a reserve
    max_training_seconds: int = 30 * 60  # on the page and at the endpoints: others wait behind it
    working_side: int = 640  # the longer side kept in memory after loading, in pixels


LIMITS = Limits()
