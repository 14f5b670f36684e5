"""CLIP's text encoder on token embeddings: exact, and fast enough to train through on a laptop.

A prompt learner feeds embeddings, not token ids, so the tower is run here over the weights of an
open_clip model instead of through its own `encode_text`. Three remedies make it fast and change
nothing in the result, because the tower is causal and only the row of the end-of-text (EOT) token
is read:

1. Cut after EOT: positions behind the last EOT of a batch are never computed.
2. Share the prefix: where all prompts begin with the same tokens (start-of-text and a unified
   context, class name at the end), those tokens' hidden states are the same in every prompt. They
   are computed once; each prompt's own few tokens attend to their keys and values. Prefix and own
   tokens go through a block as one list of rows, and only attention tells them apart: every row's
   scores towards the prefix are one matrix product for all prompts together, its scores towards
   its own prompt a small one each, and one softmax covers both.
3. In the last block only the EOT row asks: other rows give keys and values and nothing else.

Under mixed precision the frozen matrices are cast once for each precision, not in every pass.
The weights are read, never written; nothing is hooked into the model.

Letters in the shape comments: N prompts, L tokens, P shared prefix tokens, S own tokens,
R = P + N · S rows, W width, H heads, D = W / H, d the joint embedding width.
"""

from dataclasses import dataclass
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, TextTransformer
from torch import Tensor, nn

from coop_demo.errors import BackboneError


