"""The ranker: an adapter with what it learned; and the tasks it learns from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.data.dataset import short_content
from coop_demo.data.near_copies import Look
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.instructions import check_instruction, instruction_key, is_count
from coop_demo.ranking.labels import RankingTable
from coop_demo.ranking.losses import LossConfig


@dataclass(frozen=True, eq=False)
class RankingTask:
    """One instruction and the pictures whose values under it are known.

    Raises RankingError when there are too few pictures, or their values are not numbers or all
    the same; the message names the instruction.
    """

    instruction: str
    rows: Tensor  # (M,) int: which pictures, as rows of the image tokens
    values: Tensor  # (M,) float, in the person's unit; larger ranks first
    negatives: Tensor | None = None  # rows of pictures that have none of it: value 0
    weights: Tensor | None = None  # (M,) how often to draw each picture; None: by value balance
    paraphrases: tuple[str, ...] = ()  # other wordings, trained on in turn, never measured on
    weight: float = 1.0  # how often it is drawn, times the square root of M
    counts_things: bool = False  # its words may be hidden: evidence says what is counted
    scale_of: str = ""  # tasks that name the same scale share it: counts of different things

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruction", check_instruction(self.instruction))
        if len(self.rows) != len(self.values):
            raise ValueError(f"{len(self.rows)} pictures and {len(self.values)} values")
        if self.weights is not None and (self.weights <= 0).any():
            raise RankingError(
                f'"{self.instruction}" has a sampling weight that is not above 0. Correct it or '
                "leave the weights out."
            )
        name = f'"{self.instruction}"'
        if len(self.rows) < 2:
            raise RankingError(
                f"{name} has {len(self.rows)} labelled picture{'s'[: len(self.rows) != 1]}; "
                "2 or more are needed to rank. Label more pictures."
            )
        if not torch.isfinite(self.values).all():
            raise RankingError(
                f"{name} has a value that is not a finite number. Give every picture a number."
            )
        if (self.values == self.values[0]).all() and self.negatives is None:
            raise RankingError(
                f"All {len(self.values)} pictures of {name} have the value "
                f"{self.values[0].item():g}, so there is no order to learn. Give at least two "
                "different values."
            )


@dataclass(frozen=True)
class LearnedInstruction:
    """What a ranker learned under one instruction: value = offset + scale · score."""

    instruction: str
    offset: float
    scale: float
    lowest: float  # of the training values, in the person's unit
    highest: float
    n_pictures: int
    held_out: float | None = None  # SRCC on images it had not seen; None where nobody measured it
    drawn: bool = False  # learned from drawn scenes alone, and measured there, if at all


@dataclass(frozen=True)
class Reliability:
    """What orders of one kind of instruction turned out to be worth, in tests on photographs."""

    srcc: float  # mean over the instructions
    lowest: float
    n_instructions: int


@dataclass(frozen=True)
class RankerTrainConfig:
    """How a ranker is trained. RankingError when a number cannot be used."""

    steps: int = 1000
    batch_size: int = 32  # pictures of one instruction; pairs are its square
    learning_rate: float = 5e-4  # AdamW, a warm-up, then a cosine to zero
    weight_decay: float = 0.05
    warmup: float = 0.05  # share of the steps
    gradient_clip: float = 1.0  # largest norm of all gradients together
    negatives: float = 0.2  # share of a batch, for tasks that have some (the paper's)
    balance: float = 0.5  # 0: values as they come; 1: every bin of values as often as any other
    loss: LossConfig = field(default_factory=LossConfig)
    keep: Literal["training", "held_out"] = "training"
    # What chooses the ranker that is kept: "training" never lets held-out pictures choose what
    # they judge; "held_out" is for recipes that have a third part to judge on.
    hide_words: float = 0.0  # share of the batches of tasks whose words may be hidden that hide
    # them, so that an adapter with evidence learns what holds for any thing
    seed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= 1_000_000:
            raise RankingError(f"The number of steps is {self.steps}; choose 1 to 1,000,000.")
        if not 2 <= self.batch_size <= 1024:
            raise RankingError(f"The batch size is {self.batch_size}; choose 2 to 1,024 pictures.")
        if not (0 < self.learning_rate <= 1 and math.isfinite(self.learning_rate)):
            raise RankingError(
                f"The learning rate is {self.learning_rate:g}; choose a number above 0, up to 1."
            )
        for name in ("warmup", "negatives", "balance", "hide_words"):
            if not 0 <= getattr(self, name) <= 1:
                raise RankingError(f"{name} is {getattr(self, name):g}; choose 0 to 1.")
        if self.weight_decay < 0 or self.gradient_clip <= 0:
            raise RankingError("weight_decay must be 0 or more and gradient_clip above 0.")

    @classmethod
    def teach(cls, **overrides) -> RankerTrainConfig:
        """Ten to thirty pictures on the page, from a ranker that can rank already."""
        return replace(cls(steps=60, learning_rate=2e-4, balance=0.0), **overrides)

    @classmethod
    def teach_afresh(cls, **overrides) -> RankerTrainConfig:
        """The same with a new adapter, which has to learn to see first."""
        return replace(cls(steps=300, balance=0.0), **overrides)


@dataclass(frozen=True, eq=False)
class Ranker:
    """A trained adapter and everything needed to use, judge and save it."""

    config: AdapterConfig
    state: Mapping[str, Tensor] = field(repr=False)  # fp32 on the CPU; never changed
    backbone: str  # identity (name and weights) of the backbone it reads
    instructions: tuple[LearnedInstruction, ...] = ()
    train_config: RankerTrainConfig | None = None
    history: tuple[dict, ...] = field(default=(), repr=False)
    title: str = ""
    # `short_content` and `Look.text` of the images learned from; None: an older file
    learned_from: tuple[str, ...] | None = None
    looks: tuple[str, ...] = field(default=(), repr=False)
    sources_complete: bool = True  # False: it went on from a ranker that does not say
    # By the kind of instruction, see `trust.KINDS`; of rankers trained the same way but without
    # these instructions. Empty where nobody measured it.
    reliability: Mapping[str, Reliability] = field(default_factory=dict)

    def adapter(
        self, device: str | torch.device = "cpu", instruction: str | None = None
    ) -> RankingAdapter:
        """The adapter, ready to rank: weights of its own, in eval mode, without gradients.

        Args:
            instruction: what it will be asked. A count that the ranker never learned, or
                from drawn scenes alone, is answered as `hidden_unlearned`, `evidence_unlearned`
                and `evidence_drawn` of its AdapterConfig say.
        """
        adapter = RankingAdapter.from_state(self.config, self.state)
        if instruction is not None and is_count(instruction):
            known = self.learned(instruction)
            if known is None:
                adapter.hidden_share = self.config.hidden_unlearned
                adapter.evidence_share = self.config.evidence_unlearned
            elif known.drawn:
                adapter.evidence_share = self.config.evidence_drawn
        return adapter.to(device).eval().requires_grad_(False)

    def having_learned_from(
        self,
        contents: Sequence[str],
        looks: Sequence[Look | None],
        *,
        start: Ranker | None = None,
    ) -> Ranker:
        """The same, knowing the images it learned from, and those of the ranker it started from.

        Args:
            contents: content hash of each image; `looks` are theirs.
        """
        before = start.learned_from or () if start else ()
        shown = {look.text() for look in looks if look is not None}
        return replace(
            self,
            learned_from=tuple(sorted({*before, *map(short_content, contents)})),
            looks=tuple(sorted({*(start.looks if start else ()), *shown})),
            sources_complete=start is None
            or (start.learned_from is not None and start.sources_complete),
        )

    def learned(self, instruction: str) -> LearnedInstruction | None:
        """What was learned under exactly this instruction (see `instruction_key`)."""
        wanted = instruction_key(instruction)
        return next(
            (one for one in self.instructions if instruction_key(one.instruction) == wanted), None
        )

    def values(self, instruction: str, scores: Sequence[float]) -> list[float] | None:
        """Scores in the unit of the training values; None for an instruction it never learned."""
        known = self.learned(instruction)
        return None if known is None else [known.offset + known.scale * s for s in scores]

    def check_backbone(self, backbone: Backbone) -> None:
        """Raise RankingError unless this ranker was trained on this backbone's tokens."""
        if backbone.has_weights_of(self.backbone):
            reads = (self.config.input_dim, self.config.text_input_dim)
            given = (backbone.ranking_width(self.config.form), backbone.embed_dim)
            if reads != given:
                raise RankingError(
                    f"This ranker reads pictures and words as {reads[0]} and {reads[1]} numbers a "
                    f"token, and {backbone.name} gives {given[0]} and {given[1]}. Use the model "
                    "it was trained for."
                )
            return
        made_with, _, made_hash = self.backbone.rpartition("@")
        if made_with != backbone.name:
            raise RankingError(
                f"This ranker was trained for the model {made_with}, and the model in use is "
                f"{backbone.name}. Switch to {made_with}, or train a ranker for {backbone.name}."
            )
        raise RankingError(
            f"This ranker was trained with other weights of {backbone.name} ({made_hash}, not "
            f"{backbone.weights_hash}). Train it again."
        )


