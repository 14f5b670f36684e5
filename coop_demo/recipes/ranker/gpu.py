"""The shipped ranker's training on one machine with a GPU, in one run that ends in time.

    python -m coop_demo.recipes.ranker.gpu --data DIR_OF_PICTURE_SETS --out DIR --seconds 430

Pictures are drawn by as many processes as there are cores and encoded as they come; then short
equal trainings choose between settings, a long one makes the ranker, and further short ones are
its ablations and hold whole kinds out. `--data` may be a folder that `pack` made, `--cutouts` its
cut-outs: nothing here reads a picture of the test part, so that settings are chosen on pictures of
`val` and on kinds held out. The figures of the card are measured afterwards:

    python -m coop_demo.recipes.ranker --data DIR --cache DIR --parts measure curve speed

Writes `ranker-mini.safetensors`, again and again while it learns, and `gpu.json`.
"""

import argparse
import json
import math
import mmap
import multiprocessing
import queue
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.ranking.adapter import AdapterConfig
from coop_demo.ranking.checkpoint import save_ranker
from coop_demo.ranking.instructions import COUNT_TEMPLATE
from coop_demo.ranking.metrics import srcc
from coop_demo.ranking.ranker import Ranker, RankingTask
from coop_demo.recipes.ranker import train
from coop_demo.recipes.ranker.fast import FastConfig, read_wordings, train_fast
from coop_demo.recipes.ranker.pack import packed_library
from coop_demo.recipes.ranker.pictures import Sample, licensed_only
from coop_demo.recipes.ranker.train import FAMILY_SHARES, FORM, N_CONCEPTS, Collection
from coop_demo.runtime import shared_backbone

LEARNED = ("train", "val")
# Natural kinds in three groups, each held out in turn; the first two choose.
KIND_GROUPS: Sequence[Sequence[str]] = (
    ("cars", "bottles", "apples", "playing cards", "penguins"),
    ("people", "chairs", "pears", "chess pieces", "jellyfish"),
    ("fish", "stingrays", "starfish", "puffins", "sharks"),
)
OWN_SIDE = 260  # pixels of the tower's own square, for the ablation of resolution
CHUNK = 32  # pictures drawn by a process at a time
STALLED = 30.0  # seconds without a picture after which the drawing processes are given up
LONGER = 3  # times as long as a short training: whether more steps still gain
GAIN = 0.01  # by which a setting must be better to be chosen
SECONDS = {"draw": 95.0, "short": 5.0, "long": 240.0, "ablation": 16.0}
FAMILIES_KEPT = ("aquarium", "counting", "quality", "dice", "age", "attributes")


@dataclass(frozen=True)
class Variant:
    """One way to train here."""

    name: str
    dim: int = 128
    layers: int = 1
    dropout: float = 0.1
    concept_rank: int = 0
    evidence: bool = True
    hide_words: float = 0.4
    natural: float = 1.0  # times its share of the batches
    photographs: bool = True
    mosaics: bool = True
    tokens: str = "fine"  # fine, coarse (5 × 5) or small (of the tower's own square)

    def shares(self) -> dict[str, float]:
        return {
            family: share * (self.natural if family == "natural" else 1)
            for family, share in FAMILY_SHARES.items()
        }


BASE = Variant("as it was")
CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "words hidden in seven of ten": {"hide_words": 0.7},
    "concepts chosen by learning": {"concept_rank": 16},
    "wider": {"dim": 192},
    "twice as often natural photographs": {"natural": 2.0},
}
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "without evidence of the words (a)": {"evidence": False, "concept_rank": 0, "hide_words": 0.0},
    "seen at 260 pixels (b)": {"tokens": "small"},
    "summed over 5 × 5 places (c)": {"tokens": "coarse"},
    "without scenes on photographs (d)": {"photographs": False},
    "without natural photographs put together": {"mosaics": False},
}


def say(text: str) -> None:
    print(f"{time.perf_counter() - _BEGAN:6.1f} s  {text}", flush=True)


_BEGAN = time.perf_counter()


