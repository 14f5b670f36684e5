"""CoOp's own checkpoints, `prompt_learner/model.pth.tar-50`, as prompts of this app.

The file (github.com/KaiyangZhou/CoOp at ff61507) is a pickle of a `state_dict` with `ctx`,
`token_prefix` and `token_suffix`, in fp16 or fp32. Class names, class position and backbone are
not in it. They are given, and checked: the embeddings around the context are those of the tokens.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import PromptError
from coop_demo.prompts.learner import Position, PromptConfig, PromptLearner
from coop_demo.prompts.training import LearnedPrompt, TrainConfig

ENTRIES = ("ctx", "token_prefix", "token_suffix")
_TOLERANCE = 2e-3  # of an embedding kept in fp16, whose entries are below 1


def is_coop_state(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the entries of CoOp's prompt learner."""
    return all(name in state for name in ENTRIES)


def prompt_from_coop(
    state: Mapping[str, Tensor],
    backbone: Backbone,
    class_names: Sequence[str],
    position: Position = "end",
) -> LearnedPrompt:
    """A prompt of ours from CoOp's entries.

    Shape: ctx (M, W) or (C, M, W), token_prefix (C, 1, W), token_suffix (C, 76 − M, W).

    Raises:
        PromptError: the context does not fit the backbone, or the class names, their order or the
            backbone are not those it was trained with.
    """
    ctx = state["ctx"].detach().float().cpu()
    if ctx.ndim not in (2, 3) or not torch.isfinite(ctx).all():
        raise PromptError(
            f"The checkpoint's context has shape {tuple(ctx.shape)} or holds values that are no "
            "numbers; (vectors, width) or (classes, vectors, width) is needed."
        )
    config = PromptConfig(n_ctx=ctx.shape[-2], class_specific=ctx.ndim == 3, position=position)
    learner = PromptLearner(backbone.text_tower, backbone.tokenizer, class_names, config, ctx=ctx)
    for name, ours in (
        ("token_prefix", learner.token_prefix),
        ("token_suffix", learner.token_suffix),
    ):
        theirs = state[name].detach().float().cpu()
        own = ours.float().cpu()
        if theirs.ndim != 3 or len(theirs) != len(own) or theirs.shape[-1] != own.shape[-1]:
            raise PromptError(
                f"The checkpoint was trained with {len(theirs)} classes and width "
                f"{theirs.shape[-1]}; given are {len(own)} class names and a model of width "
                f"{own.shape[-1]}. Give its own class names and backbone."
            )
        n = min(theirs.shape[1], own.shape[1])
        # behind the end of the text the padding differs, and means nothing
        inside = torch.arange(n)[None] + (0 if name == "token_prefix" else 1 + learner.n_ctx)
        inside = inside <= learner.eot.cpu()[:, None]  # (C, n)
        apart = (theirs[:, :n] - own[:, :n]).abs().amax(-1) > _TOLERANCE
        bad = (apart & inside).any(-1).nonzero().flatten().tolist()
        if bad:
            raise PromptError(
                f'Class {bad[0] + 1}, "{class_names[bad[0]]}", is not what the checkpoint was '
                f"trained with ({len(bad)} of {len(own)} differ). Give its class names in its own "
                "order, and the backbone it was trained on."
            )
    with torch.no_grad(), backbone.autocast():
        weights = learner().float().cpu()
    return LearnedPrompt(
        ctx=ctx,
        class_weights=weights,
        class_names=tuple(class_names),
        prompt_config=learner.config,
        train_config=TrainConfig(preset="paper", optimizer="sgd", learning_rate=0.002),
        backbone=backbone.identity,
    )
