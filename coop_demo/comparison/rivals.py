"""Classifiers fitted to image features: class mean, Tip-Adapter, GDA, linear probe.

N training images, C classes, d joint width. Features are (N, d), unit length."""

import time

import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.comparison.methods import METHODS, Classifier, PictureCache
from coop_demo.errors import UserError


def nearest_class_mean(
    features: Tensor, labels: Tensor, n_classes: int, logit_scale: float
) -> Classifier:
    """Each class is the mean of its pictures' features, of length one.

    Shape: features (V, N, d) unit, labels (N,).
    """
    began = time.perf_counter()
    features, labels = _checked(features, labels, n_classes)
    weights = F.normalize(_class_means(features, labels, n_classes), dim=-1)
    return Classifier(
        method="class-mean",
        title=METHODS["class-mean"].title,
        weights=weights,
        scale=logit_scale,
        seconds=time.perf_counter() - began,
    )


#: Tried in the leave-one-out search, where the paper searches α and β on each data set's
#: validation pictures. A vote shrinks with β, so α is tried in shares of what it is measured
#: against: α · (vote of the nearest other picture) / logit scale. From words that hardly listen to
#: the pictures (the paper's α on a real CLIP is 0.003) to pictures that drown the words.
TIP_SHARES = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
TIP_BETAS = (0.3, 0.5, 1.0, 2.0, 3.5, 5.5, 8.0, 12.0, 20.0, 30.0)

#: α, β where nothing can be tuned (one picture a class). The paper's belong to a real CLIP, whose
#: logit scale is 100 and whose words are good; for the built-in model the median of what two to
#: four pictures a class choose on five sets: 67.8 % on average with one picture, 43.5 with those
#: of the paper, and within half a point of the best pair there is.
TIP_PAPER_DEFAULT = (1.0, 5.5)
TIP_DEFAULT = (50.0, 2.0)
_REAL_CLIP_SCALE = 60.0  # between the built-in model's 22 and a trained CLIP's 100


_TIP_MAX_QUERIES = 2000  # training pictures that take part in the search


def tip_adapter(
    features: Tensor, labels: Tensor, zero_shot: Tensor, logit_scale: float
) -> Classifier:
    """Training-free Tip-Adapter (Zhang et al., ECCV 2022, arXiv 2207.09519).

    α and β maximise leave-one-out accuracy on the training pictures: each picture is judged by
    the others' votes, and its own class's votes, of which one is missing, are scaled up by
    n / (n − 1). Pictures that are alone in their class cannot take part.

    Shape: features (V, N, d) unit, labels (N,), zero_shot (C, d) unit. A picture's key is the
    mean of its views, as in the authors' code.
    """
    began = time.perf_counter()
    C = len(zero_shot)
    features, labels = _checked(features, labels, C)
    zero_shot = zero_shot.float().cpu()
    keys = F.normalize(features.mean(dim=0), dim=-1)  # (N, d)
    counts = torch.bincount(labels, minlength=C)  # (C,)
    queries = torch.nonzero(counts[labels] > 1).flatten()
    if len(queries) > _TIP_MAX_QUERIES:  # evenly over the classes, the same every time
        queries = queries[torch.linspace(0, len(queries) - 1, _TIP_MAX_QUERIES).long()]
    alpha, beta = TIP_PAPER_DEFAULT if logit_scale > _REAL_CLIP_SCALE else TIP_DEFAULT
    chosen_by = "default"
    if len(queries):
        search = _Search()
        own = labels[queries]
        cosines = keys[queries] @ keys.T  # (Q, N)
        # the missing own vote is put back as the mean of the class's other votes
        fill = torch.ones(len(queries), C)
        n_own = counts[own].float()
        fill[torch.arange(len(queries)), own] = n_own / (n_own - 1)
        base = logit_scale * keys[queries] @ zero_shot.T  # (Q, C)
        for b in TIP_BETAS:
            votes = torch.exp(-b * (1 - cosines))  # (Q, N)
            votes[torch.arange(len(queries)), queries] = 0
            nearest = float(votes.max(dim=1).values.mean())
            summed = torch.zeros(len(queries), C).index_add_(1, labels, votes) * fill  # (Q, C)
            for share in TIP_SHARES:
                a = float(f"{share * logit_scale / nearest:.3g}")
                search.add((a, b), base + a * summed, own)
        (alpha, beta), chosen_by = search.best(), "leave-one-out"
    return Classifier(
        method="tip-adapter",
        title=METHODS["tip-adapter"].title,
        weights=zero_shot,
        scale=logit_scale,
        cache=PictureCache(keys, labels, alpha, beta),
        seconds=time.perf_counter() - began,
        settings={"alpha": alpha, "beta": beta, "chosen_by": chosen_by},
    )


GDA_ALPHAS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


GDA_DEFAULT_ALPHA = 0.1  # one picture a class: the median of what two to four pictures choose