# --- pictures ---------------------------------------------------------------------------------

_drawing: tuple[Sequence[Sample], mmap.mmap] | None = None  # what the drawing processes inherit


def square(image: Image.Image, side: int) -> np.ndarray:
    """`Backbone.whole_pixels` without a backbone: (side, side, 3), uint8."""
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC).convert("RGB"))


def _draw(job: tuple[int, Sequence[int]]) -> tuple[int, list[int]]:
    """Draw pictures into a slot of the shared memory; which of them could be drawn."""
    slot, rows = job
    assert _drawing is not None
    assert FORM.side is not None
    samples, memory = _drawing
    size = FORM.side**2 * 3
    good = []
    for row in rows:
        try:
            pixels = square(samples[row].draw(), FORM.side)
        except Exception:  # one picture must not stop an hour's work
            traceback.print_exc()
            continue
        at = (slot * CHUNK + len(good)) * size
        memory[at : at + size] = pixels.tobytes()
        good.append(row)
    return slot, good


def draw_and_encode(
    samples: Sequence[Sample], device: str, *, workers: int, seconds: float
) -> tuple[list[int], Tensor, Tensor]:
    """Rows that were drawn in time, and their tokens at both sizes on the device.

    Pictures that choose come first, the others in a random order, so that whatever time cuts off
    is missing everywhere alike.
    """
    global _drawing
    assert FORM.side is not None
    slots = 3 * workers
    memory = mmap.mmap(-1, slots * CHUNK * FORM.side**2 * 3)
    pixels = np.frombuffer(memory, np.uint8).reshape(slots, CHUNK, FORM.side, FORM.side, 3)
    _drawing = samples, memory
    order = np.random.default_rng(3).permutation(len(samples)).tolist()
    order.sort(key=lambda row: samples[row].part != "val")
    chunks = [order[at : at + CHUNK] for at in range(0, len(order), CHUNK)]
    done: queue.Queue = queue.Queue()
    until = time.perf_counter() + seconds
    drawn: list[int] = []
    with multiprocessing.get_context("fork").Pool(workers) as pool:

        def give(slot: int) -> None:
            pool.apply_async(_draw, ((slot, chunks.pop(0)),), callback=done.put)

        busy = min(slots, len(chunks))
        for slot in range(busy):
            give(slot)
        backbone = shared_backbone("mini", device)  # after the processes were forked
        fine = small = torch.empty(0)
        told = time.perf_counter()
        while busy:
            try:
                slot, good = done.get(timeout=STALLED)
            except queue.Empty:
                say(f"{busy} drawing processes are silent: going on without their pictures")
                break
            raw = torch.from_numpy(pixels[slot, : len(good)].copy()).to(backbone.device)
            if chunks and time.perf_counter() < until:
                give(slot)
            else:
                busy -= 1
            if not good:
                continue
            large, own = _encode(backbone, raw)
            if not len(fine):
                fine = large.new_empty(len(samples), *large.shape[1:])
                small = own.new_empty(len(samples), *own.shape[1:])
            at = slice(len(drawn), len(drawn) + len(good))
            fine[at], small[at] = large, own
            drawn += good
            if time.perf_counter() - told > 10:
                told = time.perf_counter()
                say(f"{len(drawn)} of {len(samples)} pictures")
    say(f"{len(drawn)} of {len(samples)} pictures drawn and encoded")
    return drawn, fine[: len(drawn)], small[: len(drawn)]


