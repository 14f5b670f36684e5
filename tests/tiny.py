"""A whole CLIP small enough for unit tests: random weights, 32-pixel pictures."""

from __future__ import annotations

from dataclasses import dataclass

import open_clip
import torch
from images import Colour, coloured
from open_clip.transform import PreprocessCfg
from PIL import Image

from coop_demo.backbones.backbone import Backbone
from coop_demo.errors import PictureError


def tiny_backbone(seed: int = 0, name: str = "tiny") -> Backbone:
    generator_state = torch.get_rng_state()
    torch.manual_seed(seed)
    model = open_clip.CLIP(
        embed_dim=24,
        vision_cfg={  # type: ignore[arg-type]
            "image_size": 32,
            "layers": 2,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
        },
        text_cfg={"width": 32, "heads": 2, "layers": 2},  # type: ignore[arg-type]
        quick_gelu=True,
    )
    torch.set_rng_state(generator_state)
    return Backbone(
        model,
        name=name,
        preprocess=PreprocessCfg(size=32),
        tokenizer=open_clip.tokenizer.SimpleTokenizer(),
        logit_scale=30.0,
    )


@dataclass(frozen=True)
class MadePicture:
    """A picture of one colour with noise, decoded on demand like a real one."""

    colour: Colour
    seed: int = 0
    broken: bool = False

    @property
    def content(self) -> str | None:
        """Not known before the picture is decoded."""
        return None

    def load(self) -> Image.Image:
        if self.broken:
            raise PictureError('"broken.jpg" is damaged. Leave it out.')
        return coloured(self.colour, self.seed)


def separable_features(
    n_classes: int = 3, per_class: int = 8, d: int = 24, views: int = 2, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit features around one random direction a class: (views, N, d) and labels (N,)."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(n_classes, d, generator=generator)
    labels = torch.arange(n_classes).repeat_interleave(per_class)
    noise = 0.3 * torch.randn(views, len(labels), d, generator=generator)
    features = torch.nn.functional.normalize(centres[labels] + noise, dim=-1)
    return features, labels
