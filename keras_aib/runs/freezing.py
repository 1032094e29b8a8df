"""Which part of a model is trained."""

import keras

from keras_aib.graph.retrace import as_functional
from keras_aib.graph.retrace import find_insertion_point
from keras_aib.models import AIBClassifier

TRAINABLE = ("all", "tail", "head")


def freeze(model: AIBClassifier, trainable: str = "tail") -> None:
    """Choose how much of the backbone is trained.

    What lies before the attention gains least from training and costs most:
    frozen, it needs no gradients. Attention, latent and decoder are always
    trained. Compile the model afterwards.

    Args:
        model: The model.
        trainable: `"all"`, `"tail"`: the layers that follow the attended one,
            or `"head"`: no layer of the backbone.

    Raises:
        ValueError: If `trainable` is something else.

    Example:

    ```python
    from keras_aib import zoo
    from keras_aib.runs.freezing import freeze

    model = zoo.load("aib_efficientnet_lite0.imagenet", num_classes=3)
    freeze(model, "head")
    ```
    """
    if trainable not in TRAINABLE:
        raise ValueError(
            f"`trainable` must be one of {TRAINABLE}. Received: "
            f"trainable={trainable!r}"
        )
    backbone = as_functional(model.backbone)
    frozen = [] if trainable == "all" else backbone.layers
    if trainable == "tail" and model.attention_layer is not None:
        point = find_insertion_point(backbone, model.attention_layer)
        frozen = keras.Model(backbone.inputs, point.tensor).layers
    # A flag left on the whole backbone would be set on its layers on reload.
    model.backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = not any(layer is other for other in frozen)
