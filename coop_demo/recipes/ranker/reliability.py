"""What an order is worth in each case that the app tells apart: a table of reliability.

    python -m coop_demo.recipes.ranker.reliability --data DIR --cache DIR --start RANKER

- *learned*: the pictures of the test part in two halves; what one half says of an instruction,
  good, fair or doubtful, beside what the other half finds.
- *drawn* and *unknown*: a ranker trained as the shipped one, without five kinds of things and with
  three others in drawn scenes alone, is asked for these eight in all photographs of them; and the
  shipped one for the two kinds of the test part that it never met.
- *near*: wordings that nobody learned of instructions of the test part.

The figures go into the ranker's file, from where the app tells them, and onto its card.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from coop_demo.backbones.backbone import Backbone
from coop_demo.ranking.checkpoint import load_ranker, save_ranker
from coop_demo.ranking.instructions import COUNT_TEMPLATE, instruction_key
from coop_demo.ranking.metrics import srcc
from coop_demo.ranking.ranker import Ranker, Reliability
from coop_demo.ranking.trust import KINDS, trust_in
from coop_demo.recipes.ranker import train
from coop_demo.recipes.ranker.pictures import Sample
from coop_demo.runtime import shared_backbone
from coop_demo.settings import CHECKPOINT_DIR

# Kinds that the ranker training goes on from had met nowhere, and some it had met in scenes alone.
HELD_OUT = ("bottles", "playing cards", "people", "chairs", "chess pieces")
DRAWN_ALONE = ("apples", "pears", "cars")
NEW_WORDINGS = ("Compare the pictures by {}.", "Rank the total of {}.", "Rank by the {} in them.")
PHOTOGRAPHED = ("natural", "aquarium", "attributes")
RATE = 8e-4  # twice the learning rate
LEAST_PICTURES = 16  # of an instruction whose pictures are halved


@dataclass(frozen=True)
class Row:
    """One order: the case the app tells, and what the order was worth."""

    kind: str  # one of `trust.KINDS`
    level: str
    instruction: str
    n: int
    srcc: float


def prompts(kinds: Sequence[str]) -> list[str]:
    return [COUNT_TEMPLATE.format(kind) for kind in kinds]


def without_photographs(samples: Sequence[Sample], instructions: Sequence[str]) -> list[Sample]:
    """The samples without what natural photographs say of these instructions."""
    gone = set(instructions)
    return [
        replace(one, values={text: v for text, v in one.values.items() if text not in gone})
        if one.family == "natural"
        else one
        for one in samples
    ]


def told_by(backbone: Backbone, ranker: Ranker, instruction: str) -> tuple[str, str]:
    """The kind and level of an order by this ranker, without its pictures."""
    nothing = np.zeros(0)
    trust = trust_in(backbone, ranker, instruction, scores=nothing, pair_logits=None)
    return trust.kind, trust.level


def held_out_rows(
    backbone: Backbone, collection: train.Collection, trained_without: Ranker
) -> list[Row]:
    """Orders of all photographs of kinds that this ranker never met, or in scenes alone."""
    rows = []
    drawn = {instruction_key(text) for text in prompts(DRAWN_ALONE)}
    known = replace(
        trained_without,
        instructions=tuple(
            replace(one, drawn=instruction_key(one.instruction) in drawn)
            for one in trained_without.instructions
        ),
    )
    for instruction in prompts((*HELD_OUT, *DRAWN_ALONE)):
        at = collection.rows(instruction, train.LEARNED, families=("natural",), plain=True)
        rows += _measured(backbone, collection, known, instruction, at)
    return rows


def unmet_rows(backbone: Backbone, collection: train.Collection, ranker: Ranker) -> list[Row]:
    """Orders of photographs of the test part whose kinds the shipped ranker never met."""
    rows = []
    for family, instruction, at in train.measured_instructions(collection, "test"):
        if family == "unmet":
            rows += _measured(backbone, collection, ranker, instruction, at)
    return rows


def _measured(
    backbone: Backbone,
    collection: train.Collection,
    ranker: Ranker,
    instruction: str,
    at: Sequence[int],
) -> list[Row]:
    """The row of one order; none where all values are the same."""
    kind, level = told_by(backbone, ranker, instruction)
    scores = train.adapter_scores(backbone, ranker, collection.tokens[at], instruction)
    found = srcc(scores.numpy(), collection.values(instruction, at).numpy())
    return [] if found is None else [Row(kind, level, instruction, len(at), found)]


def learned_rows(backbone: Backbone, collection: train.Collection, ranker: Ranker) -> list[Row]:
    """What half of an instruction's test pictures say of it, beside what the other half finds."""
    rows = []
    for _, instruction, at in train.measured_instructions(collection, "test"):
        known = ranker.learned(instruction)
        if known is None or known.drawn or len(at) < LEAST_PICTURES:
            continue
        scores = train.adapter_scores(backbone, ranker, collection.tokens[at], instruction).numpy()
        values = collection.values(instruction, at).numpy()
        order = torch.randperm(len(at), generator=torch.Generator().manual_seed(1)).numpy()
        halves = (order[::2], order[1::2])
        for one, other in (halves, halves[::-1]):
            said, found = srcc(scores[one], values[one]), srcc(scores[other], values[other])
            if said is None or found is None:
                continue
            told = replace(ranker, instructions=(replace(known, held_out=said),))
            kind, level = told_by(backbone, told, instruction)
            rows.append(Row(kind, level, instruction, len(other), found))
    return rows


