"""How fast pictures are encoded and prompts learned on this computer, all ways in one process.

    python -m coop_demo benchmark speed [--device cuda] [--quick]

The reference's way: all 77 tokens of every class through open_clip's own modules, a step at a time
from Python. Ours: cut after the end-of-text token, the shared context computed once, and on CUDA
the whole step replayed as one graph. All ways run in turn on the same weights and the same batch
under the same precision; times are medians of steps, on CUDA between events on the GPU with a wait
at the end of each step. A thousand classes are timed in blocks and sampled as well. Encoding is
timed with JPEGs of a megapixel, from the files' bytes to features: one picture after the other in
one thread, and decoded ahead of the tower; and by its parts. `markdown` makes a table of it all.
"""

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone, random_backbone
from coop_demo.backbones.catalog import load_backbone
from coop_demo.backbones.disk_cache import DiskCache
from coop_demo.backbones.features import FeatureCache, encode_all
from coop_demo.backbones.preparing import decoding_workers
from coop_demo.data.dataset import Picture
from coop_demo.data.images import content_hash
from coop_demo.prompts.class_blocks import bytes_a_class
from coop_demo.prompts.learner import PromptConfig, PromptLearner
from coop_demo.prompts.step import TrainStep
from coop_demo.prompts.training import TrainConfig, train_prompt
from coop_demo.wording import table_head, table_row

TOWERS = ("mini", "ViT-B-32", "ViT-B-16", "RN50", "ViT-L-14")
CLASSES = (3, 10, 100, 1000)
QUICK_TOWERS, QUICK_CLASSES = ("mini", "ViT-B-32"), (3, 10)
BATCH = 32  # the paper's


@dataclass(frozen=True)
class StepTiming:
    """Milliseconds of one training step each way, and how far the gradients are apart."""

    COLUMNS: ClassVar = (
        "ms a step",
        "reference form",
        "ours, not recorded",
        "ours",
        "times faster",
        "memory",
        "gradient",
    )

    tower: str
    n_classes: int
    reference: float | None  # None: the way ran out of memory or of time
    eager: float
    captured: float | None  # None where nothing is captured
    peak_bytes: int  # ours, on the GPU
    gradient_difference: float | None  # relative norm, in fp32

    def cells(self) -> list[str]:
        ours = self.captured or self.eager
        return [
            f"{self.tower}, {self.n_classes} classes",
            _short(self.reference),
            _short(self.eager) if self.captured else "–",
            _short(ours),
            _short(self.reference and self.reference / ours),
            f"{self.peak_bytes / 2**30:.1f} GB" if self.peak_bytes else "–",
            _plain(self.gradient_difference),
        ]

    def __str__(self) -> str:
        best = self.captured or self.eager
        ratio = f"{self.reference / best:6.1f} ×" if self.reference else "       –"
        return (
            f"{self.tower:10s} {self.n_classes:5d} classes  reference {_ms(self.reference)}  "
            f"ours eager {_ms(self.eager)}  captured {_ms(self.captured)}  {ratio}  "
            f"{self.peak_bytes / 2**30:.2f} GB  gradient {_plain(self.gradient_difference)}"
        )


@dataclass(frozen=True)
class TrainingTiming:
    """A whole training of 10 classes × 16 shots, from names to prompt."""

    COLUMNS: ClassVar = (
        "10 classes × 16 shots",
        "steps",
        "seconds",
    )

    tower: str
    captured: bool
    steps: int
    seconds: float

    def cells(self) -> list[str]:
        how = ", recorded" if self.captured else ""
        return [self.tower + how, str(self.steps), f"{self.seconds:.1f}"]

    def __str__(self) -> str:
        way = "captured" if self.captured else "eager"
        return f"{self.tower:10s} {self.steps} steps, {way}: {self.seconds:.2f} s"


@dataclass(frozen=True)
class Trajectory:
    """The largest relative difference of the loss over a training, captured against eager."""

    tower: str
    precision: str
    difference: float

    def __str__(self) -> str:
        return (
            f"{self.tower:10s} loss captured against eager, {self.precision}: {self.difference:.1e}"
        )


