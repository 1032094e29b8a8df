"""Load what is pretrained: a backbone, a classifier, their preprocessing."""

from typing import Any

import keras
import numpy as np

from keras_aib.utils.checks import ImageSize
from keras_aib.utils.checks import check_image_size
from keras_aib.zoo.pretrained_config import PretrainedConfig
from keras_aib.zoo.registry import BACKBONES
from keras_aib.zoo.registry import MODELS
from keras_aib.zoo.registry import unknown_name
from keras_aib.zoo.sources import keras_applications
from keras_aib.zoo.sources import keras_hub_presets
from keras_aib.zoo.weight_files import backbone_weights
from keras_aib.zoo.weight_files import checked_weights


def load_backbone(
    name: str, image_size: int | tuple[int, int] | None = None
) -> Any:
    """A plain pretrained backbone, ready for `AIBClassifier`.

    The zoo's own weights are installed; the largest are fetched at first use,
    as `info(name).source_url` says. Other names go to Keras and KerasHub.

    Args:
        name: One of `list_models()`; or `"keras.applications/ResNet50"`, with
            the name of any model there; else a KerasHub preset: a built-in
            name (`"resnet_50_imagenet"`), a handle (`"hf://..."`,
            `"kaggle://..."`) or the path of a preset folder.
        image_size: Fixes the input to this height and width in pixels; an int
            means a square. `None` leaves it as the backbone has it, which is
            open for the zoo's own.

    Returns:
        A functional `keras.Model`, mostly a `keras_hub.models.Backbone`. It
        expects images that went through `preprocessor(name)`.

    Raises:
        ValueError: If the name is unknown, the weights are altered, the preset
            folder is damaged, or Keras is set to channels_first.
        OSError: If a weight file is missing, or a preset cannot be fetched.
        ImportError: If KerasHub is not installed.

    Example:

    ```python
    from keras_aib import zoo

    backbone = zoo.load_backbone("efficientnet_lite0.imagenet")
    print({level: x.shape for level, x in backbone.pyramid_outputs.items()})
    ```
    """
    size = standardized_size(image_size)
    config = _find(name)
    if keras_applications.is_application(name):
        return keras_applications.load_application_backbone(name, size)
    if config is None:
        return keras_hub_presets.load_preset_backbone(name, size)
    height, width = size or (None, None)
    backbone = config.build_backbone((height, width, 3), config.architecture)
    backbone.load_weights(backbone_weights(config))
    return backbone


def load_classifier(name: str) -> keras.Model:
    """A plain pretrained classifier: pixels in, logits out.

    It is what a bottleneck is compared with, and what attribution explains.

    Args:
        name: As for `load_backbone`.

    Returns:
        A functional `keras.Model` from pixels in 0..255 (`[B, H, W, 3]`, uint8
        or float) to logits, with the preprocessing in the graph. The zoo's own
        take any size and do not resize; those of `keras.applications` have
        their own size; KerasHub's resize as the preset says.

    Raises:
        ValueError: As for `load_backbone`; also if there is no classification
            head, or a preset does not say how it preprocesses.
        OSError: If a weight file is missing, or a preset cannot be fetched.
        ImportError: If KerasHub is not installed.

    Example:

    ```python
    import numpy as np
    from keras_aib import zoo

    model = zoo.load_classifier("efficientnet_lite0.imagenet")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3))
    print(model.predict(pixels.astype("uint8")).shape)  # (2, 1000)
    ```
    """
    config = _find(name)
    if keras_applications.is_application(name):
        return keras_applications.load_application_classifier(name)
    if config is None:
        return keras_hub_presets.load_preset_classifier(name)
    if config.head_weights is None or config.num_classes is None:
        with_head = [row.name for row in BACKBONES.values() if row.head_weights]
        raise ValueError(
            f"{name!r} is a backbone: {config.origin} holds no classification "
            f"head. Use `zoo.load_backbone({name!r})`, or a classifier of "
            f"{with_head}."
        )
    backbone = load_backbone(name)
    head = build_head(backbone.output.shape[-1], config.num_classes)
    head.load_weights(checked_weights(config.head_weights, config.head_sha256))
    return assemble_classifier(config, backbone, head)


