"""Named endpoints for programs: models, teach, predict, compare, rank, teach_ranker, explain.

They share no page state.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.backbones.catalog import list_models
from coop_demo.charts.comparison import methods_table
from coop_demo.data.dataset import (
    Dataset,
    Picture,
    check_class_names,
    check_trainable,
    clean_class_name,
    split_held_out,
)
from coop_demo.data.folders import read_zip
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.errors import DatasetError, UserError
from coop_demo.languages import comparison as verdicts
from coop_demo.languages import look as explain_strings
from coop_demo.languages import page as strings
from coop_demo.prompts.familiar import UNLIKE
from coop_demo.ranking.order import Order, judge, order_csv
from coop_demo.ranking.reading import reading_sentence
from coop_demo.ranking.trust import trust_sentence
from coop_demo.ui.compare.actions import run_comparison
from coop_demo.ui.compare.state import TAUGHT, Compared, CompareSettings
from coop_demo.ui.context import LOOKS, Shell
from coop_demo.ui.events import sentence_for
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.line import TRAININGS, Place
from coop_demo.ui.progress import Progress
from coop_demo.ui.rank import actions as rank_actions
from coop_demo.ui.rank import files as rank_files
from coop_demo.ui.rank import lesson
from coop_demo.ui.rank.state import OrderSettings, TaughtOrder
from coop_demo.ui.session import Session, Taught, check_number_of_classes
from coop_demo.ui.teach.actions import learn, load, try_pictures
from coop_demo.ui.teach.state import KINDS, TeachSettings


class Fields:
    """Hidden components, which give the endpoints their types and check uploaded files."""

    def __init__(self) -> None:
        with gr.Row(visible=False):
            self.trigger = gr.Button()
            self.sample = gr.Textbox(label="sample", value="")
            self.archive = gr.File(label="archive", file_types=[".zip"])
            self.prompt = gr.File(label="prompt", file_types=[".safetensors"])
            self.picture = gr.File(label="picture", file_types=[*UPLOAD_TYPES])
            self.settings = self._settings()
            self.wanted = gr.Textbox(label="wanted", value="")
            self.class_names = gr.Textbox(label="class_names", value="")
            self.method = gr.Textbox(label="method", value="auto")
            self.opacity = gr.Number(label="opacity", value=0.7)
            self.cells = gr.Checkbox(label="cells", value=False)
            self.check = gr.Checkbox(label="check", value=True)
            self.maps = gr.File(label="maps")
            self.answer = gr.JSON(label="answer")
            self.saved = gr.File(label="saved_prompt")
            self.instruction = gr.Textbox(label="instruction", value="")
            self.ranker = gr.File(label="ranker", file_types=[".safetensors"])
            self.ordered = gr.File(label="order")
            self.methods = gr.Textbox(label="methods", value="learned")
            self.templates = gr.Textbox(label="templates", value="")
            self.from_nothing = gr.Checkbox(label="from_nothing", value=False)
            self.saved_ranker = gr.File(label="saved_ranker")

    @staticmethod
    def _settings() -> list[Any]:
        """In the order of TeachSettings.parse."""
        return [
            gr.Textbox(label="template", value=""),
            gr.Number(label="context_length", value=16),
            gr.Checkbox(label="class_specific", value=False),
            gr.Textbox(label="position", value="end"),
            gr.Textbox(label="init", value=""),
            gr.Number(label="shots", value=16),
            gr.Textbox(label="preset", value="fast"),
            gr.Number(label="steps", value=0),
            gr.Number(label="learning_rate", value=0),
            gr.Number(label="kgcoop_weight", value=0),
            gr.Number(label="seed", value=1),
        ]


def build(shell: Shell) -> None:
    """Add the endpoints to the page."""
    fields = Fields()
    endpoints = Endpoints(shell.store.default_backbone)
    click = fields.trigger.click
    click(endpoints.models, None, fields.answer, api_name="models")
    click(
        endpoints.teach,
        [fields.sample, fields.archive, *fields.settings],
        [fields.answer, fields.saved],
        api_name="teach",
        concurrency_limit=None,  # they wait in the line of all trainings
    )
    click(
        endpoints.predict,
        [fields.prompt, fields.picture],
        fields.answer,
        api_name="predict",
        **LOOKS,
    )
    by_label = {field.label: field for field in fields.settings}
    click(
        endpoints.compare,
        [
            fields.sample,
            fields.archive,
            fields.methods,
            fields.templates,
            *(by_label[name] for name in ("shots", "seed", "preset", "context_length", "steps")),
        ],
        fields.answer,
        api_name="compare",
        concurrency_limit=None,
    )
    click(
        endpoints.teach_ranker,
        [
            fields.sample,
            fields.archive,
            fields.instruction,
            fields.ranker,
            fields.from_nothing,
            *(by_label[name] for name in ("steps", "learning_rate", "seed")),
        ],
        [fields.answer, fields.saved_ranker],
        api_name="teach_ranker",
        concurrency_limit=None,
    )
    click(
        endpoints.rank,
        [fields.sample, fields.archive, fields.instruction, fields.ranker],
        [fields.answer, fields.ordered],
        api_name="rank",
        **LOOKS,
    )
    click(
        endpoints.explain,
        [
            fields.picture,
            fields.wanted,
            fields.class_names,
            fields.prompt,
            fields.method,
            fields.opacity,
            fields.cells,
            fields.check,
        ],
        [fields.answer, fields.maps],
        api_name="explain",
        **LOOKS,
    )


class Endpoints:
    """What each endpoint does, in a session of its own that ends with the answer."""

    def __init__(self, backbone: str) -> None:
        self._backbone = backbone

    def _session(self, folder: str) -> Session:
        return Session("", Path(folder), self._backbone)

    def models(self) -> list[dict[str, Any]]:
        """Every model: name, licence, size in MB, and whether it is on this computer."""
        return [
            {
                "name": model.name,
                "licence": model.licence,
                "download_mb": model.download_mb,
                "on_this_computer": model.on_this_computer,
            }
            for model in list_models()
        ]

    def teach(
        self,
        sample=None,
        archive=None,
        template=None,
        context_length=None,
        class_specific=None,
        position=None,
        init=None,
        shots=None,
        preset=None,
        steps=None,
        learning_rate=None,
        kgcoop_weight=None,
        seed=None,
        request: gr.Request | None = None,
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Train a prompt on a sample set (by name) or a zip with one folder per class.

        Streams {"status": "waiting", "message", "place"} while others train and {"status":
        "running", "message", "share"}; the last answer has the accuracies, or {"status": "error",
        "message"}. The second output is the saved prompt.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                session = self._session(folder)
                dataset, own_template = _given_set(sample, archive)
                settings = TeachSettings.parse(
                    template or own_template or session.template,
                    context_length,
                    KINDS[bool(class_specific)],
                    position,
                    init,
                    shots,
                    preset,
                    steps,
                    learning_rate,
                    kgcoop_weight,
                    seed,
                )
                dataset, n_held_out = split_held_out(dataset, seed=settings.seed)
                check_trainable(dataset)
                with TRAININGS.join(_client(request)) as place:
                    yield from _in_line(place)
                    for event in learn(session, dataset, settings):
                        if isinstance(event, Progress):
                            yield _running(event), None
                taught = session.current
                assert taught is not None
                yield _figures(taught, n_held_out), str(taught.file)
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}, None

    def predict(self, prompt=None, picture=None) -> dict[str, Any]:
        """Probabilities of a saved prompt and of its hand-crafted words for one picture.

        `unlike`: whether it is unlike the pictures that the prompt learned from, so that it may
        be none of its classes; null where the prompt does not know.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                if not prompt or not picture:
                    raise UserError(strings.PROMPT_AND_PICTURE)
                session = self._session(folder)
                taught = load(session, prompt)
                source = Picture(Path(picture).name, Path(picture))
                tried = try_pictures(session, [source], taught.template)
            except Exception as error:
                return {"status": "error", "message": sentence_for(error)}
        assert tried.learned is not None
        return {
            "status": "done",
            "learned": dict(zip(tried.class_names, tried.learned[0].tolist(), strict=True)),
            "words": dict(zip(tried.class_names, tried.words[0].tolist(), strict=True)),
            "unlike": tried.unlike[0] if tried.unlike else None,
            "message": UNLIKE if tried.unlike and tried.unlike[0] else "",
        }

    def compare(
        self,
        sample=None,
        archive=None,
        methods=None,
        templates=None,
        shots=None,
        seed=None,
        preset=None,
        context_length=None,
        steps=None,
        request: gr.Request | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Measure methods side by side on a sample set (by name) or a zip with one folder a class.

        `methods` are names with commas between them ("learned, gda, linear-probe"); the
        hand-crafted prompt is always there. `templates`: one a line, the first is the one to beat.
        Streams {"status": "waiting" or "running", "message"}; the last answer has a row for each
        method and the verdict, or {"status": "error", "message"}.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                session = self._session(folder)
                dataset, own_template = _given_set(sample, archive)
                session.show_set(dataset, source=dataset.name)
                names = [name.strip() for name in str(methods or "learned").split(",")]
                settings = CompareSettings.parse(
                    TAUGHT,
                    [name for name in names if name],
                    templates or own_template or session.template,
                    False,
                    shots,
                    seed,
                    preset,
                    context_length,
                    steps,
                )
                compared = None
                with TRAININGS.join(_client(request)) as place:
                    yield from (answer for answer, _ in _in_line(place))
                    for event in run_comparison(session, settings):
                        if isinstance(event, Compared):
                            compared = event
                        else:
                            yield _running(event)
                assert compared is not None
                yield _comparison_figures(compared)
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}

    def teach_ranker(
        self,
        sample=None,
        archive=None,
        instruction=None,
        ranker=None,
        from_nothing=None,
        steps=None,
        learning_rate=None,
        seed=None,
        request: gr.Request | None = None,
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Teach a ranker an order: a sample set (by name), or a zip of pictures with a CSV of the
        columns image, value and prompt in it.

        A third of the numbered pictures is held out. It starts from `ranker`, else from the one
        that ships, or `from_nothing`. Streams {"status": "waiting" or "running", "message"}; the
        last answer has the shares of held-out pairs in the right order, before and after and by
        its rivals, or {"status": "error", "message"}. The second output is the saved ranker.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                session = self._session(folder)
                self._fill_pile(session, sample, archive, ranker)
                wanted = str(instruction or session.pile.instruction or "")
                settings = OrderSettings.parse(steps, learning_rate, seed, from_nothing)
                lesson.take_labels(session, wanted)
                taught = None
                with TRAININGS.join(_client(request)) as place:
                    yield from _in_line(place)
                    for event in lesson.teach_order(session, wanted, settings):
                        if isinstance(event, TaughtOrder):
                            taught = event
                        else:
                            yield _running(event), None
                assert taught is not None
                used = rank_actions.ranker_in_use(session)
                assert used is not None
                yield _taught_order_figures(taught, session.backbone), str(used.file)
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}, None

    def _fill_pile(self, session: Session, sample: Any, archive: Any, ranker: Any) -> None:
        _check_one_given(sample, archive)
        if sample:
            rank_files.show_sample(session, samples.find_sample(str(sample)))
        else:
            rank_files.add_files(session, [str(archive)])
        if ranker:
            rank_actions.load(session, ranker)

    def rank(
        self, sample=None, archive=None, instruction=None, ranker=None
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Order a sample set (by name) or a zip of pictures by an instruction.

        A CSV with the columns image, value and prompt in the zip measures the order. Streams
        {"status": "running", "message", "share"}; the last answer has the order, the first place
        first, with the scores of every way, and what the labels say of it. The second output is
        the order as CSV. `ranker`: a saved one instead of the one that ships.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                session = self._session(folder)
                self._fill_pile(session, sample, archive, ranker)
                wanted = str(instruction or session.pile.instruction or "")
                orders: Sequence[Order] = ()
                for event in rank_actions.rank(session, wanted, "", "", ""):
                    if isinstance(event, Progress):
                        yield _running(event), None
                    else:
                        orders = event
                path = session.folder / "order.csv"
                path.write_text(order_csv(orders), encoding="utf-8")
                assert len(orders) == 1
                yield _order_figures(orders[0], session.pile.problems), str(path)
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}, None

    def explain(
        self,
        picture=None,
        wanted=None,
        class_names=None,
        prompt=None,
        method="auto",
        opacity=0.7,
        cells=False,
        check=True,
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Maps of what in a picture speaks for a class or a text, and whether to believe them.

        `class_names`, separated by commas, are its rivals; a saved `prompt` brings its own. The
        second output is a zip of PNGs: every class under the hand-crafted prompt and, with a
        saved prompt, under the learned one, and their difference.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                if not picture:
                    raise UserError(explain_strings.NO_PICTURE)
                session = self._session(folder)
                if prompt:
                    load(session, prompt)
                given = [name.strip() for name in str(class_names or "").split(",")]
                subject = explain_actions.dropped(session, picture)
                names = subject.class_names or _names(given)
                explain_actions.choose(session, replace(subject, class_names=names))
                looks = explain_actions.look(session, wanted, method or "auto")
                looked = next(looks)
                if check:
                    looked = next(looks)
                strength = explain_html.held(opacity)
                path = session.folder / "maps.zip"
                path.write_bytes(
                    explain_actions.zip_of(looked, opacity=strength, cells=bool(cells))
                )
                yield {"status": "done", **explain_actions.as_numbers(looked)}, str(path)
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}, None


