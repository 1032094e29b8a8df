"""Quantization of scalars to a small set of anchor values."""

from typing import Any

from keras import ops

from keras_aib.ops.precision import at_least_float32


def nearest_anchor(scores: Any, anchors: Any) -> Any:
    """Index of the anchor nearest to each score.

    Written without `argmin`: a graph with `argmin` followed by `take` converts
    to LiteRT and ONNX without complaint and then does not load. Minimum,
    comparison and selection are builtin operations everywhere, and in int8
    too: a rounded distance picks at worst the next anchor, while a sum of steps
    over sorted anchors would need sorting and gives another anchor at a tie.

    Args:
        scores: Scalars to quantize, any shape.
        anchors: The `num_anchors` anchor values, shape `(num_anchors,)`.

    Returns:
        An int32 tensor of the shape of `scores`. A score equally far from
        several anchors takes the lowest of their indices. A NaN is near to
        nothing and gets `num_anchors`, an index no anchor has.

    Example:

    ```python
    from keras_aib import ops

    ops.nearest_anchor([0.1, 0.5, 0.9], [0.0, 1.0])  # [0, 0, 1]
    ```
    """
    scores, anchors = at_least_float32(scores, anchors)
    distance = ops.abs(ops.expand_dims(scores, -1) - anchors)
    nearest = ops.equal(distance, ops.min(distance, axis=-1, keepdims=True))
    num_anchors = anchors.shape[0]
    indices = anchor_positions(num_anchors)
    return ops.min(ops.where(nearest, indices, num_anchors), axis=-1)


def select_anchors(anchors: Any, indices: Any) -> Any:
    """Values of the anchors at `indices`, by mask instead of gather.

    The inverse of `nearest_anchor` and exportable for the same reason. The
    gradient with respect to an anchor is the sum over the scores that took it.

    Args:
        anchors: Anchor values, shape `(num_anchors,)`.
        indices: int32 indices, any shape. An index no anchor has selects 0.

    Returns:
        A tensor of the shape of `indices`, float32 or wider.

    Example:

    ```python
    from keras_aib import ops

    ops.select_anchors([0.0, 0.25, 1.0], [2, 1])  # [1.0, 0.25]
    ```
    """
    anchors = at_least_float32(anchors)
    positions = anchor_positions(anchors.shape[0])
    mask = ops.equal(ops.expand_dims(indices, -1), positions)
    return ops.sum(ops.cast(mask, anchors.dtype) * anchors, axis=-1)


def anchor_positions(num_anchors: int) -> Any:
    """0 to `num_anchors - 1`, as a constant of the graph.

    `ops.arange` would be an operation, and one that not every converter knows.
    """
    return ops.convert_to_tensor(list(range(num_anchors)), dtype="int32")


def straight_through(inputs: Any, outputs: Any) -> Any:
    """Value of `outputs`, gradient of `inputs`.

    Lets a gradient pass a step that has none, such as rounding to an anchor:
    the backward pass treats the step as the identity
    ([Bengio et al., 2013](https://arxiv.org/abs/1308.3432)).

    Args:
        inputs: What the gradient should reach.
        outputs: What the forward pass should return, same shape. Receives no
            gradient.

    Returns:
        A tensor equal to `outputs`, bit for bit where `inputs` are finite.

    Example:

    ```python
    import keras
    from keras_aib import ops

    scores = keras.ops.convert_to_tensor([0.2, 0.7])
    ops.straight_through(scores, keras.ops.round(scores))  # [0.0, 1.0]
    ```
    """
    inputs = ops.convert_to_tensor(inputs)
    outputs = ops.convert_to_tensor(outputs)
    return ops.stop_gradient(outputs) + (inputs - ops.stop_gradient(inputs))
