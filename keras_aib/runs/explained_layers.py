"""Where IBA and CoIBA restrict a model if the user does not say."""

import keras

from keras_aib.attribution import list_layers
from keras_aib.graph.layer_tree import find_layer

LEVEL = "P4"
STRIDE = 16
FEWEST_PLACES = 4
FIRST_NORM = "/layer_norm_1"


def choose_layers(
    model: keras.Model, method: str, image_size: tuple[int, int]
) -> list[str]:
    """Layers to explain a model at, by one rule for every model.

    In a transformer the stack of the most blocks counts, without its first
    third: for CoIBA the outputs of the blocks' first norms, as in its paper;
    for IBA the output of the first of these blocks, through which all must
    pass.

    In any other model it is one layer: that of level P4, if the backbone has
    levels; else the last one at a sixteenth of the image's side, or at the
    coarsest resolution before that; but, where there is one, with at least
    4 x 4 places.

    Args:
        model: The model.
        method: `"iba"` or `"coiba"`.
        image_size: Height and width in pixels.

    Raises:
        ValueError: If the model has no layer that can be explained.

    Example:

    ```python
    from keras_aib import zoo
    from keras_aib.runs.explained_layers import choose_layers

    model = zoo.load_classifier("efficientnet_lite0.imagenet")
    print(choose_layers(model, "iba", (224, 224)))  # the last block at 14 x 14
    ```
    """
    shapes = list_layers(model, image_size=image_size)
    blocks = _transformer_blocks(shapes)
    if blocks:
        later = blocks[len(blocks) // 3 :]
        if method == "iba":
            return later[:1]
        return [f"{block}{FIRST_NORM}" for block in later]
    try:
        level = find_layer(model, LEVEL).path
    except ValueError:
        level = ""
    if level in shapes:
        return [level]
    return [_last_at_stride(model, shapes, image_size)]


def _transformer_blocks(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """Paths of the blocks of the longest stack, in their order."""
    stacks: dict[str, list[str]] = {}
    for path in shapes:
        block = path.removesuffix(FIRST_NORM)
        stack, _, name = block.rpartition("/")
        if path != block and block in shapes and name.startswith("block_"):
            stacks.setdefault(stack, []).append(block)
    return max(stacks.values(), key=len, default=[])


def _last_at_stride(
    model: keras.Model,
    shapes: dict[str, tuple[int, ...]],
    image_size: tuple[int, int],
) -> str:
    channels_first = keras.config.image_data_format() == "channels_first"
    rows = {
        path: shape[1] if channels_first else shape[0]
        for path, shape in shapes.items()
        if len(shape) == 3
    }
    if not rows:
        raise ValueError(
            f"{model.name!r} has no layer with the places of a feature map "
            "that would be the one to explain. Name one with `--layer`; "
            f"`--list-layers` shows what there is: {list(shapes)[-5:]}."
        )
    finest = max(rows.values())
    least = min(max(FEWEST_PLACES, -(-image_size[0] // STRIDE)), finest)
    chosen = min(n for n in rows.values() if n >= least)
    return [path for path, n in rows.items() if n == chosen][-1]
