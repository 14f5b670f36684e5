"""How good is it, how sure is that, and what was lost: measurements on held-out pictures.

Numbers come with what is needed to judge them: accuracy with Wilson's interval, two methods with
a paired test, confidence with its calibration. What cannot be computed is None, never NaN.

K held-out pictures, C classes, d joint width. Labels and predictions are (K,) class numbers,
logits (K, C).
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodedPictures, EncodeEvent, encode_pictures
from coop_demo.classifiers import (
    KGCOOP_WEIGHT,
    LEARNED_METHODS,
    METHODS,
    Classifier,
    ensemble,
    find_methods,
    fit,
    hand_crafted,
    learn,
    learned,
)
from coop_demo.datasets import (
    Dataset,
    LabelledPicture,
    check_class_names,
    check_pictures,
    clean_class_name,
    select_classes,
    split_held_out,
)
from coop_demo.errors import PromptError, UserError
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.teaching import Prepared, prepare, train_config_for
from coop_demo.prompts.templates import DEFAULT_TEMPLATE
from coop_demo.prompts.training import LearnedPrompt, Preset, TrainEvent

# ---- accuracy


@dataclass(frozen=True)
class Score:
    """Right answers of n, with Wilson's interval; fractions are None where n is 0."""

    correct: int
    n: int
    accuracy: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.accuracy is None or self.low is None or self.high is None:
            return "not measured (no pictures)"
        return (
            f"{100 * self.accuracy:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}, "
            f"{self.correct} of {self.n})"
        )


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Wilson's score interval of a share (Wilson 1927); None for no pictures."""
    if n == 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = correct / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # at 0 and n one end is 0 or 1 exactly; rounding must not put it outside or beside that
    low = 0.0 if correct == 0 else max(0.0, centre - half)
    high = 1.0 if correct == n else min(1.0, centre + half)
    return low, high


def score(predicted: Tensor, labels: Tensor) -> Score:
    """Accuracy of predictions with its 95 % interval."""
    n, correct = len(labels), int((predicted == labels).sum())
    interval = wilson_interval(correct, n)
    if interval is None:
        return Score(0, 0, None, None, None)
    return Score(correct, n, correct / n, *interval)


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two methods on the same pictures."""

    only_first: int  # pictures that only the first method gets right
    only_second: int
    p_value: float  # exact, two-sided; 1 where they never disagree
    mid_p: float  # less conservative (Fagerland, Lydersen & Laake 2013)

    def sentence(self, first: str, second: str) -> str:
        """What the test says, in words."""
        b, c = self.only_first, self.only_second
        if b + c == 0:
            return f"{first} and {second} are right on exactly the same pictures."
        better = first if b > c else second
        counted = (
            f"{first} alone is right on {b}, {second} alone on {c} (McNemar p = {self.p_value:.2g})"
        )
        if b == c:
            return f"Neither is better: {counted}."
        if self.p_value < 0.05:
            return f"{better} is better, and that is hardly luck: {counted}."
        return f"{better} looks better, but that may be luck: {counted}."


def mcnemar(first_right: Tensor, second_right: Tensor) -> PairedTest:
    """Exact binomial test on the pictures that one method gets right and the other wrong.

    Shape: two (K,) booleans over the same pictures.
    """
    if first_right.shape != second_right.shape:
        raise ValueError(f"not paired: {first_right.shape} and {second_right.shape}")
    b = int((first_right & ~second_right).sum())
    c = int((~first_right & second_right).sum())
    n = b + c
    if n == 0:
        return PairedTest(0, 0, 1.0, 1.0)
    k = np.arange(min(b, c) + 1)
    log_choose = math.lgamma(n + 1) - np.array(
        [math.lgamma(i + 1) + math.lgamma(n - i + 1) for i in k]
    )
    mass = np.exp(log_choose - n * math.log(2))  # P(X = k) of a fair coin
    tail = float(mass.sum())
    return PairedTest(b, c, min(1.0, 2 * tail), min(1.0, 2 * tail - float(mass[-1])))


# ---- where it goes wrong


def confusion_matrix(predicted: Tensor, labels: Tensor, n_classes: int) -> np.ndarray:
    """Counts, (C, C): a row is the true class, a column the predicted one."""
    cells = labels.long() * n_classes + predicted.long()
    counts = torch.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).numpy()


def cell_pictures(predicted: Tensor, labels: Tensor, true: int, guess: int) -> tuple[int, ...]:
    """Numbers of the held-out pictures in one cell of the confusion matrix; may be none."""
    return tuple(torch.nonzero((labels == true) & (predicted == guess)).flatten().tolist())


def per_class(predicted: Tensor, labels: Tensor, n_classes: int) -> tuple[Score, ...]:
    """The score of each class's own pictures (its recall)."""
    return tuple(
        score(predicted[labels == label], labels[labels == label]) for label in range(n_classes)
    )


