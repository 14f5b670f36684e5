"""Trains the ranker that ships for the built-in model, and measures it beside its rivals.

    python -m coop_demo.recipes.ranker --data DIR_OF_PICTURE_SETS --cache DIR

One adapter learns all tasks of `ranker_pictures` at once: counts, ages, quality, plain attributes.
Without --data it learns from rendered scenes alone. Every picture is encoded once (an hour's work
for one slow core, kept in --cache); training takes minutes.

Writes the ranker in fp16, the figures as JSON, and the card from those figures. The same seed
gives the same ranker on the same machine and number of threads, and nearly the same elsewhere:
sums in another order round differently.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from coop_demo.backbones.backbone import Backbone
from coop_demo.ranking.adapter import AdapterConfig, RankingAdapter
from coop_demo.ranking.baselines import antonym_scores, cosine_scores, fit_ridge
from coop_demo.ranking.checkpoint import load_ranker, save_ranker
from coop_demo.ranking.losses import LossConfig
from coop_demo.ranking.metrics import mean_of_known, pair_accuracy, srcc, two_digits
from coop_demo.ranking.ranker import Ranker, RankerTrainConfig, RankingTask
from coop_demo.ranking.training import balanced_weights, train_ranker
from coop_demo.recipes.ranker.pictures import (
    ANYTHING,
    APPLES_AND_ORANGES,
    UNSEEN_KINDS,
    Sample,
    attribute_samples,
    count_prompt,
    counting_samples,
    graded_samples,
    kind_library,
    labelled_samples,
    paraphrases,
    photographs,
    plural,
)
from coop_demo.runtime import keep_freed_memory, shared_backbone
from coop_demo.settings import CHECKPOINT_DIR

TITLE = "Counts, ages, quality and plain attributes"
PICTURES_A_FILE = 256  # of the token cache: what a stopped run loses at most
# How often each family's tasks are drawn, shared evenly among its instructions.
FAMILY_SHARES: Mapping[str, float] = {
    "counting": 0.28,
    "flips": 0.03,
    "dice": 0.05,
    "aquarium": 0.22,
    "age": 0.07,
    "quality": 0.06,
    "graded": 0.07,
    "attributes": 0.22,
}
NEGATIVES_FROM: Mapping[str, Sequence[str]] = {
    "counting": ("counting", "flips"),
    "flips": ("counting", "flips"),
    "aquarium": ("aquarium",),
    "dice": ("counting",),
}
MIN_TEST_PICTURES = 8  # an instruction with fewer has no order worth a figure
SCORERS = ("adapter", "ridge", "ridge_joint", "antonyms", "cosine")


# --- pictures -> tokens -----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Collection:
    """All samples and their ranking tokens, row by row."""

    samples: Sequence[Sample]
    tokens: Tensor  # (N, V, r) fp16: joint tokens of width d, then the earlier stages' detail

    def features(self) -> Tensor:
        """Pooled features, the mean of a picture's tokens, not normalised: (N, r)."""
        return torch.cat([part.float().mean(dim=1) for part in self.tokens.split(256)])

    def rows(
        self,
        instruction: str,
        parts: Sequence[str],
        *,
        families: Sequence[str] = (),
        plain: bool = False,
    ) -> list[int]:
        """Pictures of these parts with a value under the instruction; `plain` leaves augmented
        views out, for judging."""
        return [
            row
            for row, one in enumerate(self.samples)
            if instruction in one.values
            and one.part in parts
            and (not families or one.family in families)
            and (one.plain or not plain)
        ]

    def values(self, instruction: str, rows: Sequence[int]) -> Tensor:
        return torch.tensor([self.samples[row].values[instruction] for row in rows])

    def instructions(self, family: str) -> tuple[str, ...]:
        """The family's instructions in the order they first come up."""
        return tuple(
            dict.fromkeys(p for one in self.samples if one.family == family for p in one.values)
        )


