"""One training step of a prompt: forward, backward, update; on a GPU as one captured graph.

A step of a prompt is a few hundred small kernels whose launches cost more than their arithmetic.
On CUDA the whole step is therefore captured once as a CUDA graph and replayed: Python takes part
only in choosing the batch. Nothing in it waits for the GPU; the loss stays there until it is read.
Elsewhere, and where capturing fails, the same step runs eagerly.

V views, N training images, C classes, B batch, d joint width.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone, mixed_precision
from coop_demo.prompts.learner import PromptLearner
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
        capture: bool = True,
    ) -> None:
        self._backbone, self._learner = backbone, learner
        self._features, self._labels = features, labels
        self._hand_crafted, self._kgcoop_weight = hand_crafted, kgcoop_weight
        device = features.device
        self._view = torch.zeros(batch_size, dtype=torch.long, device=device)  # (B,)
        self._rows = torch.zeros(batch_size, dtype=torch.long, device=device)  # (B,)
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

    def __call__(self, view: Tensor, rows: Tensor, learning_rate: float | Tensor) -> Tensor:
        """Make a step. Shape: view and rows (B,); returns the loss before it, a 0-d tensor.

        The returned tensor is overwritten by the next step.
        """
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
        loss = self.loss(view, rows)
        value = loss.detach()
        if torch.isfinite(value):
            self._update(loss)
        return value

    def weights(self) -> Tensor:
        """Class weights of the context as it is now, without gradient. -> (C, d).

        The returned tensor may be overwritten by the next call.
        """
        if self._replay_weights is not None and self._weights is not None:
            self._replay_weights()
            return self._weights
        with torch.no_grad(), self._backbone.autocast():
            return self._learner()

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
        """Cross-entropy over `logit_scale · cos(image, prompt)`, with KgCoOp's term if asked."""
        with torch.enable_grad(), self._backbone.autocast():
            weights = self._learner()  # (C, d)
            batch = self._features[view, rows]  # (B, d)
            logits = self._backbone.logit_scale * batch @ weights.T  # (B, C)
            loss = F.cross_entropy(logits.float(), self._labels[rows])
            if self._kgcoop_weight:
                pull = (weights - self._hand_crafted).square().sum(dim=-1).mean()
                weight = self._kgcoop_weight * self._backbone.logit_scale / _CLIP_SCALE
                loss = loss + weight * pull
        return loss

    def _update(self, loss: Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()

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
            loss = self.loss(self._view, self._rows)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            self._loss.copy_(loss.detach())

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
                    with (
                        torch.cuda.graph(
                            measuring, pool=graph.pool(), capture_error_mode="thread_local"
                        ),
                        torch.no_grad(),
                        self._backbone.autocast(),
                    ):
                        self._weights = self._learner()
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
