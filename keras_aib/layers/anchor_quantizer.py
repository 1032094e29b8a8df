"""Quantization of attention scores to learnable anchors."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.layers.rated_layer import RatedLayer
from keras_aib.layers.rated_layer import check_weight
from keras_aib.ops import nearest_anchor
from keras_aib.ops import select_anchors
from keras_aib.ops import straight_through
from keras_aib.ops.quantization import anchor_positions
from keras_aib.utils.checks import is_integer


@keras.saving.register_keras_serializable(package="keras_aib")
class AnchorQuantizer(RatedLayer):
    """Replaces every score by the nearest of a few learnable anchor values.

    A score that can only take `num_anchors` values carries at most
    `log2(num_anchors)` bits, so the attention map cannot smuggle content past
    the bottleneck. The forward value is the anchor; the gradient goes straight
    through to the score. Two losses keep them together: the codebook loss
    moves the anchors to the scores, the commitment loss the scores to the
    anchors. From
    [Lai et al., 2021](https://arxiv.org/abs/2108.03418).

    The anchor is chosen by minimum, comparison and mask, never by `argmin`
    and gather, because only the former survives conversion to LiteRT and ONNX.

    Args:
        num_anchors: Number of anchor values, 2 or more. They start evenly
            spaced over [0, 1].
        codebook_weight: Weight of `mean((stop(scores) - anchor)^2)`.
        commitment_weight: Weight of `mean((scores - stop(anchor))^2)`.
        anchor_gradient_scale: Factor on the anchors' gradient. Under plain or
            momentum SGD this is the reference's learning rate of 1e-4 times
            the base rate. Adam and its kin divide the size of a gradient out
            again, so there the anchors move at the base rate; set
            `trainable=False` to hold them still.

    Call arguments:
        scores: Attention scores, any shape.

    Input shape:
        Any.

    Output shape:
        The shape of the input. dtype float32 (or float64), also under a mixed
        policy.

    Raises:
        ValueError: If `num_anchors` is below 2 or a weight is negative.

    Example:

    ```python
    import numpy as np
    from keras_aib import layers

    quantizer = layers.AnchorQuantizer(num_anchors=5)
    scores = np.random.uniform(size=(2, 4, 4, 1))
    quantized = quantizer(scores)  # values in {0, 0.25, 0.5, 0.75, 1}
    codes = quantizer.codes(scores)  # int32 in 0..4
    ```
    """

    rate_names = ("anchors_used", "anchor_distance")

    def __init__(
        self,
        num_anchors: int = 20,
        codebook_weight: float = 0.4,
        commitment_weight: float = 0.1,
        anchor_gradient_scale: float = 1e-4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not is_integer(num_anchors) or num_anchors < 2:
            raise ValueError(
                "`num_anchors` must be an integer of 2 or more: with fewer the "
                "map is constant and attends to nothing. Use "
                "num_anchors=None in BottleneckAttention for continuous "
                f"scores. Received: num_anchors={num_anchors!r}."
            )
        self.num_anchors = int(num_anchors)
        self.codebook_weight = check_weight("codebook_weight", codebook_weight)
        self.commitment_weight = check_weight(
            "commitment_weight", commitment_weight
        )
        self.anchor_gradient_scale = check_weight(
            "anchor_gradient_scale", anchor_gradient_scale
        )
        self.anchors = self.add_weight(
            shape=(self.num_anchors,),
            initializer=_evenly_spaced,
            autocast=False,
            name="anchors",
        )

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, scores: Any) -> Any:
        scores = self.as_rate(scores)
        anchors = self.as_rate(self.anchors)
        scale = self.anchor_gradient_scale
        anchors = scale * anchors + (1.0 - scale) * ops.stop_gradient(anchors)
        indices = nearest_anchor(scores, anchors)
        nearest = select_anchors(anchors, indices)
        self._add_losses(scores, nearest)
        self._report_use(scores, nearest, indices)
        return straight_through(scores, nearest)

    def codes(self, scores: Any) -> Any:
        """Index of the anchor each score takes.

        Args:
            scores: Attention scores, any shape.

        Returns:
            An int32 tensor of the same shape, values `0..num_anchors - 1`.
        """
        return nearest_anchor(self.as_rate(scores), self.anchors)

    def _add_losses(self, scores: Any, nearest: Any) -> None:
        codebook = ops.mean(ops.square(ops.stop_gradient(scores) - nearest))
        commitment = ops.mean(ops.square(scores - ops.stop_gradient(nearest)))
        self.add_loss(self.codebook_weight * codebook)
        self.add_loss(self.commitment_weight * commitment)

    def _report_use(self, scores: Any, nearest: Any, indices: Any) -> None:
        anchor_indices = anchor_positions(self.num_anchors)
        taken = ops.any(
            ops.equal(ops.reshape(indices, (-1, 1)), anchor_indices), axis=0
        )
        self.report(
            anchors_used=ops.mean(ops.cast(taken, "float32")),
            anchor_distance=ops.mean(ops.abs(scores - nearest)),
        )

    def compute_output_spec(self, scores: Any) -> keras.KerasTensor:
        return keras.KerasTensor(scores.shape, dtype=self.rate_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_anchors": self.num_anchors,
            "codebook_weight": self.codebook_weight,
            "commitment_weight": self.commitment_weight,
            "anchor_gradient_scale": self.anchor_gradient_scale,
        }


def _evenly_spaced(shape: tuple[int, ...], dtype: Any = None) -> Any:
    values = np.linspace(0.0, 1.0, shape[0])
    return ops.convert_to_tensor(values, dtype=dtype)