def all_samples(data: Path | None, *, share: float = 1.0) -> list[Sample]:
    """Every sample, family by family; `share` below 1 makes fewer of what is rendered."""
    samples = list(counting_samples(kind_library(), share=share))
    if data is None:
        bases = [(f"scene {i}", one.part, one.draw) for i, one in enumerate(samples)][::3]
    else:
        samples += labelled_samples(data)
        bases = photographs(data)
    samples += graded_samples(bases, number=max(12, round(3000 * share)))
    samples += attribute_samples(bases, number=max(12, round(3600 * share)))
    return samples


def collect(backbone: Backbone, samples: Sequence[Sample], *, cache: Path | None) -> Collection:
    """Encode the samples, or find them encoded in the folder `cache`."""
    tokens = []
    for family in dict.fromkeys(one.family for one in samples):
        own = [one for one in samples if one.family == family]
        tokens.append(encode_samples(backbone, own, name=family, cache=cache))
    ordered = [
        s for f in dict.fromkeys(one.family for one in samples) for s in samples if s.family == f
    ]
    return Collection(ordered, torch.cat(tokens))


def encode_samples(
    backbone: Backbone, samples: Sequence[Sample], *, name: str, cache: Path | None
) -> Tensor:
    """Ranking tokens of the samples in fp16: (N, V, r).

    The cache has a file for every 256 pictures, named by the family, the place, the image tower
    and what is known of the pictures; drawing differently needs another folder.
    """
    tower = image_tower_hash(backbone)
    parts = []
    began = time.perf_counter()
    for start in range(0, len(samples), PICTURES_A_FILE):
        chunk = samples[start : start + PICTURES_A_FILE]
        known = json.dumps([[one.part, one.plain, dict(one.values)] for one in chunk])
        seen = f"{tower} whole view, stages {backbone.detail_stages}, {known}"
        digest = hashlib.blake2b(seen.encode(), digest_size=8).hexdigest()
        path = cache / f"{name}-{start}-{digest}.safetensors" if cache else None
        if path is not None and path.is_file():
            parts.append(safetensors.torch.load_file(path)["tokens"])
            continue
        tokens = torch.cat(
            [
                backbone.ranking_tokens(
                    torch.stack([backbone.whole_view(s.draw()) for s in batch])
                ).cpu()
                for batch in (chunk[i : i + 16] for i in range(0, len(chunk), 16))
            ]
        )
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            safetensors.torch.save_file({"tokens": tokens}, path)
        parts.append(tokens)
        say(
            f"{name}: {start + len(chunk)} of {len(samples)} pictures, "
            f"{time.perf_counter() - began:.0f} s"
        )
    return torch.cat(parts)


