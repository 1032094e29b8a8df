"""Explanations to compare with: Grad-CAM, integrated gradients, random maps.

The first two are those of xplique 2.0.2 (MIT), which runs with Keras 3 on
TensorFlow, also for a layer inside a nested backbone. It knows no transformers:
the tokens are folded to their grid here. tf-keras-vis 0.8.7 reaches no layer of
a nested backbone, because it builds a model from the outer input to it.
"""

import importlib
from typing import Any

import keras
import numpy as np

from keras_aib.graph.layer_tree import find_layer
from keras_aib.graph.token_grid import infer_token_grid


def grad_cam(
    model: keras.Model,
    images: Any,
    targets: Any,
    layer: str,
    batch_size: int = 32,
) -> np.ndarray:
    """Grad-CAM (Selvaraju et al., ICCV 2017, arXiv 1610.02391) by xplique.

    Of tokens only the patches count. After the last attention the class token
    alone leads to the classes and the patches have no gradient, so for a
    transformer name the first norm of its last block.

    Args:
        model: From pixels to logits.
        images: `[N, H, W, 3]`.
        targets: Classes, integers `[N]`.
        layer: Path of the layer, as `attribution.list_layers` shows it.
        batch_size: Images at once.

    Returns:
        float32 `[N, H, W]`; what the bicubic resizing makes negative stays.

    Raises:
        ImportError: If xplique is not installed.
        ValueError: If Keras does not run on TensorFlow.
    """
    images = np.asarray(images, "float32")
    methods = _xplique_methods()
    place = find_layer(model, layer)

    class FoldedGradCAM(methods.GradCAM):  # type: ignore[misc, name-defined]
        """Grad-CAM that sees tokens as the feature map of their patches."""

        def _gradient(self, inputs: Any, labels: Any) -> tuple[Any, ...]:
            return tuple(map(fold, super()._gradient(inputs, labels)))

    def fold(features: Any) -> Any:
        if len(features.shape) == 4:
            return features
        tokens, size = features.shape[1], images.shape[1:3]
        return infer_token_grid(place.model, tokens, size).fold(features)

    explainer = FoldedGradCAM(model, batch_size=batch_size, conv_layer=-1)
    # The constructor looks for a layer in the outermost model only.
    explainer.conv_layer = place.layer
    maps = explainer(images, _one_hot(model, targets))
    return np.asarray(maps)[..., 0]


def integrated_gradients(
    model: keras.Model,
    images: Any,
    targets: Any,
    steps: int = 50,
    batch_size: int = 32,
) -> np.ndarray:
    """Integrated gradients (Sundararajan et al., 2017) by xplique, from black.

    Args:
        model: From pixels to logits.
        images: `[N, H, W, 3]`.
        targets: Classes, integers `[N]`.
        steps: Points on the way from black to the image.
        batch_size: Points at once.

    Returns:
        float32 `[N, H, W]`: the mean over colours, negative where a pixel
        speaks against the target. Sum times 3 is the difference of the logits.

    Raises:
        ImportError: If xplique is not installed.
        ValueError: If Keras does not run on TensorFlow.
    """
    explainer = _xplique_methods().IntegratedGradients(
        model, batch_size=batch_size, steps=steps
    )
    images = np.asarray(images, "float32")
    maps = explainer(images, _one_hot(model, targets))
    return np.asarray(maps)[..., 0]


def random_maps(images: Any, seed: int = 0) -> np.ndarray:
    """Uniform noise: what every explanation must beat.

    Args:
        images: `[N, H, W, 3]`.
        seed: Of the noise.
    """
    generator = np.random.default_rng(seed)
    return generator.random(np.shape(images)[:3], "float32")


def _one_hot(model: keras.Model, targets: Any) -> np.ndarray:
    return np.eye(model.output_shape[-1], dtype="float32")[np.asarray(targets)]


def _xplique_methods() -> Any:
    backend = keras.config.backend()
    if backend != "tensorflow":
        raise ValueError(
            "xplique computes gradients with TensorFlow. Received: the Keras "
            f"backend {backend!r}. Set KERAS_BACKEND=tensorflow."
        )
    try:
        return importlib.import_module("xplique.attributions")
    except ImportError as error:
        raise ImportError(
            "Grad-CAM and integrated gradients need xplique, whose pins "
            "exclude current versions of TensorFlow and scipy, with which it "
            "runs: `pip install --no-deps xplique==2.0.2 "
            "tensorflow-probability tf-keras decorator deprecated einops "
            "opencv-python-headless`."
        ) from error
