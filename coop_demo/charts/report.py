"""Take it away: one self-contained HTML page and a CSV of every table, with all settings.

The page asks nothing of any other computer. It shows numbers and class names; pictures only
where they are asked for, as small copies inside the page.
"""

import csv
import html
import io
import json
import os
import platform
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
from PIL import Image

from coop_demo import __version__
from coop_demo.charts import comparison as comparison_charts
from coop_demo.charts import style
from coop_demo.comparison.base_to_new import BaseToNew
from coop_demo.comparison.calibration import Calibration, calibrate
from coop_demo.comparison.compare import Comparison
from coop_demo.comparison.confusion import confusion_matrix, disagreements
from coop_demo.comparison.projection import project
from coop_demo.comparison.results_csv import Cell
from coop_demo.comparison.shift import Shift
from coop_demo.data.csv_tables import spreadsheet_safe
from coop_demo.data.images import data_uri
from coop_demo.errors import PictureError, UserError
from coop_demo.languages import comparison as verdicts
from coop_demo.prompts.words import VectorWords, WordsAccuracy

_THUMBNAIL = 112  # pixels, the longer side
_THUMBNAILS = 12  # of each kind of disagreement
_LISTED = 40  # rows of the table of disagreements; the CSV has all
_PACKAGES = ("torch", "open_clip_torch", "timm", "numpy", "pillow")


@dataclass(frozen=True)
class Report:
    """What a report tells; only the comparison must be there."""

    comparison: Comparison
    cells: Sequence[Cell] = ()  # of the shots curve
    base_to_new: BaseToNew | None = None
    shift: Shift | None = None
    words: Sequence[VectorWords] = ()
    words_accuracy: WordsAccuracy | None = None

    def calibrations(self) -> dict[str, Calibration]:
        """By the methods' titles."""
        return {
            result.title: calibrate(result.logits, self.comparison.labels)
            for result in self.comparison.results
        }


