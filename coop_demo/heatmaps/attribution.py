"""Maps of what in a picture speaks for a text: LeGrad, attention rollout, Grad-CAM, occlusion.

All are pure functions over a frozen image tower's weights and one picture's activations. Nothing
is hooked into the model, no parameter gets a gradient, and torch's gradient switch is only set
inside this thread's own `with` blocks, so two people can ask at once.

Which method fits which tower:

- **LeGrad** (Bousselham et al., arXiv 2404.03214), for ViT: how much a text's score would gain if
  a patch were attended to more. At each layer the tokens' mean goes through CLIP's own final norm
  and projection and is scored; that score's gradient with respect to the layer's attention,
  negative parts set to 0, is averaged over heads, queries and layers.
- **Attention rollout** (Abnar & Zuidema, arXiv 2005.00928), for ViT: attention followed through
  all layers. The text has no part in it: every text gets the same map. It is here as the rival
  that people know.
- **Grad-CAM** (Selvaraju et al., arXiv 1610.02391), for convolutional towers: the last feature
  map's channels weighted by the mean gradient of the score, negative sums set to 0.
- **Occlusion** (Zeiler & Fergus, arXiv 1311.2901), for any tower: how far the score falls when a
  patch of the picture is blurred away. Slow and coarse, but it believes no gradient.

What the score is (`target`):

- `cosine`: the text's cosine with the picture. The only one for a single free text.
- `contrast`: the log-odds of the text against rival texts, s·cos(x, t) − log Σ exp(s·cos(x, r)).
  It asks what a classifier asks: why this class and not another. Texts of one model share much of
  their direction, and what they share lights up the same places for every text; the log-odds
  cancel it. Unlike the probability, whose gradient vanishes once the model is sure, they never
  saturate.

`auto` takes the contrast as soon as there is another text to compare with.

Letters in shapes: T texts, d joint width, h × w the map's true resolution, H × W pixels of the
picture as the model sees it, L tokens of a ViT (class token first), W width, A heads, C = W / A.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from PIL import Image
from torch import Tensor, nn

from coop_demo.backbones.backbone import Backbone, pooled, timm_feature_map, timm_head
from coop_demo.backbones.batches import PASSES_A_TURN
from coop_demo.errors import HeatmapError
from coop_demo.turns import TURNS

Method = Literal["legrad", "rollout", "gradcam", "occlusion"]
Target = Literal["cosine", "contrast"]
MAP_METHODS: tuple[Method, ...] = get_args(Method)

#: Layers LeGrad reads, counted from the last: the default of the authors' released code. Earlier
#: layers' tokens are far from the space the final norm and projection were trained for.
LEGRAD_LAYERS = 2
#: Blurred windows along a side for occlusion; each is twice as wide as the step between them.
OCCLUSION_STEPS = 9
#: Pictures encoded at a time; larger batches gain nothing on a laptop and cost memory.
BATCH = 16


# ---- what comes out


@dataclass(frozen=True)
class Grid:
    """A map's h × w cells, which divide the picture as the model sees it (H × W pixels) evenly.

    For a ViT and for unpadded networks that is exact. EfficientNet's paddings put the middle of a
    border cell's field of view nearer to the border (3.5 of 260 pixels in the built-in model
    instead of 14.4), but half of that field then lies outside the picture, so even cells are kept.
    """

    shape: tuple[int, int]  # (h, w)
    view: tuple[int, int]  # (H, W)

    @property
    def step(self) -> tuple[float, float]:
        """Height and width of a cell in pixels."""
        return self.view[0] / self.shape[0], self.view[1] / self.shape[1]

    def upsample(self, maps: Tensor, *, smooth: bool = True) -> Tensor:
        """Maps at the picture's resolution: (T, h, w) -> (T, H, W).

        Bilinear between the cells' centres; with `smooth=False` every pixel takes its own cell's
        value, which shows the true resolution.
        """
        if smooth:
            return F.interpolate(maps[None], size=self.view, mode="bilinear")[0]
        return F.interpolate(maps[None], size=self.view, mode="nearest-exact")[0]


@dataclass(frozen=True, eq=False)
class Explanation:
    """One picture's maps, one for each text.

    Attributes:
        maps: (T, h, w) at their true resolution. Not negative, except for occlusion, where a
            negative value means that the score rose when the place was blurred. Not scaled: two
            texts' maps of one method and target are in the same unit.
        scores: (T,) the texts' cosines with the picture.
        seconds: wall time.
    """

    method: Method
    target: Target
    maps: Tensor
    scores: Tensor
    grid: Grid
    seconds: float

    @property
    def text_matters(self) -> bool:
        """Whether the text has a part in the map at all; not so for rollout."""
        return self.method != "rollout"

    @property
    def empty(self) -> Tensor:
        """(T,) true where no place speaks for the text: nothing should be drawn there."""
        return self.maps.flatten(1).amax(dim=1) <= 0

    def upsampled(self, *, smooth: bool = True) -> Tensor:
        """(T, H, W); see `Grid.upsample`."""
        return self.grid.upsample(self.maps, smooth=smooth)

    def peaks(self) -> list[tuple[int, int]]:
        """The strongest pixel (y, x) of each text's upsampled map, in the model's view."""
        width = self.grid.view[1]
        return [divmod(int(i), width) for i in self.upsampled().flatten(1).argmax(dim=1)]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The maps of two prompts for the same classes and what changed between them."""

    learned: Explanation
    hand_crafted: Explanation
    difference: Tensor  # (T, h, w), two-sided; see `difference`


