"""What the ranker looked at: words, pairs and the score. Pure functions over a RankingAdapter.

Three questions, three maps:

- *Where does each word of the instruction act?* The cross-attention from every patch to the word,
  mean over layers and heads.
- *Why is this one ahead?* The rank-aware attention of the pair: one softmax over the patches of
  both pictures, so its parts say which picture the comparison looked at more, and where. Attention
  says where it looked, not for whom it spoke; the signed map (gradient × token of the pair's
  logit) says which patches pushed this one ahead and which held it back.
- *What makes the score high?* Gradient × token of the score, signed the same way.

The adapter must be in eval mode: with dropout on, a map would change from call to call.
Letters in shapes: V patches = h · w, T tokens, r a picture token's width, d a word's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import PLAIN_FORM, Backbone, TokenForm
from coop_demo.errors import HeatmapError
from coop_demo.heatmaps.attribution import Grid
from coop_demo.ranking.adapter import RankingAdapter


@dataclass(frozen=True, eq=False)
class WordMaps:
    """Where in a picture each word of the instruction is read.

    `maps` is (n_words, h, w): the part of a patch's reading that goes to the word. `elsewhere` is
    the mean part that goes to no word at all: the learnable prompts, start and end, and padding.
    """

    words: tuple[str, ...]
    maps: Tensor
    elsewhere: float

    @property
    def shares(self) -> tuple[float, ...]:
        """The mean part of the reading that goes to each word."""
        return tuple(self.maps.mean(dim=(1, 2)).tolist())


@dataclass(frozen=True, eq=False)
class PairMaps:
    """Why picture a stands where it does against picture b.

    Attributes:
        probability: that a ranks above b, from the pair branch.
        attention: (2, h, w) the rank-aware attention on a and b, mean over heads and queries; the
            two sum to 1 together.
        pull: (2, h, w) signed: > 0 where a patch (of either picture) pushes a ahead of b.
    """

    probability: float
    attention: Tensor
    pull: Tensor

    @property
    def share(self) -> float:
        """The part of the attention that fell on a, 0 to 1."""
        return float(self.attention[0].sum())

    def sentence(self, a: str = "A", b: str = "B") -> str:
        """The answer in words, named from the picture that is ahead."""
        ahead, behind, index = (a, b, 0) if self.probability >= 0.5 else (b, a, 1)
        sure = max(self.probability, 1 - self.probability)
        share = self.share if index == 0 else 1 - self.share
        row, column = divmod(int(self.attention[index].argmax()), self.attention.shape[-1])
        height, width = self.attention.shape[-2:]
        return (
            f"{ahead} is put ahead of {behind} with {sure:.0%} certainty; {share:.0%} of the "
            f"attention is on {ahead}, most of all {_place(row, column, height, width)}."
        )


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """A picture's score and what it is made of: `map` (h, w) is signed, > 0 raises the score."""

    score: float
    map: Tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """One kind of map for each picture, (h, w) each: what there is to draw.

    `scale` is the value drawn strongest in all of them, so that they can be compared by eye;
    None: each map's own largest.
    """

    maps: tuple[Tensor, ...]
    two_sided: bool
    scale: float | None


@dataclass(frozen=True, eq=False)
class OrderMaps:
    """What the ranker looked at in one picture of an order, or in two.

    `words` and `scores` hold one entry a picture. `pair` says why the first stands where it does
    against the second; None for one picture.
    """

    grid: Grid
    words: tuple[WordMaps, ...]
    scores: tuple[ScoreMap, ...]
    pair: PairMaps | None

    def attention(self) -> Layer | None:
        """The pair's attention, where it is above an even spread; None for one picture."""
        return None if self.pair is None else _layer(tuple(above_average(self.pair.attention)))

    def pull(self) -> Layer | None:
        """What pushed the first picture ahead or held it back; None for one picture."""
        return None if self.pair is None else _layer(tuple(self.pair.pull), two_sided=True)

    def score(self) -> Layer:
        """What raises and what lowers each picture's score."""
        return _layer(tuple(one.map for one in self.scores), two_sided=True)

    def word(self, index: int) -> Layer:
        """Where a word of the instruction is read more than on average."""
        return Layer(tuple(above_average(one.maps[index]) for one in self.words), False, None)