def tasks_from_table(
    table: RankingTable, row_of: Mapping[str, int], *, negatives: bool = True
) -> tuple[list[RankingTask], list[str]]:
    """One task an instruction of a table, in the table's order, and a sentence for each
    instruction that has too few pictures or equal values only and is left out.

    Args:
        table: pictures with values; `select` one split before.
        row_of: row of the image tokens by picture name; pictures that are not there (they could
            not be read) are left out.
        negatives: give each task with a category, as negatives, the pictures of which the table
            knows only other categories (the paper's "images of other categories").
    """
    rows = [row for row in table.rows if row.picture.name in row_of]
    pictures_of: dict[str, set[int]] = {}  # by category
    for row in rows:
        pictures_of.setdefault(row.category, set()).add(row_of[row.picture.name])
    tasks, left_out = [], []
    for prompt in table.prompts:
        own = [row for row in rows if row.prompt == prompt]
        categories = {row.category for row in own} - {""}
        others: list[int] = []
        if negatives and categories:
            ours = {i for category in categories for i in pictures_of[category]}
            ours |= {row_of[row.picture.name] for row in own}
            named = set().union(*(found for category, found in pictures_of.items() if category))
            others = sorted(named - ours)
        weights = torch.tensor([row.weight for row in own], dtype=torch.float64)
        try:
            task = RankingTask(
                prompt,
                rows=torch.tensor([row_of[row.picture.name] for row in own], dtype=torch.long),
                values=torch.tensor([row.value for row in own], dtype=torch.float32),
                negatives=torch.tensor(others) if others else None,
                weights=weights if (weights != 1).any() else None,
            )
        except RankingError as error:
            left_out.append(str(error))
        else:
            tasks.append(task)
    return tasks, left_out
