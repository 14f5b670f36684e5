"""Base-to-new: what learning some classes does to the names of others."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent, encode_labelled
from coop_demo.comparison.compare import MethodStarted
from coop_demo.comparison.methods import (
    COMPARISON_METHODS,
    KGCOOP_WEIGHT,
    Classifier,
    hand_crafted,
    learn,
)
from coop_demo.comparison.statistics import Score, score
from coop_demo.data.dataset import (
    Dataset,
    check_class_names,
    class_key,
    class_numbers,
    clean_class_name,
    select_classes,
    split_held_out,
)
from coop_demo.errors import PromptError, UserError
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.teach import prepare, train_config_for
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.training import LearnedPrompt, Preset, TrainEvent
from coop_demo.wording import counted, listed

#: Names without pictures that are taken at once: every one is a text to encode.
MAX_TYPED_NAMES = 100


@dataclass(frozen=True)
class BaseToNewRow:
    """One method on the classes it learned from and on classes it never saw.

    `base` and `new` judge each group among its own names, `together` the pictures of both among
    all names.
    """

    method: str
    title: str
    base: Score
    new: Score
    together: Score

    @property
    def harmonic_mean(self) -> float | None:
        """Of both accuracies; None where one is not measured, 0 where one is 0."""
        a, b = self.base.accuracy, self.new.accuracy
        if a is None or b is None:
            return None
        return 2 * a * b / (a + b) if a + b else 0.0


@dataclass(frozen=True)
class BaseToNew:
    """What learning some classes does to others (CoCoOp's base-to-new, arXiv 2203.05557)."""

    rows: tuple[BaseToNewRow, ...]
    base_names: tuple[str, ...]
    new_names: tuple[str, ...]  # held-out classes first, then names without pictures
    kgcoop_weight: float
    n_without_pictures: int = 0  # of the new names

    @property
    def without_pictures(self) -> tuple[str, ...]:
        """The new names of which there are no pictures: only more names to choose from."""
        return self.new_names[len(self.new_names) - self.n_without_pictures :]

    @property
    def remark(self) -> str:
        """What the figures were measured with, as a sentence; "" where every name has pictures."""
        if not self.n_without_pictures:
            return ""
        names = listed(self.without_pictures)
        return f"There are no pictures of {names}: only more names to choose from."


def base_to_new(
    backbone: Backbone,
    dataset: Dataset,
    *,
    new_classes: Sequence[str] | None = None,
    template: str = DEFAULT_TEMPLATE,
    kgcoop_weight: float = KGCOOP_WEIGHT,
    shots: int = 16,
    seed: int = 1,
    preset: Preset = "fast",
    prompt_config: PromptConfig | None = None,
    **overrides,
) -> Iterator[EncodeEvent | MethodStarted | TrainEvent | BaseToNewRow | BaseToNew]:
    """Learn a unified prompt on some classes and apply it to the names of the others.

    Each group of classes is judged among itself, as in CoCoOp, and all pictures among all names.
    Rows: hand-crafted, learned, and learned with KgCoOp's pull.

    Args:
        new_classes: class names the prompt must not see; the second half of the classes when
            None. Classes of the set are held out. Any other name has no pictures: it is one more
            wrong answer for the pictures there are.

    Raises:
        UserError: fewer than two classes to learn, a single new class with nothing to tell it
            from, an unusable name, a class-specific context, or no held-out pictures of one side.
    """
    prompt_config = prompt_config or PromptConfig()
    if prompt_config.class_specific:
        raise PromptError(
            "A prompt with one context per class cannot be applied to other class names. Choose "
            "a unified context to see what it forgets."
        )
    if not 0 < kgcoop_weight < math.inf:
        raise PromptError(f"KgCoOp's pull must be a number above 0; it is {kgcoop_weight:g}.")
    base, new, without_pictures = _base_and_new(dataset, new_classes)
    dataset, _ = split_held_out(dataset, seed=seed)
    base_set = select_classes(dataset, base)
    new_names = (*(clean_class_name(dataset.class_names[i]) for i in new), *without_pictures)
    overrides["template"] = template
    views = train_config_for(preset, shots, 1, seed=seed, **overrides).view_numbers
    # refuses a name that is too long for the context, before anything is learned
    every_name = [*(clean_class_name(name) for name in base_set.class_names), *new_names]
    PromptLearner(backbone.text_tower, backbone.tokenizer, every_name, prompt_config)
    prepared = yield from prepare(backbone, base_set, shots=shots, seed=seed, views=views)
    new_features = prepared.test_features[:0]
    new_labels = prepared.test_labels[:0]
    if new:
        new_test = select_classes(dataset, new).test
        new_features, new_labels = yield from encode_labelled(backbone, new_test)
    for side, n, wanted in (
        ("learned", len(prepared.test_labels), True),
        ("new", len(new_labels), bool(new)),
    ):
        if n == 0 and wanted:
            raise UserError(
                f"There are no held-out pictures of the {side} classes. Add test pictures."
            )
    n_base = len(base)

    def row(key: str, on_base: Classifier, on_new: Classifier) -> BaseToNewRow:
        among_all = replace(on_base, weights=torch.cat([on_base.weights, on_new.weights]))
        of_base, of_new = prepared.test_features, new_features
        both = torch.cat([of_base, of_new.to(of_base)])
        labels = torch.cat([prepared.test_labels, new_labels + n_base])
        return BaseToNewRow(
            method=key,
            title=COMPARISON_METHODS[key].title,
            base=score(on_base.logits(of_base).argmax(-1), prepared.test_labels),
            new=score(on_new.logits(of_new).argmax(-1), new_labels),
            together=score(among_all.logits(both).argmax(-1), labels),
        )

    yield MethodStarted("hand-crafted", COMPARISON_METHODS["hand-crafted"].title)
    on_base = hand_crafted(backbone, base_set.class_names, [template])[0]
    on_new = hand_crafted(backbone, new_names, [template])[0]
    rows = [row("hand-crafted", on_base, on_new)]
    yield rows[0]
    for key in ("learned", "kgcoop"):
        yield MethodStarted(key, COMPARISON_METHODS[key].title)
        pull = kgcoop_weight if key == "kgcoop" else None
        for event in learn(
            backbone,
            prepared,
            key,
            shots=shots,
            seed=seed,
            preset=preset,
            prompt_config=prompt_config,
            **{**overrides, "kgcoop_weight": pull},
        ):
            if isinstance(event, Classifier):
                assert event.prompt is not None
                unseen, _ = apply_to_names(backbone, event.prompt, new_names, template)
                rows.append(row(key, event, unseen))
                yield rows[-1]
            else:
                yield event
    yield BaseToNew(
        tuple(rows), base_set.class_names, new_names, kgcoop_weight, len(without_pictures)
    )


def apply_to_names(
    backbone: Backbone,
    prompt: LearnedPrompt,
    class_names: Sequence[str],
    template: str = DEFAULT_TEMPLATE,
) -> tuple[Classifier, Classifier]:
    """A unified learned prompt and the hand-crafted one on any class names.

    Raises:
        PromptError: the prompt is class-specific, or a name is empty or too long.
    """
    names = [clean_class_name(name) for name in class_names]
    learner = prompt.learner(backbone).with_class_names(names)
    with torch.no_grad(), backbone.autocast():
        weights = learner().float().cpu()
    on_names = Classifier(
        method="learned",
        title=COMPARISON_METHODS["learned"].title,
        weights=weights,
        scale=backbone.logit_scale,
    )
    return on_names, hand_crafted(backbone, names, [template])[0]


def _base_and_new(
    dataset: Dataset, new_classes: Sequence[str] | None
) -> tuple[list[int], list[int], tuple[str, ...]]:
    """Numbers of the classes to learn and of those to hold out, and names without pictures."""
    names = dataset.class_names
    without_pictures: list[str] = []
    if new_classes is None:
        n_base = (len(names) + 1) // 2
        base, new = list(range(n_base)), list(range(n_base, len(names)))
    else:
        number_of = class_numbers(names)
        new = []
        for name in dict.fromkeys(clean_class_name(name) for name in new_classes):
            number = number_of.get(class_key(name))
            if number is not None:
                new.append(number)
            elif not name:
                raise UserError("A new class name is empty. Type a name, or leave it out.")
            elif class_key(name) not in map(class_key, without_pictures):
                without_pictures.append(name)
        new = list(dict.fromkeys(new))
        base = [number for number in range(len(names)) if number not in new]
    n_new = len(new) + len(without_pictures)
    if len(without_pictures) > MAX_TYPED_NAMES:
        raise UserError(
            f"{len(without_pictures)} typed names are too many; at most {MAX_TYPED_NAMES} are "
            "taken. Leave some out."
        )
    check_class_names(without_pictures)
    if new_classes is not None and len(new) == n_new == 1 and len(base) >= 3:
        raise UserError(
            f'"{names[new[0]]}" alone has nothing to be told from, so every answer would be right. '
            "Hold out one more class, or type one more name."
        )
    if len(base) < 2 or n_new < 1 or (new and n_new < 2):
        raise UserError(
            f"Of {counted(len(names), 'class')}, {len(base)} would be learned and {n_new} "
            "would be new; 2 or more are needed on either side. "
            + (
                "Hold out fewer classes."
                if len(names) >= 4
                else "Use a set of 4 or more classes, or type new names only."
            )
        )
    return base, new, tuple(without_pictures)