def _layer(maps: tuple[Tensor, ...], *, two_sided: bool = False) -> Layer:
    return Layer(maps, two_sided, max(float(one.abs().max()) for one in maps))


def above_average(values: Tensor) -> Tensor:
    """What exceeds the mean of all values; the rest is 0.

    Attention is nowhere 0, so a drawing of all of it would mark everything.
    """
    return (values - values.mean()).clamp_min(0)


def order_maps(
    adapter: RankingAdapter,
    backbone: Backbone,
    images: Sequence[Image.Image | Tensor],
    instruction: str,
) -> OrderMaps:
    """All maps of one picture, or of two that are compared; a picture given as pixels is the
    backbone's `whole_view` in the adapter's form.

    Raises:
        HeatmapError: the instruction has no words, or the model's tokens fill no square.
        RankingError: the ranker was made for another model.
    """
    if len(images) not in (1, 2):
        raise ValueError(f"the maps are for one or two pictures, not {len(images)}")
    form = adapter.config.form
    with torch.no_grad():
        pixels = [
            backbone.whole_view(image, form) if isinstance(image, Image.Image) else image
            for image in images
        ]
        tokens = [backbone.ranking_tokens(one[None], form)[0] for one in pixels]
        text = backbone.text_tokens([instruction])
    return OrderMaps(
        token_grid(backbone, len(tokens[0]), form),
        tuple(word_maps(adapter, backbone, one, instruction) for one in tokens),
        tuple(score_map(adapter, one, text) for one in tokens),
        pair_maps(adapter, tokens[0], tokens[1], text) if len(tokens) == 2 else None,
    )


def word_maps(
    adapter: RankingAdapter,
    backbone: Backbone,
    image_tokens: Tensor,
    instruction: str,
    *,
    shape: tuple[int, int] | None = None,
) -> WordMaps:
    """For each word of the instruction, where in the picture it is read.

    Args:
        image_tokens: (V, r) the picture's `Backbone.ranking_tokens`.
        shape: (h, w) of the tokens; a square when left out.

    Raises:
        HeatmapError: the instruction has no words, or the tokens fill no grid.
        RankingError: the ranker was made for another model.
    """
    spans = word_spans(backbone, instruction)
    h, w = _shape(image_tokens, shape)
    with torch.no_grad():
        text = backbone.text_tokens([instruction]).to(image_tokens.device)  # (1, T, d)
        attention = adapter.text_attention(_still(image_tokens)[None], text)
    read = attention[0].mean(dim=(0, 1)).float().cpu()  # (V, n + T)
    first = read.shape[1] - text.shape[1]  # the learnable prompts come before the words
    maps = torch.stack(
        [read[:, first + start : first + stop].sum(dim=1) for _, start, stop in spans]
    )  # (n_words, V)
    return WordMaps(
        tuple(word for word, _, _ in spans),
        maps.reshape(len(spans), h, w),
        float(1 - maps.sum(dim=0).mean()),
    )


def pair_maps(
    adapter: RankingAdapter,
    a: Tensor,
    b: Tensor,
    text_tokens: Tensor,
    *,
    shape: tuple[int, int] | None = None,
) -> PairMaps:
    """Why picture a stands where it does against picture b.

    Args:
        a, b: (V, r) the two pictures' tokens.
        text_tokens: (T, d) or (1, T, d) the instruction's `Backbone.text_tokens`.

    Raises:
        HeatmapError: the tokens fill no grid.
        RankingError: the ranker was made for another model.
    """
    h, w = _shape(a, shape)
    tokens, text = torch.stack([_still(a), _still(b)]), _still(text_tokens)
    with torch.no_grad():
        pair = torch.tensor([[0, 1]])
        attention = adapter.pair_attention(tokens, text, pair)[0].mean(dim=(0, 1))  # (2V,)
    logit, pull = _gradient_times_token(tokens, lambda leaf: adapter.pair_logits(leaf, text)[0, 1])
    return PairMaps(
        float(torch.sigmoid(torch.tensor(logit))),
        attention.float().cpu().reshape(2, h, w),
        pull.reshape(2, h, w),
    )


