"""What turns a latent into predictions."""

from typing import Any

import keras

from keras_aib.utils.checks import is_integer


def make_decoder(
    num_classes: int,
    hidden_units: int,
    activation: Any,
    policy: Any,
    output_dtype: str,
    name: str,
) -> keras.Sequential:
    """The layers from a latent to the predictions.

    Args:
        num_classes: Number of classes.
        hidden_units: Width of the hidden layer; 0 for none, then the latent
            itself goes through the ReLU.
        activation: Activation of the output.
        policy: Dtype policy of all but the output.
        output_dtype: Dtype of the output: softmax and cross-entropy lose too
            much in half precision.
        name: Name of it all.

    Raises:
        ValueError: If `hidden_units` is no integer of 0 or more.
    """
    if not is_integer(hidden_units) or hidden_units < 0:
        raise ValueError(
            "`hidden_units` must be an integer of 0 or more, or None for "
            "`latent_dim`; 0 leaves the hidden layer out. Received: "
            f"hidden_units={hidden_units!r}."
        )
    hidden = (
        keras.layers.Dense(
            hidden_units, activation="relu", dtype=policy, name="hidden"
        )
        if hidden_units
        else keras.layers.ReLU(dtype=policy, name="hidden")
    )
    output = keras.layers.Dense(
        num_classes, activation=activation, dtype=output_dtype, name="logits"
    )
    return keras.Sequential([hidden, output], name=name)
