"""Folders and rows of images become classes and parts, or one sentence that says why not.

Zips have a file of their own (test_archives.py), as have CoOp's layout and ranking tables.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from images import numbered, write_folders, write_image

from coop_demo.data.dataset import (
    LabelledPicture,
    Picture,
    check_pictures,
)
from coop_demo.data.folders import from_classes, read_folder
from coop_demo.data.images import content_hash
from coop_demo.errors import DatasetError


def shown(items: tuple[LabelledPicture, ...]) -> list[tuple[str, int]]:
    return [(item.picture.name, item.label) for item in items]


def contents(items: tuple[LabelledPicture, ...]) -> set[str | None]:
    return {item.picture.content for item in items}


def flat(root: Path, n: int = 4, folder: str = ".", suffix: str = ".png") -> Path:
    for i in range(n):
        write_image(numbered(i + 7 * len(folder)), root / folder / f"p{i}{suffix}")
    return root


LABELS = ("oak", "ash", "oak", "ash")


def test_train_val_and_test_folders_are_read_with_classes_sorted(tmp_path):
    write_folders(
        tmp_path,
        {"train/oak": 3, "train/ash_tree": 2, "val/oak": 1, "test/oak": 1, "test/ash_tree": 2},
    )
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("ash tree", "oak")
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (5, 1, 3)
    assert dataset.train_counts == (2, 3)
    assert dataset.test_counts == (2, 1)
    assert shown(dataset.test) == [
        ("test/ash_tree/000.png", 0),
        ("test/ash_tree/001.png", 0),
        ("test/oak/000.png", 1),
    ]
    assert not dataset.problems
    assert not dataset.notes
    first = dataset.test[0].picture
    assert first.content == content_hash(first.load())


def test_a_plain_folder_of_class_folders_is_training_material(tmp_path):
    dataset = read_folder(write_folders(tmp_path, {"oak": 2, "ash": 3}))
    assert dataset.class_names == ("ash", "oak")
    assert (dataset.train_counts, dataset.test) == ((3, 2), ())


def test_a_set_of_test_pictures_only_is_not_mistaken_for_training_material(tmp_path):
    dataset = read_folder(write_folders(tmp_path, {"test/a": 2, "test/b": 2}))
    assert (dataset.train, dataset.test_counts) == ((), (2, 2))


def test_a_class_may_be_called_test(tmp_path):
    dataset = read_folder(write_folders(tmp_path, {"test": 2, "practice": 2}))
    assert dataset.class_names == ("practice", "test")
    assert len(dataset.train) == 4


def test_other_usual_names_of_the_parts_are_understood(tmp_path):
    dataset = read_folder(write_folders(tmp_path, {"Training/a": 1, "valid/a": 1, "testing/a": 1}))
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (1, 1, 1)


def test_validation_pictures_stand_in_for_missing_test_pictures_and_it_is_said(tmp_path):
    dataset = read_folder(
        write_folders(tmp_path, {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})
    )
    assert (len(dataset.test), dataset.val) == (2, ())
    assert dataset.notes == (
        "There are no test pictures; the validation pictures take their place.",
    )


def test_a_folder_around_the_set_is_looked_through(tmp_path):
    write_folders(tmp_path / "outer" / "inner", {"train/a": 2, "test/a": 1})
    write_image(numbered(99), tmp_path / "cover.png")
    dataset = read_folder(tmp_path)
    assert (dataset.class_names, len(dataset.train), len(dataset.test)) == (("a",), 2, 1)
    assert dataset.notes == (
        '1 picture outside the class folders left out, the first is "cover.png".',
    )


def test_classes_csv_names_and_orders_the_classes(tmp_path):
    write_folders(tmp_path, {"train/n02": 2, "train/n01": 2, "test/n01": 1, "test/n02": 1})
    (tmp_path / "classes.csv").write_bytes(
        "\ufefffolder;name\r\nn02;Weiße_Esche\r\nn01;oak, old\r\n".encode()
    )
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("Weiße Esche", "oak, old")
    assert shown(dataset.test) == [("test/n02/000.png", 0), ("test/n01/000.png", 1)]


def test_classes_csv_and_folders_that_disagree_are_noted_and_nothing_is_lost(tmp_path):
    write_folders(tmp_path, {"b": 2, "a": 2})
    (tmp_path / "classes.csv").write_text("folder,name\nb,beech\nc,cedar\n")
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("beech", "a")
    assert dataset.notes == (
        'classes.csv names the folder "c", which is not there.',
        'classes.csv does not name the folder "a"; it is called after itself.',
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("folder,name\na,\nb,beech\n", r"line 2: the name is missing"),
        ("folder,name\n,ash\nb,beech\n", r"line 2: the folder is missing"),
        ("folder,name\na,ash\na,oak\n", r'line 3: the folder "a" is named twice'),
        ("folder,name\na,Oak\nb,oak \n", r'Two classes are called "oak"'),
        ("folder,title\na,ash\n", r'no column "name"; its first line names folder, title'),
        ("", "is empty"),
        ("folder,name\na,ash,3\n", "line 2: 3 cells where the first line has 2"),
    ],
)
def test_a_wrong_classes_csv_is_refused_with_its_line(tmp_path, text, says):
    write_folders(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "classes.csv").write_text(text)
    with pytest.raises(DatasetError, match=says):
        read_folder(tmp_path)


def test_bad_pictures_cost_themselves_only_and_each_is_named(tmp_path):
    write_folders(tmp_path, {"train/a": 3, "train/b": 3, "test/a": 1, "test/b": 1})
    (tmp_path / "train/a/empty.jpg").write_bytes(b"")
    (tmp_path / "train/b/phone.heic").write_bytes(b"\0\0\0\x18ftypheic")
    whole = (tmp_path / "test/b/000.png").read_bytes()
    (tmp_path / "test/b/cut.png").write_bytes(whole[:40])
    dataset = read_folder(tmp_path)
    assert (dataset.train_counts, dataset.test_counts) == ((3, 3), (1, 1))
    assert len(dataset.problems) == 3
    for named, problem in zip(
        ("train/a/empty.jpg", "train/b/phone.heic", "test/b/cut.png"), dataset.problems, strict=True
    ):
        assert problem.startswith(f'"{named}" ')


def test_a_set_in_which_nothing_can_be_read_is_refused_with_the_first_reason(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(b"junk")
    with pytest.raises(DatasetError, match=r'None of the 1 picture.*"a/x.png" is not a picture'):
        read_folder(tmp_path)


def test_empty_class_folders_and_uneven_parts_are_noted(tmp_path):
    write_folders(tmp_path, {"train/a": 2, "train/b": 2, "train/c": 0, "test/a": 1})
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert dataset.notes == (
        'Class folder "c" has no pictures and was left out.',
        'Class "b" has no test pictures.',
    )


def test_hidden_and_foreign_files_are_passed_over(tmp_path):
    write_folders(tmp_path, {"a": 2, "b": 2, ".cache": 2, "__MACOSX/a": 2})
    (tmp_path / "a" / "notes.txt").write_text("x")
    (tmp_path / "a" / "._000.png").write_bytes(b"x")
    dataset = read_folder(tmp_path)
    assert (dataset.train_counts, dataset.problems, dataset.notes) == ((2, 2), (), ())


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({}, "holds no pictures"),
        ({".": 3}, "holds 3 pictures but no folder for each class"),
        (
            {"Oak_tree": 1, "oak tree": 1},
            'Two classes are called "oak tree" .* the folders "Oak_tree" and "oak tree". Rename',
        ),
        ({"___": 1, "oak": 1}, 'The class folder "___" .* gives no class name'),
        ({"x" * 201: 1, "oak": 1}, "has 201 characters; at most 200"),
    ],
)
def test_a_folder_that_is_no_set_is_refused_with_the_reason(tmp_path, counts, says):
    write_folders(tmp_path, counts)
    with pytest.raises(DatasetError, match=says):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(DatasetError, match=r'gone" is not a folder'):
        read_folder(tmp_path / "gone")


def test_a_link_that_leads_back_up_ends(tmp_path):
    write_folders(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert read_folder(tmp_path).train_counts == (2, 2)


def test_reading_unchecked_decodes_nothing_until_asked(tmp_path):
    write_folders(tmp_path, {"a": 2, "b": 2})
    (tmp_path / "a" / "junk.png").write_bytes(b"junk")
    dataset = read_folder(tmp_path, check=False)
    assert dataset.train_counts == (3, 2)
    assert contents(dataset.train) == {None}
    checked = check_pictures(dataset)
    assert checked.train_counts == (2, 2)
    assert len(checked.problems) == 1
    assert None not in contents(checked.train)


def test_rows_of_the_page_keep_their_order_and_take_every_kind_of_picture(tmp_path):
    path = write_image(numbered(1), tmp_path / "p.png")
    dataset = from_classes(
        [
            (
                "oak_tree ",
                [path, str(write_image(numbered(2), tmp_path / "q.png")), path.read_bytes()],
            ),
            ("ash", [numbered(3), Picture("mine", numbered(4))]),
        ],
        [("ASH", [numbered(5)])],
    )
    assert dataset.class_names == ("oak tree", "ash")
    assert shown(dataset.train) == [
        ("p.png", 0),
        ("q.png", 0),
        ("oak tree 3", 0),
        ("ash 1", 1),
        ("mine", 1),
    ]
    assert shown(dataset.test) == [("ASH 1", 1)]
    assert from_classes({"a": [numbered(1)], "b": [numbered(2)]}).class_names == ("a", "b")


def test_an_empty_row_is_passed_over_and_a_named_one_is_noted():
    dataset = from_classes([("", []), ("oak", [numbered(1)]), ("elm", []), ("ash", [numbered(2)])])
    assert dataset.class_names == ("oak", "ash")
    assert shown(dataset.train) == [("oak 1", 0), ("ash 1", 1)]
    assert dataset.notes == ('Class "elm" has no pictures and is left out.',)


def test_pictures_without_a_class_name_are_refused_with_the_row():
    with pytest.raises(DatasetError, match=r"^Class 2 has 2 pictures but no name\. Give it a name"):
        from_classes([("oak", [numbered(1)]), (" _ ", [numbered(2), numbered(3)])])


@pytest.mark.parametrize("second", ["oak tree", "Oak_Tree", " OAK  tree "])
def test_a_double_class_name_is_refused_whatever_its_case_and_spaces(second):
    with pytest.raises(DatasetError, match=r"\(class 1 and class 3\)\. Rename one"):
        from_classes([("oak_tree", [numbered(1)]), ("elm", []), (second, [numbered(2)])])


def test_a_bad_picture_on_the_page_costs_itself_only():
    dataset = from_classes([("oak", [numbered(1), b""]), ("ash", [numbered(2)])])
    assert dataset.train_counts == (1, 1)
    assert dataset.problems == ('"oak 2" is empty (0 bytes). Copy or download it again.',)


def test_a_picture_checked_before_is_not_decoded_again(tmp_path):
    path = write_image(numbered(1), tmp_path / "p.png")
    checked = Picture("p.png", path).checked()
    path.unlink()
    assert from_classes({"a": [checked], "b": [numbered(2)]}).train_counts == (1, 1)
    assert from_classes({"a": [Picture("p.png", path)]}).train == ()


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "valid", "test"), ("train",)])
def test_images_directly_in_the_parts_of_a_set_are_no_classes(tmp_path, parts):
    for number, part in enumerate(parts):
        write_image(numbered(number), tmp_path / "set" / part / "a.png")
        write_image(numbered(number + 50), tmp_path / "set" / part / "b.png")
    with pytest.raises(DatasetError, match="these are parts of a set, not classes"):
        read_folder(tmp_path / "set")


def test_parts_are_classes_where_classes_csv_says_so(tmp_path):
    for number, part in enumerate(("train", "test")):
        write_image(numbered(number), tmp_path / "set" / part / "a.png")
    (tmp_path / "set" / "classes.csv").write_text("folder,name\ntrain,train\ntest,test\n")
    assert read_folder(tmp_path / "set").class_names == ("train", "test")


def test_a_train_beside_a_bus_is_a_class_and_that_is_said(tmp_path):
    for number, name in enumerate(("bus", "train")):
        write_image(numbered(number), tmp_path / "set" / name / "a.png")
    dataset = read_folder(tmp_path / "set")
    assert dataset.class_names == ("bus", "train")
    assert any('"train" is taken as a class' in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train/{}", "test/{}"),
        ("archive/archive/{}", ""),
        ("seg_train/seg_train/{}", "seg_test/seg_test/{}"),
        ("training_set/{}", "test_set/{}"),
        ("training_set/training_set/{}", "test_set/test_set/{}"),
        ("Training/{}", "Testing/{}"),
        ("train_data/{}", "test_data/{}"),
        ("train/images/{}", "test/images/{}"),
        ("train/train/{}", "test/test/{}"),
        ("{}/train", "{}/test"),
        ("outer/outer/train/{}", "outer/outer/test/{}"),
        ("train/{}", "holdout/{}"),
        ("train/{}", "eval/{}"),
        ("train/{}", "validation set/{}"),
    ],
)
def test_a_layout_of_the_web_is_understood_as_what_it_is(tmp_path, train, test):
    for number, name in enumerate(("ash", "oak")):
        for i in range(3):
            write_image(
                numbered(10 * number + i), tmp_path / "set" / train.format(name) / f"{i}.png"
            )
        if test:
            write_image(numbered(10 * number + 9), tmp_path / "set" / test.format(name) / "9.png")
    dataset = read_folder(tmp_path / "set")
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (3, 3)
    assert dataset.test_counts == ((1, 1) if test else (0, 0))
    assert not dataset.problems


def test_a_class_called_training_shoes_is_a_class(tmp_path):
    for number, name in enumerate(("boots", "training shoes", "test tubes")):
        write_image(numbered(number), tmp_path / "set" / name / "a.png")
    assert read_folder(tmp_path / "set").class_names == ("boots", "test tubes", "training shoes")


@pytest.mark.parametrize(
    "part",
    ["hold-out", "Hold Out", "TestSet", "test_images", "val2017", "dev", "unseen", "test.labels"],
)
def test_a_part_under_another_name_is_a_part(tmp_path, part):
    dataset = read_folder(write_folders(tmp_path, {"train/a": 3, "train/b": 3, f"{part}/a": 1}))
    assert (dataset.train_counts, dataset.test_counts) == ((3, 3), (1, 0))


def test_a_folder_with_the_same_classes_and_no_known_name_is_named(tmp_path):
    write_folders(tmp_path, {"train/a": 3, "train/b": 3, "batch7/a": 1, "batch7/B": 2})
    dataset = read_folder(tmp_path)
    assert dataset.train_counts == (3, 3)
    assert dataset.notes == (
        'The folder "batch7" has the same classes, but its name says no part of the set: its '
        "3 pictures left out. Call it train, val or test to use them.",
    )


@pytest.mark.parametrize("around", ["", "train/"])
def test_of_a_tree_the_lowest_folders_are_the_classes_and_that_is_said(tmp_path, around):
    kinds = ("animals/cat", "animals/dog", "vehicles/car")
    dataset = read_folder(write_folders(tmp_path, {around + kind: 2 for kind in kinds}))
    assert dataset.class_names == ("car", "cat", "dog")
    assert dataset.train_counts == (2, 2, 2)
    assert dataset.notes == ('The lowest folders are taken as the classes, such as "animals/cat".',)
    assert not dataset.problems


def test_a_tree_in_two_parts_has_its_classes_once(tmp_path):
    counts = {"train/animals/cat": 2, "train/vehicles/car": 2, "test/animals/cat": 1}
    dataset = read_folder(write_folders(tmp_path, counts))
    assert dataset.class_names == ("car", "cat")
    assert (dataset.train_counts, dataset.test_counts) == ((2, 2), (0, 1))


def test_a_tree_whose_lowest_folders_repeat_is_refused_with_both(tmp_path):
    write_folders(tmp_path, {"apple/healthy": 2, "apple/scab": 2, "pear/healthy": 2})
    with pytest.raises(DatasetError, match='"apple/healthy" and "pear/healthy" end alike'):
        read_folder(tmp_path)


@pytest.mark.parametrize("layout", ["{}/images", "{}/{}", "train/{}/images", "set/set/{}"])
def test_a_folder_inside_or_around_each_class_is_looked_through(tmp_path, layout):
    counts = {layout.format(name, name): 2 for name in ("ash", "oak")}
    dataset = read_folder(write_folders(tmp_path, counts))
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (2, 2)


@pytest.mark.parametrize(
    ("train", "test", "name", "is_said"),
    [
        ("Red", "red", "Red", True),
        ("\u00e9blue", "e\u0301blue", "\u00e9blue", False),
        ("red", "red ", "red", False),
        ("deep_red", "deep red", "deep red", False),
        ("Straße", "STRASSE", "Straße", True),
    ],
)
def test_one_class_in_two_parts_may_be_written_in_two_ways(tmp_path, train, test, name, is_said):
    write_folders(
        tmp_path, {f"train/{train}": 2, "train/zebra": 2, f"test/{test}": 1, "test/zebra": 1}
    )
    dataset = read_folder(tmp_path)
    assert dataset.class_names == (name, "zebra")
    assert (dataset.train_counts, dataset.test_counts) == ((2, 2), (1, 1))
    note = f'The folders "{train}" and "{test}" are taken as one class, "{name}".'
    assert dataset.notes == ((note,) if is_said else ())


@pytest.mark.parametrize(
    ("one", "other"),
    [("Red", "red"), ("e\u0301blue", "\u00e9blue"), ("red", "red "), ("deep red", "deep_red")],
)
def test_two_such_folders_in_one_part_are_refused_with_both_names(tmp_path, one, other):
    write_folders(
        tmp_path, {f"train/{one}": 2, f"train/{other}": 2, "train/zebra": 2, "test/zebra": 1}
    )
    with pytest.raises(DatasetError) as refused:
        read_folder(tmp_path)
    assert f'the folders "{one}" and "{other}"' in str(refused.value)


def test_classes_csv_may_tell_two_such_folders_apart(tmp_path):
    write_folders(tmp_path, {"Red": 2, "red": 2})
    (tmp_path / "classes.csv").write_text("folder,name\nRed,red wine\nred,red paint\n")
    assert read_folder(tmp_path).class_names == ("red wine", "red paint")


def test_classes_csv_names_a_folder_written_in_another_case(tmp_path):
    write_folders(tmp_path, {"train/N01": 2, "train/n02": 2, "test/n01": 1})
    (tmp_path / "classes.csv").write_text("Class Folder;Class Name\nn01;oak\nn02;ash\n")
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("oak", "ash")
    assert (dataset.train_counts, dataset.test_counts) == ((2, 2), (1, 0))
    assert not any("not there" in note for note in dataset.notes)


@pytest.mark.parametrize("label", ["label", "class", "category", "target", "Class Name"])
@pytest.mark.parametrize("image", ["image", "file", "filename", "filepath", "path", "name"])
def test_a_table_beside_a_flat_folder_names_the_classes(tmp_path, image, label):
    flat(tmp_path / "set")
    rows = [f"p{i}.png,{name}" for i, name in enumerate(LABELS)]
    (tmp_path / "set" / "labels.csv").write_text("\n".join([f"{image},{label}", *rows]))
    dataset = read_folder(tmp_path / "set")
    assert dataset.class_names == ("ash", "oak")
    assert shown(dataset.train) == [("p1.png", 0), ("p3.png", 0), ("p0.png", 1), ("p2.png", 1)]
    assert dataset.notes == ('The classes are those that "labels.csv" names.',)
    assert not dataset.problems


@pytest.mark.parametrize(
    "written",
    ["p{}", "./p{}.png", ".\\p{}.png", "images\\p{}.png", "images/x/../p{}.png", "P{}.PNG"],
)
def test_the_table_may_write_paths_in_many_ways(tmp_path, written):
    flat(tmp_path / "set", folder="images")
    rows = [f"{written.format(i)};{name}" for i, name in enumerate(LABELS)]
    text = "\r\n".join(["sep=;", "image_id;label", *rows])
    (tmp_path / "set" / "labels.csv").write_bytes(text.encode("utf-16"))
    dataset = read_folder(tmp_path / "set")
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (2, 2)
    assert not dataset.problems


def test_a_table_for_each_part_and_a_form_for_answers_as_kaggle_has_them(tmp_path):
    home = tmp_path / "set"
    flat(home, folder="train")
    flat(home, folder="test")
    text = "id,label\n" + "".join(f"p{i}.png,{name}\n" for i, name in enumerate(LABELS))
    (home / "train.csv").write_text(text)
    (home / "test.csv").write_text(text.replace("\np", "\ntest/p").replace("oak", "elm"))
    (home / "sample_submission.csv").write_text("id,label\np0.png,nothing\n")
    dataset = read_folder(home)
    assert dataset.class_names == ("ash", "elm", "oak")
    assert (dataset.train_counts, dataset.test_counts) == ((2, 0, 2), (2, 2, 0))
    assert {item.picture.name.split("/")[0] for item in dataset.train} == {"train"}


def test_a_column_of_the_table_may_say_the_part(tmp_path):
    flat(tmp_path / "set")
    rows = [f"p{i}.png,{name},{'valid' if i > 2 else 'train'}" for i, name in enumerate(LABELS)]
    (tmp_path / "set" / "x.csv").write_text("\n".join(["file_name,label,split", *rows]))
    dataset = read_folder(tmp_path / "set")
    assert (dataset.train_counts, dataset.test_counts) == ((1, 2), (1, 0))


def test_a_table_of_noughts_and_ones_names_the_classes_by_its_columns(tmp_path):
    flat(tmp_path / "set", folder="train")
    rows = [
        f"p{i}.png, {int(name == 'ash')}, {int(name == 'oak')}" for i, name in enumerate(LABELS)
    ]
    table = tmp_path / "set" / "train" / "_classes.csv"
    table.write_text("\n".join(["filename, ash, oak", *rows]))
    dataset = read_folder(tmp_path / "set")
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (2, 2)


def test_rows_without_a_picture_and_pictures_without_a_row_are_said(tmp_path):
    flat(tmp_path / "set", 5)
    rows = [f"p{i}.png,{name}" for i, name in enumerate(LABELS)]
    text = "\n".join(
        ["filename,label", *rows, "gone.png,oak", "far.png,oak", "p0.png,elm", "p1.png,"]
    )
    (tmp_path / "set" / "labels.csv").write_text(text)
    dataset = read_folder(tmp_path / "set")
    assert dataset.train_counts == (2, 2)
    assert dataset.problems == (
        '"p0.png" has two labels, "oak" and "elm"; the first is used.',
        '"labels.csv" names 2 pictures that are not there: "gone.png", "far.png".',
    )
    assert dataset.notes == (
        'The classes are those that "labels.csv" names.',
        '1 row of "labels.csv" without a label passed over.',
        '1 picture without a label left out, the first is "p4.png".',
    )


def test_batches_of_pictures_are_no_classes_where_a_table_cuts_across_them(tmp_path):
    home = tmp_path / "set"
    flat(home, folder="images_part_1")
    for i in range(4):
        write_image(numbered(90 + i), home / "images_part_2" / f"q{i}.png")
    rows = [f"{'pq'[n // 4]}{n % 4},{LABELS[n % 4]}" for n in range(8)]
    (home / "metadata.csv").write_text("\n".join(["image_id,dx", *rows]))
    dataset = read_folder(home)
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (4, 4)


def test_class_folders_come_before_a_table_that_says_the_same(tmp_path):
    write_folders(tmp_path, {"oak": 2, "ash": 2})
    text = "filename,label\n" + "".join(
        f"{c}/00{i}.png,{c} tree\n" for c in ("oak", "ash") for i in (0, 1)
    )
    (tmp_path / "labels.csv").write_text(text)
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("ash", "oak")
    assert dataset.notes == ()


def test_batches_in_batches_are_labelled_by_their_table(tmp_path):
    home = tmp_path / "set"
    flat(home, folder="day 1/camera")
    for i in range(4):
        write_image(numbered(90 + i), home / "day 2" / "camera" / f"q{i}.png")
    rows = [f"{'pq'[n // 4]}{n % 4}.png,{LABELS[n % 4]}" for n in range(8)]
    (home / "labels.csv").write_text("\n".join(["file,label", *rows]))
    assert read_folder(home).train_counts == (4, 4)


def test_a_table_of_some_pictures_does_not_overrule_class_folders(tmp_path):
    write_folders(tmp_path, {"oak": 4, "ash": 4})
    (tmp_path / "mood.csv").write_text("file,label\noak/000.png,glad\noak/001.png,sad\n")
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("ash", "oak")
    assert dataset.notes == ()


def test_an_empty_lowest_folder_of_a_tree_is_noted(tmp_path):
    write_folders(tmp_path, {"animals/cat": 2, "animals/bird": 0, "vehicles/car": 2})
    assert read_folder(tmp_path).notes == (
        'The lowest folders are taken as the classes, such as "animals/cat".',
        'Class folder "bird" has no pictures and was left out.',
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "or add a table with the columns filename,label"),
        ("p0.png,oak\np1.png,ash\n", 'has no first line that names the columns; .*"p0.png,oak"'),
        ("foo,bar\n1,2\n", 'has no column "filename" or "label".*its first line names foo, bar'),
        ("PK\x03\x04", "is a spreadsheet"),
        ("", r"is empty \(0 bytes\)"),
    ],
)
def test_a_flat_folder_without_labels_is_refused_with_the_way_out(tmp_path, text, says):
    flat(tmp_path / "set")
    if text is not None:
        (tmp_path / "set" / "x.csv").write_text(text)
    with pytest.raises(DatasetError, match=f"4 pictures but no folder for each class.*{says}"):
        read_folder(tmp_path / "set")


def test_folders_of_notebooks_and_storage_systems_are_no_classes(tmp_path):
    # torchvision: "Found no valid file for the classes .ipynb_checkpoints"; Synology's @eaDir
    write_folders(
        tmp_path, {"train/a": 2, "train/b": 2, "train/.ipynb_checkpoints": 1, "lost+found": 1}
    )
    write_image(numbered(90), tmp_path / "train" / "@eaDir" / "000.png")
    write_image(
        numbered(91), tmp_path / "train" / "a" / "@eaDir" / "000.png" / "SYNOPHOTO_THUMB_M.jpg"
    )
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert (dataset.train_counts, dataset.notes, dataset.problems) == ((2, 2), (), ())


def test_a_folder_that_may_not_be_opened_costs_itself_only(tmp_path, monkeypatch):
    write_folders(tmp_path, {"a": 2, "b": 2, "secret": 2})
    iterdir = Path.iterdir

    def guarded(path: Path):
        if path.name == "secret":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    dataset = read_folder(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert dataset.problems == ('The folder "secret" cannot be read (Permission denied).',)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_metadata_of_hugging_face_image_folders_are_read(tmp_path, suffix):
    flat(tmp_path / "set" / "train")
    pairs = list(enumerate(LABELS))
    if suffix == "csv":
        text = "file_name,label\n" + "".join(f"p{i}.png,{name}\n" for i, name in pairs)
    else:
        rows = [{"file_name": f"p{i}.png", "label": name, "box": [1, 2]} for i, name in pairs]
        text = "\n".join(map(json.dumps, rows))
    (tmp_path / "set" / "train" / f"metadata.{suffix}").write_text(text)
    dataset = read_folder(tmp_path / "set")
    assert dataset.class_names == ("ash", "oak")
    assert dataset.train_counts == (2, 2)
    assert not dataset.problems


def test_classes_called_by_codes_are_said_to_need_names(tmp_path):
    for names in (("n01440764", "n01443537"), ("00000", "00001")):
        home = tmp_path / names[0]
        write_folders(home, dict.fromkeys(names, 2))
        assert read_folder(home).notes == (
            f'The classes are called "{names[0]}", "{names[1]}", which a model cannot read as '
            "words: name them in classes.csv (folder,name).",
        )
    digits = write_folders(tmp_path / "digits", {"0": 2, "1": 2})
    assert read_folder(digits).notes == ()