@dataclass(frozen=True)
class Disagreements:
    """Held-out pictures on which two methods differ, by number; the surest answers first."""

    only_first_right: tuple[int, ...]
    only_second_right: tuple[int, ...]
    both_wrong: tuple[int, ...]  # and not in the same way


def disagreements(first: Tensor, second: Tensor, labels: Tensor) -> Disagreements:
    """Where two methods part. Shape: two logits (K, C), labels (K,)."""
    confidence = torch.softmax(first, -1).amax(-1) + torch.softmax(second, -1).amax(-1)
    a, b = first.argmax(-1), second.argmax(-1)

    def numbers(mask: Tensor) -> tuple[int, ...]:
        found = torch.nonzero(mask).flatten()
        return tuple(found[confidence[found].argsort(descending=True, stable=True)].tolist())

    return Disagreements(
        only_first_right=numbers((a == labels) & (b != labels)),
        only_second_right=numbers((a != labels) & (b == labels)),
        both_wrong=numbers((a != labels) & (b != labels) & (a != b)),
    )


# ---- whether its confidence can be believed


@dataclass(frozen=True)
class ReliabilityBin:
    """Pictures whose confidence lies in (low, high]; accuracy and confidence None if none does."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy (Guo et al., ICML 2017, arXiv 1706.04599)."""

    bins: tuple[ReliabilityBin, ...]
    ece: float | None  # expected calibration error, a fraction; None for no pictures
    nll: float | None  # mean negative log-likelihood, nats
    confidence: float | None  # mean
    accuracy: float | None
    temperature: float
    n: int