@dataclass(frozen=True)
class ManyClasses:
    """Milliseconds of a step through many classes: at once, in blocks, and sampled."""

    COLUMNS: ClassVar = (
        "ms a step",
        "at once",
        "in four blocks",
        "a tenth sampled",
    )

    tower: str
    n_classes: int
    block: int
    sampled: int
    at_once: float
    in_blocks: float
    by_sample: float
    peaks: tuple[int, int, int]  # bytes beside the model, on a GPU; 0 elsewhere
    bytes_a_class: int  # what decides on blocks
    gradient_difference: float  # of blocks, relative norm, as the step runs

    def cells(self) -> list[str]:
        times = (self.at_once, self.in_blocks, self.by_sample)
        return [
            f"{self.tower}, {self.n_classes} classes",
            *(
                _short(time) + (f" ({peak / 2**30:.2f} GB)" if peak else "")
                for time, peak in zip(times, self.peaks, strict=True)
            ),
        ]

    def __str__(self) -> str:
        whole, blocks, sample = (f"{peak / 2**30:.2f} GB" for peak in self.peaks)
        return (
            f"{self.tower:10s} {self.n_classes:5d} classes  at once {_ms(self.at_once)} ({whole})  "
            f"in blocks of {self.block} {_ms(self.in_blocks)} ({blocks}), gradient "
            f"{_plain(self.gradient_difference)}  {self.sampled} sampled {_ms(self.by_sample)} "
            f"({sample})"
        )


@dataclass(frozen=True)
class StageTiming:
    """Milliseconds a picture of each part of encoding, one thread, medians."""

    COLUMNS: ClassVar = (
        "ms a picture",
        "decode",
        "hash",
        "prepare",
        "image tower",
    )

    tower: str
    decoding: float
    hashing: float  # of the pixels, by which a picture is known again
    preparing: float  # resize, crop, to numbers
    image_tower: float  # in batches of 32

    def cells(self) -> list[str]:
        times = (self.decoding, self.hashing, self.preparing, self.image_tower)
        return [self.tower, *map(_short, times)]

    def __str__(self) -> str:
        return (
            f"{self.tower:10s} a picture: decode {_ms(self.decoding)}  hash {_ms(self.hashing)}  "
            f"prepare {_ms(self.preparing)}  image tower {_ms(self.image_tower)}"
        )


@dataclass(frozen=True)
class EncodeTiming:
    """Seconds from the bytes of JPEGs of a megapixel to their features, medians of whole jobs."""

    COLUMNS: ClassVar = (
        "pictures a second",
        "one after the other",
        "decoded ahead",
        "times faster",
        "found on disk",
    )

    tower: str
    n_pictures: int
    serial: float  # decoded in the caller's own thread
    ahead: float  # decoded in threads while the tower encodes
    times_faster: float  # the median of the ratios of turns, which a busy computer moves least
    workers: int
    found: float  # again, when all is in a cache on disk
    equal: bool  # the features of both ways, bit for bit

    def cells(self) -> list[str]:
        found = _short(self.n_pictures / self.found)
        one_by_one, ahead = (_short(self.n_pictures / s) for s in (self.serial, self.ahead))
        return [self.tower, one_by_one, ahead, f"{self.times_faster:.2f}", found]

    def __str__(self) -> str:
        return (
            f"{self.tower:10s} {self.n_pictures} pictures encoded: one after the other "
            f"{self.serial:.2f} s, {self.workers} decoding ahead {self.ahead:.2f} s, "
            f"{self.times_faster:.2f} ×, {'the same' if self.equal else 'other'} features; "
            f"found on disk {self.found:.2f} s"
        )


Timing = StepTiming | TrainingTiming | Trajectory | ManyClasses | StageTiming | EncodeTiming


def measure_speed(device: str, *, quick: bool = False, seconds: float = 240) -> Iterator[Timing]:
    """All timings of this computer, each as it is found; stops at the end of its time.

    Args:
        device: `cpu` or `cuda`.
        quick: two towers and at most 10 classes.
        seconds: no new measurement begins after so long.
    """
    ends = time.monotonic() + seconds
    towers, counts = (QUICK_TOWERS, QUICK_CLASSES) if quick else (TOWERS, CLASSES)
    steps = 40 if quick else 250
    for name in towers:
        if time.monotonic() > ends:
            return
        backbone = tower(name, device)
        if name in ("mini", "ViT-B-32"):
            yield time_stages(backbone, name)
            yield time_encoding(backbone, name, n_pictures=32 if quick else 128)
        for captured in (True, False) if device == "cuda" else (False,):
            if name in ("mini", "ViT-B-16") or quick:
                yield whole_training(backbone, name, steps=steps, capture=captured)
        if device == "cuda" and name in ("mini", "ViT-B-16"):
            for precision in ("fp32", "mixed"):
                yield trajectory(backbone, name, precision)
        for count in counts:
            if time.monotonic() > ends:
                return
            yield time_steps(backbone, name, count)
        if name in ("mini", "ViT-B-16") and time.monotonic() < ends:
            yield time_many_classes(backbone, name, 100 if quick else 1000)
        del backbone