# ---- what to ask


def explain(
    backbone: Backbone,
    image: Image.Image | Tensor,
    text_vectors: Tensor,
    method: str = "auto",
    *,
    target: str = "auto",
    against: Tensor | None = None,
    layers: int | None = LEGRAD_LAYERS,
) -> Explanation:
    """Maps of one picture for any number of texts, sharing one pass through the image tower.

    Args:
        image: a picture, or its preprocessed pixels (3, H, W).
        text_vectors: (T, d) or (d,); class weights of hand-crafted or learned prompts, or the
            features of free texts. Length does not matter.
        method: one of MAP_METHODS, or `auto` for the tower's own (`methods_for`).
        target: `cosine`, `contrast` or `auto`; see the module's text.
        against: (K, d) the rivals of a contrast; the other texts when left out. A rival equal to
            the text itself is not counted, so a classifier's whole weight matrix can be given.
        layers: how many of the last layers LeGrad reads; None for all.

    Raises:
        HeatmapError: an unknown method or target, a method that does not fit the tower, texts of
            another model, or a contrast with nothing to contrast with.
    """
    started = time.perf_counter()
    chosen = _choose_method(backbone, method)
    texts = unit_texts(backbone, text_vectors, "text")
    score = score_for(backbone, texts, target, against)
    with _turn(chosen):
        activations = _activations(backbone, model_pixels(backbone, image), chosen, layers)
        return _explanation(backbone, activations, score, chosen, started)


def compare(
    backbone: Backbone,
    image: Image.Image | Tensor,
    learned: Tensor,
    hand_crafted: Tensor,
    method: str = "auto",
    *,
    target: str = "auto",
    classes: Sequence[int] | None = None,
    layers: int | None = LEGRAD_LAYERS,
) -> Comparison:
    """Maps under a learned and a hand-crafted prompt, and their difference, from one pass.

    Args:
        learned, hand_crafted: (n_classes, d) class weights in the same order. Each prompt's rivals
            are its own other classes.
        classes: which classes to draw; all when left out.

    Raises:
        HeatmapError: as `explain`, or the two prompts are not for the same number of classes.
    """
    started = time.perf_counter()
    chosen = _choose_method(backbone, method)
    weights = [unit_texts(backbone, w, "prompt") for w in (learned, hand_crafted)]
    if len(weights[0]) != len(weights[1]):
        raise HeatmapError(
            f"The learned prompt has {len(weights[0])} classes and the hand-crafted one has "
            f"{len(weights[1])}. Compare prompts for the same classes."
        )
    picks = list(range(len(weights[0]))) if classes is None else list(classes)
    pair = []
    with _turn(chosen):
        activations = _activations(backbone, model_pixels(backbone, image), chosen, layers)
        for w in weights:
            rivals = w if len(w) > 1 else None
            score = score_for(backbone, w[picks], target, rivals)
            pair.append(_explanation(backbone, activations, score, chosen, started))
    return Comparison(pair[0], pair[1], difference(*pair))


