"""The header: who we are, and which model is in use."""

import io
from typing import Any

import gradio as gr
import tqdm

from coop_demo.backbones.catalog import fetch, find, is_local, list_models
from coop_demo.errors import UserError
from coop_demo.languages import page as strings
from coop_demo.languages import said
from coop_demo.ranking.checkpoint import offered_rankers
from coop_demo.runtime import shared_backbone
from coop_demo.ui import html as page_html
from coop_demo.ui import language
from coop_demo.ui.context import Refresh, Shell
from coop_demo.ui.events import warned
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates


def build(shell: Shell) -> None:
    """Build the header and wire it."""
    Header(shell.store.default_backbone).wire(shell)


class Header:
    """Name and promise on the left; on the right the model in use, with more on it to unfold."""

    def __init__(self, default: str) -> None:
        self._default = default
        with gr.Row(elem_classes="cs-header", equal_height=False):
            with gr.Column(scale=3, min_width=280):
                gr.HTML(page_html.brand(strings.APP_NAME, strings.PROMISE), padding=False)
            with gr.Column(scale=2, min_width=280, elem_classes="cs-model"):
                with gr.Row(elem_classes="cs-model-row"):
                    self.chosen = gr.Dropdown(
                        _choices(default),
                        value=default,
                        label=strings.MODEL_LABEL,
                        interactive=True,
                        filterable=False,
                        scale=4,
                        elem_id="model",
                    )
                    self.fetch = gr.Button(
                        strings.FETCH, variant="primary", visible=False, scale=1, min_width=110
                    )
                self.status = gr.HTML(padding=False, elem_id="model-status")
                gr.HTML(language.switch(), padding=False, elem_id="languages")

    @property
    def outputs(self) -> list[Any]:
        return [self.chosen, self.fetch, self.status]

    def view(self, session: Session, sentence: str = "", *, offered: str = "") -> Updates:
        """The model in use, or `offered`, which is chosen but not here yet."""
        entry = find(offered) if offered else None
        return {
            self.chosen: gr.update(
                choices=_choices(self._default), value=offered or session.backbone
            ),
            self.fetch: gr.update(
                visible=bool(offered),
                value=strings.fetch_button(entry.download_mb) if entry else strings.FETCH,
            ),
            self.status: page_html.hint(sentence)
            + page_html.model_details(_in_use(session.backbone), _rows()),
        }

    def wire(self, shell: Shell) -> None:
        def choose(session: Session, name: str) -> Updates:
            if name not in {known for _, known in _choices(self._default)}:
                raise UserError(strings.unknown_model(str(name)))
            if not is_local(name):
                sentence = strings.not_here_yet(title_of(name), title_of(session.backbone))
                return self.view(session, sentence, offered=name)
            return self._switch(session, name)

        def fetch_chosen(session: Session, name: str, progress=gr.Progress()) -> Updates:  # noqa: B008
            entry = find(name)
            if entry is None:
                raise UserError(strings.unknown_model(str(name)))
            try:
                progress(0.0, desc=strings.fetching(entry.title))
                fetch(entry.name, tqdm_class=_bar_class(progress))
            except Exception as error:
                return self.view(session, warned(error), offered=entry.name)
            return self._switch(session, entry.name)

        fetched = shell.on(
            self.fetch.click,
            fetch_chosen,
            [self.chosen],
            self.outputs,
            concurrency_limit=1,
            show_progress_on=[self.status],
        )
        chosen = shell.on(self.chosen.input, choose, [self.chosen], self.outputs)
        shell.on_open.append(Refresh(self.view, self.outputs))
        shell.model_events += [chosen, fetched]

    def _switch(self, session: Session, name: str) -> Updates:
        try:
            shared_backbone(name)
        except UserError as error:
            return self.view(session, warned(error))
        session.backbone = name
        return self.view(session)


def title_of(name: str) -> str:
    """A model's title in few words."""
    entry = find(name)
    return _first_upper(said(entry.title).split(":")[0]) if entry else name


def _in_use(name: str) -> str:
    entry = find(name)
    return strings.in_use(
        _first_upper(said(entry.title)) if entry else name, entry.licence if entry else ""
    )


def _choices(default: str) -> list[tuple[str, str]]:
    choices = [
        (
            strings.model_choice(_first_upper(said(m.title)), m.download_mb, m.on_this_computer),
            m.name,
        )
        for m in list_models()
    ]
    if all(default != name for _, name in choices):
        choices.insert(0, (default, default))  # hf-hub: or local-dir:, given at the start
    there = {name for _, name in choices}
    for ranker in offered_rankers():  # an official ranker's own model, converted with it
        if ranker.model not in there and ranker.model.startswith("local-dir:"):
            there.add(ranker.model)
            choices.append((strings.own_model(ranker.title), ranker.model))
    return choices


def _rows() -> list[tuple[str, str, str, str, str]]:
    return [
        (
            _first_upper(said(model.title)),
            model.licence,
            strings.size(model.download_mb) if model.download_mb else strings.SHIPPED,
            strings.YES if model.on_this_computer else strings.NO,
            "" if model.download_mb == 0 else said(model.note),
        )
        for model in list_models()
    ]


def _first_upper(title: str) -> str:
    return title[:1].upper() + title[1:]


def _bar_class(progress: gr.Progress) -> type:
    """A tqdm class that draws on the page what a download reports."""

    class PageBar(tqdm.tqdm):
        def __init__(self, *args, **kwargs) -> None:
            kwargs.pop("name", None)  # huggingface_hub's own argument
            kwargs.update(disable=False, file=io.StringIO(), mininterval=0.5)
            super().__init__(*args, **kwargs)

        def display(self, *args, **kwargs) -> bool:
            if self.total:
                done, total = self.n / 1e6, self.total / 1e6
                progress(self.n / self.total, desc=strings.fetched(done, total))
            return True

    return PageBar
