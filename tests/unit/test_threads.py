"""Threads sleep while they wait, whoever starts first, unless a person has said otherwise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coop_demo.threads import SPIN_COUNT, let_threads_sleep

PROJECT = Path(__file__).resolve().parents[2]
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def after_importing(module: str, **own: str) -> dict:
    """What a fresh process has in its environment, and whether it has torch, after an import."""
    script = (
        f"import {module}, json, os, sys; "
        f"print(json.dumps([[os.environ.get(n) for n in {NAMES}], 'torch' in sys.modules]))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | own
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    values, torch = json.loads(done.stdout)
    return dict(zip(NAMES, values, strict=True)) | {"torch": torch}


def test_importing_the_package_decides_before_torch_is_there():
    found = after_importing("coop_demo")
    assert found == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": SPIN_COUNT, "torch": False}


def test_a_module_inside_the_package_decides_too():
    assert after_importing("coop_demo.settings")["OMP_WAIT_POLICY"] == "PASSIVE"


@pytest.mark.parametrize(
    ("own", "kept"),
    [
        ({"GOMP_SPINCOUNT": "7"}, {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        (
            {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "7"},
            {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "7"},
        ),
    ],
)
def test_what_a_person_has_set_is_kept(own, kept):
    environment = dict(own)
    let_threads_sleep(environment)
    assert environment == kept


def test_a_persons_own_value_is_kept_on_import():
    assert after_importing("coop_demo", GOMP_SPINCOUNT="7")["GOMP_SPINCOUNT"] == "7"


def test_the_page_decides_before_anything_of_its_own_loads_torch():
    lines = (PROJECT / "app.py").read_text(encoding="utf-8").splitlines()
    imports = [line.split()[1] for line in lines if line.strip().startswith(("import ", "from "))]
    assert imports[:4] == ["contextlib", "os", "coop_demo", "spaces"]


def test_the_tests_themselves_run_with_it():
    assert "OMP_WAIT_POLICY" in os.environ
