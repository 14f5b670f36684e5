"""The ranking-aware adapter: picture tokens and one instruction in, one score a picture out.

Yu et al., "Ranking-aware adapter for text-driven image ordering with CLIP", ICLR 2025,
arXiv 2412.06760. Parameter names are those of the authors' code (github.com/uynaes/
RankingAwareCLIP), so the `adapter.*` entries of one of their checkpoints load strictly. The
blocks are stock open_clip and torch; two computations differ from the authors' in cost, not in
result:

- The instruction is one text for the whole batch, so its keys and values are computed once and
  shared by every picture.
- The pair branch attends once a picture instead of once a pair. The relational queries are the
  same for every pair and one softmax runs over the tokens of both pictures, so with scores
  s = q·k, a = softmax(s)·v and z = logsumexp(s) of each picture alone, the pair's
  "attention on i minus attention on j" is σ(z_i − z_j)·a_i − σ(z_j − z_i)·a_j. The output
  projection is linear, so the sum over queries is taken before it.

Ranking needs the scores alone. They never touch the pair branch, so their cost is linear in the
number of pictures.

Letters in shapes: N pictures, V tokens a picture, T tokens of the instruction, D width, H heads,
Q relational queries, C = D / H.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple, Self

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch import Tensor, nn
from torch.nn import functional as F

from coop_demo.backbones.backbone import TokenForm
from coop_demo.errors import RankingError

# Pictures fused at a time when only scores are asked for: large enough to keep two cores busy,
# small enough that 800 pictures need no more working memory than 64.
PICTURES_A_CHUNK = 64
# Rows of the pair matrix computed at a time when no gradient is needed, in pairs.
PAIRS_A_CHUNK = 16_384


# Far beyond what anybody trains: a file that asks for more would stop the app.
_MOST = {
    "dim": 16_384,
    "layers": 64,
    "heads": 256,
    "n_learnable_tokens": 4_096,
    "n_relational_tokens": 4_096,
    "prompt_width": 16_384,
    "token_dim": 16_384,
    "text_token_dim": 16_384,
    "concept_rank": 4_096,
}


@dataclass(frozen=True)
class AdapterConfig:
    """The adapter's shape. Raises RankingError when the numbers do not fit together."""

    dim: int  # D: width of the backbone's joint space; picture and text tokens both have it
    layers: int = 2  # fusion blocks, and encoder layers after them (the paper's L)
    heads: int = 8  # everywhere in the adapter; the paper's code fixes 8 in the pair branch
    n_learnable_tokens: int = 32  # learnable prompts put before the instruction; 0 is the ablation
    n_relational_tokens: int = 16  # Q: queries of the pair branch
    mlp_ratio: float = 4.0  # hidden width of the fusion blocks' MLP, in D
    dropout: float = 0.1  # in the encoder after the fusion, while training only
    prompt_width: int = 1  # 1: one number a learnable prompt, repeated over D (the paper); or D
    token_dim: int | None = None  # width of the tokens that come in, where it is not D: two linear
    # maps then bring pictures and words to D. A backbone as wide as the built-in one would
    # otherwise make a ranker four times as large and slow.
    text_token_dim: int | None = None  # width of the words' tokens, where the pictures' is another
    # How its picture tokens are made (`TokenForm`): things in photographs are small, and on a
    # larger square, in cells, fewer of them are lost. As it stands: as they always were.
    view_side: int | None = None
    cells: bool = False
    hidden_words: int = 0  # tokens of the instruction that stands in for hidden ones, see `forward`
    concept_rank: int = 0  # of a learned map that moves an instruction among the concepts: people
    # have no class of their own, but clothes have. 0: it stays where the backbone puts it
    hidden_unlearned: float = 0.0  # share of the score that comes with the words hidden when the
    # instruction is a count nobody taught: what its words did is known for learned ones alone
    evidence_unlearned: float = 0.0  # for such a count, how much the score gains by the evidence
    # itself, a picture's sum of how much each place is of the instruction's own classes
    evidence_drawn: float = 0.0  # the same for counts learned from drawn scenes alone: it helps in
    # photographs
    concepts: int = 0  # directions of the joint space that the adapter brings along; with some, a
    # picture token also comes with how much it looks like what the instruction names, which holds
    # for things no instruction was learned about. Only for text towers whose last token is the
    # text's end. 0: the paper's form

    def __post_init__(self) -> None:
        for name in ("dim", "layers", "heads", "n_relational_tokens"):
            if getattr(self, name) < 1:
                raise RankingError(
                    f"A ranker's {name} must be 1 or more; it is {getattr(self, name)}."
                )
        for name, most in _MOST.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value > most):
                raise RankingError(
                    f"A ranker's {name} must be a whole number up to {most:,}; it is {value}."
                )
        if not 0 < self.mlp_ratio <= 64:
            raise RankingError(f"A ranker's mlp_ratio must be positive; it is {self.mlp_ratio}.")
        if self.n_learnable_tokens < 0:
            raise RankingError(
                f"A ranker's n_learnable_tokens must be 0 or more; it is {self.n_learnable_tokens}."
            )
        if self.dim % self.heads:
            raise RankingError(
                f"A ranker's width must be a multiple of its heads; {self.dim} is not a multiple "
                f"of {self.heads}."
            )
        if self.mlp_ratio * self.dim < 1:
            raise RankingError(f"A ranker's mlp_ratio must be positive; it is {self.mlp_ratio}.")
        if not 0 <= self.dropout < 1:
            raise RankingError(f"A ranker's dropout must lie in [0, 1); it is {self.dropout}.")
        for name in ("token_dim", "text_token_dim"):
            width = getattr(self, name)
            if width is not None and width < 1:
                raise RankingError(f"A ranker's {name} must be 1 or more; it is {width}.")
        if self.concepts < 0 or (self.concepts and self.token_dim is None):
            raise RankingError(
                "A ranker's concepts must be 0 or more, and with some it needs a token_dim."
            )
        if self.concept_rank < 0 or (self.concept_rank and not self.concepts):
            raise RankingError(
                "A ranker's concept_rank must be 0 or more, and above 0 it needs concepts."
            )
        for name in ("hidden_unlearned", "evidence_unlearned", "evidence_drawn"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (value and not self.concepts):
                raise RankingError(
                    f"A ranker's {name} must be 0 to 1, and above 0 it needs concepts; it is "
                    f"{value}."
                )
        if self.view_side is not None and self.view_side < 1:
            raise RankingError(f"A ranker's view_side must be 1 or more; it is {self.view_side}.")
        if self.text_token_dim is not None and self.token_dim is None:
            raise RankingError("A ranker with a text_token_dim needs a token_dim too.")
        if self.prompt_width not in (1, self.dim):
            raise RankingError(
                f"A ranker's prompt_width must be 1 or its width {self.dim}; "
                f"it is {self.prompt_width}."
            )

    @classmethod
    def paper(cls, dim: int = 768) -> Self:
        """The paper's setting for ConvNeXt-L: 2 layers, 32 learnable and 16 relational tokens."""
        return cls(dim=dim)

    @classmethod
    def mini(cls, token_dim: int = 512, text_token_dim: int | None = None) -> Self:
        """The built-in model's setting: one layer of width 128, a narrower MLP and few learnable
        prompts of full width, so that 30 s on two cores hold enough steps. More prompts than words
        would drown the words."""
        return cls(
            dim=128,
            layers=1,
            mlp_ratio=2.0,
            dropout=0.0,
            token_dim=token_dim,
            text_token_dim=None if text_token_dim == token_dim else text_token_dim,
            n_learnable_tokens=4,
            prompt_width=128,
        )

    @property
    def form(self) -> TokenForm:
        """How the picture tokens are made that the adapter takes."""
        return TokenForm(self.view_side, self.cells)

    @property
    def input_dim(self) -> int:
        """Width of the picture tokens the adapter takes: the backbone's `ranking_width`."""
        return self.token_dim or self.dim

    @property
    def text_input_dim(self) -> int:
        """Width of the instruction's tokens: the backbone's d."""
        return self.text_token_dim or self.input_dim

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """The config from saved metadata; RankingError when a field is missing or unknown."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise RankingError(
                f"The ranker file has settings this version does not know: {', '.join(unknown)}."
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise RankingError(
                "The ranker file's settings are incomplete. Use a file that this app saved."
            ) from error

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor], *, heads: int = 8) -> Self:
        """The config a state dict's shapes imply; the number of heads leaves no trace in them.

        Raises RankingError when an entry that tells the shape is missing.
        """
        try:
            width, n_learnable = state["learnable_text_tokens"].shape
            n_relational, dim = state["reg_tokens"].shape
            hidden = state["crossmodal_block.resblocks.0.mlp.c_fc.weight"].shape[0]
        except (KeyError, ValueError) as error:
            raise RankingError(
                "These weights are not a ranking-aware adapter: the entries that give its shape "
                "are missing. Choose another file."
            ) from error
        projection, of_text = (state.get(f"{kind}_projection.weight") for kind in ("image", "text"))
        concepts, stand_in = (
            state.get(f"evidence.{name}") for name in ("concepts", "hidden_words")
        )
        chosen = state.get("evidence.choose.0.weight")
        prefix = "crossmodal_block.resblocks."
        layers = len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
        return cls(
            dim=dim,
            layers=layers,
            heads=heads,
            n_learnable_tokens=n_learnable,
            n_relational_tokens=n_relational,
            mlp_ratio=hidden / dim,
            prompt_width=width,
            concepts=0 if concepts is None else len(concepts),
            concept_rank=0 if chosen is None else len(chosen),
            hidden_words=0 if stand_in is None else len(stand_in),
            token_dim=projection.shape[1] if projection is not None else None,
            text_token_dim=of_text.shape[1]
            if projection is not None
            and of_text is not None
            and of_text.shape[1] != projection.shape[1]
            else None,
        )

    def to_mapping(self) -> dict[str, Any]:
        return asdict(self)


class RankingOutput(NamedTuple):
    scores: Tensor  # (N,)
    pair_logits: Tensor  # (N, N): [i, j] is the logit of "i ranks above j"


class PairSummary(NamedTuple):
    """All the pair branch has to know of a picture: attended once, compared with any other."""

    attended: Tensor  # (N, H, Q, C): softmax(s)·v of the picture alone
    log_mass: Tensor  # (N, H, Q): logsumexp(s), how strongly its tokens answer the query
    weights: Tensor  # (N, H, Q, V): softmax(s) of the picture alone


class CrossModalFusion(nn.Module):
    """L times: self-attention over a picture's tokens, then their attention to the text."""

    def __init__(self, config: AdapterConfig):
        super().__init__()

        def block(cross: bool) -> ResidualAttentionBlock:
            return ResidualAttentionBlock(
                config.dim, config.heads, mlp_ratio=config.mlp_ratio, is_cross_attention=cross
            )

        self.heads = config.heads
        self.resblocks = nn.ModuleList(block(cross=False) for _ in range(config.layers))
        self.cross_attn = nn.ModuleList(block(cross=True) for _ in range(config.layers))
        self.ln_final = nn.LayerNorm(config.dim)
        # The authors' code leaves this matrix as the allocator found it; CLIP's own projections
        # start with this spread.
        self.projection = nn.Parameter(torch.randn(config.dim, config.dim) * config.dim**-0.5)

    def forward(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """(N, V, D) and (1 or N, T, D) -> (N, V, D)."""
        x = image_tokens
        for own, cross in self.blocks():
            x = own(x)  # (N, V, D)
            q, k, v = self.query_key_value(cross, x, text_tokens)
            x = self.add_read(cross, x, F.scaled_dot_product_attention(q, k, v))
        return self.ln_final(x) @ self.projection

    def text_attention(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """How much each picture token reads each text token: (N, L, H, V, T), rows sum to 1."""
        x, maps = image_tokens, []
        for own, cross in self.blocks():
            x = own(x)
            q, k, v = self.query_key_value(cross, x, text_tokens)
            weights = torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, dim=-1)
            maps.append(weights)  # (N, H, V, T)
            x = self.add_read(cross, x, weights @ v)
        return torch.stack(maps, dim=1)

    def blocks(self) -> Iterator[tuple[Any, Any]]:
        """Each layer's self-attention block and cross-attention block (open_clip's)."""
        return zip(self.resblocks, self.cross_attn, strict=True)

    def query_key_value(
        self, cross: Any, x: Tensor, text_tokens: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (N, H, V, C) of the pictures; keys and values (N, H, T, C) of the text.

        The text's are computed once when there is one text, and only seen N times.
        """
        weight, bias = cross.attn.in_proj_weight, cross.attn.in_proj_bias
        dim = weight.shape[1]
        q = F.linear(cross.ln_1(x), weight[:dim], bias[:dim])
        k, v = F.linear(cross.ln_1_kv(text_tokens), weight[dim:], bias[dim:]).chunk(2, dim=-1)
        k, v = (split_heads(t, self.heads).expand(len(x), -1, -1, -1) for t in (k, v))
        return split_heads(q, self.heads), k, v

    def add_read(self, cross: Any, x: Tensor, attended: Tensor) -> Tensor:
        """The block's two residuals: what was read (N, H, V, C) and the MLP. -> (N, V, D)."""
        x = x + cross.attn.out_proj(attended.transpose(1, 2).flatten(2))
        return x + cross.mlp(cross.ln_2(x))


class RankAwareAttention(nn.Module):
    """Relational queries over the tokens of two pictures: the difference of what they find."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.ln_q = nn.LayerNorm(dim)
        self.ln_kv = nn.LayerNorm(dim)
        self.q_proj = nn.Linear(dim, dim)
        self.kv_proj = nn.Linear(dim, dim)  # keys and values are the same vectors
        self.out_proj = nn.Linear(dim, dim)

    def query_and_key(self, queries: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(Q, D) and (N, V, D) -> queries (H, Q, C), already scaled, and keys (N, H, V, C)."""
        q = split_heads(self.ln_q(self.q_proj(queries))[None], self.heads)[0]
        k = split_heads(self.ln_kv(self.kv_proj(tokens)), self.heads)  # norms follow projections
        return q * q.shape[-1] ** -0.5, k

    def summarise(self, queries: Tensor, tokens: Tensor) -> PairSummary:
        """Attend to each picture once. (Q, D) and (N, V, D) -> PairSummary."""
        q, k = self.query_and_key(queries, tokens)
        s = q @ k.transpose(-1, -2)  # (N, H, Q, V)
        log_mass = s.logsumexp(dim=-1)  # (N, H, Q)
        weights = (s - log_mass[..., None]).exp()
        return PairSummary(weights @ k, log_mass, weights)

    def differences(self, rows: PairSummary, columns: PairSummary) -> Tensor:
        """The branch's output for every pair (row, column), summed over queries: (R, K, D)."""
        share = torch.sigmoid(  # of the row's picture in the pair's one softmax
            rows.log_mass[:, None] - columns.log_mass[None]
        )  # (R, K, H, Q)
        share = share.permute(0, 2, 1, 3)  # (R, H, K, Q)
        found_i = share @ rows.attended  # (R, H, K, C)
        found_j = (1 - share).permute(2, 1, 0, 3) @ columns.attended  # (K, H, R, C)
        difference = found_i.permute(0, 2, 1, 3) - found_j.permute(2, 0, 1, 3)  # (R, K, H, C)
        n_queries = rows.log_mass.shape[-1]
        return (
            F.linear(difference.flatten(2), self.out_proj.weight) + n_queries * self.out_proj.bias
        )

    def differences_literal(self, q: Tensor, k: Tensor, i: Tensor, j: Tensor) -> Tensor:
        """The authors' form: attention anew for each of P pairs (i, j).

        Takes what `query_and_key` gives and two (P,) of picture numbers. Returns (P, D).
        """
        n_tokens = k.shape[2]
        k_i, k_j = k[i], k[j]  # (P, H, V, C)
        weights = torch.softmax(q @ torch.cat([k_i, k_j], 2).transpose(-1, -2), dim=-1)
        found = weights[..., :n_tokens] @ k_i - weights[..., n_tokens:] @ k_j  # (P, H, Q, C)
        return self.out_proj(found.transpose(1, 2).flatten(2)).sum(dim=1)  # (P, Q, D) -> (P, D)


class Evidence(nn.Module):
    """How much each picture token looks like what the instruction names, and what follows of it.

    CLIP's space says so for any word: by the cosine of token and instruction, and by the
    instruction's own classes, those of `concepts` it is near to, against all others. Both say
    more than any one instruction's training, and hold for kinds of things that were never learned.
    What they say is brought to the adapter's width and added to the token.

    The three tables are what the backbone knows; they are saved with the adapter, not trained.
    """

    CHANNELS = 6
    OWN_CLASSES = 3  # the channel of a token's part in the instruction's classes
    TEMPERATURE = 0.5  # of a token's classes: SRCC of what is untrained is 0.37 with it, 0.38 at 1
    NEARNESS = (20.0, 10.0)  # how sharply an instruction chooses its classes: two ways
    FLOOR = 1e-4  # of a token's part in the instruction's classes, before the logarithm

    concepts: Tensor
    word_projection: Tensor
    neutral: Tensor
    hidden_words: Tensor

    def __init__(self, config: AdapterConfig):
        super().__init__()
        d = config.text_input_dim
        self.register_buffer("concepts", torch.zeros(config.concepts, d))
        self.register_buffer("word_projection", torch.zeros(d, d))  # text token to joint space
        self.register_buffer("neutral", torch.zeros(d))  # an instruction that names no thing
        # the tokens of that instruction, read in place of another's where words are hidden
        self.register_buffer("hidden_words", torch.zeros(config.hidden_words, d))
        self.choose = (
            nn.Sequential(
                nn.Linear(d, config.concept_rank, bias=False),
                nn.Linear(config.concept_rank, d, bias=False),
            )
            if config.concept_rank
            else None
        )
        self.first = nn.Linear(self.CHANNELS, config.dim)
        self.second = nn.Linear(config.dim, config.dim)

    def forward(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """(N, V, r), of which the first d numbers are the joint token, and (1 or N, T, d), which
        end where the text does -> (N, V, D)."""
        return self.second(F.relu(self.first(self.channels(image_tokens, text_tokens))))

    def channels(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """Shapes as in `forward` -> (N, V, CHANNELS), each about −1 to 1."""
        joint = image_tokens[..., : len(self.neutral)]
        word = F.normalize(text_tokens[:, -1] @ self.word_projection, dim=-1)  # (1 or N, d)
        unit = F.normalize(joint, dim=-1)
        place = word if self.choose is None else F.normalize(word + self.choose(word), dim=-1)
        near = place @ F.normalize(self.concepts, dim=-1).T  # (1 or N, K)
        choice = torch.stack([torch.softmax(s * near, dim=-1) for s in self.NEARNESS], dim=-1)
        classes = torch.softmax(self.TEMPERATURE * (joint @ self.concepts.T), dim=-1)  # (N, V, K)
        part = classes @ (choice[0] if len(choice) == 1 else choice)  # (N, V, 2)
        found = (part + self.FLOOR).log() / 3 + 2
        cosine = unit @ (word[0] if len(word) == 1 else word[..., None])  # (N, V) or (N, V, 1)
        cosine = cosine.reshape(found.shape[:2])
        return torch.stack(
            [
                5 * cosine,
                10 * (cosine - cosine.mean(dim=1, keepdim=True)),
                5 * (unit @ self.neutral),
                *found.unbind(dim=-1),
                2 * (found[..., 0] - found[..., 0].mean(dim=1, keepdim=True)),
            ],
            dim=-1,
        )


class ScoreHead(nn.Module):
    """[Linear, Norm, ReLU] × depth, then one number. `norm_first` puts a norm before them."""

    def __init__(self, dim: int, depth: int, *, norm_first: bool = False):
        super().__init__()
        blocks: list[nn.Module] = [nn.LayerNorm(dim)] if norm_first else []
        for _ in range(depth):
            blocks += [nn.Linear(dim, dim), nn.LayerNorm(dim), nn.ReLU()]
        self.pre_linear_block = nn.Sequential(*blocks)
        self.output_head = nn.Linear(dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (...)"""
        return self.output_head(self.pre_linear_block(x)).squeeze(-1)


class RankingAdapter(nn.Module):
    """Orders pictures by one instruction.

    Every public method takes `image_tokens` (N, V, D), the backbone's `ranking_tokens`, and
    `text_tokens`, the instruction's token outputs: (T, D) or (1, T, D) for one instruction,
    (N, T, D) for one a picture; D here is `config.input_dim`, for texts `config.text_input_dim`.
    Tokens of another precision or device are moved to the adapter's. RankingError when their width
    is another.

    Shape:
        forward: RankingOutput of scores (N,) and pair logits (N, N)
        scores: (N,)     pair_logits: (N, N)     pair_attention: (P, H, Q, 2V)
    """

    def __init__(self, config: AdapterConfig):
        super().__init__()
        self.config = config
        # Of `scores` and `pair_logits`: how much comes with hidden words, and how much the
        # evidence itself adds. Set for what it will be asked, see `Ranker.adapter`.
        self.hidden_share = self.evidence_share = 0.0
        dim = config.dim
        self.learnable_text_tokens = nn.Parameter(
            torch.randn(config.prompt_width, config.n_learnable_tokens) * 0.02
        )
        if config.token_dim is not None:
            self.image_projection = nn.Linear(config.token_dim, dim)
            self.text_projection = nn.Linear(config.text_input_dim, dim)
        if config.concepts:
            self.evidence = Evidence(config)
        self.crossmodal_block = CrossModalFusion(config)
        self.post_fuse_block = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(
                dim, config.heads, dim_feedforward=dim, dropout=config.dropout, batch_first=True
            ),
            num_layers=config.layers,
            enable_nested_tensor=False,  # pictures all have the same number of tokens
        )
        self.reg_ln = nn.LayerNorm(dim)
        self.regressor = ScoreHead(dim, depth=2)
        self.reg_tokens = nn.Parameter(torch.randn(config.n_relational_tokens, dim) * dim**-0.5)
        self.reg_token_pooler = RankAwareAttention(dim, config.heads)
        self.pair_regressor = ScoreHead(dim, depth=3, norm_first=True)

    @classmethod
    def seeded(cls, config: AdapterConfig, seed: int) -> Self:
        """A new adapter, the same for the same seed; torch's own random state is not touched."""
        with torch.device("meta"):  # shapes only: torch's initialisers would draw global numbers
            adapter = cls(config)
        adapter.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in adapter.named_parameters():
                _initialise(name, parameter, config, generator)
            for table in adapter.buffers():
                table.zero_()
        return adapter

    @classmethod
    def from_state(cls, config: AdapterConfig, state: Mapping[str, Tensor]) -> Self:
        """An adapter with copies of these weights, strictly.

        Raises:
            RankingError: an entry is missing, superfluous, of another shape or not finite.
        """
        with torch.device("meta"):
            adapter = cls(config)
        expected = {name: tensor.shape for name, tensor in adapter.state_dict().items()}
        for name in sorted(expected.keys() | state.keys()):
            if name not in state or name not in expected:
                what = "lacks" if name not in state else "has an entry that is unknown:"
                raise RankingError(
                    f"The ranker's weights do not fit its settings: it {what} {name}."
                )
            if state[name].shape != expected[name]:
                raise RankingError(
                    f"The ranker's weights do not fit its settings: {name} has shape "
                    f"{tuple(state[name].shape)}, not {tuple(expected[name])}."
                )
            if not torch.isfinite(state[name]).all():
                raise RankingError(
                    f"The ranker's weights are damaged: {name} holds numbers that are not finite."
                )
        copies = {name: tensor.detach().float().clone() for name, tensor in state.items()}
        adapter.load_state_dict(copies, strict=True, assign=True)
        return adapter

    # -- from tokens to fused tokens ------------------------------------------------------------

    def fuse(
        self, image_tokens: Tensor, text_tokens: Tensor, *, hide_words: bool = False
    ) -> Tensor:
        """Picture tokens that have read the instruction: (N, V, D)."""
        return self.crossmodal_block(*self._inputs(image_tokens, text_tokens, hide_words))

    def encode(
        self, image_tokens: Tensor, text_tokens: Tensor, *, hide_words: bool = False
    ) -> Tensor:
        """What both heads read: the fused tokens after the encoder. (N, V, D)."""
        return self.post_fuse_block(self.fuse(image_tokens, text_tokens, hide_words=hide_words))

    def text_attention(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """Which words each picture token read: (N, L, H, V, n_learnable_tokens + T).

        The learnable prompts come first; a row sums to 1 over them and the words together.
        """
        return self.crossmodal_block.text_attention(*self._inputs(image_tokens, text_tokens))

    # -- scores: linear in the number of pictures -------------------------------------------------

    def forward(
        self, image_tokens: Tensor, text_tokens: Tensor, *, hide_words: bool = False
    ) -> RankingOutput:
        """Scores and all pair logits from one encoding: what training needs.

        Args:
            hide_words: let the instruction be known by its evidence alone, its words replaced by
                those of an instruction that names no thing: what is learned so holds for any thing.
        """
        encoded = self.encode(image_tokens, text_tokens, hide_words=hide_words)
        summary = self.reg_token_pooler.summarise(self.reg_tokens, encoded)
        return RankingOutput(self._regress(encoded), self._compare(summary, summary))

    def scores(
        self, image_tokens: Tensor, text_tokens: Tensor, *, chunk: int = PICTURES_A_CHUNK
    ) -> Tensor:
        """One score a picture, higher ranks first: (N,). No pair is ever built."""
        parts = [
            self._shown_and_hidden(
                lambda hide, images=images, text=text: self._regress(
                    self.encode(images, text, hide_words=hide)
                )
            )
            + self._own_evidence(images, text)
            for images, text in self._chunks(image_tokens, text_tokens, chunk)
        ]
        return torch.cat(parts)

    # -- pairs, only when asked -------------------------------------------------------------------

    def pair_logits(
        self, image_tokens: Tensor, text_tokens: Tensor, *, chunk: int = PICTURES_A_CHUNK
    ) -> Tensor:
        """Logit of "picture i ranks above picture j" at [i, j]: (N, N), the diagonal included."""
        logits = self._shown_and_hidden(
            lambda hide: self._pair_logits(
                self.pair_summary(image_tokens, text_tokens, chunk=chunk, hide_words=hide)
            )
        )
        if not self.evidence_share:
            return logits
        own = torch.cat(
            [
                self._own_evidence(images, text)
                for images, text in self._chunks(image_tokens, text_tokens, chunk)
            ]
        )
        return logits + own[:, None] - own[None]

    def _pair_logits(self, summary: PairSummary) -> Tensor:
        n = len(summary.log_mass)
        rows = n if torch.is_grad_enabled() else max(1, PAIRS_A_CHUNK // n)
        parts = [
            self._compare(PairSummary(*(t[start : start + rows] for t in summary)), summary)
            for start in range(0, n, rows)
        ]
        return torch.cat(parts)

    def pair_summary(
        self,
        image_tokens: Tensor,
        text_tokens: Tensor,
        *,
        chunk: int = PICTURES_A_CHUNK,
        hide_words: bool = False,
    ) -> PairSummary:
        """The pair branch's attention to each picture alone; pairs follow from it exactly."""
        parts = [
            self.reg_token_pooler.summarise(
                self.reg_tokens, self.encode(images, text, hide_words=hide_words)
            )
            for images, text in self._chunks(image_tokens, text_tokens, chunk)
        ]
        return PairSummary(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))

    def pair_attention(
        self, image_tokens: Tensor, text_tokens: Tensor, pairs: Tensor | None = None
    ) -> Tensor:
        """The rank-aware attention of each pair, over the V tokens of i and then the V of j.

        `pairs` (P, 2) holds picture numbers (i, j); left out, it is all N·N in row order.
        Returns (P, H, Q, 2V); a row sums to 1 over both pictures.
        """
        summary = self.pair_summary(image_tokens, text_tokens)
        if pairs is None:
            i, j = pair_indices(len(summary.log_mass), summary.log_mass.device)
        else:
            i, j = pairs.to(summary.log_mass.device).unbind(dim=1)
        share = torch.sigmoid(summary.log_mass[i] - summary.log_mass[j])[..., None]  # (P, H, Q, 1)
        return torch.cat([share * summary.weights[i], (1 - share) * summary.weights[j]], dim=-1)

    def pair_logits_literal(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """`pair_logits` as the authors' code computes it, attention once a pair: (N, N)."""
        encoded = self.encode(image_tokens, text_tokens)
        q, k = self.reg_token_pooler.query_and_key(self.reg_tokens, encoded)
        i, j = pair_indices(len(encoded), encoded.device)
        difference = self.reg_token_pooler.differences_literal(q, k, i, j)
        return self.pair_regressor(difference).reshape(len(encoded), len(encoded))

    def _shown_and_hidden(self, compute: Callable[[bool], Tensor]) -> Tensor:
        """`compute(hide_words)` with words shown and hidden, in the shares of `hidden_share`."""
        share = self.hidden_share
        if share == 0:
            return compute(False)
        if share == 1:
            return compute(True)
        return (1 - share) * compute(False) + share * compute(True)

    def _own_evidence(self, image_tokens: Tensor, text_tokens: Tensor) -> Tensor:
        """What the evidence itself adds to each picture's score: (N,)."""
        if not self.evidence_share:
            return self.reg_tokens.new_zeros(len(image_tokens))
        text = text_tokens[None] if text_tokens.dim() == 2 else text_tokens
        own = self.learnable_text_tokens
        channels = self.evidence.channels(image_tokens.to(own), text.to(own))
        return self.evidence_share * channels[..., Evidence.OWN_CLASSES].sum(dim=1)

    # -- parts ------------------------------------------------------------------------------------

    def _regress(self, encoded: Tensor) -> Tensor:
        return self.regressor(self.reg_ln(encoded).sum(dim=1))  # (N, V, D) -> (N, D) -> (N,)

    def _compare(self, rows: PairSummary, columns: PairSummary) -> Tensor:
        return self.pair_regressor(self.reg_token_pooler.differences(rows, columns))  # (R, K)

    def _inputs(
        self, image_tokens: Tensor, text_tokens: Tensor, hide_words: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Both inputs at the adapter's precision, with the learnable prompts before the words."""
        text_tokens = text_tokens[None] if text_tokens.dim() == 2 else text_tokens
        self._check(image_tokens, text_tokens)
        own = self.learnable_text_tokens
        images, text = image_tokens.to(own), text_tokens.to(own)
        if self.config.token_dim is not None:
            seen, read = images, text
            images, text = self.image_projection(seen), self.text_projection(read)
            if self.config.concepts:
                images = images + self.evidence(seen, read)
                if hide_words:
                    text = self.text_projection(self.evidence.hidden_words[None])
        learned = own.T.expand(len(text), -1, self.config.dim)  # (1 or N, n, D)
        return images, torch.cat([learned, text], dim=1)

    def _chunks(
        self, image_tokens: Tensor, text_tokens: Tensor, size: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(image_tokens)
        if n == 0:
            raise RankingError("There are no pictures to rank. Add at least one.")
        each = text_tokens.dim() == 3 and len(text_tokens) > 1
        for start in range(0, n, size):
            part = slice(start, start + size)
            yield image_tokens[part], text_tokens[part] if each else text_tokens

    def _check(self, image_tokens: Tensor, text_tokens: Tensor) -> None:
        for what, tokens, dim in (
            ("pictures", image_tokens, self.config.input_dim),
            ("instruction", text_tokens, self.config.text_input_dim),
        ):
            if tokens.dim() != 3 or tokens.shape[-1] != dim:
                raise RankingError(
                    f"This ranker reads tokens of width {dim}, but the {what} came as "
                    f"{tuple(tokens.shape)}. Use the model this ranker was trained for."
                )
        if len(text_tokens) not in (1, len(image_tokens)):
            raise RankingError(
                f"There are {len(image_tokens)} pictures and {len(text_tokens)} instructions. "
                "Give one instruction, or one for every picture."
            )


def _initialise(
    name: str, parameter: Tensor, config: AdapterConfig, generator: torch.Generator
) -> None:
    """torch's own defaults, from a generator of our own."""
    kind = name.rpartition(".")[2]
    if name == "learnable_text_tokens":
        parameter.normal_(0, 0.02, generator=generator)
    elif name == "reg_tokens" or kind == "projection":
        parameter.normal_(0, config.dim**-0.5, generator=generator)
    elif kind == "in_proj_weight":  # Xavier's
        bound = (6 / sum(parameter.shape)) ** 0.5
        parameter.uniform_(-bound, bound, generator=generator)
    elif kind.endswith("bias"):
        parameter.zero_()
    elif parameter.dim() == 1:  # a norm's
        parameter.fill_(1)
    else:  # a linear layer's
        bound = parameter.shape[1] ** -0.5
        parameter.uniform_(-bound, bound, generator=generator)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(N, T, D) -> (N, H, T, C)"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def pair_indices(n: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Rows and columns of all ordered pairs: entry i·n + j is the pair (i, j). Two (n·n,)."""
    index = torch.arange(n, device=device)
    return index.repeat_interleave(n), index.repeat(n)


def count_parameters(config: AdapterConfig) -> int:
    """How many numbers the adapter learns, without building it."""
    with torch.device("meta"):
        return sum(math.prod(p.shape) for p in RankingAdapter(config).parameters())
