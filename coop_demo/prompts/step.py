"""One training step of a prompt: forward, backward, update; on a GPU as one captured graph.

Two ways round too many classes. In blocks, with exactly the same gradient: the loss needs only the
class weights, so these are computed first, block by block, keeping nothing else; then the loss and
its gradient by class weight; then each block again, handing its part of that gradient on to the
context. Or sampled, an approximation: a step sees its batch's own classes and some others (POMP,
Ren et al., NeurIPS 2023, arXiv 2304.04704).

A step of a prompt is a few hundred small kernels whose launches cost more than their arithmetic.
On CUDA the whole step is therefore captured once as a CUDA graph and replayed: Python takes part
only in choosing the batch. Nothing in it waits for the GPU; the loss stays there until it is read.
Elsewhere, and where capturing fails, the same step runs eagerly.

V views, N training images, C classes, B batch, K sampled classes, d joint width.
"""

import contextlib
import logging
import math
import threading
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone, mixed_precision
from coop_demo.prompts.learner import EVERY_CLASS, PromptLearner
from coop_demo.settings import on_zero_gpu

# KgCoOp's λ balances cross-entropy at a trained CLIP's logit scale, and cross-entropy's gradient
# grows with that scale; a model with another one gets λ in proportion.
_CLIP_SCALE = 100.0
_WARM_UP = 3  # eager steps before capture: cuBLAS and autograd allocate what they keep
_capturing = threading.Lock()  # two trainings that start at once capture one after the other


