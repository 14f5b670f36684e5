"""A labels.csv becomes rows to rank, or one sentence that names the file, the line and the cure."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from images import numbered, write_image

from coop_demo.errors import RankingError
from coop_demo.ranking.labels import RankingTable, check_rankable, read_labels_csv


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the pictures a.png to e.png, all different."""
    for number, name in enumerate("abcde"):
        write_image(numbered(number), tmp_path / f"{name}.png")
    return tmp_path


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def values(table: RankingTable) -> list[tuple[str, float]]:
    return [(row.picture.name, row.value) for row in table.rows]


def test_all_columns_are_read_and_selected_by_split_and_instruction(folder):
    table = read_labels_csv(
        write(
            folder,
            "image,value,split,colour,category,prompt\n"
            "a.png,1,train,red,fish,Rank the fish.\n"
            "b.png,2.5,Valid,red,fish,Rank the fish.\n"
            "a.png,-3,test,red,sharks,Rank the sharks.\n"
            "c.png,1e2,test,red,sharks,Rank the sharks.\n",
        )
    )
    assert values(table) == [("a.png", 1.0), ("b.png", 2.5), ("a.png", -3.0), ("c.png", 100.0)]
    assert table.prompts == ("Rank the fish.", "Rank the sharks.")
    assert table.splits == ("train", "val", "test")
    assert [row.category for row in table.rows] == ["fish", "fish", "sharks", "sharks"]
    assert values(table.select(split="test")) == [("a.png", -3.0), ("c.png", 100.0)]
    assert values(table.select(split="valid")) == [("b.png", 2.5)]
    assert len(table.select(prompt="Rank the fish.").rows) == 2
    assert table.rows[0].picture is table.rows[2].picture  # opened once
    assert table.rows[0].weight == 1.0
    assert not table.problems


def test_the_table_of_the_reference_is_read(folder):
    table = read_labels_csv(
        write(
            folder,
            "filepath\ttitle\tcname\tvalue\tsample_weights_by_class\n"
            "a.png\tRank the numbers of dogs.\tdogs\t3\t0.25\n"
            "b.png\tRank the numbers of dogs.\tdogs\t1\t0.75\n",
        )
    )
    assert [(row.prompt, row.category, row.value, row.weight) for row in table.rows] == [
        ("Rank the numbers of dogs.", "dogs", 3.0, 0.25),
        ("Rank the numbers of dogs.", "dogs", 1.0, 0.75),
    ]


def test_spreadsheet_habits_are_understood(folder):
    # A byte-order mark, semicolons, decimal commas, capitals, blank lines, quotes, Windows paths.
    (folder / "sub").mkdir()
    (folder / "a.png").rename(folder / "sub" / "a.png")
    text = (
        "\ufeffImage;Value;Prompt\r\n"
        '"sub\\a.png";3,5;"Rank; please."\r\n'
        ";;\r\n"
        "b.png; 4 ;Rank; please.\r\n".replace("Rank; please.\r\n", '"Rank; please."\r\n')
    )
    table = read_labels_csv(write(folder, text))
    assert [row.value for row in table.rows] == [3.5, 4.0]
    assert table.prompts == ("Rank; please.",)


def test_one_instruction_may_be_given_for_rows_that_have_none(folder):
    path = write(folder, "image,value\na.png,1\nb.png,2\n")
    assert read_labels_csv(path, default_prompt="Rank it.").prompts == ("Rank it.",)
    path = write(folder, "image,value,prompt\na.png,1,Own.\nb.png,2,\nc.png,3,Own.\n")
    assert read_labels_csv(path, default_prompt="Rank it.").prompts == ("Own.", "Rank it.")


