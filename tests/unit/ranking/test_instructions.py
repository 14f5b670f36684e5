"""Instructions are checked before anything is computed; antonyms point the way asked."""

from types import SimpleNamespace
from typing import Any

import pytest

from coop_demo.errors import RankingError
from coop_demo.ranking.instructions import (
    EXAMPLE_INSTRUCTIONS,
    AntonymPair,
    check_instruction,
    propose_antonyms,
)


class WordTokenizer:
    def encode(self, text):
        return text.split()


BACKBONE: Any = SimpleNamespace(
    tokenizer=WordTokenizer(), text_tower=SimpleNamespace(context_length=77)
)


@pytest.mark.parametrize("text", ["", "   \n", "...", "\x00\x01", "– !"])
def test_an_empty_instruction_is_refused(text):
    with pytest.raises(RankingError, match="instruction is empty"):
        check_instruction(text)


def test_a_long_instruction_is_refused_with_both_lengths():
    assert check_instruction("word " * 75, BACKBONE) == ("word " * 75).strip()
    with pytest.raises(RankingError, match="502 tokens long and the model reads 77") as caught:
        check_instruction("word " * 500, BACKBONE)
    assert len(str(caught.value)) < 200  # the 500 words are not repeated


def test_white_space_is_tidied_and_letters_of_any_script_count():
    assert check_instruction("  Rank\tthe \n numbers ") == "Rank the numbers"
    assert check_instruction("明るさ") == "明るさ"


@pytest.mark.parametrize(
    ("instruction", "high", "low"),
    [
        ("Rank the numbers of apples.", "a photo with many apples.", "a photo with no apples."),
        ("How many dogs are there in it?", "a photo with many dogs.", "a photo with no dogs."),
        ("Rank the numbers of red cars in each picture.", "a photo with many red cars.",
         "a photo with no red cars."),
        ("Rank the numbers of light bulbs.", "a photo with many light bulbs.",
         "a photo with no light bulbs."),
        ("fewest cars first", "a photo with no cars.", "a photo with many cars."),
        ("Rank the brightness.", "a bright photo.", "a dark photo."),
        ("sort the pictures by darkness", "a dark photo.", "a bright photo."),
        ("order them from dark to bright", "a dark photo.", "a bright photo."),
        ("most colourful first", "a colorful photo.", "a dull photo."),
        ("least colourful first", "a dull photo.", "a colorful photo."),
        ("Rank by how blurry they are", "a blurry photo.", "a sharp photo."),
        ("Rank the ages of the people.", "a photo of an old person.",
         "a photo of a young person."),
        ("Rank the image quality.", "a good photo.", "a bad photo."),
        ("Order the photos by the amount of snow in the scene", "a photo with a lot of snow.",
         "a photo without any snow."),
        ("rank by rust", "a photo with a lot of rust.", "a photo without any rust."),
    ],
)  # fmt: skip
def test_antonyms_are_proposed_in_the_direction_asked(instruction, high, low):
    assert propose_antonyms(instruction) == AntonymPair(high, low)


def test_every_example_has_a_proposal_of_its_own():
    proposals = {propose_antonyms(text) for text in EXAMPLE_INSTRUCTIONS}
    assert len(proposals) == len(EXAMPLE_INSTRUCTIONS)


def test_a_pair_that_is_no_pair_is_refused():
    with pytest.raises(RankingError, match="second of the two opposite prompts is empty"):
        AntonymPair("a bright photo.", " ")
    with pytest.raises(RankingError, match="Make one the opposite"):
        AntonymPair("a photo.", "A photo. ")
