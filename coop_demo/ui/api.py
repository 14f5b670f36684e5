"""Named endpoints for programs: models, teach, predict, rank, explain. They share no page state."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr

from coop_demo import samples
from coop_demo.backbones.catalog import list_models
from coop_demo.comparison.strings import verdict_sentence
from coop_demo.data.dataset import Picture, check_trainable, split_held_out
from coop_demo.data.folders import read_zip
from coop_demo.data.picture_formats import UPLOAD_TYPES
from coop_demo.errors import DatasetError, UserError
from coop_demo.ranking.order import Order, judge, order_csv
from coop_demo.ui import strings
from coop_demo.ui.context import LOOKING, LOOKING_LIMIT, TRAINING, TRAINING_LIMIT, Shell
from coop_demo.ui.events import sentence_for
from coop_demo.ui.explain import actions as explain_actions
from coop_demo.ui.explain import html as explain_html
from coop_demo.ui.explain import strings as explain_strings
from coop_demo.ui.rank import actions as rank_actions
from coop_demo.ui.session import Session
from coop_demo.ui.teach import strings as teach_strings
from coop_demo.ui.teach.actions import learn, load, try_pictures
from coop_demo.ui.teach.state import Progress, TeachSettings


def build(shell: Shell) -> None:
    """Hidden components give the endpoints their types and their checks of uploaded files."""
    with gr.Row(visible=False):
        trigger = gr.Button()
        sample = gr.Textbox(label="sample", value="")
        archive = gr.File(label="archive", file_types=[".zip"])
        prompt = gr.File(label="prompt", file_types=[".safetensors"])
        picture = gr.File(label="picture", file_types=[*UPLOAD_TYPES])
        template = gr.Textbox(label="template", value="")
        n_ctx = gr.Number(label="context_length", value=16)
        class_specific = gr.Checkbox(label="class_specific", value=False)
        position = gr.Textbox(label="position", value="end")
        init = gr.Textbox(label="init", value="")
        shots = gr.Number(label="shots", value=16)
        preset = gr.Textbox(label="preset", value="fast")
        steps = gr.Number(label="steps", value=0)
        rate = gr.Number(label="learning_rate", value=0)
        pull = gr.Number(label="kgcoop_weight", value=0)
        seed = gr.Number(label="seed", value=1)
        wanted = gr.Textbox(label="wanted", value="")
        class_names = gr.Textbox(label="class_names", value="")
        method = gr.Textbox(label="method", value="auto")
        opacity = gr.Number(label="opacity", value=0.7)
        cells = gr.Checkbox(label="cells", value=False)
        check = gr.Checkbox(label="check", value=True)
        maps = gr.File(label="maps")
        answer = gr.JSON(label="answer")
        saved = gr.File(label="saved_prompt")
        instruction = gr.Textbox(label="instruction", value="")
        ranker = gr.File(label="ranker", file_types=[".safetensors"])
        ordered = gr.File(label="order")

    def new_session(folder: str) -> Session:
        return Session("", Path(folder), shell.store.default_backbone)

    def models() -> list[dict[str, Any]]:
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
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Train a prompt on a sample set (by name) or a zip with one folder per class.

        Streams {"status": "running", "message", "share"}; the last answer has the accuracies, or
        {"status": "error", "message"}. The second output is the saved prompt.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                session = new_session(folder)
                if bool(sample) == bool(archive):
                    raise DatasetError(strings.SAMPLE_OR_ZIP)
                if sample:
                    template = template or samples.find_sample(str(sample)).template
                    dataset = samples.read_sample(str(sample))
                else:
                    dataset = read_zip(str(archive))
                settings = TeachSettings.parse(
                    template or session.template,
                    context_length,
                    teach_strings.KINDS[bool(class_specific)],
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
                for event in learn(session, dataset, settings):
                    if isinstance(event, Progress):
                        yield (
                            {"status": "running", "message": event.sentence, "share": event.share},
                            None,
                        )
                taught = session.current
                assert taught is not None
                verdict = taught.verdict
                last = taught.prompt.history[-1]
                yield (
                    {
                        "status": "done",
                        "message": taught.ending,
                        "verdict": verdict_sentence(verdict) if verdict else "",
                        "backbone": taught.prompt.backbone,
                        "class_names": list(taught.prompt.class_names),
                        "n_test": verdict.n_test if verdict else 0,
                        "n_held_out": n_held_out,
                        "zero_shot_accuracy": taught.hand_accuracy,
                        "learned_accuracy": verdict and verdict.learned_right / verdict.n_test,
                        "train_accuracy": last["train_accuracy"],
                        "steps": last["step"],
                    },
                    str(taught.file),
                )
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}, None

    def predict(prompt=None, picture=None) -> dict[str, Any]:
        """Probabilities of a saved prompt and of its hand-crafted words for one picture."""
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                if not prompt or not picture:
                    raise UserError(strings.PROMPT_AND_PICTURE)
                session = new_session(folder)
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
        }

    def rank(
        sample=None, archive=None, instruction=None, ranker=None
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """Order a sample set (by name) or a zip of pictures by an instruction.

        A CSV with the columns image, value and prompt in the zip measures the order. Streams
        {"status": "running", "message", "share"}; the last answer has the order, the first place
        first, with the scores of every way, and what the labels say of it. The second output is
        the order as CSV. `ranker`: a saved one instead of the one that ships.
        """
        with tempfile.TemporaryDirectory(prefix="coop-studio-") as folder:
            try:
                session = new_session(folder)
                if bool(sample) == bool(archive):
                    raise DatasetError(strings.SAMPLE_OR_ZIP)
                if sample:
                    rank_actions.show_sample(session, samples.find_sample(str(sample)))
                else:
                    rank_actions.add_files(session, [str(archive)])
                if ranker:
                    rank_actions.load(session, ranker)
                wanted = str(instruction or session.pile.instruction or "")
                orders: Sequence[Order] = ()
                for event in rank_actions.rank(session, wanted, "", "", ""):
                    if isinstance(event, tuple):
                        orders = event
                    else:
                        yield (
                            {"status": "running", "message": event.sentence, "share": event.share},
                            None,
                        )
                path = session.folder / "order.csv"
                path.write_text(order_csv(orders), encoding="utf-8")
                assert len(orders) == 1
                yield _as_numbers(orders[0], session.pile.problems), str(path)
            except Exception as error:
                yield {"status": "error", "message": sentence_for(error)}, None

    def explain(
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
                session = new_session(folder)
                if prompt:
                    load(session, prompt)
                given = [name.strip() for name in str(class_names or "").split(",")]
                subject = explain_actions.dropped(session, picture)
                names = subject.class_names or tuple(dict.fromkeys(n for n in given if n))
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

    settings = [
        template,
        n_ctx,
        class_specific,
        position,
        init,
        shots,
        preset,
        steps,
        rate,
        pull,
        seed,
    ]
    trigger.click(models, None, answer, api_name="models")
    trigger.click(
        teach,
        [sample, archive, *settings],
        [answer, saved],
        concurrency_id=TRAINING,
        concurrency_limit=TRAINING_LIMIT,
        api_name="teach",
    )
    trigger.click(
        predict,
        [prompt, picture],
        answer,
        concurrency_id=LOOKING,
        concurrency_limit=LOOKING_LIMIT,
        api_name="predict",
    )
    trigger.click(
        rank,
        [sample, archive, instruction, ranker],
        [answer, ordered],
        concurrency_id=LOOKING,
        concurrency_limit=LOOKING_LIMIT,
        api_name="rank",
    )
    trigger.click(
        explain,
        [picture, wanted, class_names, prompt, method, opacity, cells, check],
        [answer, maps],
        concurrency_id=LOOKING,
        concurrency_limit=LOOKING_LIMIT,
        api_name="explain",
    )


def _as_numbers(order: Order, problems: Sequence[str]) -> dict[str, Any]:
    """An order as plain values, the first place first."""
    judgement = judge(order)
    return {
        "status": "done",
        "instruction": order.instruction,
        "backbone": order.backbone,
        "learned_instruction": order.ranker is not None
        and order.ranker.learned(order.instruction) is not None,
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