def test_pictures_may_lie_in_another_folder(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = write(elsewhere, "image,value,prompt\na.png,1,p\nb.png,2,p\n")
    assert len(read_labels_csv(path, images=folder).rows) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"is empty"),
        ("image,prompt\na.png,p\n", r'has no column "value"; its first line names image, prompt\.'),
        ("what,value,prompt\nx,1,p\n", r'has no column "image"; its first line names what, va'),
        (
            "a.png,1,p\nb.png,2,p\n",
            r'has no first line that names the columns; it begins with "a.png,1,p"\. Write '
            r'"image,value,prompt" above it\.$',
        ),
        ("image,value\na.png,1\n", r'has no column "prompt".* give one instruction for all rows'),
        ("image,value,prompt\n", r"has no rows"),
        (
            "image,value,prompt\na.png,many,p\nb.png,2,p\n",
            r', line 2: the value "many" is not a nu',
        ),
        ("image,value,prompt\na.png,1,p\nb.png,,p\n", r', line 3: the value "" is not a number'),
        ("image,value,prompt\na.png,nan,p\nb.png,1,p\n", r'the value "nan" is not a number'),
        ("image,value,prompt\na.png,inf,p\nb.png,1,p\n", r'the value "inf" is not a number'),
        ("image,value,prompt,weight\na.png,1,p,-1\n", r"the weight -1 is not above 0"),
        ("image,value,prompt,weight\na.png,1,p,0\n", r"the weight 0 is not above 0"),
        ("image,value,prompt,weight\na.png,1,p,x\n", r'the weight "x" is not a number'),
        ("image,value,prompt\n,1,p\n", r"line 2: the picture is missing"),
        ("image,value,prompt\na.png,1,\n", r"line 2: the instruction \(prompt\) is missing"),
        ("image,value,prompt\na.png,1,p\nb.png,1,p\n", r'All 2 values of "labels.csv" are 1, so'),
        ("image,value,prompt\na.png,1,p\n", r"has 1 usable row; 2 or more are needed"),
        ("image,value,prompt\na.png,1,p\nb.png,2,q\n", r"no instruction has pictures of different"),
        ("image,value,prompt\na.png,1,p,x\n", r"line 2: 4 cells where the first line has 3"),
        ('image,value,prompt\na.png,1,"p\n', r"line 2: unexpected end of data\. Check the quotes"),
        ("image,value,value,prompt\na.png,1,2,p\n", r'has two columns named "value"'),
    ],
)
def test_a_wrong_table_is_refused_with_the_reason(folder, text, says):
    with pytest.raises(RankingError, match=says) as refused:
        read_labels_csv(write(folder, text))
    assert '"labels.csv"' in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_not_utf8_or_not_there_is_refused(folder):
    path = write(folder, "image,value,prompt\na.png,1,größer\n", encoding="latin-1")
    with pytest.raises(RankingError, match=r'is not UTF-8 text\. Save it as "CSV UTF-8"'):
        read_labels_csv(path)
    with pytest.raises(RankingError, match="cannot be opened"):
        read_labels_csv(folder / "gone.csv")


def test_missing_and_unreadable_pictures_cost_their_rows_and_are_named(folder):
    (folder / "bad.png").write_bytes(b"junk")
    text = "image,value,prompt\na.png,1,p\ngone.png,2,p\nbad.png,3,p\nb.png,4,p\nbad.png,5,p\n"
    table = read_labels_csv(write(folder, text))
    assert values(table) == [("a.png", 1.0), ("b.png", 4.0)]
    assert len(table.problems) == 3
    assert '"labels.csv", line 3: the picture "gone.png" does not exist' in table.problems[0]
    assert '"labels.csv", line 4: "bad.png" is not a picture' in table.problems[1]
    assert '"labels.csv", line 6: "bad.png"' in table.problems[2]
    assert len(read_labels_csv(write(folder, text), check=False).rows) == 4


def test_a_row_that_cannot_be_used_costs_its_own_sentence_only(folder):
    rows = ["a.png,1,p,1", "b.png,many,p,1", "c.png,3,p,0", ",4,p,1", "d.png,5,,1", "e.png,6,p,x"]
    text = "\n".join(["image,value,prompt,weight", *rows, "e.png,7,p,1"])
    table = read_labels_csv(write(folder, text))
    assert values(table) == [("a.png", 1.0), ("e.png", 7.0)]
    says = [
        'line 3: the value "many" is not a number that fits the others.',
        "line 4: the weight 0 is not above 0.",
        "line 5: the picture is missing.",
        "line 6: the instruction (prompt) is missing.",
        'line 7: the weight "x" is not a number',
    ]
    for problem, said in zip(table.problems, says, strict=True):
        assert problem.startswith(f'"labels.csv", {said}')


def test_many_such_rows_are_counted_not_listed(folder):
    text = "image,value,prompt\na.png,1,p\nb.png,2,p\n" + "c.png,none,p\n" * 40
    table = read_labels_csv(write(folder, text))
    assert len(table.problems) == 6
    assert table.problems[-1] == "And 35 more of this kind."


@pytest.mark.parametrize("image", ["Filename", "file name", "image_path", "Picture", "id"])
@pytest.mark.parametrize("value", ["score", "Rating", "label", "count"])
def test_columns_go_by_their_usual_other_names(folder, image, value):
    text = f"{image},{value},Instruction,Set\na.png,1,p,training\nb,2,p,test\n"
    table = read_labels_csv(write(folder, text))
    assert [(row.picture.source, row.value, row.split) for row in table.rows] == [
        (folder / "a.png", 1.0, "train"),
        (folder / "b.png", 2.0, "test"),
    ]
    assert table.notes == ()


def test_which_of_two_columns_was_taken_is_said(folder):
    table = read_labels_csv(write(folder, "file,rating,score,prompt\na.png,1,5,p\nb.png,2,3,p\n"))
    assert [row.value for row in table.rows] == [5.0, 3.0]
    assert table.notes == ('The values are those of the column "score", not of "rating".',)


