"""What the zoo knows about one set of pretrained weights."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
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
        backbone_weights: File in Keras's weights format: in `zoo/weights/`, or
            in the cache where `convert` makes it.
        backbone_sha256: Checksum of that file, compared at every load; where
            `convert` makes it, of the arrays in it (`arrays_sha256`).
        image_size: Height and width in pixels that the weights were trained at.
        pixel_mean: Subtracted from pixels in 0..255; one, or one a channel.
        pixel_stddev: Divides what is left; one, or one a channel.
        parameters: Trainable parameters, head included.
        licence: SPDX identifier of the weights' licence.
        origin: The package that the weights were converted from, and its
            version.
        url: Where that package is published.
        head_weights: File in `zoo/weights/` with the classification head;
            `None` if there is only a backbone.
        head_sha256: Checksum of that file.
        num_classes: Outputs of the classification head; `None` without one.
        convert: Called with the path of the source archive and the path of
            the weight file to write, where the weights are too large to be
            installed. `None` if they are installed.
        source_url: Where the archive for `convert` is fetched at first use.
        source_sha256: Checksum of the archive.
        source_bytes: Size of the archive.

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
    image_size: tuple[int, int]
    pixel_mean: float | tuple[float, float, float]
    pixel_stddev: float | tuple[float, float, float]
    parameters: int
    licence: str
    origin: str
    url: str
    head_weights: str | None = None
    head_sha256: str = ""
    num_classes: int | None = None
    convert: Callable[[Path, Path], None] | None = field(
        default=None, repr=False
    )
    source_url: str = ""
    source_sha256: str = ""
    source_bytes: int = 0

    @property
    def architecture(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]