def preprocessor(name: str) -> keras.Layer:
    """The layer that turns pixels in 0..255 into what the backbone expects.

    Passed to a model as its `preprocessor`, it travels with it into saved and
    exported files.

    Args:
        name: As for `load_backbone`.

    Returns:
        For the zoo's own a `keras.layers.Rescaling`; for `keras.applications`
        what the family's `preprocess_input` does; for a KerasHub preset its
        rescaling, after its resizing where it has one.

    Raises:
        ValueError: As for `load_backbone`; also if the preset does not say how
            it preprocesses.
        OSError: If a preset cannot be fetched.

    Example:

    ```python
    from keras_aib import zoo

    print(zoo.preprocessor("efficientnet_lite0.imagenet").get_config())
    ```
    """
    config = _find(name)
    if keras_applications.is_application(name):
        return keras_applications.application_preprocessor(name)
    if config is None:
        return keras_hub_presets.load_preset_preprocessor(name)
    return build_rescaling(config)


def build_rescaling(config: PretrainedConfig) -> keras.layers.Rescaling:
    """From pixels in 0..255 to what the row's backbone expects."""
    mean = np.asarray(config.pixel_mean)
    stddev = np.asarray(config.pixel_stddev)
    # float32 keeps pixel values apart that bfloat16 would merge.
    return keras.layers.Rescaling(
        (1 / stddev).tolist(),
        offset=(-mean / stddev).tolist(),
        dtype="float32",
        name="rescaling",
    )


def build_head(num_features: int, num_classes: int) -> keras.Sequential:
    """The untrained classification head, as a model that has its own file."""
    return keras.Sequential(
        [
            keras.Input((num_features,)),
            keras.layers.Dense(
                num_classes, dtype="float32", name="predictions"
            ),
        ],
        name="head",
    )


def assemble_classifier(
    config: PretrainedConfig, backbone: Any, head: keras.Sequential
) -> keras.Model:
    """Pixels, preprocessing, backbone, pooling, logits.

    A feature map is averaged; of tokens the first is taken, the class token.
    """
    pixels = keras.Input(backbone.input.shape[1:], name="pixels")
    features = backbone(build_rescaling(config)(pixels))
    if len(features.shape) == 3:
        pooled = features[:, 0]
    else:
        pooled = keras.layers.GlobalAveragePooling2D(
            dtype="float32", name="pooling"
        )(features)
    logits = head.get_layer("predictions")(pooled)
    return keras.Model(pixels, logits, name=config.name.replace(".", "_"))


def _find(name: str) -> PretrainedConfig | None:
    """The zoo's row, or `None` where KerasHub is to be asked."""
    if not isinstance(name, str):
        raise TypeError(
            f"`name` must be a string. Received: name={name!r} "
            f"(of type {type(name).__name__})"
        )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Pretrained backbones are built for channels_last images, but "
            "Keras is set to channels_first, which KerasHub does not carry "
            "through loading and saving. Call "
            "`keras.config.set_image_data_format('channels_last')` first."
        )
    if name in BACKBONES:
        return BACKBONES[name]
    if name in MODELS:
        raise ValueError(
            f"{name!r} is a classifier with attention: use `zoo.load`. The "
            f"plain network behind it is {MODELS[name].pretrained!r}."
        )
    if keras_applications.is_application(name):
        return None
    if keras_hub_presets.is_preset(name):
        return None
    hub = keras_hub_presets.import_keras_hub()
    raise unknown_name(name, hub.models.Backbone.presets)


def standardized_size(
    image_size: ImageSize | None,
) -> tuple[int, int] | None:
    """Height and width in pixels; `None` stays `None`.

    Raises:
        ValueError: If it is no positive integer, or pair of them.
    """
    return None if image_size is None else check_image_size(image_size)
