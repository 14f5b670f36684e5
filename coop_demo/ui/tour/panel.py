"""The strip between header and tabs that leads through the guided lesson, on every tab."""

from dataclasses import replace
from typing import Any

import gradio as gr

from coop_demo.languages import tour as say
from coop_demo.ui.context import QUIET, Refresh, Shell
from coop_demo.ui.session import Session
from coop_demo.ui.tour import html as tour_html
from coop_demo.ui.tour.state import Tour
from coop_demo.ui.tour.steps import STEPS
from coop_demo.ui.windows import Updates

#: opens what is closed on the way to where a step is done, and shows the place
_LEAD = """
async () => {
  const note = document.querySelector('[data-way]');
  if (!note) return;
  const way = note.dataset.way.split('|');
  const find = (selector) => {
    const found = document.querySelector(selector);
    return found && found.checkVisibility() ? found : null;
  };
  const wait = async (selector) => {
    for (let n = 0; n < 20; n++) {
      if (find(selector)) return find(selector);
      await new Promise((done) => setTimeout(done, 100));
    }
    return null;
  };
  const goal = way.pop();
  await new Promise((done) => setTimeout(done, 200));
  for (const selector of way) if (!find(goal)) (await wait(selector))?.click();
  const place = await wait(goal);
  if (!place) return;
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  place.scrollIntoView({block: 'center', behavior: still ? 'auto' : 'smooth'});
  place.classList.add('cs-place');
  setTimeout(() => place.classList.remove('cs-place'), 4000);
  const field = place.matches('button, input') ? place : place.querySelector('button, input');
  field?.focus({preventScroll: true});
}
"""


class TourPanel:
    """An invitation; after it was taken, the step at hand."""

    def __init__(self) -> None:
        with gr.Row(elem_classes="cs-tour", elem_id="tour"):
            self.words = gr.HTML(tour_html.invitation(), padding=False, elem_id="tour-step")
            with gr.Row(elem_classes="cs-tour-buttons"):
                self.begin = _small(say.BEGIN, "tour-begin")
                self.there = _small(say.THERE, "tour-there", visible=False)
                self.next = _small(say.SKIP, "tour-next", visible=False)
                self.leave = _small(say.LEAVE, "tour-leave", visible=False)

    @property
    def outputs(self) -> list[Any]:
        return [self.words, self.begin, self.there, self.next, self.leave]

    def view(self, session: Session) -> Updates:
        tour = session.tour
        if tour is None:
            return {
                self.words: tour_html.invitation(),
                self.begin: gr.update(visible=True),
                self.there: gr.update(visible=False),
                self.next: gr.update(visible=False),
                self.leave: gr.update(visible=False),
            }
        is_over = tour.at >= len(STEPS)
        is_done = not is_over and STEPS[tour.at].key in tour.done
        return {
            self.words: tour_html.step(session, tour),
            self.begin: gr.update(visible=False),
            self.there: gr.update(visible=not is_over and not is_done),
            self.next: gr.update(
                value=say.NEXT if is_done else say.SKIP,
                variant="primary" if is_done else "secondary",
                visible=not is_over,
            ),
            self.leave: gr.update(value=say.CLOSE if is_over else say.LEAVE, visible=True),
        }

    def news(self, session: Session) -> Updates:
        """Updates when what was just done is what the step asks for; else none."""
        tour = session.tour
        if tour is None or tour.at >= len(STEPS):
            return {}
        step = STEPS[tour.at]
        if step.key in tour.done or not step.is_done(session):
            return {}
        session.tour = replace(tour, done=(*tour.done, step.key))
        return self.view(session)

    def wire(self, shell: Shell) -> None:
        def begin(session: Session) -> Updates:
            session.tour = Tour()
            return self.view(session)

        def go_on(session: Session) -> Updates:
            if session.tour is not None:
                session.tour = replace(session.tour, at=min(session.tour.at + 1, len(STEPS)))
            return self.view(session)

        def leave(session: Session) -> Updates:
            session.tour = None
            return self.view(session)

        def lead(session: Session) -> Updates:
            tour = session.tour
            if tour is None or tour.at >= len(STEPS):
                return {}
            step = STEPS[tour.at]
            opened = {shell.tabs: gr.update(selected=step.tab)}
            if step.panel:
                opened[shell.panels] = gr.update(selected=step.panel)
            return self.view(session) | opened

        shell.on(self.begin.click, begin, [], self.outputs, **QUIET)
        shell.on(self.next.click, go_on, [], self.outputs, **QUIET)
        shell.on(self.leave.click, leave, [], self.outputs, **QUIET)
        there = shell.on(
            self.there.click, lead, [], [*self.outputs, shell.tabs, shell.panels], **QUIET
        )
        there.success(None, None, None, js=_LEAD, api_visibility="private")
        shell.on_open.append(Refresh(self.view, self.outputs))


def _small(label: str, elem_id: str, **more: Any) -> gr.Button:
    return gr.Button(label, size="sm", min_width=90, scale=0, elem_id=elem_id, **more)
