"""Classes, held-out images and shots are drawn fairly, or one sentence says why they cannot be."""

from __future__ import annotations

from collections import Counter

import pytest
from images import numbered, write_folders

from coop_demo.data.dataset import (
    Dataset,
    LabelledPicture,
    Picture,
    check_class_names,
    check_pictures,
    check_trainable,
    clean_class_name,
    few_shot,
    select_classes,
    split_held_out,
)
from coop_demo.data.folders import from_classes, read_folder
from coop_demo.data.images import content_hash
from coop_demo.errors import DatasetError
from coop_demo.settings import LIMITS


def shown(items: tuple[LabelledPicture, ...]) -> list[tuple[str, int]]:
    return [(item.picture.name, item.label) for item in items]


def contents(items: tuple[LabelledPicture, ...]) -> set[str | None]:
    return {item.picture.content for item in items}


# --- rules -------------------------------------------------------------------------------------


def test_class_names_are_cleaned_as_prompts_need_them():
    assert clean_class_name("  Royal-Gala__apple\n") == "Royal-Gala apple"
    assert clean_class_name("Cafe\u0301") == "Caf\u00e9"


def test_class_names_that_are_missing_double_or_too_long_are_refused():
    check_class_names(["oak", "ash", "x" * LIMITS.max_class_name])
    with pytest.raises(DatasetError, match="Class 2 has no name"):
        check_class_names(["oak", "  "])
    with pytest.raises(DatasetError, match='Two classes are called "OAK"'):
        check_class_names(["oak", "OAK"])
    with pytest.raises(DatasetError, match="has 201 characters; at most 200 are taken"):
        check_class_names(["x" * 201])


def test_a_class_with_one_picture_is_refused_in_these_words():
    dataset = from_classes({"oak": [numbered(1)], "ash": [numbered(2), numbered(3)]})
    with pytest.raises(DatasetError) as refused:
        check_trainable(dataset)
    assert str(refused.value) == (
        'Class "oak" has 1 picture; 2 or more are needed to train. '
        "Add pictures or remove the class."
    )


def test_one_training_picture_is_enough_beside_a_test_picture():
    pictures = {"oak": [numbered(1)], "ash": [numbered(2)]}
    check_trainable(from_classes(pictures, {"oak": [numbered(3)], "ash": [numbered(4)]}))


def test_a_class_with_test_pictures_only_cannot_be_trained():
    dataset = from_classes(
        {"oak": [numbered(1), numbered(2)]},
        {"ash": [numbered(3), numbered(4)], "oak": [numbered(5)]},
    )
    with pytest.raises(DatasetError, match='Class "ash" has 2 test pictures but none to train on'):
        check_trainable(dataset)


def test_one_class_and_none_are_refused():
    with pytest.raises(DatasetError, match='"oak" is the only class; 2 or more are needed'):
        check_trainable(from_classes({"oak": [numbered(1), numbered(2)]}))
    with pytest.raises(DatasetError, match="There are no pictures"):
        check_trainable(from_classes([]))


def test_the_same_picture_in_two_classes_is_noted_once():
    dataset = from_classes({"oak": [numbered(1), numbered(2)], "ash": [numbered(1), numbered(3)]})
    assert dataset.notes == (
        'The same picture is in class "oak" ("oak 1") and in class "ash" ("ash 1").',
    )
    assert check_pictures(dataset).notes == dataset.notes
    assert dataset.train_counts == (2, 2)


def test_many_double_pictures_are_counted_not_listed():
    pictures = [numbered(number) for number in range(9)]
    dataset = from_classes({"oak": pictures, "ash": pictures})
    assert len(dataset.notes) == 6
    assert dataset.notes[-1] == "And 4 more of this kind."


def test_test_pictures_that_are_also_training_pictures_are_noted():
    dataset = from_classes(
        {"oak": [numbered(1), numbered(2)], "ash": [numbered(3)]}, {"oak": [numbered(1)]}
    )
    assert any(
        note.startswith("1 test picture also in the training part") for note in dataset.notes
    )


def test_a_label_outside_the_classes_is_a_bug_of_ours():
    with pytest.raises(ValueError, match="label 1 of 1 classes"):
        Dataset(("a",), (LabelledPicture(Picture("x", b""), 1),))


# --- held-out pictures -------------------------------------------------------------------------