def gda(features: Tensor, labels: Tensor, zero_shot: Tensor, logit_scale: float) -> Classifier:
    """Gaussian discriminant analysis plus zero-shot logits (Wang et al., ICLR 2024).

    Every class is a Gaussian around its mean, all share one covariance Σ, whose inverse is the
    empirical-Bayes ridge estimate d · ((n − 1) Σ̂ + tr(Σ̂) I)⁻¹ of the paper's equation 6
    (arXiv 2402.04087). Logits are zero-shot + α · (μᵀΣ⁻¹x − ½ μᵀΣ⁻¹μ); α maximises
    cross-validated accuracy on the training pictures (the paper searches it on a validation
    part, which a handful of pictures does not have).

    With one view of one picture a class there is no spread inside the classes; then the
    spread of all pictures, the same in every direction, stands for it.

    Shape: features (V, N, d) unit, labels (N,), zero_shot (C, d) unit.
    """
    began = time.perf_counter()
    C = len(zero_shot)
    features, labels = _checked(features, labels, C)
    zero_shot = zero_shot.float().cpu()
    alpha, chosen_by = GDA_DEFAULT_ALPHA, "default"
    search = _Search()
    for kept, held in _folds(labels):
        weights, bias = _gaussians(features[:, kept], labels[kept], C)
        judged = F.normalize(features[:, held].mean(dim=0), dim=-1)
        base = logit_scale * judged @ zero_shot.T
        log_likelihood = judged @ weights.T + bias
        for a in GDA_ALPHAS:
            search.add(a, base + a * log_likelihood, labels[held])
    if search:
        alpha, chosen_by = search.best(), "cross-validation"
    weights, bias = _gaussians(features, labels, C)
    return Classifier(
        method="gda",
        title=METHODS["gda"].title,
        weights=logit_scale * zero_shot + alpha * weights,
        scale=1.0,
        bias=alpha * bias,
        seconds=time.perf_counter() - began,
        settings={"alpha": alpha, "chosen_by": chosen_by},
    )


PROBE_CS = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0, 100000.0)  # flat beyond: classes are told apart


PROBE_DEFAULT_C = 100.0  # features have length one, so the weights must be large


_PROBE_FULL_SEARCH = 200_000  # N · C above which one fold is searched instead of all


def linear_probe(features: Tensor, labels: Tensor, n_classes: int) -> Classifier:
    """Multinomial logistic regression with an L2 penalty, as in CLIP's own evaluation.

    Minimises C · Σ cross-entropy + ½‖W‖² (the intercept is free), scikit-learn's form, by
    L-BFGS; the inverse penalty C is chosen by cross-validation on the training pictures. A
    picture's views share its weight of one.

    Shape: features (V, N, d) unit, labels (N,).
    """
    began = time.perf_counter()
    features, labels = _checked(features, labels, n_classes)
    strength, chosen_by = PROBE_DEFAULT_C, "default"
    folds = _folds(labels)
    if len(labels) * n_classes > _PROBE_FULL_SEARCH:
        folds = folds[:1]
    search = _Search()
    for kept, held in folds:
        judged = F.normalize(features[:, held].mean(dim=0), dim=-1)
        start = None
        for c in PROBE_CS:  # from strong penalty to weak, each starting where the last ended
            start = fit_logistic(
                features[:, kept], labels[kept], n_classes, c, start=start, max_iterations=30
            )
            search.add(c, judged @ start[0].T + start[1], labels[held])
    if search:
        strength, chosen_by = search.best(), "cross-validation"
    weights, bias = fit_logistic(features, labels, n_classes, strength)
    return Classifier(
        method="linear-probe",
        title=METHODS["linear-probe"].title,
        weights=weights,
        scale=1.0,
        bias=bias,
        seconds=time.perf_counter() - began,
        settings={"C": strength, "chosen_by": chosen_by},
    )


def fit_logistic(
    features: Tensor,
    labels: Tensor,
    n_classes: int,
    strength: float,
    *,
    start: tuple[Tensor, Tensor] | None = None,
    max_iterations: int = 200,
) -> tuple[Tensor, Tensor]:
    """Minimise `strength` · Σ cross-entropy + ½‖W‖². Shape: (V, N, d) -> (C, d), (C,)."""
    V, N, d = features.shape
    x = features.reshape(V * N, d)
    y = labels.repeat(V)
    if start is None:
        weights, bias = torch.zeros(n_classes, d), torch.zeros(n_classes)
    else:
        weights, bias = start[0].clone(), start[1].clone()
    weights.requires_grad_()
    bias.requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights, bias],
        max_iter=max_iterations,
        tolerance_grad=1e-6,
        tolerance_change=1e-9,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            # divided by strength · N, which moves no minimum and keeps the gradients near one
            value = F.cross_entropy(x @ weights.T + bias, y)
            value = value + weights.square().sum() / (2 * strength * N)
            value.backward()
        return value

    optimizer.step(loss)  # type: ignore[arg-type]
    return weights.detach(), bias.detach()


