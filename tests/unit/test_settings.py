"""Where things of the person are kept: in the user's folder, elsewhere, or nowhere."""

from pathlib import Path

import pytest

from coop_demo import settings


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COOP_DEMO_SESSIONS", "SPACE_ID", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("word", ["off", "OFF", " off "])
def test_off_keeps_nothing(monkeypatch, word):
    monkeypatch.setenv("COOP_DEMO_SESSIONS", word)
    assert settings.sessions_folder() is None


def test_a_named_folder_is_taken_also_on_a_space(monkeypatch, tmp_path):
    monkeypatch.setenv("COOP_DEMO_SESSIONS", str(tmp_path))
    monkeypatch.setenv("SPACE_ID", "someone/studio")
    assert settings.sessions_folder() == tmp_path


def test_on_a_space_nothing_outlives_the_container(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "someone/studio")
    assert settings.sessions_folder() is None


@pytest.mark.parametrize(
    ("platform", "below"),
    [
        ("linux", ".local/share"),
        ("darwin", "Library/Application Support"),
        ("win32", "AppData/Local"),
    ],
)
def test_each_platform_has_its_place(monkeypatch, tmp_path, platform, below):
    monkeypatch.setattr(settings.sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    assert settings.sessions_folder() == tmp_path / below / "coop-demo" / "sessions"


def test_a_relative_xdg_folder_is_passed_over_as_its_rules_say(monkeypatch, tmp_path):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(settings.sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert settings.sessions_folder().is_relative_to(tmp_path / ".local")
