"""Which CLIP models there are: licence, size, how to get each, and whether it is here already.

Looking whether a model is here never touches the network; `fetch` is the only thing that does.
Weights come through huggingface_hub into its own cache, so models fetched by other programs are
found, and an interrupted download goes on where it stopped.
"""

import contextlib
import difflib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import open_clip
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.utils import get_session
from open_clip.transform import PreprocessCfg

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.mini import (
    MINI_DESCRIPTION,
    MINI_DETAIL_STAGES,
    MINI_IMAGE_SIZE,
    MINI_INTERPOLATION,
    MINI_LICENCE,
    MINI_MEAN,
    MINI_NAME,
    MINI_STD,
    build_mini,
    mini_weight_files,
)
from coop_demo.errors import BackboneError
from coop_demo.wording import listed

#: names a repository's weights may have, the preferred one first
WEIGHT_NAMES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
CONFIG_NAME = "open_clip_config.json"
OPEN_CLIP = "open_clip:"  # before ARCHITECTURE/TAG, any of open_clip's own table


@dataclass(frozen=True)
class CatalogEntry:
    """A model that can be chosen by name."""

    name: str
    title: str
    architecture: str  # open_clip's name; QuickGELU where the weights were trained with it
    tag: str  # open_clip's name of the weights
    licence: str
    download_mb: int  # of fp32 weights: parameters × 4 bytes
    note: str = ""

    @property
    def repository(self) -> str:
        """The model hub's repository, by open_clip's own table."""
        return "/".join(self._hub_path[:2])

    @property
    def weight_names(self) -> tuple[str, ...]:
        """Names its weights may have in that repository, the preferred one first."""
        own = "/".join(self._hub_path[2:])
        return (own, *WEIGHT_NAMES) if own else WEIGHT_NAMES

    @property
    def _hub_path(self) -> list[str]:
        config = open_clip.get_pretrained_cfg(self.architecture, self.tag)
        return config["hf_hub"].rstrip("/").split("/")


#: sizes: parameter counts of open_clip's configurations × 4 bytes; licences: the weights' own cards
CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(MINI_NAME, MINI_DESCRIPTION, "", "", MINI_LICENCE, 0, "ships with the app"),
    CatalogEntry("ViT-B-32", "OpenAI CLIP ViT-B/32", "ViT-B-32-quickgelu", "openai", "MIT", 605),
    CatalogEntry("ViT-B-16", "OpenAI CLIP ViT-B/16", "ViT-B-16-quickgelu", "openai", "MIT", 598),
    CatalogEntry("ViT-L-14", "OpenAI CLIP ViT-L/14", "ViT-L-14-quickgelu", "openai", "MIT", 1710),
    CatalogEntry("RN50", "OpenAI CLIP ResNet-50", "RN50-quickgelu", "openai", "MIT", 408),
    CatalogEntry("RN101", "OpenAI CLIP ResNet-101", "RN101-quickgelu", "openai", "MIT", 479),
    CatalogEntry(
        "ViT-B-32-laion", "LAION CLIP ViT-B/32", "ViT-B-32", "laion2b_s34b_b79k", "MIT", 605
    ),
    CatalogEntry(
        "ConvNeXt-L-d-320",
        "LAION CLIP ConvNeXt-L at 320 px",
        "convnext_large_d_320",
        "laion2b_s29b_b131k_ft_soup",
        "MIT",
        1407,
        "the ranking-aware adapter's own backbone",
    ),
)


@dataclass(frozen=True)
class ModelStatus:
    """A catalog entry with what is known without the network."""

    name: str
    title: str
    licence: str
    download_mb: int
    on_this_computer: bool
    note: str


def list_models() -> list[ModelStatus]:
    """Every catalog model and whether it is on this computer. Never touches the network."""
    return [
        ModelStatus(e.name, e.title, e.licence, e.download_mb, is_local(e.name), e.note)
        for e in CATALOG
    ]


def find(name: str) -> CatalogEntry | None:
    """The catalog entry of a name, or None. `ViT-B/16` and `vit-b-16` are ViT-B-16."""
    if name.startswith(OPEN_CLIP):
        return _open_clip_entry(name)
    wanted = name.strip().lower().replace("/", "-")
    return next((entry for entry in CATALOG if entry.name.lower() == wanted), None)


