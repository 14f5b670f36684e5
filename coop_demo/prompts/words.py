"""What was learned, in words: the vocabulary words nearest to each context vector.

Nearest words are tempting to read and mostly noise, so each comes with its distance, with the
distance a random vector of the same length has to its own nearest word, and with the accuracy
that is left when the vectors are replaced by those words. If replacing them loses what was
learned, then the words do not say what was learned.

M context vectors, C classes, W text width, T vocabulary tokens.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import PromptError
from coop_demo.prompts.learner import PromptLearner
from coop_demo.prompts.templates import accuracy
from coop_demo.prompts.training import LearnedPrompt

Metric = Literal["cosine", "distance"]
METRICS: tuple[Metric, ...] = ("cosine", "distance")
_N_RANDOM = 64  # random vectors behind each "random" figure
_ROWS_AT_ONCE = 256  # × 49,408 words in fp32 is 50 MB


@dataclass(frozen=True)
class NearWord:
    """A word, whole or a piece of one (marked by `…`), and how near it is."""

    token: int
    word: str
    value: float  # cosine similarity, or Euclidean distance


@dataclass(frozen=True)
class VectorWords:
    """One context vector: its nearest words by either measure, beside a random vector's."""

    class_name: str | None  # None for a unified context
    position: int  # 1 … M
    norm: float
    by_cosine: tuple[NearWord, ...]
    by_distance: tuple[NearWord, ...]
    random_cosine: float  # of a random vector to its nearest word, on average
    random_distance: float  # the same for a random vector of this length


def nearest_words(
    backbone: Backbone,
    prompt: LearnedPrompt,
    *,
    k: int = 5,
    whole_words: bool = False,
    seed: int = 0,
) -> list[VectorWords]:
    """The k nearest vocabulary words of every context vector, unified or class-specific.

    Args:
        whole_words: leave out pieces of words and tokens that are not letters.

    Raises:
        PromptError: k is below 1, the prompt belongs to another backbone, or the tokenizer's
            vocabulary cannot be read.
    """
    if k < 1:
        raise PromptError(f"The number of words is {k}; choose 1 or more.")
    table = _Table(backbone, whole_words)
    ctx, owners = _rows(backbone, prompt)  # (R, W)
    k = min(k, len(table.tokens))
    generator = torch.Generator().manual_seed(seed)
    directions = F.normalize(torch.randn(_N_RANDOM, ctx.shape[1], generator=generator), dim=-1)
    random_cosine = float(table.cosines(directions).amax(dim=1).mean())
    dots = directions @ table.embeddings.T  # (R, T), once for every length below
    found = []
    for rows, names in zip(ctx.split(_ROWS_AT_ONCE), _chunks(owners), strict=True):
        cosine, cosine_at = table.cosines(rows).topk(k, dim=1)  # (r, k)
        distance, distance_at = table.distances(rows).topk(k, dim=1, largest=False)
        for r, (class_name, position) in enumerate(names):
            norm = float(rows[r].norm())
            square = norm**2 + (table.squares - 2 * norm * dots).amin(dim=1)  # (R,)
            random_distance = float(square.clamp_min(0).sqrt().mean())
            found.append(
                VectorWords(
                    class_name=class_name,
                    position=position,
                    norm=norm,
                    by_cosine=table.words(cosine_at[r], cosine[r]),
                    by_distance=table.words(distance_at[r], distance[r]),
                    random_cosine=random_cosine,
                    random_distance=random_distance,
                )
            )
    return found


def replaced_by_words(
    backbone: Backbone,
    prompt: LearnedPrompt,
    *,
    metric: Metric = "distance",
    whole_words: bool = False,
) -> LearnedPrompt:
    """The prompt with every context vector replaced by the embedding of its nearest word.

    Raises:
        PromptError: as `nearest_words`, or there is no such metric.
    """
    if metric not in METRICS:
        raise PromptError(f'The measure is "{metric}"; choose one of {", ".join(METRICS)}.')
    table = _Table(backbone, whole_words)
    rows, _ = _rows(backbone, prompt)
    nearest = torch.cat(
        [
            table.cosines(part).argmax(dim=1)
            if metric == "cosine"
            else table.distances(part).argmin(dim=1)
            for part in rows.split(_ROWS_AT_ONCE)
        ]
    )
    ctx = table.embeddings[nearest].reshape(prompt.ctx.shape)
    learner = PromptLearner(
        backbone.text_tower,
        backbone.tokenizer,
        prompt.class_names,
        prompt.prompt_config,
        ctx=ctx,
    )
    with torch.no_grad(), backbone.autocast():
        weights = learner().float().cpu()
    return replace(prompt, ctx=ctx.clone(), class_weights=weights, history=())