def ten_and_three() -> Dataset:
    return from_classes(
        {
            "oak": [Picture(f"oak{n}", numbered(n)) for n in range(10)],
            "ash": [Picture(f"ash{n}", numbered(100 + n)) for n in range(3)],
        }
    )


def test_each_class_keeps_and_holds_out_at_least_one_and_the_number_is_told():
    for fraction, expected in ((0.01, (1, 1)), (0.3, (3, 1)), (0.99, (9, 2))):
        dataset, n_held = split_held_out(ten_and_three(), fraction=fraction, seed=3)
        assert dataset.test_counts == expected
        assert n_held == sum(expected) == len(dataset.test)
        assert len(dataset.train) == 13 - n_held
        assert contents(dataset.train).isdisjoint(contents(dataset.test))


def test_the_held_out_pictures_depend_on_the_seed_and_on_nothing_else():
    given = ten_and_three()
    first, _ = split_held_out(given, fraction=0.3, seed=1)
    again, _ = split_held_out(ten_and_three(), fraction=0.3, seed=1)
    assert shown(first.test) == shown(again.test)
    others = {
        tuple(shown(split_held_out(given, fraction=0.3, seed=seed)[0].test)) for seed in range(9)
    }
    assert len(others) > 4
    turned = from_classes(
        [
            ("elm", [numbered(200), numbered(201)]),
            ("ash", [item.picture for item in reversed(given.train) if item.label == 1]),
            ("oak", [item.picture for item in reversed(given.train) if item.label == 0]),
        ]
    )
    turned_split, _ = split_held_out(turned, fraction=0.3, seed=1)
    names = {item.picture.name for item in turned_split.test} - {"elm 1", "elm 2"}
    assert names == {item.picture.name for item in first.test}


def test_given_test_pictures_are_kept_and_none_is_split_off():
    dataset = from_classes({"a": [numbered(1)], "b": [numbered(2)]}, {"a": [numbered(3)]})
    split, n_held = split_held_out(dataset)
    assert n_held == 0
    assert shown(split.test) == shown(dataset.test)


def test_copies_of_one_picture_never_stand_on_both_sides():
    copies = [Picture(f"copy{n}", numbered(7)) for n in range(5)]
    singles = [Picture(f"single{n}", numbered(20 + n)) for n in range(3)]
    other = [Picture(f"ash{n}", numbered(50 + n)) for n in range(4)]
    for seed in range(20):
        split, _ = split_held_out(
            from_classes({"oak": copies + singles, "ash": other}), fraction=0.5, seed=seed
        )
        assert contents(split.train).isdisjoint(contents(split.test))
        assert min(split.train_counts) >= 1
        assert min(split.test_counts) >= 1


def test_a_picture_that_lies_in_two_classes_stays_in_training():
    both = numbered(7)
    dataset = from_classes(
        {"oak": [both, numbered(1), numbered(2)], "ash": [both, numbered(3), numbered(4)]}
    )
    for seed in range(20):
        split, _ = split_held_out(dataset, fraction=0.9, seed=seed)
        assert content_hash(both) not in contents(split.test)
        assert split.test_counts == (2, 2)


def test_a_class_that_cannot_be_split_is_refused_by_name():
    with pytest.raises(DatasetError, match='"oak" has 2 pictures, but all are the same picture'):
        split_held_out(
            from_classes({"oak": [numbered(1), numbered(1)], "ash": [numbered(2), numbered(3)]})
        )
    twins = [numbered(1), numbered(2)]
    with pytest.raises(DatasetError, match='"oak" has 2 pictures, but all of them are in another'):
        split_held_out(from_classes({"oak": twins, "ash": [*twins, numbered(3)]}))
    with pytest.raises(DatasetError, match='Class "oak" has 1 picture; 2 or more'):
        split_held_out(from_classes({"oak": [numbered(1)], "ash": [numbered(2), numbered(3)]}))
    with pytest.raises(ValueError, match="fraction"):
        split_held_out(ten_and_three(), fraction=1.0)


# --- shots -------------------------------------------------------------------------------------


