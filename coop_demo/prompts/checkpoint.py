"""A learned prompt as one small safetensors file, checked in full when it is read.

The file holds the tensor `ctx` and, as JSON in its metadata, the class names, settings, backbone
identity and history. Class weights are computed anew when it is loaded.
"""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.texts import remembered
from coop_demo.checkpoints import CheckpointKind, is_history, is_shown_name, read_tensors
from coop_demo.data.near_copies import are_digits
from coop_demo.errors import PromptError
from coop_demo.prompts.familiar import Familiar
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.training import LearnedPrompt, TrainConfig

PROMPT = CheckpointKind(
    noun="prompt",
    format="coop-studio-prompt",
    version=1,
    max_bytes=64 * 2**20,  # a class-specific context for 1,000 classes is 32 MB
    error=PromptError,
)
MAX_CLASSES = 2_000  # all are encoded at once when the file is opened
HISTORY_KEYS = {"step", "loss", "train_accuracy", "held_out_accuracy"}


def prompt_to_bytes(prompt: LearnedPrompt) -> bytes:
    """The prompt as the contents of a safetensors file."""
    description = {
        "backbone": prompt.backbone,
        "class_names": list(prompt.class_names),
        "prompt_config": asdict(prompt.prompt_config),
        "train_config": asdict(prompt.train_config),
        "shots": prompt.shots,
        "history": list(prompt.history),
        "learned_from": None if prompt.learned_from is None else list(prompt.learned_from),
        "looks": list(prompt.looks),
        "familiar": prompt.familiar and prompt.familiar.to_mapping(),
    }
    return PROMPT.to_bytes({"ctx": prompt.ctx.float()}, description)


def save_prompt(prompt: LearnedPrompt, path: str | Path) -> Path:
    """Write the prompt to `path`; the folder is made if it is not there.

    Raises:
        PromptError: the file cannot be written.
    """
    return PROMPT.write(prompt_to_bytes(prompt), path)


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
    ctx, prompt_config, train_config = _contents(path, metadata)
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        metadata["class_names"],
        prompt_config,
        ctx=ctx,
    )

    def compute() -> Tensor:
        with torch.no_grad(), backbone.autocast():
            return learner().float().cpu()

    said = json.dumps([metadata["class_names"], metadata["prompt_config"]], sort_keys=True)
    weights = remembered(backbone, ["prompt", said, ctx.numpy().tobytes()], compute)
    prompt = _prompt(path, metadata, ctx, weights, prompt_config, train_config)
    return replace(prompt, backbone=backbone.identity)


def read_prompt(path: str | Path, class_weights: Tensor) -> LearnedPrompt:
    """Read and check a prompt file whose class weights are known, so that no backbone is needed.

    Shape: class_weights (C, d).

    Raises:
        PromptError: the file is no prompt, is damaged, or the weights are not those of its classes.
    """
    path = Path(path)
    metadata = _read_metadata(path)
    ctx, prompt_config, train_config = _contents(path, metadata)
    C = len(metadata["class_names"])
    shape = (prompt_config.n_ctx, ctx.shape[-1])
    if prompt_config.class_specific:
        shape = (C, *shape)
    if ctx.shape != shape:
        raise PROMPT.damaged(path, "its context does not fit its settings")
    fits = class_weights.ndim == 2 and len(class_weights) == C
    if not fits or class_weights.dtype != torch.float32 or not torch.isfinite(class_weights).all():
        raise PROMPT.damaged(path, "its class weights are not those of its classes")
    return _prompt(path, metadata, ctx, class_weights, prompt_config, train_config)


def _contents(path: Path, metadata: dict[str, Any]) -> tuple[Tensor, PromptConfig, TrainConfig]:
    try:
        prompt_config = PromptConfig(**metadata["prompt_config"])
        train_config = TrainConfig(**metadata["train_config"])
        template = train_config.template
        kinds = (type(prompt_config.n_ctx), type(prompt_config.class_specific))
        if kinds != (int, bool) or not isinstance(template, str):
            raise TypeError("a setting is of the wrong kind")
        if "{}" not in template or not is_shown_name(template):
            raise TypeError("the words to beat cannot be shown")
        ctx = read_tensors(path)["ctx"]
    except (TypeError, KeyError, ValueError, SafetensorError, OSError) as error:
        raise PROMPT.damaged(path, "its contents do not belong together") from error
    if ctx.dtype != torch.float32 or not torch.isfinite(ctx).all():
        raise PROMPT.damaged(path, "its context holds values that are not finite 32-bit numbers")
    return ctx, prompt_config, train_config


def _prompt(
    path: Path,
    metadata: dict[str, Any],
    ctx: Tensor,
    class_weights: Tensor,
    prompt_config: PromptConfig,
    train_config: TrainConfig,
) -> LearnedPrompt:
    sources, familiar = metadata.get("learned_from"), metadata.get("familiar")
    try:
        familiar = familiar and Familiar.from_mapping(familiar, *class_weights.shape)
    except (ValueError, AttributeError) as error:
        raise PROMPT.damaged(path, "what it says of familiar pictures does not fit") from error
    return LearnedPrompt(
        ctx=ctx,
        class_weights=class_weights,
        class_names=tuple(metadata["class_names"]),
        prompt_config=prompt_config,
        train_config=train_config,
        backbone=metadata["backbone"],
        shots=metadata.get("shots"),
        history=tuple(metadata["history"]),
        learned_from=None if sources is None else tuple(sources),
        looks=tuple(metadata.get("looks", ())),
        familiar=familiar or None,
    )


def _read_metadata(path: Path) -> dict[str, Any]:
    metadata, tensors = PROMPT.read(path)
    names, shots, history = (metadata.get(key) for key in ("class_names", "shots", "history"))
    sources = metadata.get("learned_from")
    whole = (
        tensors == ["ctx"]
        and isinstance(metadata.get("backbone"), str)
        and isinstance(names, list)
        and 1 <= len(names) <= MAX_CLASSES
        and all(isinstance(name, str) and is_shown_name(name) for name in names)
        and isinstance(metadata.get("prompt_config"), dict)
        and isinstance(metadata.get("train_config"), dict)
        and (shots is None or (type(shots) is int and 0 < shots < 10**9))
        and (sources is None or are_digits(sources, 16))
        and are_digits(metadata.get("looks", []), 112)
        and is_history(history)
        and all(entry.keys() >= HISTORY_KEYS for entry in history or ())
    )
    if not whole:
        raise PROMPT.damaged(path, "parts of its description are missing or of the wrong kind")
    return metadata