def reliability(
    logits: Tensor, labels: Tensor, *, temperature: float = 1.0, n_bins: int = 10
) -> Reliability:
    """Reliability diagram and expected calibration error of logits / temperature.

    Raises:
        UserError: the temperature is not a positive number.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise UserError(f"The temperature is {temperature:g}; choose a number above 0.")
    edges = np.linspace(0, 1, n_bins + 1)
    K = len(labels)
    if K == 0:
        empty = [
            ReliabilityBin(float(lo), float(hi), 0, None, None)
            for lo, hi in itertools.pairwise(edges)
        ]
        return Reliability(tuple(empty), None, None, None, None, temperature, 0)
    scaled = logits.double() / temperature
    confidence, predicted = torch.softmax(scaled, dim=-1).max(dim=-1)
    right = (predicted == labels).numpy()
    sure = confidence.numpy()
    which = np.clip(np.ceil(sure * n_bins).astype(int) - 1, 0, n_bins - 1)
    bins, ece = [], 0.0
    for number in range(n_bins):
        inside = which == number
        n = int(inside.sum())
        mean, share = (
            (float(sure[inside].mean()), float(right[inside].mean())) if n else (None,) * 2
        )
        if mean is not None and share is not None:
            ece += n / K * abs(mean - share)
        bins.append(ReliabilityBin(float(edges[number]), float(edges[number + 1]), n, mean, share))
    return Reliability(
        bins=tuple(bins),
        ece=ece,
        nll=float(F.cross_entropy(scaled, labels)),
        confidence=float(sure.mean()),
        accuracy=float(right.mean()),
        temperature=temperature,
        n=K,
    )


MIN_TEMPERATURE, MAX_TEMPERATURE = (
    0.05,
    20.0,
)  # where all answers are right, or wrong, it has no end


def fit_temperature(logits: Tensor, labels: Tensor) -> float | None:
    """The temperature with the least negative log-likelihood; None for no pictures.

    The likelihood has one peak in the temperature (it is convex in 1 / T), so a golden-section
    search over log T finds it, inside [MIN_TEMPERATURE, MAX_TEMPERATURE].
    """
    if len(labels) == 0:
        return None
    logits = logits.double()

    def nll(log_t: float) -> float:
        return float(F.cross_entropy(logits / math.exp(log_t), labels))

    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = nll(a), nll(b)
    while high - low > 1e-5:
        if at_a <= at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = nll(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = nll(b)
    return math.exp((low + high) / 2)


@dataclass(frozen=True)
class Calibration:
    """A temperature and what it is honestly worth.

    `before` and `after` are measured on all pictures; `after` with a temperature fitted to the
    very same ones, so it flatters. `honest_ece` fits on one half and measures on the other, both
    ways round; None for fewer than 4 pictures.
    """

    temperature: float
    before: Reliability
    after: Reliability
    honest_ece: float | None


def calibrate(logits: Tensor, labels: Tensor, *, n_bins: int = 10, seed: int = 0) -> Calibration:
    """Fit a temperature on held-out pictures and say how far it helps on pictures it never saw.

    Raises:
        UserError: there are no pictures.
    """
    temperature = fit_temperature(logits, labels)
    if temperature is None:
        raise UserError(
            "Calibration needs held-out pictures and there are none. Add test pictures."
        )
    honest = None
    if len(labels) >= 4:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        scaled = torch.empty_like(logits)
        for fitted, judged in (halves, halves[::-1]):
            half_temperature = fit_temperature(logits[fitted], labels[fitted])
            assert half_temperature is not None
            scaled[judged] = logits[judged] / half_temperature
        honest = reliability(scaled, labels, n_bins=n_bins).ece
    return Calibration(
        temperature=temperature,
        before=reliability(logits, labels, n_bins=n_bins),
        after=reliability(logits, labels, temperature=temperature, n_bins=n_bins),
        honest_ece=honest,
    )


# ---- methods side by side


@dataclass(frozen=True)
class MethodStarted:
    """A method is about to be fitted."""

    method: str
    title: str


@dataclass(frozen=True)
class MethodResult:
    """A fitted method and its answers on the held-out pictures. Shape: logits (K, C)."""

    classifier: Classifier
    logits: Tensor = field(repr=False)
    score: Score

    @property
    def method(self) -> str:
        return self.classifier.method

    @property
    def title(self) -> str:
        return self.classifier.title

    @property
    def predicted(self) -> Tensor:
        """(K,) class numbers."""
        return self.logits.argmax(dim=-1)


@dataclass(frozen=True)
class Comparison:
    """Methods on the same features of the same pictures."""

    prepared: Prepared
    results: tuple[MethodResult, ...]
    problems: tuple[str, ...]  # a sentence for each method that could not be fitted
    notes: tuple[str, ...]
    settings: Mapping[str, Any]  # backbone, shots, seed, preset and what was overridden

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.prepared.dataset.class_names

    @property
    def labels(self) -> Tensor:
        return self.prepared.test_labels

    @property
    def pictures(self) -> tuple[LabelledPicture, ...]:
        """The K held-out pictures, in the order of labels and logits.

        Raises:
            UserError: a picture vanished between checking and encoding, so the order is lost.
        """
        found = self.prepared.dataset.test
        if len(found) != len(self.labels):
            raise UserError(
                "Some pictures could no longer be read when they were encoded, so they cannot be "
                "shown. Compare again."
            )
        return found

    def result(self, method: str) -> MethodResult:
        """The result of a method.

        Raises:
            UserError: it was not part of this comparison.
        """
        for found in self.results:
            if found.method == method:
                return found
        there = ", ".join(found.method for found in self.results)
        raise UserError(f'"{method}" was not compared. Choose from {there}.')

    def paired(self, first: str, second: str = "hand-crafted") -> PairedTest:
        """McNemar's test of two methods."""
        a, b = self.result(first), self.result(second)
        return mcnemar(a.predicted == self.labels, b.predicted == self.labels)

    def verdict(self) -> str:
        """Is the learned prompt better than the hand-crafted one and the best other method?"""
        keys = [result.method for result in self.results]
        best = next((key for key in LEARNED_METHODS if key in keys), None)
        if best is None or "hand-crafted" not in keys:
            return ""
        title = METHODS[best].title
        said = self.paired(best).sentence(title, METHODS["hand-crafted"].title)
        others = [r for r in self.results if r.method not in LEARNED_METHODS]
        # of equally good rivals the first counts; the hand-crafted prompt itself was just named
        rival = max(others, key=lambda r: r.score.correct)
        if rival.method != "hand-crafted":
            test = self.paired(best, rival.method).sentence(title, rival.title)
            said = f"{said} Against the best other method: {test}"
        return said