def _turn(method: Method) -> contextlib.AbstractContextManager:
    """One turn for a map; occlusion, which is hundreds of passes, takes its own turns."""
    return contextlib.nullcontext() if method == "occlusion" else TURNS.short()


def difference(learned: Explanation, hand_crafted: Explanation) -> Tensor:
    """What the learned prompt marks more (> 0) and less (< 0) than the hand-crafted one.

    Each map is first scaled to a sum of 1, because the two prompts' gradients differ in size and
    only the place is of interest: a value is the share of the map that moved, times the number
    of cells (1.0 = as much as the mean cell holds). A map with nothing in it counts as 0
    everywhere. Shape: (T, h, w).
    """
    return _share(learned.maps) - _share(hand_crafted.maps)


def methods_for(backbone: Backbone) -> tuple[Method, ...]:
    """The methods that fit this backbone's image tower; the first is what `auto` takes."""
    visual = backbone.model.visual
    if _is_plain_vit(visual):
        return ("legrad", "rollout", "occlusion")
    if _is_convolutional(visual):
        return ("gradcam", "occlusion")
    return ("occlusion",)


def view_box(backbone: Backbone, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """What the model sees of a picture: (left, top, right, bottom) in the picture's pixels.

    `size` is (width, height). CLIP cuts a square out of the middle; outside it no map says
    anything. A model that pads instead has a box larger than the picture.
    """
    width, height = size
    mode = backbone.preprocess_cfg.resize_mode
    if mode == "squash":
        return 0.0, 0.0, float(width), float(height)
    side = min(size) if mode == "shortest" else max(size)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


# ---- the score


@dataclass(frozen=True, eq=False)
class Score:
    """What is explained: a number for each text and picture, differentiable in the features."""

    target: Target
    texts: Tensor  # (T, d), unit length
    rivals: Tensor | None  # (K, d), unit length
    own: Tensor | None  # (T, K), true where a rival is the text itself
    logit_scale: float

    def __call__(self, features: Tensor) -> Tensor:
        """Features of M pictures, of any length, to scores: (M, d) -> (M, T)."""
        unit = F.normalize(features.float(), dim=-1)
        cosines = unit @ self.texts.T  # (M, T)
        if self.rivals is None or self.own is None:
            return cosines
        logits = (self.logit_scale * unit @ self.rivals.T)[:, None]  # (M, 1, K)
        logits = logits.masked_fill(self.own, float("-inf"))  # (M, T, K)
        return self.logit_scale * cosines - logits.logsumexp(dim=-1)

    def probability(self, features: Tensor) -> Tensor:
        """The text's share among itself and its rivals: (M, d) -> (M, T). Contrast only."""
        return self(features).sigmoid()  # the log-odds' own inverse


def score_for(backbone: Backbone, texts: Tensor, target: str, against: Tensor | None) -> Score:
    """The score of unit texts (T, d) under a target; see `explain` for `against`.

    Raises:
        HeatmapError: an unknown target, or a contrast with nothing to contrast with.
    """
    if target not in ("auto", *get_args(Target)):
        raise HeatmapError(
            f'There is no target "{target}". Choose auto, {" or ".join(get_args(Target))}.'
        )
    rivals = texts if against is None else unit_texts(backbone, against, "rival text")
    with torch.inference_mode(False):  # a mask made in a caller's inference mode blocks gradients
        own = (texts[:, None] - rivals[None]).abs().amax(dim=-1) < 1e-6  # (T, K)
    alone = bool(own.all(dim=1).any())
    if target == "contrast" and alone:
        raise HeatmapError(
            "A contrast needs another text to compare with, and there is only one. "
            'Add a second text, or choose the target "cosine".'
        )
    if target == "cosine" or alone:
        return Score("cosine", texts, None, None, backbone.logit_scale)
    return Score("contrast", texts, rivals, own, backbone.logit_scale)


# ---- one pass through the tower


@dataclass(frozen=True, eq=False)
class _Activations:
    """What a method keeps of one pass, so that texts and prompts share it."""

    feature: Tensor  # (1, d) the picture's feature
    maps: Callable[[Score], Tensor]  # score -> (T, h, w)
    grid: Grid


def _activations(
    backbone: Backbone, pixels: Tensor, method: Method, layers: int | None
) -> _Activations:
    visual = backbone.model.visual
    view = (pixels.shape[-2], pixels.shape[-1])
    # Gradient mode is this thread's own; inference mode of a caller would forbid gradients.
    with torch.inference_mode(False), torch.no_grad():
        pixels = pixels.clone()[None]  # (1, 3, H, W); a caller's inference tensor left behind
        if method == "occlusion":
            return _occlude(backbone, pixels, view)
        if method == "gradcam":
            return _feature_map(visual, pixels, view)
        grid = Grid(visual.grid_size, view)
        if method == "rollout":
            return _rollout(visual, pixels, grid)
        return _legrad(visual, pixels, grid, layers)


def _explanation(
    backbone: Backbone, activations: _Activations, score: Score, method: Method, started: float
) -> Explanation:
    with torch.inference_mode(False), torch.no_grad():
        maps = activations.maps(score).float()
        cosines = F.normalize(activations.feature.float(), dim=-1)[0] @ score.texts.T
    seconds = time.perf_counter() - started
    return Explanation(method, score.target, maps.cpu(), cosines.cpu(), activations.grid, seconds)


# ---- ViT: attention recomputed from each block's input


def _heads(x: Tensor, n_heads: int) -> Tensor:
    """(N, L, W) -> (N, A, L, C)."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)


def _query_key_value(block: Any, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A block's queries, keys and values for its input: (N, L, W) -> 3 × (N, A, L, C)."""
    attention = block.attn
    qkv = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = (_heads(part, attention.num_heads) for part in qkv.chunk(3, dim=-1))
    return q, k, v


def _attention(q: Tensor, k: Tensor) -> Tensor:
    """Attention weights: 2 × (N, A, L, C) -> (N, A, L, L), rows sum to 1."""
    return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)


