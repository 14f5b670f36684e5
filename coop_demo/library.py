"""The package from Python: a few functions that stay as they are, for scripts and notebooks.

    from coop_demo import load_backbone, load_dataset, predict, train_prompt

    backbone = load_backbone()
    taught = train_prompt(backbone, load_dataset("my-pictures"), shots=16)
    print(taught.hand_crafted_accuracy, taught.learned_accuracy)
    for answer in predict(backbone, taught.prompt, ["one.jpg", "two.jpg"]):
        print(answer.image, answer.best, answer.learned)

What goes wrong with something a person gave is a `coop_demo.errors.UserError` whose message says
what to do. Everything else of the package may change from one version to the next.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from coop_demo.backbones import catalog
from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import encode_all
from coop_demo.data.dataset import Dataset, Picture
from coop_demo.data.folders import read_data
from coop_demo.data.images import load_picture, picture_files
from coop_demo.errors import PictureError, PromptError, RankingError
from coop_demo.heatmaps.attribution import Explanation, view_box
from coop_demo.heatmaps.attribution import explain as explain_vectors
from coop_demo.heatmaps.render import draw
from coop_demo.prompts.checkpoint import load_prompt, save_prompt
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import TeachResult, teach
from coop_demo.prompts.templates import by_class, class_weights, probabilities
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.ranking.checkpoint import load_ranker, shipped_ranker_path
from coop_demo.ranking.instructions import check_instruction
from coop_demo.ranking.order import RANKER, ScoredImages, score_images
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import antonyms_for
from coop_demo.runtime import shared_backbone

T = TypeVar("T")

__all__ = [
    "Answer",
    "Map",
    "Ranked",
    "explain",
    "load_backbone",
    "load_dataset",
    "load_prompt",
    "load_ranker",
    "predict",
    "rank",
    "save_prompt",
    "train_prompt",
]


@dataclass(frozen=True)
class Answer:
    """What one image is taken for: probabilities by class, the largest first."""

    image: str
    learned: Mapping[str, float]
    hand_crafted: Mapping[str, float]
    unlike: bool | None = None  # it may be none of the classes; None: the prompt does not know

    @property
    def best(self) -> str:
        """The class that the learned prompt gives the largest probability."""
        return next(iter(self.learned))


@dataclass(frozen=True)
class Ranked:
    """One image of an order; scores compare within one instruction only."""

    image: str
    score: float


@dataclass(frozen=True)
class Map:
    """Where in an image the model looked for a text.

    `explanation.maps` (1, h, w) are the numbers; `drawn` is the image with the map over it.
    """

    explanation: Explanation
    drawn: Image.Image


def load_backbone(name: str = "mini", device: str = "") -> Backbone:
    """A frozen CLIP model: `mini`, a name of `python -m coop_demo models`, or
    `open_clip:ARCH/TAG`; loaded once a process.

    Args:
        device: `cpu`, `cuda` or `mps`; the best there is when empty.

    Raises:
        BackboneError: it is unknown or cannot be had.
    """
    if not catalog.is_local(name):
        catalog.fetch(name)
    return shared_backbone(name, device)


def load_dataset(path: str | Path) -> Dataset:
    """A folder with one folder a class, with or without parts such as train and test, or a zip of
    one: what the command line's --data takes.

    Raises:
        DatasetError: it cannot be used.
    """
    return read_data(path)


def train_prompt(
    backbone: Backbone,
    dataset: Dataset,
    *,
    shots: int = 16,
    seed: int = 1,
    preset: str = "fast",
    config: PromptConfig | None = None,
    progress: Callable[[Any], None] | None = None,
    **settings: Any,
) -> TeachResult:
    """Learn a prompt and measure it beside the hand-crafted one on images neither has seen.

    Args:
        shots: training images a class.
        preset: `fast` or `paper`.
        config: length, position and kind of the context.
        progress: called with every event of the training; what it raises stops it.
        settings: fields of TrainConfig, such as `steps`, `learning_rate` and `template`.

    Raises:
        DatasetError, PromptError: the set or a setting cannot be used.
    """
    events = teach(
        backbone,
        dataset,
        shots=shots,
        seed=seed,
        preset=preset,  # type: ignore[arg-type]
        prompt_config=config,
        **settings,
    )
    return _last(events, TeachResult, progress)


def predict(
    backbone: Backbone, prompt: LearnedPrompt, images: Iterable[str | Path]
) -> list[Answer]:
    """What a learned prompt, and the hand-crafted one it was trained against, say of images.

    Args:
        images: files; a folder stands for the pictures in it.

    Raises:
        PictureError: one of them cannot be read.
    """
    pictures = _pictures(images)
    encoded = encode_all(backbone, pictures)
    if encoded.problems:
        raise PictureError(encoded.problems[0])
    features = encoded.features[0]
    words = class_weights(backbone, prompt.class_names, [prompt.train_config.template])
    learned, hand_crafted = (
        probabilities(features, weights, backbone.logit_scale).tolist()
        for weights in (prompt.class_weights, words)
    )
    familiar = prompt.familiar
    unlike = familiar.unlike(features, prompt.class_weights) if familiar else [None] * len(pictures)
    return [
        Answer(
            picture.name,
            by_class(prompt.class_names, ours),
            by_class(prompt.class_names, theirs),
            other,
        )
        for picture, ours, theirs, other in zip(
            pictures, learned, hand_crafted, unlike, strict=True
        )
    ]


def rank(
    backbone: Backbone,
    images: Iterable[str | Path],
    instruction: str,
    *,
    ranker: Ranker | None = None,
) -> list[Ranked]:
    """Images in the order of an instruction such as "Rank the number of apples."

    Args:
        ranker: of `load_ranker`; the one that ships with the backbone when None.

    Raises:
        RankingError: there is no ranker for this backbone, or fewer than two images.
        PictureError: one of the images cannot be read.
    """
    if ranker is None:
        path = shipped_ranker_path(backbone.name)
        if path is None:
            raise RankingError(
                f"No ranker ships for {backbone.name}. Give one of your own, or use mini."
            )
        ranker = load_ranker(path, backbone)
    ranker.check_backbone(backbone)
    pictures = _pictures(images)
    wanted = check_instruction(instruction, backbone)
    events = score_images(
        backbone, pictures, [wanted], [antonyms_for(wanted)], ranker, methods=(RANKER,)
    )
    scored = _last(events, ScoredImages)
    if scored.problems:
        raise PictureError(scored.problems[0])
    scores = scored.found[0].scores[RANKER]
    ranked = [Ranked(picture.name, float(s)) for picture, s in zip(pictures, scores, strict=True)]
    return sorted(ranked, key=lambda one: -one.score)


def explain(
    backbone: Backbone,
    image: str | Path,
    text: str,
    *,
    prompt: LearnedPrompt | None = None,
    against: Sequence[str] = (),
    method: str = "auto",
) -> Map:
    """Where the model looks in an image for a text, or for a class of a learned prompt.

    Args:
        text: "a photo of a zebra."; with `prompt` the name of one of its classes.
        against: texts to tell it from; with `prompt` its other classes are.

    Raises:
        HeatmapError: the method does not fit the backbone.
        PictureError: the image cannot be read.
        PromptError: the prompt has no such class.
    """
    picture = load_picture(image)
    if prompt is None:
        vectors, index = backbone.text_features([text, *against]), 0
    elif text in prompt.class_names:
        vectors, index = prompt.class_weights, prompt.class_names.index(text)
    else:
        names = ", ".join(prompt.class_names)
        raise PromptError(f'The prompt has no class "{text}". Choose one of {names}.')
    rivals = vectors if len(vectors) > 1 else None
    found = explain_vectors(backbone, picture, vectors[index], method, against=rivals)
    box = view_box(backbone, picture.size)
    return Map(found, draw(picture, found.grid, found.maps[0], box=box))


def _pictures(images: Iterable[str | Path]) -> list[Picture]:
    return [Picture(str(path), path) for path in picture_files(images)]


def _last(
    events: Generator[Any, None, Any], kind: type[T], progress: Callable[[Any], None] | None = None
) -> T:
    result = None
    for event in events:
        if isinstance(event, kind):
            result = event
        elif progress is not None:
            progress(event)
    assert result is not None
    return result
