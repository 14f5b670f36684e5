"""Figures and tables say what was measured, whatever the classes are called."""

import importlib.metadata
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from comparing import made_set
from tiny import tiny_backbone

from coop_demo.charts import comparison as comparison_charts
from coop_demo.charts.report import Report, csv_files, html_report, tables, versions, write_report
from coop_demo.comparison.base_to_new import base_to_new
from coop_demo.comparison.calibration import calibrate, reliability
from coop_demo.comparison.compare import compare
from coop_demo.comparison.confusion import confusion_matrix
from coop_demo.comparison.grid import shots_curve
from coop_demo.comparison.projection import project
from coop_demo.comparison.shift import shift
from coop_demo.data.dataset import Dataset
from coop_demo.languages.english.comparison import comparison_sentence
from coop_demo.prompts.learner import PromptConfig
from coop_demo.prompts.words import nearest_words, words_accuracy

EVIL = '</script><b>x</b> & "y"'
FAST = {"shots": 2, "steps": 3, "prompt_config": PromptConfig(n_ctx=4)}


def last(events):
    *_, result = events
    return result


@pytest.fixture(scope="module")
def backbone():
    return tiny_backbone()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    found = made_set(tmp_path_factory.mktemp("evil"))
    return Dataset((EVIL, *found.class_names[1:]), found.train, found.test, name="a <set>")


@pytest.fixture(scope="module")
def comparison(backbone, dataset):
    return last(compare(backbone, dataset, **FAST))


@pytest.fixture(scope="module")
def report(backbone, dataset, comparison):
    prompt = comparison.result("learned").classifier.prompt
    return Report(
        comparison,
        cells=last(
            shots_curve(backbone, dataset, **{**FAST, "shots": (1, 2), "seeds": (1, 2)})
        ).cells,
        base_to_new=last(base_to_new(backbone, dataset, **FAST)),
        shift=last(shift(backbone, comparison, dataset)),
        words=nearest_words(backbone, prompt, k=2),
        words_accuracy=words_accuracy(
            backbone, prompt, comparison.prepared.test_features, comparison.labels
        ),
    )


def test_the_methods_table_is_sorted_and_shows_losers_in_full(comparison):
    table = comparison_charts.methods_table(comparison)
    assert len(table) == len(comparison.results)
    assert list(table["accuracy %"]) == sorted(table["accuracy %"], reverse=True)
    row = table[table["key"] == "class-mean"].iloc[0]
    result = comparison.result("class-mean")
    assert row["accuracy %"] == pytest.approx(100 * result.score.accuracy, abs=0.01)
    assert row["better on"] == comparison.paired("class-mean").only_first
    assert pd.isna(table[table["key"] == "hand-crafted"].iloc[0]["McNemar p"])
    figure = comparison_charts.methods_figure(comparison)
    assert list(figure.data[0].x) == list(table["accuracy %"])[::-1]
    assert len(set(figure.data[0].y)) == len(table)


def test_a_confusion_cell_leads_to_its_true_class_and_answer(comparison):
    figure = comparison_charts.confusion_figure(comparison, "class-mean")
    result = comparison.result("class-mean")
    counts = confusion_matrix(result.predicted, comparison.labels, 4)
    heatmap = figure.data[0]
    assert figure.layout.dragmode is False  # a hand that shakes still clicks
    assert (np.array(heatmap.text).astype(int) == counts).all()
    for true in range(4):
        for answer in range(4):
            assert list(heatmap.customdata[true][answer]) == [true, answer]


def test_a_class_without_held_out_pictures_has_no_share(comparison):
    labels = comparison.labels.clone()
    labels[labels == 3] = 0
    changed = replace(comparison, prepared=replace(comparison.prepared, test_labels=labels))
    figure = comparison_charts.confusion_figure(changed)
    assert np.isfinite(np.array(figure.data[0].z, dtype=float)).all()
    table = comparison_charts.per_class_table(changed)
    assert table["pictures"].tolist()[3] == 0
    assert table.iloc[3, 2:].isna().all()


def test_map_points_lead_to_their_pictures(comparison):
    found = project(comparison)
    names = [item.picture.name for item in comparison.pictures]
    figure = comparison_charts.projection_figure(found, comparison.class_names, names)
    seen = {}
    for trace in figure.data[:4]:
        for number, x in zip(trace.customdata, trace.x, strict=True):
            seen[int(number)] = x
    assert sorted(seen) == list(range(16))
    assert all(x == found.pictures[number, 0] for number, x in seen.items())
    assert all(set(trace.customdata) == {-1} for trace in figure.data[4:])


