"""A ranker as one safetensors file, checked in full when it is read.

The tensors are the adapter's, under its parameter names; the metadata's `ranker` is JSON: format,
version, title, backbone identity, adapter settings, learned instructions, training settings and
history. No pickle anywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.checkpoints import CheckpointKind, is_history, is_shown_name, read_tensors
from coop_demo.data.near_copies import are_digits
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.losses import LossConfig
from coop_demo.ranking.ranker import (
    LearnedInstruction,
    Ranker,
    RankerTrainConfig,
    Reliability,
)
from coop_demo.settings import CHECKPOINT_DIR, ranker_folder

RANKER = CheckpointKind(
    noun="ranker",
    format="coop-studio-ranker",
    version=2,  # 2: pictures are read whole, and for mini with detail beside the joint tokens
    max_bytes=512 * 2**20,  # the paper's setting at width 768 is 163 MB
    error=RankingError,
)
MAX_INSTRUCTIONS = 10_000


def shipped_ranker_path(backbone_name: str) -> Path | None:
    """The ranker file that ships for a backbone, None where none does."""
    if not re.fullmatch(r"[\w.-]+", backbone_name):  # a name may be a path or a model hub's
        return None
    path = CHECKPOINT_DIR / f"ranker-{backbone_name}.safetensors"
    return path if path.is_file() else None


def ranker_to_bytes(ranker: Ranker, *, half: bool = False) -> bytes:
    """The ranker as the contents of a safetensors file; `half` stores fp16, at half the size."""
    description = {
        "title": ranker.title,
        "backbone": ranker.backbone,
        "adapter_config": ranker.config.to_mapping(),
        "instructions": [asdict(one) for one in ranker.instructions],
        "train_config": asdict(ranker.train_config) if ranker.train_config else None,
        "history": list(ranker.history),
        "learned_from": None if ranker.learned_from is None else list(ranker.learned_from),
        "looks": list(ranker.looks),
        "sources_complete": ranker.sources_complete,
        "reliability": {kind: asdict(one) for kind, one in ranker.reliability.items()},
    }
    dtype = torch.float16 if half else torch.float32
    state = {name: tensor.to(dtype) for name, tensor in ranker.state.items()}
    return RANKER.to_bytes(state, description)


def save_ranker(ranker: Ranker, path: str | Path, *, half: bool = False) -> Path:
    """Write the ranker to `path`; the folder is made if it is not there.

    Raises:
        RankingError: the file cannot be written.
    """
    return RANKER.write(ranker_to_bytes(ranker, half=half), path)


def ranker_backbone(path: str | Path) -> str:
    """Identity (name and weights hash) of the backbone a ranker file was trained for.

    Raises:
        RankingError: the file is not a ranker saved by this app.
    """
    if _is_reference(Path(path)):
        raise _unconverted(Path(path))
    return _read_metadata(Path(path))["backbone"]


def ranker_model(path: str | Path) -> str:
    """The name to load a ranker's backbone by.

    A model that was converted with it and moved together with it is found beside it.

    Raises:
        RankingError: the file is not a ranker saved by this app.
    """
    path = Path(path)
    name = ranker_backbone(path).rpartition("@")[0]
    beside = path.with_name(f"{path.stem}-backbone")
    if name.startswith("local-dir:") and not Path(name.removeprefix("local-dir:")).is_dir():
        return f"local-dir:{beside.resolve()}" if beside.is_dir() else name
    return name


@dataclass(frozen=True)
class RankerFile:
    """A ranker on this computer that the page offers."""

    path: Path
    title: str
    model: str  # the name its backbone is loaded by


def offered_rankers(folder: Path | None = None) -> tuple[RankerFile, ...]:
    """The rankers in a folder (COOP_DEMO_RANKERS when None), by name; other files are passed over.

    Nothing but their descriptions is read.
    """
    folder = ranker_folder() if folder is None else folder
    if folder is None or not folder.is_dir():
        return ()
    found = []
    for path in sorted(folder.glob("*.safetensors")):
        try:
            title = _read_metadata(path)["title"]
            found.append(RankerFile(path, title.strip() or path.stem, ranker_model(path)))
        except RankingError:
            continue
    return tuple(found)


def load_ranker(path: str | Path, backbone: Backbone | None = None) -> Ranker:
    """Read and check a ranker file.

    Args:
        path: a file that `save_ranker` wrote. A checkpoint of the authors is a backbone and a
            ranker: `ranking.official.convert` makes both of it.
        backbone: the model it will be used with; checked when given.

    Raises:
        RankingError: the file is no ranker, is damaged, holds numbers that are not finite, or
            was trained for another backbone or other weights of it.
    """
    path = Path(path)
    if _is_reference(path):
        raise _unconverted(path)
    metadata = _read_metadata(path)
    try:
        config = AdapterConfig.from_mapping(metadata["adapter_config"])
        instructions = tuple(LearnedInstruction(**one) for one in metadata["instructions"])
        train_config = _train_config(metadata["train_config"])
        reliability = {
            str(kind): Reliability(**one) for kind, one in metadata.get("reliability", {}).items()
        }
        state = read_tensors(path)
    except (TypeError, KeyError, ValueError, SafetensorError, OSError) as error:
        raise RANKER.damaged(path, "its contents do not belong together") from error
    except RankingError as error:
        raise RANKER.damaged(path, str(error)) from error
    if not all(_instruction_is_sound(one) for one in instructions):
        raise RANKER.damaged(path, "the scale of one of its instructions is not a usable number")
    if not all(_is_sound_figure(one) for one in reliability.values()):
        raise RANKER.damaged(path, "what its orders are worth is not a usable number")
    sources = metadata.get("learned_from")
    if sources is None and path.parent == CHECKPOINT_DIR:
        sources = []  # its card says what it learned from: nothing that a person brings
    ranker = Ranker(
        config=config,
        state={name: tensor.float() for name, tensor in state.items()},
        backbone=metadata["backbone"],
        instructions=instructions,
        train_config=train_config,
        history=tuple(metadata["history"]),
        title=metadata["title"],
        learned_from=None if sources is None else tuple(sources),
        looks=tuple(metadata.get("looks", ())),
        sources_complete=metadata.get("sources_complete", True) is True,
        reliability=reliability,
    )
    if backbone is not None:
        ranker.check_backbone(backbone)
    try:
        RankingAdapter.from_state(config, ranker.state)  # names, shapes, finite numbers
    except RankingError as error:
        raise RANKER.damaged(path, str(error)) from error
    return ranker


def ranker_from_reference(
    state: Mapping[str, Tensor], backbone: Backbone, *, heads: int = 8, title: str = ""
) -> Ranker:
    """A ranker from the `adapter.*` entries of a checkpoint of the authors' code.

    Args:
        state: the whole model's state dict, or its adapter entries; other entries are passed over.
        backbone: the model the checkpoint was trained on (ConvNeXt-L-d-320 in the paper).
        heads: attention heads, which leave no trace in the weights; 8 in the authors' code.

    Raises:
        RankingError: the entries are not a ranking-aware adapter's, or of one for another width.
    """
    entries = {
        name.removeprefix("module.").removeprefix("adapter."): tensor.detach().float().cpu()
        for name, tensor in state.items()
        if name.removeprefix("module.").startswith("adapter.")
    }
    config = AdapterConfig.from_state(entries, heads=heads)
    RankingAdapter.from_state(config, entries)
    ranker = Ranker(config, entries, backbone.identity, title=title)
    ranker.check_backbone(backbone)
    return ranker


def _train_config(values: dict | None) -> RankerTrainConfig | None:
    if values is None:
        return None
    return RankerTrainConfig(**{**values, "loss": LossConfig(**values["loss"])})


def _instruction_is_sound(one: LearnedInstruction) -> bool:
    numbers = (one.offset, one.scale, one.lowest, one.highest, one.n_pictures)
    return (
        isinstance(one.instruction, str)
        and is_shown_name(one.instruction)
        and all(isinstance(n, int | float) and math.isfinite(n) for n in numbers)
        and one.scale > 0
        and (one.held_out is None or _is_srcc(one.held_out))
        and type(one.drawn) is bool
    )


def _is_sound_figure(one: Reliability) -> bool:
    return _is_srcc(one.srcc) and _is_srcc(one.lowest) and type(one.n_instructions) is int


def _is_srcc(value: object) -> bool:
    return type(value) is float and -1 <= value <= 1


def _is_reference(path: Path) -> bool:
    """Whether a file holds the authors' adapter entries and nothing of ours."""
    try:
        with safe_open(str(path), "pt") as file:
            entries = (name.removeprefix("module.") for name in file.keys())  # noqa: SIM118
            ours = "ranker" in (file.metadata() or {})
            return not ours and any(name.startswith("adapter.") for name in entries)
    except (SafetensorError, OSError):
        return False


