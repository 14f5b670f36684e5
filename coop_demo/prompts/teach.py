"""teach: from a set of pictures to a learned prompt and its honest result, in one generator.

The page and the command line both run this: draw the shots, encode what is not in the cache,
train, and measure the learned prompt beside the hand-crafted one on pictures neither has seen.
"""

import itertools
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodedPictures, EncodeEvent, encode_and_return
from coop_demo.data.dataset import (
    Dataset,
    LabelledPicture,
    check_trainable,
    few_shot,
    short_content,
    split_held_out,
)
from coop_demo.data.near_copies import Look, near_copies, near_copy_notes, near_shots
from coop_demo.errors import DatasetError, PromptError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.templates import class_weights
from coop_demo.prompts.training import (
    LearnedPrompt,
    Preset,
    TrainConfig,
    TrainEvent,
    TrainState,
    fast,
    paper,
    train_prompt,
)
from coop_demo.wording import counted, unread_words


@dataclass(frozen=True)
class TeachResult:
    """A learned prompt with its measured results. Accuracies are fractions, NaN-free or None."""

    prompt: LearnedPrompt
    dataset: Dataset  # the pictures that were used, held-out ones as its test part
    n_train: int
    n_test: int
    n_held_out: int  # of n_test: split off here because no test pictures were given
    hand_crafted_accuracy: float | None
    learned_accuracy: float | None
    train_accuracy: float | None
    seconds_encoding: float
    seconds_training: float
    steps: int
    status: str  # finished or diverged
    message: str


@dataclass(frozen=True)
class Prepared:
    """Features of the shots and of the held-out pictures of one set.

    Shape: train_features (V, N, d), train_labels (N,), test_features (K, d), test_labels (K,).
    """

    dataset: Dataset
    n_held_out: int
    train_features: Tensor
    train_labels: Tensor
    test_features: Tensor
    test_labels: Tensor
    seconds_encoding: float
    looks: tuple[str, ...] = ()  # `Look.text` of the shots
    test_looks: tuple[Look | None, ...] = ()  # of the K held-out images
    hand_crafted: Tensor | None = field(default=None, repr=False)  # (C, d) class weights

    @property
    def learned_from(self) -> tuple[str, ...]:
        """`short_content` of the shots, each once."""
        contents = {item.picture.content or "" for item in self.dataset.train}
        return tuple(sorted(map(short_content, contents)))

    def without(self, learned_from: Iterable[Iterable[str]]) -> tuple["Prepared", list[str]]:
        """The same without held-out images that prompts learned from, and a sentence on them."""
        contents = [item.picture.content or "" for item in self.dataset.test]
        if len(contents) != len(self.test_labels):
            return self, []
        rows, notes = unseen(contents, itertools.chain.from_iterable(learned_from))
        if not notes:
            return self, []
        test = tuple(self.dataset.test[row] for row in rows)
        return replace(
            self,
            dataset=replace(self.dataset, test=test),
            test_features=self.test_features[rows],
            test_labels=self.test_labels[rows],
            test_looks=tuple(self.test_looks[row] for row in rows) if self.test_looks else (),
        ), notes

    def suspected(self, shots: Iterable[str]) -> list[str]:
        """A sentence where held-out images look like ones that prompts learned from."""
        if len(self.test_looks) != len(self.dataset.test):
            return []
        names = [item.picture.name for item in self.dataset.test]
        return near_shots(self.test_looks, shots, names)


def train_config_for(
    preset: Preset, shots: int, n_train: int, *, seed: int = 1, dataset: str = "", **overrides
) -> TrainConfig:
    """The settings of a named preset for this many shots and pictures.

    Args:
        dataset: the set's name, since the paper trains ImageNet for other epochs.
        overrides: fields of TrainConfig; None leaves the preset's own value.

    Raises:
        PromptError: there is no such preset, or a setting is out of range.
    """
    overrides = {key: value for key, value in overrides.items() if value is not None}
    if preset == "fast":
        return fast(seed=seed, **overrides)
    if preset == "paper":
        return paper(shots, n_train, seed=seed, dataset=dataset, **overrides)
    raise PromptError(f'There is no preset "{preset}". Choose fast or paper.')


def prepare(
    backbone: Backbone,
    dataset: Dataset,
    *,
    shots: int,
    seed: int = 1,
    views: tuple[int, ...] = (0,),
) -> Generator[EncodeEvent, None, Prepared]:
    """Draw the shots, hold pictures out where none are given, and encode; for `yield from`.

    Raises:
        DatasetError: the set cannot be trained on; the message names the class.
    """
    n_held_out = 0
    if not dataset.test:
        dataset, n_held_out = split_held_out(dataset, seed=seed)
    check_trainable(dataset)
    dataset = few_shot(dataset, shots=shots, seed=seed)
    check_trainable(dataset, drawn=True)  # unreadable pictures may have left
    learned, measured = ([item.picture for item in part] for part in (dataset.train, dataset.test))
    train = yield from encode_and_return(backbone, learned, views=views)
    test = yield from encode_and_return(backbone, measured)
    # a set that was not checked when it was read may hold pictures that cannot be used
    rows, notes = unseen(test.contents, [short_content(one) for one in train.contents])
    if test.kept and not rows:
        raise DatasetError(
            "Every test picture is also a picture to learn from, so nothing is left to measure "
            "on. Add other test pictures, or remove the test part: then some are held out."
        )
    test_looks = tuple(test.looks[row] for row in rows)
    suspected = near_copies(
        [learned[at] for at in train.kept],
        [measured[test.kept[row]] for row in rows],
        looks=(train.looks, test_looks),
    )
    dataset = replace(
        dataset,
        train=_with_contents(dataset.train, train, range(len(train.kept))),
        test=_with_contents(dataset.test, test, rows),
        problems=(*dataset.problems, *train.problems, *test.problems),
        notes=(*dataset.notes, *notes, *near_copy_notes(suspected, "training", "test")),
    )
    check_trainable(dataset, drawn=True)
    return Prepared(
        dataset=dataset,
        n_held_out=n_held_out,
        train_features=train.features,
        train_labels=_labels(dataset.train),
        test_features=test.features[0][list(rows)],
        test_labels=_labels(dataset.test),
        seconds_encoding=train.seconds + test.seconds,
        looks=tuple(sorted({look.text() for look in train.looks if look is not None})),
        test_looks=test_looks,
    )


