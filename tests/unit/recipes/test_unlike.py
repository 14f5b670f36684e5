"""The measure of the measure."""

import pytest
import torch

from coop_demo.recipes.unlike import auroc


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    own, others = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([2.0, 0.0])
    # 3 beats both, 1 beats one, 2 beats one and ties with one: 2 + 1 + 1.5 of 6
    assert auroc(own, others) == pytest.approx(4.5 / 6)
    assert auroc(own + 10, others) == 1
    assert auroc(own - 10, others) == 0
