"""One cell of a grid: what is drawn and encoded for it, and how it is fitted and measured.

What runs in a worker is here: `encoder_of` makes what encodes a set once, `measured_cell` gives a
row of the results. A worker opens the backbone itself and keeps it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent, FeatureCache, encode_and_return
from coop_demo.comparison.feature_store import StoredFeatures
from coop_demo.comparison.methods import LEARNED_METHODS, Classifier, ensemble, hand_crafted, learn
from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.rivals import fit
from coop_demo.comparison.statistics import Score, score
from coop_demo.data.coop_datasets import COOP_DATASETS, read_coop
from coop_demo.data.dataset import (
    Dataset,
    LabelledPicture,
    check_pictures,
    check_trainable,
    few_shot,
    split_held_out,
)
from coop_demo.data.folders import read_folder
from coop_demo.errors import DatasetError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import Prepared, train_config_for
from coop_demo.prompts.templates import DATASET_TEMPLATES, DEFAULT_TEMPLATE
from coop_demo.prompts.training import Preset, TrainEvent

OpenBackbone = Callable[[], Backbone]  # goes to workers: opens the model there, once a process


#: the CoOp paper's template of each set in CoOp's own layout
_COOP_TEMPLATES = {
    "imagenet": "ImageNet",
    "caltech101": "Caltech101",
    "oxford_pets": "OxfordPets",
    "stanford_cars": "StanfordCars",
    "oxford_flowers": "OxfordFlowers",
    "food101": "Food101",
    "fgvc_aircraft": "FGVCAircraft",
    "sun397": "SUN397",
    "dtd": "DescribableTextures",
    "eurosat": "EuroSAT",
    "ucf101": "UCF101",
}


@dataclass(frozen=True)
class Settings:
    """What decides a cell's number beside its data set, method, shots and seed."""

    backbone: str  # identity: name and weights hash
    preset: Preset = "fast"
    template: str = ""  # "" for the paper's own template where there is one
    prompt_config: PromptConfig = field(default_factory=PromptConfig)
    overrides: tuple[tuple[str, Any], ...] = ()  # fields of TrainConfig

    def template_for(self, dataset: str) -> str:
        """The hand-crafted prompt to beat on a data set."""
        known = DATASET_TEMPLATES[_COOP_TEMPLATES[dataset]] if dataset in _COOP_TEMPLATES else ""
        return self.template or known or DEFAULT_TEMPLATE


def find_dataset(root: str | Path, name: str) -> Dataset:
    """A data set below `root`, in our layout or in CoOp's. No picture is opened.

    Raises:
        DatasetError: there is no such set; the message says what was looked for.
    """
    folder = Path(root) / name
    if not Path(root).is_dir():
        raise DatasetError(f'"{root}" is not a folder. Give the folder that holds the data sets.')
    if name in COOP_DATASETS:
        try:
            return read_coop(root, name)
        except DatasetError:
            # a set of that name in our own layout is as good
            if not any((folder / part).is_dir() for part in ("train", "test")):
                raise
    if folder.is_dir():
        return read_folder(folder, check=False)
    raise DatasetError(
        f'There is no data set "{name}" in "{root}". Give the name of a folder in it, or one of '
        f"CoOp's: {', '.join(COOP_DATASETS)}."
    )


def fit_method(
    backbone: Backbone,
    method: str,
    prepared: Prepared,
    words: dict[str, Classifier],
    shots: int,
    seed: int,
    template: str,
    settings: Settings,
) -> Iterator[TrainEvent]:  # returns the Classifier through `yield from`
    if method == "ensemble" and method not in words:
        words[method] = ensemble(backbone, prepared.dataset.class_names)
    if method in words:
        return words[method]
    if method not in LEARNED_METHODS:
        return fit(
            method,
            prepared.train_features,
            prepared.train_labels,
            words["hand-crafted"].weights,
            backbone.logit_scale,
        )
    training = learn(
        backbone,
        prepared,
        method,
        shots=shots,
        seed=seed,
        preset=settings.preset,
        prompt_config=settings.prompt_config,
        measure=False,
        **{**dict(settings.overrides), "template": template},
    )
    for event in training:
        if isinstance(event, Classifier):
            return event
        yield event
    raise AssertionError("learn ends with its classifier")


