"""Tab "Class", which is there when the app was started with --classroom."""

from typing import Any

import gradio as gr

from coop_demo.languages import classroom as say
from coop_demo.languages import said
from coop_demo.ui import html as page_html
from coop_demo.ui import widgets
from coop_demo.ui.classroom import actions
from coop_demo.ui.classroom import html as class_html
from coop_demo.ui.classroom.state import Classroom
from coop_demo.ui.context import LOOKS, QUIET, Refresh, Shell
from coop_demo.ui.session import Session
from coop_demo.ui.windows import Updates

REFRESH_SECONDS = 4.0  # the list is drawn anew, on pages that show this tab


def build(shell: Shell) -> None:
    """Build the tab and wire it."""
    assert shell.classroom is not None
    ClassTab(shell.classroom).wire(shell)


class ClassTab:
    """The door with its QR code and what is for everybody; on the right who is here."""

    def __init__(self, classroom: Classroom) -> None:
        self.classroom = classroom
        with (
            gr.Tab(say.TITLE, id="class"),
            gr.Row(elem_classes="cs-columns cs-class", equal_height=False),
        ):
            with gr.Column(elem_classes="cs-column", min_width=320, scale=2):
                self._left()
            with gr.Column(elem_classes="cs-column", min_width=320, scale=4):
                gr.Markdown(f"## {say.ROSTER_TITLE}")
                self.roster = gr.HTML(padding=False, elem_id="class-roster")
                gr.Markdown(f"## {say.BALLOT_TITLE}")
                self.asked = gr.Image(
                    visible=False, height=220, buttons=[], interactive=False, show_label=False
                )
                self.ballot = gr.HTML(padding=False, elem_id="class-ballot")
        self.timer = gr.Timer(REFRESH_SECONDS, active=False)

    def _left(self) -> None:
        gr.HTML(page_html.step_head(1, say.ADDRESS_TITLE, say.ADDRESS_LEAD), padding=False)
        self.door = gr.HTML(padding=False, elem_id="class-door")
        self.nickname = gr.Textbox(
            label=say.NICKNAME_LABEL, info=say.NICKNAME_INFO, max_lines=1, elem_id="class-nickname"
        )
        with gr.Row():
            self.join = gr.Button(say.JOIN, variant="primary", min_width=90, elem_id="class-join")
            self.leave = gr.Button(say.LEAVE, min_width=90, elem_id="class-leave")
        self.note = gr.HTML(padding=False, elem_id="class-note")
        gr.Markdown(f"### {say.HANDED_TITLE}")
        self.handed = gr.HTML(padding=False, elem_id="class-handed")
        self.open = gr.Button(say.OPEN_HANDED, interactive=False, elem_id="class-open")
        with gr.Accordion(say.TEACHER_TITLE, open=False, elem_id="class-teacher"):
            self.code = gr.Textbox(
                label=say.CODE_LABEL, info=say.CODE_INFO, type="password", elem_id="class-code"
            )
            self.enter = gr.Button(say.ENTER, size="sm", elem_id="class-enter")
            with gr.Column(visible=False) as self.desk:
                self.chosen = gr.Dropdown(
                    actions.sets_to_hand_out(), value="", label=say.SET_LABEL, elem_id="class-set"
                )
                self.hand_out = gr.Button(say.HAND_OUT, size="sm", elem_id="class-hand-out")
                self.picture = widgets.picture_box(
                    say.BALLOT_LABEL, height=180, elem_id="class-picture"
                )

    @property
    def outputs(self) -> list[Any]:
        shown = [self.door, self.nickname, self.join, self.leave, self.handed, self.open, self.desk]
        return [*shown, *self.news]

    @property
    def news(self) -> list[Any]:
        """What changes by what others do."""
        return [self.roster, self.asked, self.ballot, self.handed, self.open]

    def view(self, session: Session) -> Updates:
        nickname = self.classroom.nickname(session)
        return {
            self.door: class_html.door(self.classroom.address),
            self.nickname: gr.update(value=nickname, interactive=not nickname),
            self.join: gr.update(interactive=not nickname),
            self.leave: gr.update(interactive=bool(nickname)),
            self.desk: gr.update(visible=session.key in self.classroom.teachers),
        } | self.news_view(session)

    def news_view(self, session: Session) -> Updates:
        rows, ballot = actions.roster(self.classroom), self.classroom.ballot
        handed = self.classroom.handed_out
        sentence = say.NOTHING_HANDED
        if handed is not None:
            n = len(handed.dataset.train) + len(handed.dataset.test)
            sentence = say.handed_out(said(handed.title), len(handed.dataset.class_names), n)
        updates: Updates = {
            self.roster: class_html.roster(rows) if rows else page_html.hint(say.NOBODY),
            self.handed: page_html.hint(sentence),
            self.open: gr.update(interactive=handed is not None),
        }
        if ballot is None:
            return updates | {self.ballot: page_html.hint(say.NO_BALLOT)}
        votes = class_html.ballot(ballot) if ballot.votes else page_html.hint(say.NO_VOTES)
        if ballot.without:
            votes += page_html.hint(say.without_prompt(ballot.without))
        thumbnail = str(session.thumbnail(ballot.picture))
        return updates | {
            self.asked: gr.update(value=thumbnail, visible=True),
            self.ballot: votes,
        }

    def wire(self, shell: Shell) -> None:
        self._wire_members(shell)
        self._wire_teacher(shell)
        shell.keep_typed(self.nickname)
        shell.on(self.timer.tick, self.news_view, [], self.news, **QUIET)
        shell.on_open.append(Refresh(self.view, self.outputs))

        def tab_changed(session: Session, event: gr.SelectData) -> Updates:
            here = event.value == say.TITLE
            # not the nickname: a person may be typing it when this answer arrives
            return {self.timer: gr.Timer(active=here)} | (self.news_view(session) if here else {})

        shell.on(shell.tabs.select, tab_changed, [], [self.timer, *self.news], **QUIET)

    def _wire_members(self, shell: Shell) -> None:
        def join(session: Session, nickname: str) -> Updates:
            self.classroom.join(session, str(nickname or ""))
            return self.view(session)

        def leave(session: Session) -> Updates:
            self.classroom.leave(session)
            return self.view(session)

        def open_it(session: Session) -> Updates:
            actions.open_handed_out(self.classroom, session)
            return {self.note: page_html.hint(say.OPENED_HANDED)}

        entered = [self.join.click, self.nickname.submit]
        shell.on(entered, join, [self.nickname], self.outputs, **QUIET)
        shell.on(self.leave.click, leave, [], self.outputs, **QUIET)
        opened = shell.on(self.open.click, open_it, [], [self.note], show_progress_on=[self.note])
        shell.everything_events.append(opened)

    def _wire_teacher(self, shell: Shell) -> None:
        def enter(session: Session, code: str) -> Updates:
            self.classroom.teach(session, str(code or ""))
            return {self.code: ""} | self.view(session)

        def hand_out(session: Session, name: str) -> Updates:
            actions.hand_out(self.classroom, session, str(name or ""))
            return self.news_view(session)

        def vote(session: Session, path: str | None) -> Updates:
            if not path:
                return {}
            actions.vote(self.classroom, session, path)
            return self.news_view(session)

        entered = [self.enter.click, self.code.submit]
        shell.on(entered, enter, [self.code], [self.code, *self.outputs], **QUIET)
        shell.on(self.hand_out.click, hand_out, [self.chosen], self.news)
        shell.on(self.picture.input, vote, [self.picture], self.news, **LOOKS)
