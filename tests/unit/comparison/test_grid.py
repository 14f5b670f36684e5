"""The grid trains as `teach` does, keeps what is finished, and repeats nothing."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from comparing import made_set, write_coop_set, write_picture, write_set
from tiny import tiny_backbone

from coop_demo.comparison import grid, results_csv
from coop_demo.comparison.grid import (
    GridProblem,
    GridProgress,
    GridResult,
    benchmark,
    find_dataset,
    shots_curve,
)
from coop_demo.comparison.results_csv import open_results
from coop_demo.errors import DatasetError, UserError
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.teach import teach
from coop_demo.prompts.training import TrainEvent

PROMPT = PromptConfig(n_ctx=4)
FAST = {"steps": 3, "prompt_config": PROMPT}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    write_set(folder / "colours")
    write_coop_set(folder)
    return folder


def last(events):
    *_, result = events
    assert isinstance(result, GridResult)
    return result


# ---- the grid


def test_every_cell_of_both_layouts_is_one_row(backbone, root, tmp_path):
    out = tmp_path / "results.csv"
    grid = {"shots": (1, 2), "seeds": (1, 2), "methods": ("hand-crafted", "class-mean", "learned")}
    result = last(benchmark(backbone, root, ["colours", "eurosat"], out=out, **grid, **FAST))
    assert result.problems == ()
    assert len(result.cells) == 2 * (1 + 2 * 2 * 2)
    assert open_results(out) == list(result.cells)
    eurosat = [c for c in result.cells if c.dataset == "eurosat"]
    assert {c.n_test for c in eurosat} == {9}
    assert {(c.shots, c.n_train) for c in eurosat} == {(0, 0), (1, 3), (2, 6)}
    words = next(c for c in eurosat if c.method == "hand-crafted")
    assert json.loads(words.chosen)["template"] == "a centered satellite photo of {}."


@pytest.mark.parametrize("preset", ["fast", "paper"])
def test_a_cell_is_exactly_what_teach_gives(backbone, root, tmp_path, preset):
    grid = {"shots": (2,), "seeds": (3,), "methods": ("learned",)}
    options = {"preset": preset, "prompt_config": PROMPT, "steps": 6}
    events = list(benchmark(backbone, root, ["colours"], out=tmp_path / "r.csv", **grid, **options))
    taught = list(teach(backbone, find_dataset(root, "colours"), shots=2, seed=3, **options))
    ours = [e for e in events if isinstance(e, TrainEvent)]
    theirs = [e for e in taught if isinstance(e, TrainEvent)]
    # to rounding: pictures that were encoded in other batches differ in the last digit
    assert len(ours) == len(theirs) == 6
    assert torch.allclose(ours[-1].prompt.ctx, theirs[-1].prompt.ctx, atol=2e-4)
    assert [e.loss for e in ours] == pytest.approx([e.loss for e in theirs], abs=1e-4)
    (cell,) = events[-1].cells
    assert cell.accuracy == pytest.approx(taught[-1].learned_accuracy)


def test_a_set_without_test_pictures_holds_out_as_teach_does(backbone, tmp_path):
    write_set(tmp_path / "plain", test=0, train=6)
    result = last(benchmark(backbone, tmp_path, ["plain"], out=tmp_path / "r.csv", shots=(2,),
                            seeds=(1, 2), methods=("hand-crafted", "learned"), **FAST))  # fmt: skip
    assert sorted((c.method, c.seed) for c in result.cells) == [
        ("hand-crafted", 1), ("hand-crafted", 2), ("learned", 1), ("learned", 2),
    ]  # fmt: skip
    for cell in result.cells:
        if cell.method == "learned":
            taught = list(teach(backbone, find_dataset(tmp_path, "plain"), shots=2,
                                seed=cell.seed, **FAST))[-1]  # fmt: skip
            assert cell.accuracy == pytest.approx(taught.learned_accuracy)
            assert cell.n_test == taught.n_test


def test_shots_are_counted_after_pictures_were_held_out(backbone, tmp_path):
    write_set(tmp_path / "plain", test=0, train=8)
    result = last(benchmark(backbone, tmp_path, ["plain"], out=tmp_path / "r.csv", shots=(2, 8),
                            seeds=(1,), methods=("class-mean",), **FAST))  # fmt: skip
    assert [c.shots for c in result.cells if c.method == "class-mean"] == [2]
    assert "8 shots left out" in result.problems[0]


def test_another_picture_of_the_same_name_is_measured_anew(backbone, tmp_path):
    root = write_set(tmp_path / "plain")
    grid = {"out": tmp_path / "r.csv", "shots": (2,), "seeds": (1,), "methods": ("class-mean",)}
    last(benchmark(backbone, tmp_path, ["plain"], **grid, **FAST))
    write_picture(root / "train" / "red" / "0.png", (3, 250, 9), seed=77)
    again = list(benchmark(backbone, tmp_path, ["plain"], **grid, **FAST))
    assert not any(getattr(event, "was_there", False) for event in again)


def test_a_second_run_repeats_no_cell_and_encodes_nothing(backbone, root, tmp_path, monkeypatch):
    out = tmp_path / "results.csv"
    grid = {"shots": (1, 2), "seeds": (1,), "methods": ("hand-crafted", "learned"), **FAST}
    first = last(benchmark(backbone, root, ["colours"], out=out, **grid))
    text = out.read_text()

    def encode(self, pixels):
        raise AssertionError("a picture was encoded again")

    monkeypatch.setattr(type(backbone), "image_features", encode)
    events = list(benchmark(backbone, root, ["colours"], out=out, **grid))
    assert not any(isinstance(e, TrainEvent) for e in events)
    assert all(e.was_there for e in events if isinstance(e, GridProgress))
    assert set(events[-1].cells) == set(first.cells)
    assert out.read_text() == text
    # another shot count is trained on, with features that lie on disk
    grid |= {"shots": (2,), "steps": 4}
    more = last(benchmark(backbone, root, ["colours"], out=out, **grid))
    assert len(more.cells) == 2
    assert more.problems == ()


def test_other_settings_are_other_cells(backbone, root, tmp_path):
    out = tmp_path / "results.csv"
    grid = {"shots": (1,), "seeds": (1,), "methods": ("class-mean", "learned")}
    for steps in (2, 3):
        last(
            benchmark(
                backbone, root, ["colours"], out=out, prompt_config=PROMPT, steps=steps, **grid
            )
        )
    hashes = [c.settings_hash for c in open_results(out) if c.method == "learned"]
    assert len(set(hashes)) == 2


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(root, tmp_path):
    """A real kill, in the middle of a training, and a torn last line on top of it."""
    out = tmp_path / "results.csv"
    script = textwrap.dedent(f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from tiny import tiny_backbone
        from coop_demo.prompts.learner import PromptConfig
        from coop_demo.prompts.training import TrainEvent
        from coop_demo.comparison.grid import benchmark
        n = 0
        for event in benchmark(tiny_backbone(), {str(root)!r}, ["colours"], shots=(1, 2),
                               seeds=(1, 2), methods=("hand-crafted", "class-mean", "learned"),
                               out={str(out)!r}, steps=3, prompt_config=PromptConfig(n_ctx=4)):
            n += isinstance(event, TrainEvent)
            if n == 5:  # the second training is under way
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    killed = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[3])
    assert killed.returncode == -9
    before = open_results(out)
    assert 0 < len(before) < 9
    with out.open("a") as file:
        file.write("colours,learned,2,2,0.5")
    backbone = tiny_backbone()
    result = last(benchmark(backbone, root, ["colours"], out=out, shots=(1, 2), seeds=(1, 2),
                            methods=("hand-crafted", "class-mean", "learned"), **FAST))  # fmt: skip
    rows = open_results(out)
    assert len(rows) == len({row.key for row in rows}) == 9 == len(result.cells)
    assert rows[: len(before)] == before
    whole = last(benchmark(backbone, root, ["colours"], out=tmp_path / "whole.csv", shots=(1, 2),
                           seeds=(1, 2), methods=("hand-crafted", "class-mean", "learned"),
                           **FAST))  # fmt: skip
    accuracy = {cell.key: cell.accuracy for cell in whole.cells}
    assert {row.key: row.accuracy for row in rows} == accuracy


def test_progress_counts_to_the_end(backbone, root, tmp_path):
    grid = {"shots": (1, 99), "seeds": (1,), "methods": ("hand-crafted", "class-mean")}
    events = list(benchmark(backbone, root, ["colours", "eurosat"], out=tmp_path / "r.csv", **grid))
    progress = [e for e in events if isinstance(e, GridProgress)]
    assert (progress[-1].done, progress[-1].total) == (4, 4)
    assert [p.done for p in progress] == sorted(p.done for p in progress)
    sentences = [e.message for e in events if isinstance(e, GridProblem)]
    assert len(sentences) == 2
    assert "at most 5 training pictures" in sentences[0]
    assert "99 shots left out" in sentences[0]


def test_a_set_that_cannot_be_used_costs_itself_only(backbone, root, tmp_path):
    write_picture(tmp_path / "one" / "train" / "red" / "a.png", (1, 2, 3), 0)
    write_picture(tmp_path / "one" / "test" / "red" / "a.png", (1, 2, 3), 1)
    write_set(tmp_path / "good")
    result = last(benchmark(backbone, tmp_path, ["nothing", "one", "good"], out=tmp_path / "r.csv",
                            shots=(1,), seeds=(1,), methods=("class-mean",)))  # fmt: skip
    assert [c.dataset for c in result.cells] == ["good"]
    assert any('no data set "nothing"' in p for p in result.problems)
    assert any("only class" in p for p in result.problems)


def test_an_unreadable_test_picture_costs_itself_only(backbone, tmp_path):
    write_set(tmp_path / "s")
    (tmp_path / "s" / "test" / "red" / "0.png").write_bytes(b"no picture")
    result = last(benchmark(backbone, tmp_path, ["s"], out=tmp_path / "r.csv", shots=(1,),
                            seeds=(1,), methods=("class-mean",)))  # fmt: skip
    assert result.cells[0].n_test == 15


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"methods": ("magic",)}, 'no method "magic"'),
        ({"shots": (0,)}, "shots are"),
        ({"seeds": ()}, "seeds are"),
        ({"steps": 0}, "number of steps"),
        ({"preset": "slow"}, "no preset"),
    ],
)
def test_a_bad_setting_is_said_before_anything_is_written(
    backbone, root, tmp_path, options, sentence
):
    out = tmp_path / "r.csv"
    with pytest.raises(UserError, match=sentence):
        last(benchmark(backbone, root, ["colours"], out=out, **options))
    assert not out.exists()


# ---- the file


def test_results_that_cannot_be_written_end_the_grid(backbone, root, tmp_path, monkeypatch):
    def full(path, cell):
        raise results_csv.UnwritableResults("no room")

    monkeypatch.setattr(grid, "append_cell", full)
    with pytest.raises(UserError, match="no room"):
        last(benchmark(backbone, root, ["colours"], out=tmp_path / "r.csv", shots=(1,), seeds=(1,),
                       methods=("class-mean",)))  # fmt: skip


# ---- the curve


def test_the_curve_gives_each_point_as_it_is_ready_and_one_flat_line(backbone, tmp_path):
    dataset = made_set(tmp_path / "s", test=0, train=6)
    options = {"shots": (1, 2, 16), "seeds": (1, 2), **FAST}
    events = list(shots_curve(backbone, dataset, **options))
    result = events[-1]
    assert [(c.method, c.shots, c.seed) for c in result.cells] == [
        ("hand-crafted", 0, 0), ("learned", 1, 1), ("learned", 1, 2), ("learned", 2, 1),
        ("learned", 2, 2),
    ]  # fmt: skip
    assert len({c.n_test for c in result.cells}) == 1
    assert any("16 shots left out" in p for p in result.problems)
    at = [i for i, e in enumerate(events) if isinstance(e, GridProgress) and e.cell is not None]
    assert any(isinstance(e, TrainEvent) for e in events[at[1] : at[2]])


def test_a_stopped_curve_goes_on_from_its_points(backbone, tmp_path):
    dataset = made_set(tmp_path / "s")
    options = {"shots": (1, 2), "seeds": (1,), **FAST}
    running, points = shots_curve(backbone, dataset, **options), []
    for event in running:
        if isinstance(event, GridProgress) and event.cell is not None:
            points.append(event.cell)
            if len(points) == 2:
                running.close()
    rest = list(shots_curve(backbone, dataset, done=points, **options))
    fresh = [e.cell for e in rest if isinstance(e, GridProgress) and e.cell and not e.was_there]
    assert [(c.method, c.shots) for c in fresh] == [("learned", 2)]
    assert len(rest[-1].cells) == 3


def test_an_unknown_set_names_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match="not a folder"):
        find_dataset(tmp_path / "none", "x")
    with pytest.raises(DatasetError, match='no data set "x"'):
        find_dataset(tmp_path, "x")
    with pytest.raises(DatasetError, match="missing"):
        find_dataset(tmp_path, "food101")
