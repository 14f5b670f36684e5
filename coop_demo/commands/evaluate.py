"""python -m coop_demo evaluate: a saved prompt on held-out pictures, beside the words.

With --index the features of an index are measured, and no picture is opened; each picture's label
is that of the list it was indexed from, else the name of its folder.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from coop_demo.archive.answers import labelled_answers
from coop_demo.archive.index import open_index
from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import encode_pictures
from coop_demo.commands.common import (
    add_backbone_options,
    add_data_options,
    add_json_option,
    backbone_for,
    data_of,
    give,
    say,
    with_progress,
)
from coop_demo.comparison.confusion import confusion_matrix, per_class
from coop_demo.comparison.statistics import score
from coop_demo.data.dataset import Dataset, class_key, class_numbers, split_held_out
from coop_demo.data.near_copies import near_shots
from coop_demo.errors import DatasetError, PromptError
from coop_demo.prompts.checkpoint import load_prompt, prompt_backbone
from coop_demo.prompts.teach import unseen
from coop_demo.prompts.templates import class_weights
from coop_demo.prompts.training import LearnedPrompt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    given = add_data_options(parser)
    given.add_argument("--index", metavar="INDEX", help="made by index: its labelled pictures")
    parser.add_argument("--prompt", required=True, metavar="FILE", help="saved by train")
    parser.add_argument(
        "--template", help="hand-crafted prompt (default: the one it was trained against)"
    )
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    backbone = backbone_for(args.backbone or backbone_name(args.prompt), args.device)
    prompt = load_prompt(args.prompt, backbone)
    template = args.template or prompt.train_config.template
    if args.index:
        _report(args, prompt, backbone, template, _from_index(args, prompt, backbone, template))
    else:
        _report(args, prompt, backbone, template, _from_pictures(args, prompt, backbone, template))


@dataclass(frozen=True, eq=False)
class _Measured:
    """Shape: labels and each of the answers (K,), class numbers of `names`."""

    names: tuple[str, ...]
    labels: torch.Tensor
    answers: dict[str, torch.Tensor]
    problems: Sequence[str]
    notes: Sequence[str]
    n_held_out: int = 0


def _from_index(
    args: argparse.Namespace, prompt: LearnedPrompt, backbone: Backbone, template: str
) -> _Measured:
    index = open_index(args.index, backbone.identity)
    names = prompt.class_names
    words = class_weights(backbone, names, [template])
    found = labelled_answers(index, names, prompt.class_weights, words, prompt)
    answers = {"hand_crafted": found.hand_crafted, "learned": found.learned}
    return _Measured(names, found.labels, answers, found.problems, found.notes)


def _from_pictures(
    args: argparse.Namespace, prompt: LearnedPrompt, backbone: Backbone, template: str
) -> _Measured:
    dataset = data_of(args)
    n_held_out = 0
    if not dataset.test:
        # the same pictures that training held out, if this is the set it was trained on
        dataset, n_held_out = split_held_out(dataset, seed=prompt.train_config.seed)
    names, learned_weights, note = weights_for(prompt, dataset, backbone)
    hand_crafted_weights = class_weights(backbone, names, [template])

    encoded = with_progress(encode_pictures(backbone, [item.picture for item in dataset.test]))
    if not encoded.kept:
        raise DatasetError(
            f'No test picture in "{args.data or args.sample}" could be read. Add pictures.'
        )
    rows, left_out = unseen(encoded.contents, prompt.learned_from or ())
    if prompt.learned_from is None:
        left_out = [
            "This prompt file does not say which pictures it learned from: some of these "
            "may be among them. Save the prompt again after training to have it checked."
        ]
    if not rows:
        raise DatasetError(
            f"The prompt learned from every one of the {len(encoded.kept)} pictures in "
            f'"{args.data or args.sample}", so there is nothing to measure it on. '
            "Give other pictures."
        )
    shown = [dataset.test[encoded.kept[i]].picture.name for i in rows]
    left_out += near_shots([encoded.looks[i] for i in rows], prompt.looks, shown)
    labels = torch.tensor([dataset.test[encoded.kept[i]].label for i in rows], dtype=torch.long)
    features = encoded.features[0][rows]
    answers = {
        "hand_crafted": (features @ hand_crafted_weights.to(features).T).argmax(-1),
        "learned": (features @ learned_weights.to(features).T).argmax(-1),
    }
    return _Measured(
        names,
        labels,
        answers,
        [*dataset.problems, *encoded.problems],
        [
            *dict.fromkeys((*dataset.notes, *encoded.notes)),
            *left_out,
            *([note] if note else []),
        ],
        n_held_out,
    )


def _report(
    args: argparse.Namespace,
    prompt: LearnedPrompt,
    backbone: Backbone,
    template: str,
    found: _Measured,
) -> None:
    names, labels, answers = found.names, found.labels, found.answers
    measured = {name: score(given, labels) for name, given in answers.items()}
    by_class = {name: per_class(given, labels, len(names)) for name, given in answers.items()}
    rows_by_class = [
        {
            "name": name,
            "n_test": words.n,
            "hand_crafted_accuracy": words.accuracy,
            "zero_shot_accuracy": words.accuracy,  # the older name of the same figure
            "learned_accuracy": prompted.accuracy,
        }
        for name, words, prompted in zip(
            names, by_class["hand_crafted"], by_class["learned"], strict=True
        )
    ]
    result = {
        "backbone": backbone.name,
        "backbone_identity": backbone.identity,
        "n_classes": len(names),
        "class_names": list(names),
        "shots": prompt.shots,
        "seed": prompt.train_config.seed,
        "n_test": len(labels),
        "n_held_out": found.n_held_out,
        "hand_crafted_accuracy": measured["hand_crafted"].accuracy,
        "zero_shot_accuracy": measured["hand_crafted"].accuracy,  # its older name
        "learned_accuracy": measured["learned"].accuracy,
        "template": template,
        "per_class": rows_by_class,
        # rows: true class, columns: the learned prompt's answer
        "confusion": confusion_matrix(answers["learned"], labels, len(names)).tolist(),
        "problems": list(found.problems),
        "notes": list(found.notes),
    }
    for sentence in (*result["problems"], *result["notes"]):
        say(sentence)
    lines = [
        f"{len(labels)} pictures, {len(names)} classes: learned prompt "
        f"{result['learned_accuracy']:.1%}, "
        f'hand-crafted "{template}" {result["hand_crafted_accuracy"]:.1%}'
    ]
    for entry in rows_by_class:
        if entry["n_test"]:
            lines.append(
                f"  {entry['name']}: {entry['learned_accuracy']:.1%} against "
                f"{entry['hand_crafted_accuracy']:.1%} of {entry['n_test']}"
            )
    give(result, args.json, "\n".join(lines))


def backbone_name(prompt_file: str) -> str:
    """The name of the backbone a prompt file was made with."""
    return prompt_backbone(prompt_file).rpartition("@")[0]


def weights_for(
    prompt: LearnedPrompt, dataset: Dataset, backbone: Backbone
) -> tuple[tuple[str, ...], torch.Tensor, str]:
    """Class weights of a prompt in the order of a data set's classes, and a note where needed.

    A set with the prompt's own classes gets them by name; other class names get a unified
    prompt's context.

    Raises:
        PromptError: the prompt is class-specific and the set has other classes.
    """
    names = dataset.class_names
    own = class_numbers(prompt.class_names)
    wanted = [class_key(name) for name in names]
    if all(name in own for name in wanted):
        rows = torch.tensor([own[name] for name in wanted])
        return names, prompt.class_weights[rows], ""
    unknown = [name for name, key in zip(names, wanted, strict=True) if key not in own]
    if prompt.prompt_config.class_specific:
        raise PromptError(
            f'The prompt never saw the class "{unknown[0]}", and it has one context per class. '
            "Train a unified prompt to apply it to other class names."
        )
    with torch.no_grad(), backbone.autocast():
        weights = prompt.learner(backbone).with_class_names(names)().float().cpu()
    note = (
        f"The prompt never saw {len(unknown)} of the {len(names)} classes; its context is applied "
        "to their names."
    )
    return names, weights, note
