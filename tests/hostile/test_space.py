"""The app as a ZeroGPU Space runs it: each job in a forked process, all it is given by pickle."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from coop_demo.settings import PROJECT_DIR

SPACES = '''
"""A stand-in for ZeroGPU's package: jobs run in a forked process, everything goes by pickle."""
import inspect, os, pickle, struct

jobs = []

def _send(pipe, value):
    data = pickle.dumps(value)
    os.write(pipe, struct.pack("<Q", len(data)))
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view):]

def _receive(pipe):
    def exactly(n):
        data = b""
        while len(data) < n:
            part = os.read(pipe, n - len(data))
            if not part:
                raise EOFError("the job ended without a word")
            data += part
        return data
    return pickle.loads(exactly(struct.unpack("<Q", exactly(8))[0]))

def _child(function, packed, pipe):
    args, kwargs = pickle.loads(packed)
    try:
        result = function(*args, **kwargs)
        if inspect.isgenerator(result):
            for value in result:
                _send(pipe, ("yield", value))
            _send(pipe, ("end", None))
        else:
            _send(pipe, ("end", result))
    except BaseException as error:
        _send(pipe, ("error", error))
    os._exit(0)

def _forked(function, args, kwargs):
    packed = pickle.dumps((args, kwargs))
    reading, writing = os.pipe()
    jobs.append(function.__name__)
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(function, packed, writing)
    os.close(writing)
    try:
        while True:
            kind, value = _receive(reading)
            if kind == "error":
                raise value
            if kind == "end":
                return value
            yield value
    finally:
        os.close(reading)
        os.kill(child, 9)
        os.waitpid(child, 0)

def gradio_auto_wrap(function):
    return function

def GPU(function=None, duration=60):
    def decorate(function):
        def seconds(args):
            assert callable(duration) is False or duration(*args) <= 120
        if inspect.isgeneratorfunction(function):
            def stream(*args, **kwargs):
                seconds(args)
                yield from _forked(function, args, kwargs)
            return stream
        def call(*args, **kwargs):
            seconds(args)
            job = _forked(function, args, kwargs)
            try:
                next(job)
            except StopIteration as end:
                return end.value
            raise AssertionError("yielded")
        return call
    return decorate(function) if function else decorate
'''

SCRIPT = """
import threading, time
import app
import spaces
from coop_demo.backbones.batches import SHARED_BATCHES
from coop_demo.backbones.features import SHARED_CACHE
from coop_demo.settings import ASSETS_DIR, cache_folder, sessions_folder
from coop_demo.turns import TURNS
from coop_demo.ui.api import Endpoints
from coop_demo import runtime

assert cache_folder() is None and sessions_folder() is None
page = app.build_demo()
assert page is not None
endpoints = Endpoints("mini")
picture = str(ASSETS_DIR / "samples" / "scenes" / "pictures" / "01.jpg")
runtime.shared_backbone("mini")
assert runtime.pick_device() == "cpu"

# somebody else is busy at every fork: their locks must not stop the child
over = threading.Event()
def busy():
    while not over.is_set():
        with TURNS.long(), SHARED_CACHE._lock, SHARED_BATCHES._lock, runtime._lock:
            time.sleep(0.05)
        time.sleep(0.002)
others = threading.Thread(target=busy, daemon=True)
others.start()

import shutil, tempfile
keep = tempfile.mkdtemp()
for answer, saved in endpoints.teach(sample="biscuits", shots=2, steps=3,
        context_length=4, position="end", preset="fast", seed=1):
    if saved:
        prompt = shutil.copy(saved, keep)
assert answer["status"] == "done", answer
said = endpoints.predict(prompt, picture)
assert said["status"] == "done", said
*_, (answer, table) = endpoints.rank(sample="counting", instruction="Rank the numbers of apples.")
assert answer["status"] == "done", answer
*_, (answer, maps) = endpoints.explain(picture, "zebra", "zebra, guitar")
assert answer["status"] == "done", answer
*_, (answer, ranker) = endpoints.teach_ranker(sample="counting", steps=2, seed=1)
assert answer["status"] == "done", answer
*_, answer = endpoints.compare(sample="biscuits", methods="learned, gda", shots=2, steps=2,
    preset="fast", seed=1, context_length=4)
assert answer["status"] == "done", answer
assert len(answer["methods"]) == 3, answer
over.set()
print(sorted(set(spaces.jobs)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="ZeroGPU runs on Linux")
def test_everything_works_in_forked_jobs(tmp_path: Path) -> None:
    (tmp_path / "spaces.py").write_text(SPACES, encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("COOP_DEMO_")
    } | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{PROJECT_DIR}",
        "SPACE_ID": "somebody/coop-studio",
        "SYSTEM": "spaces",
        "SPACES_ZERO_GPU": "1",
        "HOME": str(tmp_path / "home"),
        "COOP_DEMO_DEVICE": "cpu",
        "GRADIO_TEMP_DIR": str(tmp_path / "uploads"),
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=PROJECT_DIR,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    jobs = done.stdout.strip().splitlines()[-1]
    assert {
        "_teach_events",
        "_try",
        "_score_events",
        "maps_of",
        "checks_of",
        "_comparison_events",
    } <= set(re.findall(r"\w+", jobs))
    assert not (tmp_path / "home").exists(), "something was kept beside the container's own"


def front_matter() -> dict[str, str]:
    text = (PROJECT_DIR / "README.md").read_text(encoding="utf-8")
    head = text.split("---\n")[1]
    return {
        name: value.strip()
        for name, _, value in (line.partition(":") for line in head.splitlines() if line.strip())
    }


def test_the_front_matter_is_what_a_space_reads() -> None:
    import gradio

    found = front_matter()
    assert found["sdk"] == "gradio"
    assert found["sdk_version"] == gradio.__version__
    assert (PROJECT_DIR / found["app_file"]).is_file()
    assert found["license"] == "apache-2.0"
    assert len(found["short_description"]) <= 60
    colours = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
    assert {found["colorFrom"], found["colorTo"]} <= set(colours)


def test_no_file_is_too_large_for_a_space_without_lfs() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT_DIR, capture_output=True, text=True
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    files = [PROJECT_DIR / name for name in listed.stdout.split("\0") if name]
    large = [path.name for path in files if path.is_file() and path.stat().st_size > 10 * 2**20]
    assert large == []
