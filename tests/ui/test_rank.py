"""What the Rank tab does with pictures, labels, rankers and a person's own order."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from images import edged, write_image, zipped
from images import grey as grey_image
from tiny import tiny_backbone

from coop_demo.errors import RankingError, UserError
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.checkpoint import offered_rankers, save_ranker
from coop_demo.ranking.order import ANTONYMS, COSINE, RANKER, Order, hold_out, order_csv
from coop_demo.ranking.ranker import Ranker
from coop_demo.ranking.reading import Reading
from coop_demo.ranking.trust import Trust
from coop_demo.samples import SampleSet, sample_sets
from coop_demo.ui.rank import actions as rank_actions
from coop_demo.ui.rank import files as rank_files
from coop_demo.ui.rank import lesson as rank_lesson
from coop_demo.ui.rank import state
from coop_demo.ui.rank.order import understood
from coop_demo.ui.rank.state import TaughtOrder
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore

BRIGHT = "Rank the brightness."
QUICK = state.OrderSettings(steps=6, learning_rate=None, seed=1, from_nothing=False)


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture
def session(monkeypatch, backbone) -> Iterator[Session]:
    for module in (rank_actions, rank_lesson):
        monkeypatch.setattr(module, "shared_backbone", lambda name: backbone)
    store = SessionStore("tiny")  # its folder goes with it
    yield store.open(None)
    assert len(store) == 1


@pytest.fixture
def ranker_file(tmp_path, backbone) -> Path:
    return save_ranker(make_ranker(backbone), tmp_path / "mine.safetensors")


def make_ranker(backbone, identity: str = "") -> Ranker:
    config = AdapterConfig(dim=16, layers=1, heads=2, mlp_ratio=1.0, token_dim=24, dropout=0.0)
    state = RankingAdapter.seeded(config, 0).state_dict()
    return Ranker(config, state, identity or backbone.identity)


@pytest.fixture
def grey(tmp_path) -> Callable[..., list[Path]]:
    """Noisy grey pictures, each brighter than the one before it."""

    def make(n: int, *, start: int = 0) -> list[Path]:
        return [
            write_image(
                grey_image(30 + 12 * index, index, size=(40, 40), grain=10),
                tmp_path / f"{index:02}.png",
            )
            for index in range(start, start + n)
        ]

    return make


def table(folder: Path, rows: list[str], header: str = "image,value,prompt") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def ranked(session: Session, first: str = BRIGHT, second: str = "") -> tuple[Order, ...]:
    *_, orders = rank_actions.rank(session, first, second, "", "")
    assert isinstance(orders, tuple)
    return orders


# --- ordering


def test_without_a_ranker_the_simpler_ways_still_order(session, grey) -> None:
    rank_files.add_files(session, grey(4))
    (order,) = ranked(session)
    assert set(order.scores) == {ANTONYMS, COSINE}
    assert order.leading == ANTONYMS
    assert sorted(order.ranking(ANTONYMS)) == [0, 1, 2, 3]
    verdict = rank_actions.judge(order)
    assert verdict.kind == ""
    assert verdict.sentence.startswith("No picture here has a label")


def test_what_lies_at_the_edge_counts_in_every_order(session, tmp_path, ranker_file) -> None:
    for number in range(5):  # alike but for the left sixth, which a square from the middle cuts off
        write_image(edged((50 * number,) * 3), tmp_path / f"{number}.png")
    rank_files.add_files(session, sorted(tmp_path.glob("*.png")))
    rank_actions.load(session, ranker_file)
    (order,) = ranked(session)
    assert set(order.scores) == {RANKER, ANTONYMS, COSINE}
    for scores in order.scores.values():
        assert len(set(scores.tolist())) == 5
    before = order.scores[ANTONYMS]
    (again,) = rank_actions.compare_again(session, order.pair.high, order.pair.low)
    assert again.scores[ANTONYMS] == pytest.approx(before)


def test_two_instructions_give_two_orders_of_the_same_pictures(session, grey, ranker_file) -> None:
    rank_files.add_files(session, grey(5))
    rank_actions.load(session, ranker_file)
    first, second = ranked(session, BRIGHT, "Rank the sharpness.")
    assert first.pictures == second.pictures
    assert first.pair != second.pair
    assert first.pair_logits.shape == (5, 5)
    # the matrix stands in the ranker's own order
    scores = first.scores[RANKER][list(first.compared)]
    assert (np.diff(scores) <= 0).all()


def test_the_csv_has_every_picture_in_order(session, grey, tmp_path, ranker_file) -> None:
    files = grey(4)
    rank_actions.load(session, ranker_file)
    labels = table(tmp_path, [f"{file.name},{i},{BRIGHT}" for i, file in enumerate(files)])
    rank_files.add_files(session, [*files, labels])
    orders = ranked(session)
    rows = list(csv.DictReader(io.StringIO(order_csv(orders))))
    assert [int(row[f"place: {BRIGHT}"]) for row in rows] == [1, 2, 3, 4]
    scores = [float(row[f"ranker: {BRIGHT}"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    for row in rows:
        assert float(row[f"label: {BRIGHT}"]) == float(row["image"][:2])


def test_a_formula_in_a_name_is_quoted_in_the_csv(session, grey, tmp_path) -> None:
    evil = grey(1)[0].rename(tmp_path / "=HYPERLINK.png")
    rank_files.add_files(session, [evil, *grey(2, start=1)])
    assert "'=HYPERLINK.png" in order_csv(ranked(session))


def test_an_edited_antonym_pair_changes_its_order_alone(session, grey) -> None:
    rank_files.add_files(session, grey(4))
    (before,) = ranked(session)
    (after,) = rank_actions.compare_again(session, before.pair.low, before.pair.high)
    np.testing.assert_allclose(after.scores[ANTONYMS], 1 - before.scores[ANTONYMS], atol=1e-9)
    assert after.scores[COSINE] is before.scores[COSINE]


def test_an_untouched_pair_follows_the_instruction_an_edited_one_stays(session) -> None:
    pile = session.pile
    first = rank_actions.pair_for(pile, BRIGHT, "", "")
    follows = rank_actions.pair_for(pile, "Rank the sharpness.", first.high, first.low)
    assert "sharp" in follows.high
    stays = rank_actions.pair_for(pile, BRIGHT, "a snowy day.", "a night.")
    assert (stays.high, stays.low) == ("a snowy day.", "a night.")


# --- whether it is any good


def order_with(scores: dict[str, list[float]], values: list[float]) -> Order:
    arrays = {name: np.array(column, float) for name, column in scores.items()}
    pair = rank_actions.antonyms_for(BRIGHT)
    return Order("tiny", BRIGHT, (), arrays, pair, np.array(values, float))


def test_the_page_says_how_an_instruction_was_read_and_what_its_order_is_worth() -> None:
    asked = "Rank the numbers of apples."
    order = replace(
        order_with({RANKER: [1.0, 2.0]}, [1, 2]),
        instruction="fewest apples first",
        reading=Reading("fewest apples first", asked, True, "fewest first"),
        trust=Trust(True, asked, 1.0, 0.69, None),
    )
    said = understood(order, names=False)
    assert said.startswith("Read as: “Rank the numbers of apples.”, fewest first. The ranker")
    assert "0.69" in said
    assert understood(order, names=True).startswith("“fewest apples first”: Read as")


@pytest.mark.parametrize(
    ("own", "kind", "words"),
    [(1, "better", "beats"), (-1, "worse", "loses"), (0, "unsure", "no clear difference")],
)
def test_the_verdict_says_who_wins_whoever_it_is(own: int, kind: str, words: str) -> None:
    values = list(range(20))
    noise = np.random.default_rng(0).permutation(20).tolist()
    good, bad = ([float(v) for v in values], [float(v) for v in noise])
    scores = {
        1: {RANKER: good, ANTONYMS: bad, COSINE: bad},
        -1: {RANKER: bad, ANTONYMS: good, COSINE: bad},
        0: {RANKER: good, ANTONYMS: good, COSINE: bad},
    }[own]
    verdict = rank_actions.judge(order_with(scores, values))
    assert verdict.kind == kind
    assert words in verdict.sentence
    assert "20 labelled" in verdict.sentence


def test_equal_labels_are_said_not_measured() -> None:
    up, down = [1.0, 2, 3, 4, 5], [5.0, 4, 3, 2, 1]
    same = order_with({RANKER: up, ANTONYMS: down}, [5] * 5)
    assert "not defined" in rank_actions.judge(same).sentence


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_few_labels_call_no_winner(n: int) -> None:
    up = [float(i) for i in range(n)]
    verdict = rank_actions.judge(order_with({RANKER: up, ANTONYMS: up[::-1]}, up))
    assert verdict.kind == ""
    assert f"{n} labels are too few" in verdict.sentence


# --- bad input: one sentence each, and everything else stays


def test_one_picture_is_no_order(session, grey) -> None:
    with pytest.raises(RankingError, match="no pictures"):
        ranked(session)
    rank_files.add_files(session, grey(1))
    with pytest.raises(RankingError, match="one picture here; an order needs two"):
        ranked(session)


def test_identical_pictures_count_once(session, grey, tmp_path) -> None:
    (file,) = grey(1)
    copy = tmp_path / "copy.png"
    copy.write_bytes(file.read_bytes())
    rank_files.add_files(session, [file, copy])
    assert len(session.pile.pictures) == 1
    assert "“copy.png” is the same picture as “00.png”" in session.pile.notes[0]


@pytest.mark.parametrize(
    ("instruction", "message"),
    [("", "empty"), ("  …", "empty"), ("bright " * 500, "Shorten it")],
)
def test_an_unusable_instruction_keeps_the_order_there_was(
    session, grey, instruction: str, message: str
) -> None:
    rank_files.add_files(session, grey(3))
    before = ranked(session)
    with pytest.raises(UserError, match=message):
        ranked(session, instruction)
    assert session.pile.orders == before


def test_the_same_instruction_twice_is_refused(session, grey) -> None:
    rank_files.add_files(session, grey(3))
    with pytest.raises(RankingError, match="the same"):
        ranked(session, BRIGHT, BRIGHT.lower())


def test_rankers_of_a_folder_on_this_computer_are_offered(
    session, ranker_file, backbone, monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("COOP_DEMO_RANKERS", str(ranker_file.parent))
    (ranker_file.parent / "notes.safetensors").write_text("no ranker")
    assert [one.path for one in offered_rankers()] == [ranker_file]
    # a model without a shipped ranker takes the one that came with it
    used = rank_actions.ranker_in_use(session)
    assert used is not None
    assert ranker_file.name in used.title
    rank_actions.use_offered(session, ranker_file.name)
    assert session.pile.rankers[session.backbone].file == ranker_file
    with pytest.raises(RankingError, match="There is no ranker"):
        rank_actions.use_offered(session, "gone.safetensors")
    session.backbone = "another"
    with pytest.raises(RankingError, match="Choose that model at the top"):
        rank_actions.use_offered(session, ranker_file.name)
    assert rank_actions.ranker_in_use(session) is None


def test_a_session_keeps_a_ranker_of_a_model_named_by_a_path(
    session, ranker_file, monkeypatch
) -> None:
    session.backbone = "local-dir:/somewhere/else/with spaces"
    used = rank_actions.load(session, ranker_file)
    assert used.file is not None
    assert used.file.parent == session.folder


def test_a_ranker_for_another_model_leaves_the_one_in_use(
    session, tmp_path, ranker_file, backbone
) -> None:
    used = rank_actions.load(session, ranker_file)
    foreign = save_ranker(make_ranker(backbone, "ViT-B-32@abc"), tmp_path / "foreign.safetensors")
    with pytest.raises(RankingError, match="ViT-B-32, and the model in use is tiny"):
        rank_actions.load(session, foreign)
    assert rank_actions.ranker_in_use(session) is used


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["00.png,much,Rank it."], 'line 2.*“?"?much.* is not a number'),
        (["00.png,3,Rank it.", "01.png,3,Rank it."], "no order"),
        (["elsewhere.png,3,Rank it."], "None of the pictures that “labels.csv” labels is here"),
        (["00.png"], "cells"),
    ],
)
def test_unusable_labels_cost_themselves_only(session, grey, tmp_path, rows, message) -> None:
    rank_files.add_files(session, grey(2))
    rank_files.add_files(session, [table(tmp_path, rows)])
    (problem,) = session.pile.problems
    assert re.search(message, problem)
    assert session.pile.labels == {}
    assert len(session.pile.pictures) == 2


def test_labels_of_pictures_that_are_not_here_are_passed_over(session, grey, tmp_path) -> None:
    rows = ["00.png,1,", "01.png,2,", "gone.png,3,"]
    rank_files.add_files(session, [*grey(2), table(tmp_path, rows)])
    assert sorted(session.pile.labels_for("anything at all").values()) == [1, 2]
    assert "“gone.png”" in session.pile.problems[0]


def test_a_table_never_opens_a_file_by_its_path(session, grey, tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    secret = outside / "secret.png"
    write_image(grey_image(0, size=(9, 9)), secret)
    rank_files.add_files(session, grey(2))
    rank_files.add_files(
        session, [table(tmp_path, [f"{secret},3,Rank it.", "../x.png,2,Rank it."])]
    )
    assert "None of the pictures" in session.pile.problems[0]
    assert session.pile.labels == {}


def test_a_table_without_instructions_counts_for_the_one_that_is_asked_for(
    session, grey, tmp_path
) -> None:
    rank_files.add_files(session, grey(3))
    names = [picture.name for picture in session.pile.pictures]
    rows = [f"{name},{i},{BRIGHT}" for i, name in enumerate(names)]
    rank_files.add_labels(session.pile, table(tmp_path, rows))
    own = table(tmp_path, [f"{name},{9 - i}" for i, name in enumerate(names)], "image,value")
    rank_files.add_labels(session.pile, own, instruction=BRIGHT)
    values = session.pile.values(session.pile.pictures, BRIGHT)
    assert values.tolist() == [9, 8, 7]


def test_an_order_of_a_pile_that_changed_meanwhile_is_not_kept(monkeypatch, session, grey) -> None:
    rank_files.add_files(session, grey(4))
    score = rank_actions._score_events

    def interrupted(*given):
        yield from score(*given)
        session.pile.clear()  # "Start over" was pressed

    monkeypatch.setattr(rank_actions, "_score_events", interrupted)
    with pytest.raises(RankingError, match="changed while they were ranked"):
        ranked(session)
    assert session.pile.orders == ()


def test_the_rival_of_what_is_taught_is_its_own_instructions(
    monkeypatch, session, grey, ranker_file
) -> None:
    rank_files.add_files(session, grey(9))
    rank_actions.load(session, ranker_file)
    list(rank_actions.rank(session, BRIGHT, "", "a sunny picture", "a gloomy picture"))
    session.pile.numbers = {p.content: float(i) for i, p in enumerate(session.pile.pictures)}
    session.pile.instruction = "Rank the noise."  # typed, not ranked
    asked = []

    def teach(*given):
        asked.append(given[1].pair)
        raise RankingError("enough")

    monkeypatch.setattr(rank_lesson, "_teach_events", teach)
    for instruction in ("Rank the noise.", BRIGHT):
        with pytest.raises(RankingError, match="enough"):
            list(
                rank_lesson.teach_order(
                    session, instruction, state.OrderSettings(None, None, 1, False)
                )
            )
    assert asked[0] is None or asked[0].high != "a sunny picture"
    assert asked[1].high == "a sunny picture"


def test_a_zip_brings_pictures_and_labels(session, grey, tmp_path) -> None:
    files = grey(3)
    path = tmp_path / "set.zip"
    rows = "\n".join(f"pictures/{file.name},{i},{BRIGHT}" for i, file in enumerate(files))
    brought = {f"set/pictures/{file.name}": file.read_bytes() for file in files}
    path.write_bytes(zipped({**brought, "set/labels.csv": f"image,value,prompt\n{rows}\n"}))
    rank_files.add_files(session, [path])
    assert session.pile.problems == ()
    assert sorted(session.pile.labels_for("rank the BRIGHTNESS").values()) == [0, 1, 2]


def test_a_file_of_another_kind_is_refused_by_name(session, tmp_path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(RankingError, match=r"notes\.txt"):
        rank_files.add_files(session, [path])


# --- teaching


def number(session: Session, values: list[float], meaning: str = "amount") -> None:
    contents = [picture.content for picture in session.pile.pictures]
    session.pile.numbers = dict(zip(contents, values, strict=True))
    session.pile.meaning = meaning


def test_an_order_is_taught_judged_saved_and_used(session, grey, ranker_file) -> None:
    rank_files.add_files(session, grey(12))
    rank_actions.load(session, ranker_file)
    number(session, list(range(12)))
    *_, taught = rank_lesson.teach_order(session, BRIGHT, QUICK)
    assert isinstance(taught, TaughtOrder)
    assert (taught.n_learned, taught.n_held_out, taught.n_pairs) == (8, 4, 6)
    assert taught.started
    assert taught.before is not None
    assert taught.after is not None
    assert 0 <= taught.before <= 1
    assert 0 <= taught.after <= 1
    assert set(taught.rivals) == {ANTONYMS, COSINE}
    assert "Completed all 6 steps" in taught.ending
    assert taught.points[-1].step == 6
    used = rank_actions.ranker_in_use(session)
    assert used.taught is taught
    again = rank_actions.load(session, used.file)  # the file holds the same ranker
    for name, tensor in taught.ranker.state.items():
        assert tensor.equal(again.ranker.state[name])


@pytest.mark.slow
def test_stop_keeps_the_last_measured_state(session, grey, ranker_file) -> None:
    rank_files.add_files(session, grey(9))
    rank_actions.load(session, ranker_file)
    number(session, list(range(9)))
    settings = state.OrderSettings(steps=2000, learning_rate=None, seed=1, from_nothing=False)
    session.stop.clear()
    taught = None
    for event in rank_lesson.teach_order(session, BRIGHT, settings):
        if isinstance(event, TaughtOrder):
            taught = event
        elif event.points and event.points[-1].step >= 70:
            session.stop.set()
    assert taught is not None
    assert "Stopped at step" in taught.ending
    assert "Completed" not in taught.ending


@pytest.mark.parametrize(
    ("values", "message"),
    [([1, 2, 3], "Number 6 or more"), ([4.0] * 9, "the same, so there is no order")],
)
def test_too_little_to_learn_from_is_refused_with_the_reason(
    session, grey, values, message
) -> None:
    rank_files.add_files(session, grey(len(values)))
    number(session, values)
    with pytest.raises(RankingError, match=message):
        list(rank_lesson.teach_order(session, BRIGHT, QUICK))
    assert session.pile.rankers == {}


def test_places_and_amounts_are_opposite(session, grey, ranker_file) -> None:
    rank_files.add_files(session, grey(9))
    rank_actions.load(session, ranker_file)
    number(session, list(range(9)), "amount")
    *_, amounts = rank_lesson.teach_order(session, BRIGHT, QUICK)
    rank_actions.load(session, ranker_file)
    number(session, [9 - i for i in range(9)], "place")
    *_, places = rank_lesson.teach_order(session, BRIGHT, QUICK)
    assert (amounts.before, amounts.after) == (places.before, places.after)


def test_the_held_out_third_spans_the_order() -> None:
    learned, judged = hold_out({f"p{i}": float(i) for i in range(30)}, seed=1)
    assert len(judged) == 10
    assert not set(learned) & set(judged)
    assert min(learned.values()) == 0
    assert max(learned.values()) == 29


def test_a_cell_that_is_no_number_names_its_picture(session, grey) -> None:
    rank_files.add_files(session, grey(3))
    rows = [["", "00.png", "1"], ["", "01.png", "3,5"], ["", "02.png", ""]]
    assert sorted(rank_lesson.read_numbers(session.pile, rows).values()) == [1.0, 3.5]
    for bad in ("many", "nan", "inf"):
        with pytest.raises(RankingError, match=r"“01\.png”.*is not a number"):
            rank_lesson.read_numbers(session.pile, [["", "01.png", bad]])
    with pytest.raises(RankingError, match="Reload the page"):
        rank_lesson.read_numbers(session.pile, [["", "nowhere.png", "2"]])


@pytest.mark.parametrize("steps", [-1, 2001, 1.5, "many"])
def test_settings_out_of_range_are_a_sentence(steps) -> None:
    with pytest.raises(RankingError, match="Steps"):
        state.OrderSettings.parse(steps, None, 1, False)


def test_an_emptied_pile_comes_back_until_something_takes_its_place(
    session, ranking_sample
) -> None:
    rank_files.show_sample(session, ranking_sample)
    session.pile.numbers = {session.pile.pictures[0].content: 3.0}
    before = {name: value for name, value in vars(session.pile).items() if name != "cleared"}
    session.pile.clear()
    assert session.pile.can_undo
    session.pile.bring_back()
    assert {n: v for n, v in vars(session.pile).items() if n != "cleared"} == before
    session.pile.clear()
    session.pile.clear()
    assert session.pile.can_undo, "clearing an empty pile takes nothing"
    rank_files.show_sample(session, ranking_sample)
    assert session.pile.can_undo is None
    with pytest.raises(UserError, match="nothing left to undo"):
        session.pile.bring_back()


@pytest.fixture
def ranking_sample() -> SampleSet:
    return next(sample for sample in sample_sets() if sample.kind == "ranking")