def _after_attention(block: Any, x: Tensor, attended: Tensor) -> Tensor:
    """The rest of the block: x (N, L, W) and what was attended (N, A, L, C) -> (N, L, W)."""
    x = x + block.ls_1(block.attn.out_proj(attended.transpose(1, 2).flatten(2)))
    return x + block.ls_2(block.mlp(block.ln_2(x)))


def _vit_feature(visual: Any, tokens: Tensor) -> Tensor:
    """The tower's own pooling and projection: (N, L, W) -> (N, d)."""
    pooled, _ = visual._pool(tokens)
    return pooled if visual.proj is None else pooled @ visual.proj


def _legrad(visual: Any, pixels: Tensor, grid: Grid, layers: int | None) -> _Activations:
    blocks = list(visual.transformer.resblocks)
    first = 0 if layers is None else max(0, len(blocks) - layers)
    kept: list[tuple[Any, Tensor, Tensor, Tensor]] = []
    x = visual._embeds(pixels)  # (1, L, W)
    for index, block in enumerate(blocks):
        q, k, v = _query_key_value(block, x)
        attended = F.scaled_dot_product_attention(q, k, v)
        if index >= first:
            kept.append((block, x, attended, v))
        x = _after_attention(block, x, attended)

    def maps(score: Score) -> Tensor:
        total = torch.zeros(())
        for block, x, attended, v in kept:
            gradient = _legrad_gradient(visual, score, block, x, attended)  # (T, A, L, C)
            # What is attended is weights @ v, so the weights' gradient is this times v: exact,
            # and a matrix of L × L is never differentiated.
            relevance = (gradient @ v.transpose(-1, -2)).relu()  # (T, A, L, L)
            total = total.to(relevance) + relevance.mean(dim=(1, 2))  # (T, L)
        return (total[:, 1:] / len(kept)).unflatten(1, grid.shape)  # without the class token

    return _Activations(_vit_feature(visual, x), maps, grid)


