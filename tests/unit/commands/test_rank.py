"""rank: a folder or a table in, an order out; a sentence for everything that cannot be ranked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from images import coloured, edged, grey, write_image, write_images
from ordering import BRIGHTNESS, brightness_labels, untrained, write_greys, write_labels
from PIL import Image
from tiny import tiny_backbone

from coop_demo.__main__ import main
from coop_demo.commands import rank
from coop_demo.ranking.checkpoint import save_ranker
from coop_demo.ranking.metrics import srcc


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(autouse=True)
def tiny(monkeypatch, backbone):
    """The commands on a CLIP of 32 pixels, and without a ranker that ships."""
    monkeypatch.setattr(rank, "backbone_for", lambda name, device: backbone)
    monkeypatch.setenv("COOP_DEMO_BACKBONE", "tiny")


@pytest.fixture
def ranker(tmp_path, backbone) -> Path:
    return save_ranker(untrained(backbone), tmp_path / "ranker.safetensors")


@pytest.fixture
def pictures(tmp_path) -> Path:
    return write_greys(tmp_path / "pictures")


def ranked(capsys, *arguments: object) -> dict:
    assert main(["rank", *map(str, arguments), "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: object) -> str:
    assert main(["rank", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.strip()]
    return lines[-1]


def test_a_folder_is_ordered_by_the_adapters_scores(capsys, pictures, ranker, backbone):
    found = ranked(capsys, "--images", pictures, "--instruction", BRIGHTNESS, "--ranker", ranker)
    scores = [entry["score"] for entry in found["order"]]
    assert scores == sorted(scores, reverse=True)
    assert {entry["image"] for entry in found["order"]} == {f"{c}.png" for c in "abcdefgh"}
    assert found["srcc"] is None
    assert found["seconds"] >= 0
    # the same numbers as the adapter gives when it is called directly
    images = [Image.open(pictures / entry["image"]) for entry in found["order"]]
    pixels = torch.stack([backbone.whole_view(image) for image in images])
    with torch.no_grad():
        expected = (
            untrained(backbone)
            .adapter()
            .scores(backbone.ranking_tokens(pixels), backbone.text_tokens([BRIGHTNESS]))
        )
    assert scores == pytest.approx(expected.tolist(), abs=1e-4)


@pytest.mark.parametrize("method", ["antonyms", "cosine"])
def test_rivals_order_without_a_ranker(capsys, pictures, method):
    found = ranked(capsys, "--images", pictures, "--instruction", BRIGHTNESS, "--method", method)
    assert len(found["order"]) == 8
    assert found["ranker"] is None
    assert (found["antonyms"] == ["a bright photo.", "a dark photo."]) == (method == "antonyms")


def test_with_labels_the_ranker_is_judged_beside_its_rivals(capsys, pictures, ranker):
    given = brightness_labels(pictures)
    ask = ("--images", given, "--instruction", BRIGHTNESS, "--ranker", ranker)
    found = ranked(capsys, *ask, "--rivals")
    assert set(found["rivals"]) == {"ranker", "antonyms", "cosine"}
    assert found["rivals"]["ranker"]["srcc"] == found["srcc"]
    judgement = found["judgement"]
    best = max(("antonyms", "cosine"), key=lambda name: found["rivals"][name]["srcc"])
    assert judgement["rival"] == best
    assert judgement["low"] <= judgement["high"]
    assert "rivals" not in ranked(capsys, *ask), "only where it was asked for"


def test_rivals_are_of_the_ranker_and_of_no_other_method(capsys, pictures):
    ask = ("--images", brightness_labels(pictures), "--instruction", BRIGHTNESS)
    assert "--method out" in refused(capsys, *ask, "--method", "cosine", "--rivals")


@pytest.fixture
def edges(tmp_path) -> Path:
    """Six pictures three times as wide as high that differ in their left sixth only, which a
    square from the middle does not have."""
    folder = tmp_path / "edges"
    write_images([edged((40 * number,) * 3) for number in range(6)], folder)
    return folder


@pytest.mark.parametrize("method", list(rank.METHOD_OF))
def test_what_lies_at_the_edge_counts_in_every_way(capsys, edges, ranker, method):
    given = ("--ranker", ranker) if method == "adapter" else ()
    ask = ("--instruction", BRIGHTNESS, "--method", method)
    found = ranked(capsys, "--images", edges, *ask, *given)
    assert len({entry["score"] for entry in found["order"]}) == 6


def test_antonyms_may_be_given(capsys, pictures):
    options = ("--images", pictures, "--instruction", BRIGHTNESS, "--method", "antonyms")
    one = ranked(capsys, *options, "--antonyms", "snow", "coal")
    other = ranked(capsys, *options, "--antonyms", "coal", "snow")
    assert one["antonyms"] == ["snow", "coal"]
    assert [e["image"] for e in one["order"]] == [e["image"] for e in other["order"]][::-1]


def test_labels_measure_the_order_and_split_chooses_the_pictures(capsys, pictures, ranker):
    table = brightness_labels(pictures)
    whole = ranked(capsys, "--images", table, "--instruction", BRIGHTNESS, "--ranker", ranker)
    assert whole["n_labelled"] == 8
    truth = {f"{c}.png": i for i, c in enumerate("abcdefgh")}
    expected = srcc(
        [e["score"] for e in whole["order"]], [truth[e["image"]] for e in whole["order"]]
    )
    assert whole["srcc"] == pytest.approx(expected)
    for figure in ("plcc", "kendall", "pair_accuracy"):
        assert whole[figure] is not None
    part = ranked(
        capsys,
        "--images",
        pictures,
        "--labels",
        table,
        "--split",
        "test",
        "--instruction",
        BRIGHTNESS,
        "--ranker",
        ranker,
    )
    assert {entry["image"] for entry in part["order"]} == {"b.png", "d.png", "f.png", "h.png"}


def test_labels_beside_a_folder_keep_unlabelled_pictures(capsys, pictures, ranker, tmp_path):
    table = tmp_path / "some.csv"
    table.write_text(f"image,value,prompt\na.png,1,{BRIGHTNESS}\nh.png,2,{BRIGHTNESS}\n")
    found = ranked(
        capsys,
        "--images",
        pictures,
        "--labels",
        table,
        "--instruction",
        BRIGHTNESS,
        "--ranker",
        ranker,
    )
    assert len(found["order"]) == 8
    assert found["n_labelled"] == 2
    assert "6 of 8 pictures have no label" in found["notes"][0]


def test_the_tables_only_instruction_is_used_when_none_is_given(capsys, pictures, ranker):
    table = brightness_labels(pictures)
    assert ranked(capsys, "--images", table, "--ranker", ranker)["instruction"] == BRIGHTNESS
    other = ranked(capsys, "--images", table, "--ranker", ranker, "--instruction", "Light first.")
    assert other["instruction"] == "Light first."
    assert BRIGHTNESS in other["notes"][0]


def test_an_instruction_is_found_whatever_its_case_and_spaces(capsys, pictures, ranker):
    rows = [f"{c}.png,{i},{BRIGHTNESS}," for i, c in enumerate("abcd")]
    rows += [f"{c}.png,{i},Rank the contrast.," for i, c in enumerate("dcba")]
    table = write_labels(pictures, rows)
    ask = ("--images", table, "--ranker", ranker, "--instruction")
    plain = ranked(capsys, *ask, BRIGHTNESS)
    loose = ranked(capsys, *ask, "  rank the BRIGHTNESS ")
    assert plain["n_labelled"] == loose["n_labelled"] == 4
    assert loose["notes"] == []


def test_a_picture_that_cannot_be_read_costs_itself_only(capsys, pictures, ranker):
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    found = ranked(capsys, "--images", pictures, "--instruction", BRIGHTNESS, "--ranker", ranker)
    assert len(found["order"]) == 8
    assert "broken.jpg" in found["problems"][0]


def test_equal_pictures_are_said_to_be_equal(capsys, pictures, ranker):
    for name in "bcdefgh":
        (pictures / f"{name}.png").write_bytes((pictures / "a.png").read_bytes())
    found = ranked(capsys, "--images", pictures, "--instruction", BRIGHTNESS, "--ranker", ranker)
    assert "same score" in found["notes"][0]


def test_what_cannot_be_ranked_is_refused_in_one_sentence(capsys, pictures, ranker, tmp_path):
    ready = ("--ranker", ranker)
    ask = ("--instruction", BRIGHTNESS)
    alone = tmp_path / "alone"
    alone.mkdir()
    assert "no pictures" in refused(capsys, "--images", alone, *ask, *ready)
    (alone / "a.png").write_bytes((pictures / "a.png").read_bytes())
    assert "1 of 1 picture can be used" in refused(capsys, "--images", alone, *ask, *ready)
    assert "--instruction" in refused(capsys, "--images", pictures, *ready)
    assert "empty" in refused(capsys, "--images", pictures, "--instruction", " ... ", *ready)
    long = " ".join(["brightness"] * 200)
    assert "tokens" in refused(capsys, "--images", pictures, "--instruction", long, *ready)
    assert "no folder or table" in refused(capsys, "--images", tmp_path / "no", *ask, *ready)
    assert "--split" in refused(capsys, "--images", pictures, *ask, *ready, "--split", "test")


def test_labels_that_cannot_measure_are_refused_in_one_sentence(capsys, pictures, ranker, tmp_path):
    ready = ("--images", pictures, "--instruction", BRIGHTNESS, "--ranker", ranker, "--labels")
    table = write_labels(pictures, [f"a.png,high,{BRIGHTNESS},", f"b.png,1,{BRIGHTNESS},"])
    assert 'the value "high" is not a number' in refused(capsys, *ready, table)
    table = write_labels(pictures, [f"{c}.png,4,{BRIGHTNESS}," for c in "abcd"])
    assert "All 4 values" in refused(capsys, *ready, table)
    table = write_labels(pictures, [f"nowhere{i}.png,{i},{BRIGHTNESS}," for i in range(4)])
    assert "nowhere0.png" in refused(capsys, *ready, table)
    table = write_labels(pictures, [f"{c}.png,{i},{BRIGHTNESS},train" for i, c in enumerate("abc")])
    assert 'no rows of the split "test"' in refused(capsys, *ready, table, "--split", "test")
    table = write_labels(
        pictures, [f"a.png,1,{BRIGHTNESS},", f"a.png,2,{BRIGHTNESS},", f"b.png,3,{BRIGHTNESS},"]
    )
    assert "two values" in refused(capsys, *ready, table)
    table = write_labels(pictures, ["a.png,1,Rank A.,", "b.png,2,Rank A.,", "a.png,2,Rank B.,"])
    assert '"Rank A."' in refused(capsys, *ready, table)


def test_rankers_that_do_not_fit_are_refused(capsys, pictures, tmp_path):
    ask = ("--images", pictures, "--instruction", BRIGHTNESS)
    assert "No ranker ships" in refused(capsys, *ask)
    other = save_ranker(untrained(tiny_backbone(seed=5, name="other")), tmp_path / "o.safetensors")
    assert "other" in refused(capsys, *ask, "--ranker", other)
    assert "no ranker file" in refused(capsys, *ask, "--ranker", tmp_path / "none.safetensors")
    assert "--ranker" in refused(capsys, *ask, "--ranker", other, "--method", "cosine")


# --- images are found where people put them, and never judged on when learned from ------------


def test_labels_beside_a_folder_of_images_are_matched_without_a_split(capsys, tmp_path, ranker):
    inner = tmp_path / "set" / "images"
    for number, name in enumerate("abcd"):
        write_image(grey(50 * number), inner / f"{name}.png")
    table = write_labels(
        tmp_path / "set", [f"{n}.png,{i},{BRIGHTNESS}," for i, n in enumerate("abcd")]
    )
    found = ranked(capsys, "--images", tmp_path / "set", "--labels", table, "--ranker", ranker)
    assert found["n_labelled"] == 4


def test_rows_are_matched_below_the_tables_own_folder(capsys, pictures, tmp_path, ranker):
    table = write_labels(
        tmp_path, [f"pictures/{n}.png,{i},{BRIGHTNESS}," for i, n in enumerate("abcdefgh")]
    )
    found = ranked(capsys, "--images", pictures, "--labels", table, "--ranker", ranker)
    assert found["n_labelled"] == 8


def test_many_unmatched_rows_are_counted_with_one_example(capsys, pictures, ranker):
    rows = [f"{n}.png,{i},{BRIGHTNESS}," for i, n in enumerate("abcd")]
    table = write_labels(pictures, rows + [f"gone{i}.png,{i},{BRIGHTNESS}," for i in range(5)])
    found = ranked(capsys, "--images", table, "--ranker", ranker)
    (problem,) = found["problems"]
    assert problem.startswith("5 of the 9 rows are left out")
    assert '"gone0.png"' in problem


def test_a_name_that_two_images_have_is_not_guessed(capsys, tmp_path, ranker):
    for folder in ("one", "two"):
        write_image(coloured((255, 0, 0), grain=0), tmp_path / "set" / folder / "same.png")
    for number, name in enumerate("abc"):
        write_image(grey(80 * number), tmp_path / "set" / f"{name}.png")
    rows = [f"{n}.png,{i},{BRIGHTNESS}," for i, n in enumerate("abc")] + [
        f"same.png,9,{BRIGHTNESS},"
    ]
    table = write_labels(tmp_path / "set", rows)
    found = ranked(capsys, "--images", tmp_path / "set", "--labels", table, "--ranker", ranker)
    assert any("could be any of 2" in problem for problem in found["problems"])
    assert found["n_labelled"] == 3


def test_what_decoding_mended_is_said(capsys, pictures, ranker):
    whole = (pictures / "a.png").read_bytes()
    (pictures / "a.png").write_bytes(b"\n\n" + whole)  # stray bytes before it
    ask = ("--images", pictures, "--instruction", BRIGHTNESS, "--ranker", ranker)
    for _ in range(2):
        assert any("a.png" in note for note in ranked(capsys, *ask)["notes"])


def test_a_ranker_file_that_does_not_say_what_it_learned_from_is_told(
    capsys, pictures, ranker, backbone, tmp_path
):
    ask = ("--images", brightness_labels(pictures), "--ranker")
    assert ranked(capsys, *ask, ranker)["notes"] == []
    known = untrained(backbone)
    old = replace(known, learned_from=None)
    path = save_ranker(old, tmp_path / "old.safetensors")
    assert any("does not say everything" in note for note in ranked(capsys, *ask, path)["notes"])
    for start, said in ((old, True), (known, False)):
        went_on = known.having_learned_from(["0" * 32], (), start=start)
        path = save_ranker(went_on, tmp_path / f"{said}.safetensors")
        notes = ranked(capsys, *ask, path)["notes"]
        assert any("does not say everything" in note for note in notes) == said
