"""The models of `keras.applications`, by name, with their preprocessing."""

import contextlib
import difflib
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_aib.utils.network import no_endless_wait

PREFIX = "keras.applications/"

# How each family was trained; the longest matching beginning counts.
# "included" families have their preprocessing in the model.
_MODES = {
    "ConvNeXt": "included",
    "DenseNet": "torch",
    "EfficientNet": "included",
    "Inception": "tf",
    "MobileNet": "tf",
    "MobileNetV3": "included",
    "NASNet": "tf",
    "ResNet": "caffe",
    "ResNet101V2": "tf",
    "ResNet152V2": "tf",
    "ResNet50V2": "tf",
    "VGG": "caffe",
    "Xception": "tf",
}


def is_application(name: str) -> bool:
    """Whether `name` asks for a model of `keras.applications`."""
    return name.startswith(PREFIX)


def list_applications() -> list[str]:
    """Names for `zoo.load_backbone`, sorted, whose weights Keras fetches."""
    return sorted(
        PREFIX + name
        for name, value in vars(keras.applications).items()
        if name[0].isupper() and callable(value)
    )


def load_application_backbone(
    name: str, image_size: tuple[int, int] | None = None
) -> keras.Model:
    """The model without its head, with ImageNet weights.

    Args:
        name: One of `list_applications()`.
        image_size: Height and width in pixels; `None` for the model's default,
            which mostly is open.

    Returns:
        A functional model from what `application_preprocessor` gives to
        features.
    """
    shape = None if image_size is None else (*image_size, 3)
    return _build(name, include_top=False, input_shape=shape)


def load_application_classifier(name: str) -> keras.Model:
    """Pixels in 0..255, at the model's own size, to ImageNet logits.

    Args:
        name: One of `list_applications()`.

    Returns:
        A functional model with its preprocessing in the graph.
    """
    model = _build(name, include_top=True, classifier_activation=None)
    pixels = keras.Input(model.input_shape[1:], name="pixels")
    logits = model(application_preprocessor(name)(pixels))
    title = name.removeprefix(PREFIX).lower()
    return keras.Model(pixels, logits, name=f"{title}_imagenet")


def application_preprocessor(name: str) -> keras.Layer:
    """What the family's `preprocess_input` does, as Keras layers.

    Args:
        name: One of `list_applications()`.

    Returns:
        A layer from pixels in 0..255; it changes nothing where the model
        itself preprocesses.
    """
    mode = _mode(name)
    if mode == "included":
        return _rescaling(1.0, 0.0)
    if mode == "tf":
        return _rescaling(1 / 127.5, -1.0)
    if mode == "torch":
        mean = np.array([0.485, 0.456, 0.406])
        stddev = np.array([0.229, 0.224, 0.225])
        scale = (1 / (255 * stddev)).tolist()
        return _rescaling(scale, (-mean / stddev).tolist())
    pixels = keras.Input((None, None, 3), dtype="float32", name="pixels")
    rescaling = _rescaling([1.0, 1.0, 1.0], [-103.939, -116.779, -123.68])
    # Blue, green, red: these weights come from Caffe.
    centred = rescaling(keras.ops.flip(pixels, axis=-1))
    return keras.Model(pixels, centred, name="preprocessor")


def _rescaling(scale: Any, offset: Any) -> keras.layers.Rescaling:
    # float32 keeps pixel values apart that bfloat16 would merge.
    return keras.layers.Rescaling(
        scale, offset, dtype="float32", name="pixel_scaling"
    )


def _mode(name: str) -> str:
    _constructor(name)
    title = name.removeprefix(PREFIX)
    families = [family for family in _MODES if title.startswith(family)]
    if not families:
        raise ValueError(
            f"It is not known how {name!r} preprocesses its images. Build it "
            "with `keras.applications` and pass its own preprocessing."
        )
    return _MODES[max(families, key=len)]


def _constructor(name: str) -> Callable[..., keras.Model]:
    if name not in list_applications():
        near = difflib.get_close_matches(name, list_applications(), cutoff=0.5)
        raise ValueError(
            f"Unknown model: name={name!r}. Did you mean one of {near}? "
            f"`keras.applications` has {list_applications()}."
        )
    return getattr(keras.applications, name.removeprefix(PREFIX))


def _build(name: str, **arguments: Any) -> keras.Model:
    constructor = _constructor(name)
    with _explained(name), no_endless_wait(), warnings.catch_warnings():
        # MobileNets say that they take the weights trained at 224.
        warnings.filterwarnings("ignore", "`input_shape` is undefined")
        return constructor(weights="imagenet", **arguments)


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Say what to do where Keras could not fetch the weights."""
    try:
        yield
    except Exception as error:
        # Keras raises a bare Exception for a failed download, and a
        # ValueError for one that came damaged, but also for wrong arguments.
        damaged = "corrupted" in str(error)
        if isinstance(error, (ImportError, TypeError, ValueError)) and (
            not damaged
        ):
            raise
        title = name.removeprefix(PREFIX)
        raise OSError(
            f"Keras could not fetch the weights of {name!r}: "
            f"{type(error).__name__}: {error}. Check the connection. Without "
            "a network: where there is one, build "
            f"`keras.applications.{title}()` (and with `include_top=False`), "
            "and copy the files from its $KERAS_HOME/models (~/.keras/models) "
            "to the same folder here; or take one of `zoo.list_models()` whose "
            "weights are installed."
        ) from error