def _legrad_gradient(visual: Any, score: Score, block: Any, x: Tensor, attended: Tensor) -> Tensor:
    """Gradient of each text's score at this layer by what was attended: (T, A, L, C)."""
    with torch.enable_grad():
        leaf = attended.detach().requires_grad_()
        tokens = _after_attention(block, x, leaf)
        pooled = visual.ln_post(tokens.mean(dim=1))  # all tokens, as the authors do. (1, W)
        feature = pooled if visual.proj is None else pooled @ visual.proj
        scores = score(feature)[0]  # (T,)
        parts = [
            torch.autograd.grad(one, leaf, retain_graph=i + 1 < len(scores))[0]
            for i, one in enumerate(scores)
        ]
    return torch.cat(parts)


def _rollout(visual: Any, pixels: Tensor, grid: Grid) -> _Activations:
    x = visual._embeds(pixels)  # (1, L, W)
    followed = torch.eye(x.shape[1], device=x.device, dtype=x.dtype)
    for block in visual.transformer.resblocks:
        q, k, v = _query_key_value(block, x)
        weights = _attention(q, k)
        # Half from attention, half from the residual; the rows still sum to 1.
        followed = (weights[0].mean(dim=0) + torch.eye(len(followed)).to(x)) / 2 @ followed
        x = _after_attention(block, x, weights @ v)
    read = followed[1:].mean(dim=0) if visual.pool_type == "avg" else followed[0]  # (L,)
    one = read[1:].unflatten(0, grid.shape)
    return _Activations(
        _vit_feature(visual, x), lambda score: one.expand(len(score.texts), -1, -1).clone(), grid
    )


# ---- convolutional towers


def _feature_map(visual: nn.Module, pixels: Tensor, view: tuple[int, int]) -> _Activations:
    last, head = _conv_parts(visual)
    features = last(pixels)  # (1, K, h, w)
    grid = Grid((features.shape[2], features.shape[3]), view)

    def maps(score: Score) -> Tensor:
        with torch.enable_grad():
            # One copy a text: their scores do not touch each other, so one backward pass serves.
            leaf = features.detach().expand(len(score.texts), -1, -1, -1).clone().requires_grad_()
            total = score(head(leaf)).diagonal().sum()
            gradient = torch.autograd.grad(total, leaf)[0]  # (T, K, h, w)
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        return (weights * features).sum(dim=1).relu()  # (T, h, w)

    return _Activations(head(features), maps, grid)


