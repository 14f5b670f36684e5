"""The real app in a process of its own, for tests of the page and pictures of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from coop_demo.settings import PROJECT_DIR

START_SECONDS = 240  # generous: a busy computer imports torch slowly


@contextmanager
def running_app(folder: Path, *options: str) -> Iterator[str]:
    """Start `python app.py`, wait until the page answers, give its address, and end it."""
    port = free_port()
    process = start_app(folder, port, *options)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        end_app(process)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_app(
    folder: Path, port: int, *options: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Start `python app.py` and wait until the page answers."""
    log = folder / "app.log"
    variables = os.environ | {
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "HF_HOME": str(folder / "no-models"),  # the same list of models on every computer
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody answers there: as without a network
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "COOP_DEMO_SESSIONS": "off",  # nothing goes among what people made
        **(environment or {}),
    }
    with log.open("a") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port), *options],
            cwd=PROJECT_DIR,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/", process, log)
    except BaseException:
        end_app(process)
        raise
    return process


def end_app(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended by itself:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"app.py did not answer within {START_SECONDS} s:\n{log.read_text()}")
