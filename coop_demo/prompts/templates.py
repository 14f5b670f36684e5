"""Hand-crafted prompts: what a person would have written.

The data-set templates are those of the CoOp paper's own zero-shot baseline (its appendix and
`trainers/zsclip.py`); they are facts about the baseline that a learned prompt must beat.
"""

from collections.abc import Sequence

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.texts import remembered
from coop_demo.errors import PromptError

DEFAULT_TEMPLATE = "a photo of a {}."

#: the templates on offer at the page and in the help text, plainest first
PLAIN_TEMPLATES = (
    "{}",
    "a photo of a {}.",
    "a picture of a {}.",
    "a close-up photo of a {}.",
    "a drawing of a {}.",
)

#: CoOp's hand-crafted template for each of its data sets
DATASET_TEMPLATES = {
    "OxfordPets": "a photo of a {}, a type of pet.",
    "OxfordFlowers": "a photo of a {}, a type of flower.",
    "FGVCAircraft": "a photo of a {}, a type of aircraft.",
    "DescribableTextures": "{} texture.",
    "EuroSAT": "a centered satellite photo of {}.",
    "StanfordCars": "a photo of a {}.",
    "Food101": "a photo of {}, a type of food.",
    "SUN397": "a photo of a {}.",
    "Caltech101": "a photo of a {}.",
    "UCF101": "a photo of a person doing {}.",
    "ImageNet": "a photo of a {}.",
}


def imagenet_ensemble() -> tuple[str, ...]:
    """The 80 ImageNet templates of the CLIP authors, as open_clip keeps them."""
    return tuple(template("{}") for template in open_clip.OPENAI_IMAGENET_TEMPLATES)


def spoken(class_name: str) -> str:
    """A class name as it is put into a sentence: `_` read as a space, no double spaces."""
    return " ".join(class_name.replace("_", " ").split())


def fill(template: str, class_name: str) -> str:
    """Put a class name into a template.

    Raises:
        PromptError: the template has no `{}`.
    """
    if "{}" not in template:
        raise PromptError(
            f'The template "{template}" has no {{}}. Write {{}} where the class name belongs, '
            'for instance "a photo of a {}."'
        )
    return template.replace("{}", spoken(class_name))


def class_weights(
    backbone: Backbone, class_names: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Hand-crafted class weights; several templates are averaged after normalising (an ensemble).

    Returns:
        (C, d) unit vectors.

    Raises:
        PromptError: there is no template, a template has no `{}`, or a filled template is too
            long for the model.
    """
    if not templates:
        raise PromptError('Write at least one prompt, for instance "a photo of a {}."')
    texts = [fill(template, name) for template in templates for name in class_names]

    def compute() -> Tensor:
        features = backbone.text_features(texts)  # (templates · C, d)
        features = features.view(len(templates), len(class_names), -1).mean(dim=0)  # (C, d)
        return F.normalize(features, dim=-1)

    return remembered(backbone, [str(len(templates)), *texts], compute)


def accuracy(features: Tensor, labels: Tensor, weights: Tensor) -> float:
    """Share of pictures whose nearest class weight is their own class.

    Shape: features (N, d) unit, labels (N,), weights (C, d) unit. NaN for no pictures.
    """
    if len(features) == 0:
        return float("nan")
    predicted = (features @ weights.to(features).T).argmax(dim=-1)
    return int((predicted == labels.to(predicted.device)).sum()) / len(features)


def by_class(class_names: Sequence[str], shares: Sequence[float]) -> dict[str, float]:
    """Shares by class name, the largest first."""
    return dict(sorted(zip(class_names, shares, strict=True), key=lambda pair: -pair[1]))


def probabilities(features: Tensor, weights: Tensor, logit_scale: float) -> Tensor:
    """Softmax over classes. Shape: (N, d), (C, d) -> (N, C)."""
    return torch.softmax(logit_scale * features @ weights.to(features).T, dim=-1)