def tower(name: str, device: str) -> Backbone:
    """The built-in model, or an architecture with random weights, on a device."""
    if name == "mini":
        return load_backbone(name, device=device)
    return random_backbone(name, device=device)


def time_steps(backbone: Backbone, name: str, n_classes: int) -> StepTiming:
    """One step of every way, timed in turn."""
    on_cuda = backbone.device.type == "cuda"
    repeats = 15 if on_cuda else (3 if n_classes > 10 else 5)
    problem = _Problem(backbone, n_classes)
    eager = problem.step(capture=False)
    ways: dict[str, Callable[[], object]] = {"eager": lambda: problem.run(eager)}
    captured = problem.step(capture=True) if on_cuda else None
    if captured is not None and captured.captured:
        ways["captured"] = lambda: problem.run(captured)
    if on_cuda or n_classes <= 100:
        ways["reference"] = problem.reference_step()
    peak = 0
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(repeats + 2):
        for way in list(ways):
            try:
                if on_cuda:
                    torch.cuda.reset_peak_memory_stats()
                milliseconds = _timed(ways[way], on_cuda)
                if on_cuda and way != "reference":
                    peak = max(peak, torch.cuda.max_memory_allocated())
            except torch.OutOfMemoryError:
                del ways[way], times[way]
                continue
            if turn >= 2:  # the first rounds warm up
                times[way].append(milliseconds)
    found = {way: statistics.median(values) for way, values in times.items()}
    difference = None
    if "reference" in found and n_classes <= 100:
        with _full_precision(backbone):
            difference = problem.gradient_difference()
    return StepTiming(
        tower=name,
        n_classes=n_classes,
        reference=found.get("reference"),
        eager=found["eager"],
        captured=found.get("captured"),
        peak_bytes=peak,
        gradient_difference=difference,
    )


def time_many_classes(backbone: Backbone, name: str, n_classes: int) -> ManyClasses:
    """A step at once, in four blocks, and with a tenth of the classes sampled, in turn."""
    on_cuda = backbone.device.type == "cuda"
    problem = _Problem(backbone, n_classes)
    block, sampled = n_classes // 4, n_classes // 10
    negatives = torch.arange(sampled, device=backbone.device)
    options: tuple[dict[str, int], ...] = (
        {},
        {"classes_at_once": block},
        {"sampled_classes": sampled},
    )
    steps = [problem.step(capture=False, **more) for more in options]
    gradients = []
    for step in steps[:2]:
        problem.run(step)
        gradients.append(step.gradient.clone())
    difference = float((gradients[1] - gradients[0]).norm() / gradients[0].norm())
    times: list[list[float]] = [[], [], []]
    peaks = []
    for number, more in enumerate(options):
        if on_cuda:
            torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() if on_cuda else 0
        step = problem.step(capture=True, **more) if on_cuda else steps[number]
        for turn in range(12 if on_cuda else 3):
            milliseconds = _timed(lambda step=step: problem.run(step, negatives), on_cuda)
            if turn:
                times[number].append(milliseconds)
        peaks.append(torch.cuda.max_memory_allocated() - before if on_cuda else 0)
        del step
    with backbone.autocast():
        size = bytes_a_class(problem.learner())
    at_once, in_blocks, by_sample = (statistics.median(values) for values in times)
    return ManyClasses(
        name,
        n_classes,
        block,
        sampled,
        at_once,
        in_blocks,
        by_sample,
        (peaks[0], peaks[1], peaks[2]),
        size,
        difference,
    )


