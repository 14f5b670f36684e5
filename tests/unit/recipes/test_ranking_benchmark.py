"""The benchmarks compare like with like and measure what they say."""

import pytest
from images import grey, write_image
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.errors import RankingError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.labels import read_labels_csv
from coop_demo.ranking.ranker import Ranker
from coop_demo.recipes.ranking_benchmark import benchmark_pairs, benchmark_piles, learning_curve

CONFIG = AdapterConfig(dim=24, layers=1, heads=4, n_relational_tokens=4, token_dim=24)


def untaught(backbone) -> Ranker:
    adapter = RankingAdapter.seeded(CONFIG, 0)
    return Ranker(CONFIG, adapter.state_dict(), backbone.identity)


@pytest.fixture
def greys(tmp_path):
    """Forty grey pictures from dark to light, every fourth one to judge on."""
    lines = ["image,value,prompt,split"]
    for i in range(40):
        write_image(grey(6 * i, i, size=(32, 32), grain=10), tmp_path / f"{i}.png")
        lines.append(f"{i}.png,{i},Rank the brightness.,{'val' if i % 4 == 0 else 'train'}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    return tmp_path


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


def test_a_pile_larger_than_the_folder_has_no_picture_twice(greys):
    backbone = tiny_backbone()
    (row,) = benchmark_piles(backbone, untaught(backbone), greys, sizes=(60,))
    assert row.n_pictures == 60
    assert min(row.encoding_seconds, row.cached_seconds) > 0
    assert row.peak_megabytes > 10


def test_a_folder_without_pictures_is_refused(tmp_path):
    backbone = tiny_backbone()
    with pytest.raises(RankingError, match="no picture"):
        next(benchmark_piles(backbone, untaught(backbone), tmp_path))


def test_the_learning_curve_refuses_to_judge_on_what_it_learned(greys):
    backbone = tiny_backbone()
    learn = read_labels_csv(greys / "labels.csv").select(split="train")
    with pytest.raises(RankingError, match="measured on itself"):
        next(learning_curve(backbone, untaught(backbone), learn, learn, "Rank the brightness."))


@pytest.mark.parametrize("option", ["--pictures", "--repeats", "--classes", "--scenes"])
def test_a_number_that_counts_nothing_is_refused_in_one_sentence(capsys, option):
    with pytest.raises(SystemExit):
        main(["benchmark", "pairs", option, "0"])
    assert '"0" is not a whole number of 1 or more' in capsys.readouterr().err


@pytest.mark.slow
def test_the_learning_curve_judges_on_pictures_it_did_not_learn_from(greys):
    backbone = tiny_backbone()
    table = read_labels_csv(greys / "labels.csv")
    learn, judge = table.select(split="train"), table.select(split="val")
    points = list(
        learning_curve(
            backbone,
            untaught(backbone),
            learn,
            judge,
            "Rank the brightness.",
            sizes=(2, 10, 30, 90),
            seeds=(1,),
        )
    )
    assert [(p.n_labelled, p.seed) for p in points] == [(10, 1), (30, 1)]
    assert len({p.before for p in points}) == 1
    assert all(p.ridge is not None and p.ridge > 0.8 for p in points)
    assert points[-1].taught is not None
    assert points[-1].taught > 0.8
