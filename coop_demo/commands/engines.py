"""Options of the commands that can use all cores, or a Ray cluster."""

import argparse
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from coop_demo.backbones.backbone import Backbone
from coop_demo.commands.common import positive
from coop_demo.comparison.cells import OpenBackbone
from coop_demo.engines.choosing import ENGINES, open_engine
from coop_demo.engines.engine import Engine, EngineError, Need, Stream
from coop_demo.engines.local import ThisProcess
from coop_demo.runtime import keep_freed_memory, shared_backbone

GPU_SHARE = 0.25  # of a GPU, for a cell on one: four trainings at a time keep it busy


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engine")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="local (the default): processes of this computer; ray: a Ray cluster, or Ray started "
        "here for this run (needs the extra `scale`). The results are the same",
    )
    group.add_argument(
        "--address",
        metavar="ADDRESS",
        help="ray: of a cluster, auto or ray://HOST:PORT; RAY_AUTH_TOKEN is its credential",
    )
    group.add_argument(
        "--workers", type=positive, metavar="N", help="at a time on this computer (all cores)"
    )
    group.add_argument(
        "--cpus-each", type=float, default=1.0, metavar="X", help="ray: cores a task takes (1)"
    )
    group.add_argument(
        "--gpus-each",
        type=float,
        metavar="X",
        help=f"ray: share of a GPU a task takes (on a GPU {GPU_SHARE:g} for a cell, 1 to encode)",
    )


def engine_of(
    args: argparse.Namespace, backbone: Backbone, *, gpu_share: float = GPU_SHARE
) -> AbstractContextManager[Engine | None]:
    """The engine asked for; None where this process alone is as fast.

    Raises:
        EngineError: it cannot be had.
    """
    on_gpu = backbone.device.type != "cpu"
    if args.engine == "local" and on_gpu and not args.address:
        # one process keeps a GPU busy, and several would each hold the model on it
        return nullcontext(None)
    gpus = args.gpus_each
    if gpus is None:
        gpus = gpu_share if backbone.device.type == "cuda" else 0.0
    if args.engine == "ray" and backbone.device.type == "mps":
        raise EngineError("Ray's workers cannot share this computer's GPU. Use --device cpu.")
    return open_engine(
        args.engine,
        address=args.address,
        workers=args.workers,
        need=Need(args.cpus_each, gpus),
    )


def stream_of(args: argparse.Namespace, backbone: Backbone) -> AbstractContextManager[Stream]:
    """The engine asked for, to encode pictures with: this process alone for a GPU.

    Raises:
        EngineError: it cannot be had.
    """
    engine = engine_of(args, backbone, gpu_share=1.0)
    return ThisProcess() if isinstance(engine, nullcontext) else engine  # type: ignore[return-value]


def opener(args: argparse.Namespace, backbone: Backbone) -> OpenBackbone:
    """Opens in a worker what this process has open: a name and a kind of device."""
    return partial(open_in_worker, backbone.name, backbone.device.type)


def open_in_worker(name: str, device: str) -> Backbone:
    """A worker's one backbone; its memory is kept as this process keeps its own."""
    keep_freed_memory()
    return shared_backbone(name, device)