def cell_of(
    dataset: Dataset,
    classifier: Classifier,
    method: str,
    shots: int,
    seed: int,
    measured: Score,
    prepared: Prepared,
    settings: Settings,
) -> Cell:
    if measured.accuracy is None or measured.low is None or measured.high is None:
        raise UserError(f"{dataset.name} has no test pictures that can be read. Add some.")
    return Cell(
        dataset=dataset.name,
        method=method,
        shots=shots,
        seed=seed,
        accuracy=measured.accuracy,
        low=measured.low,
        high=measured.high,
        correct=measured.correct,
        n_test=measured.n,
        n_train=len(prepared.train_labels) if shots else 0,
        n_classes=len(dataset.class_names),
        seconds=round(classifier.seconds, 4),
        seconds_encoding=round(prepared.seconds_encoding, 4),
        chosen=json.dumps(dict(classifier.settings), sort_keys=True),
        backbone=settings.backbone,
        settings_hash="",
    )


class EncodedSet:
    """The test part encoded once, and the shots of every seed, for the cells of one set.

    Draws exactly what `teaching.prepare` draws; only what is opened and kept differs, because a
    set may have a million training pictures of which a few hundred are ever drawn.
    """

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        settings: Settings,
        most_shots: int,
        store: FeatureCache | None,
    ) -> None:
        self._backbone, self._dataset, self._store = backbone, dataset, store
        self._most_shots = most_shots
        overrides = dict(settings.overrides)
        self._views = train_config_for(settings.preset, 1, 1, **overrides).view_numbers
        self._split: tuple[tuple[int, bool], Dataset] | None = None
        self._test: tuple[Tensor, Tensor] | None = None
        self._fixed_test = bool(dataset.test)

    def check_test(self) -> None:
        """Decode the test pictures once, so that every later look finds them by content."""
        names = self._dataset.class_names
        test = check_pictures(Dataset(names, train=(), test=self._dataset.test))
        if not test.test:
            lost = f" {test.problems[0]}" if test.problems else ""
            raise DatasetError(f"None of the test pictures can be read.{lost}")
        problems = (*self._dataset.problems, *test.problems)
        self._dataset = replace(self._dataset, test=test.test, problems=problems)

    def prepare(self, shots: int, seed: int) -> Iterator[EncodeEvent]:
        """Features of one draw; the Prepared comes back through `yield from`."""
        dataset = self._of_seed(seed, draws=shots > 0)
        drawn = dataset if shots == 0 else few_shot(dataset, shots=shots, seed=seed)
        if shots:
            check_trainable(drawn, drawn=True)
            train, train_labels, seconds = yield from self._encode(drawn.train, self._views)
        else:  # methods that see no picture
            train = torch.empty(len(self._views), 0, self._backbone.embed_dim)
            train_labels, seconds = torch.empty(0, dtype=torch.long), 0.0
            drawn = replace(dataset, train=())
        if self._test is None:
            features, labels, test_seconds = yield from self._encode(dataset.test, (0,))
            self._test, seconds = (features[0], labels), seconds + test_seconds
        prepared = Prepared(
            dataset=drawn,
            n_held_out=0 if self._fixed_test else len(dataset.test),
            train_features=train,
            train_labels=train_labels,
            test_features=self._test[0],
            test_labels=self._test[1],
            seconds_encoding=seconds,
        )
        # a test image that this draw learns from is no test of it
        prepared, notes = prepared.without([prepared.learned_from])
        if not len(prepared.test_labels):
            raise DatasetError(
                f"Every test picture of {dataset.name or 'this set'} is also a picture to learn "
                "from, so nothing is left to measure on. Add other test pictures."
            )
        dataset = replace(drawn, test=prepared.dataset.test, notes=(*drawn.notes, *notes))
        return replace(prepared, dataset=dataset)

    def _of_seed(self, seed: int, draws: bool) -> Dataset:
        """The set with the pictures this seed may draw checked, and with a test part."""
        if self._split is not None and self._split[0] == (seed, draws):
            return self._split[1]
        dataset = self._dataset
        if not self._fixed_test:
            dataset, _ = split_held_out(dataset, seed=seed)
            self._dataset = replace(
                dataset, train=(*dataset.train, *dataset.test), test=()
            )  # checked now, whole again for the next seed
            self._test = None
        elif draws:
            # the largest draw holds all smaller ones: its pictures are decoded once for all
            drawn = few_shot(dataset, shots=self._most_shots, seed=seed)
            checked = {id(item.picture.source): item for item in drawn.train}
            dataset = replace(
                dataset,
                train=tuple(checked.get(id(item.picture.source), item) for item in dataset.train),
            )
            self._dataset = dataset
        self._split = ((seed, draws), dataset)
        return dataset

    def _encode(
        self, pictures: Sequence[LabelledPicture], views: tuple[int, ...]
    ) -> Iterator[EncodeEvent]:
        encoded = yield from encode_and_return(
            self._backbone, [item.picture for item in pictures], views=views, cache=self._store
        )
        labels = torch.tensor([pictures[i].label for i in encoded.kept], dtype=torch.long)
        return encoded.features, labels, encoded.seconds


