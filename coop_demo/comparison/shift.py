"""Distribution shift: methods fitted on one data set, measured on another of the same classes."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from coop_demo.backbones.backbone import Backbone
from coop_demo.backbones.features import EncodeEvent, encode_labelled
from coop_demo.comparison.compare import Comparison
from coop_demo.comparison.statistics import Score, score
from coop_demo.data.dataset import Dataset, check_pictures, class_key, class_numbers, select_classes
from coop_demo.errors import UserError
from coop_demo.wording import counted, listed


@dataclass(frozen=True)
class ShiftRow:
    """One method where it learned and on the second set, on the same class names."""

    method: str
    title: str
    here: Score
    there: Score

    @property
    def fall(self) -> float | None:
        """How much accuracy is lost on the way, a fraction; negative where it rises."""
        if self.here.accuracy is None or self.there.accuracy is None:
            return None
        return self.here.accuracy - self.there.accuracy


@dataclass(frozen=True)
class Shift:
    """Methods of a comparison on a second set, among the classes that both sets have."""

    rows: tuple[ShiftRow, ...]
    class_names: tuple[str, ...]  # in both sets
    here_name: str
    there_name: str
    notes: tuple[str, ...]  # classes that only one set has, pictures that were left out


def shift(
    backbone: Backbone, comparison: Comparison, second: Dataset
) -> Iterator[EncodeEvent | Shift]:
    """Measure every method of a comparison on a second set of the same class names.

    Both sets are judged among the classes they share, matched by name whatever the case, so the
    two accuracies can be compared. Of the second set the test pictures count, or all pictures
    where it has no test part (nothing is learned from them). Pictures that were among the shots
    are left out. The last event is the Shift.

    Raises:
        UserError: fewer than two shared classes, or no pictures of them on one side.
    """
    here_names = comparison.class_names
    second_of = class_numbers(second.class_names)
    pairs = [
        (number, second_of[class_key(name)])
        for number, name in enumerate(here_names)
        if class_key(name) in second_of
    ]
    if len(pairs) < 2:
        found = f"only {here_names[pairs[0][0]]}" if pairs else "none"
        raise UserError(
            f"The second set must have the same class names: {found} of "
            f"{listed(here_names)} is among {listed(second.class_names)}. Rename its classes."
        )
    notes = []
    missing = [name for name in here_names if class_key(name) not in second_of]
    if missing:
        notes.append(
            f"The second set has no {listed(missing)}; both sets are judged on the other "
            f"{len(pairs)} classes."
        )
    here_keys = {class_key(name) for name in here_names}
    extra = [name for name in second.class_names if class_key(name) not in here_keys]
    if extra:
        notes.append(f"Only the second set has {listed(extra)}; these are left out.")

    shared = select_classes(second, [there for _, there in pairs])
    shared = check_pictures(shared)
    notes.extend(shared.problems[:3])
    pictures = shared.test or (*shared.train, *shared.val)
    seen = {item.picture.content for item in comparison.prepared.dataset.train}
    fresh = tuple(item for item in pictures if item.picture.content not in seen)
    if len(fresh) < len(pictures):
        lost = counted(len(pictures) - len(fresh), "picture")
        notes.append(f"{lost} of the second set left out: the methods learned from the same.")
    features, labels = yield from encode_labelled(backbone, fresh)
    here_numbers = torch.tensor([here for here, _ in pairs])
    new_number = torch.full((len(here_names),), -1).index_put(
        (here_numbers,), torch.arange(len(pairs))
    )
    here_labels = new_number[comparison.labels]
    here_rows = here_labels >= 0
    for name, n in (
        (shared.name or "the second set", len(labels)),
        ("the first set", int(here_rows.sum())),
    ):
        if n == 0:
            raise UserError(
                f"There are no pictures of the shared classes to judge by in {name}. Add pictures."
            )
    rows = tuple(
        ShiftRow(
            method=result.method,
            title=result.title,
            here=score(
                result.logits[here_rows][:, here_numbers].argmax(-1), here_labels[here_rows]
            ),
            there=score(result.classifier.logits(features)[:, here_numbers].argmax(-1), labels),
        )
        for result in comparison.results
    )
    yield Shift(
        rows=rows,
        class_names=tuple(here_names[here] for here, _ in pairs),
        here_name=comparison.prepared.dataset.name or "this set",
        there_name=second.name or "the second set",
        notes=tuple(notes),
    )
