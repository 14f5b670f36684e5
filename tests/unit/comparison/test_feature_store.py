"""Stored features come back as they were, or are encoded anew."""

import torch

from coop_demo.comparison.feature_store import StoredFeatures


def test_stored_features_come_back(tmp_path):
    store = StoredFeatures(tmp_path / "f")
    value = torch.randn(24)
    store.put(("hash", "tiny@1", "pooled", 0), value)
    store.close()
    again = StoredFeatures(tmp_path / "f")
    assert torch.equal(again.get(("hash", "tiny@1", "pooled", 0)), value)
    assert again.get(("hash", "tiny@1", "pooled", 1)) is None
    again.close()


def test_a_damaged_store_is_passed_over(tmp_path):
    store = StoredFeatures(tmp_path / "f")
    store.put(("b",), torch.zeros(24))
    store.close()
    value = torch.randn(24)
    (tmp_path / "f" / "features.sqlite").write_bytes(b"not a database" * 100)
    broken = StoredFeatures(tmp_path / "f")
    broken.put(("a",), value)
    assert torch.equal(broken.get(("a",)), value)