def unseen(contents: Sequence[str], learned_from: Iterable[str]) -> tuple[list[int], list[str]]:
    """Rows of the images that were not learned from, and a sentence about the others.

    Args:
        contents: content hashes of the images to measure on.
        learned_from: `short_content` of the images learned from.
    """
    seen = set(learned_from)
    rows = [row for row, content in enumerate(contents) if short_content(content) not in seen]
    n_left_out = len(contents) - len(rows)
    if not n_left_out:
        return rows, []
    verb = "was" if n_left_out == 1 else "were"
    return rows, [
        f"{counted(n_left_out, 'test picture')} {verb} left out: the prompt learned from the same."
    ]


def _with_contents(
    items: Sequence[LabelledPicture], encoded: EncodedPictures, rows: Iterable[int]
) -> tuple[LabelledPicture, ...]:
    """The encoded images at these rows, with the content hashes that encoding found."""
    kept = ((items[encoded.kept[row]], encoded.contents[row]) for row in rows)
    return tuple(
        replace(item, picture=replace(item.picture, content=content)) for item, content in kept
    )


def teach(
    backbone: Backbone,
    dataset: Dataset,
    *,
    shots: int = 16,
    seed: int = 1,
    preset: Preset = "fast",
    prompt_config: PromptConfig | None = None,
    resume: TrainState | None = None,
    state_every: float | None = None,
    **overrides,
) -> Generator[EncodeEvent | Prepared | TrainEvent | TeachResult, None, None]:
    """Learn a prompt from a few pictures a class and measure it; last comes the result.

    What is learned from and measured on comes before the training, so that whoever stops it has
    what is needed to judge the prompt so far.

    Args:
        shots: pictures a class to learn from; a class with fewer gives all it has.
        seed: draws the shots, the held-out pictures, the context and the batches.
        resume, state_every: as of `train_prompt`.
        overrides: fields of TrainConfig (`learning_rate`, `steps`, `template`,
            `kgcoop_weight`, …); None leaves the preset's own value.

    Raises:
        DatasetError, PromptError: the set or a setting cannot be used; the message says why.
    """
    views = train_config_for(preset, shots, 1, seed=seed, **overrides).view_numbers
    prepared = yield from prepare(backbone, dataset, shots=shots, seed=seed, views=views)
    names = prepared.dataset.class_names
    template = train_config_for(preset, shots, 1, seed=seed, **overrides).template
    dataset = replace(
        prepared.dataset, notes=(*prepared.dataset.notes, *unread_names(backbone, names))
    )
    prepared = replace(
        prepared,
        dataset=dataset,
        hand_crafted=class_weights(backbone, names, [template]).float().cpu(),
    )
    yield prepared
    n_train, n_test = len(prepared.train_labels), len(prepared.test_labels)
    config = train_config_for(
        preset, shots, n_train, seed=seed, dataset=prepared.dataset.name, **overrides
    )
    last = None
    for last in train_prompt(
        backbone,
        prepared.train_features,
        prepared.train_labels,
        prepared.dataset.class_names,
        prompt_config,
        config,
        held_out=(prepared.test_features, prepared.test_labels) if n_test else None,
        shots=shots,
        learned_from=prepared.learned_from,
        looks=prepared.looks,
        hand_crafted=prepared.hand_crafted,
        resume=resume,
        state_every=state_every,
    ):
        yield last
    assert last is not None
    if last.prompt is None:
        raise PromptError(last.message)
    measured = last.prompt.history[-1]  # of a training that ran away: its last sound measurement
    yield TeachResult(
        prompt=last.prompt,
        dataset=replace(
            prepared.dataset,
            notes=(
                *prepared.dataset.notes,
                *_words_that_count(prompt_config, last.prompt),
            ),
        ),
        n_train=n_train,
        n_test=n_test,
        n_held_out=prepared.n_held_out,
        hand_crafted_accuracy=last.hand_crafted_accuracy,
        learned_accuracy=measured["held_out_accuracy"],
        train_accuracy=measured["train_accuracy"],
        seconds_encoding=prepared.seconds_encoding,
        seconds_training=last.seconds,
        steps=last.step,
        status=last.status,
        message=last.message,
    )


def unread_names(backbone: Backbone, class_names: Sequence[str]) -> list[str]:
    """A sentence where names are in a script that the backbone does not read."""
    unread = backbone.unread_words(class_names)
    return [unread_words(unread)] if unread else []


def _words_that_count(asked: PromptConfig | None, prompt: LearnedPrompt) -> list[str]:
    """A sentence where initial words gave another number of context vectors than asked for."""
    n_ctx = prompt.prompt_config.n_ctx
    if asked is None or not asked.init or asked.n_ctx == n_ctx:
        return []
    return [
        f"The initial words “{asked.init}” are {counted(n_ctx, 'token')}, so the context has "
        f"{counted(n_ctx, 'vector')}; the context length {asked.n_ctx} was not used."
    ]


def _labels(pictures: tuple[LabelledPicture, ...]) -> Tensor:
    return torch.tensor([item.label for item in pictures], dtype=torch.long)