def near_rows(backbone: Backbone, collection: train.Collection, ranker: Ranker) -> list[Row]:
    """Orders under wordings that nobody learned, by the kind the app says they are."""
    rows = []
    for family, instruction, at in train.measured_instructions(collection, "test"):
        if family not in PHOTOGRAPHED:
            continue
        start, end = COUNT_TEMPLATE.split("{}")
        thing = instruction.removeprefix(start).removesuffix(end).removeprefix("Rank the ")
        at = at[:: -(-len(at) // 200)]
        values = collection.values(instruction, at).numpy()
        for wording in NEW_WORDINGS:
            text = wording.format(thing.rstrip("."))
            kind, level = told_by(backbone, ranker, text)
            if kind != "near":
                continue
            scores = train.adapter_scores(backbone, ranker, collection.tokens[at], text).numpy()
            found = srcc(scores, values)
            if found is not None:
                rows.append(Row(kind, level, text, len(at), found))
    return rows


def by_kind(rows: Sequence[Row]) -> dict[str, Reliability]:
    """What each kind of instruction was worth."""
    found = {}
    for kind in KINDS:
        own = [row.srcc for row in rows if row.kind == kind]
        if own:
            found[kind] = Reliability(float(np.mean(own)), float(min(own)), len(own))
    return found


def train_without(
    backbone: Backbone, collection: train.Collection, start: Ranker | None, *, steps: int
) -> Ranker:
    """A ranker trained as the shipped one, but for the kinds that it must not meet."""
    samples = without_photographs(collection.samples, prompts(DRAWN_ALONE))
    known = replace(collection, samples=samples)
    tasks = train.tasks_of(known, train.LEARNED, without=prompts(HELD_OUT))
    return train.train_setting(
        backbone,
        known,
        tasks,
        replace(train.SHIPPED, name="without kinds"),
        steps=0,
        fine_steps=steps,
        seed=1,
        learning_rate=RATE,
        start=start,
    )


def measure_reliability(
    backbone: Backbone, collection: train.Collection, ranker: Ranker, trained_without: Ranker
) -> tuple[Ranker, list[Row]]:
    """The ranker that knows what its orders are worth, and every order that says so."""
    rows = [
        *learned_rows(backbone, collection, ranker),
        *held_out_rows(backbone, collection, trained_without),
        *unmet_rows(backbone, collection, ranker),
        *near_rows(backbone, collection, ranker),
    ]
    return replace(ranker, reliability=by_kind(rows)), rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Measure what orders are worth, by what the app says of them."
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled sets")
    parser.add_argument("--cache", type=Path, help="folder of encoded pictures")
    parser.add_argument("--out", type=Path, default=CHECKPOINT_DIR / "ranker-mini.safetensors")
    parser.add_argument("--start", type=Path, help="ranker that the shipped one went on from")
    parser.add_argument("--steps", type=int, default=900)
    args = parser.parse_args(arguments)
    backbone = shared_backbone("mini", "cpu")
    collection = train.gather(backbone, train.all_samples(args.data), args)
    start = load_ranker(args.start) if args.start else None
    trained_without = train_without(backbone, collection, start, steps=args.steps)
    ranker = load_ranker(args.out, backbone)
    ranker, rows = measure_reliability(backbone, collection, ranker, trained_without)
    save_ranker(ranker, args.out, half=True)
    train.update(args.out, {"reliability": [asdict(row) for row in rows]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
