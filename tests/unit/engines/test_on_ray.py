"""Ray with two workers: the numbers of one process, whatever happens, open to nobody else."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from archiving import (
    KillingEngine,
    contents_of,
    doubled_after_a_death,
    indexed,
    open_tiny,
    refuses,
    torch_threads,
    write_archive,
)
from comparing import write_set

from coop_demo.archive.index import open_index
from coop_demo.archive.sources import FolderSource, open_source
from coop_demo.comparison.grid import benchmark
from coop_demo.engines import on_ray
from coop_demo.engines.engine import EngineError, Need
from coop_demo.engines.local import LocalEngine, ThisProcess
from coop_demo.engines.on_ray import RayEngine
from coop_demo.errors import ArchiveError
from coop_demo.prompts.learner import PromptConfig

ray_is_here = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not ray_is_here, reason="ray is not installed (the extra scale)")
pytestmark = pytest.mark.slow
TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def engine():
    with RayEngine(workers=2, memory=100 * 2**20) as engine:
        yield engine


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "archive")


@pytest.fixture
def whole(archive, tmp_path):
    """What one process gives that nothing happened to."""
    with torch_threads(1):
        index, _ = indexed(open_source(str(archive)), tmp_path / "whole", ThisProcess())
    return contents_of(index)


def test_without_ray_the_sentence_says_what_to_install(monkeypatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(on_ray.importlib, "import_module", missing)
    with pytest.raises(EngineError, match=r"coop-demo\[scale\]"):
        RayEngine()


@needs_ray
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_every_port_is_open_to_this_computer_only_and_asks_for_a_token(engine):
    session = processes_of_ray()
    found = listening(session | {os.getpid()})
    assert len(found) >= 3  # of the raylet, the object store and more: the test sees them
    assert {address for address in found.values() if address != "127.0.0.1"} == set()
    assert not [pid for pid in session if "dashboard.py" in command_of(pid)]
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


@needs_ray
def test_a_killed_task_is_done_again_and_an_error_comes_as_it_is(engine, tmp_path):
    flag = str(tmp_path / "killed")
    tasks = [engine.submit(doubled_after_a_death, n, flag) for n in range(3)]
    assert [engine.get(task) for task in tasks] == [0, 2, 4]
    assert Path(flag).exists()
    with pytest.raises(ValueError, match="not 3"):
        engine.get(engine.submit(refuses, 3))


class Unmounted:
    """Lists as before, and finds nothing when it is read."""

    def __init__(self, source: FolderSource) -> None:
        self.name, self.entries, self.check = source.name, source.entries, source.check

    def read(self, path: str) -> bytes:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)


@needs_ray
def test_one_fault_after_the_other_and_the_index_is_what_it_would_have_been(
    engine, archive, tmp_path, whole, monkeypatch
):
    source, folder = FolderSource(str(archive)), tmp_path / "index"

    with pytest.raises(ArchiveError, match="still there"):  # a vanished mount
        indexed(Unmounted(source), folder, engine)
    assert open_index(folder).numbers() == []

    sync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr("coop_demo.archive.index.os.fsync", full)  # a full disk
    with pytest.raises(ArchiveError, match="No space left"):
        indexed(source, folder, engine)
    monkeypatch.undo()

    index = open_index(folder)
    (first,) = index.numbers()
    data = bytearray(index.path_of(first).read_bytes())
    data[len(data) // 3] ^= 1
    index.path_of(first).write_bytes(data)  # a corrupt partition

    killing = KillingEngine(engine, tmp_path / "killed")  # and a killed worker
    again, events = indexed(source, folder, killing)
    assert (tmp_path / "killed").exists()
    assert events[-1].damaged == (first,)
    assert events[-1].n_partitions == len(whole)
    assert contents_of(again) == whole


@needs_ray
def test_the_rows_of_a_grid_are_those_of_local_workers_and_either_resumes(engine, tmp_path):
    write_set(tmp_path / "sets" / "colours", names=("red", "blue"), train=3, test=3)
    options = {
        "shots": (1, 2),
        "seeds": (1, 2),
        "methods": ("hand-crafted", "class-mean", "learned"),
        "steps": 3,
        "prompt_config": PromptConfig(n_ctx=2),
        "open_backbone": open_tiny,
    }

    def rows(out: Path, engine, **changed) -> str:
        given = {**options, **changed}
        list(
            benchmark(open_tiny(), tmp_path / "sets", ["colours"], out=out, engine=engine, **given)
        )
        lines = out.read_text().splitlines()
        return "\n".join(",".join(without_seconds(line)) for line in lines)

    by_ray = rows(tmp_path / "ray.csv", engine)
    assert len(by_ray.splitlines()) == 1 + 1 + 2 * 2 * 2
    with LocalEngine(2) as local:
        part = rows(tmp_path / "both.csv", local, shots=(1,))
    assert len(part.splitlines()) == 1 + 1 + 2 * 2
    assert rows(tmp_path / "both.csv", engine) == by_ray


def without_seconds(line: str) -> list[str]:
    cells = line.split(",")
    return [*cells[:11], *cells[13:]]


@needs_ray
def test_after_a_killed_driver_the_rest_is_done_and_its_ray_ends(archive, tmp_path, whole):
    folder = tmp_path / "index"
    script = f"""
        import sys, time
        sys.path[:0] = [{str(TESTS.parent)!r}, {str(TESTS)!r}]
        from archiving import SIZE
        from archiving import open_tiny
        from coop_demo.archive.index import new_index
        from coop_demo.archive.indexing import make_index
        from coop_demo.archive.sources import FolderSource, open_source
        from coop_demo.engines.on_ray import RayEngine
        if __name__ == "__main__":
            index = new_index({str(folder)!r}, open_tiny())
            source = open_source({str(archive)!r})
            with RayEngine(workers=2, memory=100 * 2**20) as engine:
                for event in make_index(source, index, open_tiny, engine, partition=SIZE):
                    print(event.partition, flush=True)
                    time.sleep(60)
    """
    file = tmp_path / "driver.py"
    file.write_text(textwrap.dedent(script))
    before = processes_of_ray()
    driver = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    first = int(driver.stdout.readline())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert open_index(folder).numbers() == [first]
    deadline = time.monotonic() + 30
    while left := processes_of_ray() - before:
        assert time.monotonic() < deadline, [command_of(pid) for pid in left]
        time.sleep(0.2)
    with torch_threads(1):
        again, events = indexed(open_source(str(archive)), folder, ThisProcess())
    assert contents_of(again) == whole
    assert events[-1].n_partitions == len(whole) - 1


@needs_ray
def test_a_share_of_a_gpu_that_is_not_there_is_refused(engine):
    with pytest.raises(EngineError, match="knows of none"):
        RayEngine(need=Need(1, 0.5))


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def processes_of_ray() -> set[int]:
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if of_ray(pid)}


def of_ray(pid: int) -> bool:
    command = command_of(pid)
    # Ray's agents notice a minute later that they are alone
    ours = command.startswith("ray::") and "Agent" not in command.split()[0]
    return ours or "/ray/core/" in command or "/ray/_private/" in command


def listening(pids: set[int]) -> dict[int, str]:
    """Ports that these processes listen on, with the address each is bound to."""
    sockets = set()
    for pid in pids:
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        sockets |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = {}
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A" and cells[9] in sockets:
                address, port = cells[1].split(":")
                local = address in ("0100007F", "0000000000000000FFFF00000100007F")
                found[int(port, 16)] = "127.0.0.1" if local else address
    return found