def _client(request: gr.Request | None) -> str:
    """Who asks, as far as gradio knows: a client's calls have one hash in common."""
    return str(request.session_hash or "") if request else ""


def _names(given: Sequence[str]) -> tuple[str, ...]:
    """Class names as they are shown, each once; DatasetError where they cannot be used."""
    names = tuple(dict.fromkeys(clean for name in given if (clean := clean_class_name(name))))
    check_number_of_classes(names)
    check_class_names(names)
    return names


def _in_line(place: Place) -> Iterator[tuple[dict[str, Any], None]]:
    while number := place.number:
        message = strings.in_line(number, place.seconds)
        yield {"status": "waiting", "message": message, "place": number}, None
        place.wait(2.0)


def _running(event: Progress) -> dict[str, Any]:
    return {"status": "running", "message": event.sentence, "share": event.share}


def _check_one_given(sample: Any, archive: Any) -> None:
    """Raises DatasetError unless exactly one of the two is given."""
    if bool(sample) == bool(archive):
        raise DatasetError(strings.SAMPLE_OR_ZIP)


def _given_set(sample: Any, archive: Any) -> tuple[Dataset, str]:
    """The set that was asked for, and the template that comes with it, or ""."""
    _check_one_given(sample, archive)
    if sample:
        name = str(sample)
        return samples.read_sample(name), samples.find_sample(name).template or ""
    dataset = read_zip(str(archive))
    check_number_of_classes(dataset.class_names)
    return dataset, ""


