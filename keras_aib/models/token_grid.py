"""Tokens of a vision transformer as a feature map, and back."""

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops


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
    rows_per_column = height / width
    candidates = (
        range(num_tokens) if num_prefix_tokens is None else [num_prefix_tokens]
    )
    expected = _patch_grid(backbone, height, width)
    for prefix in candidates:
        num_patches = num_tokens - prefix
        columns = max(1, round(math.sqrt(num_patches / rows_per_column)))
        rows = num_patches // columns
        fits = rows * columns == num_patches and math.isclose(
            rows / columns, rows_per_column, rel_tol=1.0 / columns
        )
        if fits and (expected is None or _divides(expected, (rows, columns))):
            return TokenGrid(prefix, rows, columns)
    raise ValueError(
        f"Cannot lay {num_tokens} tokens out as a grid for images of {height} "
        f"x {width} pixels (num_prefix_tokens={num_prefix_tokens}). Pass "
        "`num_prefix_tokens`: the number of class, distillation and register "
        "tokens before the patches."
    )


def _patch_grid(
    backbone: keras.Model, height: int, width: int
) -> tuple[int, int] | None:
    patch_size = getattr(backbone, "patch_size", None)
    if patch_size is None:
        return None
    if isinstance(patch_size, int):
        patch_size = (patch_size, patch_size)
    return height // patch_size[0], width // patch_size[1]


def _divides(patches: tuple[int, int], grid: tuple[int, int]) -> bool:
    # Transformers with stages merge 2 x 2 patches from stage to stage.
    ratio = -(-patches[0] // grid[0])
    is_power_of_two = ratio & (ratio - 1) == 0
    return is_power_of_two and grid == tuple(-(-n // ratio) for n in patches)
