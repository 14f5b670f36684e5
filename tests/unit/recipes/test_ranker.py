"""The recipe of the shipped ranker: honest parts, known values, and a card made of its figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from images import coloured, grey
from PIL import Image
from tiny import tiny_backbone

from coop_demo.ranking.adapter import AdapterConfig
from coop_demo.recipes.cutouts import Cutout
from coop_demo.recipes.ranker import train
from coop_demo.recipes.ranker.pictures import (
    APPLES_AND_ORANGES,
    SEEN_KINDS,
    UNSEEN_KINDS,
    Sample,
    attribute_samples,
    attribute_values,
    count_prompt,
    counting_samples,
    graded_samples,
    labelled_samples,
    mosaics,
    paraphrases,
    part_of,
    photographs,
    plural,
    shape_cutouts,
)


def drawn_library() -> dict[str, list[Cutout]]:
    """Every kind as a plain shape: no Debian package needed."""
    shapes = shape_cutouts("star")
    return dict.fromkeys((*SEEN_KINDS, *UNSEEN_KINDS), shapes)


@pytest.fixture(scope="module")
def scenes() -> list[Sample]:
    return list(counting_samples(drawn_library(), share=0.2))


def test_unseen_kinds_are_never_learned(scenes):
    assert not set(SEEN_KINDS) & set(UNSEEN_KINDS)
    unseen = {count_prompt(kind) for kind in UNSEEN_KINDS}
    for one in scenes:
        assert one.part == "test" or not unseen & set(one.values)
    assert any(unseen & set(one.values) for one in scenes)


def test_scenes_hold_what_their_values_say(scenes):
    from coop_demo.recipes.scenes import counting_scene

    for one in scenes[::40]:
        scene = counting_scene(
            one.draw.counts, drawn_library(), size=(288, 288), seed=one.draw.seed
        )
        shown = scene.counts()
        for kind, number in one.draw.counts.items():
            assert shown.get(kind, 0) == number == one.values[count_prompt(kind)]
        assert one.values[count_prompt("object")] == len(scene.objects)


def test_the_order_flips_between_apples_and_oranges(scenes):
    prompts = [count_prompt(kind) for kind in APPLES_AND_ORANGES]
    flips = [one for one in scenes if one.family == "flips"]
    apples, oranges = ([one.values[p] for one in flips] for p in prompts)
    assert abs(np.corrcoef(apples, oranges)[0, 1]) < 0.5


def test_scenes_are_the_same_every_time(scenes):
    again = list(counting_samples(drawn_library(), share=0.2))
    assert [one.values for one in again] == [one.values for one in scenes]
    assert np.array_equal(np.asarray(again[5].draw()), np.asarray(scenes[5].draw()))


def test_plurals_and_paraphrases_are_english():
    assert [plural(w) for w in ("apple", "strawberry", "bus", "fox", "key", "sheep", "mango")] == [
        "apples",
        "strawberries",
        "buses",
        "foxes",
        "keys",
        "sheep",
        "mangoes",
    ]
    assert "How many apples are there?" in paraphrases("Rank the numbers of apples.")
    assert "Rank the ages of the people." in paraphrases("Rank the age of the person.")
    assert paraphrases("Rank the happiness.") == ()


def test_measured_attributes_follow_the_picture():
    base = coloured((120, 120, 120), size=(40, 40), grain=60)
    plain = attribute_values(base)
    dark = attribute_values(base.point([level // 3 for level in range(256)] * 3))
    assert dark["brightness"] < plain["brightness"]
    assert dark["contrast"] < plain["contrast"]
    grey = attribute_values(base.convert("L").convert("RGB"))
    assert grey["colourfulness"] == pytest.approx(0)
    assert grey["warmth"] == pytest.approx(0)
    assert plain["colourfulness"] > 0.05


def test_changed_photographs_stay_in_their_part():
    base = grey(120, size=(30, 30))
    bases = [("one", "train", lambda: base), ("two", "test", lambda: base)]
    made = [*attribute_samples(bases, number=6), *graded_samples(bases, number=6)]
    assert {one.part for one in made} == {"train", "test"}
    for one in made[:6]:
        assert one.values["Rank the brightness."] == -one.values["Rank the darkness."]
        again = attribute_values(one.draw())
        assert one.values["Rank the brightness."] == pytest.approx(again["brightness"])
    assert all(1 <= one.values["Rank the image quality."] <= 5 for one in made[6:])


def test_mosaics_add_up_what_is_in_their_pictures():
    def plain(colour):
        return lambda: coloured(colour, size=(30, 40), grain=0)

    samples = [
        Sample("aquarium", "train", plain((200, 0, 0)), {"fish": 2.0}, complete=True),
        Sample("aquarium", "train", plain((0, 0, 200)), {"sharks": 1.0, "fish": 3.0}),
        Sample("aquarium", "val", plain((0, 200, 0)), {"fish": 9.0}),
    ]
    made = list(mosaics(samples, number=12))
    assert made
    assert all(one.part == "train" and not one.plain for one in made)  # val has no second picture
    assert {tuple(sorted(one.values.items())) for one in made} == {(("fish", 5.0), ("sharks", 1.0))}
    pixels = np.asarray(made[0].draw()).astype(int)
    left, right = pixels[:, 20:140].mean((0, 1)), pixels[:, 180:300].mean((0, 1))
    assert {int(left.argmax()), int(right.argmax())} == {0, 2}  # one is red, the other blue


def test_a_mosaic_says_nothing_of_what_was_not_counted_in_all_of_it():
    people, apples = count_prompt("person"), count_prompt("apple")
    street = Sample("natural", "train", Image.Image, {people: 2.0})
    tree = Sample("natural", "train", Image.Image, {apples: 5.0}, complete=True)
    for one in mosaics([street, tree], number=40):
        assert apples not in one.values  # there may be some in the street
        assert one.values[people] >= 2.0


def test_labelled_photographs_are_in_one_part_each(shared_dir):
    samples = list(labelled_samples(shared_dir / "data"))
    families = {"dice", "aquarium", "age", "quality", "natural", "unmet"}
    assert {one.family for one in samples} == families
    assert all(one.part == "test" for one in samples if one.family == "unmet")
    part_by_photograph: dict[str, set[str]] = {}
    for one in samples:
        draws = one.draw.pieces if hasattr(one.draw, "pieces") else (one.draw,)
        for draw in draws:
            name = getattr(draw, "base", draw).path.stem
            if one.family == "quality":
                name = name.rpartition("_")[0]
            part_by_photograph.setdefault(f"{one.family}/{name}", set()).add(one.part)
    assert all(len(parts) == 1 for parts in part_by_photograph.values())
    assert all(one.plain for one in samples if one.part == "test")
    parts = {name: part for name, part, _ in photographs(shared_dir / "data")}
    for one in samples:
        if one.plain and one.draw.path.name in parts:
            assert parts[one.draw.path.name] == one.part


def test_parts_are_drawn_by_name_in_the_shares_that_are_stated():
    parts = [part_of("set", f"picture {i}") for i in range(2000)]
    assert parts == [part_of("set", f"picture {i}") for i in range(2000)]
    assert 0.18 < parts.count("test") / 2000 < 0.26
    assert 0.05 < parts.count("val") / 2000 < 0.11


# --- training and measuring, on made-up tokens


def collection(backbone, n: int = 48) -> train.Collection:
    """Pictures whose tokens hold their number of apples along one direction."""
    generator = torch.Generator().manual_seed(0)
    base = torch.randn(backbone.embed_dim, generator=generator)
    samples, tokens = [], []
    for i in range(n):
        values = {count_prompt("apple"): float(i % 7), count_prompt("object"): float(i % 7)}
        part = ("train", "train", "test", "val")[i % 4]
        samples.append(Sample("counting", part, Image.Image, values, plain=i % 8 != 1))
        noise = 0.1 * torch.randn(9, backbone.embed_dim, generator=generator)
        tokens.append(noise + (i % 7) / 7 * base)
    return train.Collection(samples, torch.stack(tokens).half())


def test_words_are_hidden_of_counts_of_one_thing_alone():
    backbone = tiny_backbone()
    counts = {task.instruction: task.counts_things for task in tasks_of_apples(backbone)}
    assert counts == {count_prompt("apple"): True, count_prompt("object"): False}


def tasks_of_apples(backbone, **options):
    return train.tasks_of(collection(backbone), ("train", "val"), **options)


def test_a_kind_can_be_held_out():
    left = tasks_of_apples(tiny_backbone(), without=[count_prompt("apple")])
    assert [task.instruction for task in left] == [count_prompt("object")]


def test_everyday_photographs_are_no_negatives_of_what_may_be_in_them():
    people, apples = count_prompt("person"), count_prompt("apple")
    samples = [
        *(Sample("natural", "train", Image.Image, {people: float(i)}) for i in range(4)),
        *(
            Sample("natural", "train", Image.Image, {apples: i / 2}, complete=True)
            for i in range(4)
        ),
        Sample("natural", "train", Image.Image, {count_prompt("car"): 1.0}),
    ]
    held = train.Collection(samples, torch.zeros(9, 4, 8))
    negatives = {task.instruction: task.negatives for task in train.tasks_of(held, ("train",))}
    assert negatives[people].tolist() == [4, 5, 6, 7]  # not the street with cars
    assert negatives[apples].tolist() == [0, 1, 2, 3, 8]


def test_a_ranker_that_goes_on_scores_as_it_did():
    backbone = tiny_backbone()
    held = collection(backbone)
    shape = AdapterConfig(dim=16, layers=1, mlp_ratio=2.0, token_dim=backbone.embed_dim)
    wordings = [count_prompt(kind) for kind in ("apple", "orange", "lemon")]
    start = train.aligned_start(backbone, held.tokens, wordings, shape, seed=1)
    other = train.going_on(backbone, start, replace(shape, dropout=0.0), seed=2)
    apples = count_prompt("apple")
    torch.testing.assert_close(
        train.adapter_scores(backbone, start, held.tokens, apples),
        train.adapter_scores(backbone, other, held.tokens, apples),
    )


def test_the_judging_part_is_never_learned_nor_augmented():
    backbone = tiny_backbone()
    held = collection(backbone)
    for task in train.tasks_of(held, ("train", "val")):
        assert all(held.samples[row].part != "test" for row in task.rows.tolist())
    rows = held.rows(count_prompt("apple"), ("test",))
    assert rows
    assert all(held.samples[r].part == "test" and held.samples[r].plain for r in rows)


def test_an_instruction_of_two_families_learns_from_the_pictures_of_both():
    fish, sharks = count_prompt("fish"), "Rank the numbers of sharks."
    samples = [
        Sample(family, "train", Image.Image, {instruction: float(i)})
        for family, instruction in (("counting", fish), ("aquarium", fish), ("aquarium", sharks))
        for i in range(10)
    ]
    held = train.Collection(samples, torch.zeros(30, 4, 8))
    tasks = {task.instruction: task for task in train.tasks_of(held, ("train",))}
    assert set(tasks) == {fish, sharks}
    assert tasks[fish].rows.tolist() == list(range(20))
    scenes, photographs = tasks[fish].weights.split(10)
    wanted = train.FAMILY_SHARES["counting"], train.FAMILY_SHARES["aquarium"] / 2
    assert scenes.sum() / photographs.sum() == pytest.approx(wanted[0] / wanted[1])
    assert tasks[fish].negatives.tolist() == list(range(20, 30))  # photographs of sharks
    assert tasks[sharks].negatives.tolist() == list(range(10, 20))
    drawn = [task.weight * len(task.rows) ** 0.5 for task in (tasks[fish], tasks[sharks])]
    assert drawn == pytest.approx([wanted[0] + wanted[1], wanted[1]])


def test_an_aligned_start_puts_words_and_pictures_into_one_space():
    backbone = tiny_backbone()
    tokens = collection(backbone).tokens
    config = AdapterConfig(dim=16, layers=1, heads=4, token_dim=backbone.embed_dim, mlp_ratio=1.0)
    wordings = [count_prompt(kind) for kind in ("apple", "orange", "lemon", "pear", "fish")]
    ranker = train.aligned_start(backbone, tokens, wordings, config, seed=1)
    pictures, words = (ranker.state[f"{kind}_projection.weight"] for kind in ("image", "text"))
    # the tiny tower's words arrive in the joint space: both maps look the same way in it,
    # but for the axes along which the five instructions differ
    pictures, words = pictures[:12], words[:12]
    directions = torch.randn(50, backbone.embed_dim, generator=torch.Generator().manual_seed(1))
    cosine = torch.cosine_similarity(directions @ pictures.T, directions @ words.T)
    assert cosine.min() > 0.999
    mapped = tokens.float() @ ranker.state["image_projection.weight"].T
    mapped = mapped + ranker.state["image_projection.bias"]
    assert mapped.std() == pytest.approx(1.0, abs=0.05)
    assert abs(mapped.mean()) < 0.05
    scores = train.adapter_scores(backbone, ranker, tokens, count_prompt("apple"))
    assert scores.unique().numel() == 1


def test_an_aligned_start_tells_instructions_apart():
    backbone = tiny_backbone()
    tokens = collection(backbone).tokens
    config = AdapterConfig(dim=16, layers=1, heads=4, token_dim=backbone.embed_dim, mlp_ratio=1.0)
    wordings = [count_prompt(kind) for kind in ("apple", "orange", "lemon", "pear", "fish")]
    state = train.aligned_start(backbone, tokens, wordings, config, seed=1).state
    ends = torch.stack([backbone.text_tokens([wording])[0, -1] for wording in wordings])
    before = torch.nn.functional.normalize(ends, dim=-1)
    after = ends @ state["text_projection.weight"].T + state["text_projection.bias"]
    after = torch.nn.functional.normalize(after[:, 12:], dim=-1)
    assert (before @ before.T).min() > 0.7
    assert (after @ after.T - torch.eye(5)).max() < 0.5


def test_an_aligned_start_keeps_places_for_the_detail_of_earlier_stages():
    backbone = tiny_backbone()
    joint = collection(backbone).tokens
    generator = torch.Generator().manual_seed(3)
    scales = 10.0 ** torch.arange(-2, 4)  # channels of very different spread
    detail = 5 + torch.randn(*joint.shape[:2], 6, generator=generator) * scales
    tokens = torch.cat([joint.float(), detail], dim=-1)
    d = backbone.embed_dim
    config = AdapterConfig(dim=16, layers=1, heads=4, token_dim=d + 6, text_token_dim=d)
    wordings = [count_prompt(kind) for kind in ("apple", "orange", "lemon", "pear", "fish")]
    ranker = train.aligned_start(backbone, tokens, wordings, config, seed=1)
    projection = ranker.state["image_projection.weight"]
    assert (projection[:12, d:] == 0).all()  # what is compared with words is the joint space alone
    assert (projection[12:, :d] == 0).all()
    mapped = tokens @ projection.T + ranker.state["image_projection.bias"]
    for part in (mapped[..., :12], mapped[..., 12:]):
        assert part.std() == pytest.approx(1.0, abs=0.05)
        assert abs(part.mean()) < 0.05
    # a loud channel does not drown a quiet one
    heard = projection[12:, d:].norm(dim=0) * detail.flatten(0, 1).std(dim=0)
    assert heard.max() < 4 * heard.min()
    scores = train.adapter_scores(backbone, ranker, tokens, count_prompt("apple"))
    assert scores.unique().numel() == 1


def test_coarse_tokens_are_means_of_blocks():
    tokens = torch.randn(3, 81, 5)
    coarse = train.coarse_tokens(tokens, side=3)
    assert coarse.shape == (3, 9, 5)
    block = tokens.view(3, 9, 9, 5)[:, 3:6, 6:9].mean(dim=(1, 2))
    assert torch.allclose(coarse[:, 5], block, atol=1e-6)


@pytest.mark.parametrize(
    "setting",
    [train.SHIPPED, *train.NATURAL_ABLATIONS[:1], *train.ABLATIONS],
    ids=lambda s: s.name,
)
def test_every_setting_learns_a_plain_order(setting):
    backbone = tiny_backbone()
    held = collection(backbone)
    tasks = train.tasks_of(held, ("train", "val"))
    ranker = train.train_setting(
        backbone,
        held,
        tasks,
        setting,
        steps=20,
        fine_steps=20,
        seed=1,
        learning_rate=5e-3,
        config=AdapterConfig(dim=16, layers=1, mlp_ratio=2.0, token_dim=backbone.embed_dim),
    )
    table = train.measure(backbone, held, ranker, learned=("train", "val"))
    by_instruction = {row["instruction"]: row for row in table}
    row = by_instruction[count_prompt("apple")]
    assert row["srcc"]["adapter"] > 0.8
    assert row["srcc"]["ridge"] > 0.8
    assert train.family_means(table)["counting"]["instructions"] == len(table) == 2
    wide = ranker.state["learnable_text_tokens"].shape
    assert wide == ((16 if setting.wide_prompts else 1), setting.n_learnable_tokens)


def test_flip_accuracy_counts_pairs_right_under_both_instructions():
    apples, oranges = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, 1.0])
    values = (apples, oranges)
    assert train.flip_accuracy((apples, oranges), values) == 1.0
    assert train.flip_accuracy((apples, apples), values) == 0.0  # blind to the instruction
    assert train.flip_accuracy((apples, oranges), (apples, apples)) is None


def test_the_card_says_the_measured_figures():
    family = {
        "instructions": 1,
        "pictures": 40,
        "adapter": 0.9123,
        "ridge": 0.8,
        "ridge_joint": 0.7,
        "antonyms": -0.1,
        "cosine": None,
    }
    report = {
        "families": {"dice": family},
        "learned": {"instructions": 3, "pictures": 120},
        "flips": {"pictures": 40, "adapter": 0.8, "antonyms": 0.3, "cosine": 0.25},
        "ablations": [],
        "command": "python -m x",
        "steps": 10,
        "learning_rate": 5e-4,
        "seed": 1,
        "fine_steps": 4,
        "seconds_training": 12.0,
        "unseen_kinds": ["owls"],
    }
    text = train.card(report)
    assert "| **0.91** | 0.80 | 0.70 | – | -0.10 | – |" in text
    assert "80 %" in text
    assert "owls" in text
    with_ablation = replace_ablations(report)
    assert "without learnable prompts" in train.card(with_ablation)


def replace_ablations(report: dict) -> dict:
    setting = replace(train.SHIPPED, name="without learnable prompts")
    one = {"name": setting.name, "steps": 5, "families": report["families"]}
    return report | {"ablations": [one]}