DEFAULT_METHODS = (
    "hand-crafted",
    "class-mean",
    "tip-adapter",
    "gda",
    "ensemble",
    "linear-probe",
    "learned",
)


def compare(
    backbone: Backbone,
    dataset: Dataset | Prepared,
    *,
    methods: Sequence[str] = DEFAULT_METHODS,
    templates: Sequence[str] = (DEFAULT_TEMPLATE,),
    prompts: Sequence[LearnedPrompt] = (),
    shots: int = 16,
    seed: int = 1,
    preset: Preset = "fast",
    prompt_config: PromptConfig | None = None,
    **overrides,
) -> Iterator[EncodeEvent | MethodStarted | TrainEvent | MethodResult | Comparison]:
    """Fit every method on the same shots and measure it on the same held-out pictures.

    What needs no training comes first, so that a table stands at once. A method that cannot be
    fitted costs itself only and is named in `problems`. The last event is the Comparison.

    Args:
        dataset: a set, or features that were prepared before (then nothing is encoded).
        methods: keys of METHODS; `hand-crafted` is always among them, as the line to beat.
        templates: hand-crafted prompts; the first is the one to beat.
        prompts: prompts that are learned already, one of a kind. They stand for the methods they
            are, which are compared and not trained again. Their classes must be those of the set,
            and their seed is `seed` where pictures are held out, or they had seen them.
        overrides: fields of TrainConfig.

    Raises:
        UserError: unknown methods, unusable settings, a set that cannot be compared on, or no
            held-out pictures.
    """
    ready: dict[str, Classifier] = {}
    for prompt in prompts:
        classifier = learned(prompt, backbone.logit_scale)
        if classifier.method in ready:
            raise PromptError(
                f'Two prompts are of the kind "{classifier.title}"; one of a kind can be compared. '
                "Leave one out."
            )
        ready[classifier.method] = classifier
    chosen = find_methods(["hand-crafted", *methods, *ready])
    templates = tuple(templates) or (DEFAULT_TEMPLATE,)
    overrides["template"] = templates[0]
    views = train_config_for(preset, shots, 1, seed=seed, **overrides).view_numbers
    prepared = None
    if isinstance(dataset, Prepared):
        prepared = dataset
    else:
        for event in prepare(backbone, dataset, shots=shots, seed=seed, views=views):
            if isinstance(event, Prepared):
                prepared = event
            else:
                yield event
    assert prepared is not None
    notes = _check_comparable(prepared)
    names = prepared.dataset.class_names
    scale = backbone.logit_scale
    results: list[MethodResult] = []
    problems: list[str] = []

    def measured(classifier: Classifier) -> MethodResult:
        logits = classifier.logits(prepared.test_features)
        result = MethodResult(classifier, logits, score(logits.argmax(-1), prepared.test_labels))
        results.append(result)
        return result

    for prompt in prompts:
        _check_same_classes(prompt, names, backbone)
        if prepared.n_held_out and prompt.train_config.seed != seed:
            raise PromptError(
                f"The prompt was trained with seed {prompt.train_config.seed}, which held out "
                f"other pictures than seed {seed}: it may have learned from those it is judged on. "
                f"Compare with seed {prompt.train_config.seed}, or add test pictures."
            )

    zero_shot: Tensor | None = None
    for method in chosen:
        yield MethodStarted(method.key, method.title)
        try:
            if method.key == "hand-crafted":
                words = hand_crafted(backbone, names, templates)
                zero_shot = words[0].weights
                for classifier in words:
                    yield measured(classifier)
            elif method.key == "ensemble":
                yield measured(ensemble(backbone, names))
            elif method.key in ready:
                yield measured(ready[method.key])
            elif method.key in LEARNED_METHODS:
                for event in learn(
                    backbone,
                    prepared,
                    method.key,
                    shots=shots,
                    seed=seed,
                    preset=preset,
                    prompt_config=prompt_config,
                    **overrides,
                ):
                    yield measured(event) if isinstance(event, Classifier) else event
            else:
                assert zero_shot is not None, "hand-crafted comes first in METHODS"
                yield measured(
                    fit(
                        method.key,
                        prepared.train_features,
                        prepared.train_labels,
                        zero_shot,
                        scale,
                    )
                )
        except UserError as error:
            if method.key == "hand-crafted":
                raise  # there is nothing to compare with
            problems.append(f"{method.title} was left out: {error}")
    yield Comparison(
        prepared=prepared,
        results=tuple(results),
        problems=tuple(problems),
        notes=(*prepared.dataset.notes, *notes),
        settings={
            "backbone": backbone.identity,
            "logit_scale": scale,
            "dataset": prepared.dataset.name,
            "shots": shots,
            "seed": seed,
            "preset": preset,
            "templates": list(templates),
            "n_train": len(prepared.train_labels),
            "n_test": len(prepared.test_labels),
            "n_held_out": prepared.n_held_out,
            **{k: v for k, v in overrides.items() if v is not None and k != "template"},
        },
    )