def _read_metadata(path: Path) -> dict[str, Any]:
    metadata, _ = RANKER.read(path)
    instructions, history = metadata.get("instructions"), metadata.get("history")
    whole = (
        isinstance(metadata.get("backbone"), str)
        and isinstance(metadata.get("title"), str)
        and is_shown_name(metadata["title"])
        and isinstance(metadata.get("adapter_config"), dict)
        and isinstance(metadata.get("train_config"), dict | None)
        and isinstance(instructions, list)
        and len(instructions) <= MAX_INSTRUCTIONS
        and all(isinstance(one, dict) for one in instructions)
        and is_history(history)
        and are_digits(metadata.get("learned_from") or [], 16)
        and are_digits(metadata.get("looks", []), 112)
        and isinstance(metadata.get("reliability", {}), dict)
        and all(isinstance(one, dict) for one in metadata.get("reliability", {}).values())
    )
    if not whole:
        raise RANKER.damaged(path, "parts of its description are missing or of the wrong kind")
    return metadata


def _unconverted(path: Path) -> RankingError:
    return RankingError(
        f'"{path.name}" holds the adapter of an official checkpoint, whose scores are right only '
        "on the image and text towers it was trained with. Convert the whole checkpoint: "
        "python -m coop_demo convert CHECKPOINT.pt --out ranker.safetensors"
    )
