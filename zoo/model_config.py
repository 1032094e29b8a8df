"""What the zoo knows about one ready-to-fine-tune model."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """One row of the zoo: a classifier with bottleneck attention.

    Everything that `zoo.load` needs to build the model, and everything a
    person wants to know before using it.

    Args:
        name: Name in the registry: architecture, then a dot and the origin of
            the weights where there are any.
        build_backbone: Called with `image_size=(height, width)`; returns the
            untrained backbone.
        build_preprocessor: Returns the layer from pixels 0..255 to what the
            backbone expects; `None` where the backbone takes pixels.
        build_score_network: Called with `num_classes`; returns the attention's
            score network. `None` for a single convolution.
        pretrained: Name for `zoo.load_backbone`, where the backbone's weights
            come from; `None` if there are none.
        copies_weights: Whether the backbone takes the weights of `pretrained`
            and ends in another way, instead of being it.
        preset: Folder in `zoo/weights/` with the whole trained model; `None`
            if there is none.
        image_size: Height and width in pixels that the model is made for.
        num_classes: Number of classes of the trained model, or of the paper's
            dataset; `parameters` is counted for it.
        class_names: Names of the trained model's classes, in their order.
        options: Further arguments of `AIBClassifier`.
        parameters: Trainable parameters, with `num_classes` classes.
        licence: SPDX identifier of the weights' licence; empty without.
        origin: Where the weights come from; empty without.

    Example:

    ```python
    from keras_aib import zoo

    config = zoo.info("aib_efficientnet_lite0.imagenet")
    print(config.parameters, config.attention_layer, config.num_anchors)
    ```
    """

    name: str
    build_backbone: Callable[..., Any] = field(repr=False)
    build_preprocessor: Callable[[], Any] | None = field(
        default=None, repr=False
    )
    build_score_network: Callable[[int], Any] | None = field(
        default=None, repr=False
    )
    pretrained: str | None = None
    copies_weights: bool = field(default=False, repr=False)
    preset: str | None = None
    image_size: tuple[int, int] = (224, 224)
    num_classes: int = 1000
    class_names: tuple[str, ...] = field(default=(), repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    parameters: int = 0
    licence: str = ""
    origin: str = ""

    @property
    def architecture(self) -> str:
        """The part of the name before the dot."""
        return self.name.partition(".")[0]

    @property
    def results(self) -> dict[str, float]:
        """What was measured on CIFAR-10, by name; means over seeds.

        Of the trained model where there is one, else of fine-tuning its
        backbone, in the setting of `zoo/results/fine_tuning.md`. Empty if
        neither was done.
        """
        from keras_aib.zoo.recipes.results import read_rows

        wanted = {
            "experiment": "fine_tuning" if self.preset is None else "shipped",
            "model": self.pretrained if self.preset is None else self.name,
            "variant": "aib" if self.num_anchors is None else "aib_quantized",
        }
        found: dict[str, list[float]] = {}
        for row in read_rows():
            if all(row[name] == value for name, value in wanted.items()):
                found.setdefault(row["metric"], []).append(float(row["value"]))
        return {name: sum(x) / len(x) for name, x in found.items()}

    @property
    def has_weights(self) -> bool:
        """Whether something pretrained can be loaded."""
        return self.pretrained is not None or self.preset is not None

    @property
    def attention_layer(self) -> str | None:
        """Where the attention goes in the backbone."""
        return self.options.get("attention_layer")

    @property
    def num_anchors(self) -> int | None:
        """Number of anchors of the scores; `None` if they are continuous."""
        return self.options.get("num_anchors", 20)
