"""Build the zoo's classifiers, with their pretrained weights."""

import os
from pathlib import Path
from typing import Any

import keras

from keras_aib.models import AIBClassifier
from keras_aib.zoo.model_config import ModelConfig
from keras_aib.zoo.pretrained import load_backbone
from keras_aib.zoo.pretrained import standardized_size
from keras_aib.zoo.registry import info


def load(
    name: str,
    num_classes: int | None = None,
    weights: str | os.PathLike | None = "pretrained",
    image_size: int | tuple[int, int] | None = None,
    **options: Any,
) -> AIBClassifier:
    """A classifier with bottleneck attention, ready for `fit`.

    Pixels 0..255 go in, logits come out; preprocessing is in the graph. With
    weights of its own the model can be used as it is; otherwise its backbone
    is pretrained, and attention, latent and decoder are new.

    Args:
        name: One of `list_models("aib_*")`.
        num_classes: Number of classes. `None` for that of the trained model,
            where there is one.
        weights: `"pretrained"`; the path of a `.weights.h5` file that was
            saved from this model; or `None` to start at random.
        image_size: Height and width in pixels; an int means a square. `None`
            for the size that the model is made for.
        **options: Arguments of `AIBClassifier` that replace the zoo's, such as
            `attention_layer`, `num_anchors`, `beta` or `seed`. A model with
            weights of its own takes none.

    Returns:
        An `AIBClassifier`, not compiled.

    Raises:
        ValueError: If the name is unknown or that of a plain network, there
            are no pretrained weights, the number of classes is missing, or
            weights do not fit.
        OSError: If weights cannot be fetched or read.
        ImportError: If KerasHub is needed and not installed.

    Example:

    ```python
    import keras
    from keras_aib import zoo

    model = zoo.load(
        "aib_efficientnet_lite0.imagenet", num_classes=5, image_size=96
    )
    model.compile(
        "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    ```
    """
    config = info(name)
    if not isinstance(config, ModelConfig):
        with_attention = f"aib_{name}"
        raise ValueError(
            f"{name!r} is a plain network without attention. Use "
            f"`zoo.load({with_attention!r}, num_classes=...)` for its "
            f"classifier with attention, or `zoo.load_backbone({name!r})`."
        )
    if weights == "pretrained" and not config.has_weights:
        raise ValueError(
            f"{name!r} has no pretrained weights. Pass weights=None to start "
            "at random, or the path of a `.weights.h5` file of your own."
        )
    if weights == "pretrained" and config.preset is not None:
        return _load_trained(config, num_classes, image_size, options)
    model = _build(
        config, num_classes, weights == "pretrained", image_size, options
    )
    if weights not in ("pretrained", None):
        _load_own_weights(model, Path(weights))
    return model


def _load_trained(
    config: ModelConfig,
    num_classes: int | None,
    image_size: int | tuple[int, int] | None,
    options: dict[str, Any],
) -> AIBClassifier:
    if options:
        raise ValueError(
            f"{config.name!r} is a trained model, in which {sorted(options)} "
            "are settled. Leave them out, or start from the pretrained "
            f"backbone: {config.pretrained!r}."
        )
    model = AIBClassifier.from_preset(config.name, num_classes=num_classes)
    received = standardized_size(image_size)
    expected = model.input_shape[1:3]
    if received is not None and expected not in ((None, None), received):
        raise ValueError(
            f"{config.name!r} takes images of {expected} pixels. Received: "
            f"image_size={image_size}. Leave it out."
        )
    return model


def _build(
    config: ModelConfig,
    num_classes: int | None,
    pretrained: bool,
    image_size: int | tuple[int, int] | None,
    options: dict[str, Any],
) -> AIBClassifier:
    if num_classes is None:
        raise ValueError(
            f"`num_classes` is missing: the classifier of {config.name!r} is "
            "yet to be trained. Pass the number of your classes."
        )
    size = standardized_size(image_size) or config.image_size
    backbone = None
    if pretrained:
        backbone = load_backbone(str(config.pretrained), size)
    if backbone is None or config.copies_weights:
        source, backbone = backbone, config.build_backbone(image_size=size)
        if source is not None:
            backbone.set_weights(source.get_weights())
    arguments = {**config.options, **options}
    if config.build_preprocessor is not None:
        arguments.setdefault("preprocessor", config.build_preprocessor())
    if config.build_score_network is not None:
        arguments.setdefault(
            "score_network", config.build_score_network(num_classes)
        )
    arguments.setdefault("name", config.architecture)
    return AIBClassifier(backbone, num_classes, **arguments)


def _load_own_weights(model: keras.Model, path: Path) -> None:
    if not path.name.endswith(".weights.h5"):
        raise ValueError(
            "`weights` must be 'pretrained', None, or the path of a "
            f"`.weights.h5` file. Received: weights={str(path)!r}. A `.keras` "
            "file is a whole model: `keras.models.load_model`."
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file {str(path)!r}.")
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"The weights in {str(path)!r} do not fit {model.name!r}: {error} "
            "Build the model with the options that it was saved with "
            "(num_classes, num_anchors, latent_dim), or copy the file again."
        ) from error
