"""The rivals do what their papers say, on the same features as everyone else."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from tiny import tiny_backbone

from coop_demo.errors import RankingError
from coop_demo.ranking.baselines import antonym_scores, cosine_scores, fit_ridge
from coop_demo.ranking.instructions import AntonymPair
from coop_demo.ranking.metrics import srcc

PAIR = AntonymPair("a bright photo.", "a dark photo.")


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


def unit(n, d=24, seed=0):
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(x, dim=-1)


def test_cosine_is_the_cosine(backbone):
    features = unit(5)
    text = backbone.text_features(["Rank the brightness."])
    expected = torch.nn.functional.cosine_similarity(features, text)
    scores = cosine_scores(backbone, features, "Rank the  brightness.")
    torch.testing.assert_close(scores.float(), expected)


def test_antonyms_are_the_softmax_of_the_pair(backbone):
    features = unit(5)
    text = backbone.text_features([PAIR.high, PAIR.low])
    expected = (backbone.logit_scale * features @ text.T).softmax(dim=-1)[:, 0]
    torch.testing.assert_close(antonym_scores(backbone, features, PAIR).float(), expected)
    swapped = antonym_scores(backbone, features, PAIR.swapped())
    torch.testing.assert_close(swapped.float(), 1 - expected)


def test_an_instruction_gets_its_proposed_antonyms(backbone):
    features = unit(5)
    torch.testing.assert_close(
        antonym_scores(backbone, features, "Rank the brightness."),
        antonym_scores(backbone, features, PAIR),
    )


def test_the_picture_nearer_to_the_high_prompt_ranks_first(backbone):
    text = backbone.text_features([PAIR.high, PAIR.low])
    mixes = torch.linspace(0, 1, 7)[:, None]
    features = torch.nn.functional.normalize(mixes * text[0] + (1 - mixes) * text[1], dim=-1)
    assert antonym_scores(backbone, features, PAIR).diff().min() > 0


def test_unusable_questions_are_refused(backbone):
    with pytest.raises(RankingError, match="instruction is empty"):
        cosine_scores(backbone, unit(3), " ")
    with pytest.raises(RankingError, match="model reads 77"):
        antonym_scores(backbone, unit(3), AntonymPair("word " * 500, "a dark photo."))
    with pytest.raises(RankingError, match=r"shape \(3, 12\).*width 24"):
        cosine_scores(backbone, unit(3, d=12), "Rank the brightness.")


@pytest.mark.parametrize(("n", "d"), [(40, 10), (15, 60)])
def test_ridge_equals_scikit_learns_with_the_penalty_of_least_leave_one_out_error(n, d):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) * rng.uniform(0.1, 10, d) + 3
    y = x[:, 0] / x[:, 0].std() + 0.5 * rng.normal(size=n)
    penalties = (0.1, 1.0, 10.0, 100.0, 1000.0)
    z = (x - x.mean(0)) / x.std(0)
    errors = []
    for penalty in penalties:
        left_out = []
        for i in range(n):
            rest = np.arange(n) != i
            model = Ridge(alpha=penalty).fit(z[rest], y[rest])
            left_out.append((model.predict(z[i : i + 1])[0] - y[i]) ** 2)
        errors.append(np.mean(left_out))
    best = penalties[int(np.argmin(errors))]
    ours = fit_ridge(torch.from_numpy(x), torch.from_numpy(y), penalties=penalties)
    assert ours.penalty == best
    expected = Ridge(alpha=best).fit(z, y).predict(z)
    np.testing.assert_allclose(ours.scores(torch.from_numpy(x)).numpy(), expected, rtol=1e-6)


def test_ridge_learns_what_is_linear_beside_a_constant_feature():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(80, 12, generator=generator)
    x[:, 3] = 7.0
    y = 2 * x[:, 0] - x[:, 1]
    ridge = fit_ridge(x[:50], y[:50])
    found = srcc(ridge.scores(x[50:]), y[50:])
    assert found is not None
    assert found > 0.95


def test_ridge_refuses_values_that_are_all_the_same():
    with pytest.raises(RankingError, match="three pictures with different values"):
        fit_ridge(torch.randn(5, 12), torch.ones(5))
