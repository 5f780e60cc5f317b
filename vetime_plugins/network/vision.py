"""Vision branch: a ViT encoder and its masked-autoencoder pretraining (He et al., CVPR 2022)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from vetime_plugins.network.layers import attend, mlp

_VIT_EPS = 1e-6


class VisionAttention(nn.Module):
    """Self-attention of a ViT block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        query, key, value = self.qkv(x).chunk(3, dim=-1)
        return self.projection(attend(query, key, value, self.heads))


class VisionBlock(nn.Module):
    """One pre-norm ViT block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=_VIT_EPS), nn.LayerNorm(width, eps=_VIT_EPS)
        self.attention = VisionAttention(width, heads)
        self.feedforward = mlp(width, 4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, N, D) to (B, N, D)."""
        x = x + self.attention(self.norm1(x))
        return x + self.feedforward(self.norm2(x))


def grid_position_code(width: int, grid: int) -> Tensor:
    """Return the fixed 2-D sine-cosine position code (1, 1 + grid**2, width), zero for the class token."""
    quarter = width // 4
    frequency = 1.0 / 10_000 ** (np.arange(quarter) / quarter)
    row, column = np.meshgrid(np.arange(grid), np.arange(grid), indexing="ij")
    parts = []
    for axis in (column, row):
        angle = axis.reshape(-1, 1) * frequency
        parts += [np.sin(angle), np.cos(angle)]
    code = np.concatenate(parts, axis=1)
    code = np.pad(code, ((1, 0), (0, width - code.shape[1])))
    return torch.from_numpy(code).float()[None]


class VisionEncoder(nn.Module):
    """ViT over the folded image; the tokens keep their order.

    The authors shuffle the tokens by MAE's random masking at ratio 0 and never restore the order, so that two
    calls give two answers; here token (i, j) is always pixel block (i, j).
    """

    def __init__(self, image_size: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        grid = image_size // patch
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(grid_position_code(width, grid))
        self.blocks = nn.ModuleList(VisionBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=_VIT_EPS)
        # Blocks whose outputs are summed: the last of every quarter of the depth.
        self.taps = frozenset((depth * quarter) // 4 - 1 for quarter in range(1, 5)) - {-1}

    def embed(self, images: Tensor) -> Tensor:
        """Map images (B, 3, S, S) to position-coded tokens (B, G*G, D) without the class token."""
        return self.patch_embedding(images).flatten(2).transpose(1, 2) + self.position[:, 1:]

    def encode(self, tokens: Tensor) -> Tensor:
        """Run embedded tokens (B, N, D) through the blocks; the class token is added and dropped again."""
        first = (self.class_token + self.position[:, :1]).expand(len(tokens), -1, -1)
        x = torch.cat([first, tokens], dim=1)
        total = torch.zeros_like(x)
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.taps:
                total = total + x
        return self.norm(total)[:, 1:]

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, S, S) with values in 0..255 to tokens (B, G*G, D)."""
        return self.encode(self.embed(images))


class MaskedAutoencoder(nn.Module):
    """Encoder plus the light decoder that rebuilds hidden image blocks. For pretraining only.

    `image_size` and `patch` are those of the encoder, the others are the decoder's.
    """

    def __init__(
        self, encoder: VisionEncoder, image_size: int, patch: int, width: int, depth: int, heads: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.patch = patch
        self.decoder = MaskedDecoder(
            encoder.norm.normalized_shape[0], image_size // patch, patch, width, depth, heads
        )

    def forward(
        self, images: Tensor, mask_ratio: float, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Hide `mask_ratio` of the blocks of `images` (B, 3, S, S) and rebuild them.

        Returns the prediction (B, G*G, 3*patch*patch), and (B, G*G) where a block was hidden.
        """
        tokens = self.encoder.embed(images)
        batch, n, width = tokens.shape
        keep = max(1, round(n * (1 - mask_ratio)))
        order = torch.rand(batch, n, generator=generator, device=tokens.device).argsort(dim=1)
        kept = order[:, :keep]
        visible = tokens.gather(1, kept[..., None].expand(-1, -1, width))
        hidden = torch.ones(batch, n, dtype=torch.bool, device=tokens.device).scatter(1, kept, False)
        return self.decoder(self.encoder.encode(visible), order.argsort(dim=1)), hidden

    def target(self, images: Tensor) -> Tensor:
        """Blocks of `images` (B, 3, S, S) as (B, G*G, 3*patch*patch), each normalised as MAE does."""
        blocks = nn.functional.unfold(images, self.patch, stride=self.patch).transpose(1, 2)
        mean, var = blocks.mean(-1, keepdim=True), blocks.var(-1, keepdim=True)
        return (blocks - mean) / (var + 1e-6).sqrt()


class MaskedDecoder(nn.Module):
    """MAE's decoder: mask tokens fill the gaps, a few transformer blocks rebuild the pixels."""

    def __init__(self, encoder_width: int, grid: int, patch: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(encoder_width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(grid_position_code(width, grid))
        self.blocks = nn.ModuleList(VisionBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=_VIT_EPS)
        self.prediction = nn.Linear(width, 3 * patch * patch)

    def forward(self, visible: Tensor, restore: Tensor) -> Tensor:
        """Rebuild all blocks from the `visible` tokens (B, K, D_v).

        `restore` (B, G*G) holds, for each block, its place in the order whose first K places were kept.
        """
        x = self.embedding(visible)
        batch, kept, width = x.shape
        filler = self.mask_token.expand(batch, restore.shape[1] - kept, -1)
        x = torch.cat([x, filler], dim=1).gather(1, restore[..., None].expand(-1, -1, width))
        x = x + self.position[:, 1:]
        for block in self.blocks:
            x = block(x)
        return self.prediction(self.norm(x))