def score_map(
    adapter: RankingAdapter,
    image_tokens: Tensor,
    text_tokens: Tensor,
    *,
    shape: tuple[int, int] | None = None,
) -> ScoreMap:
    """What a picture's score is made of, patch by patch.

    Shape: image_tokens (V, r), text_tokens (T, d) or (1, T, d).

    Raises:
        HeatmapError: the tokens fill no grid.
        RankingError: the ranker was made for another model.
    """
    h, w = _shape(image_tokens, shape)
    text = _still(text_tokens)
    score, parts = _gradient_times_token(
        _still(image_tokens)[None], lambda leaf: adapter.scores(leaf, text)[0]
    )
    return ScoreMap(score, parts.reshape(h, w))


def token_grid(backbone: Backbone, n_tokens: int, form: TokenForm = PLAIN_FORM) -> Grid:
    """Where `Backbone.ranking_tokens` lie in the picture, all of which they cover, for drawing.

    Raises:
        HeatmapError: the tokens fill no square.
    """
    side = _side(n_tokens)
    pixels = form.side or backbone.image_size
    return Grid((side, side), (pixels, pixels))


def word_spans(backbone: Backbone, instruction: str) -> list[tuple[str, int, int]]:
    """Each word with the positions of its tokens, start included and stop not.

    Raises:
        HeatmapError: there are no words.
        PromptError: the instruction is longer than the model reads.
    """
    backbone.tokenize([instruction])  # refuses what is too long
    encode: Any = backbone.tokenizer.encode
    spans, at = [], 1  # behind the start token
    for word in instruction.split():
        n = len(encode(word))
        if n:
            spans.append((word, at, at + n))
        at += n
    if not spans:
        raise HeatmapError("The instruction has no words. Write what to rank by.")
    if at - 1 != len(encode(instruction)):
        # A tokenizer that reads across spaces: the whole sentence is one span, which is true.
        return [(instruction.strip(), 1, 1 + len(encode(instruction)))]
    return spans


def _gradient_times_token(tokens: Tensor, score: Any) -> tuple[float, Tensor]:
    """A scalar and each token's part in it to first order: (N, V, r) -> float, (N, V)."""
    with torch.inference_mode(False), torch.enable_grad():  # this thread's own switch
        leaf = tokens.clone().requires_grad_()
        value = score(leaf)
        gradient = torch.autograd.grad(value, leaf)[0]  # the adapter's parameters get none
    return float(value.detach()), (gradient * tokens).sum(dim=-1).float().cpu()


def _still(tokens: Tensor) -> Tensor:
    """Plain fp32 tokens outside any graph, and outside a caller's inference mode."""
    with torch.inference_mode(False):
        return tokens.detach().float().clone()


def _shape(tokens: Tensor, shape: Sequence[int] | None) -> tuple[int, int]:
    if tokens.dim() != 2:
        raise ValueError(f"tokens of one picture are (V, r), not {tuple(tokens.shape)}")
    if shape is None:
        side = _side(len(tokens))
        return side, side
    h, w = shape
    if h * w != len(tokens):
        raise HeatmapError(
            f"{len(tokens)} patches do not fill a grid of {h} × {w}. Encode the picture again."
        )
    return h, w


def _side(n_tokens: int) -> int:
    side = round(n_tokens**0.5)
    if side * side != n_tokens:
        raise HeatmapError(
            f"{n_tokens} patches fill no square, so they cannot be drawn. Encode the picture again."
        )
    return side


def _place(row: int, column: int, height: int, width: int) -> str:
    down = ("at the top", "in the middle", "at the bottom")[min(2, 3 * row // height)]
    across = ("left", "", "right")[min(2, 3 * column // width)]
    return f"{down} {across}".strip() if across else down