class TrainStep:
    """Calls make one step: batch indices and learning rate in, loss out.

    Args:
        learner: its context is updated in place.
        features: (V, N, d) unit features on the learner's device.
        labels: (N,) class numbers there.
        hand_crafted: (C, d) class weights there, which KgCoOp's term pulls towards.
        batch_size: B, the same for every step.
        optimizer: `sgd` or `adamw`.
        kgcoop_weight: λ of KgCoOp's λ · mean ‖learned − hand-crafted‖² (the paper's equation 5;
            the authors' code writes 1 − cosine, half of it), for a logit scale of 100: with
            another it is scaled in proportion. None or 0 leaves the term out.
        classes_at_once: a step goes through more classes than this in blocks of this many.
        sampled_classes: K, at least 2: a step's negatives are these many sampled classes. None or
            0: all classes.
        capture: False runs eagerly on CUDA too.
    """

    def __init__(
        self,
        backbone: Backbone,
        learner: PromptLearner,
        features: Tensor,
        labels: Tensor,
        hand_crafted: Tensor,
        *,
        batch_size: int,
        optimizer: str,
        weight_decay: float,
        kgcoop_weight: float | None,
        classes_at_once: int | None = None,
        sampled_classes: int | None = None,
        capture: bool = True,
    ) -> None:
        self._backbone, self._learner = backbone, learner
        self._features, self._labels = features, labels
        self._hand_crafted, self._kgcoop_weight = hand_crafted, kgcoop_weight
        device = features.device
        self._view = torch.zeros(batch_size, dtype=torch.long, device=device)  # (B,)
        self._rows = torch.zeros(batch_size, dtype=torch.long, device=device)  # (B,)
        n_classes = len(hand_crafted)
        self._negatives = None  # (K,)
        if sampled_classes:
            self._negatives = torch.arange(min(sampled_classes, n_classes), device=device)
        size = min(classes_at_once or n_classes, n_classes)
        self._blocks = [slice(first, first + size) for first in range(0, n_classes, size)]
        on_cuda = device.type == "cuda"
        scaling = on_cuda and mixed_precision() == torch.float16
        # fp16 gradients need scaling, whose step asks the GPU whether they are finite
        self._scaler = torch.amp.GradScaler(device.type, enabled=scaling)  # type: ignore[attr-defined]
        wanted = capture and on_cuda and not scaling and not on_zero_gpu()
        self._lr = torch.zeros((), device=device) if wanted else None
        self._optimizer = _optimizer(learner.ctx, optimizer, weight_decay, self._lr)
        self._replay: Callable[[], None] | None = None
        self._replay_weights: Callable[[], None] | None = None
        self._weights: Tensor | None = None  # (C, d), what replaying them fills
        self._loss = torch.zeros((), device=device)
        if wanted:
            self._capture()

    @property
    def captured(self) -> bool:
        """Whether steps are replayed: then only reading a loss waits for the GPU."""
        return self._replay is not None

    def __call__(
        self,
        view: Tensor,
        rows: Tensor,
        learning_rate: float | Tensor,
        negatives: Tensor | None = None,
    ) -> Tensor:
        """Make a step. Shape: view and rows (B,); returns the loss before it, a 0-d tensor.

        Args:
            negatives: (K,) different class numbers, where classes are sampled.

        The returned tensor is overwritten by the next step.
        """
        if self._negatives is not None and negatives is not None:
            self._negatives.copy_(negatives, non_blocking=True)
        if self._replay is not None and self._lr is not None:
            self._view.copy_(view, non_blocking=True)
            self._rows.copy_(rows, non_blocking=True)
            if isinstance(learning_rate, Tensor):
                self._lr.copy_(learning_rate, non_blocking=True)
            else:
                self._lr.fill_(learning_rate)
            self._replay()
            return self._loss
        self._set_learning_rate(float(learning_rate))
        loss = self._gradient(view, rows)
        if torch.isfinite(loss):
            self._scaler.step(self._optimizer)
            self._scaler.update()
        return loss

    @property
    def gradient(self) -> Tensor:
        """The context's gradient of the last eager step, shaped as the context."""
        assert self._learner.ctx.grad is not None
        return self._learner.ctx.grad

    def weights(self) -> Tensor:
        """Class weights of the context as it is now, without gradient. -> (C, d).

        The returned tensor may be overwritten by the next call.
        """
        if self._replay_weights is not None and self._weights is not None:
            self._replay_weights()
            return self._weights
        return self._all_weights()

    def optimizer_state(self) -> dict[str, Tensor]:
        """A copy on the CPU of what the optimizer remembers, by its own names."""
        remembered = self._optimizer.state.get(self._learner.ctx, {})
        return {
            name: value.detach().cpu().clone()
            for name, value in remembered.items()
            if isinstance(value, Tensor)
        }

    def go_on_from(self, ctx: Tensor, remembered: Mapping[str, Tensor]) -> None:
        """Make the context and what the optimizer remembers those of an earlier training."""
        parameter = self._learner.ctx
        with torch.no_grad():
            parameter.copy_(ctx)
            state = self._optimizer.state[parameter]
            for name, value in remembered.items():
                if isinstance(state.get(name), Tensor):  # a captured step reads this very tensor
                    state[name].copy_(value)
                else:
                    device = "cpu" if name == "step" else parameter.device
                    state[name] = value.to(device, copy=True)

    def loss(self, view: Tensor, rows: Tensor) -> Tensor:
        """The loss over all classes at once, with its graph. Shape: view and rows (B,) -> ()."""
        with torch.enable_grad(), self._backbone.autocast():
            return self._loss_of(self._learner(), view, rows)

    def _gradient(self, view: Tensor, rows: Tensor) -> Tensor:
        """Leave the context's gradient, scaled in fp16, in its `grad`; the loss, 0-d, detached."""
        self._optimizer.zero_grad(set_to_none=True)
        if self._negatives is not None:
            with torch.enable_grad(), self._backbone.autocast():
                loss = self._sampled_loss(view, rows, self._negatives)
            self._scaler.scale(loss).backward()
        elif len(self._blocks) == 1:
            loss = self.loss(view, rows)
            self._scaler.scale(loss).backward()
        else:
            weights = self._all_weights().requires_grad_()
            with torch.enable_grad(), self._backbone.autocast():
                loss = self._loss_of(weights, view, rows)
            (by_weight,) = torch.autograd.grad(self._scaler.scale(loss), weights)  # (C, d)
            for block in self._blocks:
                with torch.enable_grad(), self._backbone.autocast():
                    part = self._learner(block)
                part.backward(by_weight[block])
        return loss.detach()

    def _all_weights(self) -> Tensor:
        """(C, d), without gradient."""
        with torch.no_grad(), self._backbone.autocast():
            parts = [self._learner(block) for block in self._blocks]
            return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _loss_of(self, weights: Tensor, view: Tensor, rows: Tensor) -> Tensor:
        """Cross-entropy over `logit_scale · cos(image, prompt)`, with KgCoOp's term if asked."""
        batch = self._features[view, rows]  # (B, d)
        logits = self._backbone.logit_scale * batch @ weights.T  # (B, C)
        return F.cross_entropy(logits.float(), self._labels[rows]) + self._pull(weights)

    def _sampled_loss(self, view: Tensor, rows: Tensor, negatives: Tensor) -> Tensor:
        """POMP's loss: each picture's own class against the sampled ones, which stand for all.

        A sampled class counts (C − 1) / (number of sampled classes that are not the picture's
        own) times, so that the sum over negatives is right on average ("local correction").
        """
        B, C, scale = len(rows), len(self._hand_crafted), self._backbone.logit_scale
        own = self._labels[rows]  # (B,)
        weights = self._learner(torch.cat([own, negatives]))  # (B + K, d)
        batch = self._features[view, rows]  # (B, d)
        is_own = own[:, None] == negatives  # (B, K)
        stands_for = math.log(C - 1) - (~is_own).sum(dim=1, keepdim=True).log()  # (B, 1)
        positive = scale * (batch * weights[:B]).sum(dim=1, keepdim=True)  # (B, 1)
        negative = scale * batch @ weights[B:].T  # (B, K)
        negative = (negative.float() + stands_for).masked_fill(is_own, float("-inf"))
        logits = torch.cat([positive.float(), negative], dim=1)  # (B, 1 + K)
        loss = F.cross_entropy(logits, torch.zeros_like(own))
        return loss + self._pull(weights[B:], negatives)

    def _pull(self, weights: Tensor, classes: Tensor | slice = EVERY_CLASS) -> Tensor | float:
        """KgCoOp's term over the class weights of these classes."""
        if not self._kgcoop_weight:
            return 0.0
        pull = (weights - self._hand_crafted[classes]).square().sum(dim=-1).mean()
        return self._kgcoop_weight * self._backbone.logit_scale / _CLIP_SCALE * pull

    def _set_learning_rate(self, value: float) -> None:
        for group in self._optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    def _capture(self) -> None:
        """Record the step as a graph; what the warm-up changed is put back."""
        ctx = self._learner.ctx
        before = ctx.detach().clone()
        device = ctx.device

        def step() -> None:
            loss = self._gradient(self._view, self._rows)
            self._optimizer.step()
            self._loss.copy_(loss)

        def put_back() -> None:
            with torch.no_grad():
                ctx.copy_(before)
                for state in self._optimizer.state.values():
                    for value in state.values():
                        if isinstance(value, Tensor):
                            value.zero_()

        with _capturing:
            try:
                with torch.cuda.device(device):
                    stream = torch.cuda.Stream()
                    stream.wait_stream(torch.cuda.current_stream())
                    with torch.cuda.stream(stream):
                        for _ in range(_WARM_UP):
                            step()
                    torch.cuda.current_stream().wait_stream(stream)
                    put_back()
                    self._optimizer.zero_grad(set_to_none=True)
                    graph = torch.cuda.CUDAGraph()
                    # thread_local: other people's work on other threads may allocate meanwhile
                    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                        step()
                    measuring = torch.cuda.CUDAGraph()
                    with torch.cuda.graph(
                        measuring, pool=graph.pool(), capture_error_mode="thread_local"
                    ):
                        self._weights = self._all_weights()
                    self._replay, self._replay_weights = graph.replay, measuring.replay
            except RuntimeError as error:
                logging.getLogger(__name__).warning("training steps are not captured: %s", error)
                self._replay = self._replay_weights = None
                with contextlib.suppress(RuntimeError):
                    torch.cuda.synchronize(device)
            put_back()


def _optimizer(
    ctx: Tensor, name: str, weight_decay: float, learning_rate: Tensor | None
) -> torch.optim.Optimizer:
    """The optimizer of the context; with a learning rate on the GPU, one that can be captured."""
    if learning_rate is None:
        if name == "sgd":
            return torch.optim.SGD([ctx], lr=0.0, momentum=0.9, weight_decay=weight_decay)
        return torch.optim.AdamW([ctx], lr=0.0, weight_decay=weight_decay)
    if name == "sgd":
        return torch.optim.SGD(
            [ctx], lr=learning_rate, momentum=0.9, weight_decay=weight_decay, fused=True
        )
    return torch.optim.AdamW(
        [ctx], lr=learning_rate, weight_decay=weight_decay, capturable=True, fused=True
    )