def versions() -> dict[str, str]:
    """What the figures were made with."""
    found = {"coop_demo": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def tables(report: Report) -> dict[str, pd.DataFrame]:
    """Every table by its file name without `.csv`."""
    comparison = report.comparison
    learned = _best_learned(comparison)
    found = {
        "methods": comparison_charts.methods_table(comparison),
        "per_class": comparison_charts.per_class_table(
            comparison, [result.method for result in comparison.results]
        ),
        "calibration": comparison_charts.calibration_table(report.calibrations()),
        "predictions": _predictions(comparison),
    }
    for result in comparison.results:
        found[f"confusion_{result.method}"] = _confusion(comparison, result.method)
    if learned:
        found["disagreements"] = comparison_charts.disagreement_table(comparison, learned)
    if report.cells:
        found["shots"] = comparison_charts.shots_frame(report.cells)
    if report.base_to_new:
        found["forgetting"] = comparison_charts.base_to_new_table(report.base_to_new)
    if report.shift:
        found["shift"] = comparison_charts.shift_table(report.shift)
    if report.words:
        found["words"] = comparison_charts.words_table(report.words)
    if report.words_accuracy:
        found["words_accuracy"] = comparison_charts.words_accuracy_table(report.words_accuracy)
    found["settings"] = _settings_table(report)
    return found


def html_report(report: Report, *, pictures: bool = False) -> str:
    """The whole report as one HTML page.

    Args:
        pictures: show small copies of the pictures on which the methods disagree.
    """
    comparison = report.comparison
    learned = _best_learned(comparison)
    page = _Page()
    page.add(f"<h1>{_text(comparison.prepared.dataset.name or 'Comparison')}</h1>")
    if verdict := verdicts.comparison_sentence(comparison):
        page.add(f"<p class='verdict'>{_text(verdict)}</p>")
    page.sentences((*comparison.problems, *comparison.notes))

    page.section("Methods side by side", comparison_charts.methods_figure(comparison))
    methods = comparison_charts.methods_table(comparison).drop(columns="key")
    methods["McNemar p"] = [None if pd.isna(p) else f"{p:.2g}" for p in methods["McNemar p"]]
    page.table(methods)
    if report.cells:
        page.section("Accuracy over shots", comparison_charts.shots_figure(report.cells))
        page.table(comparison_charts.shots_frame(report.cells).drop(columns="key"))
    shown = [m for m in ("hand-crafted", learned) if m]
    for method in shown:
        title = comparison.result(method).title
        page.section(f"Confusion: {title}", comparison_charts.confusion_figure(comparison, method))
    page.section("Class by class", comparison_charts.per_class_figure(comparison, shown))
    if learned:
        page.section("Where they disagree")
        if pictures:
            _add_disagreements(page, comparison, learned)
        parted = comparison_charts.disagreement_table(comparison, learned)
        page.table(parted.head(_LISTED))
        if len(parted) > _LISTED:
            page.sentences([f"And {len(parted) - _LISTED} more in disagreements.csv."])
    try:
        drawn = project(comparison, [*shown, "class-mean"])
        page.section("Map", comparison_charts.projection_figure(drawn, comparison.class_names))
    except UserError as error:
        page.section("Map")
        page.sentences([str(error)])
    if report.words:
        page.section("What was learned, in words")
        page.table(comparison_charts.words_table(report.words))
    if report.words_accuracy:
        page.table(comparison_charts.words_accuracy_table(report.words_accuracy))
    if report.base_to_new:
        page.section("Does it forget?", comparison_charts.base_to_new_figure(report.base_to_new))
        learned, new = report.base_to_new.base_names, report.base_to_new.new_names
        names = f"Learned: {', '.join(learned)}. New: {', '.join(new)}."
        page.sentences([names, *filter(None, [report.base_to_new.remark])])
        page.table(comparison_charts.base_to_new_table(report.base_to_new))
    if report.shift:
        page.section("Train here, test there", comparison_charts.shift_figure(report.shift))
        page.sentences(report.shift.notes)
        page.table(comparison_charts.shift_table(report.shift))
    page.section("Can its confidence be believed?")
    calibrations = report.calibrations()
    for method in shown:
        title = comparison.result(method).title
        page.figure(comparison_charts.reliability_figure(calibrations[title].before, title, method))
    page.table(comparison_charts.calibration_table(calibrations))
    page.sentences(verdicts.at_bound_sentences(calibrations))
    page.section("Settings and versions")
    page.table(_settings_table(report))
    return page.whole(comparison.prepared.dataset.name or "Comparison")


def csv_files(report: Report) -> dict[str, str]:
    """Every table as CSV text, by file name."""
    return {f"{name}.csv": _csv(frame) for name, frame in tables(report).items()}


def write_report(report: Report, path: str | Path, *, pictures: bool = False) -> Path:
    """Write `report.html` and the CSV files: into a folder, or one zip when `path` ends in .zip.

    Raises:
        UserError: it cannot be written.
    """
    path = Path(path)
    files = {"report.html": html_report(report, pictures=pictures), **csv_files(report)}
    try:
        if path.suffix.lower() == ".zip":
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_name(path.name + ".part")
            with zipfile.ZipFile(half, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, text in files.items():
                    archive.writestr(name, text)
            os.replace(half, path)  # never half a report under its own name
        else:
            path.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (path / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(
            f'The report cannot be written to "{path}": {error.strerror or error}. Choose '
            "another place."
        ) from error
    return path


# ---- inside


class _Page:
    """Collects the parts of the page; plotly's library goes with the first figure."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._has_library = False

    def add(self, part: str) -> None:
        self._parts.append(part)

    def section(self, title: str, figure=None) -> None:
        self.add(f"<h2>{_text(title)}</h2>")
        if figure is not None:
            self.figure(figure)

    def figure(self, figure) -> None:
        self.add(style.figure_html(figure, with_library=not self._has_library))
        self._has_library = True

    def sentences(self, sentences: Sequence[str]) -> None:
        self._parts.extend(f"<p class='note'>{_text(sentence)}</p>" for sentence in sentences)

    def table(self, frame: pd.DataFrame) -> None:
        if frame.empty:
            self.add("<p class='note'>None.</p>")
            return
        self.add(
            "<div class='wide'>"
            + frame.to_html(index=False, escape=True, border=0, na_rep="–")
            + "</div>"
        )

    def whole(self, title: str) -> str:
        return (
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
            "<meta name='viewport' content='width=device-width, initial-scale=1'>"
            f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body><main>"
            + "\n".join(self._parts)
            + "</main></body></html>"
        )


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h2 { margin-top: 2.5rem; }
.verdict { font-size: 1.15rem; font-weight: 600; }
.note { border-left: 3px solid #8c8c8c; padding-left: .7rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #8c8c8c55; }
.pictures { display: flex; flex-wrap: wrap; gap: .7rem; }
figure.picture { margin: 0; width: 9rem; font-size: .8rem; }
"""


def _best_learned(comparison: Comparison) -> str:
    there = [result.method for result in comparison.results]
    return next((m for m in ("learned", "learned-csc", "kgcoop") if m in there), "")


def _settings(report: Report) -> Mapping[str, str]:
    comparison = report.comparison
    found: dict[str, str] = {}
    for key, value in comparison.settings.items():
        found[key] = value if isinstance(value, str) else json.dumps(value)
    for result in comparison.results:
        if result.classifier.settings:
            found[f"settings of {result.method}"] = json.dumps(dict(result.classifier.settings))
    if report.cells:
        found["seeds of the shots curve"] = json.dumps(sorted({c.seed for c in report.cells}))
    if report.base_to_new:
        found["KgCoOp weight"] = f"{report.base_to_new.kgcoop_weight:g}"
    found.update({f"version of {name}": value for name, value in versions().items()})
    found["written"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return found


def _settings_table(report: Report) -> pd.DataFrame:
    return pd.DataFrame(list(_settings(report).items()), columns=["what", "value"])


def _confusion(comparison: Comparison, method: str) -> pd.DataFrame:
    names = list(comparison.class_names)
    counts = confusion_matrix(comparison.result(method).predicted, comparison.labels, len(names))
    frame = pd.DataFrame(counts, columns=names)  # names may repeat, as two of ImageNet's do
    frame.insert(0, "true class \\ answer", names, allow_duplicates=True)
    return frame


def _predictions(comparison: Comparison) -> pd.DataFrame:
    names = comparison.class_names
    try:
        pictures = [item.picture.name for item in comparison.pictures]
    except UserError:
        pictures = [f"picture {i + 1}" for i in range(len(comparison.labels))]
    frame = pd.DataFrame(
        {"picture": pictures, "class": [names[i] for i in comparison.labels.tolist()]}
    )
    for result in comparison.results:
        frame[result.method] = [names[i] for i in result.predicted.tolist()]
        frame[f"{result.method} confidence"] = (
            result.logits.softmax(dim=-1).amax(dim=-1).double().round(decimals=4).tolist()
        )
    return frame


def _add_disagreements(page: _Page, comparison: Comparison, learned: str) -> None:
    a, b = comparison.result(learned), comparison.result("hand-crafted")
    parted = disagreements(a.logits, b.logits, comparison.labels)
    names = comparison.class_names
    for title, numbers in (
        (f"Only {a.title} is right", parted.only_first_right),
        (f"Only {b.title} is right", parted.only_second_right),
    ):
        page.add(f"<h3>{_text(title)}: {len(numbers)}</h3><div class='pictures'>")
        for at in numbers[:_THUMBNAILS]:
            item = comparison.pictures[at]
            words = (
                f"{names[item.label]}: {a.title} says {names[int(a.predicted[at])]}, "
                f"{b.title} says {names[int(b.predicted[at])]}"
            )
            try:
                source = _data_url(item.picture.load())
            except PictureError as error:
                page.sentences([str(error)])
                continue
            page.add(
                f"<figure class='picture'><img src='{source}' alt='{_text(names[item.label])}'>"
                f"<figcaption>{_text(words)}</figcaption></figure>"
            )
        page.add("</div>")


def _data_url(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return data_uri(small)


def _csv(frame: pd.DataFrame) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([spreadsheet_safe(name) for name in frame.columns])
    for row in frame.itertuples(index=False):
        writer.writerow(["" if _is_missing(value) else spreadsheet_safe(value) for value in row])
    return buffer.getvalue()


def _is_missing(value) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)


def _text(text: str) -> str:
    return html.escape(text, quote=True)
