"""The one way a long job runs: claimed, shown, stopped, ended; also when its person has left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
import pytest

from coop_demo.errors import UserError
from coop_demo.languages import page as strings
from coop_demo.ui import job as job_module
from coop_demo.ui.context import Shell
from coop_demo.ui.job import LongJob
from coop_demo.ui.line import Line
from coop_demo.ui.progress import Pace, Progress
from coop_demo.ui.session import Session
from coop_demo.ui.store import SessionStore


class Bench:
    """A page with nothing but a job on it."""

    def __init__(self, job: Callable[[Session], Iterator[Any]]) -> None:
        self.store = SessionStore("mini")
        self.session = self.store.open(None)
        with gr.Blocks() as page:
            shell = Shell(self.store, gr.BrowserState(None))
            self.job = LongJob("Go", go_id="go", stop_id="stop", status_id="status")
            self.result = gr.HTML()
            self.job.wire(
                shell,
                job,
                [],
                [self.result],
                begun={self.result: ""},
                shown=lambda session, progress: {},
                ended=lambda session, failed: {self.result: "failed" if failed else "done"},
            )
        self._run, self._stop = (function.fn for function in page.fns.values())
        self._request = gr.Request(session_hash="one")

    def run(self) -> Any:
        return self._run(self._request, self.session.key)  # type: ignore[misc]

    def stop(self) -> Any:
        return self._stop(self._request, self.session.key)  # type: ignore[misc]


def three_steps(session: Session) -> Iterator[Any]:
    for number in range(3):
        if session.stop.is_set():
            return
        yield Progress(f"step {number}", number / 3)


def test_it_is_claimed_shown_and_released() -> None:
    bench = Bench(three_steps)
    first, *steps, last = bench.run()
    assert strings.PREPARING in first[bench.job.status]
    assert first[bench.job.stop]["interactive"]
    assert ["step" in one[bench.job.status] for one in steps] == [True] * 3
    assert last[bench.result] == "done"
    assert last[bench.job.status] == ""
    assert last[bench.job.go]["interactive"]
    assert not last[bench.job.stop]["interactive"]
    assert not bench.session.training


def test_who_waits_is_told_the_place_and_comes_to_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(at_once=1)
    monkeypatch.setattr(job_module, "TRAININGS", line)
    bench = Bench(three_steps)
    with line.join():
        answers = bench.run()
        assert strings.PREPARING in next(answers)[bench.job.status]
        assert "You are next" in next(answers)[bench.job.status]
    *steps, last = answers
    assert ["step" in one[bench.job.status] for one in steps] == [True] * 3
    assert last[bench.result] == "done"


def test_who_stops_while_waiting_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(at_once=1)
    monkeypatch.setattr(job_module, "TRAININGS", line)
    bench = Bench(three_steps)
    with line.join(), line.join() as second:
        answers = bench.run()
        next(answers)
        assert "1 person before you" in next(answers)[bench.job.status]
        bench.stop()
        *_, last = answers
        assert strings.STOPPED_IN_LINE in last[bench.job.status]
        assert second.number == 1
    assert not bench.session.training
    with line.join() as next_one:
        assert next_one.number == 0


def test_a_last_word_stays() -> None:
    bench = Bench(lambda session: iter([Progress("step", 0.5), Progress("All of it.")]))
    *_, last = bench.run()
    assert "All of it." in last[bench.job.status]


def test_only_one_at_a_time() -> None:
    bench = Bench(three_steps)
    running = bench.run()
    next(running)
    (refused,) = bench.run()
    assert "already running" in refused[bench.job.status]
    assert bench.result not in refused
    assert len(list(running)) == 4  # the first one goes on


def test_stop_ends_it() -> None:
    bench = Bench(three_steps)
    running = bench.run()
    next(running)
    next(running)
    assert bench.stop() == {bench.job.stop: gr.update(interactive=False)}
    (last,) = running
    assert last[bench.result] == "done"


@pytest.mark.parametrize("began", [False, True])
def test_an_error_is_a_sentence_and_releases_it(began: bool) -> None:
    def fails(session: Session) -> Iterator[Any]:
        def events() -> Iterator[Any]:
            yield Progress("step", 0.5)
            raise UserError("No pictures.")

        if not began:
            raise UserError("No pictures.")
        return events()

    bench = Bench(fails)
    *_, last = bench.run()
    assert "No pictures." in last[bench.job.status]
    assert last.get(bench.result) == ("failed" if began else None)
    assert not bench.session.training


def test_a_person_who_leaves_ends_it_too() -> None:
    closed = []

    def job(session: Session) -> Iterator[Any]:
        try:
            while True:
                yield Progress("step", 0.5)
        finally:
            closed.append(session.training)

    bench = Bench(job)
    running = bench.run()
    for _ in range(3):
        next(running)
    running.close()
    assert closed == [True]  # it ends before another one may begin
    assert not bench.session.training


def test_a_pace_is_due_at_once_and_then_once_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = Pace(2.0)
    assert pace.is_due()
    now[0] += 1.0
    assert not pace.is_due()
    now[0] += 1.5
    assert pace.is_due()