def _check_comparable(prepared: Prepared) -> tuple[str, ...]:
    """Notes on what the held-out pictures can tell; UserError where they tell nothing."""
    K = len(prepared.test_labels)
    if K == 0:
        lost = f" {prepared.dataset.problems[0]}" if prepared.dataset.problems else ""
        raise UserError(
            "There are no held-out pictures to compare the methods on."
            f"{lost} Add test pictures, or more pictures a class."
        )
    notes = []
    if K < 20:
        counted = "is 1 held-out picture" if K == 1 else f"are {K} held-out pictures"
        notes.append(
            f"There {counted}, so every interval is wide. Add test pictures before you decide."
        )
    counts = torch.bincount(prepared.test_labels, minlength=len(prepared.dataset.class_names))
    absent = [
        name
        for name, n in zip(prepared.dataset.class_names, counts.tolist(), strict=True)
        if n == 0
    ]
    if absent:
        notes.append(f"No held-out pictures of {_listed(absent)}: nothing is known about them.")
    return tuple(notes)


def _check_same_classes(
    prompt: LearnedPrompt, class_names: Sequence[str], backbone: Backbone
) -> None:
    if prompt.backbone != backbone.identity:
        raise PromptError(
            f"The prompt was learned with {prompt.backbone}, and the model in use is "
            f"{backbone.identity}. Train it again."
        )
    if prompt.class_names != tuple(class_names):
        raise PromptError(
            f"The prompt knows the classes {_listed(prompt.class_names)}, and this set has "
            f"{_listed(class_names)}. Train it on this set."
        )


# ---- does it forget?

#: Names without pictures that are taken at once: every one is a text to encode.
MAX_TYPED_NAMES = 100


@dataclass(frozen=True)
class ForgettingRow:
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
class Forgetting:
    """What learning some classes does to others (CoCoOp's base-to-new, arXiv 2203.05557)."""

    rows: tuple[ForgettingRow, ...]
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
        names = _listed(self.without_pictures)
        return f"There are no pictures of {names}: only more names to choose from."


def forgetting(
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
) -> Iterator[EncodeEvent | MethodStarted | TrainEvent | ForgettingRow | Forgetting]:
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
    prepared = None
    for event in prepare(backbone, base_set, shots=shots, seed=seed, views=views):
        if isinstance(event, Prepared):
            prepared = event
        else:
            yield event
    assert prepared is not None
    new_features = prepared.test_features[:0]
    new_labels = prepared.test_labels[:0]
    if new:
        new_test = select_classes(dataset, new).test
        new_features, new_labels = yield from _encoded(backbone, new_test)
    for side, n, wanted in (
        ("learned", len(prepared.test_labels), True),
        ("new", len(new_labels), bool(new)),
    ):
        if n == 0 and wanted:
            raise UserError(
                f"There are no held-out pictures of the {side} classes. Add test pictures."
            )
    n_base = len(base)

    def row(key: str, on_base: Classifier, on_new: Classifier) -> ForgettingRow:
        among_all = replace(on_base, weights=torch.cat([on_base.weights, on_new.weights]))
        of_base, of_new = prepared.test_features, new_features
        both = torch.cat([of_base, of_new.to(of_base)])
        labels = torch.cat([prepared.test_labels, new_labels + n_base])
        return ForgettingRow(
            method=key,
            title=METHODS[key].title,
            base=score(on_base.logits(of_base).argmax(-1), prepared.test_labels),
            new=score(on_new.logits(of_new).argmax(-1), new_labels),
            together=score(among_all.logits(both).argmax(-1), labels),
        )

    yield MethodStarted("hand-crafted", METHODS["hand-crafted"].title)
    on_base = hand_crafted(backbone, base_set.class_names, [template])[0]
    on_new = hand_crafted(backbone, new_names, [template])[0]
    rows = [row("hand-crafted", on_base, on_new)]
    yield rows[0]
    for key in ("learned", "kgcoop"):
        yield MethodStarted(key, METHODS[key].title)
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
    yield Forgetting(
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
        title=METHODS["learned"].title,
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
        number_of = _numbers_of(names)
        new = []
        for name in dict.fromkeys(clean_class_name(name) for name in new_classes):
            number = number_of.get(_key(name))
            if number is not None:
                new.append(number)
            elif not name:
                raise UserError("A new class name is empty. Type a name, or leave it out.")
            elif _key(name) not in map(_key, without_pictures):
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
            f"Of {_counted(len(names), 'class')}, {len(base)} would be learned and {n_new} "
            "would be new; 2 or more are needed on either side. "
            + (
                "Hold out fewer classes."
                if len(names) >= 4
                else "Use a set of 4 or more classes, or type new names only."
            )
        )
    return base, new, tuple(without_pictures)