def test_shots_are_drawn_a_class_without_replacement_and_test_is_untouched(tmp_path):
    write_folders(tmp_path, {"train/a": 9, "train/b": 9, "test/a": 2, "test/b": 2, "val/a": 1})
    dataset = read_folder(tmp_path)
    drawn = few_shot(dataset, shots=4, seed=1)
    assert drawn.train_counts == (4, 4)
    assert len(contents(drawn.train)) == 8
    assert shown(drawn.test) == shown(dataset.test)
    assert shown(drawn.val) == shown(dataset.val)
    assert set(shown(drawn.train)) <= set(shown(dataset.train))


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_the_folder(tmp_path):
    dataset = read_folder(write_folders(tmp_path, {"a": 20, "b": 20}))
    reordered = Dataset(dataset.class_names, dataset.train[::-1])
    for seed in range(3):
        drawn = few_shot(dataset, shots=3, seed=seed)
        assert shown(drawn.train) == shown(few_shot(reordered, shots=3, seed=seed).train)
    assert len({tuple(shown(few_shot(dataset, shots=3, seed=seed).train)) for seed in range(9)}) > 6


def test_every_picture_is_drawn_equally_often(tmp_path):
    dataset = read_folder(write_folders(tmp_path, {"a": 5, "b": 5}))
    drawn = Counter(
        item.picture.name
        for seed in range(400)
        for item in few_shot(dataset, shots=2, seed=seed).train
    )
    # Expected 160 each, standard deviation 9.8.
    assert len(drawn) == 10
    assert min(drawn.values()) > 110
    assert max(drawn.values()) < 210


def test_a_class_with_fewer_pictures_gives_all_and_it_is_noted(tmp_path):
    drawn = few_shot(read_folder(write_folders(tmp_path, {"a": 3, "b": 20})), shots=16, seed=1)
    assert drawn.train_counts == (3, 16)
    assert drawn.notes == (
        'Class "a" has 3 training pictures, fewer than the 16 shots asked for: all are used.',
    )


def test_an_unreadable_picture_in_the_draw_is_replaced_by_the_next(tmp_path):
    write_folders(tmp_path, {"a": 6, "b": 6})
    for index in range(3):
        (tmp_path / "a" / f"{index:03d}.png").write_bytes(b"junk")
    drawn = few_shot(read_folder(tmp_path, check=False), shots=3, seed=1)
    assert drawn.train_counts == (3, 3)
    assert {item.picture.name for item in drawn.train if item.label == 0} == {
        "a/003.png",
        "a/004.png",
        "a/005.png",
    }
    assert all("is not a picture" in problem for problem in drawn.problems)


def test_less_than_one_shot_is_refused():
    with pytest.raises(DatasetError, match="The number of shots is 0; 1 or more are needed"):
        few_shot(ten_and_three(), shots=0, seed=1)


def test_selected_classes_are_counted_anew_in_the_order_asked_for(tmp_path):
    dataset = read_folder(
        write_folders(tmp_path, {"train/a": 1, "train/b": 2, "train/c": 3, "test/c": 1})
    )
    chosen = select_classes(dataset, [2, 0])
    assert chosen.class_names == ("c", "a")
    assert chosen.train_counts == (3, 1)
    assert chosen.test_counts == (1, 0)


@pytest.mark.shared
def test_the_development_sets_read_completely(shared_dir):
    dataset = read_folder(shared_dir / "data" / "grocery20", check=False)
    assert len(dataset.class_names) == 20
    assert dataset.class_names[1] == "cantaloupe melon"
    assert (len(dataset.train), len(dataset.val), len(dataset.test)) == (480, 100, 697)
    drawn = few_shot(dataset, shots=2, seed=1)
    assert drawn.train_counts == (2,) * 20
    assert not drawn.problems


def test_what_was_mended_in_a_picture_is_in_the_notes_once(tmp_path):
    write_folders(tmp_path, {"a": 2, "b": 2})
    whole = (tmp_path / "a" / "000.png").read_bytes()
    (tmp_path / "a" / "stray.png").write_bytes(b"\r\n" + whole)
    said = '"a/stray.png" has stray bytes before the picture; they were passed over.'
    dataset = read_folder(tmp_path)
    assert dataset.notes == (said,)
    assert dataset.train_counts == (3, 2)
    assert check_pictures(dataset).notes == (said,)
    drawn = few_shot(read_folder(tmp_path, check=False), shots=3, seed=1)
    assert said in drawn.notes
    assert sum(note == said for note in check_pictures(drawn).notes) == 1
