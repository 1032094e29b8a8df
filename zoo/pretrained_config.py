"""What the zoo knows about one set of pretrained weights."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PretrainedConfig:
    """One row of the zoo: an architecture and where its weights come from.

    A model is only reproducible with its preprocessing, origin and licence, so
    they travel with the weights instead of living in a README.

    Args:
        name: Name in the registry: architecture, dot, origin of the weights.
        build_backbone: Called with `(image_shape, name)`; returns the untrained
            backbone whose weights `backbone_weights` holds.
        backbone_weights: File in `zoo/weights/`, in Keras's weights format.
        backbone_sha256: Checksum of that file, compared at every load.
        head_weights: File in `zoo/weights/` with the classification head.
        head_sha256: Checksum of that file.
        image_size: Height and width in pixels that the weights were trained at.
        pixel_mean: Subtracted from pixels in 0..255.
        pixel_stddev: Divides what is left.
        num_classes: Outputs of the classification head.
        parameters: Trainable parameters, head included.
        licence: SPDX identifier of the weights' licence.
        origin: The package that the weights were converted from.
        url: Where that package is published.

    Example:

    ```python
    from keras_aib import zoo

    config = zoo.info("efficientnet_lite0.imagenet")
    print(config.parameters, config.licence, config.origin)
    ```
    """

    name: str
    build_backbone: Callable[..., Any] = field(repr=False)
    backbone_weights: str
    backbone_sha256: str
    head_weights: str
    head_sha256: str
    image_size: tuple[int, int]
    pixel_mean: float
    pixel_stddev: float
    num_classes: int
    parameters: int
    licence: str
    origin: str
    url: str

    @property
    def architecture(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]
