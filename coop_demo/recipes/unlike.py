"""How well a picture of no class is told from one of the classes, by several scores.

    python -m coop_demo.recipes.unlike                          # the sample sets among themselves
    python -m coop_demo.recipes.unlike --data ROOT --sets clothing10 grocery20 --others ROOT/gallery

A prompt is learned on each set. Its threshold is the 5 % quantile of one half of the held-out
pictures; what is measured is the other half and all pictures of the other sets.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from coop_demo import samples
from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import encode_all
from coop_demo.data.dataset import Dataset, Picture
from coop_demo.data.folders import read_folder
from coop_demo.data.images import list_pictures
from coop_demo.prompts.familiar import RARE, familiar_from
from coop_demo.prompts.teach import Prepared, TeachResult, teach
from coop_demo.runtime import shared_backbone

Score = Callable[[Tensor], Tensor]  # (K, d) features -> (K,), high for pictures of the classes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, metavar="ROOT", help="folder of further sets")
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME", help="sets in it")
    parser.add_argument("--others", nargs="*", type=Path, default=[], help="folders of no class")
    parser.add_argument("--backbone", default="mini")
    parser.add_argument("--shots", type=int, default=16)
    args = parser.parse_args()
    sets = {one.name: samples.read_sample(one.name) for one in samples.sample_sets() if one.teaches}
    sets |= {name: read_folder(args.data / name) for name in args.sets}
    backbone = shared_backbone(args.backbone)
    none = [path for folder in args.others for path in list_pictures(folder)]
    further = encode_all(backbone, [Picture(path.name, path) for path in none]) if none else None
    for line in measure(backbone, sets, further.features[0] if further else None, args.shots):
        print(line)


def measure(
    backbone: Backbone, sets: Mapping[str, Dataset], further: Tensor | None, shots: int
) -> list[str]:
    """Rows of a table: AUROC · % of the set's own · % of the others' called unlike, each set."""
    learned = {name: _learn(backbone, dataset, shots) for name, dataset in sets.items()}
    rows: dict[str, list[str]] = {}
    for name, (prepared, weights) in learned.items():
        held_out = prepared.test_features
        mixed = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(0))
        half = held_out[mixed[: len(mixed) // 2]]
        rest = held_out[mixed[len(mixed) // 2 :]]
        others = [one.test_features for other, (one, _) in learned.items() if other != name]
        strangers = torch.cat([*others, *([] if further is None else [further])])
        for title, score in scores(backbone, prepared, weights, half).items():
            least = score(half).quantile(RARE)
            own, else_ = (float((score(x) < least).float().mean()) for x in (rest, strangers))
            area = auroc(score(held_out), score(strangers))
            rows.setdefault(title, []).append(f"{area:.3f} · {100 * own:.0f} · {100 * else_:.0f}")
    head = f"| AUROC · own % · others % | {' | '.join(learned)} |"
    return [head, *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items())]


def scores(
    backbone: Backbone, prepared: Prepared, weights: Tensor, half: Tensor
) -> dict[str, Score]:
    """What could tell: from probabilities, from the texts, from the pictures, from both."""
    shots, labels = prepared.train_features[0], prepared.train_labels
    familiar = familiar_from(shots, labels, weights, half)
    assert familiar is not None
    scale, means = backbone.logit_scale, familiar.class_means
    return {
        "Largest probability": lambda x: (scale * x @ weights.T).softmax(-1).amax(-1),
        "Energy of the logits": lambda x: torch.logsumexp(scale * x @ weights.T, -1),
        "Cosine with the nearest text": lambda x: (x @ weights.T).amax(-1),
        "Cosine with the nearest shot": lambda x: (x @ shots.T).amax(-1),
        "Cosine with the nearest class mean": lambda x: (x @ means.T).amax(-1),
        "Class mean and text together": lambda x: familiar.scores(x, weights),
    }


def auroc(own: Tensor, others: Tensor) -> float:
    """How often a picture of the set scores above one of the others; ties count half."""
    places = torch.searchsorted(others.sort().values, own)
    ties = torch.searchsorted(others.sort().values, own, right=True) - places
    return float((places + ties / 2).double().mean() / len(others))


def _learn(backbone: Backbone, dataset: Dataset, shots: int) -> tuple[Prepared, Tensor]:
    events: Sequence = list(teach(backbone, dataset, shots=shots))
    prepared = next(one for one in events if isinstance(one, Prepared))
    result = events[-1]
    assert isinstance(result, TeachResult)
    return prepared, result.prompt.class_weights


if __name__ == "__main__":
    main()
