"""One interface over any open_clip model: frozen, in eval mode, read-only, shared by everyone.

N pictures, V spatial tokens of a picture, T text tokens, d the joint embedding width.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transform import PreprocessCfg, image_transform_v2
from open_clip.transformer import VisionTransformer
from PIL import Image
from torch import Tensor, nn

from coop_demo.backbones.text_tower import TextTower
from coop_demo.errors import BackboneError, PromptError


def mixed_precision() -> torch.dtype:
    """The half precision of the GPU in use: bf16 where it computes in it, else fp16.

    A card that only emulates bf16 (before Ampere, such as a T4) is faster in fp16.
    """
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if native else torch.float16


@dataclass(frozen=True)
class CropConfig:
    """Random resized crops for training views, as in CoOp's `random_resized_crop`."""

    min_area: float = 0.08  # torchvision's default, which the reference uses
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip_probability: float = 0.5


@dataclass(frozen=True)
class TokenForm:
    """How a ranker wants its picture tokens made; as it stands, as they always were.

    Features that were made in one form are no use to a ranker of another: caches keep them apart.
    """

    side: int | None = None  # of the square that the picture is resized to; None: the tower's own
    cells: bool = False  # the last detail stage as its values at 2 × 2 cells of each token's
    # place, one after another, instead of as a mean and a spread: what is smaller than a token
    # keeps its own numbers

    @property
    def name(self) -> str:
        """What tells it from others in a cache; nothing for the plain form."""
        side = f" {self.side} px" if self.side else ""
        return side + (" cells" if self.cells else "")


PLAIN_FORM = TokenForm()