@torch.no_grad()
def _encode(backbone: Backbone, raw: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens of (N, H, W, 3) bytes, at their size and at the tower's own."""
    pixels = backbone.to_pixels(raw)
    own = F.interpolate(pixels, (OWN_SIDE, OWN_SIDE), mode="bicubic", antialias=True)
    return backbone.ranking_tokens(pixels, FORM), backbone.ranking_tokens(own, FORM)


# --- training and choosing --------------------------------------------------------------------


@dataclass
class Workshop:
    """What all trainings share."""

    backbone: Backbone  # on the CPU: words are read in full precision
    samples: Sequence[Sample]
    fine: Tensor
    small: Tensor
    out: Path
    n_instructions: int = 16
    texts: dict[str, Tensor] = field(default_factory=dict)
    tasks: dict[tuple, list[RankingTask]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def collection(self, variant: Variant) -> Collection:
        """The pictures a variant learns from and their tokens; others are in no part."""
        tokens = {"fine": self.fine, "small": self.small}.get(variant.tokens)
        if tokens is None:
            tokens = train.coarse_tokens(self.fine)
        wanted = replace(train.SHIPPED, photographs=variant.photographs, mosaics=variant.mosaics)
        samples = [
            one if train.wanted_by(wanted, one) else replace(one, part="left out")
            for one in self.samples
        ]
        return Collection(samples, tokens)

    def note(self, name: str, value: Any) -> None:
        self.report[name] = value
        (self.out / "gpu.json").write_text(json.dumps(self.report, indent=1), encoding="utf-8")

    def start(self, variant: Variant, collection: Collection, tasks: Sequence[RankingTask]):
        """A new ranker of the variant's shape."""
        width, d = collection.tokens.shape[-1], self.backbone.embed_dim
        config = replace(
            AdapterConfig.mini(width, d),
            dim=variant.dim,
            layers=variant.layers,
            prompt_width=variant.dim,
            dropout=variant.dropout,
            view_side=FORM.side if variant.tokens != "small" else OWN_SIDE,
            cells=FORM.cells,
            concepts=N_CONCEPTS if variant.evidence else 0,
            concept_rank=variant.concept_rank if variant.evidence else 0,
            hidden_words=train.n_hidden_words(self.backbone) if variant.evidence else 0,
        )
        wordings = [w for task in tasks for w in (task.instruction, *task.paraphrases)]
        some = collection.tokens[:: max(1, len(collection.tokens) // 400)].cpu()
        return train.aligned_start(self.backbone, some, wordings, config, seed=1, known=self.texts)

    def train(
        self,
        variant: Variant,
        *,
        steps: int,
        seconds: float,
        parts: Sequence[str],
        without: Sequence[str] = (),
        keep: Callable[[Ranker], None] | None = None,
    ) -> tuple[Ranker, Collection, int]:
        """The ranker, what it learned from, and its number of steps."""
        began = time.perf_counter()
        collection = self.collection(variant)
        key = (variant.photographs, variant.mosaics, variant.natural, *parts, *without)
        if key not in self.tasks:
            self.tasks[key] = train.tasks_of(
                collection, parts, without=without, family_shares=variant.shares()
            )
        tasks = self.tasks[key]
        missing = [t for t in tasks if t.instruction not in self.texts]
        if missing:
            self.texts |= read_wordings(self.backbone, missing)
        start = self.start(variant, collection, tasks)
        config = FastConfig(
            steps=steps, hide_words=variant.hide_words, n_instructions=self.n_instructions
        )
        event = None
        say(f"{variant.name}: {len(tasks)} instructions, {time.perf_counter() - began:.1f} s")
        for event in train_fast(
            self.backbone,
            collection.tokens,
            tasks,
            start,
            config,
            texts=self.texts,
            seconds=seconds,
            title=train.TITLE,
        ):
            say(f"{variant.name}: step {event.step} of {event.steps}, loss {event.loss:.4f}")
            if keep is not None:
                keep(event.ranker())
        assert event is not None
        ranker = event.ranker()
        ranker = replace(ranker, config=replace(ranker.config, dropout=0.0))
        return ranker, collection, event.step

    def judge(
        self, ranker: Ranker, collection: Collection, without: Sequence[str]
    ) -> dict[str, Any]:
        """SRCC on `val` by family, without the kinds held out; and on these, all their pictures."""
        adapter = ranker.adapter(collection.tokens.device)

        def figure(instruction: str, rows: Sequence[int]) -> float | None:
            text = self.texts.get(instruction)
            text = self.backbone.text_tokens([instruction])[0] if text is None else text
            with torch.no_grad():
                scores = adapter.scores(collection.tokens[rows], text).float().cpu()
            return srcc(scores.numpy(), collection.values(instruction, rows).numpy())

        by_family: dict[str, dict[str, float | None]] = {}
        for family, instruction, rows in train.measured_instructions(collection, "val"):
            if instruction not in without:
                by_family.setdefault(family, {})[instruction] = figure(instruction, rows)
        never_met = {}
        for instruction in without:
            rows = collection.rows(
                instruction, LEARNED, families=("natural", "aquarium"), plain=True
            )
            if len(rows) >= train.MIN_TEST_PICTURES:
                never_met[instruction] = figure(instruction, rows)
        return {
            "val": {family: mean(found.values()) for family, found in by_family.items()},
            "val_natural": by_family.get("natural", {}),
            "never_met": never_met,
            "never_met_mean": mean(never_met.values()),
        }


def mean(values: Any) -> float:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return sum(known) / len(known) if known else 0.0


def merit(figures: Mapping[str, Any]) -> float:
    """What settings are chosen by: kinds never met, natural kinds learned, and all the rest."""
    val = figures["val"]
    kept = mean(val[family] for family in FAMILIES_KEPT if family in val)
    return 0.5 * figures["never_met_mean"] + 0.3 * val.get("natural", 0.0) + 0.2 * kept


def prompts(kinds: Sequence[str]) -> list[str]:
    return [COUNT_TEMPLATE.format(kind) for kind in kinds]


def guarded(name: str, job: Callable[[], Any]) -> Any:
    """A section that fails costs itself alone."""
    try:
        return job()
    except Exception:
        say(f"{name} failed")
        traceback.print_exc()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def short(
    shop: Workshop,
    variant: Variant,
    *,
    steps: int,
    seconds: float,
    groups: Sequence[int] = (0, 1),
) -> dict[str, Any]:
    """Short trainings, each without one of these groups of kinds, and their figures together."""
    found = []
    for group in groups:
        without = prompts(KIND_GROUPS[group])
        ranker, collection, made = shop.train(
            variant, steps=steps, seconds=seconds, parts=("train",), without=without
        )
        found.append({"steps": made, **shop.judge(ranker, collection, without)})
        steps = made if len(found) == 1 else steps
    families = dict.fromkeys(family for one in found for family in one["val"])
    never_met = {kind: value for one in found for kind, value in one["never_met"].items()}
    figures = {
        "steps": min(one["steps"] for one in found),
        "val": {f: mean(one["val"].get(f) for one in found) for f in families},
        "val_natural": [one["val_natural"] for one in found],
        "never_met": never_met,
        "never_met_mean": mean(never_met.values()),
    }
    say(
        f"{variant.name}: merit {merit(figures):.3f}, never met {figures['never_met_mean']:.3f}, "
        f"val { ({f: round(v, 3) for f, v in figures['val'].items()}) }"
    )
    return figures


def choose(shop: Workshop, *, seconds: float) -> tuple[Variant, int, bool]:
    """The candidates that gain something, together; how many steps a short training has; and
    whether LONGER times as many are better."""
    found = {}
    first = guarded(BASE.name, lambda: short(shop, BASE, steps=100_000, seconds=seconds))
    steps = first["steps"] if first else 1500
    found[BASE.name] = first
    chosen = BASE
    for name, changes in CANDIDATES.items():
        variant = replace(BASE, name=name, **changes)
        figures = guarded(
            name,
            lambda v=variant: short(shop, v, steps=steps, seconds=2.5 * seconds),
        )
        found[name] = figures
        if first and figures and figures["steps"] == steps and merit(figures) > merit(first) + GAIN:
            chosen = replace(chosen, **changes)
        shop.note("candidates", found)
    chosen = replace(chosen, name="as shipped")
    shop.note("chosen", dict(vars(chosen)))
    say(f"chosen: {chosen}")
    longer = replace(chosen, name=f"{LONGER} times as long")
    figures = guarded(
        longer.name,
        lambda: short(shop, longer, steps=LONGER * steps, seconds=1.5 * LONGER * seconds),
    )
    known = [one for one in (*found.values(), figures) if one]
    better = not figures or merit(figures) >= max(map(merit, known)) - GAIN / 2
    shop.note("longer", {"better": better, "figures": figures})
    return chosen, steps, better


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m coop_demo.recipes.ranker.gpu", description="Train the ranker on a GPU."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled picture sets")
    parser.add_argument("--cutouts", type=Path, help="packed cut-outs; Debian's when left out")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=430, help="in all, from the start")
    parser.add_argument("--share", type=float, default=1.0, help="of the rendered pictures")
    parser.add_argument("--more", type=float, default=3.0, help="times as many counts")
    parser.add_argument("--at-most", type=int, help="pictures, for a trial")
    parser.add_argument("--instructions", type=int, default=16, help="of a step")
    for name, limit in SECONDS.items():
        parser.add_argument(f"--{name}-seconds", type=float, default=limit)
    args = parser.parse_args(arguments)
    args.out.mkdir(parents=True, exist_ok=True)

    with multiprocessing.get_context("fork").Pool(args.workers) as pool:
        samples = train.all_samples(
            args.data,
            share=args.share,
            more=args.more,
            parts=LEARNED,
            library=packed_library(args.cutouts) if args.cutouts else None,
            spread=lambda f, items: pool.map(f, items, chunksize=16),
        )
    samples = [one for one in licensed_only(samples, args.data) if one.part in LEARNED]
    if args.at_most:
        some = np.random.default_rng(5).permutation(len(samples))[: args.at_most]
        samples = [samples[i] for i in sorted(some.tolist())]
    say(f"{len(samples)} samples")
    drawn, fine, small = draw_and_encode(
        samples, args.device, workers=args.workers, seconds=args.draw_seconds
    )
    shop = Workshop(
        shared_backbone("mini", "cpu"),
        [samples[row] for row in drawn],
        fine,
        small,
        args.out,
        n_instructions=args.instructions,
    )
    shop.note(
        "made_with",
        {
            "pictures": len(drawn),
            "more": args.more,
            "device": torch.cuda.get_device_name() if fine.is_cuda else "cpu",
            "learned": sum(one.plain for one in shop.samples),
        },
    )
    chosen, steps, longer = choose(shop, seconds=args.short_seconds)

    # the long training: what is left but for the ablations
    after = args.ablation_seconds * (len(ABLATIONS) + 1.5)
    left = args.seconds - (time.perf_counter() - _BEGAN) - after - 10

    def keep(ranker: Ranker) -> None:
        ranker = replace(ranker, config=replace(ranker.config, dropout=0.0))
        save_ranker(ranker, args.out / "ranker-mini.safetensors", half=True)

    def long() -> tuple[Ranker, Collection, int]:
        seconds = min(args.long_seconds, max(75.0, left))
        most = 1_000_000 if longer else 2 * steps
        return shop.train(chosen, steps=most, seconds=seconds, parts=LEARNED, keep=keep)

    began = time.perf_counter()
    made = guarded("the long training", long)
    if made is not None:
        ranker, _, number = made
        keep(ranker)
        shop.note("long", {"steps": number, "seconds": time.perf_counter() - began})
        say(f"the long training: {number} steps")

    rows = {}
    plan: list[tuple[str, Variant, Sequence[int]]] = [(chosen.name, chosen, (0, 1))]
    plan.append(("the third group of kinds", chosen, (2,)))
    plan += [(name, replace(chosen, name=name, **ch), (0, 1)) for name, ch in ABLATIONS.items()]
    for name, variant, groups in plan:
        remaining = args.seconds - (time.perf_counter() - _BEGAN)
        if remaining < args.ablation_seconds:
            say(f"no time left for: {name}")
            break
        rows[name] = guarded(
            name,
            lambda v=variant, g=groups, s=remaining: short(
                shop, v, steps=steps, seconds=(s - 6) / len(g), groups=g
            ),
        )
        shop.note("ablations", rows)
    say("done")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
