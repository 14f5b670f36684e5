"""What pip installs, and a command line that answers before torch has been loaded."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from coop_demo import __version__
from coop_demo.__main__ import COMMANDS, main

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = ("assets", "checkpoints")  # beside the package here, inside it once installed


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["tain"], []])
def test_no_torch_is_loaded_before_a_command_is_chosen(arguments):
    script = (
        "import sys\n"
        "from coop_demo.__main__ import main\n"
        "try:\n"
        f"    main({arguments!r})\n"
        "except SystemExit:\n"
        "    print('torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "False"


def test_help_names_every_command_and_what_it_does(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    for name, line in COMMANDS.items():
        assert name in said
        assert line in said


def test_every_command_has_a_module_and_every_module_is_a_command():
    folder = PROJECT / "coop_demo" / "commands"
    shared = {"__init__", "common", "engines"}
    shared |= {"explain_order", "rank_top"}  # parts of explain and rank
    files = {path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem not in shared}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_lists_its_options(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    said = capsys.readouterr().out
    module = importlib.import_module(f"coop_demo.commands.{name.replace('-', '_')}")
    assert " ".join(said.split()).find(" ".join(module.__doc__.split())) > 0
    assert "--json" in said


def test_the_help_of_train_says_its_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    said = capsys.readouterr().out
    for option in ("--shots", "--context-length", "--preset", "--kgcoop", "--out", "--backbone"):
        assert option in said
    assert "training pictures a class (16)" in said


def test_an_unknown_command_is_answered_with_the_list(capsys):
    with pytest.raises(SystemExit) as left:
        main(["tain"])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert [name for name in COMMANDS if name not in said] == []


@pytest.fixture(scope="module")
def configuration() -> dict:
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def test_pip_installs_every_package_and_the_folders_that_ship(configuration):
    files = (PROJECT / "coop_demo").rglob("__init__.py")
    packages = {".".join(path.parent.relative_to(PROJECT).parts) for path in files}
    named = configuration["tool"]["setuptools"]["packages"]
    assert set(named) == packages | {f"coop_demo.{name}" for name in SHIPPED}
    folders = configuration["tool"]["setuptools"]["package-dir"]
    assert [folders[f"coop_demo.{name}"] for name in SHIPPED] == list(SHIPPED)


def test_there_is_one_version_number(configuration, capsys):
    assert "version" not in configuration["project"]
    assert configuration["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "coop_demo.__version__"
    }
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"CoOp Studio {__version__}\n"


def test_folders_that_ship_are_found_in_a_checkout_and_once_installed(tmp_path):
    for place in ("", "coop_demo"):
        project = tmp_path / (place or "checkout")
        package = project / "coop_demo"
        package.mkdir(parents=True)
        for name in SHIPPED:
            (project / place / name).mkdir()
        for name in ("__init__.py", "threads.py", "settings.py"):
            (package / name).write_bytes((PROJECT / "coop_demo" / name).read_bytes())
        script = "from coop_demo.settings import *; print(ASSETS_DIR, CHECKPOINT_DIR, sep='\\n')"
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == [str(project / place / name) for name in SHIPPED]
