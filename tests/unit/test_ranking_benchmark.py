"""The benchmark compares like with like and measures what it says."""

from coop_demo.ranking.adapter import AdapterConfig
from coop_demo.ranking.benchmark import benchmark_pairs


def test_both_forms_have_one_loss_and_one_gradient():
    # 40² pairs are more than one chunk of the literal form.
    config = AdapterConfig(dim=16, layers=1, heads=4, n_relational_tokens=4)
    rows = list(benchmark_pairs((4, 40), config=config, n_tokens=5, repeats=1))
    assert [row.n_pictures for row in rows] == [4, 40]
    for row in rows:
        assert row.loss > 0.1
        assert row.loss_difference < 1e-5
        assert row.gradient_difference < 1e-3
        assert row.speedup == row.literal_seconds / row.factorised_seconds > 0
