"""A prompt's answers about every picture of an index, from its features alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from coop_demo.archive.index import Index, Rows
from coop_demo.backbones.backbone import Backbone
from coop_demo.data.dataset import class_key, class_numbers, short_content
from coop_demo.data.near_copies import like_shot_notes, like_shots
from coop_demo.errors import ArchiveError
from coop_demo.prompts.templates import class_weights, probabilities
from coop_demo.prompts.training import LearnedPrompt
from coop_demo.wording import counted


@dataclass(frozen=True, eq=False)
class Answers:
    """Of one partition's N rows; -1, NaN and None where a picture cannot be read.

    Shape: `learned`, `hand_crafted` (N,) class numbers, their probabilities (N,), `unlike` (N,).
    """

    rows: Rows
    learned: np.ndarray
    learned_probability: np.ndarray
    hand_crafted: np.ndarray
    hand_crafted_probability: np.ndarray
    unlike: tuple[bool | None, ...]


def answers(
    index: Index, backbone: Backbone, prompt: LearnedPrompt, template: str
) -> Iterator[Answers]:
    """What `predict` says of each picture, a partition at a time.

    Features are kept in half precision: a probability may differ from that of the picture itself
    in the third digit.

    Raises:
        ArchiveError: a partition is damaged. PromptError: the template cannot be used.
    """
    words = class_weights(backbone, prompt.class_names, [template])
    for rows in index.partitions():
        n, at = len(rows), rows.readable
        features = unit_features(rows)
        found = []
        for weights in (prompt.class_weights, words):
            numbers, likely = np.full(n, -1), np.full(n, np.nan)
            if len(at):
                said = probabilities(features, weights, backbone.logit_scale)  # (K, C)
                best = said.max(dim=-1)
                numbers[at], likely[at] = best.indices.numpy(), best.values.numpy()
            found += [numbers, likely]
        unlike: list[bool | None] = [None] * n
        if prompt.familiar and len(at):
            for i, is_unlike in zip(
                at.tolist(), prompt.familiar.unlike(features, prompt.class_weights), strict=True
            ):
                unlike[i] = bool(is_unlike)
        learned, learned_probability, crafted, crafted_probability = found
        yield Answers(
            rows, learned, learned_probability, crafted, crafted_probability, tuple(unlike)
        )


def unit_features(rows: Rows) -> Tensor:
    """Features of the readable rows in fp32, of unit length again. -> (K, d)"""
    features = torch.from_numpy(rows.features[rows.readable].astype(np.float32))
    return torch.nn.functional.normalize(features, dim=-1)


@dataclass(frozen=True, eq=False)
class LabelledAnswers:
    """The labelled pictures of an index under a prompt. Shape: (K,) class numbers each."""

    labels: Tensor
    learned: Tensor
    hand_crafted: Tensor
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def labelled_answers(
    index: Index,
    names: tuple[str, ...],
    learned: Tensor,
    hand_crafted: Tensor,
    prompt: LearnedPrompt,
) -> LabelledAnswers:
    """Answers beside labels: those of the list the index was made from, or the folders' names.

    Pictures with another label, and those the prompt learned from, are left out and counted.

    Args:
        learned, hand_crafted: class weights (C, d) in the order of `names`.

    Raises:
        ArchiveError: no picture has one of the labels, or all of them were learned from.
    """
    numbers = class_numbers(names)
    shots = set(prompt.learned_from or ())
    labels: list[int] = []
    given: tuple[list[Tensor], list[Tensor]] = ([], [])
    problems: list[str] = []
    like: list[str] = []
    n_unlabelled = n_learned = 0
    for rows in index.partitions():
        problems += [said for said in rows.problems if said is not None]
        chosen, own = [], []
        for row, i in enumerate(rows.readable.tolist()):
            label = rows.labels[i]
            if label is None:
                label = rows.paths[i].replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
            number = numbers.get(class_key(label))
            if number is None:
                n_unlabelled += 1
            elif short_content(rows.contents[i] or "") in shots:
                n_learned += 1
            else:
                chosen.append(row)
                own.append(i)
                labels.append(number)
        if chosen:
            features = unit_features(rows)[chosen]
            for weights, into in zip((learned, hand_crafted), given, strict=True):
                into.append((features @ weights.to(features).T).argmax(-1))
            shown = [rows.paths[i].rpartition("/")[2] for i in own]
            like += like_shots([rows.looks[i] for i in own], prompt.looks, shown)
    if not labels:
        why = f" {n_learned} were learned from." if n_learned else ""
        raise ArchiveError(
            f"No picture of the index can be measured: {n_unlabelled} have no label among the "
            f"{len(names)} classes.{why} Pictures need their class as the name of their folder, "
            "or a list with a column label when they are indexed."
        )
    notes = []
    if n_unlabelled:
        notes.append(f"{counted(n_unlabelled, 'picture')} with no or another label left out.")
    if n_learned:
        notes.append(
            f"The prompt learned from {n_learned} of these pictures: left out of what is measured."
        )
    if prompt.learned_from is None:
        notes.append(
            "This prompt file does not say which pictures it learned from: some of these may be "
            "among them."
        )
    return LabelledAnswers(
        torch.tensor(labels, dtype=torch.long),
        torch.cat(given[0]),
        torch.cat(given[1]),
        tuple(problems),
        (*notes, *like_shot_notes(like)),
    )