# ---- train here, test there


@dataclass(frozen=True)
class ShiftRow:
    """One method where it learned and on the second set, on the same class names."""

    method: str
    title: str
    here: Score
    there: Score

    @property
    def fall(self) -> float | None:
        """How much accuracy is lost on the way, a fraction; negative where it rises."""
        if self.here.accuracy is None or self.there.accuracy is None:
            return None
        return self.here.accuracy - self.there.accuracy


@dataclass(frozen=True)
class Shift:
    """Methods of a comparison on a second set, among the classes that both sets have."""

    rows: tuple[ShiftRow, ...]
    class_names: tuple[str, ...]  # in both sets
    here_name: str
    there_name: str
    notes: tuple[str, ...]  # classes that only one set has, pictures that were left out


def shift(
    backbone: Backbone, comparison: Comparison, second: Dataset
) -> Iterator[EncodeEvent | Shift]:
    """Measure every method of a comparison on a second set of the same class names.

    Both sets are judged among the classes they share, matched by name whatever the case, so the
    two accuracies can be compared. Of the second set the test pictures count, or all pictures
    where it has no test part (nothing is learned from them). Pictures that were among the shots
    are left out. The last event is the Shift.

    Raises:
        UserError: fewer than two shared classes, or no pictures of them on one side.
    """
    here_names = comparison.class_names
    second_of = _numbers_of(second.class_names)
    pairs = [
        (number, second_of[_key(name)])
        for number, name in enumerate(here_names)
        if _key(name) in second_of
    ]
    if len(pairs) < 2:
        found = f"only {here_names[pairs[0][0]]}" if pairs else "none"
        raise UserError(
            f"The second set must have the same class names: {found} of "
            f"{_listed(here_names)} is among {_listed(second.class_names)}. Rename its classes."
        )
    notes = []
    missing = [name for name in here_names if _key(name) not in second_of]
    if missing:
        notes.append(
            f"The second set has no {_listed(missing)}; both sets are judged on the other "
            f"{len(pairs)} classes."
        )
    here_keys = {_key(name) for name in here_names}
    extra = [name for name in second.class_names if _key(name) not in here_keys]
    if extra:
        notes.append(f"Only the second set has {_listed(extra)}; these are left out.")

    shared = select_classes(second, [there for _, there in pairs])
    shared = check_pictures(shared)
    notes.extend(shared.problems[:3])
    pictures = shared.test or (*shared.train, *shared.val)
    seen = {item.picture.content for item in comparison.prepared.dataset.train}
    fresh = tuple(item for item in pictures if item.picture.content not in seen)
    if len(fresh) < len(pictures):
        lost = _counted(len(pictures) - len(fresh), "picture")
        notes.append(f"{lost} of the second set left out: the methods learned from the same.")
    features, labels = yield from _encoded(backbone, fresh)
    here_numbers = torch.tensor([here for here, _ in pairs])
    new_number = torch.full((len(here_names),), -1).index_put(
        (here_numbers,), torch.arange(len(pairs))
    )
    here_labels = new_number[comparison.labels]
    here_rows = here_labels >= 0
    for name, n in (
        (shared.name or "the second set", len(labels)),
        ("the first set", int(here_rows.sum())),
    ):
        if n == 0:
            raise UserError(
                f"There are no pictures of the shared classes to judge by in {name}. Add pictures."
            )
    rows = tuple(
        ShiftRow(
            method=result.method,
            title=result.title,
            here=score(
                result.logits[here_rows][:, here_numbers].argmax(-1), here_labels[here_rows]
            ),
            there=score(result.classifier.logits(features)[:, here_numbers].argmax(-1), labels),
        )
        for result in comparison.results
    )
    yield Shift(
        rows=rows,
        class_names=tuple(here_names[here] for here, _ in pairs),
        here_name=comparison.prepared.dataset.name or "this set",
        there_name=second.name or "the second set",
        notes=tuple(notes),
    )