class TextTower:
    """The text encoder of an open_clip model, over token embeddings. Read-only.

    Attributes:
        width: W, the width of token embeddings and hidden states.
        context_length: the longest prompt in tokens, start and end included (77 in CLIP).

    Raises:
        BackboneError: the model's text tower is not a causal transformer read at its EOT token
            (SigLIP and Hugging Face text models are not), so prompts cannot be learned for it.
    """

    def __init__(self, model: nn.Module, *, name: str = "this model") -> None:
        text = getattr(model, "text", model)
        if isinstance(text, open_clip.CLIP):
            pool_type, cls_emb = text.text_pool_type, None
        elif isinstance(text, TextTransformer):
            pool_type, cls_emb = text.pool_type, text.cls_emb
        else:
            pool_type, cls_emb = "unknown", None
        blocks = list(text.transformer.resblocks) if hasattr(text, "transformer") else []  # type: ignore[union-attr]
        causal = getattr(text, "attn_mask", None) is not None
        plain = bool(blocks) and all(isinstance(b, ResidualAttentionBlock) for b in blocks)
        if pool_type not in ("argmax", "eos") or cls_emb is not None or not causal or not plain:
            raise BackboneError(
                f"Prompts cannot be learned for {name}: its text tower is not CLIP's causal "
                "transformer. Choose a CLIP model, for instance ViT-B-32."
            )
        self._text = text
        self._blocks = blocks
        self._weights: dict[tuple[torch.device, torch.dtype], list[_Block]] = {}
        self.width: int = text.token_embedding.embedding_dim  # type: ignore[union-attr]
        self.context_length: int = text.positional_embedding.shape[0]  # type: ignore[union-attr]

    @property
    def device(self) -> torch.device:
        return self._text.token_embedding.weight.device  # type: ignore[union-attr]

    def embed(self, tokens: Tensor) -> Tensor:
        """Token embeddings without positions. Shape: (N, L) integers -> (N, L, W)."""
        return self._text.token_embedding(tokens.to(self.device))  # type: ignore[operator]

    @property
    def vocabulary(self) -> Tensor:
        """All token embeddings, (vocabulary, W). A view of the model's weights: do not write."""
        return self._text.token_embedding.weight.detach()  # type: ignore[union-attr]

    def encode(self, embeddings: Tensor, eot: Tensor, *, length: int | None = None) -> Tensor:
        """Text features of prompts given as embeddings, cut after the last EOT.

        Args:
            embeddings: (N, L, W) token embeddings without positions, L ≤ context_length.
            eot: (N,) the position of each prompt's EOT.
            length: the largest of them plus one, where it is known: finding it waits for a GPU.

        Returns:
            (N, d) text features, not normalised.
        """
        eot = eot.to(embeddings.device)
        length = int(eot.max()) + 1 if length is None else length
        x = self._add_positions(embeddings[:, :length], start=0)  # (N, L, W)
        *blocks, last = self._block_weights()
        for block in blocks:
            x = _block(block, x)
        return self._project(_last_block(last, x, eot))

    def encode_with_prefix(
        self, prefix: Tensor, own: Tensor, eot: Tensor, *, length: int | None = None
    ) -> Tensor:
        """Text features of prompts that all begin with the same tokens.

        Args:
            prefix: (P, W) embeddings of the shared tokens, without positions.
            own: (N, S, W) embeddings of each prompt's own tokens, which follow the prefix.
            eot: (N,) position of each prompt's EOT, counted from the start of its own tokens.
            length: the largest of them plus one, where it is known: finding it waits for a GPU.

        Returns:
            (N, d) text features, not normalised; the same as `encode` of the joined prompts.
        """
        eot = eot.to(own.device)
        length = int(eot.max()) + 1 if length is None else length
        shared = self._add_positions(prefix[None], start=0)[0]  # (P, W)
        own = self._add_positions(own[:, :length], start=len(prefix))  # (N, S, W)
        N, S, W = own.shape
        layout = _Layout.of(len(shared), N, S, own.device)
        rows = torch.cat([shared, own.reshape(N * S, W)])  # (R, W)
        *blocks, last = self._block_weights()
        for block in blocks:
            rows = _block_of_rows(block, rows, layout)
        return self._project(_last_block_of_rows(last, rows, layout, eot))

    def encode_full_length(self, embeddings: Tensor, eot: Tensor) -> Tensor:
        """The reference's way, all `context_length` tokens through open_clip's own modules.

        For tests and benchmarks; same arguments and result as `encode`, with L = context_length.
        """
        text = self._text
        x = self._add_positions(embeddings, start=0)
        x = text.transformer(x, attn_mask=text.attn_mask)  # type: ignore[operator]
        x = text.ln_final(x)  # type: ignore[operator]
        x = x[torch.arange(len(x), device=x.device), eot.to(x.device)]
        return self._apply_projection(x)

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Text features of token ids. Shape: (N, L) -> (N, d), not normalised."""
        tokens = tokens.to(self.device)
        return self.encode(self.embed(tokens), self.eot_positions(tokens))

    def hidden_states(self, tokens: Tensor) -> Tensor:
        """All outputs after the final norm, before the projection.

        Shape: (N, L) token ids -> (N, L, W). The ranking-aware adapter reads these.
        """
        x = self._add_positions(self.embed(tokens), start=0)
        for block in self._block_weights():
            x = _block(block, x)
        return self._text.ln_final(x)  # type: ignore[operator]

    def project(self, hidden: Tensor) -> Tensor:
        """Bring hidden states (…, W) after the final norm to the joint space (…, d)."""
        return self._apply_projection(hidden)

    def eot_positions(self, tokens: Tensor) -> Tensor:
        """Position of the EOT token, the largest id of CLIP's vocabulary. (N, L) -> (N,)."""
        eos_id = getattr(self._text, "text_eos_id", getattr(self._text, "eos_id", None))
        pool_type = getattr(
            self._text, "text_pool_type", getattr(self._text, "pool_type", "argmax")
        )
        if pool_type == "eos" and eos_id is not None:
            return (tokens == eos_id).int().argmax(dim=-1)
        return tokens.argmax(dim=-1)

    def _block_weights(self) -> "list[_Block]":
        """The blocks' weights; under mixed precision with the matrices in that precision."""
        device = self.device
        if not torch.is_autocast_enabled(device.type):
            return [_Block.of(block) for block in self._blocks]
        dtype = torch.get_autocast_dtype(device.type)
        if (device, dtype) not in self._weights:
            self._weights[device, dtype] = [_Block.of(block, dtype) for block in self._blocks]
        return self._weights[device, dtype]

    def _add_positions(self, x: Tensor, *, start: int) -> Tensor:
        positions: Tensor = self._text.positional_embedding  # type: ignore[assignment]
        return x + positions[start : start + x.shape[1]].to(x.dtype)

    def _project(self, x: Tensor) -> Tensor:
        return self._apply_projection(self._text.ln_final(x))  # type: ignore[operator]

    def _apply_projection(self, x: Tensor) -> Tensor:
        projection = self._text.text_projection
        if projection is None:
            return x
        return projection(x) if isinstance(projection, nn.Linear) else x @ projection  # type: ignore[operator]


