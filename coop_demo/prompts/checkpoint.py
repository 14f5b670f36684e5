"""A learned prompt as one small safetensors file, checked in full when it is read.

The file holds the tensor `ctx` and, as JSON in its metadata, the class names, settings, backbone
identity and history. Class weights are computed anew when it is loaded. No pickle anywhere.
"""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from coop_demo.backbones.backbone import Backbone
from coop_demo.data.near_copies import are_digits
from coop_demo.errors import PromptError
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.training import LearnedPrompt, TrainConfig

FORMAT = "coop-studio-prompt"
VERSION = 1
MAX_FILE_BYTES = 64 * 2**20  # a class-specific context for 1,000 classes is 32 MB
MAX_CLASSES = 2_000  # all are encoded at once when the file is opened
HISTORY_KEYS = {"step", "loss", "train_accuracy", "held_out_accuracy"}


def prompt_to_bytes(prompt: LearnedPrompt) -> bytes:
    """The prompt as the contents of a safetensors file."""
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "backbone": prompt.backbone,
        "class_names": list(prompt.class_names),
        "prompt_config": asdict(prompt.prompt_config),
        "train_config": asdict(prompt.train_config),
        "shots": prompt.shots,
        "history": list(prompt.history),
        "learned_from": None if prompt.learned_from is None else list(prompt.learned_from),
        "looks": list(prompt.looks),
    }
    return safetensors.torch.save(
        {"ctx": prompt.ctx.float().contiguous()}, {"prompt": json.dumps(metadata)}
    )


def save_prompt(prompt: LearnedPrompt, path: str | Path) -> Path:
    """Write the prompt to `path`; the folder is made if it is not there.

    Raises:
        PromptError: the file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(prompt_to_bytes(prompt))
    except OSError as error:
        raise PromptError(
            f'The prompt cannot be written to "{path}": {error.strerror}. Choose another place.'
        ) from error
    return path


def prompt_backbone(path: str | Path) -> str:
    """The identity (name and weights hash) of the backbone a prompt file was made with.

    Raises:
        PromptError: the file is not a prompt saved by this app.
    """
    return _read_metadata(Path(path))["backbone"]


def load_prompt(path: str | Path, backbone: Backbone) -> LearnedPrompt:
    """Read and check a prompt file, and compute its class weights on `backbone`.

    Raises:
        PromptError: the file is no prompt, is damaged, holds numbers that are not finite, or was
            made with another backbone or other weights of it.
    """
    path = Path(path)
    metadata = _read_metadata(path)
    if not backbone.has_weights_of(metadata["backbone"]):
        made_with, _, made_hash = metadata["backbone"].rpartition("@")
        if made_with != backbone.name:
            raise PromptError(
                f'"{path.name}" was made with the model {made_with}, and the model in use is '
                f"{backbone.name}. Switch to {made_with}, or train again with {backbone.name}."
            )
        raise PromptError(
            f'"{path.name}" was made with other weights of {backbone.name} ({made_hash}, not '
            f"{backbone.weights_hash}). Train the prompt again."
        )
    try:
        prompt_config = PromptConfig(**metadata["prompt_config"])
        train_config = TrainConfig(**metadata["train_config"])
        if type(prompt_config.n_ctx) is not int or not isinstance(train_config.template, str):
            raise TypeError("a setting is of the wrong kind")
        with safe_open(str(path), "pt") as file:
            ctx = file.get_tensor("ctx")
    except (TypeError, KeyError, SafetensorError, OSError) as error:
        raise _damaged(path, "its contents do not belong together") from error
    if ctx.dtype != torch.float32 or not torch.isfinite(ctx).all():
        raise _damaged(path, "its context holds values that are not finite 32-bit numbers")
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        metadata["class_names"],
        prompt_config,
        ctx=ctx,
    )
    with torch.no_grad(), backbone.autocast():
        weights = learner().float().cpu()
    sources = metadata.get("learned_from")
    return LearnedPrompt(
        ctx=ctx,
        class_weights=weights,
        class_names=tuple(metadata["class_names"]),
        prompt_config=prompt_config,
        train_config=train_config,
        backbone=backbone.identity,
        shots=metadata["shots"],
        history=tuple(metadata["history"]),
        learned_from=None if sources is None else tuple(sources),
        looks=tuple(metadata.get("looks", ())),
    )


def _read_metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise PromptError(f'There is no prompt file "{path}". Check its name.')
    size = path.stat().st_size
    if not 0 < size <= MAX_FILE_BYTES:
        raise PromptError(
            f'"{path.name}" is {size:,} bytes; a saved prompt has between 1 byte and '
            f"{MAX_FILE_BYTES // 2**20} MB. Choose a file saved by this app."
        )
    try:
        with safe_open(str(path), "pt") as file:
            header = (file.metadata() or {}).get("prompt", "")
            tensors = list(file.keys())
    except (SafetensorError, OSError) as error:
        raise PromptError(
            f'"{path.name}" is not a prompt saved by this app. Choose a .safetensors file that '
            "was saved with Save prompt."
        ) from error
    try:
        metadata = json.loads(header)
        is_prompt = metadata["format"] == FORMAT and tensors == ["ctx"]
    except (json.JSONDecodeError, KeyError, TypeError):
        is_prompt = False
    if not is_prompt:
        raise PromptError(
            f'"{path.name}" is a safetensors file but not a prompt saved by this app. Choose a '
            "file that was saved with Save prompt."
        )
    if metadata.get("version") != VERSION:
        raise PromptError(
            f'"{path.name}" was saved by another version of this app (format '
            f"{metadata.get('version')}, this one reads {VERSION}). Train the prompt again."
        )
    names, shots, history = (metadata.get(key) for key in ("class_names", "shots", "history"))
    sources = metadata.get("learned_from")
    whole = (
        isinstance(metadata.get("backbone"), str)
        and isinstance(names, list)
        and 1 <= len(names) <= MAX_CLASSES
        and all(isinstance(name, str) for name in names)
        and isinstance(metadata.get("prompt_config"), dict)
        and isinstance(metadata.get("train_config"), dict)
        and (shots is None or isinstance(shots, int))
        and (sources is None or are_digits(sources, 16))
        and are_digits(metadata.get("looks", []), 112)
        and isinstance(history, list)
        and all(isinstance(entry, dict) and _is_finite(entry) for entry in history)
        and all(entry.keys() >= HISTORY_KEYS for entry in history)
    )
    if not whole:
        raise _damaged(path, "parts of its description are missing or of the wrong kind")
    return metadata


def _is_finite(entry: dict) -> bool:
    return all(
        v is None or (isinstance(v, int | float) and math.isfinite(v)) for v in entry.values()
    )


def _damaged(path: Path, why: str) -> PromptError:
    return PromptError(f'"{path.name}" is damaged: {why}. Save the prompt again and load that.')