def _open_clip_entry(name: str) -> CatalogEntry:
    """An entry for any pair of architecture and weights that open_clip lists.

    Raises:
        BackboneError: open_clip knows no such architecture, or no such weights of it.
    """
    architecture, _, tag = name.removeprefix(OPEN_CLIP).partition("/")
    known = {one.lower(): one for one in open_clip.list_models()}
    if architecture.lower() not in known:
        close = difflib.get_close_matches(architecture, open_clip.list_models(), n=3)
        hint = f" Did you mean {listed(close)}?" if close else ""
        raise BackboneError(f'open_clip has no architecture "{architecture[:80]}".{hint}')
    architecture = known[architecture.lower()]
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    config = open_clip.get_pretrained_cfg(architecture, tag) if tag else {}
    if not config.get("hf_hub"):
        raise BackboneError(
            f'open_clip has no weights "{tag[:80]}" of {architecture}. Choose '
            f"{OPEN_CLIP}{architecture}/ and one of {listed(tags, 20) or 'none that it lists'}."
        )
    return CatalogEntry(
        f"{OPEN_CLIP}{architecture}/{tag}",
        f"{architecture} ({tag})",
        architecture,
        tag,
        "its own",
        0,
        "as open_clip lists it",
    )


def is_local(name: str) -> bool:
    """Whether a model can be loaded without the network.

    Raises:
        BackboneError: the name is not one this app or open_clip knows.
    """
    return _local_files(name) is not None


def load_backbone(name: str, *, device: str = "cpu") -> Backbone:
    """Load a model that is on this computer. Never touches the network.

    Args:
        name: a catalog name, `open_clip:ARCHITECTURE/TAG`, `hf-hub:organisation/repository` or
            `local-dir:FOLDER`.

    Raises:
        BackboneError: the name is unknown, the model is not here yet, its files are damaged, or
            its text tower cannot be used for prompts.
    """
    files = _local_files(name)
    if files is None:
        raise BackboneError(
            f"The model {name} is not on this computer yet. Fetch it first: "
            f"python -m coop_demo models --fetch {name}, or the Fetch button on the page."
        )
    entry = find(name)
    if entry is not None and entry.name == MINI_NAME:
        return _load_mini(device)
    try:
        if entry is not None:
            return _load_catalog_model(entry, files[0], device)
        return _load_folder(name, files[0].parent, files, device)
    except BackboneError:
        raise
    except Exception as error:  # whatever a damaged file makes torch or open_clip raise
        raise BackboneError(
            f"The model {name} could not be loaded from {files[0]}: {_first_line(error)}. "
            "Delete the file and fetch the model again."
        ) from error


def fetch(name: str, *, tqdm_class: Any = None, endpoint: str | None = None) -> list[Path]:
    """Bring a model to this computer; nothing happens when it is here already.

    Args:
        name: a catalog name, `open_clip:ARCHITECTURE/TAG` or `hf-hub:organisation/repository`.
        tqdm_class: draws the progress; huggingface_hub's own bar when None. What it raises stops
            the download; the next one goes on from there.
        endpoint: another model hub, for instance a mirror; HF_ENDPOINT when None.

    Raises:
        BackboneError: the name is unknown, there is no connection, or the repository is missing,
            gated or without open_clip weights.
    """
    here = _local_files(name)
    if here is not None:
        return here
    entry = find(name)
    if entry is not None:
        repository, wanted, weights = entry.repository, (), entry.weight_names
    else:
        repository, wanted = name.removeprefix("hf-hub:"), (CONFIG_NAME,)
        weights = WEIGHT_NAMES
    endpoint = endpoint or os.environ.get("HF_ENDPOINT") or None

    def download(filename: str) -> Path:
        return Path(hf_hub_download(repository, filename, tqdm_class=tqdm_class, endpoint=endpoint))

    _require_connection(name, endpoint or constants.ENDPOINT)
    try:
        files = [download(filename) for filename in wanted]
        return [_first_found(download, weights), *files]
    except (RepositoryNotFoundError, HFValidationError, GatedRepoError) as error:
        raise BackboneError(
            f'The model hub has no open repository "{repository}". Check the name, or log in if '
            "it is private or asks for consent."
        ) from error
    except LocalEntryNotFoundError as error:  # the connection was lost on the way
        raise _no_connection(name, error) from error
    except EntryNotFoundError as error:
        raise BackboneError(
            f'The repository "{repository}" holds no open_clip weights. Choose one whose files '
            f"include {WEIGHT_NAMES[0]}."
        ) from error
    except (OSError, httpx.HTTPError) as error:
        raise _no_connection(name, error) from error


def _require_connection(name: str, endpoint: str) -> None:
    """Ask the hub for anything at all, so that being offline is said now, not after retries."""
    try:
        get_session().head(endpoint, timeout=5)
    except Exception as error:  # whatever HTTP client huggingface_hub brought
        raise _no_connection(name, error) from error