@dataclass(frozen=True)
class _Block:
    """The frozen weights of one transformer block."""

    block: ResidualAttentionBlock  # its norms, activation and layer scales
    n_heads: int
    in_proj: tuple[Tensor, Tensor]  # (3W, W), (3W,): queries, keys, values
    out_proj: tuple[Tensor, Tensor]  # (W, W), (W,)
    c_fc: tuple[Tensor, Tensor]  # (4W, W), (4W,)
    c_proj: tuple[Tensor, Tensor]  # (W, 4W), (W,)

    @classmethod
    def of(cls, block: ResidualAttentionBlock, dtype: torch.dtype | None = None) -> "_Block":
        """A block's weights as they are, or detached copies in another precision."""

        def cast(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
            if dtype is None:
                return weight, bias
            return weight.detach().to(dtype), bias.detach().to(dtype)

        attention: Any = block.attn
        mlp: Any = block.mlp
        return cls(
            block,
            attention.num_heads,
            cast(attention.in_proj_weight, attention.in_proj_bias),
            cast(attention.out_proj.weight, attention.out_proj.bias),
            cast(mlp.c_fc.weight, mlp.c_fc.bias),
            cast(mlp.c_proj.weight, mlp.c_proj.bias),
        )

    def keys_and_values(self, x: Tensor) -> Tensor:
        """Of hidden states x after the norm: (…, W) -> (…, 2W)."""
        W = x.shape[-1]
        return F.linear(x, self.in_proj[0][W:], self.in_proj[1][W:])

    def queries(self, x: Tensor) -> Tensor:
        """Of hidden states x after the norm: (…, W) -> (…, W)."""
        W = x.shape[-1]
        return F.linear(x, self.in_proj[0][:W], self.in_proj[1][:W])

    def residuals(self, x: Tensor, out: Tensor) -> Tensor:
        """What the block adds to x: attention's output, then the MLP's. 2 × (…, W) -> (…, W)."""
        block = self.block
        x = x + block.ls_1(F.linear(out, *self.out_proj))
        mlp: Any = block.mlp
        hidden = mlp.gelu(F.linear(block.ln_2(x), *self.c_fc))
        return x + block.ls_2(F.linear(hidden, *self.c_proj))


def _heads(x: Tensor, n_heads: int) -> Tensor:
    """(N, L, W) -> (N, H, L, D)."""
    N, L, W = x.shape
    return x.view(N, L, n_heads, W // n_heads).transpose(1, 2)


def _block(block: _Block, x: Tensor) -> Tensor:
    """One causal transformer block over whole prompts. Shape: (N, L, W) -> (N, L, W)."""
    qkv = F.linear(block.block.ln_1(x), *block.in_proj)  # (N, L, 3W)
    q, k, v = (_heads(part, block.n_heads) for part in qkv.chunk(3, dim=-1))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (N, H, L, D)
    return block.residuals(x, out.transpose(1, 2).reshape(x.shape))


def _last_block(block: _Block, x: Tensor, eot: Tensor) -> Tensor:
    """The last block, for the EOT rows alone. Shape: x (N, L, W), eot (N,) -> (N, W)."""
    N, L, W = x.shape
    normed = block.block.ln_1(x)
    keys, values = block.keys_and_values(normed).chunk(2, dim=-1)
    at_eot = eot[:, None, None].expand(N, 1, W)
    q = block.queries(normed.gather(1, at_eot))  # (N, 1, W)
    seen = torch.arange(L, device=x.device) <= eot[:, None]  # (N, L): not the padding behind EOT
    out = F.scaled_dot_product_attention(
        *(_heads(part, block.n_heads) for part in (q, keys, values)), attn_mask=seen[:, None, None]
    )  # (N, H, 1, D)
    return block.residuals(x.gather(1, at_eot), out.transpose(1, 2).reshape(N, 1, W))[:, 0]


def _row_multiple(device: torch.device) -> int:
    return 8 if device.type == "cuda" else 1


@dataclass(frozen=True)
class _Layout:
    """How a shared prefix and the own tokens of N prompts behind it lie in one list of rows.

    On a GPU attention pads P and S to multiples of 8, which its matrix units ask for, and does
    the products with the prefix in 8 groups of rows: each of their gradients is a sum over all
    rows, which one group would leave to a few of the GPU's many processors.
    """

    P: int
    N: int
    S: int
    multiple: int  # 8 on a GPU, else 1
    hidden: Tensor  # (S padded, P + S padded): what an own token does not attend to

    @classmethod
    def of(cls, P: int, N: int, S: int, device: torch.device) -> "_Layout":
        multiple = _row_multiple(device)
        columns = F.pad(
            torch.zeros(1, P, dtype=torch.bool, device=device), (0, -P % multiple), value=True
        )
        S_padded = S + -S % multiple
        later = torch.ones(S_padded, S_padded, dtype=torch.bool, device=device).triu(diagonal=1)
        hidden = torch.cat([columns.expand(S_padded, -1), later], dim=1)
        return cls(P, N, S, multiple, hidden)

    def split(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The prefix's rows and the prompts' own: (R, …) -> (P, …), (N, S, …)."""
        prefix, own = rows.split([self.P, self.N * self.S])
        return prefix, own.reshape(self.N, self.S, *rows.shape[1:])

    def padded(self, x: Tensor) -> Tensor:
        """Rows of zeros behind the last but one dimension, up to the multiple."""
        missing = -x.shape[-2] % self.multiple
        return F.pad(x, (0, 0, 0, missing)) if missing else x


def _block_of_rows(block: _Block, rows: Tensor, layout: _Layout) -> Tensor:
    """One block over a shared prefix and the own tokens behind it. Shape: (R, W) -> (R, W)."""
    (R, W), H = rows.shape, block.n_heads
    P, N, S, D = layout.P, layout.N, layout.S, W // H
    qkv = F.linear(block.block.ln_1(rows), *block.in_proj)  # (R, 3W)
    prefix, own = layout.split(qkv.reshape(R, 3, H, D))
    pq, pk, pv = prefix.permute(1, 2, 0, 3)[:, None].unbind()  # (1, H, P, D) each
    from_prefix = F.scaled_dot_product_attention(pq, pk, pv, is_causal=True)
    q, k, v = layout.padded(own.permute(2, 3, 0, 1, 4)).reshape(3, H * N, -1, D).unbind()
    out = _attend(q, k, v, pk[0], pv[0], layout).reshape(H, N, -1, D)[:, :, :S]
    out = torch.cat(
        [from_prefix[0].transpose(0, 1).reshape(P, W), out.permute(1, 2, 0, 3).reshape(N * S, W)]
    )
    return block.residuals(rows, out)


def _attend(q: Tensor, k: Tensor, v: Tensor, pk: Tensor, pv: Tensor, layout: _Layout) -> Tensor:
    """Attention of own tokens to the shared prefix and, causally, to their own prompt.

    Shape: q, k, v (H · N, S, D) padded, pk and pv (H, P, D) -> (H · N, S, D).
    """
    H, (B, S, D) = len(pk), q.shape
    groups = layout.multiple
    pk, pv = layout.padded(pk)[:, None], layout.padded(pv)[:, None]  # (H, 1, P, D)
    q = q * D**-0.5
    to_prefix = q.reshape(H, groups, -1, D) @ pk.transpose(2, 3)
    to_own = q @ k.transpose(1, 2)  # (H · N, S, S)
    scores = torch.cat([to_prefix.reshape(B, S, -1), to_own], dim=-1)  # (H · N, S, P + S)
    scores = scores.masked_fill(layout.hidden, float("-inf"))
    shares = scores.softmax(dim=-1, dtype=scores.dtype)
    to_prefix, to_own = shares.split([pk.shape[2], S], dim=-1)
    out = (to_prefix.reshape(H, groups, -1, pk.shape[2]) @ pv).reshape(B, S, D)
    return torch.baddbmm(out, to_own, v)


def _last_block_of_rows(block: _Block, rows: Tensor, layout: _Layout, eot: Tensor) -> Tensor:
    """The last block, for the EOT rows of the prompts behind a shared prefix.

    Shape: rows (R, W), eot (N,) counted from the end of the prefix -> (N, W).
    """
    (R, W), H = rows.shape, block.n_heads
    P, N, S, D = layout.P, layout.N, layout.S, W // H
    normed = block.block.ln_1(rows)
    prefix, own = layout.split(block.keys_and_values(normed).reshape(R, 2, H, D))
    pk, pv = prefix.permute(1, 2, 0, 3).unbind()  # (H, P, D) each
    keys, values = own.permute(2, 3, 0, 1, 4).unbind()  # (H, N, S, D) each
    at_eot = P + S * torch.arange(N, device=rows.device) + eot  # (N,)
    q = (block.queries(normed[at_eot]) * D**-0.5).reshape(N, H, D).transpose(0, 1)  # (H, N, D)
    to_prefix = q @ pk.transpose(1, 2)  # (H, N, P)
    to_own = (q[:, :, None] @ keys.transpose(2, 3))[:, :, 0]  # (H, N, S)
    behind = torch.arange(S, device=rows.device) > eot[:, None]  # (N, S): padding behind EOT
    to_own = to_own.masked_fill(behind, float("-inf"))
    scores = torch.cat([to_prefix, to_own], dim=-1)  # (H, N, P + S)
    to_prefix, to_own = scores.softmax(dim=-1, dtype=scores.dtype).split([P, S], dim=-1)
    out = to_prefix @ pv + (to_own[:, :, None] @ values)[:, :, 0]  # (H, N, D)
    return block.residuals(rows[at_eot], out.transpose(0, 1).reshape(N, W))
