"""How many classes a training step takes at once: as many as memory holds.

What a step keeps for its backward pass grows with the number of classes (some 4 MB each with
ViT-B/16, so 80 GB for 20,000). Above what is free, the step goes through the classes in blocks
(`TrainStep`): a third more arithmetic, the same gradient.
"""

import contextlib
import os

import torch
from torch import Tensor

from coop_demo.prompts.learner import PromptLearner

FEW_CLASSES = 100  # never worth measuring: some 0.4 GB with ViT-B/16
_SHARE = {"cuda": 0.5, "cpu": 0.25}  # of the free memory; a computer's is also other programs'
_WORKING = 1.5  # what backward needs beside what was kept, as a factor
_UNKNOWN_FREE = 4 * 2**30  # bytes, where the system does not say


def classes_at_once(learner: PromptLearner, *, free: int | None = None) -> int:
    """The most classes whose prompts fit into memory with their backward pass; C if all do.

    Args:
        free: bytes that may be assumed free instead of what the device says.
    """
    C = len(learner.class_names)
    if C <= FEW_CLASSES and free is None:
        return C
    device = learner.text_tower.device
    share = _SHARE.get(device.type, 0.25)
    budget = share * (free_memory(device) if free is None else free)
    return max(1, min(C, int(budget / (_WORKING * bytes_a_class(learner)))))


def bytes_a_class(learner: PromptLearner) -> int:
    """What one more class adds to what is kept for the backward pass, measured on a few."""
    most = min(9, len(learner.class_names))
    if most == 1:
        return _kept_bytes(learner, 1)
    return max(1, (_kept_bytes(learner, most) - _kept_bytes(learner, 1)) // (most - 1))


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device now."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        ours = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + ours
    with contextlib.suppress(AttributeError, ValueError, OSError):  # not on every system
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return _UNKNOWN_FREE


def _kept_bytes(learner: PromptLearner, n_classes: int) -> int:
    """Bytes that the prompts of the first classes keep for their backward pass, weights too."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        learner(slice(0, n_classes))
    return sum(kept.values())
