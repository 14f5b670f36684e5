"""The named endpoints of the real app, through gradio's own client."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from images import grey, write_image, zipped

from coop_demo.prompts.familiar import UNLIKE

SCENES = Path(__file__).resolve().parents[2] / "assets" / "samples" / "scenes" / "pictures"
STEPS = 12  # enough to learn two colours, few enough to be quick


def client_for(address: str, folder: Path) -> Client:
    return Client(address, verbose=False, download_files=str(folder), httpx_kwargs={"timeout": 120})


def teach_colours(client: Client, archive: Path, **settings) -> tuple[dict, str | None]:
    settings = {"steps": STEPS, "shots": 4, "preset": "fast"} | settings
    return client.predict(archive=handle_file(str(archive)), api_name="/teach", **settings)


def test_models_names_every_model_with_licence_and_size(app_address, tmp_path) -> None:
    models = client_for(app_address, tmp_path).predict(api_name="/models")
    by_name = {model["name"]: model for model in models}
    assert by_name["mini"]["on_this_computer"] is True
    assert by_name["ViT-B-32"]["on_this_computer"] is False
    assert by_name["ViT-B-32"]["download_mb"] > 100
    assert all(model["licence"] for model in models)


def test_a_prompt_is_taught_saved_and_used(app_address, tmp_path, colour_zip) -> None:
    client = client_for(app_address, tmp_path)
    archive = colour_zip("two", {"brick": 8, "sea": 8})
    answer, saved = teach_colours(client, archive)
    assert answer["status"] == "done", answer
    assert answer["class_names"] == ["brick", "sea"]
    assert answer["n_held_out"] == answer["n_test"] == 4
    assert answer["steps"] == STEPS
    assert answer["learned_accuracy"] == 1.0  # red and blue are told apart by any model
    assert f"of {answer['n_test']} held-out pictures" in answer["verdict"]

    picture = zipfile.ZipFile(archive).extract("brick/0.png", tmp_path)
    said = client.predict(
        prompt=handle_file(saved), picture=handle_file(picture), api_name="/predict"
    )
    assert said["status"] == "done"
    assert sum(said["learned"].values()) == pytest.approx(1, abs=1e-4)
    assert sum(said["words"].values()) == pytest.approx(1, abs=1e-4)
    assert max(said["learned"], key=said["learned"].get) == "brick"
    assert (said["unlike"], said["message"]) == (False, "")  # it learned from this one
    other = sorted(SCENES.iterdir())[0]
    said = client.predict(
        prompt=handle_file(saved), picture=handle_file(str(other)), api_name="/predict"
    )
    assert (said["unlike"], said["message"]) == (True, UNLIKE)


def test_a_sample_set_can_be_taught_by_name(app_address, tmp_path) -> None:
    answer, saved = client_for(app_address, tmp_path).predict(
        sample="biscuits", shots=2, steps=3, api_name="/teach"
    )
    assert answer["status"] == "done", answer
    assert answer["n_held_out"] == 0, "the set has test pictures of its own"
    assert answer["n_test"] == 75
    assert saved is not None


def test_the_same_seed_gives_the_same_prompt(app_address, tmp_path, colour_zip) -> None:
    archive = colour_zip("seeded", {"brick": 6, "sea": 6})
    files = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        _, saved = teach_colours(client_for(app_address, tmp_path / name), archive, seed=7)
        assert saved is not None
        files.append(Path(saved).read_bytes())
    assert files[0] == files[1]


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"context_length": 0}, "Context length is 0"),
        ({"context_length": 33}, "from 1 to 32"),
        ({"steps": -3}, "Steps is -3"),
        ({"steps": 10_000_000}, "10,000,000 steps"),
        ({"learning_rate": -1}, "learning rate is -1"),
        ({"shots": 0}, "Shots is 0"),
        ({"template": "a photo"}, "has no {}"),
        ({"preset": "magic"}, "is not among fast, paper"),
        ({"position": "nowhere"}, "nowhere"),
        ({"kgcoop_weight": -2}, "0 (off) or more"),
        ({"seed": 1.5}, "Seed is 1.5"),
    ],
)
def test_a_setting_out_of_range_is_one_sentence(
    app_address, tmp_path, colour_zip, settings, part
) -> None:
    archive = colour_zip("settings", {"brick": 4, "sea": 4})
    answer, saved = teach_colours(client_for(app_address, tmp_path), archive, **settings)
    assert answer["status"] == "error"
    assert part in answer["message"]
    assert saved is None


@pytest.mark.parametrize(
    ("classes", "part"),
    [
        ({"brick": 4}, "is the only class"),
        ({"brick": 4, "sea": 1}, 'Class "sea" has 1 picture'),
    ],
)
def test_a_set_that_cannot_be_trained_on_is_one_sentence(
    app_address, tmp_path, colour_zip, classes, part
) -> None:
    archive = colour_zip("-".join(f"{k}{v}" for k, v in classes.items()), classes)
    answer, _ = teach_colours(client_for(app_address, tmp_path), archive)
    assert answer["status"] == "error"
    assert part in answer["message"]


def test_wrong_files_are_one_sentence(app_address, tmp_path) -> None:
    client = client_for(app_address, tmp_path)
    fake = tmp_path / "fake.zip"
    fake.write_bytes(b"this is no zip")
    answer, _ = client.predict(archive=handle_file(str(fake)), api_name="/teach")
    assert answer["status"] == "error"
    assert "fake.zip" in answer["message"]

    prompt = tmp_path / "fake.safetensors"
    prompt.write_bytes(b"\x80\x04}q\x00.")
    picture = tmp_path / "red.png"
    write_image(grey(0, size=(8, 8)), picture)
    said = client.predict(
        prompt=handle_file(str(prompt)), picture=handle_file(str(picture)), api_name="/predict"
    )
    assert said["status"] == "error"
    assert "fake.safetensors" in said["message"]

    answer, _ = client.predict(sample="no such set", api_name="/teach")
    assert "everyday" in answer["message"], "the message lists the sets there are"
    answer, _ = client.predict(api_name="/teach")
    assert answer["status"] == "error"


def test_two_people_at_once_get_what_each_gets_alone(app_address, tmp_path, colour_zip) -> None:
    archives = {
        "brick and sea": colour_zip("pair-a", {"brick": 6, "sea": 6}),
        "moss and sky": colour_zip("pair-b", {"moss": 6, "sky": 6}),
    }

    def taught(name: str, where: str) -> tuple[list[str], bytes]:
        folder = tmp_path / where / name
        folder.mkdir(parents=True)
        answer, saved = teach_colours(client_for(app_address, folder), archives[name])
        assert answer["status"] == "done", answer
        assert saved is not None
        return answer["class_names"], Path(saved).read_bytes()

    alone = {name: taught(name, "alone") for name in archives}
    with ThreadPoolExecutor(2) as pool:
        together = dict(
            zip(archives, pool.map(lambda name: taught(name, "together"), archives), strict=True)
        )
    assert together == alone


def test_maps_come_with_their_check_as_numbers_and_as_files(app_address, tmp_path) -> None:
    client = client_for(app_address, tmp_path)
    scene = SCENES / "01.jpg"
    answer, packed = client.predict(
        picture=handle_file(str(scene)),
        wanted="zebra",
        class_names="zebra, guitar",
        api_name="/explain",
    )
    assert answer["status"] == "done", answer
    assert answer["grid"] == [9, 9]
    words = answer["prompts"]["words"]
    assert set(words["cosines"]) == {"zebra", "guitar"}
    assert 0 <= words["deletion_area"] <= 1
    assert words["sentence"].startswith("Removing the marked fifth")
    with zipfile.ZipFile(packed) as archive:
        assert len(archive.namelist()) == 2

    for wrong, part in (
        ({"wanted": ""}, "Say what to look for"),
        ({"wanted": "zebra", "method": "legrad"}, "does not fit"),
    ):
        answer, packed = client.predict(
            picture=handle_file(str(scene)), api_name="/explain", **wrong
        )
        assert answer["status"] == "error"
        assert part in answer["message"]
        assert packed is None
    answer, _ = client.predict(wanted="zebra", api_name="/explain")
    assert "Choose a picture" in answer["message"]


@pytest.mark.parametrize("path", ["/etc/passwd", "app.py", "http://127.0.0.1:1/picture.png"])
def test_a_path_of_the_server_or_its_network_is_not_taken_for_an_upload(
    app_address, tmp_path, colour_zip, path
) -> None:
    client = client_for(app_address, tmp_path)
    _, saved = teach_colours(client, colour_zip("paths", {"brick": 4, "sea": 4}))
    with pytest.raises(Exception, match=r".") as refused:
        client.predict(
            prompt=handle_file(saved),
            picture={"path": path, "meta": {"_type": "gradio.FileData"}},
            api_name="/predict",
        )
    assert "root:" not in str(refused.value)


LEVELS = {"dim.png": 60, "dark.png": 10, "light.png": 240, "mid.png": 130, "pale.png": 190}


def test_a_zip_is_ordered_by_an_instruction_and_measured_by_its_labels(
    app_address, tmp_path
) -> None:
    archive = tmp_path / "greys.zip"
    rows = [f"{name},{level},Rank the brightness." for name, level in LEVELS.items()]
    images = {name: grey(level, size=(80, 80)) for name, level in LEVELS.items()}
    table = "\n".join(["image,value,prompt", *rows])
    archive.write_bytes(zipped({**images, "labels.csv": table}))
    answer, table = client_for(app_address, tmp_path).predict(
        archive=handle_file(str(archive)), instruction="Rank the brightness.", api_name="/rank"
    )
    assert answer["status"] == "done", answer
    assert answer["learned_instruction"] is True
    assert answer["order"][0]["image"] == "light.png"
    scores = [entry["ranker"] for entry in answer["order"]]
    assert scores == sorted(scores, reverse=True)
    assert answer["measured"]["ranker"]["srcc"] > 0.7
    assert answer["judgement"]["rival"] in ("antonyms", "cosine")
    lines = Path(table).read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + len(LEVELS)
    assert lines[1].startswith("light.png,1,")


def test_an_order_asked_for_from_its_other_end_in_german_says_how_it_was_read(
    app_address, tmp_path
) -> None:
    archive = tmp_path / "greys.zip"
    images = {name: grey(level, size=(80, 80)) for name, level in LEVELS.items()}
    archive.write_bytes(zipped(images))
    answer, _ = client_for(app_address, tmp_path).predict(
        archive=handle_file(str(archive)), instruction="von dunkel nach hell", api_name="/rank"
    )
    assert answer["status"] == "done", answer
    assert answer["instruction"] == "von dunkel nach hell"
    assert (answer["asked"], answer["least_first"]) == ("Rank the brightness.", True)
    assert answer["reading_sentence"] == "Read as: “Rank the brightness.”, darkest first."
    assert answer["learned_instruction"] is True
    assert answer["order"][-1]["image"] == "light.png"


def test_an_order_without_pictures_is_refused_in_a_sentence(app_address, tmp_path) -> None:
    answer, table = client_for(app_address, tmp_path).predict(
        instruction="Rank the brightness.", api_name="/rank"
    )
    assert answer["status"] == "error"
    assert "zip" in answer["message"]
    assert table is None


def test_methods_are_compared_side_by_side(app_address, tmp_path, colour_zip) -> None:
    answer = client_for(app_address, tmp_path).predict(
        archive=handle_file(str(colour_zip("compared", {"brick": 8, "sea": 8}))),
        methods="learned, gda",
        steps=STEPS,
        shots=4,
        api_name="/compare",
    )
    assert answer["status"] == "done", answer
    assert answer["class_names"] == ["brick", "sea"]
    assert len(answer["methods"]) == 3
    assert answer["n_test"] == 4
    assert answer["verdict"]
    assert answer["settings"]["shots"] == 4


def test_a_method_nobody_knows_is_one_sentence(app_address, tmp_path) -> None:
    answer = client_for(app_address, tmp_path).predict(
        sample="biscuits", methods="magic", api_name="/compare"
    )
    assert answer["status"] == "error"
    assert "magic" in answer["message"]


def test_a_ranker_is_taught_saved_and_used(app_address, tmp_path) -> None:
    levels = {f"{level}.png": level for level in range(10, 250, 20)}
    rows = [f"{name},{level},Rank the gloom." for name, level in levels.items()]
    images = {name: grey(level, size=(80, 80)) for name, level in levels.items()}
    archive = tmp_path / "gloom.zip"
    archive.write_bytes(zipped({**images, "labels.csv": "\n".join(["image,value,prompt", *rows])}))
    client = client_for(app_address, tmp_path)
    answer, saved = client.predict(
        archive=handle_file(str(archive)),
        instruction="Rank the gloom.",
        steps=STEPS,
        api_name="/teach_ranker",
    )
    assert answer["status"] == "done", answer
    assert answer["steps"] == STEPS
    assert answer["n_learned"] + answer["n_held_out"] == len(levels)
    assert 0 <= answer["pair_accuracy"] <= 1
    order, _ = client.predict(
        archive=handle_file(str(archive)),
        instruction="Rank the gloom.",
        ranker=handle_file(saved),
        api_name="/rank",
    )
    assert order["learned_instruction"] is True

    answer, saved = client.predict(
        sample="biscuits", instruction="Rank the gloom.", api_name="/teach_ranker"
    )
    assert answer["status"] == "error"
    assert saved is None