def _conv_parts(visual: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The tower up to its last feature map, and the rest: pooling and projection."""
    if isinstance(visual, ModifiedResNet):

        def last(pixels: Tensor) -> Tensor:
            x = visual.stem(pixels)
            for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
                x = stage(x)
            return x

        return last, visual.attnpool
    return partial(_timm_map, visual), lambda x: pooled(timm_head(visual, x))


def _timm_map(visual: TimmModel, pixels: Tensor) -> Tensor:
    feature_map = timm_feature_map(visual, pixels)
    if feature_map is None:  # timm calls it convolutional and it is not
        raise HeatmapError("This model has no feature map to mark. Choose the method occlusion.")
    return feature_map


# ---- any tower


def blurred(pixels: Tensor, *, share: float = 0.08) -> Tensor:
    """Pixels without detail: a Gaussian blur of `share` of the picture's side, (…, 3, H, W)."""
    sigma = share * min(pixels.shape[-2:])
    for axis in (-2, -1):
        n = pixels.shape[axis]
        distance = torch.arange(n, device=pixels.device)[:, None] - torch.arange(
            n, device=pixels.device
        )
        weights = torch.softmax(-(distance**2) / (2 * sigma**2), dim=1)  # (n, n), no dark border
        pixels = (pixels.transpose(axis, -1) @ weights.T).transpose(axis, -1)
    return pixels


def encode_in_batches(backbone: Backbone, pictures: Tensor) -> Tensor:
    """Unit features of many pictures: (M, 3, H, W) -> (M, d)."""
    features = []
    for part in pictures.split(PASSES_A_TURN if pictures.device.type == "cpu" else BATCH):
        with TURNS.long():
            features.append(backbone.image_features(part))
    return torch.cat(features)


def _occlude(backbone: Backbone, pixels: Tensor, view: tuple[int, int]) -> _Activations:
    n = OCCLUSION_STEPS
    grid = Grid((n, n), view)
    soft = blurred(pixels)
    pictures, windows = [pixels], []
    for row in range(n):
        for column in range(n):
            top = round((row - 0.5) * grid.step[0])
            bottom = round((row + 1.5) * grid.step[0])
            left = round((column - 0.5) * grid.step[1])
            right = round((column + 1.5) * grid.step[1])
            window = torch.zeros(view, dtype=torch.bool, device=pixels.device)
            window[max(0, top) : bottom, max(0, left) : right] = True
            windows.append(window)
            pictures.append(torch.where(window, soft, pixels))
    features = encode_in_batches(backbone, torch.cat(pictures))  # (1 + n², d)

    def maps(score: Score) -> Tensor:
        scores = score(features)  # (1 + n², T)
        return (scores[:1] - scores[1:]).T.unflatten(1, grid.shape)  # the fall, (T, n, n)

    return _Activations(features[:1], maps, grid)


# ---- checks


def _is_plain_vit(visual: Any) -> bool:
    return (
        isinstance(visual, VisionTransformer)
        and visual.attn_pool is None
        and visual.pool_type in ("tok", "avg")
        and all(isinstance(b, ResidualAttentionBlock) for b in visual.transformer.resblocks)
    )


def _is_convolutional(visual: Any) -> bool:
    if isinstance(visual, ModifiedResNet):
        return True
    # timm says of every network whether its features are a map; a ViT's are a sequence.
    config = getattr(getattr(visual, "trunk", None), "default_cfg", {})
    pool_size = config.get("pool_size") if isinstance(visual, TimmModel) else None
    return pool_size is not None and len(pool_size) == 2


def _choose_method(backbone: Backbone, method: str) -> Method:
    valid = methods_for(backbone)
    if method == "auto":
        return valid[0]
    if method not in MAP_METHODS:
        raise HeatmapError(
            f'There is no map method "{method}". Choose auto, {", ".join(valid)} '
            f"for {backbone.name}."
        )
    if method not in valid:
        kind = "a ViT" if "legrad" in valid else "not a ViT"
        if valid == ("occlusion",):
            kind = "of a kind whose inner steps are not known here"
        raise HeatmapError(
            f'The method "{method}" does not fit {backbone.name}, whose image tower is {kind}. '
            f"Choose {' or '.join(valid)}."
        )
    return method


def model_pixels(backbone: Backbone, image: Image.Image | Tensor) -> Tensor:
    """A picture as the model sees it: (3, H, W), fp32, on the backbone's device."""
    pixels = backbone.preprocess(image) if isinstance(image, Image.Image) else image
    if pixels.dim() != 3:
        raise ValueError(f"pixels of one picture are (3, H, W), not {tuple(pixels.shape)}")
    return pixels.to(backbone.device).float()


def unit_texts(backbone: Backbone, vectors: Tensor, what: str) -> Tensor:
    """Text vectors (T, d) or (d,) at unit length, (T, d); `what` names them in an error.

    Raises:
        HeatmapError: none are given, they are of another model, or not finite.
    """
    vectors = vectors[None] if vectors.dim() == 1 else vectors
    if vectors.dim() != 2 or not len(vectors):
        raise HeatmapError(f"There is no {what} to draw a map for. Give at least one.")
    if vectors.shape[1] != backbone.embed_dim:
        raise HeatmapError(
            f"The {what} has {vectors.shape[1]} numbers and {backbone.name} works with "
            f"{backbone.embed_dim}: it was made with another model. Use the model it was made with."
        )
    if not torch.isfinite(vectors).all():
        raise HeatmapError(f"The {what} holds numbers that are not finite. Train the prompt again.")
    with torch.inference_mode(False):  # a clone made here may take part in gradients
        return F.normalize(vectors.detach().clone().to(backbone.device).float(), dim=-1)


def _share(maps: Tensor) -> Tensor:
    """Each map's positive part scaled to a mean of 1; nothing stays nothing."""
    positive = maps.clamp_min(0)
    mean = positive.mean(dim=(1, 2), keepdim=True)
    return torch.where(mean > 0, positive / mean.clamp_min(torch.finfo(mean.dtype).tiny), 0.0)