def time_stages(backbone: Backbone, name: str, *, n_pictures: int = 16) -> StageTiming:
    """The parts of encoding one after the other in one thread."""
    pictures = made_jpegs(n_pictures)
    parts: dict[str, list[float]] = {"decode": [], "hash": [], "prepare": []}
    raw: list[Tensor] = []

    def timed(part: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        parts[part].append(1000 * (time.perf_counter() - began))
        return result

    for picture in pictures:
        image = timed("decode", picture.load)
        timed("hash", lambda image=image: content_hash(image))
        raw.append(timed("prepare", lambda image=image: backbone.raw_pixels(image)))
    batch = torch.stack([raw[i % n_pictures] for i in range(32)])

    def encode() -> None:
        backbone.image_features(backbone.to_pixels(batch))

    on_cuda = backbone.device.type == "cuda"
    tower_times = [_timed(encode, on_cuda) / len(batch) for _ in range(4)][1:]
    decoding, hashing, preparing = (statistics.median(times) for times in parts.values())
    return StageTiming(name, decoding, hashing, preparing, statistics.median(tower_times))


def time_encoding(
    backbone: Backbone, name: str, *, n_pictures: int = 128, repeats: int = 5
) -> EncodeTiming:
    """The whole job of encoding, both ways in turn, and from a cache on disk."""
    pictures = made_jpegs(n_pictures)
    workers = decoding_workers(backbone.device.type)
    seconds: dict[int, list[float]] = {0: [], workers: []}
    features: dict[int, Tensor] = {}
    for turn in range(repeats + 1):
        for way in seconds:
            began = time.perf_counter()
            features[way] = encode_all(
                backbone, pictures, cache=FeatureCache(), workers=way
            ).features
            if turn:  # the first turn warms up
                seconds[way].append(time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            cache = FeatureCache(disk=DiskCache(folder))
            began = time.perf_counter()
            encode_all(backbone, pictures, cache=cache)
            found = time.perf_counter() - began
            if cache.disk is not None:
                cache.disk.close()
    ratios = [serial / ahead for serial, ahead in zip(*seconds.values(), strict=True)]
    return EncodeTiming(
        name,
        n_pictures,
        statistics.median(seconds[0]),
        statistics.median(seconds[workers]),
        statistics.median(ratios),
        workers,
        found,
        torch.equal(features[0], features[workers]),
    )


def made_jpegs(n: int) -> list[Picture]:
    """Different JPEGs of 1160 × 870 pixels and some 260 kB, as bytes."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(n):
        patches = Image.fromarray(rng.integers(0, 256, (29, 39, 3), dtype=np.uint8))
        pixels = np.asarray(patches.resize((1160, 870), Image.Resampling.BICUBIC), dtype=np.int16)
        pixels = (pixels + rng.integers(-12, 12, pixels.shape)).clip(0, 255)  # grain
        written = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(written, "JPEG", quality=88)
        pictures.append(Picture(f"{number}.jpg", written.getvalue()))
    return pictures


def whole_training(
    backbone: Backbone, name: str, *, steps: int = 250, capture: bool = True
) -> TrainingTiming:
    """10 classes × 16 shots from features to prompt, measured as the page does it."""
    features, labels, names = made_features(backbone, 10, 16)
    began = time.perf_counter()
    for _ in train_prompt(
        backbone, features, labels, names, config=TrainConfig(steps=steps), capture=capture
    ):
        pass
    seconds = time.perf_counter() - began
    return TrainingTiming(name, capture and backbone.device.type == "cuda", steps, seconds)


def trajectory(backbone: Backbone, name: str, precision: str, *, steps: int = 60) -> Trajectory:
    """Loss of the same training captured and eager, at the steps where both are read."""
    features, labels, names = made_features(backbone, 10, 16)
    config = TrainConfig(steps=steps)
    losses = []
    with _full_precision(backbone) if precision == "fp32" else contextlib.nullcontext():
        for capture in (True, False):
            events = train_prompt(
                backbone,
                features,
                labels,
                names,
                config=config,
                capture=capture,
                measurements=steps,
            )
            losses.append([event.loss for event in events])
    pairs = zip(*losses, strict=True)
    return Trajectory(name, precision, max(abs(a - b) / abs(b) for a, b in pairs))


def made_features(
    backbone: Backbone, n_classes: int, shots: int, *, views: int = 4
) -> tuple[Tensor, Tensor, list[str]]:
    """Random unit features (V, C · shots, d), their labels and class names."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(n_classes).repeat_interleave(shots)
    centres = torch.randn(n_classes, backbone.embed_dim, generator=generator)
    noise = torch.randn(views, len(labels), backbone.embed_dim, generator=generator)
    features = F.normalize(centres[labels] + noise, dim=-1)
    return features, labels, [f"number {i} kind of thing" for i in range(n_classes)]


def markdown(timings: Sequence[Timing]) -> str:
    """The timings as tables for a README: one for each kind that has some."""
    tables = []
    for kind in (StepTiming, ManyClasses, TrainingTiming, StageTiming, EncodeTiming):
        rows = [one.cells() for one in timings if isinstance(one, kind)]
        if rows:
            tables.append("\n".join([*table_head(kind.COLUMNS), *map(table_row, rows)]))
    return "\n\n".join(tables)


def _short(value: float | None) -> str:
    return "–" if not value else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


class _Problem:
    """The same batch, context and classes for every way."""

    def __init__(self, backbone: Backbone, n_classes: int) -> None:
        self.backbone = backbone
        device = backbone.device
        features, labels, self.names = made_features(backbone, n_classes, 2, views=1)
        self.features, self.labels = features.to(device), labels.to(device)
        self.rows = torch.arange(min(BATCH, len(labels)), device=device)
        self.view = torch.zeros_like(self.rows)

    def learner(self) -> PromptLearner:
        return PromptLearner(
            self.backbone.text_tower,
            self.backbone.tokenizer,
            self.names,
            PromptConfig(n_ctx=16),
            generator=torch.Generator().manual_seed(0),
        )

    def step(self, *, capture: bool, **options: Any) -> TrainStep:
        anchor = torch.zeros(len(self.names), self.backbone.embed_dim, device=self.features.device)
        return TrainStep(
            self.backbone,
            self.learner(),
            self.features,
            self.labels,
            anchor,
            batch_size=len(self.rows),
            optimizer="adamw",
            weight_decay=0.0,
            kgcoop_weight=None,
            capture=capture,
            **options,
        )

    def run(self, step: TrainStep, negatives: Tensor | None = None) -> Tensor:
        return step(self.view, self.rows, 1e-3, negatives)

    def loss(self, weights: Tensor) -> Tensor:
        logits = self.backbone.logit_scale * self.features[0, self.rows] @ weights.T
        return F.cross_entropy(logits.float(), self.labels[self.rows])

    def reference_weights(self, learner: PromptLearner) -> Tensor:
        prompts = learner.prompts()  # (C, L, W)
        padding = learner.text_tower.context_length - prompts.shape[1]
        padded = F.pad(prompts, (0, 0, 0, padding))  # (C, 77, W)
        return F.normalize(
            learner.text_tower.encode_full_length(padded, learner.eot).float(), dim=-1
        )

    def reference_step(self) -> Callable[[], None]:
        learner = self.learner()
        optimizer = torch.optim.AdamW([learner.ctx], lr=1e-3, weight_decay=0.0)

        def run() -> None:
            with self.backbone.autocast():
                loss = self.loss(self.reference_weights(learner))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

        return run

    def gradient_difference(self) -> float:
        """Relative norm of the difference between our gradient and the reference's."""
        learner = self.learner()
        (ours,) = torch.autograd.grad(self.loss(learner()), learner.ctx)
        (theirs,) = torch.autograd.grad(self.loss(self.reference_weights(learner)), learner.ctx)
        return float((ours - theirs).norm() / theirs.norm())


@contextlib.contextmanager
def _full_precision(backbone: Backbone) -> Iterator[None]:
    """No mixed precision on this one backbone meanwhile; nobody else may be using it."""
    backbone.autocast = contextlib.nullcontext  # type: ignore[method-assign]
    try:
        yield
    finally:
        del backbone.autocast


def _timed(run: Callable[[], object], on_cuda: bool) -> float:
    """Milliseconds of one call; on CUDA until the GPU has done it."""
    if not on_cuda:
        began = time.perf_counter()
        run()
        return 1000 * (time.perf_counter() - began)
    torch.cuda.synchronize()
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    began.record()
    run()
    ended.record()
    ended.synchronize()
    return began.elapsed_time(ended)


def _ms(value: float | None) -> str:
    return "      –   " if value is None else f"{value:7.2f} ms"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.0e}"