def _first_found(download: Any, names: Sequence[str]) -> Path:
    for filename in names[:-1]:
        try:
            return download(filename)
        except EntryNotFoundError as error:
            if isinstance(error, LocalEntryNotFoundError):  # not looked for: no connection
                raise
    return download(names[-1])


def _no_connection(name: str, error: Exception) -> BackboneError:
    return BackboneError(
        f"The model {name} could not be fetched: no connection to the model hub "
        f"({_first_line(error)}). Everything you made and the model in use stay as they are; try "
        "again when this computer is online."
    )


def _local_files(name: str) -> list[Path] | None:
    """The files of a model that is here (weights first), or None.

    Raises:
        BackboneError: unknown name, or a folder that is none or holds no model.
    """
    entry = find(name)
    if entry is not None:
        if entry.name == MINI_NAME:
            return []
        path = _cached(entry.repository, entry.weight_names)
        return None if path is None else [path]
    if name.startswith("hf-hub:"):
        repository = name.removeprefix("hf-hub:")
        config, weights = _cached(repository, [CONFIG_NAME]), _cached(repository, WEIGHT_NAMES)
        return None if config is None or weights is None else [weights, config]
    if name.startswith("local-dir:"):
        folder = Path(name.removeprefix("local-dir:")).expanduser()
        if not (folder / CONFIG_NAME).is_file():
            raise BackboneError(
                f'The folder "{folder}" holds no {CONFIG_NAME}. Choose a folder saved by open_clip.'
            )
        weights = [folder / filename for filename in WEIGHT_NAMES if (folder / filename).is_file()]
        if not weights:
            raise BackboneError(
                f'The folder "{folder}" holds no weights. Put {WEIGHT_NAMES[0]} beside '
                f"{CONFIG_NAME}."
            )
        return [weights[0], folder / CONFIG_NAME]
    known = ", ".join(entry.name for entry in CATALOG)
    raise BackboneError(
        f'There is no model "{name}". Choose one of {known}, or give open_clip:ARCHITECTURE/TAG, '
        "hf-hub:organisation/repository or local-dir:FOLDER."
    )


def _cached(repository: str, names: Sequence[str]) -> Path | None:
    for filename in names:
        try:
            path = try_to_load_from_cache(repository, filename)
        except HFValidationError as error:
            raise BackboneError(
                f'"{repository}" is not a repository name. Write hf-hub:organisation/repository.'
            ) from error
        if isinstance(path, str):
            return Path(path)
    return None


def _load_mini(device: str) -> Backbone:
    preprocess = PreprocessCfg(
        size=MINI_IMAGE_SIZE,
        mean=MINI_MEAN,
        std=MINI_STD,
        interpolation=MINI_INTERPOLATION,
    )
    return Backbone(
        build_mini(),
        name=MINI_NAME,
        title=MINI_DESCRIPTION,
        preprocess=preprocess,
        tokenizer=open_clip.tokenizer.SimpleTokenizer(),
        # the image network comes from a package of one fixed version; its own files tell the rest
        weight_files=mini_weight_files(),
        mean_pooled=True,
        detail_stages=MINI_DETAIL_STAGES,
        text_ends_at_eot=True,
        device=device,
    )


def _load_catalog_model(entry: CatalogEntry, weights: Path, device: str) -> Backbone:
    config = open_clip.get_pretrained_cfg(entry.architecture, entry.tag)
    model = open_clip.create_model(
        entry.architecture,
        pretrained=str(weights),
        force_quick_gelu=bool(config.get("quick_gelu")),
    )
    size = model.visual.image_size  # type: ignore[union-attr]
    preprocess = PreprocessCfg(
        size=size,  # type: ignore[arg-type]
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"],
        resize_mode=config["resize_mode"],
    )
    return Backbone(
        model,
        name=entry.name,
        title=entry.title,
        preprocess=preprocess,
        tokenizer=open_clip.get_tokenizer(entry.architecture),
        weight_files=[weights],
        device=device,
    )


def _load_folder(name: str, folder: Path, files: list[Path], device: str) -> Backbone:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
        if config.get("model_cfg", {}).get("text_cfg", {}).get("hf_tokenizer_name"):
            raise BackboneError(
                f"The model {name} reads text with a tokenizer of its own, which this app cannot "
                "use. Choose a model with CLIP's tokenizer."
            )
    model = open_clip.create_model(f"local-dir:{folder}")
    return Backbone(
        model,
        name=name,
        preprocess=PreprocessCfg(**model.visual.preprocess_cfg),  # type: ignore[arg-type]
        tokenizer=open_clip.get_tokenizer(f"local-dir:{folder}"),
        weight_files=files[:1],
        device=device,
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:160] if text else type(error).__name__
