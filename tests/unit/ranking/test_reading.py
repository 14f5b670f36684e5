"""Other words for what a ranker learned are understood, the least first where they say so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from coop_demo.data.dataset import Picture
from coop_demo.languages.german import rank as german
from coop_demo.ranking.checkpoint import load_ranker, shipped_ranker_path
from coop_demo.ranking.instructions import AntonymPair, propose_antonyms
from coop_demo.ranking.order import COSINE, RANKER, ScoredImages, orders_of, score_images
from coop_demo.ranking.reading import (
    antonyms_for,
    every_first,
    read_instruction,
    read_words,
    reading_sentence,
)
from coop_demo.recipes.ranker.readings import ENGLISH, GERMAN, LEFT_AS_WRITTEN
from coop_demo.runtime import shared_backbone


@pytest.fixture(scope="module")
def ranker():
    path = shipped_ranker_path("mini")
    assert path is not None
    return load_ranker(path)


@pytest.mark.parametrize(("written", "asked", "turned"), [*ENGLISH, *GERMAN])
def test_other_wordings_are_read_as_the_instruction_that_was_learned(
    ranker, written: str, asked: str, turned: bool
):
    found = read_instruction(written, ranker)
    assert (found.asked, found.is_turned) == (asked, turned)
    assert asked in reading_sentence(found)
    assert reading_sentence(found).endswith(" first.") == turned


@pytest.mark.parametrize("written", LEFT_AS_WRITTEN)
def test_what_is_not_understood_as_a_whole_stays_as_it_was_written(ranker, written: str):
    found = read_instruction(written, ranker)
    assert found.asked == written
    assert not reading_sentence(found)


def test_what_was_learned_word_for_word_is_never_read_otherwise(ranker):
    for one in ranker.instructions:
        assert not read_instruction(one.instruction, ranker).differs
    own = replace(ranker.instructions[0], instruction="fewest apples first")
    taught = replace(ranker, instructions=(own,))
    assert not read_instruction("Fewest apples first.", taught).differs


def test_a_ranker_that_never_learned_what_was_understood_is_asked_what_was_written(ranker):
    only = replace(ranker.instructions[0], instruction="Rank the redness.")
    knows_little = replace(ranker, instructions=(only,))
    assert not read_instruction("youngest first", knows_little).differs
    assert not read_instruction("fewest apples first", knows_little).differs


def test_the_sentence_says_what_comes_first(ranker):
    found = read_instruction("fewest apples first", ranker)
    assert reading_sentence(found) == "Read as: “Rank the numbers of apples.”, fewest first."
    found = read_instruction("von jung nach alt", ranker)
    assert reading_sentence(found) == "Read as: “Rank the age of the person.”, youngest first."
    found = read_instruction("Ordne nach Helligkeit.", ranker)
    assert reading_sentence(found) == "Read as: “Rank the brightness.”"


def test_without_a_ranker_words_are_read_for_the_rivals():
    assert antonyms_for("die wenigsten Äpfel zuerst") == AntonymPair(
        "a photo with no apples.", "a photo with many apples."
    )
    assert antonyms_for("von hell nach dunkel") == propose_antonyms("Rank the brightness.")
    assert antonyms_for("Rank the happiness.") == propose_antonyms("Rank the happiness.")
    assert read_words("Rank the happiness.") is None


def test_an_order_asked_for_from_its_other_end_is_turned_round_in_every_way(ranker, tmp_path):
    backbone = shared_backbone("mini", "cpu")
    pictures = []
    for grey in (30, 120, 210):
        path = tmp_path / f"{grey}.png"
        Image.new("RGB", (64, 64), (grey, grey, grey)).save(path)
        pictures.append(Picture(path.name, path))
    instructions = ["Rank the brightness.", "von dunkel nach hell"]
    pairs = [antonyms_for(one) for one in instructions]
    *_, scored = score_images(backbone, pictures, instructions, pairs, ranker)
    assert isinstance(scored, ScoredImages)
    straight, turned = scored.found
    assert np.argmax(straight.scores[RANKER]) == 2
    assert np.argmax(turned.scores[RANKER]) == 0
    for method in straight.scores:
        ways = [np.diff(one.scores[method]) for one in (turned, straight)]
        np.testing.assert_allclose(ways[0], -ways[1], atol=1e-5)
    assert COSINE in straight.scores
    assert straight.pair_logits is not None
    assert turned.pair_logits is not None
    place = {image: at for at, image in enumerate(straight.compared)}
    same = [place[image] for image in turned.compared]
    np.testing.assert_allclose(
        turned.pair_logits, straight.pair_logits[np.ix_(same, same)].T, atol=1e-4
    )
    assert turned.trust is not None
    assert turned.trust.is_learned
    assert not scored.notes, "every word of it was read"


def test_labels_of_what_was_understood_measure_the_order(ranker, tmp_path):
    backbone = shared_backbone("mini", "cpu")
    pictures = []
    for grey in (30, 120, 210):
        path = tmp_path / f"{grey}.png"
        Image.new("RGB", (64, 64), (grey, grey, grey)).save(path)
        pictures.append(Picture(path.name, path))

    def values(kept, instruction):
        known = [30.0, 120.0, 210.0] if instruction == "Rank the brightness." else [np.nan] * 3
        return np.array(known)

    asked = ["Ordne nach Helligkeit.", "von dunkel nach hell", "Rank the beauty."]
    pairs = [antonyms_for(one) for one in asked]
    *_, scored = score_images(backbone, pictures, asked, pairs, ranker)
    assert isinstance(scored, ScoredImages)
    orders, _ = orders_of(scored, pictures, values, backbone="mini", ranker=ranker)
    same, turned, unknown = orders
    assert same.metrics()[RANKER].srcc == pytest.approx(1)
    assert not len(turned.labelled), "brightness is not what comes first there"
    assert not len(unknown.labelled)


def test_the_german_page_can_say_every_reading(ranker):
    assert set(german._FIRST) == set(every_first())
    found = read_instruction("fewest apples first", ranker)
    said = german.reading_sentence(found)
    assert said == "Verstanden als: „Rank the numbers of apples“, die wenigsten zuerst."
    assert not german.reading_sentence(read_instruction("Rank the beauty.", ranker))