def fit(
    method: str, features: Tensor, labels: Tensor, zero_shot: Tensor, logit_scale: float
) -> Classifier:
    """Fit one of the methods that need pictures and no text tower.

    Shape: features (V, N, d) unit, labels (N,), zero_shot (C, d) unit hand-crafted weights.

    Raises:
        UserError: there is no such method here, or a class has no picture.
    """
    C = len(zero_shot)
    if method == "class-mean":
        return nearest_class_mean(features, labels, C, logit_scale)
    if method == "tip-adapter":
        return tip_adapter(features, labels, zero_shot, logit_scale)
    if method == "gda":
        return gda(features, labels, zero_shot, logit_scale)
    if method == "linear-probe":
        return linear_probe(features, labels, C)
    raise UserError(
        f'"{method}" is not fitted to pictures alone. Choose from class-mean, tip-adapter, gda, '
        "linear-probe."
    )


class _Search:
    """Sums up how well each setting did on held-out training pictures."""

    def __init__(self) -> None:
        self._correct: dict = {}
        self._loss: dict = {}

    def __bool__(self) -> bool:
        return bool(self._correct)

    def add(self, setting, logits: Tensor, labels: Tensor) -> None:
        correct = int((logits.argmax(dim=-1) == labels).sum())
        loss = float(F.cross_entropy(logits, labels, reduction="sum"))
        self._correct[setting] = self._correct.get(setting, 0) + correct
        self._loss[setting] = self._loss.get(setting, 0.0) + loss

    def best(self):
        """The most accurate setting; of equally accurate ones the one with the lower loss."""
        return max(self._correct, key=lambda s: (self._correct[s], -self._loss[s]))


def _checked(features: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    if features.ndim != 3 or features.shape[1] != len(labels):
        raise UserError(
            f"The features have shape {tuple(features.shape)}; (views, {len(labels)} pictures, "
            "width) is needed."
        )
    labels = labels.long().cpu()
    counts = torch.bincount(labels, minlength=n_classes)
    if (counts == 0).any() or len(counts) > n_classes:
        number = int((counts == 0).nonzero()[0]) + 1 if (counts == 0).any() else len(counts)
        raise UserError(
            f"Class {number} has no picture to learn from. Add pictures or remove the class."
        )
    return features.float().cpu(), labels


def _class_means(features: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Mean over views and pictures of each class. Shape: (V, N, d) -> (C, d)."""
    V, _, d = features.shape
    sums = torch.zeros(n_classes, d).index_add_(0, labels, features.sum(dim=0))
    return sums / (V * torch.bincount(labels, minlength=n_classes)[:, None])


def _gaussians(features: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Weights and bias of the shared-covariance Gaussians. Shape: (V, N, d) -> (C, d), (C,)."""
    V, N, d = features.shape
    means = _class_means(features, labels, n_classes).double()  # (C, d)
    centred = (features.double() - means[labels]).reshape(V * N, d)
    n = V * N
    scatter = centred.T @ centred  # (d, d) = (n − 1) Σ̂: the class means leave it centred
    trace = scatter.trace() / max(1, n - 1)
    if trace <= 1e-12:  # one picture a class, seen once
        spread = features.double().reshape(n, d)
        trace = (spread - spread.mean(dim=0)).square().sum() / max(1, n - 1)
        trace = trace if trace > 1e-12 else torch.ones((), dtype=torch.double)
        scatter = (n - 1) * trace / d * torch.eye(d, dtype=torch.double)
    precision_means = d * torch.linalg.solve(
        scatter + trace * torch.eye(d, dtype=torch.double), means.T
    )  # (d, C)
    bias = -0.5 * (means * precision_means.T).sum(dim=-1)  # (C,)
    return precision_means.T.float(), bias.float()


def _folds(labels: Tensor, n_folds: int = 5) -> list[tuple[Tensor, Tensor]]:
    """(kept, held) picture numbers; every class keeps a picture in every fold.

    Up to five folds, fewer where the classes have fewer pictures; none where every class has one.
    """
    counts = torch.bincount(labels)
    n_folds = min(n_folds, int(counts.max()))
    if n_folds < 2:
        return []
    order = torch.argsort(labels, stable=True)
    starts = torch.cumsum(counts, 0) - counts
    rank = torch.empty_like(labels)
    rank[order] = torch.arange(len(labels)) - starts[labels[order]]  # position inside the class
    folds = []
    for fold in range(n_folds):
        held = (rank % n_folds == fold) & (counts[labels] > 1)
        if held.any():
            folds.append((torch.nonzero(~held).flatten(), torch.nonzero(held).flatten()))
    return folds
