"""German says all that English says: the same names, the same things in every sentence."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from english_sentences import errors_of_the_core, filled, sentences_that_are_kept
from said_too_early import said_too_early

from coop_demo import samples
from coop_demo.backbones.catalog import list_models
from coop_demo.comparison.methods import COMPARISON_METHODS
from coop_demo.languages import MODULES, OTHERS, said, speaking, strings_of

PAIRS = [(language, module) for language in OTHERS for module in MODULES]

#: the same in both languages, which is right
SAME = {
    "APP_NAME",
    "LEARNED",  # of charts, where it is the name of a colour
    "SHOTS_LABEL",
    "SHOTS_TAB",
    "SEED_LABEL",
    "CODE_LABEL",
}


def own(module: ModuleType) -> dict[str, Any]:
    """What a module of strings says: its constants and functions without those it imports."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and not inspect.isclass(value)
        and getattr(value, "__module__", module.__name__).startswith("coop_demo.languages")
    }


@pytest.mark.parametrize(("language", "module"), PAIRS)
def test_every_string_is_there_with_the_same_parameters(language: str, module: str) -> None:
    english, other = strings_of("en", module), strings_of(language, module)
    missing = {name for name in own(english) if not hasattr(other, name)}
    assert missing == set()
    for name, value in own(english).items():
        if inspect.isfunction(value):
            there = inspect.signature(getattr(other, name)).parameters
            assert list(there) == list(inspect.signature(value).parameters), name
        elif isinstance(value, dict):
            assert list(value) == list(getattr(other, name)) or list(value.values()) == list(
                getattr(other, name).values()
            ), name
        elif isinstance(value, list | tuple):
            assert len(value) == len(getattr(other, name)), name


@pytest.mark.parametrize(("language", "module"), PAIRS)
def test_no_string_was_left_in_english(language: str, module: str) -> None:
    english, other = strings_of("en", module), strings_of(language, module)
    left = {
        name
        for name, value in own(english).items()
        if isinstance(value, str)
        and name not in SAME
        and re.search("[a-z]{3}", value)
        and getattr(other, name) == value
    }
    assert left == set()


@pytest.mark.parametrize(("language", "module"), PAIRS)
def test_a_sentence_names_all_that_the_english_one_names(language: str, module: str) -> None:
    """Every value that the English function puts into its sentence is in the other's, too."""
    english, other = strings_of("en", module), strings_of(language, module)
    lost: dict[str, set[str]] = {}
    for name, function in own(english).items():
        if not inspect.isfunction(function):
            continue
        given = _values(function)
        if given is None:
            continue
        try:
            sentence = function(**given)
        except (AttributeError, TypeError, KeyError, ValueError):
            continue  # it takes more than plain values
        if not isinstance(sentence, str):
            continue
        there = getattr(other, name)(**given)
        lost[name] = {mark for mark in _marks(sentence) if mark not in _marks(there)}
    assert len(lost) > 0 or module == "comparison"
    assert {name: marks for name, marks in lost.items() if marks} == {}


def _values(function: Any) -> dict[str, Any] | None:
    """A value for each parameter that can be found again in the sentence."""
    found: dict[str, Any] = {}
    for at, (name, one) in enumerate(inspect.signature(function).parameters.items()):
        kind = one.annotation.__name__ if isinstance(one.annotation, type) else str(one.annotation)
        if kind == "str":
            found[name] = f"Wort{chr(65 + at)}"
        elif kind == "int":
            found[name] = 11 + 7 * at
        elif kind.startswith("float"):
            found[name] = 0.11 + 0.07 * at
        elif kind == "bool":
            found[name] = False
        elif "Sequence[str]" in kind or kind in ("list", "list[str]", "tuple[str, ...]"):
            found[name] = ["WortX", "WortY"]
        else:
            return None
    return found


def _marks(sentence: str) -> set[str]:
    """Words and numbers in it that came from outside; a decimal comma is a point."""
    text = re.sub(r"(?<=\d),(?=\d)", ".", sentence)
    return set(re.findall(r"Wort[A-Z]|\d+(?:\.\d+)?", text))


@pytest.mark.parametrize("language", OTHERS)
def test_every_error_of_the_core_is_known(language: str) -> None:
    """A sentence the page may show comes out in the language, whatever stands in its gaps."""
    with speaking(language):
        unknown = [
            one for template in errors_of_the_core() for one in filled(template) if said(one) == one
        ]
    assert unknown == []


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_that_is_kept_is_known(language: str) -> None:
    with speaking(language):
        unknown = [one for one in sentences_that_are_kept() if said(one) == one]
    assert unknown == []


@pytest.mark.parametrize("language", OTHERS)
def test_samples_models_and_methods_are_known(language: str) -> None:
    shown = [m.title for m in COMPARISON_METHODS.values()]
    shown += [part for s in samples.sample_sets() for part in (s.title, s.description, s.expect)]
    shown += [m.title for m in list_models() if ":" in m.title] + [m.note for m in list_models()]
    with speaking(language):
        unknown = [one for one in shown if one and said(one) == one]
    assert unknown == ["Tip-Adapter"]


def test_gaps_are_put_into_the_language_and_names_stay() -> None:
    with speaking("de"):
        assert said('Class "one picture" has 1 picture; 2 or more are needed to train. Add '
                    "pictures or remove the class.") == (
            "Klasse „one picture“ hat 1 Bild; zum Trainieren braucht es mindestens 2. Nehmen Sie "
            "Bilder dazu, oder entfernen Sie die Klasse."
        )  # fmt: skip
        assert said("Completed all 1,200 steps in 2.5 s.") == (
            "Alle 1.200 Schritte in 2,5 s durchlaufen."
        )
        assert said("Something nobody has translated.") == "Something nobody has translated."
    assert said("Add pictures.") == "Add pictures."


def test_several_sentences_in_a_row_are_each_put_into_the_language() -> None:
    with speaking("de"):
        assert said(
            "It ended after 10 minutes, the longest one training may take here. Stopped at step "
            "7 of 90. The best prompt so far is kept."
        ) == (
            "Nach 10 Minuten war Schluss, länger darf ein Training hier nicht dauern. Bei Schritt "
            "7 von 90 angehalten. Der bisher beste Prompt ist aufgehoben."
        )


def test_strings_are_looked_up_when_they_are_said() -> None:
    """Not where a module is loaded nor as a default: those would be in one language for all."""
    package = Path(samples.__file__).parent
    assert [found for path in package.rglob("*.py") for found in said_too_early(path)] == []
