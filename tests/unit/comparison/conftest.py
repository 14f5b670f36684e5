"""One comparison of made images, for every part that looks closer at it."""

from __future__ import annotations

import pytest
from comparing import FAST, last, made_set
from tiny import tiny_backbone

from coop_demo.comparison.compare import compare


@pytest.fixture(scope="session")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    return made_set(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="session")
def comparison(backbone, dataset):
    return last(compare(backbone, dataset, **FAST))
