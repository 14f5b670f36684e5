"""Processes of this computer: the results are those of one process, whatever happens to them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import torch
from archiving import (
    SIZE,
    KillingEngine,
    contents_of,
    dies,
    doubled,
    doubled_after_a_death,
    indexed,
    refuses,
    torch_threads,
    write_archive,
)

from coop_demo.archive.sources import open_source
from coop_demo.engines.engine import EngineError
from coop_demo.engines.local import LocalEngine, ThisProcess

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine():
    with LocalEngine(2) as engine:
        yield engine


def test_tasks_give_what_the_function_gives_and_raise_what_it_raises(engine):
    tasks = [engine.submit(doubled, n) for n in range(5)]
    assert [engine.get(task) for task in tasks] == [0, 2, 4, 6, 8]
    with pytest.raises(ValueError, match="not 3"):
        engine.get(engine.submit(refuses, 3))


def test_a_worker_has_one_thread(engine):
    assert engine.get(engine.submit(torch.get_num_threads)) == 1


def test_what_a_killed_worker_had_is_done_by_another(engine, tmp_path):
    flag = str(tmp_path / "killed")
    tasks = [engine.submit(doubled_after_a_death, n, flag) for n in range(4)]
    assert [engine.get(task) for task in tasks] == [0, 2, 4, 6]
    assert Path(flag).exists()


def test_a_task_that_always_kills_its_worker_is_given_up(monkeypatch):
    monkeypatch.setattr("coop_demo.engines.local.MOST_ATTEMPTS", 2)
    with LocalEngine(1) as engine, pytest.raises(EngineError, match="ended 2 times"):
        engine.get(engine.submit(dies, 1))


def test_an_index_is_the_same_after_a_worker_was_killed(engine, tmp_path):
    source = open_source(str(write_archive(tmp_path / "archive")))
    whole, _ = indexed(source, tmp_path / "whole", engine)
    killing = KillingEngine(engine, tmp_path / "killed")
    again, events = indexed(source, tmp_path / "again", killing)
    assert (tmp_path / "killed").exists()
    assert contents_of(again) == contents_of(whole)
    assert events[-1].n_partitions == -(-14 // SIZE)


def test_this_process_gives_the_index_that_workers_give(engine, tmp_path):
    source = open_source(str(write_archive(tmp_path / "archive")))
    with torch_threads(1):
        one, _ = indexed(source, tmp_path / "one", ThisProcess())
    two, _ = indexed(source, tmp_path / "two", engine)
    assert contents_of(one) == contents_of(two)


def test_workers_end_with_a_killed_driver(tmp_path):
    script = f"""
        import sys, time
        sys.path[:0] = [{str(TESTS.parent)!r}, {str(TESTS)!r}]
        from coop_demo.engines.local import LocalEngine
        import os
        if __name__ == "__main__":
            engine = LocalEngine(1)
            print(engine.get(engine.submit(os.getpid)), flush=True)
            time.sleep(60)
    """
    file = tmp_path / "driver.py"
    file.write_text(textwrap.dedent(script))
    driver = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    worker = int(driver.stdout.readline())
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 20
    while alive(worker):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")  # nobody may be there to collect it
    return not (status.exists() and "\nState:\tZ" in status.read_text())
