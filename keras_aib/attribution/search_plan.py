"""What a search for a bottleneck needs for images of one size."""

import contextlib
import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.attribution.damping import Damping
from keras_aib.attribution.damping import blurred_damping
from keras_aib.attribution.damping import damping_of
from keras_aib.attribution.feature_statistics import FeatureStatistics
from keras_aib.attribution.fingerprint import are_equal
from keras_aib.attribution.fingerprint import fingerprint_of
from keras_aib.attribution.objective import Objective
from keras_aib.attribution.search_options import SearchOptions
from keras_aib.graph.cut import find_cut
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.interception import intercept
from keras_aib.graph.interception import recorded
from keras_aib.graph.layer_tree import LayerPlace
from keras_aib.graph.located_layers import find_layouts
from keras_aib.graph.traced_layers import TracedLayer
from keras_aib.graph.traced_layers import trace_layers
from keras_aib.utils.compilation import compile_function
from keras_aib.utils.compilation import compile_gradient

# A feature that is there in just more than 1 % of the images, the fewest that
# count as active, lies this many standard deviations from its mean.
FARTHEST_SEEN = 10.0


class SearchPlan:
    """Where the model is cut, how features are laid out, compiled functions.

    Args:
        explained: The model.
        places: Layers to damp, in the order in which they are computed.
        statistics: Of these layers.
        options: How to search.
        images: Images, one at least; their size is that of the plan.
        batch_size: Images at once.

    Attributes:
        placement: Where the map lies on the image; `None` for all of it.

    Raises:
        ValueError: If the layers cannot be damped together, or statistics are
            of features of another shape.
    """

    def __init__(
        self,
        explained: ExplainedModel,
        places: list[LayerPlace],
        statistics: FeatureStatistics,
        options: SearchOptions,
        images: np.ndarray,
        batch_size: int,
    ) -> None:
        self._explained = explained
        self._places = places
        self._options = options
        self._shape = shape = images.shape[1:]
        traced = trace_layers(explained, shape)
        ran = self._check_order(traced)

        def features(batch: np.ndarray) -> list[np.ndarray]:
            tensor = ops.convert_to_tensor(batch, explained.input_dtype)
            return [
                ops.convert_to_numpy(ops.cast(values, "float32"))
                for values in self.forward(tensor)[2]
            ]

        self._cut = find_cut(explained, places[0], traced, shape)
        self.forward = compile_function(self._forward, explained.model)
        self._layouts, self.placement = find_layouts(
            ran,
            explained,
            features,
            images,
            batch_size,
            options.num_prefix_tokens,
        )
        self._check_sizes(statistics)
        self._traced = traced
        self._seen = ops.convert_to_tensor(statistics.seen(places[0].path))
        self._constants = [
            tuple(
                ops.convert_to_tensor(values.astype("float32"))
                for values in (
                    statistics.mean(place.path),
                    statistics.stddev(place.path),
                    statistics.active(place.path),
                )
            )
            for place in places
        ]
        self._steps: dict[Any, Callable[..., Any]] = {}

    def layers_of_other_weights(
        self, statistics: FeatureStatistics
    ) -> list[str]:
        """Layers whose statistics come from weights the model had before."""
        return [
            place.path
            for place in self._places
            if not _are_of_these_weights(statistics, place, self._traced)
        ]

    @property
    def alpha_shape(self) -> tuple[int, ...]:
        """Shape of one image's logits of lambda."""
        layout = self._layouts[0]
        if self._options.per_channel:
            return layout.shape
        return layout.shape_of_places

    def draw(self, draws: keras.random.SeedGenerator) -> list[Any]:
        """Standard normal noise for one step, a tensor per layer."""
        return [
            keras.random.normal(
                (self._options.copies, *layout.shape),
                dtype="float32",
                seed=draws,
            )
            for layout in self._layouts
        ]

    def step(
        self, objective: Objective, alpha: Any, beta: float, *others: Any
    ) -> tuple[Any, Any]:
        """Loss of each image, and the gradient of their sum by `alpha`.

        Args:
            objective: What is to be kept.
            alpha: Logits of lambda.
            beta: Price of information.
            *others: Of a batch: the tensor at the cut, the first layer's
                features, labels, and noise.
        """
        (losses, _), gradient = self._run(objective, alpha, beta, *others)
        return losses, gradient

    def kept(self, objective: Objective, alpha: Any, *others: Any) -> Any:
        """Probability of each image's class with what passes, `[images]`.

        Args:
            objective: What was to be kept.
            alpha: Logits of lambda.
            *others: As for `step`.
        """
        # The same compiled function: another one would take as long again.
        return self._run(objective, alpha, 0.0, *others)[0][1]

    def _run(
        self, objective: Objective, alpha: Any, beta: float, *others: Any
    ) -> tuple[Any, Any]:
        if objective.key not in self._steps:
            self._steps[objective.key] = compile_gradient(
                functools.partial(self._loss, objective), self._explained.model
            )
        price = ops.convert_to_tensor(np.float32(beta))
        return self._steps[objective.key](
            alpha, price, *others, self._constants
        )

    def outside(
        self, alpha: Any, features: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Shares of features, and of bits, unlike those in the statistics.

        Args:
            alpha: Logits of lambda.
            features: Of the first layer.

        Returns:
            Two arrays `[images]`, 0 to 1.
        """
        mean, stddev, _ = self._constants[0]
        features = ops.cast(features, "float32")
        distance = ops.abs(features - mean)
        strange = (distance > FARTHEST_SEEN * stddev) | (
            ops.logical_not(self._seen) & (features != 0)
        )
        strange = ops.cast(strange, "float32")
        information = ops.maximum(
            _information(self._damping(alpha), features, self._constants[0]),
            0.0,
        )
        axes = tuple(range(1, len(features.shape)))
        total = ops.maximum(ops.sum(information, axes), 1e-12)
        of_bits = ops.sum(strange * information, axes) / total
        return (
            ops.convert_to_numpy(ops.mean(strange, axes)),
            ops.convert_to_numpy(of_bits),
        )

    def measure(
        self, alpha: Any, features: list[Any]
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Lambda, and each layer's information in bits, by place.

        Args:
            alpha: Logits of lambda.
            features: Of each layer.

        Returns:
            Lambda; the bits of the first layer's tokens without a place,
            `[images]`; and the bits of each layer. Lambda and bits are
            `[images, rows, columns]`, with channels behind where lambda has
            them.
        """
        per_channel = self._options.per_channel
        damping = self._damping(alpha)
        # It is never negative but for rounding.
        bits = [
            ops.maximum(_information(damping, values, constants), 0.0)
            / math.log(2)
            for constants, values in zip(self._constants, features, strict=True)
        ]
        prefix = self._layouts[0].without_place(bits[0])
        folded = [
            layout.fold(values)
            for layout, values in zip(self._layouts, bits, strict=True)
        ]
        if not per_channel:
            folded = [ops.sum(values, axis=-1) for values in folded]
        passed = self._layouts[0].fold(damping.passed)
        passed = passed if per_channel else passed[..., 0]
        return (
            ops.convert_to_numpy(passed),
            ops.convert_to_numpy(prefix).reshape(len(prefix), -1).sum(axis=1),
            [ops.convert_to_numpy(values) for values in folded],
        )

    def _check_order(self, traced: list[TracedLayer]) -> list[TracedLayer]:
        ran = {x.place.path: (i, x) for i, x in enumerate(traced)}
        paths = [place.path for place in self._places]
        for path in paths:
            if path not in ran:
                raise ValueError(
                    f"Layer {path!r} does not run when the model is called, "
                    "so it says nothing of the decision."
                )
        expected = sorted(set(paths), key=lambda path: ran[path][0])
        if paths != expected:
            raise ValueError(
                "`layers` must be different and in the order in which they "
                f"are computed. Received: {paths}. Expected: {expected}."
            )
        return [ran[path][1] for path in paths]

    def _check_sizes(self, statistics: FeatureStatistics) -> None:
        sizes = {}
        for place, layout in zip(self._places, self._layouts, strict=True):
            received = statistics.mean(place.path).shape
            if received != layout.shape:
                raise ValueError(
                    f"The statistics of layer {place.path!r} are of features "
                    f"{received}, those of images {self._shape} are "
                    f"{layout.shape}. Estimate them on images of this size."
                )
            sizes[place.path] = layout.map_size
        if len({layout.shape_of_places for layout in self._layouts}) > 1:
            raise ValueError(
                "All layers share one lambda, so their maps must have one "
                f"size. Received: {sizes}. Choose layers of one resolution."
            )
        sigma = self._options.smoothing_sigma
        size = self._layouts[0].map_size
        if sigma is not None and round(2 * sigma) >= min(size):
            raise ValueError(
                f"A map of {size} places is too small for a blur that reaches "
                f"{round(2 * sigma)} places. Pass smoothing_sigma=None."
            )

    def _forward(self, images: Any) -> tuple[Any, Any, list[Any]]:
        start: list[Any] = []
        with self._cut.record(start), recorded(self._places) as features:
            outputs = self._explained(images)
        found = [features[place.path] for place in self._places]
        return outputs, (start[0] if start else images), found

    def _damping(self, alpha: Any) -> Damping:
        sigma = self._options.smoothing_sigma
        if sigma is None:
            return damping_of(alpha)
        return blurred_damping(alpha, self._layouts[0], sigma)

    def _loss(
        self,
        objective: Objective,
        alpha: Any,
        beta: Any,
        start: Any,
        first: Any,
        labels: Any,
        noises: list[Any],
        constants: list[Any],
    ) -> tuple[Any, tuple[Any, Any]]:
        damping = self._damping(alpha)
        information = _information(damping, first, constants[0])
        cost = ops.mean(information, tuple(range(1, len(information.shape))))
        start = self._repeat(start)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._cut.replace(start))
            for place, values, noise in zip(
                self._places, constants, noises, strict=True
            ):
                change = functools.partial(_inject, damping, values, noise)
                stack.enter_context(
                    intercept(place.layer, change_output=change)
                )
            if self._cut.layer is not None:
                # What is before the cut is not used: one image is cheap.
                start = ops.zeros(
                    (1, *self._shape), self._explained.input_dtype
                )
            stack.enter_context(objective.prepared_outputs())
            outputs = self._explained(start)
        losses = objective.losses(outputs, self._repeat(labels))
        losses = ops.reshape(losses, (self._options.copies, -1))
        total = ops.mean(losses, axis=0) + beta * cost
        kept = ops.mean(ops.exp(-losses), axis=0)
        return ops.sum(total), (total, kept)

    def _repeat(self, values: Any) -> Any:
        ones = [1] * (len(values.shape) - 1)
        return ops.tile(values, (self._options.copies, *ones))


def _are_of_these_weights(
    statistics: FeatureStatistics, place: LayerPlace, traced: list[TracedLayer]
) -> bool:
    known = statistics.fingerprints.get(place.path)
    return known is None or are_equal(known, fingerprint_of(place, traced))


def _inject(
    damping: Damping, constants: tuple[Any, Any, Any], noise: Any, features: Any
) -> Any:
    mean, stddev, active = constants
    rows, *shape = features.shape
    copies = noise.shape[0]
    split = ops.reshape(features, (copies, rows // copies, *shape))
    # Neurons that are never active pass nothing, not even noise.
    mixed = active * damping.inject(
        ops.cast(split, "float32"), mean, stddev, noise[:, None]
    )
    return ops.cast(ops.reshape(mixed, (rows, *shape)), features.dtype)


def _information(
    damping: Damping, features: Any, constants: tuple[Any, Any, Any]
) -> Any:
    mean, stddev, active = constants
    normalized = (ops.cast(features, "float32") - mean) / stddev
    return active * damping.information(normalized)
