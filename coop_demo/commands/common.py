"""What the commands share: options, progress on standard error, results on standard output."""

import argparse
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from coop_demo.backbones import catalog
from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent
from coop_demo.data.dataset import Dataset
from coop_demo.data.folders import read_data, read_folder
from coop_demo.errors import DatasetError, UserError
from coop_demo.prompts.training import TrainEvent
from coop_demo.runtime import shared_backbone
from coop_demo.samples import find_sample, sample_sets
from coop_demo.settings import environment_backbone


def add_backbone_options(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    parser.add_argument(
        "--backbone",
        default=default,
        metavar="NAME",
        help="CLIP model: a name of `models`, open_clip:ARCHITECTURE/TAG, "
        "hf-hub:organisation/repository or local-dir:FOLDER (default: COOP_DEMO_BACKBONE, "
        "else mini)",
    )
    parser.add_argument(
        "--device", default="", help="cuda, mps or cpu (default: the best this computer has)"
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="write the result as JSON to FILE; - is standard output, with progress on standard "
        "error",
    )


def positive(text: str) -> int:
    """A whole number of 1 or more, for an option's `type`."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of 1 or more')
    return number


def seed_number(text: str) -> int:
    """A seed that every generator takes, for an option's `type`."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 2**31:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 0 to 2,147,483,647')
    return number


def add_data_options(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """--data or --sample, one of them; the group, for others in their place."""
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--data",
        metavar="DIR",
        help="train/<class>/* and test/<class>/*, or <class>/* (then a part is held out); or a zip",
    )
    given.add_argument(
        "--sample", metavar="NAME", help="a sample set that ships, such as biscuits or everyday"
    )
    return given


def data_of(args: argparse.Namespace) -> Dataset:
    """The set that --data or --sample names, unchecked.

    Raises:
        DatasetError: there is no such set, or it cannot be learned from.
    """
    if args.sample is None:
        return read_data(args.data)
    sample = find_sample(args.sample)
    if not sample.teaches:
        names = ", ".join(one.name for one in sample_sets() if one.teaches)
        raise DatasetError(
            f'The sample set "{sample.name}" has no classes to learn. Choose one of {names}.'
        )
    return read_folder(sample.folder, check=False)


def backbone_for(name: str | None, device: str = "") -> Backbone:
    """The backbone asked for; a catalog or hub model that is not here is fetched first.

    Raises:
        UserError: it is unknown, cannot be fetched, or the device is not there.
    """
    name = name or environment_backbone()
    if not catalog.is_local(name):
        say(f"Fetching {name} …")
        catalog.fetch(name)
    return shared_backbone(name, device)


def with_progress(events: Iterator[Any]) -> Any:
    """Run a generator of events to its end with bars on standard error; returns the last."""
    bar: tqdm | None = None
    kind: str = ""
    last = None
    try:
        for last in events:
            if isinstance(last, EncodeEvent):
                now, done, total = "encoding", last.done, last.total
            elif isinstance(last, TrainEvent):
                now, done, total = "training", last.step, last.total_steps
            elif hasattr(last, "done") and hasattr(last, "total"):
                now, done, total = "running", last.done, last.total
            else:
                continue
            if bar is None or now != kind or done < bar.n:
                if bar is not None:
                    bar.close()
                bar, kind = tqdm(total=total, desc=now, file=sys.stderr, leave=False), now
            bar.total = total
            bar.update(done - bar.n)
            if isinstance(last, TrainEvent) and last.held_out_accuracy is not None:
                bar.set_postfix(loss=f"{last.loss:.3f}", held_out=f"{last.held_out_accuracy:.1%}")
    finally:
        if bar is not None:
            bar.close()
    return last


def say(text: str) -> None:
    """One line for the person, on standard error."""
    print(text, file=sys.stderr, flush=True)


def give(result: dict[str, Any] | list, target: str | None, summary: str) -> None:
    """Write the result: JSON to `target` (`-` is standard output), else the summary.

    Raises:
        UserError: the file cannot be written.
    """
    if target is None:
        print(summary)
        return
    text = json.dumps(_plain(result), indent=2, ensure_ascii=False)
    if target == "-":
        print(text)
        return
    try:
        Path(target).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f'The result cannot be written to "{target}": {error.strerror}. Choose another place.'
        ) from error
    print(summary)


def _plain(value: Any) -> Any:
    """JSON has no NaN: what was not measured is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
