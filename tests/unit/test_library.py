"""The package from Python: what a script of ten lines does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from images import coloured

import coop_demo
from coop_demo.errors import PictureError, PromptError, UserError

RED, BLUE = (200, 40, 40), (40, 40, 200)


@pytest.fixture(scope="module")
def backbone():
    return coop_demo.load_backbone()


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("colours")
    for name, colour in (("brick", RED), ("sky", BLUE)):
        (folder / name).mkdir()
        for seed in range(4):
            coloured(colour, seed).save(folder / name / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def taught(backbone, colours: Path):
    return coop_demo.train_prompt(backbone, coop_demo.load_dataset(colours), steps=5, shots=2)


def test_a_prompt_is_learned_saved_loaded_and_asked(backbone, colours, taught, tmp_path):
    assert taught.learned_accuracy is not None
    path = coop_demo.save_prompt(taught.prompt, tmp_path / "colours.safetensors")
    prompt = coop_demo.load_prompt(path, backbone)
    images = [colours / "sky" / "0.png", colours / "brick" / "0.png"]
    answers = coop_demo.predict(backbone, prompt, images)
    assert [answer.image for answer in answers] == [str(image) for image in images]
    for answer in answers:
        assert set(answer.learned) == {"brick", "sky"}
        assert sum(answer.learned.values()) == pytest.approx(1, abs=1e-4)
        assert answer.learned[answer.best] == max(answer.learned.values())
    again = coop_demo.predict(backbone, taught.prompt, images)
    assert [one.learned for one in again] == [one.learned for one in answers]


def test_progress_is_told_and_stops_by_an_exception(backbone, colours):
    class Enough(Exception):
        pass

    def tell(event) -> None:
        if getattr(event, "step", 0) == 2:
            raise Enough

    with pytest.raises(Enough):
        coop_demo.train_prompt(
            backbone, coop_demo.load_dataset(colours), steps=50, shots=2, progress=tell
        )


def test_images_are_ordered_the_first_one_first(backbone, tmp_path):
    for level in (30, 120, 230):
        coloured((level,) * 3, 1, grain=10).save(tmp_path / f"{level}.png")
    ranked = coop_demo.rank(backbone, [tmp_path], "Rank the brightness.")
    assert [Path(one.image).stem for one in ranked] == ["230", "120", "30"]
    assert ranked[0].score > ranked[1].score > ranked[2].score


def test_a_map_comes_with_its_picture(backbone, colours, taught):
    image = colours / "sky" / "0.png"
    by_text = coop_demo.explain(backbone, image, "a photo of the sky.")
    by_class = coop_demo.explain(backbone, image, "sky", prompt=taught.prompt)
    for found in (by_text, by_class):
        assert found.explanation.maps.shape[0] == 1
        assert found.drawn.size == (48, 40)
    with pytest.raises(PromptError, match="brick, sky"):
        coop_demo.explain(backbone, image, "grass", prompt=taught.prompt)


def test_what_cannot_be_read_is_said_in_a_sentence(backbone, taught, tmp_path):
    (tmp_path / "no.png").write_bytes(b"nothing")
    with pytest.raises(PictureError):
        coop_demo.predict(backbone, taught.prompt, [tmp_path / "no.png"])
    with pytest.raises(UserError):
        coop_demo.load_dataset(tmp_path / "missing")
    with pytest.raises(UserError):
        coop_demo.load_backbone("no-such-model")


def test_importing_the_package_loads_no_torch():
    code = "import sys, coop_demo; assert 'torch' not in sys.modules; assert coop_demo.__version__"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_package_names_exactly_what_the_library_has():
    from coop_demo import library

    assert all(hasattr(library, name) for name in coop_demo.__all__)
    assert set(coop_demo.__all__) == {name for name in library.__all__ if name[0].islower()}
    with pytest.raises(AttributeError, match="no attribute"):
        _ = coop_demo.nothing_of_this_name


def test_the_lines_in_the_readme_run(colours, tmp_path, monkeypatch, capsys):
    readme = (Path(coop_demo.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code = readme.split("## For programs")[1].split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-pictures").symlink_to(colours)
    (tmp_path / "new-pictures").mkdir()
    coloured(RED, 9).save(tmp_path / "new-pictures" / "one.jpg")
    coloured(BLUE, 9).save(tmp_path / "new-pictures" / "two.jpg")
    exec(compile(code.replace("shots=16", "shots=2, steps=3"), "README.md", "exec"), {})
    assert "learned" in capsys.readouterr().out
    assert (tmp_path / "looked.png").is_file()