# ---- what runs in a worker


@dataclass(frozen=True)
class Refused:
    """Why there is no draw, or no cell; `draw` where none of the draw's cells can be had."""

    message: str
    draw: bool = False


class SetEncoder:
    """Draws and encodes one set, each picture once, wherever its engine holds it."""

    def __init__(
        self,
        backbone: Backbone,
        dataset: Dataset,
        settings: Settings,
        most_shots: int,
        store: FeatureCache | None,
    ) -> None:
        self._encoded = EncodedSet(backbone, dataset, settings, most_shots, store)
        self._fixed_test, self._checked = bool(dataset.test), False
        self._store = store

    def draw(self, shots: int, seed: int) -> Prepared | Refused:
        """What a cell needs of one draw, without its pictures."""
        for event in self.events(shots, seed):
            if not isinstance(event, EncodeEvent):
                return event
        raise AssertionError("the events end with the draw")

    def events(self, shots: int, seed: int) -> Iterator[EncodeEvent | Prepared | Refused]:
        """Progress of the encoding; the last thing yielded is the draw."""
        try:
            if self._fixed_test and not self._checked:
                self._encoded.check_test()
                self._checked = True
            prepared = yield from self._encoded.prepare(shots, seed)
        except UserError as error:
            yield Refused(str(error), draw=True)
            return
        dataset = prepared.dataset
        bare = Dataset(dataset.class_names, train=(), name=dataset.name)
        yield replace(prepared, dataset=bare, looks=(), test_looks=())

    def close(self) -> None:
        """Write what is to be kept of the features."""
        close = getattr(self._store, "close", None)
        if close is not None:
            close()


def encoder_of(
    open_backbone: OpenBackbone,
    root: str | Path,
    name: str,
    settings: Settings,
    most_shots: int,
    store: Path | None,
) -> SetEncoder:
    """The encoder of a set below `root`, made where its pictures are read."""
    backbone = _opened(open_backbone, settings)
    dataset = replace(find_dataset(root, name), name=name)
    kept = None if store is None else StoredFeatures(store)
    return SetEncoder(backbone, dataset, settings, most_shots, kept)


def measured_cell(
    open_backbone: OpenBackbone,
    settings: Settings,
    settings_hash: str,
    method: str,
    shots: int,
    seed: int,
    draw: Prepared | Refused,
) -> Cell | Refused:
    """One row of the results: a method fitted to a draw and measured."""
    if isinstance(draw, Refused):
        return draw
    backbone = _opened(open_backbone, settings)
    dataset = draw.dataset
    template = settings.template_for(dataset.name)
    try:
        (crafted,) = hand_crafted(backbone, dataset.class_names, [template])
        words = {"hand-crafted": crafted}
        fitting = fit_method(backbone, method, draw, words, shots, seed, template, settings)
        while True:
            try:
                next(fitting)
            except StopIteration as done:
                fitted = done.value
                break
        measured = score(fitted.logits(draw.test_features).argmax(-1), draw.test_labels)
        found = cell_of(dataset, fitted, method, shots, seed, measured, draw, settings)
    except UserError as error:
        return Refused(str(error))
    return replace(found, settings_hash=settings_hash)


def _opened(open_backbone: OpenBackbone, settings: Settings) -> Backbone:
    backbone = open_backbone()
    if backbone.identity != settings.backbone:
        raise UserError(
            f"A worker has the model {backbone.identity}, and the grid is for "
            f"{settings.backbone}. Put the same weights on every computer."
        )
    return backbone
