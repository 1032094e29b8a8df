"""Tokens of a vision transformer as a feature map, and back."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

MAX_PREFIX_TOKENS = 8


@dataclass(frozen=True)
class TokenGrid:
    """Where the patches lie in a sequence of tokens.

    Attributes:
        num_prefix_tokens: Class, distillation and register tokens, which
            stand before the patches and belong to no place.
        height: Rows of patches.
        width: Columns of patches.
    """

    num_prefix_tokens: int
    height: int
    width: int

    def fold(self, tokens: Any) -> Any:
        """`[B, tokens, C]` to the patches' map `[B, height, width, C]`."""
        patches = tokens[:, self.num_prefix_tokens :]
        shape = (-1, self.height, self.width, tokens.shape[-1])
        return ops.reshape(patches, shape)

    def unfold(self, features: Any, tokens: Any) -> Any:
        """`features` as tokens again, behind the prefix of `tokens`."""
        shape = (-1, self.height * self.width, features.shape[-1])
        patches = ops.reshape(features, shape)
        if self.num_prefix_tokens == 0:
            return patches
        prefix = ops.cast(tokens[:, : self.num_prefix_tokens], patches.dtype)
        return ops.concatenate([prefix, patches], axis=1)


def infer_token_grid(
    backbone: keras.Model,
    num_tokens: int | None,
    image_size: tuple[int | None, int | None],
    num_prefix_tokens: int | None = None,
) -> TokenGrid:
    """Find the grid of patches in a sequence of `num_tokens`.

    Args:
        backbone: The backbone; its `patch_size`, if it has one, tells the
            grid.
        num_tokens: Length of the sequence.
        image_size: Height and width of the input in pixels.
        num_prefix_tokens: Number of tokens before the patches, if known.

    Raises:
        ValueError: If the tokens cannot be laid out as a grid of the image's
            proportions.
    """
    height, width = image_size
    if num_tokens is None or height is None or width is None:
        raise ValueError(
            "A backbone that gives tokens must have a fixed image size, so "
            "that they can be folded to their grid. Received: "
            f"{num_tokens} tokens for images of {height} x {width} pixels. "
            "Build the backbone with an explicit image shape."
        )
    patch_size = getattr(backbone, "patch_size", None)
    if patch_size is not None:
        grids = _patch_grids(patch_size, height, width)
    elif num_prefix_tokens is not None:
        grids = _grids_of(num_tokens - num_prefix_tokens, height / width)
    else:
        grids = _largest_grid(num_tokens, height, width)
    for rows, columns in grids:
        prefix = num_tokens - rows * columns
        if prefix >= 0 and num_prefix_tokens in (None, prefix):
            return TokenGrid(prefix, rows, columns)
    raise ValueError(
        f"Cannot lay {num_tokens} tokens out as a grid for images of {height} "
        f"x {width} pixels (num_prefix_tokens={num_prefix_tokens}). Pass "
        "`num_prefix_tokens`: the number of class, distillation and register "
        "tokens before the patches."
    )


def _patch_grids(
    patch_size: int | tuple[int, int], height: int, width: int
) -> Iterator[tuple[int, int]]:
    if not isinstance(patch_size, tuple | list):
        patch_size = (patch_size, patch_size)
    rows, columns = height // patch_size[0], width // patch_size[1]
    yield rows, columns
    while rows > 1 or columns > 1:
        # Transformers with stages merge 2 x 2 patches from stage to stage.
        rows, columns = -(-rows // 2), -(-columns // 2)
        yield rows, columns


def _grids_of(num_patches: int, ratio: float) -> Iterator[tuple[int, int]]:
    columns = max(1, round(math.sqrt(max(0, num_patches) / ratio)))
    rows = num_patches // columns
    # An image that patches do not divide loses less than one of them.
    if rows > 0 and math.isclose(rows / columns, ratio, rel_tol=1 / columns):
        yield rows, columns


def _largest_grid(
    num_tokens: int, height: int, width: int
) -> Iterator[tuple[int, int]]:
    # Only the image's exact proportions, and no more other tokens than any
    # known transformer has, or every number of tokens would fit some grid.
    step = math.gcd(height, width)
    rows, columns = height // step, width // step
    scale = math.isqrt(num_tokens // (rows * columns))
    rows, columns = rows * scale, columns * scale
    if scale > 0 and num_tokens - rows * columns <= MAX_PREFIX_TOKENS:
        yield rows, columns
