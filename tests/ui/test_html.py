"""What the page writes: nobody's words become markup, and a loser is shown as a winner is."""

from __future__ import annotations

import torch
from comparing import verdict

from coop_demo.ui import html as page_html
from coop_demo.ui.teach import html as teach_html


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
        page_html.progress(nasty, 0.5),
    ):
        assert "<img" not in piece
