"""The ranking-aware adapter's official checkpoints: a backbone and a ranker in one file.

A checkpoint of the authors' code (github.com/uynaes/RankingAwareCLIP at 05fc5c5) is the state dict
of the whole model. Its towers are not the published CLIP's: the image tower ends in a head of its
own, a 1 × 1 convolution applied at every location, and the text tower's embeddings, positions and
final norm were trained. Its adapter means something on these towers only, so both are converted
together. The authors' inference resizes images bilinearly (their training: bicubic); it is
inference that is followed.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
import safetensors.torch
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.catalog import load_backbone
from coop_demo.errors import RankingError
from coop_demo.ranking.checkpoint import ranker_from_reference
from coop_demo.ranking.ranker import Ranker

ARCHITECTURE = "convnext_large_d_320"  # the paper's
_STATE_KEYS = ("state_dict", "model", "model_state_dict")


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a `.pt` or `.safetensors` checkpoint, without `module.` before their names.

    Only tensors are unpickled (`weights_only`). Give it files of people you trust all the same.

    Raises:
        RankingError: there is no such file, or it holds no state dict.
    """
    path = Path(path)
    if not path.is_file():
        raise RankingError(f'There is no checkpoint "{path}". Check its name.')
    try:
        if path.suffix == ".safetensors":
            found: Any = safetensors.torch.load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise RankingError(
            f'"{path.name}" cannot be read as a checkpoint: it is damaged, or holds more than '
            "tensors and plain values, which is not opened."
        ) from error
    if isinstance(found, dict):
        found = next((found[key] for key in _STATE_KEYS if isinstance(found.get(key), dict)), found)
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise RankingError(f'"{path.name}" holds no state dict. Give a checkpoint of a model.')
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def model_config(architecture: str | Path = ARCHITECTURE) -> dict[str, Any]:
    """open_clip's configuration of an architecture with the authors' head instead of its own.

    Args:
        architecture: a name open_clip knows, or a JSON file of a configuration.

    Raises:
        RankingError: there is no such architecture, or its image tower is not one of timm's.
    """
    if str(architecture).endswith(".json") and Path(architecture).is_file():
        config: Any = json.loads(Path(architecture).read_text(encoding="utf-8"))
    else:
        config = open_clip.get_model_config(str(architecture))
    if not isinstance(config, dict) or "timm_model_name" not in config.get("vision_cfg", {}):
        raise RankingError(
            f'"{architecture}" is no architecture with an image tower of timm. The paper\'s is '
            f"{ARCHITECTURE}."
        )
    vision = {**config["vision_cfg"], "timm_pool": "", "timm_proj": ""}
    vision["timm_model_pretrained"] = False
    return {**config, "vision_cfg": vision}


def convert(
    state: Mapping[str, Tensor],
    folder: str | Path,
    *,
    architecture: str | Path = ARCHITECTURE,
    title: str = "",
) -> tuple[Backbone, Ranker]:
    """Write a checkpoint's own towers to `folder` as a backbone, and give its ranker for it.

    Args:
        state: `read_checkpoint`'s.
        folder: becomes the backbone `local-dir:FOLDER`; made if it is not there.

    Raises:
        RankingError: the towers or the adapter are missing, or do not fit the architecture.
    """
    towers = {k: v.detach().float() for k, v in state.items() if not k.startswith("adapter.")}
    if len(towers) == len(state):
        raise RankingError("The checkpoint has no entries adapter.*, so it holds no ranker.")
    if not any(name.startswith("visual.") for name in towers):
        raise RankingError(
            "The checkpoint holds the adapter alone. Its scores mean something only on the image "
            "and text towers it was trained with: give the whole model's checkpoint."
        )
    config = model_config(architecture)
    model = open_clip.CLIP(**{k: config[k] for k in ("embed_dim", "vision_cfg", "text_cfg")})
    wanted = model.state_dict()
    towers.setdefault("logit_scale", wanted["logit_scale"])  # no part of a score
    towers = {name: tensor for name, tensor in towers.items() if name != "attn_mask"}
    wrong = sorted(
        name
        for name in wanted.keys() | towers.keys()
        if name not in wanted or name not in towers or wanted[name].shape != towers[name].shape
    )
    if wrong:
        raise RankingError(
            f"The checkpoint does not fit the architecture {architecture}: {len(wrong)} of its "
            f'entries are missing, too many or of another shape; the first is "{wrong[0]}".'
        )
    folder = Path(folder).resolve()
    size = config["vision_cfg"]["image_size"]
    described = {
        "model_cfg": config,
        "preprocess_cfg": {
            "mean": list(OPENAI_DATASET_MEAN),
            "std": list(OPENAI_DATASET_STD),
            "interpolation": "bilinear",
            "resize_mode": "squash",
            "size": [size, size],
        },
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "open_clip_config.json").write_text(json.dumps(described, indent=2))
        safetensors.torch.save_file(
            {name: tensor.contiguous().clone() for name, tensor in towers.items()},
            folder / "open_clip_model.safetensors",
        )
    except OSError as error:
        raise RankingError(
            f'The model cannot be written to "{folder}": {error.strerror}. Choose another place.'
        ) from error
    backbone = load_backbone(f"local-dir:{folder}")
    return backbone, ranker_from_reference(state, backbone, title=title)