class Backbone:
    """A frozen CLIP model.

    Args:
        model: an open_clip CLIP model; put into eval mode and frozen here.
        name: the name it is asked for by (`mini`, `ViT-B-32`, `hf-hub:…`).
        title: what it is, for people.
        preprocess: size, mean, std, interpolation and resize mode of its pictures.
        tokenizer: an open_clip tokenizer.
        weight_files: the files its weights came from; their bytes make its identity. Without
            files (random weights) the tensors themselves do.
        logit_scale: the factor between cosine and logit; the model's own when None.
        mean_pooled: a picture's feature is the mean of its spatial tokens on a square grid, so
            that views can be taken from one pass; see `features.window_feature`.
        detail_stages: stages of a timm image tower, by timm's numbers, whose maps stand beside
            the joint tokens where pictures are ranked; see `ranking_tokens`.
        text_ends_at_eot: its text tower learned from texts cut after the end-of-text token, so
            that what it gives behind it means nothing; see `text_tokens`.
        device: where it lives. fp32 on CPU, mixed precision on CUDA.

    Raises:
        BackboneError: the model's text tower cannot be used for prompts.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        name: str,
        title: str = "",
        preprocess: PreprocessCfg,
        tokenizer: Any,
        weight_files: Sequence[Path] = (),
        logit_scale: float | None = None,
        mean_pooled: bool = False,
        detail_stages: Sequence[int] = (),
        text_ends_at_eot: bool = False,
        device: str | torch.device = "cpu",
    ) -> None:
        self.name = name
        self.title = title or name
        self.device = torch.device(device)
        self.model: Any = model.eval().requires_grad_(False).to(self.device)
        self.preprocess_cfg = preprocess
        self.tokenizer = tokenizer
        self.text_tower = TextTower(self.model, name=name)
        self.logit_scale = (
            float(self.model.logit_scale.exp()) if logit_scale is None else float(logit_scale)
        )
        self.mean_pooled = mean_pooled
        self.detail_stages = tuple(detail_stages)
        self.text_ends_at_eot = text_ends_at_eot
        self._weight_files = tuple(weight_files)
        transform: Any = image_transform_v2(preprocess, is_train=False)
        # open_clip's steps: those on the image, then to a tensor, then normalise
        *self._image_steps, _, normalise = transform.transforms
        self._mean = torch.tensor(normalise.mean).view(-1, 1, 1)
        self._std = torch.tensor(normalise.std).view(-1, 1, 1)

    # ---- what it is

    @cached_property
    def weights_hash(self) -> str:
        """Sixteen hexadecimal digits that tell these weights from others."""
        digest = hashlib.blake2b(digest_size=8)
        if self._weight_files:
            for path in self._weight_files:
                with open(path, "rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            for key, tensor in sorted(self.model.state_dict().items()):
                digest.update(key.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def identity(self) -> str:
        """Name and weights in one string; a prompt or ranker fits only the backbone it names."""
        return f"{self.name}@{self.weights_hash}"

    def has_weights_of(self, identity: str) -> bool:
        """Whether an identity names these very weights, under this name or another.

        A folder may have been moved, and one model can be had under several names.
        """
        return identity.rpartition("@")[2] == self.weights_hash

    @cached_property
    def embed_dim(self) -> int:
        """d, the width of the joint space."""
        return self.text_features(["a"]).shape[-1]

    @property
    def ranking_dim(self) -> int:
        """Width of `ranking_tokens` in the plain form."""
        return self.ranking_width(PLAIN_FORM)

    def ranking_width(self, form: TokenForm) -> int:
        """Width of `ranking_tokens`: d, and two numbers for each channel of the detail stages,
        four of the last where it comes in cells."""
        if not self.detail_stages:
            return self.embed_dim
        info = self.model.visual.trunk.feature_info
        channels = [info[stage]["num_chs"] for stage in self.detail_stages]
        return self.embed_dim + 2 * sum(channels) + (2 * channels[-1] if form.cells else 0)

    @property
    def image_size(self) -> int:
        """Side of the square the image tower takes, in pixels."""
        size = self.preprocess_cfg.size
        return int(size if isinstance(size, int) else size[0])

    def autocast(self) -> contextlib.AbstractContextManager:
        """Mixed precision on CUDA, nothing elsewhere. Never hold it across a yield."""
        if self.device.type != "cuda":
            return contextlib.nullcontext()
        return torch.autocast("cuda", dtype=mixed_precision())

    # ---- pictures

    def preprocess(self, image: Image.Image) -> Tensor:
        """The model's own test-time view: resize, centre crop, normalise. -> (3, H, W)."""
        return self._normalised(self.raw_pixels(image)[None])[0]

    def random_view(self, image: Image.Image, seed: int, crop: CropConfig | None = None) -> Tensor:
        """A random resized crop, perhaps flipped; the same for the same seed. -> (3, H, W)."""
        return self.preprocess(self.random_crop(image, seed, crop))

    def whole_view(self, image: Image.Image, form: TokenForm = PLAIN_FORM) -> Tensor:
        """All of the picture, resized to the model's square without a crop. -> (3, H, W).

        What the ranking-aware adapter looks at (Yu et al., ICLR 2025): an apple at the edge counts.
        """
        return self._normalised(self.whole_pixels(image, form)[None])[0]

    def whole_pixels(self, image: Image.Image, form: TokenForm = PLAIN_FORM) -> Tensor:
        """`whole_view` before it is normalised, as bytes. -> (H, W, 3), uint8."""
        if form.side is None:
            return self.raw_pixels(self.whole_square(image))
        return torch.from_numpy(np.array(self.whole_square(image, form.side).convert("RGB")))

    def raw_pixels(self, image: Image.Image) -> Tensor:
        """The test-time view before it is normalised, as bytes. -> (H, W, 3), uint8.

        Only Pillow works here, which lets other threads run; `to_pixels` makes a batch of it.
        """
        for step in self._image_steps:
            image = step(image)
        return torch.from_numpy(np.array(image))

    def to_pixels(self, raw: Tensor) -> Tensor:
        """A batch of `raw_pixels` on the device, as the image tower takes it.

        Shape: (N, H, W, 3) uint8 -> (N, 3, H, W) fp32.
        """
        return self._normalised(self._to_device(raw))

    def random_crop(
        self, image: Image.Image, seed: int, crop: CropConfig | None = None
    ) -> Image.Image:
        """The image of `random_view`, at the model's size."""
        crop = crop or CropConfig()
        rng = np.random.default_rng(seed)
        box = _random_box(image.size, crop, rng)
        size = self.image_size
        view = image.resize((size, size), _RESAMPLING[self.preprocess_cfg.interpolation], box=box)
        if rng.random() < crop.flip_probability:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return view

    def whole_square(self, image: Image.Image, side: int | None = None) -> Image.Image:
        """The image of `whole_view`, at the model's size when no other is given."""
        side = side or self.image_size
        return image.resize((side, side), _RESAMPLING[self.preprocess_cfg.interpolation])

    def _normalised(self, raw: Tensor) -> Tensor:
        """Torchvision's ToTensor and Normalize, number by number: (N, H, W, 3) -> (N, 3, H, W)."""
        pixels = raw.permute(0, 3, 1, 2).contiguous().float().div_(255)
        return pixels.sub_(self._mean.to(pixels.device)).div_(self._std.to(pixels.device))

    @torch.no_grad()
    def image_features(self, pixels: Tensor) -> Tensor:
        """Unit-length features of preprocessed pictures. Shape: (N, 3, H, W) -> (N, d), fp32."""
        with self.autocast():
            features = self.model.encode_image(self._to_device(pixels))
        return F.normalize(pooled(features), dim=-1)

    @torch.no_grad()
    def image_tokens(self, pixels: Tensor) -> Tensor:
        """Spatial tokens brought to the joint space by CLIP's own projections, fp32.

        Shape: (N, 3, H, W) -> (N, V, d), row by row from the top left. Not normalised. For a
        mean-pooled convolutional tower (mini) their mean is the picture's feature before
        normalisation.

        Raises:
            BackboneError: the image tower is of a kind whose spatial tokens are not known.
        """
        with self.autocast():
            tokens = spatial_tokens(self.model.visual, self._to_device(pixels), name=self.name)
        return tokens.float()

    @torch.no_grad()
    def ranking_tokens(self, pixels: Tensor, form: TokenForm = PLAIN_FORM) -> Tensor:
        """What the ranking-aware adapter reads of preprocessed pictures, in fp16.

        The spatial tokens of `image_tokens`. For a tower with `detail_stages` (mini) each is
        followed by the mean and the spread of these earlier stages' channels over the token's
        part of the picture: the last map of a classifier has forgotten blur, noise and small
        things. They are computed in full precision, since a small spread is the difference of
        large numbers, and kept in half, since a pile of pictures is kept at hand.

        Args:
            pixels: of `whole_view` in the same form.

        Shape: (N, 3, H, W) -> (N, V, `ranking_width`).
        """
        if not self.detail_stages:
            return self.image_tokens(pixels).half()
        visual: Any = self.model.visual
        last, details = visual.trunk.forward_intermediates(
            self._to_device(pixels), indices=list(self.detail_stages)
        )
        # a caller's mixed precision ends here: the pooling takes differences of large numbers
        with torch.autocast(self.device.type, enabled=False):
            tokens = [timm_map_to_tokens(visual, last.float())]
            for stage, feature_map in zip(self.detail_stages, details, strict=True):
                in_cells = form.cells and stage == self.detail_stages[-1]
                local = (_cells if in_cells else _local)(feature_map.float(), last.shape)
                tokens += [t.flatten(2).transpose(1, 2) for t in local]
            return torch.cat(tokens, dim=-1).half()

    # ---- texts

    def unread_words(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Words in a script that the tokenizer breaks into single bytes.

        CLIP's vocabulary was made from English text: of other alphabets it has few whole letters,
        and what it reads instead of the others means nothing to a model trained on English.
        """
        byte_of = getattr(self.tokenizer, "byte_decoder", None)
        pieces = getattr(self.tokenizer, "decoder", None)
        if byte_of is None or pieces is None:
            return ()
        found: dict[str, None] = {}
        for word in (word for text in texts for word in text.replace("_", " ").split()):
            if word.isascii() or not any(letter.isalpha() for letter in word):
                continue
            for token in self.tokenizer.encode(word):
                raw = bytes(byte_of[c] for c in pieces[token].removesuffix("</w>"))
                try:
                    raw.decode("utf-8")
                except UnicodeDecodeError:
                    found[word.strip(".,;:!?")] = None
                    break
        return tuple(found)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Token ids with start and end. Shape: N texts -> (N, context_length).

        Raises:
            PromptError: a text is longer than the model reads; nothing is cut off silently.
        """
        for text in texts:
            n_tokens = len(self.tokenizer.encode(text)) + 2  # start and end
            if n_tokens > self.text_tower.context_length:
                raise PromptError(
                    f'"{_shorten(text)}" is {n_tokens} tokens long and the model reads '
                    f"{self.text_tower.context_length}. Shorten it."
                )
        return self.tokenizer(list(texts))

    @torch.no_grad()
    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Unit-length features of whole texts. Shape: N texts -> (N, d), fp32."""
        tokens = self.tokenize(texts)
        with self.autocast():
            features = torch.cat(
                [self.text_tower.encode_tokens(part) for part in tokens.split(256)]
            )
        return F.normalize(features.float(), dim=-1)

    @torch.no_grad()
    def text_tokens(self, texts: Sequence[str]) -> Tensor:
        """All text tower outputs, at the joint width. Shape: N texts -> (N, T, d), fp32.

        As the ranking-aware adapter reads them: after the final norm, before the projection
        where the tower's width is d already, else projected to d. T is the context length, or,
        for a tower that learned nothing behind the end-of-text token, the longest text's end.
        """
        tokens = self.tokenize(texts)
        if self.text_ends_at_eot:
            tokens = tokens[:, : int(self.text_tower.eot_positions(tokens).max()) + 1]
        with self.autocast():
            hidden = self.text_tower.hidden_states(tokens)  # (N, T, W)
            if hidden.shape[-1] != self.embed_dim:
                hidden = self.text_tower.project(hidden)
        return hidden.float()

    def _to_device(self, pixels: Tensor) -> Tensor:
        return pixels.to(self.device, non_blocking=True)


def pooled(features: Tensor) -> Tensor:
    """An image tower's output as one vector an image, fp32: (N, d) or a map (N, d, h, w) -> (N, d).

    A tower without pooling gives a map, whose mean is taken.
    """
    features = features.float()
    return features.mean(dim=(2, 3)) if features.ndim == 4 else features


_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "random": Image.Resampling.BICUBIC,
}


def _random_box(
    size: tuple[int, int], crop: CropConfig, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """A box of random area and aspect inside the picture (torchvision's RandomResizedCrop)."""
    width, height = size
    for _ in range(10):
        area = width * height * rng.uniform(crop.min_area, 1.0)
        aspect = np.exp(rng.uniform(np.log(crop.aspect[0]), np.log(crop.aspect[1])))
        w, h = np.sqrt(area * aspect), np.sqrt(area / aspect)
        if w <= width and h <= height:
            left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
            return left, top, left + w, top + h
    side = min(width, height)  # a very long picture: the centre square
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def spatial_tokens(visual: nn.Module, pixels: Tensor, *, name: str = "this model") -> Tensor:
    """Spatial tokens of an open_clip image tower in the joint space: (N, 3, H, W) -> (N, V, d).

    - ViT: the patch tokens after the last block through CLIP's own final norm and projection.
    - ResNet: each location through the value and output projections of the attention pool, as
      in MaskCLIP (arXiv 2112.01071).
    - timm networks: each location through the network's own head, as a map of one location.
    """
    if isinstance(visual, VisionTransformer):
        out = visual.forward_intermediates(pixels, indices=1, output_fmt="NLC")
        tokens = visual.ln_post(out["image_intermediates"][-1])  # (N, V, W)  # type: ignore[index]
        return tokens if visual.proj is None else tokens @ visual.proj
    if isinstance(visual, ModifiedResNet):
        x = visual.stem(pixels)
        for stage in (visual.layer1, visual.layer2, visual.layer3, visual.layer4):
            x = stage(x)  # (N, C, h, w)
        pool = visual.attnpool
        tokens = x.flatten(2).transpose(1, 2)  # (N, V, C)
        return pool.c_proj(pool.v_proj(tokens))
    if isinstance(visual, TimmModel):
        feature_map = timm_feature_map(visual, pixels)
        if feature_map is not None:
            return timm_map_to_tokens(visual, feature_map)
    raise BackboneError(
        f"{name} gives no spatial tokens that this app knows how to read. Choose a ViT of CLIP's "
        "own kind, a ResNet, or a ConvNeXt, FastViT or Swin CLIP model."
    )


def timm_feature_map(visual: TimmModel, pixels: Tensor) -> Tensor | None:
    """The last feature map of a timm network, channels first: (N, 3, H, W) -> (N, C, h, w).

    None for networks whose features are a sequence of tokens (timm's ViTs).
    """
    trunk: Any = visual.trunk
    x = trunk.forward_features(pixels)
    if x.ndim != 4:
        return None
    return x.permute(0, 3, 1, 2) if _channels_last(trunk) else x


def timm_head(visual: TimmModel, feature_map: Tensor) -> Tensor:
    """Pooling and projection of a timm network: (N, C, h, w) -> (N, d)."""
    trunk: Any = visual.trunk
    x = feature_map.permute(0, 2, 3, 1) if _channels_last(trunk) else feature_map
    return visual.head(trunk.forward_head(x))


def _channels_last(trunk: Any) -> bool:
    return str(getattr(trunk, "output_fmt", "NCHW")) == "NHWC"  # Swin; timm says so itself


def timm_map_to_tokens(visual: TimmModel, feature_map: Tensor) -> Tensor:
    """Each location of a timm network's last map through its head: (N, C, h, w) -> (N, V, d)."""
    N, C, h, w = feature_map.shape
    locations = feature_map.flatten(2).transpose(1, 2).reshape(N * h * w, C, 1, 1)
    tokens = timm_head(visual, locations)  # (N·V, d) or (N·V, d, 1, 1)
    return tokens.reshape(N, h * w, -1)


def _local(feature_map: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the parts of a coarser grid.

    Shape: (N, C, H, W) and the grid's (…, h, w) -> two (N, C, h, w).
    """
    down, across = (
        _pooling(n, parts).to(feature_map)
        for n, parts in zip(feature_map.shape[-2:], shape[-2:], strict=True)
    )
    mean = down.T @ feature_map @ across  # (N, C, h, w)
    square = down.T @ feature_map**2 @ across
    return mean, (square - mean**2).clamp_min(0).sqrt()


def _cells(feature_map: Tensor, shape: Sequence[int]) -> tuple[Tensor, ...]:
    """Each channel's means over the four quarters of the parts of a coarser grid, those of the
    upper left quarter first.

    Shape: (N, C, H, W) and the grid's (…, h, w) -> four (N, C, h, w).
    """
    down, across = (
        _pooling(n, 2 * parts).to(feature_map)
        for n, parts in zip(feature_map.shape[-2:], shape[-2:], strict=True)
    )
    fine = down.T @ feature_map @ across  # (N, C, 2h, 2w)
    return tuple(fine[..., i::2, j::2] for i in (0, 1) for j in (0, 1))


def _pooling(n: int, parts: int) -> Tensor:
    """(n, parts): what adaptive average pooling multiplies a line of n numbers with. Its kernel on
    Apple's GPUs takes only multiples."""
    return F.adaptive_avg_pool1d(torch.eye(n)[None], parts)[0]


def random_backbone(
    architecture: str = "ViT-B-32",
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    **overrides: Any,
) -> Backbone:
    """A backbone of a real architecture with random weights, for tests and timing."""
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        model = open_clip.create_model(architecture, pretrained=None, **overrides)
    finally:
        torch.set_rng_state(generator_state)
    return Backbone(
        model,
        name=f"random:{architecture}",
        title=f"{architecture} with random weights",
        preprocess=PreprocessCfg(**model.visual.preprocess_cfg),  # type: ignore[arg-type]
        tokenizer=open_clip.get_tokenizer(architecture),
        device=device,
    )


def _shorten(text: str, limit: int = 60) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
