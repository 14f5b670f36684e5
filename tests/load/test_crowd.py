"""Thirty people for a minute: nobody gets another's answer, an error, or a stop that is not theirs.

How long they wait is told by `python tests/load/crowd.py`, not judged here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from crowd import MIX, Crowd

from coop_demo.recipes.serving import running_app

pytestmark = pytest.mark.slow

SECONDS = 60
STEPS = 60  # of a training, so that some end within the minute on a busy computer


def test_thirty_people_get_their_own_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COOP_DEMO_CACHE", "off")
    with running_app(tmp_path) as address:
        crowd = Crowd(address, tmp_path, steps=STEPS)
        crowd.prepare()
        crowd.run(MIX, SECONDS)
        crowd.check()
        assert crowd.report.wrong == []
        assert set(crowd.report.seconds) == set(MIX)
        assert sum(MIX.values()) == 30
