"""CLIP's text encoder on token embeddings: exact, and fast enough to train through on a laptop.

A prompt learner feeds embeddings, not token ids, so the tower is run here over the weights of an
open_clip model instead of through its own `encode_text`. Three remedies make it fast and change
nothing in the result, because the tower is causal and only the row of the end-of-text (EOT) token
is read:

1. Cut after EOT: positions behind the last EOT of a batch are never computed.
2. Share the prefix: where all prompts begin with the same tokens (start-of-text and a unified
   context, class name at the end), those tokens' hidden states are the same in every prompt. They
   are computed once; each prompt's own few tokens attend to their keys and values.
3. In the last block only the EOT row asks: other rows give keys and values and nothing else.

The weights are read, never written; nothing is hooked into the model.

Letters in the shape comments: N prompts, L tokens, P shared prefix tokens, S own tokens, W width,
H heads, D = W / H, d the joint embedding width.
"""

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
        for block in self._blocks[:-1]:
            x = _block(block, x)
        return self._project(_last_block(self._blocks[-1], x, eot))

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
        shared = self._add_positions(prefix[None], start=0)  # (1, P, W)
        length = int(eot.max()) + 1 if length is None else length
        x = self._add_positions(own[:, :length], start=len(prefix))  # (N, S, W)
        for block in self._blocks[:-1]:
            x = _block(block, x, _keys_and_values(block, shared))
            shared = _block(block, shared)
        last = self._blocks[-1]
        return self._project(_last_block(last, x, eot, _keys_and_values(last, shared)))

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
        for block in self._blocks:
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


def _heads(x: Tensor, n_heads: int) -> Tensor:
    """(N, L, W) -> (N, H, L, D)."""
    N, L, W = x.shape
    return x.view(N, L, n_heads, W // n_heads).transpose(1, 2)


def _keys_and_values(block: ResidualAttentionBlock, x: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of one block for hidden states x: (N, L, W) -> 2 × (N, H, L, D)."""
    attention = block.attn
    W = x.shape[-1]
    kv = F.linear(
        block.ln_1(x), attention.in_proj_weight[W:], attention.in_proj_bias[W:]
    )  # (N, L, 2W)
    keys, values = kv.chunk(2, dim=-1)
    return _heads(keys, attention.num_heads), _heads(values, attention.num_heads)


def _block(
    block: ResidualAttentionBlock, x: Tensor, past: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """One causal transformer block; `past` holds keys and values of tokens before x.

    Shape: x (N, L, W), past 2 × (1, H, P, D) -> (N, L, W).
    """
    attention = block.attn
    L = x.shape[1]
    qkv = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)  # (N, L, 3W)
    q, k, v = (_heads(part, attention.num_heads) for part in qkv.chunk(3, dim=-1))
    if past is None:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (N, H, L, D)
    else:
        k, v = _behind(past[0], k), _behind(past[1], v)  # (N, H, P + L, D)
        # every token sees the whole prefix and, of its own prompt, itself and what is before it
        P = past[0].shape[2]
        mask = torch.ones(L, P + L, dtype=torch.bool, device=x.device).tril(diagonal=P)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return _residuals(block, x, out)


def _last_block(
    block: ResidualAttentionBlock,
    x: Tensor,
    eot: Tensor,
    past: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The last block, for the EOT rows alone.

    Shape: x (N, L, W), eot (N,), past 2 × (1, H, P, D) -> (N, W).
    """
    attention = block.attn
    N, L, W = x.shape
    k, v = _keys_and_values(block, x)  # (N, H, L, D)
    row = x.gather(1, eot[:, None, None].expand(N, 1, W))  # (N, 1, W)
    q = F.linear(block.ln_1(row), attention.in_proj_weight[:W], attention.in_proj_bias[:W])
    seen = torch.arange(L, device=x.device) <= eot[:, None]  # (N, L): not the padding behind EOT
    if past is not None:
        k, v = _behind(past[0], k), _behind(past[1], v)  # (N, H, P + L, D)
        seen = F.pad(seen, (past[0].shape[2], 0), value=True)  # (N, P + L)
    out = F.scaled_dot_product_attention(
        _heads(q, attention.num_heads), k, v, attn_mask=seen[:, None, None]
    )  # (N, H, 1, D)
    return _residuals(block, row, out)[:, 0]


def _behind(past: Tensor, own: Tensor) -> Tensor:
    """Each prompt's own keys or values behind the shared ones: -> (N, H, P + L, D)."""
    return torch.cat([past.expand(len(own), -1, -1, -1), own], dim=2)


def _residuals(block: ResidualAttentionBlock, x: Tensor, out: Tensor) -> Tensor:
    """What a block adds to x: attention's output (N, H, L, D), then the MLP's. -> (N, L, W)."""
    attention = block.attn
    out = out.transpose(1, 2).reshape(x.shape)
    x = x + block.ls_1(F.linear(out, attention.out_proj.weight, attention.out_proj.bias))
    return x + block.ls_2(block.mlp(block.ln_2(x)))