@dataclass(frozen=True)
class WordsAccuracy:
    """Held-out accuracy, fractions: the learned vectors, and words in their place."""

    learned: float | None
    by_cosine: float | None  # replaced by the nearest words by cosine
    by_distance: float | None
    hand_crafted: float | None  # where it is known


def words_accuracy(
    backbone: Backbone,
    prompt: LearnedPrompt,
    features: Tensor,
    labels: Tensor,
    *,
    hand_crafted: Tensor | None = None,
    whole_words: bool = False,
) -> WordsAccuracy:
    """What is lost by reading the vectors as words.

    Args:
        hand_crafted: class weights (C, d) to measure beside them.

    Shape: features (K, d), labels (K,). All None for no pictures.
    """

    def measured(weights: Tensor | None) -> float | None:
        return None if weights is None or len(labels) == 0 else accuracy(features, labels, weights)

    by = {
        metric: replaced_by_words(backbone, prompt, metric=metric, whole_words=whole_words)
        for metric in METRICS
    }
    return WordsAccuracy(
        learned=measured(prompt.class_weights),
        by_cosine=measured(by["cosine"].class_weights),
        by_distance=measured(by["distance"].class_weights),
        hand_crafted=measured(hand_crafted),
    )


# ---- inside


class _Table:
    """The part of the vocabulary that is searched. embeddings (T, W) on the CPU, fp32."""

    def __init__(self, backbone: Backbone, whole_words: bool) -> None:
        tokenizer = backbone.tokenizer
        decoder = getattr(tokenizer, "decoder", None)
        if not isinstance(decoder, dict):
            raise PromptError(
                f"The vocabulary of {backbone.name} cannot be read, so its words cannot be named."
            )
        special = {tokenizer.sot_token_id, tokenizer.eot_token_id}
        self._tokenizer, self._pieces = tokenizer, decoder
        vocabulary = backbone.text_tower.vocabulary
        tokens = [
            token
            for token in range(len(vocabulary))
            if token in decoder
            and token not in special
            and (not whole_words or _is_whole_word(decoder[token]))
        ]
        self.tokens = torch.tensor(tokens)
        self.embeddings = vocabulary[self.tokens.to(vocabulary.device)].float().cpu()
        self._unit = F.normalize(self.embeddings, dim=-1)
        self.squares = self.embeddings.square().sum(dim=-1)

    def cosines(self, rows: Tensor) -> Tensor:
        """Shape: (R, W) -> (R, T)."""
        return F.normalize(rows, dim=-1) @ self._unit.T

    def distances(self, rows: Tensor) -> Tensor:
        """Euclidean. Shape: (R, W) -> (R, T)."""
        square = rows.square().sum(dim=-1, keepdim=True) - 2 * rows @ self.embeddings.T
        return (square + self.squares).clamp_min(0).sqrt()

    def words(self, at: Tensor, values: Tensor) -> tuple[NearWord, ...]:
        found = []
        for index, value in zip(at.tolist(), values.tolist(), strict=True):
            token = int(self.tokens[index])
            text = self._tokenizer.decode([token]).replace("\ufffd", "(part of a sign)")
            ends = self._pieces[token].endswith("</w>")
            found.append(NearWord(token, text.strip() if ends else f"{text}…", value))
        return tuple(found)


def _is_whole_word(piece: str) -> bool:
    return piece.endswith("</w>") and piece.removesuffix("</w>").isalpha() and piece.isascii()


def _rows(backbone: Backbone, prompt: LearnedPrompt) -> tuple[Tensor, list[tuple[str | None, int]]]:
    """Context vectors as rows, (M, W) or (C·M, W), and whose each is."""
    if not backbone.has_weights_of(prompt.backbone):
        raise PromptError(
            f"The prompt was learned with {prompt.backbone}, and the model in use is "
            f"{backbone.identity}. Train it again."
        )
    ctx = prompt.ctx.float().cpu()
    names: tuple[str | None, ...] = prompt.class_names if ctx.ndim == 3 else (None,)
    owners = [(name, m + 1) for name in names for m in range(ctx.shape[-2])]
    return ctx.reshape(-1, ctx.shape[-1]), owners


def _chunks(owners: list[tuple[str | None, int]]) -> Iterator[list[tuple[str | None, int]]]:
    for first in range(0, len(owners), _ROWS_AT_ONCE):
        yield owners[first : first + _ROWS_AT_ONCE]