def test_names_on_the_map_are_not_written_over_one_another(comparison):
    found = project(comparison)
    together = replace(found, pictures=np.tile([[0.0, 0.0], [1.0, 1.0]], (8, 1)))
    figure = comparison_charts.projection_figure(together, comparison.class_names)
    heights = sorted(note.y for note in figure.layout.annotations)
    assert len(heights) == 4
    assert min(np.diff(heights)) >= 0.05


def test_the_reliability_figure_draws_bins_that_hold_pictures(comparison):
    result = comparison.result("learned")
    found = reliability(result.logits, comparison.labels)
    figure = comparison_charts.reliability_figure(found, "learned")
    filled = [b for b in found.bins if b.n]
    assert list(figure.data[0].y) == [b.accuracy for b in filled]
    table = comparison_charts.calibration_table({"m": calibrate(result.logits, comparison.labels)})
    assert found.ece is not None
    assert table["calibration error %"].tolist() == [pytest.approx(100 * found.ece, abs=0.01)]


def test_the_shots_figure_draws_what_is_there(report):
    figure = comparison_charts.shots_figure(report.cells)
    lines = {trace.name: trace for trace in figure.data}
    assert list(lines["Learned prompt"].x) == [1, 2]
    assert len(set(lines["Hand-crafted prompt"].y)) == 1
    assert len(comparison_charts.shots_figure(()).data) == 0
    assert len(comparison_charts.shots_figure(report.cells[:1]).data) == 1


def test_tables_of_forgetting_shift_and_words_hold_what_was_measured(report):
    table = comparison_charts.base_to_new_table(report.base_to_new)
    new = report.base_to_new.rows[0].new
    assert table["new classes %"].tolist()[0] == pytest.approx(100 * new.correct / new.n, abs=0.01)
    assert set(comparison_charts.shift_table(report.shift)["fall, points"].tolist()) == {0}
    assert len(comparison_charts.words_table(report.words)) == 4
    assert len(comparison_charts.words_accuracy_table(report.words_accuracy)) == 4
    assert len(comparison_charts.base_to_new_figure(report.base_to_new).data) == 2
    assert len(comparison_charts.shift_figure(report.shift).data) == 2


def test_methods_whose_titles_are_cut_to_the_same_have_a_bar_each(report):
    row = report.shift.rows[0]
    alike = [replace(row, title="x " * 80 + end) for end in "ab"]
    bars = comparison_charts.shift_figure(replace(report.shift, rows=tuple(alike))).data[0]
    assert len(set(bars.y)) == 2


def test_the_report_stands_alone_and_no_name_becomes_markup(report):
    page = html_report(report, pictures=True)
    assert "<h1>a &lt;set&gt;</h1>" in page
    assert "<b>x</b>" not in page
    # nothing is fetched: no script, style, picture or font from anywhere
    for reach in ('src="http', "src='http", 'src="//', "<link", "@import"):
        assert reach not in page.replace("\\u002f", "/")
    assert page.count("<script") == page.count("</script>")
    assert "Does it forget?" in page
    assert "Train here, test there" in page
    assert comparison_sentence(report.comparison).split(":")[0] in page
    assert "version of torch" in page
    bare = html_report(Report(report.comparison))
    assert "Does it forget?" not in bare


def test_csv_files_read_back_as_the_tables(report, tmp_path):
    files = csv_files(report)
    assert {"methods.csv", "predictions.csv", "shots.csv", "settings.csv"} < set(files)
    write_report(report, tmp_path / "out")
    methods = pd.read_csv(tmp_path / "out" / "methods.csv")
    assert list(methods["accuracy %"]) == list(tables(report)["methods"]["accuracy %"])
    predictions = pd.read_csv(tmp_path / "out" / "predictions.csv")
    right = (predictions["class"] == predictions["class-mean"]).sum()
    assert right == report.comparison.result("class-mean").score.correct
    assert set(predictions["class"]) == set(report.comparison.class_names)
    settings = dict(pd.read_csv(tmp_path / "out" / "settings.csv").values.tolist())
    assert settings["version of torch"] == importlib.metadata.version("torch")
    assert settings["seed"] == "1"
    assert (tmp_path / "out" / "report.html").stat().st_size > 1_000_000  # plotly is inside


def test_the_zip_holds_the_same_and_formulas_are_disarmed(report, tmp_path):
    path = write_report(report, tmp_path / "report.zip")
    with zipfile.ZipFile(path) as archive:
        assert "report.html" in archive.namelist()
    assert not list(tmp_path.glob("*.part"))
    prepared = report.comparison.prepared
    names = ("=1+1", *prepared.dataset.class_names[1:])
    renamed = replace(prepared, dataset=replace(prepared.dataset, class_names=names))
    files = csv_files(Report(replace(report.comparison, prepared=renamed)))
    assert "\n'=1+1," in files["per_class.csv"]
    assert versions()["torch"]