# ---- a map


@dataclass(frozen=True)
class PictureMap:
    """Pictures and class vectors in the plane of the pictures' two main directions.

    Shape: pictures (K, 2), vectors of each method (C, 2), explained (2,) shares of the variance.
    """

    pictures: np.ndarray
    labels: np.ndarray
    vectors: Mapping[str, np.ndarray]
    titles: Mapping[str, str]
    explained: tuple[float, float]


def picture_map(comparison: Comparison, methods: Sequence[str] | None = None) -> PictureMap:
    """PCA of the held-out pictures, with the class vectors of prompts and class means in it.

    Texts and pictures lie apart in CLIP's space by an offset that is the same for every class
    (Liang et al., NeurIPS 2022, arXiv 2203.02053) and shorter distances between texts. Each
    method's vectors are therefore moved to their own mean and scaled to the spread of the
    pictures' class means: directions between classes are to scale, distances between a text and
    a picture are not.

    Raises:
        UserError: there are fewer than two pictures, or all are alike.
    """
    features = comparison.prepared.test_features.double().numpy()  # (K, d)
    labels = comparison.labels.numpy()
    if len(features) < 2:
        raise UserError("A map needs two or more held-out pictures. Add test pictures.")
    centre = features.mean(axis=0)
    _, lengths, axes = np.linalg.svd(features - centre, full_matrices=False)
    if lengths[0] < 1e-9:
        raise UserError("All held-out pictures look the same to the model, so there is no map.")
    plane = np.zeros((2, features.shape[1]))
    plane[: min(2, len(axes))] = axes[:2]  # two pictures span one direction only
    # signs of singular vectors are arbitrary: fixed so that the map does not flip between runs
    plane *= np.sign(plane[np.arange(2), np.abs(plane).argmax(axis=1)])[:, None]
    shares = np.zeros(2)
    shares[: min(2, len(lengths))] = (lengths**2 / (lengths**2).sum())[:2]

    means = np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])
    spread = _spread(means)
    vectors, titles = {}, {}
    for result in comparison.results:
        wanted = result.method in methods if methods is not None else True
        drawable = result.classifier.is_prompt or result.method == "class-mean"
        if wanted and drawable:
            weights = result.classifier.weights.double().numpy()
            centred = weights - weights.mean(axis=0)
            own = _spread(weights)
            factor = spread / own if own > 1e-9 and spread > 1e-9 else 1.0
            vectors[result.method] = factor * centred @ plane.T  # (C, 2)
            titles[result.method] = result.title
    return PictureMap(
        pictures=(features - centre) @ plane.T,
        labels=labels,
        vectors=vectors,
        titles=titles,
        explained=(float(shares[0]), float(shares[1])),
    )


def _spread(vectors: np.ndarray) -> float:
    """Root mean square distance from their mean."""
    return float(np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()))


# ---- inside


def _encoded(
    backbone: Backbone, pictures: Sequence[LabelledPicture]
) -> Iterator[EncodeEvent]:  # returns (features, labels) through `yield from`
    for event in encode_pictures(backbone, [item.picture for item in pictures]):
        if isinstance(event, EncodedPictures):
            labels = torch.tensor([pictures[i].label for i in event.kept], dtype=torch.long)
            return event.features[0], labels
        yield event
    raise AssertionError("encode_pictures ends with its result")


def _key(name: str) -> str:
    return clean_class_name(name).casefold()


def _numbers_of(names: Sequence[str]) -> dict[str, int]:
    return {_key(name): number for number, name in enumerate(names)}


def _listed(names: Sequence[str], at_most: int = 6) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:at_most])
    return shown + (f" and {len(names) - at_most} more" if len(names) > at_most else "")


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}es" if noun.endswith("s") else f"{number} {noun}s"
