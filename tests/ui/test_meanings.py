"""Technical words are explained where they stand, once in a text, and names stay text."""

from __future__ import annotations

import re

import pytest

from coop_demo.languages import OTHERS, speaking, strings_of
from coop_demo.ui import html as page_html
from coop_demo.ui.meanings import explained

PLAIN = re.compile(r"<[^>]+>")


def test_a_word_is_explained_where_it_stands_first() -> None:
    shown = explained("Held-out pictures test it; held-out ones are never learned from.")
    assert shown.count("<span") == 1
    assert shown.startswith('<span role="button" tabindex="0" class="cs-term" data-meaning="Pict')
    assert PLAIN.sub("", shown) == (
        "Held-out pictures test it; held-out ones are never learned from."
    )


def test_markup_of_strangers_stays_text() -> None:
    shown = explained('<b>"seed"</b> & shots')
    assert "<b>" not in shown
    assert "&lt;b&gt;" in shown
    assert shown.count("<span") == 2


def test_each_language_explains_its_own_words() -> None:
    with speaking("de"):
        assert "beiseite bleiben" in explained("Zurückgehaltene Bilder")
        assert explained("Held-out pictures") == "Held-out pictures"


@pytest.mark.parametrize("language", ["en", *OTHERS])
@pytest.mark.parametrize("key", list(strings_of("en", "words").MEANINGS))
def test_every_word_finds_its_own_meaning(language: str, key: str) -> None:
    """No word is hidden behind another one's pattern."""
    pattern, meaning = strings_of(language, "words").MEANINGS[key]
    word = EXAMPLES[language][key]
    assert re.fullmatch(pattern, word)
    with speaking(language):
        assert f'data-meaning="{meaning.split(".")[0][:20]}' in page_html.hint(f"x {word} x")


EXAMPLES = {
    "en": {
        "held-out": "held-out",
        "accuracy": "accuracy",
        "loss": "loss",
        "prompt": "prompts",
        "context": "context vectors",
        "vector": "vector",
        "shots": "shots",
        "seed": "seed",
        "interval": "95 % interval",
        "chance": "p = 0.012",
        "mcnemar": "McNemar",
        "deviation": "standard deviation",
        "calibration": "calibration error",
        "temperature": "temperature",
        "kgcoop": "KgCoOp",
        "harmonic": "harmonic mean",
        "ranker": "ranker",
        "antonyms": "antonym pair",
        "cosine": "cosine",
        "srcc": "SRCC",
        "plcc": "PLCC",
        "kendall": "Kendall’s τ",
        "pairs": "Pairs in order",
        "logit": "logit",
        "attention": "Cross-attention",
        "probability": "probability",
        "area": "Area",
        "patches": "patches",
        "backbone": "backbone",
    },
    "de": {
        "held-out": "zurückgehaltenen",
        "accuracy": "Trefferquote",
        "loss": "Fehler (Loss)",
        "prompt": "Prompts",
        "context": "Kontextvektoren",
        "vector": "Vektor",
        "shots": "Shots",
        "seed": "Startwert",
        "interval": "95‑%‑Intervall",
        "chance": "p = 0,012",
        "mcnemar": "McNemar",
        "deviation": "Standardabweichung",
        "calibration": "Kalibrierungsfehler",
        "temperature": "Temperatur",
        "kgcoop": "KgCoOp",
        "harmonic": "harmonisches Mittel",
        "ranker": "Ranker",
        "antonyms": "Gegensatzpaar",
        "cosine": "Kosinus",
        "srcc": "Rangkorrelation",
        "plcc": "PLCC",
        "kendall": "Kendalls τ",
        "pairs": "Paare richtig",
        "logit": "Logit",
        "attention": "Aufmerksamkeit",
        "probability": "Wahrscheinlichkeit",
        "area": "Fläche",
        "patches": "Teilen des Bildes",
        "backbone": "ImageNet-Merkmale",
    },
}
