"""What the page says about who won."""

from __future__ import annotations

import pytest
import torch

from coop_demo.comparison.strings import verdict_sentence
from coop_demo.comparison.verdict import compare
from coop_demo.ui import html as page_html
from coop_demo.ui.teach import html as teach_html

TEMPLATE = "a photo of a {}."


def verdict(learned_right: int, words_right: int, n: int):
    """The first so many are right in each, so the disagreements are all on one side."""
    labels = torch.zeros(n, dtype=torch.long)
    learned = (torch.arange(n) >= learned_right).long()
    words = (torch.arange(n) >= words_right).long()
    return compare(learned, words, labels, TEMPLATE)


@pytest.mark.parametrize(
    ("learned", "words", "n", "said"),
    [
        (57, 41, 60, "beats the words"),
        (41, 57, 60, "loses to the words"),
        (42, 40, 60, "so small a difference could be chance"),
        (40, 42, 60, "behind the words; so small a difference could be chance"),
        (40, 40, 60, "the very same pictures"),
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


def test_the_loser_is_shown_in_the_same_size_and_only_a_sure_winner_is_marked() -> None:
    assert "cs-won-by-words" in teach_html.scoreboard(verdict(41, 57, 60), "")
    assert "cs-won-by-learned" in teach_html.scoreboard(verdict(57, 41, 60), "")
    assert "cs-won-by-nobody" in teach_html.scoreboard(verdict(42, 40, 60), "")


def test_what_people_write_is_escaped() -> None:
    nasty = "<img src=x onerror=alert(1)>"
    shares = torch.tensor([0.7, 0.3])
    for piece in (
        teach_html.bars("x", "learned", [nasty, "b"], shares, empty=""),
        page_html.notes([nasty]),
        teach_html.class_table([(nasty, 1, 2)]),
        page_html.facts(nasty, nasty),
        teach_html.progress(nasty, 0.5),
    ):
        assert "<img" not in piece
