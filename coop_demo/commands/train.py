"""python -m coop_demo train: learn a prompt from a folder of pictures."""

import argparse

from coop_demo.commands.common import (
    add_backbone_options,
    add_data_options,
    add_json_option,
    backbone_for,
    data_of,
    give,
    say,
    seed_number,
    with_progress,
)
from coop_demo.prompts.checkpoint import PROMPT, save_prompt
from coop_demo.prompts.learner import POSITIONS, PromptConfig
from coop_demo.prompts.teach import TeachResult, teach


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_data_options(parser)
    parser.add_argument("--shots", type=int, default=16, help="training pictures a class (16)")
    parser.add_argument(
        "--seed", type=seed_number, default=1, help="draws shots, context, batches (1)"
    )
    parser.add_argument("--context-length", type=int, default=16, help="vectors, 1 to 32 (16)")
    parser.add_argument("--class-specific", action="store_true", help="one context a class")
    parser.add_argument("--position", choices=POSITIONS, default="end", help="of the class name")
    parser.add_argument("--init", default="", metavar="TEXT", help="words to start from")
    parser.add_argument(
        "--preset",
        choices=("fast", "paper"),
        default="fast",
        help="fast: ours, seconds; paper: SGD 0.002, 50 to 200 epochs",
    )
    parser.add_argument("--template", help='hand-crafted prompt to beat ("a photo of a {}.")')
    parser.add_argument("--steps", type=int, help="instead of the preset's")
    parser.add_argument("--learning-rate", type=float, help="instead of the preset's")
    parser.add_argument("--views", type=int, help="encoded views of each shot")
    parser.add_argument(
        "--kgcoop", type=float, metavar="LAMBDA", help="pull towards the hand-crafted prompt (0)"
    )
    parser.add_argument(
        "--sampled-classes",
        type=int,
        metavar="K",
        help="each step sees its batch's classes and K others only: quicker with thousands of "
        "classes, an approximation (POMP); with --preset paper",
    )
    parser.add_argument("--out", metavar="FILE", help="save the prompt, a .safetensors file")
    add_backbone_options(parser)
    add_json_option(parser)


def run(args: argparse.Namespace) -> None:
    config = PromptConfig(
        n_ctx=args.context_length,
        class_specific=args.class_specific,
        position=args.position,
        init=args.init,
    )
    if args.out:
        PROMPT.check_writable(args.out)
    dataset = data_of(args)
    backbone = backbone_for(args.backbone, args.device)
    result: TeachResult = with_progress(
        teach(
            backbone,
            dataset,
            shots=args.shots,
            seed=args.seed,
            preset=args.preset,
            prompt_config=config,
            template=args.template,
            steps=args.steps,
            learning_rate=args.learning_rate,
            n_views=args.views,
            kgcoop_weight=args.kgcoop,
            sampled_classes=args.sampled_classes,
        )
    )
    for sentence in (*result.dataset.problems, *result.dataset.notes, result.message):
        if sentence:
            say(sentence)
    if args.out:
        save_prompt(result.prompt, args.out)
    give(describe(result, args.out), args.json, summary(result, args.out))


def describe(result: TeachResult, out: str | None = None) -> dict:
    """The result as plain values; accuracies are fractions."""
    prompt = result.prompt
    return {
        "backbone": prompt.backbone.rpartition("@")[0],
        "backbone_identity": prompt.backbone,
        "n_classes": len(prompt.class_names),
        "class_names": list(prompt.class_names),
        "shots": prompt.shots,
        "n_train": result.n_train,
        "n_test": result.n_test,
        "n_held_out": result.n_held_out,
        "hand_crafted_accuracy": result.hand_crafted_accuracy,
        "zero_shot_accuracy": result.hand_crafted_accuracy,  # its older name
        "learned_accuracy": result.learned_accuracy,
        "train_accuracy": result.train_accuracy,
        "seconds_encoding": round(result.seconds_encoding, 3),
        "seconds_training": round(result.seconds_training, 3),
        "steps": result.steps,
        "seed": prompt.train_config.seed,
        "preset": prompt.train_config.preset,
        "template": prompt.train_config.template,
        "context_length": prompt.prompt_config.n_ctx,
        "class_specific": prompt.prompt_config.class_specific,
        "position": prompt.prompt_config.position,
        "init": prompt.prompt_config.init,
        "learning_rate": prompt.train_config.learning_rate,
        "kgcoop_weight": prompt.train_config.kgcoop_weight,
        "sampled_classes": prompt.train_config.sampled_classes,
        "status": result.status,
        "prompt": out,
        "problems": list(result.dataset.problems),
        "notes": list(result.dataset.notes),
    }


def summary(result: TeachResult, out: str | None = None) -> str:
    prompt = result.prompt
    lines = [
        f"{len(prompt.class_names)} classes, {result.n_train} pictures to learn from, "
        f"{result.n_test} to be measured on, {prompt.backbone}",
        f"encoded in {result.seconds_encoding:.1f} s, trained in {result.seconds_training:.1f} s "
        f"({result.steps} steps)",
    ]
    if prompt.train_config.sampled_classes:
        lines.append(
            f"an approximation: each step saw its batch's classes and "
            f"{prompt.train_config.sampled_classes} sampled ones (POMP)"
        )
    if result.hand_crafted_accuracy is not None and result.learned_accuracy is not None:
        lines.append(
            f"right on the held-out pictures: learned prompt {result.learned_accuracy:.1%}, "
            f'hand-crafted "{prompt.train_config.template}" {result.hand_crafted_accuracy:.1%}'
        )
        if result.learned_accuracy < result.hand_crafted_accuracy:
            lines.append("The words were better here than what was learned.")
    if out:
        lines.append(f"saved to {out}")
    return "\n".join(lines)