def _figures(taught: Taught, n_held_out: int) -> dict[str, Any]:
    verdict = taught.verdict
    last = taught.prompt.history[-1]
    return {
        "status": "done",
        "message": taught.ending,
        "verdict": verdicts.verdict_sentence(verdict) if verdict else "",
        "backbone": taught.prompt.backbone,
        "class_names": list(taught.prompt.class_names),
        "n_test": verdict.n_test if verdict else 0,
        "n_held_out": n_held_out,
        "hand_crafted_accuracy": taught.hand_crafted_accuracy,
        "zero_shot_accuracy": taught.hand_crafted_accuracy,  # its older name
        "learned_accuracy": verdict and verdict.learned_right / verdict.n_test,
        "train_accuracy": last["train_accuracy"],
        "steps": last["step"],
    }


def _comparison_figures(compared: Compared) -> dict[str, Any]:
    comparison = compared.comparison
    rows = methods_table(comparison).to_dict("records")
    return {
        "status": "done",
        "message": compared.ending,
        "verdict": verdicts.comparison_sentence(comparison),
        "settings": dict(comparison.settings),
        "class_names": list(comparison.class_names),
        "n_test": len(comparison.labels),
        "methods": [
            {key: None if value != value else value for key, value in row.items()} for row in rows
        ],
        "problems": list(comparison.problems),
        "notes": [*compared.notes, *comparison.notes],
    }


