"""Made-up files in the layout of CoOp's benchmark sets are read as CoOp reads the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from images import numbered, write_image

from coop_demo.data.coop_datasets import COOP_DATASETS, read_coop
from coop_demo.data.dataset import LabelledPicture, check_pictures, few_shot
from coop_demo.errors import DatasetError

# Set -> (folder, picture folder, split file), as in DATASETS.md of github.com/KaiyangZhou/CoOp.
SPLIT_FILE_SETS = {
    "caltech101": ("caltech-101", "101_ObjectCategories", "split_zhou_Caltech101.json"),
    "oxford_pets": ("oxford_pets", "images", "split_zhou_OxfordPets.json"),
    "stanford_cars": ("stanford_cars", ".", "split_zhou_StanfordCars.json"),
    "oxford_flowers": ("oxford_flowers", "jpg", "split_zhou_OxfordFlowers.json"),
    "food101": ("food-101", "images", "split_zhou_Food101.json"),
    "sun397": ("sun397", "SUN397", "split_zhou_SUN397.json"),
    "dtd": ("dtd", "images", "split_zhou_DescribableTextures.json"),
    "eurosat": ("eurosat", "2750", "split_zhou_EuroSAT.json"),
    "ucf101": ("ucf101", "UCF-101-midframes", "split_zhou_UCF101.json"),
}


def write_split(root: Path, dataset: str, split: object) -> Path:
    folder, pictures, split_file = SPLIT_FILE_SETS[dataset]
    (root / folder / pictures).mkdir(parents=True, exist_ok=True)
    path = root / folder / split_file
    path.write_text(json.dumps(split))
    return path


def labelled(items: tuple[LabelledPicture, ...]) -> list[tuple[str, int]]:
    return [(item.picture.name, item.label) for item in items]


@pytest.mark.parametrize("dataset", SPLIT_FILE_SETS)
def test_sets_with_a_split_file_are_read_with_its_labels_and_names(tmp_path, dataset):
    folder, pictures, _ = SPLIT_FILE_SETS[dataset]
    split = {
        "train": [["b/1.jpg", 1, "sea_lake"], ["a/1.jpg", 0, "forest"], ["a/2.jpg", 0, "forest"]],
        "val": [["a/3.jpg", 0, "forest"]],
        "test": [["b/2.jpg", 1, "sea_lake"]],
    }
    write_split(tmp_path, dataset, split)
    for number, name in enumerate(("b/1.jpg", "a/1.jpg", "a/2.jpg", "a/3.jpg", "b/2.jpg")):
        write_image(numbered(40 * number), tmp_path / folder / pictures / name)
    read = read_coop(tmp_path, dataset)
    assert read.name == dataset
    assert read.class_names == ("forest", "sea lake")
    assert labelled(read.train) == [("b/1.jpg", 1), ("a/1.jpg", 0), ("a/2.jpg", 0)]
    assert labelled(read.val) == [("a/3.jpg", 0)]
    assert labelled(read.test) == [("b/2.jpg", 1)]
    checked = check_pictures(read)
    assert not checked.problems
    assert len(checked.train) == 3
    assert few_shot(read, shots=1, seed=1).train_counts == (1, 1)


def test_a_picture_the_split_file_promises_but_is_missing_costs_itself_only(tmp_path):
    split = {"train": [["a.jpg", 0, "a"], ["gone.jpg", 0, "a"]], "val": [], "test": []}
    write_split(tmp_path, "dtd", split)
    write_image(numbered(1), tmp_path / "dtd" / "images" / "a.jpg")
    checked = check_pictures(read_coop(tmp_path, "dtd"))
    assert checked.train_counts == (1,)
    assert checked.problems[0].startswith('"gone.jpg" does not exist')


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ([], 'has no list "train"'),
        ({"train": [], "val": []}, 'has no list "test"'),
        ({"train": [["a.jpg", "0", "a"]], "val": [], "test": []}, 'entry 1 of "train": expected'),
        ({"train": [["a.jpg", 0]], "val": [], "test": []}, 'entry 1 of "train": expected'),
        (
            {"train": [["a.jpg", 0, "a"], ["b.jpg", 0, "b"]], "val": [], "test": []},
            'calls class 0 both "a" and "b"',
        ),
        ({"train": [["a.jpg", 2, "a"]], "val": [], "test": []}, "does not number its classes"),
        ({"train": [], "val": [], "test": []}, "does not number its classes"),
    ],
)
def test_a_malformed_split_file_is_refused_by_name_and_place(tmp_path, split, says):
    write_split(tmp_path, "eurosat", split)
    with pytest.raises(DatasetError, match=f"split_zhou_EuroSAT.json.*{says}"):
        read_coop(tmp_path, "eurosat")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match='caltech-101/101_ObjectCategories" is missing'):
        read_coop(tmp_path, "caltech101")
    path = write_split(tmp_path, "caltech101", {})
    path.write_text("{")
    with pytest.raises(DatasetError, match="is not JSON"):
        read_coop(tmp_path, "caltech101")
    path.unlink()
    with pytest.raises(DatasetError, match=r"split_zhou_Caltech101\.json\" cannot be read"):
        read_coop(tmp_path, "caltech101")
    with pytest.raises(DatasetError, match=r"Choose one of: imagenet, caltech101, .*ucf101"):
        read_coop(tmp_path, "cifar")


def test_aircraft_is_read_from_its_own_text_files(tmp_path):
    folder = tmp_path / "fgvc_aircraft"
    (folder / "images").mkdir(parents=True)
    (folder / "variants.txt").write_text("Boeing 737-200\nA320\n")
    (folder / "images_variant_train.txt").write_text("0034309 A320\n0034958 Boeing 737-200\n")
    (folder / "images_variant_val.txt").write_text("1 A320\n")
    (folder / "images_variant_test.txt").write_text("2 Boeing 737-200\n")
    read = read_coop(tmp_path, "fgvc_aircraft")
    assert read.class_names == ("Boeing 737-200", "A320")
    assert labelled(read.train) == [("0034309.jpg", 1), ("0034958.jpg", 0)]
    assert (labelled(read.val), labelled(read.test)) == ([("1.jpg", 1)], [("2.jpg", 0)])
    (folder / "images_variant_val.txt").write_text("1 A380\n")
    with pytest.raises(DatasetError, match=r'images_variant_val\.txt" names the class "A380"'):
        read_coop(tmp_path, "fgvc_aircraft")


def make_imagenet(root: Path, folder: str, pictures: str, names: str) -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "classnames.txt").write_text(names)
    for number, name in enumerate(("n02/x.JPEG", "n01/y.JPEG")):
        write_image(numbered(number), root / folder / pictures / name)


def test_imagenet_is_tested_on_its_validation_part_and_names_may_repeat(tmp_path):
    names = "n01 crane\nn02 crane\nn03 unused class\n"
    make_imagenet(tmp_path, "imagenet", "images/train", names)
    make_imagenet(tmp_path, "imagenet", "images/val", names)
    read = read_coop(tmp_path, "imagenet")
    assert read.class_names == ("crane", "crane")
    assert labelled(read.train) == labelled(read.test) == [("n01/y.JPEG", 0), ("n02/x.JPEG", 1)]
    (tmp_path / "imagenet" / "images" / "val" / "n09").mkdir()
    with pytest.raises(DatasetError, match='class folder "n09", which the training part does not'):
        read_coop(tmp_path, "imagenet")


@pytest.mark.parametrize(
    ("dataset", "folder", "pictures"),
    [
        ("imagenet_sketch", "imagenet-sketch", "images"),
        ("imagenet_a", "imagenet-adversarial", "imagenet-a"),
        ("imagenet_r", "imagenet-rendition", "imagenet-r"),
    ],
)
def test_shifted_imagenets_are_test_sets_of_the_classes_they_have(
    tmp_path, dataset, folder, pictures
):
    make_imagenet(tmp_path, folder, pictures, "n00 tench\nn01 gold fish\nn02 shark\n")
    read = read_coop(tmp_path, dataset)
    assert read.class_names == ("gold fish", "shark")
    assert read.train == ()
    assert labelled(read.test) == [("n01/y.JPEG", 0), ("n02/x.JPEG", 1)]
    (tmp_path / folder / "classnames.txt").write_text("n01 gold fish\n")
    with pytest.raises(DatasetError, match='does not name the folder "n02"'):
        read_coop(tmp_path, dataset)


def test_folders_of_imagenetv2_are_positions_in_classnames(tmp_path):
    root = tmp_path / "imagenetv2"
    pictures = root / "imagenetv2-matched-frequency-format-val"
    for folder in ("0", "2", "10"):
        write_image(numbered(int(folder)), pictures / folder / "x.jpeg")
    names = "".join(f"n{number:02d} class {number}\n" for number in range(11))
    (root / "classnames.txt").write_text(names)
    read = read_coop(tmp_path, "imagenetv2")
    assert len(read.class_names) == 11
    assert sorted(labelled(read.test)) == [("0/x.jpeg", 0), ("10/x.jpeg", 10), ("2/x.jpeg", 2)]
    (pictures / "11").mkdir()
    with pytest.raises(DatasetError, match="no class numbers below 11"):
        read_coop(tmp_path, "imagenetv2")


def test_every_set_of_the_paper_is_known():
    assert set(SPLIT_FILE_SETS) < set(COOP_DATASETS)
    assert {"imagenet", "fgvc_aircraft"} < set(COOP_DATASETS)
    assert len(SPLIT_FILE_SETS) + 2 == 11