def image_tower_hash(backbone: Backbone) -> str:
    """Sixteen hexadecimal digits of the image tower: picture tokens depend on nothing else."""
    digest = hashlib.blake2b(digest_size=8)
    for name, tensor in sorted(backbone.model.visual.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


# --- tasks ------------------------------------------------------------------------------------


def tasks_of(collection: Collection, parts: Sequence[str]) -> list[RankingTask]:
    """One task an instruction, drawn as often as FAMILY_SHARES says.

    An instruction of several families (fish are in scenes and in aquarium photographs) learns
    from all of them, from each in that family's share. Negatives are the family's other pictures:
    scenes without the kind, aquarium photographs without the animal; for dice they are the scenes.
    """
    known: dict[str, dict[str, list[int]]] = {}  # instruction -> family -> rows
    for family in FAMILY_SHARES:
        for instruction in collection.instructions(family):
            rows = collection.rows(instruction, parts, families=(family,))
            if rows:
                known.setdefault(instruction, {})[family] = rows
    n_instructions = {
        family: sum(family in families for families in known.values()) for family in FAMILY_SHARES
    }
    tasks = []
    for instruction, families in known.items():
        rows = [row for own in families.values() for row in own]
        values = collection.values(instruction, rows)
        if len(rows) < 2 or (values == values[0]).all():
            continue
        shares = {family: FAMILY_SHARES[family] / n_instructions[family] for family in families}
        draws = []
        for family, own in families.items():
            weights = balanced_weights(
                collection.values(instruction, own), RankerTrainConfig.balance
            )
            draws.append(shares[family] * weights / weights.sum())
        rendered = set(families) <= {"counting", "flips"}
        tasks.append(
            RankingTask(
                instruction,
                rows=torch.tensor(rows),
                values=values,
                weights=torch.cat(draws),
                negatives=_negatives(collection, instruction, parts, families),
                paraphrases=paraphrases(instruction),
                weight=sum(shares.values()) / len(rows) ** 0.5,
                scale_of="counts" if rendered and instruction != count_prompt(ANYTHING) else "",
            )
        )
    return tasks


def _negatives(
    collection: Collection, instruction: str, parts: Sequence[str], families: Iterable[str]
) -> Tensor | None:
    if instruction == count_prompt(ANYTHING):
        return None
    where = {other for family in families for other in NEGATIVES_FROM.get(family, ())}
    rows = [
        row
        for row, one in enumerate(collection.samples)
        if one.family in where and one.part in parts and instruction not in one.values
    ]
    return torch.tensor(rows) if rows else None


# --- training ---------------------------------------------------------------------------------


def aligned_start(
    backbone: Backbone,
    tokens: Tensor,
    wordings: Sequence[str],
    config: AdapterConfig,
    seed: int,
) -> Ranker:
    """A new ranker that can tell instructions apart, and knows CLIP's words, before it learns.

    Random maps for pictures and words would have to learn which word means which thing from the
    kinds they meet, and could not know a kind they never met; CLIP knows. So the first part of the
    width is the main axes of the pictures' joint tokens, words going through CLIP's own text
    projection first, and the cross-attention starts with equal maps for queries and keys: a
    picture token reads the words that look like it.

    The rest of a picture's width is the main axes of the earlier stages' channels, each channel
    counted alike, or further joint axes where the backbone has no such stages. The tokens of any
    two instructions are nearly the same vector (cosine 0.99), and "brightness" is next to
    "darkness"; so the rest of a word's width, and the mean of all, come from the instructions that
    will be learned: the axes along which they differ, all about equally long.

    The score starts at 0 for every picture.
    """
    adapter = RankingAdapter.seeded(config, seed)
    d = backbone.embed_dim
    half = min(config.dim // 2, len(wordings) - 1)  # n instructions differ along n - 1 axes
    n_detail = half if tokens.shape[-1] > d else 0
    axes, offset = whitened_axes(tokens[..., :d], config.dim - n_detail)
    shared = axes[: config.dim - half] @ joint_projection(backbone).T  # (D - half, d)
    if n_detail:
        detail_axes, detail_offset = whitened_axes(tokens[..., d:], n_detail, each_alike=True)
        axes = torch.block_diag(axes, detail_axes)  # (D, r)
        offset = torch.cat([offset, detail_offset])
    texts = [backbone.text_tokens([wording])[0].cpu() for wording in wordings]
    words = torch.cat([text[3:] for text in texts])  # nearly all begin alike: "Rank the ..."
    ends = torch.stack([text[-1] for text in texts])
    middle = ends.mean(dim=0)
    ends = ends - middle
    _, spectrum, directions = torch.linalg.svd(ends, full_matrices=False)
    spectrum = spectrum / len(ends) ** 0.5
    own = directions[:half] / (spectrum[:half, None] + 0.1 * spectrum[0])
    mixed = torch.randn(half, half, generator=torch.Generator().manual_seed(seed))
    own = torch.linalg.qr(mixed).Q @ own  # no axis carries one instruction alone
    centre = words.mean(dim=0)
    shared = shared / ((words - centre) @ shared.T).std()
    own = own / (ends @ own.T).std()
    with torch.no_grad():
        adapter.image_projection.weight.copy_(axes)
        adapter.image_projection.bias.copy_(offset)
        adapter.text_projection.weight.copy_(torch.cat([shared, own]))
        adapter.text_projection.bias.copy_(-torch.cat([shared @ centre, own @ middle]))
        for _, block in adapter.crossmodal_block.blocks():
            maps = block.attn.in_proj_weight
            maps[config.dim : 2 * config.dim] = maps[: config.dim]
            block.attn.out_proj.weight.mul_(2)  # words are heard among the picture's own values
        adapter.regressor.output_head.weight.zero_()
    state = {name: tensor.detach().clone() for name, tensor in adapter.state_dict().items()}
    return Ranker(config, state, backbone.identity)


def whitened_axes(tokens: Tensor, n: int, *, each_alike: bool = False) -> tuple[Tensor, Tensor]:
    """A linear map of picture tokens (N, V, w) to their first n principal axes, with mean 0 and
    mean square 1 over all: weight (n, w) and bias (n,). `each_alike` brings every channel to the
    same spread first."""
    sample = tokens[:: max(1, len(tokens) // 400)].float().flatten(0, 1)  # (M, w)
    mean = sample.mean(dim=0)
    spread = sample.std(dim=0).clamp_min(1e-6) if each_alike else torch.ones_like(mean)
    centred = (sample - mean) / spread
    thinned = centred[:: max(1, len(centred) // 8192)]
    axes = torch.linalg.svd(thinned, full_matrices=False).Vh[:n]  # (n, w)
    axes = axes / (centred @ axes.T).std() / spread
    return axes, -(axes @ mean)


def joint_projection(backbone: Backbone) -> Tensor:
    """What brings the adapter's text tokens to the joint space: (d, d). CLIP's own text
    projection, or nothing where the text tower's width made the backbone apply it already."""
    project = backbone.model.text_projection.detach().float().cpu()  # (W, d)
    return project if project.shape[0] == project.shape[1] else torch.eye(project.shape[1])


@dataclass(frozen=True)
class Setting:
    """One way to train: the shipped one, or an ablation of it."""

    name: str
    rank_weight: float = 1.0
    n_learnable_tokens: int = 4
    wide_prompts: bool = True  # d numbers a learnable prompt instead of the paper's one
    count_ties: bool = False  # the paper's pair loss has ties and the diagonal in it
    aligned: bool = True


SHIPPED = Setting("as shipped")
ABLATIONS = (
    replace(SHIPPED, name="without the rank-aware branch", rank_weight=0.0),
    replace(SHIPPED, name="without learnable prompts", n_learnable_tokens=0),
    replace(SHIPPED, name="learnable prompts of one number each (the paper's)", wide_prompts=False),
    replace(SHIPPED, name="32 learnable prompts", n_learnable_tokens=32),
    replace(SHIPPED, name="ties in the pair loss (the paper's)", count_ties=True),
    replace(SHIPPED, name="from a random start", aligned=False),
)


def train_setting(
    backbone: Backbone,
    collection: Collection,
    tasks: Sequence[RankingTask],
    setting: Setting,
    *,
    steps: int,
    fine_steps: int,
    seed: int,
    learning_rate: float,
    config: AdapterConfig | None = None,
) -> Ranker:
    """Train one setting: first on coarse tokens, then on all, at half the learning rate.

    `config` is the built-in model's setting when left out; the setting decides on the prompts.

    A step on 3 × 3 tokens costs a seventh of one on 9 × 9, and what is learned on them, which
    instruction asks for what, carries over.
    """
    config = config or AdapterConfig.mini(collection.tokens.shape[-1], backbone.embed_dim)
    config = replace(
        config,
        n_learnable_tokens=setting.n_learnable_tokens,
        prompt_width=config.dim if setting.wide_prompts else 1,
    )
    ranker = None
    if setting.aligned:
        wordings = [w for task in tasks for w in (task.instruction, *task.paraphrases)]
        ranker = aligned_start(backbone, collection.tokens, wordings, config, seed)
    for tokens, number, rate, dropout in (
        (coarse_tokens(collection.tokens), steps, learning_rate, 0.1),
        (collection.tokens, fine_steps, learning_rate / 2, 0.1),
    ):
        if number == 0:
            continue
        config = replace(config, dropout=dropout)
        ranker = _train(
            backbone,
            tokens,
            tasks,
            setting,
            replace(ranker, config=config) if ranker else None,
            config,
            RankerTrainConfig(
                steps=number,
                batch_size=32,
                learning_rate=rate,
                weight_decay=0.1,
                seed=seed,
                loss=LossConfig(
                    rank_weight=setting.rank_weight,
                    # An aligned start learns values at a quarter of their spread; their square
                    # shrinks to a sixteenth, and a quarter of that leaves the lead to the pairs.
                    regression_weight=4.0 if setting.aligned else 1.0,
                    count_ties=setting.count_ties,
                ),
            ),
        )
    if ranker is None:
        raise ValueError("there are no steps to train")
    return replace(ranker, config=replace(config, dropout=0.0))


def coarse_tokens(tokens: Tensor, *, side: int = 3) -> Tensor:
    """Means over a grid of side × side blocks: (N, V, r) of a square grid -> (N, side², r)."""
    across = int(tokens.shape[1] ** 0.5)
    parts = []
    for part in tokens.split(256):
        grid = part.float().unflatten(1, (across, across)).permute(0, 3, 1, 2)  # (n, d, H, W)
        parts.append(F.adaptive_avg_pool2d(grid, side).flatten(2).transpose(1, 2).to(part.dtype))
    return torch.cat(parts)


def _train(
    backbone: Backbone,
    tokens: Tensor,
    tasks: Sequence[RankingTask],
    setting: Setting,
    start: Ranker | None,
    config: AdapterConfig,
    train_config: RankerTrainConfig,
) -> Ranker:
    """One training to its end, with a line of progress every 100 steps."""
    last = None
    recent: list[float] = []
    for last in train_ranker(
        backbone,
        tokens,
        tasks,
        start=start,
        adapter_config=config,
        config=train_config,
        measurements=1,
        title=TITLE,
    ):
        recent.append(last.loss)
        if last.step and (last.step % 100 == 0 or last.status != "running"):
            say(
                f"{setting.name}, {tokens.shape[1]} tokens: step {last.step} of "
                f"{train_config.steps}, loss {np.nanmean(recent):.4f}, {last.seconds:.0f} s"
            )
            recent.clear()
    assert last is not None
    if last.status != "finished" or last.ranker is None:
        raise RuntimeError(last.message)
    return last.ranker


# --- measuring --------------------------------------------------------------------------------


@torch.no_grad()
def adapter_scores(backbone: Backbone, ranker: Ranker, tokens: Tensor, instruction: str) -> Tensor:
    """(N, V, r) -> (N,)"""
    return ranker.adapter().scores(tokens, backbone.text_tokens([instruction])).float()


def measured_instructions(
    collection: Collection, part: str
) -> Iterator[tuple[str, str, list[int]]]:
    """(family, instruction, rows) of every order of that part that has enough pictures.

    The scenes of kinds that were never met hold kinds that were, too: only the former are asked.
    """
    never_met = {count_prompt(kind) for kind in UNSEEN_KINDS}
    for family in dict.fromkeys(one.family for one in collection.samples):
        for instruction in collection.instructions(family):
            if family == "unseen" and instruction not in never_met:
                continue
            rows = collection.rows(instruction, (part,), families=(family,), plain=True)
            values = collection.values(instruction, rows)
            if len(rows) >= MIN_TEST_PICTURES and len(values.unique()) > 1:
                yield family, instruction, rows


def measure(
    backbone: Backbone,
    collection: Collection,
    ranker: Ranker,
    *,
    learned: Sequence[str],
    part: str = "test",
    rivals: bool = True,
) -> list[dict]:
    """SRCC and pair accuracy of every instruction of a part, by the adapter and its rivals.

    Ridge regression is fitted for each instruction on the pictures of the `learned` parts, on the
    mean of all that the adapter reads (`ridge`) and of the joint tokens alone (`ridge_joint`). A
    kind it has no labels for gets the one that counts all things together.
    """
    counts_all = collection.rows(count_prompt(ANYTHING), learned)
    features = collection.features()
    joint = features[:, : backbone.embed_dim]
    unit = F.normalize(joint, dim=-1)
    table = []
    for family, instruction, rows in measured_instructions(collection, part):
        values = collection.values(instruction, rows)
        scores = {"adapter": adapter_scores(backbone, ranker, collection.tokens[rows], instruction)}
        if rivals:
            scores["cosine"] = cosine_scores(backbone, unit[rows], instruction)
            scores["antonyms"] = antonym_scores(backbone, unit[rows], instruction)
            own = collection.rows(instruction, learned)
            asked = instruction
            if family == "unseen" and not own:
                own, asked = counts_all, count_prompt(ANYTHING)
            known = collection.values(asked, own)
            if len(known.unique()) > 1 and len(own) > 2:
                for name, seen in (("ridge", features), ("ridge_joint", joint)):
                    scores[name] = fit_ridge(seen[own], known).scores(seen[rows])
        table.append(
            {
                "family": family,
                "instruction": instruction,
                "n": len(rows),
                "srcc": {name: srcc(s.numpy(), values.numpy()) for name, s in scores.items()},
                "pair_accuracy": {
                    name: pair_accuracy(s.numpy(), values.numpy()) for name, s in scores.items()
                },
            }
        )
    return table


def family_means(table: Sequence[dict]) -> dict[str, dict]:
    """Mean SRCC over a family's instructions, and how many instructions and rows it has."""
    means: dict[str, dict] = {}
    for family in dict.fromkeys(row["family"] for row in table):
        own = [row for row in table if row["family"] == family]
        figures: dict = {"instructions": len(own), "pictures": sum(row["n"] for row in own)}
        for name in SCORERS:
            figures[name] = mean_of_known(row["srcc"].get(name) for row in own)
        means[family] = figures
    return means


def flip_accuracy(scores: tuple[Tensor, Tensor], values: tuple[Tensor, Tensor]) -> float | None:
    """Of the pairs of pictures whose true order is opposite under two instructions, the share
    that is ordered rightly under both; None without such pairs. Chance is 1/4."""
    above = [torch.sign(v[:, None] - v[None]) for v in values]
    found = [torch.sign(s[:, None] - s[None]) for s in scores]
    opposite = (above[0] * above[1] < 0).triu(1)
    if not opposite.any():
        return None
    right = (above[0] == found[0]) & (above[1] == found[1])
    return float(right[opposite].float().mean())


def measure_flips(backbone: Backbone, collection: Collection, ranker: Ranker) -> dict:
    """Flip accuracy of apples against oranges on scenes that hold nothing else."""
    prompts = [count_prompt(kind) for kind in APPLES_AND_ORANGES]
    rows = collection.rows(prompts[0], ("test",), families=("flips",), plain=True)
    features = F.normalize(collection.features()[rows, : backbone.embed_dim], dim=-1)
    values = tuple(collection.values(prompt, rows) for prompt in prompts)
    scorers = {
        "adapter": lambda p: adapter_scores(backbone, ranker, collection.tokens[rows], p),
        "antonyms": lambda p: antonym_scores(backbone, features, p),
        "cosine": lambda p: cosine_scores(backbone, features, p),
    }
    result: dict = {"pictures": len(rows)}
    for name, score in scorers.items():
        result[name] = flip_accuracy((score(prompts[0]), score(prompts[1])), values)  # type: ignore[arg-type]
    return result


# --- the card ---------------------------------------------------------------------------------

FAMILY_TITLES: Mapping[str, str] = {
    "dice": "dice, photographs",
    "aquarium": "aquarium animals, photographs",
    "age": "age, faces",
    "quality": "quality, degraded photographs",
    "graded": "quality, degradations of our own",
    "attributes": "brightness, colourfulness, sharpness and the like",
    "counting": "rendered counts, kinds it learned",
    "unseen": "rendered counts, kinds it never met",
    "flips": "apples and oranges in one picture",
}
CREDITS: Mapping[str, str] = {
    "dice": "dice_detection, Nell Byler, BSD-3-Clause",
    "aquarium": "Aquarium, Roboflow, CC BY 4.0",
    "age": "FairFace, Kärkkäinen and Joo (WACV 2021), CC BY 4.0",
    "quality": "photographs of Open Images, CC BY 2.0",
}
# of photographs that are only changed; they come with the labelled sets
CREDITS_OF_CHANGED = (
    "training photographs of clothing-dataset-small, Alexey Grigorev, CC0 1.0",
    "training photographs of GroceryStoreDataset, Marcus Klasson, MIT",
    "everyday photographs, [credits](ranker-mini-credits.csv)",
)


def card(report: dict) -> str:
    """The model card, in Markdown, from the figures of a run."""
    means, learned = report["families"], report["learned"]
    lines = [
        "# The ranker for the built-in mini model",
        "",
        "**What it is.** One ranking-aware adapter (Yu et al., ICLR 2025, arXiv 2412.06760) that "
        "reads the mini model's picture tokens and one instruction and gives a score a picture. It "
        f"learned {learned['instructions']} instructions on {learned['pictures']} pictures. Its "
        "scores order pictures under one instruction; they do not compare across instructions.",
        "",
        "A picture is seen whole, resized to a square. A token is one of 9 × 9 places: its vector "
        "in the joint space, which words share, and the mean and spread there of two earlier "
        "stages of the image network, which know more of blur, noise and small things.",
        "",
        "## Measured on pictures it never learned from",
        "",
        "Spearman's rank correlation (SRCC), the mean over a family's instructions. Ridge is one "
        "regression an instruction, fitted on the same pictures: on the mean of the same tokens, "
        "and on the mean of the network's last features alone, projected to the joint space. "
        "Antonyms and cosine learn nothing. For kinds it never met ridge has no labels: it is the "
        "one for all things together.",
        "",
        "| family | instructions | rows | **adapter** | ridge, same tokens | ridge, last features "
        "| antonym pair | cosine |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for family, title in FAMILY_TITLES.items():
        if family in means:
            row = means[family]
            figures = [two_digits(row[name]) for name in SCORERS]
            lines.append(
                f"| {title} | {row['instructions']} | {row['pictures']} | "
                f"**{figures[0]}** | {' | '.join(figures[1:])} |"
            )
    flips = report["flips"]
    lines += [
        "",
        f"Of the pairs among {flips['pictures']} scenes whose order by apples is the opposite of "
        "their order by oranges, both orders are right in "
        f"{_percent(flips['adapter'])} (antonym pair {_percent(flips['antonyms'])}, cosine "
        f"{_percent(flips['cosine'])}; chance 25 %).",
    ]
    if report["ablations"]:
        shown = [family for family in FAMILY_TITLES if family in means]
        steps = report["ablations"][0]["steps"]
        lines += [
            "",
            f"## Ablations, {steps} coarse steps each, the same seed and pictures",
            "",
            "Short trainings, one seed each: two runs of one setting on other augmented views "
            "differed by up to 0.10, so only larger differences say something.",
            "",
            "| | " + " | ".join(shown) + " |",
            "|---" * (len(shown) + 1) + "|",
        ]
        for one in report["ablations"]:
            figures = [two_digits(one["families"][family]["adapter"]) for family in shown]
            lines.append(f"| {one['name']} | " + " | ".join(figures) + " |")
    lines += [
        "",
        "## How it was made",
        "",
        "```",
        report["command"],
        "```",
        "",
        f"{report['steps']} steps of 32 pictures on 3 × 3 tokens each, then {report['fine_steps']} "
        f"on all 9 × 9; AdamW {report['learning_rate']:g}, then half of it; seed {report['seed']}; "
        f"{report['seconds_training']:.0f} s of training on two cores. "
        "The same seed gives the same ranker on the same machine and number of threads, nearly the "
        "same elsewhere.",
        "",
        "Learned from scenes that the recipe renders (cut-outs of Debian's tuxpaint-stamps-default "
        "and Noto Color Emoji, drawn shapes) and photographs it degrades by known amounts"
        + (", and from:" if any(f in means for f in CREDITS) else "."),
        "",
        *(f"- {credit}" for family, credit in CREDITS.items() if family in means),
        *(f"- {credit}" for credit in CREDITS_OF_CHANGED if "age" in means),
        "",
        "A photograph and all pictures made from it are in one part; aquarium is judged on its own "
        f"validation split. Kinds it never met: {', '.join(report['unseen_kinds'])}.",
        "",
        "## What it cannot do",
        "",
        "- It sees a square of 260 pixels on a grid of 9 × 9. Many small things are estimated, not "
        "counted.",
        "- An instruction unlike those it learned gets an order, not a good one: look at the "
        "rivals beside it, or teach it with ten to thirty pictures.",
        "- Ages are impressions of faces; nothing may be decided about a person by them.",
    ]
    return "\n".join(lines) + "\n"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


# --- the command ------------------------------------------------------------------------------


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m coop_demo.recipes.ranker",
        description="Train and measure the ranker that ships for the built-in model.",
    )
    parser.add_argument("--data", type=Path, help="folder of labelled picture sets")
    parser.add_argument("--out", type=Path, default=CHECKPOINT_DIR / "ranker-mini.safetensors")
    parser.add_argument("--cache", type=Path, help="folder to keep encoded pictures in")
    parser.add_argument("--steps", type=int, default=6000, help="on coarse tokens")
    parser.add_argument("--fine-steps", type=int, default=12000, help="on all tokens")
    parser.add_argument(
        "--ablation-steps", type=int, default=0, help="coarse steps of each; 0: no ablations"
    )
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--tune",
        action="store_true",
        help="learn from train alone and print the figures of val; write nothing",
    )
    parser.add_argument("--encode-only", action="store_true", help="fill the cache and stop")
    parser.add_argument("--share", type=float, default=1.0, help="of the rendered pictures")
    args = parser.parse_args(arguments)
    keep_freed_memory()
    backbone = shared_backbone("mini", "cpu")
    collection = collect(backbone, all_samples(args.data, share=args.share), cache=args.cache)
    if args.encode_only:
        return 0
    learned, judge = (("train",), "val") if args.tune else (("train", "val"), "test")
    tasks = tasks_of(collection, learned)
    say(f"{len(collection.samples)} pictures, {len(tasks)} instructions")

    def trained(setting: Setting, steps: int, fine_steps: int = 0) -> Ranker:
        return train_setting(
            backbone,
            collection,
            tasks,
            setting,
            steps=steps,
            fine_steps=fine_steps,
            seed=args.seed,
            learning_rate=args.learning_rate,
        )

    began = time.perf_counter()
    ranker = trained(SHIPPED, args.steps, args.fine_steps)
    seconds = time.perf_counter() - began
    if not args.tune:
        save_ranker(ranker, args.out, half=True)
        ranker = load_ranker(args.out, backbone)  # what is measured is what ships
    table = measure(backbone, collection, ranker, learned=learned, part=judge)
    means = family_means(table)
    print(json.dumps(means, indent=1))
    if args.tune:
        return 0

    ablations = []
    for setting in (SHIPPED, *ABLATIONS) if args.ablation_steps else ():
        one = trained(setting, args.ablation_steps)
        figures = family_means(
            measure(backbone, collection, one, learned=learned, part=judge, rivals=False)
        )
        ablations.append({"name": setting.name, "steps": args.ablation_steps, "families": figures})
        say(
            f"{setting.name}: "
            + ", ".join(f"{f} {two_digits(m['adapter'])}" for f, m in figures.items())
        )
    given = list(arguments) if arguments is not None else sys.argv[1:]
    shown = [
        "DIR_OF_PICTURE_SETS"
        if i and given[i - 1] == "--data"
        else "DIR"
        if i and given[i - 1] == "--cache"
        else word
        for i, word in enumerate(given)
    ]
    report = {
        "command": " ".join(["python -m coop_demo.recipes.ranker", *shown]),
        "backbone": backbone.identity,
        "steps": args.steps,
        "seed": args.seed,
        "learning_rate": args.learning_rate,
        "fine_steps": args.fine_steps,
        "seconds_training": seconds,
        "learned": {
            "instructions": len(tasks),
            "pictures": sum(s.part in learned and s.plain for s in collection.samples),
        },
        "unseen_kinds": [plural(kind) for kind in UNSEEN_KINDS],
        "families": means,
        "flips": measure_flips(backbone, collection, ranker),
        "ablations": ablations,
        "table": table,
    }
    args.out.with_suffix(".md").write_text(card(report), encoding="utf-8")
    args.out.with_suffix(".json").write_text(json.dumps(report, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