def test_the_unicode_text_of_a_spreadsheet_is_read(folder):
    text = "image\tvalue\tprompt\r\na.png\t1 200\tgrößer?\r\nb.png\t3 400\tgrößer?\r\n"
    for encoding in ("utf-16", "utf-8-sig"):
        table = read_labels_csv(write(folder, text, encoding))
        assert [row.value for row in table.rows] == [1200.0, 3400.0]
        assert table.prompts == ("größer?",)


def test_a_first_line_may_name_the_separator(folder):
    for separator in (";", "|"):
        text = f"sep={separator}\r\n" + separator.join(["image", "value", "prompt\r\n"])
        text += separator.join(["a.png", "1,5", "p, q\r\n"]) + separator.join(["b.png", "x", "p"])
        text += "\r\n" + separator.join(["c.png", "2,5", "p, q"])
        table = read_labels_csv(write(folder, text))
        assert [row.value for row in table.rows] == [1.5, 2.5]
        assert table.problems[0].startswith('"labels.csv", line 4: ')


@pytest.mark.parametrize(
    "written", [".\\sub\\a.png", "sub/x/../a.png", "SUB/A.PNG", "./sub/a", "A.png"]
)
def test_the_same_picture_may_be_written_in_many_ways(folder, written):
    (folder / "sub").mkdir()
    (folder / "a.png").rename(folder / "sub" / "a.png")
    (folder / "other").mkdir()
    (folder / "b.png").rename(folder / "other" / "b.png")
    table = read_labels_csv(write(folder, f"image,value,prompt\n{written},1,p\nc.png,2,p\n"))
    assert table.rows[0].picture.source == folder / "sub" / "a.png"
    assert table.problems == table.notes == ()


def test_a_picture_that_is_found_in_another_folder_is_said(folder):
    (folder / "new").mkdir()
    (folder / "a.png").rename(folder / "new" / "a.png")
    table = read_labels_csv(write(folder, "image,value,prompt\nold/a.png,1,p\nc.png,2,p\n"))
    assert len(table.rows) == 2
    assert table.notes == (
        "1 picture found by the file name alone, in another folder than the table says: "
        '"old/a.png" is "new/a.png".',
    )


def test_dates_are_ordered_as_days_and_that_is_said(folder):
    table = read_labels_csv(
        write(folder, "image,value,prompt\na.png,2024-02-28,p\nb.png,2024-03-01,p\n")
    )
    assert table.rows[1].value - table.rows[0].value == 2
    assert table.notes == ('The values of "labels.csv" are dates and are counted in days.',)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"PK\x03\x04\x14\0", r'is a spreadsheet \(XLSX or its kind\), not a CSV.*"CSV UTF-8"'),
        (b"\xd0\xcf\x11\xe0\xa1", "is a spreadsheet"),
        (b"", r"is empty \(0 bytes\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html><html><body>404", "is a web page, not a table"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(folder, data, says):
    path = folder / "labels.csv"
    path.write_bytes(data)
    with pytest.raises(RankingError, match=f'^"labels.csv" {says}'):
        read_labels_csv(path)


def test_labels_for_other_pictures_are_refused_with_the_folder_and_the_first(folder):
    text = "image,value,prompt\nx.png,1,p\ny.png,2,p\n"
    with pytest.raises(RankingError, match=r'None of the 2 pictures .*line 2: the picture "x.png"'):
        read_labels_csv(write(folder, text))


def test_an_instruction_whose_values_are_all_equal_is_noted_beside_a_good_one(folder):
    text = "image,value,prompt\na.png,1,p\nb.png,2,p\nc.png,7,q\nd.png,7,q\n"
    table = read_labels_csv(write(folder, text))
    assert table.notes == ('All pictures under "q" have the value 7: nothing to order.',)
    with pytest.raises(RankingError, match="All 2 values"):
        check_rankable(table.select(prompt="q"))
    check_rankable(table.select(prompt="p"))


def test_selecting_what_is_not_there_lists_what_is(folder):
    table = read_labels_csv(
        write(folder, "image,value,prompt,split\na.png,1,p,train\nb.png,2,q,val\nc.png,3,q,val\n")
    )
    with pytest.raises(
        RankingError, match=r'no rows of the split "test". Splits there are: "train'
    ):
        table.select(split="test")
    with pytest.raises(
        RankingError, match=r'the instruction "r". Instructions there are: "p", "q"'
    ):
        table.select(prompt="r")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "n_rows", "n_prompts"),
    [
        ("dice_count", 200, 1),
        ("aquarium_count", 798, 7),
        ("fairface_age", 360, 1),
        ("quality_synth", 360, 1),
    ],
)
def test_the_development_tables_read_completely(shared_dir, name, n_rows, n_prompts):
    table = read_labels_csv(shared_dir / "data" / name / "labels.csv", check=False)
    assert (len(table.rows), len(table.prompts)) == (n_rows, n_prompts)
    assert not table.problems
    assert all(math.isfinite(row.value) for row in table.rows)
