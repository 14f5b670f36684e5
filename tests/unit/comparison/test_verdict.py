"""Who won is said only where it could not be chance."""

from __future__ import annotations

import pytest
import torch
from comparing import TEMPLATE, verdict

from coop_demo.comparison.statistics import mcnemar
from coop_demo.comparison.verdict import Outcome, against_best, compare
from coop_demo.languages.english.comparison import paired_sentence, verdict_sentence


@pytest.mark.parametrize(
    ("learned", "words", "n", "said"),
    [
        (57, 41, 60, "beats the words"),
        (41, 57, 60, "loses to the words"),
        (42, 40, 60, "a difference this small could be chance"),
        (40, 42, 60, "behind, but a difference this small could be chance"),
        (40, 40, 60, "exactly the same pictures"),
    ],
)
def test_the_sentence_says_who_won_or_that_nobody_did(learned, words, n, said) -> None:
    sentence = verdict_sentence(verdict(learned, words, n))
    assert f"right on {learned} of {n} held-out pictures" in sentence
    assert f"“{TEMPLATE}” on {words}" in sentence
    assert said in sentence


def test_a_tie_with_disagreements_has_no_winner() -> None:
    labels = torch.zeros(4, dtype=torch.long)
    tie = compare(torch.tensor([0, 0, 1, 1]), torch.tensor([1, 1, 0, 0]), labels, TEMPLATE)
    assert "Neither is better" in verdict_sentence(tie)


def test_the_sentence_says_who_is_better_and_whether_it_could_be_chance():
    yes, no = torch.ones(20, dtype=torch.bool), torch.zeros(20, dtype=torch.bool)
    assert paired_sentence(mcnemar(yes, no), "A", "B").startswith("A is better")
    assert paired_sentence(mcnemar(no, yes), "A", "B").startswith("B is better")
    assert "could be chance" in paired_sentence(mcnemar(yes[:2], no[:2]), "A", "B")


def test_the_best_of_several_rivals_is_judged_with_a_corrected_p_value():
    right = torch.tensor([True] * 8 + [False] * 12)
    worse = torch.zeros(20, dtype=torch.bool)
    alone = against_best(right, {"a": worse}, most_right="a")
    one_of_four = against_best(right, dict.fromkeys("abcd", worse), most_right="a")
    assert alone.p_value == pytest.approx(2 * 0.5**8)
    assert one_of_four.p_value == pytest.approx(4 * 2 * 0.5**8)
    assert alone.outcome is one_of_four.outcome is Outcome.BETTER
    assert against_best(right[:6], dict.fromkeys("abcd", worse[:6]), most_right="a").outcome is (
        Outcome.AHEAD
    )
    said = paired_sentence(one_of_four.test, "A", "B", rival=one_of_four)
    assert "corrected for 4 rivals" in said