def _taught_order_figures(taught: TaughtOrder, backbone: str) -> dict[str, Any]:
    return {
        "status": "done",
        "message": taught.ending,
        "instruction": taught.instruction,
        "backbone": backbone,
        "n_learned": taught.n_learned,
        "n_held_out": taught.n_held_out,
        "n_pairs": taught.n_pairs,
        "pair_accuracy_before": taught.before if taught.started else None,
        "pair_accuracy": taught.after,
        "rivals": dict(taught.rivals),
        "steps": taught.points[-1].step,
    }


def _order_figures(order: Order, problems: Sequence[str]) -> dict[str, Any]:
    """An order as plain values, the first place first."""
    judgement = judge(order)
    ranker = order.ranker
    return {
        "status": "done",
        "instruction": order.instruction,
        "asked": order.asked,
        "least_first": order.reading is not None and order.reading.is_turned,
        "reading_sentence": "" if order.reading is None else reading_sentence(order.reading),
        "backbone": order.backbone,
        "learned_instruction": bool(ranker and ranker.learned(order.asked)),
        "trust": None
        if order.trust is None
        else asdict(order.trust) | {"level": order.trust.level},
        "trust_sentence": "" if order.trust is None else trust_sentence(order.trust),
        "order": [
            {
                "image": order.pictures[i].name,
                **{method: float(scores[i]) for method, scores in order.scores.items()},
            }
            for i in order.ranking(order.leading)
        ],
        "measured": {method: one.to_mapping() for method, one in order.metrics().items()},
        "judgement": None if judgement is None else asdict(judgement),
        "problems": list(problems),
    }
