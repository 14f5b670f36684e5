"""PromptLearner: context vectors in front of, around or behind a class name.

A class's prompt is `[V]1 … [V]M [CLASS].`; only the context vectors V learn, in fp32, and every
weight of CLIP stays as it is (CoOp, Zhou et al., IJCV 2022, arXiv 2109.01134).

C classes, M context vectors, L tokens, W text width, d joint width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from coop_demo.backbones.text_tower import TextTower
from coop_demo.errors import PromptError

Position = Literal["end", "middle", "front"]
POSITIONS: tuple[Position, ...] = ("end", "middle", "front")
MAX_N_CTX = 32  # of 77 tokens; leaves room for long class names
EVERY_CLASS = slice(None)


@dataclass(frozen=True)
class PromptConfig:
    """How the prompt is laid out."""

    n_ctx: int = 16  # M; the paper's choice for its main results
    class_specific: bool = False  # one context for all classes unless True (CSC)
    position: Position = "end"  # where the class name stands among the context vectors
    init: str = ""  # words the context starts from; random when empty. Their tokens set n_ctx

    def __post_init__(self) -> None:
        if not 1 <= self.n_ctx <= MAX_N_CTX:
            raise PromptError(
                f"The context length is {self.n_ctx}; choose a number from 1 to {MAX_N_CTX}."
            )
        if self.position not in POSITIONS:
            raise PromptError(
                f'The class position is "{self.position}"; choose one of {", ".join(POSITIONS)}.'
            )


class PromptLearner(nn.Module):
    """Learnable context, and the prompts and text features it makes for a list of classes.

    Args:
        text_tower: the frozen tower the prompts run through.
        tokenizer: the tower's own tokenizer (open_clip's `SimpleTokenizer` interface).
        class_names: one name a class; `_` is read as a space.
        config: context length, kind, position and initial words.
        generator: draws the random initial context, N(0, 0.02²).
        ctx: a context to use instead of an initial one, (M, W) or (C, M, W).

    Attributes:
        ctx: the learnable context, fp32; (M, W) unified or (C, M, W) class-specific.

    Raises:
        PromptError: a class name is empty or leaves no room for its prompt, the initial words
            give no tokens or too many, or a given context does not fit.
    """

    def __init__(
        self,
        text_tower: TextTower,
        tokenizer: Any,
        class_names: Sequence[str],
        config: PromptConfig | None = None,
        *,
        generator: torch.Generator | None = None,
        ctx: Tensor | None = None,
    ) -> None:
        super().__init__()
        config = config or PromptConfig()
        self.class_names = tuple(class_names)
        if not self.class_names:
            raise PromptError("A prompt needs at least one class name.")
        # the tower is shared and frozen: kept out of this module's parameters on purpose
        self._tower = (text_tower,)
        self._tokenizer = tokenizer
        if ctx is None:
            config, ctx = self._initial_context(config, generator)
        self.config = config
        self._check_context(ctx)
        self.ctx = nn.Parameter(ctx.detach().to(text_tower.device, torch.float32, copy=True))
        self._lay_out()

    @property
    def text_tower(self) -> TextTower:
        return self._tower[0]

    @property
    def n_ctx(self) -> int:
        return self.config.n_ctx

    def forward(self, classes: Tensor | slice = EVERY_CLASS) -> Tensor:
        """Class weights: unit-length text features of the classes' prompts. -> (C, d).

        Args:
            classes: a slice of the classes, or (K,) numbers of some, which may repeat.
        """
        if self.shares_prefix:
            prefix = torch.cat([self.token_prefix[0], self.ctx])  # (1 + M, W)
            features = self.text_tower.encode_with_prefix(
                prefix,
                self.token_suffix[classes],
                self.eot[classes] - len(prefix),
                length=self._length - len(prefix),
            )
        else:
            features = self.text_tower.encode(
                self.prompts(classes), self.eot[classes], length=self._length
            )
        return F.normalize(features.float(), dim=-1)

    @property
    def shares_prefix(self) -> bool:
        """Whether all prompts begin with the same tokens: unified context, name at the end."""
        return self.config.position == "end" and not self.config.class_specific

    def prompts(self, classes: Tensor | slice = EVERY_CLASS) -> Tensor:
        """The prompts as token embeddings without positions. -> (C, L, W)."""
        prefix, suffix = self.token_prefix[classes], self.token_suffix[classes]
        C, M, W = len(prefix), self.n_ctx, self.text_tower.width
        ctx = self.ctx[classes] if self.ctx.ndim == 3 else self.ctx.expand(C, M, W)
        parts = torch.cat([prefix, ctx, suffix], dim=1)  # (C, L, W)
        return parts.gather(1, self._order[classes][..., None].expand(-1, -1, W))

    def with_class_names(self, class_names: Sequence[str]) -> "PromptLearner":
        """The same unified context applied to other class names.

        Raises:
            PromptError: the context is class-specific, so it says nothing about other classes.
        """
        if self.config.class_specific:
            raise PromptError(
                "This prompt has one context per class, so it cannot be applied to other class "
                "names. Train a unified prompt for that."
            )
        return PromptLearner(
            self.text_tower, self._tokenizer, class_names, self.config, ctx=self.ctx
        )

    def _initial_context(
        self, config: PromptConfig, generator: torch.Generator | None
    ) -> tuple[PromptConfig, Tensor]:
        C, W = len(self.class_names), self.text_tower.width
        words = config.init.replace("_", " ").strip()
        if words:
            ids = self._tokenizer.encode(words)
            if not 1 <= len(ids) <= MAX_N_CTX:
                raise PromptError(
                    f'The initial words "{config.init}" give {len(ids)} tokens; '
                    f"1 to {MAX_N_CTX} can be learned."
                )
            config = replace(config, n_ctx=len(ids))
            ctx = self.text_tower.embed(torch.tensor([ids]))[0].detach().float()  # (M, W)
            if config.class_specific:
                ctx = ctx.expand(C, -1, -1)
            return config, ctx
        shape = (C, config.n_ctx, W) if config.class_specific else (config.n_ctx, W)
        return config, 0.02 * torch.randn(shape, generator=generator)

    def _check_context(self, ctx: Tensor) -> None:
        C, M, W = len(self.class_names), self.n_ctx, self.text_tower.width
        expected = (C, M, W) if self.config.class_specific else (M, W)
        if tuple(ctx.shape) != expected:
            raise PromptError(
                f"The context has shape {tuple(ctx.shape)}, but {expected} is needed for "
                f"{C} classes, {M} vectors and this model's width {W}."
            )

    def _lay_out(self) -> None:
        """Token embeddings around the context, and the order in which they are read.

        As in the reference, the name and the full stop are tokenised together, and `middle` and
        `front` move only the name's own tokens: the full stop and EOT stay behind the context.
        """
        encode, M = self._tokenizer.encode, self.n_ctx
        tails, orders, eot = [], [], []
        for name in self.class_names:
            spoken = " ".join(name.replace("_", " ").split())
            if not spoken:
                raise PromptError("A class has no name. Give every class a name.")
            tail = encode(spoken + ".")
            n_name = min(len(encode(spoken)), len(tail))
            n_tokens = 1 + M + len(tail) + 1  # start, context, name and full stop, end
            if n_tokens > self.text_tower.context_length:
                room = self.text_tower.context_length - M - 3
                shown = spoken if len(spoken) <= 60 else spoken[:59] + "…"
                raise PromptError(
                    f'The class name "{shown}" is {len(encode(spoken))} tokens long; with '
                    f"{M} context vectors there is room for {room}. Shorten the name or the "
                    "context."
                )
            tails.append([*tail, self._tokenizer.eot_token_id])
            context = list(range(1, 1 + M))
            own = list(range(1 + M, 1 + M + n_name))
            rest = list(range(1 + M + n_name, n_tokens))
            before = {"end": M, "middle": M // 2, "front": 0}[self.config.position]
            orders.append([0, *context[:before], *own, *context[before:], *rest])
            eot.append(n_tokens - 1)

        S = max(len(tail) for tail in tails)
        tokens = torch.tensor([tail + [0] * (S - len(tail)) for tail in tails])  # (C, S)
        L = 1 + M + S
        order = torch.tensor([o + list(range(len(o), L)) for o in orders])  # (C, L)
        start = torch.full((len(tails), 1), self._tokenizer.sot_token_id)
        device = self.text_tower.device
        self._length = max(eot) + 1  # tokens of the longest prompt
        self.token_prefix: Tensor
        self.token_suffix: Tensor
        self._order: Tensor
        self.eot: Tensor
        self.register_buffer("token_prefix", self.text_tower.embed(start).detach(), False)
        self.register_buffer("token_suffix", self.text_tower.embed(tokens).detach(), False)
        self.register_buffer("_order", order.to(device), False)
        self.register_buffer("eot", torch.tensor(eot, device=device), False)  # (C,)
