"""What in a model can be explained."""

import fnmatch

import keras

from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.located_layers import can_have_places
from keras_aib.graph.located_layers import with_places
from keras_aib.graph.traced_layers import trace_layers


def list_layers(
    model: keras.Model,
    pattern: str = "*",
    image_size: tuple[int, int] = (224, 224),
) -> dict[str, tuple[int, ...]]:
    """Paths of the layers that `IBA` and `CoIBA` can take, and their shapes.

    A layer inside another one has a path: the blocks of KerasHub's ViT, DeiT,
    DINOv2 and Swin are `vit_encoder/block_7`, `deit_encoder/block_7`,
    `encoder/block_7` and `stage_2/block_3`, and their first norms
    `.../layer_norm_1`. A layer of a nested model starts with the model's name,
    which may be left out where no other layer has the rest.

    Args:
        model: A functional or sequential model of images.
        pattern: Shell-style wildcards, for example `"*/layer_norm_1"`.
        image_size: Height and width in pixels, where the model leaves them
            open.

    Returns:
        Path to shape of one image's features, in the order in which they are
        computed: `[height, width, channels]` (`[channels, height, width]` in
        a channels_first model), or `[tokens, channels]`. Layers that run more
        than once, and outputs without places, are left out.

    Raises:
        TypeError: If it is no Keras model.
        ValueError: If the model's input is not known.

    Example:

    ```python
    import keras
    from keras_aib import attribution

    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv")(images)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(images, keras.layers.Dense(2)(pooled))
    print(attribution.list_layers(model))  # {"conv": (8, 8, 4)}
    ```
    """
    explained = ExplainedModel(model)
    shape = image_shape(explained, image_size)
    wanted = [
        traced
        for traced in trace_layers(explained, shape)
        if fnmatch.fnmatchcase(traced.place.path, pattern)
        and can_have_places(traced)
    ]
    return {
        traced.place.path: traced.shape[1:]
        for traced in with_places(wanted, explained, shape)
    }


def image_shape(
    explained: ExplainedModel, image_size: tuple[int, int]
) -> tuple[int, ...]:
    """Shape of one image, with open sides taken from `image_size`."""
    shape = list(explained.input_shape[1:])
    first = 1 if explained.channels_first else 0
    for axis, side in enumerate(image_size, start=first):
        if axis < len(shape) and shape[axis] is None:
            shape[axis] = side
    return tuple(side for side in shape if side is not None)
