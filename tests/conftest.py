"""Fixtures that every kind of test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["COOP_DEMO_CACHE"] = "off"  # no test reads or fills the cache of whoever runs it
os.environ["COOP_DEMO_SESSIONS"] = "off"  # nor keeps anything beside what that person made

import coop_demo  # noqa: F401  # before any test loads torch: decides how its threads wait


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever starts the app is slow: a process that loads everything, then real requests."""
    for item in items:
        if "app_address" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of the development picture sets and golden files; the test is skipped without it.

    Looked for in COOP_DEMO_SHARED, else in a folder `shared` beside the checkout.
    """
    named = os.environ.get("COOP_DEMO_SHARED", "").strip()
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(
            f"development data not found: {folder} is not a folder (set COOP_DEMO_SHARED to it)"
        )
    return folder
