"""Find, for each image, what may be lost without losing the decision."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.attribution.attribution_result import AttributionResult
from keras_aib.attribution.doubts import PixelRanges
from keras_aib.attribution.doubts import are_out_of_range
from keras_aib.attribution.doubts import doubts_of
from keras_aib.attribution.doubts import in_words
from keras_aib.attribution.feature_statistics import FeatureStatistics
from keras_aib.attribution.objective import Objective
from keras_aib.attribution.objective import Targets
from keras_aib.attribution.search_options import SearchOptions
from keras_aib.attribution.search_plan import SearchPlan
from keras_aib.graph.explained_model import ExplainedModel
from keras_aib.graph.feature_layout import resize_maps
from keras_aib.graph.layer_tree import find_layer
from keras_aib.graph.placement import Placement
from keras_aib.utils.checks import check_images
from keras_aib.utils.checks import check_positive_integer
from keras_aib.utils.image_batches import ImageBatches
from keras_aib.utils.image_batches import fill_up

INITIAL_ALPHA = 5.0
# Of alpha: less and less of the image passes.
MOSTLY_NOISE = (-4.0, -8.0, -12.0)
FEW_IMAGES = 1000


class BottleneckSearch:
    """Optimizes the damping of features, image by image, in batches.

    Args:
        model: The model to explain.
        layers: Layers to damp, in the order in which they are computed.
        statistics: Of these layers.
        method: Name for the result.
        options: How to search.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If a layer does not exist, or has no statistics.
    """

    def __init__(
        self,
        model: keras.Model,
        layers: Sequence[str],
        statistics: FeatureStatistics,
        method: str,
        options: SearchOptions,
    ) -> None:
        options.check()
        if not isinstance(statistics, FeatureStatistics):
            raise TypeError(
                "`statistics` must come from `keras_aib.attribution."
                "estimate_statistics`, or be loaded with `FeatureStatistics."
                f"load`. Received: {statistics!r} of type "
                f"{type(statistics).__name__}."
            )
        self._explained = ExplainedModel(model)
        model = self._explained.model
        self._places = [find_layer(model, name) for name in layers]
        for place in self._places:
            statistics.stddev(place.path)
        if statistics.count < FEW_IMAGES:
            warnings.warn(
                f"The statistics are of {statistics.count} images; below "
                f"{FEW_IMAGES} the maps depend on which these were. IBA's "
                "authors use 10,000.",
                stacklevel=3,
            )
        self._statistics = statistics
        self._method = method
        self._options = options
        self._plans: dict[tuple[int, ...], SearchPlan] = {}

    def run(
        self, images: Any, targets: Targets, batch_size: int, verbose: int
    ) -> AttributionResult:
        """Explain images; the arguments are those of `IBA` when called."""
        check_positive_integer("batch_size", batch_size)
        explained = self._explained
        # Keras runs models of a fixed batch size with any other.
        shape = (None, *explained.input_shape[1:])
        images = _in_memory(images, len(shape))
        check_images(images, shape, 1 if explained.channels_first else -1)
        if not len(images):
            raise ValueError("`images` is empty. Pass one image at least.")
        objective = Objective(
            targets, len(images), explained.model, self._options.output_kind
        )
        plan = self._plan(
            images.shape[1:], images, min(batch_size, len(images))
        )
        size = min(batch_size, len(images))
        starts = range(0, len(images), size)
        progress = keras.utils.Progbar(
            len(starts), verbose=verbose, unit_name="batch"
        )
        parts = []
        for start in starts:
            batch = images[start : start + size]
            # Compiled for one size: the last batch is filled up.
            filled = fill_up(batch, size)
            part = self._explain(plan, filled, objective, start)
            parts.append([values[: len(batch)] for values in part])
            progress.add(1)
        found = [np.concatenate(x) for x in zip(*parts, strict=True)]
        damping, prefix, losses, labels, *found = found
        probability, kept, outside, outside_bits, *capacities = found
        result = AttributionResult(
            bits=self._bits(capacities[0], images.shape, plan.placement),
            prefix_bits=prefix,
            damping=damping,
            capacity={
                place.path: values
                for place, values in zip(self._places, capacities, strict=True)
            },
            loss_history=losses,
            targets=None if objective.function is not None else labels,
            method=self._method,
            options={
                **vars(self._options),
                "statistics_count": self._statistics.count,
            },
            probability=probability,
            kept_probability=kept,
            outside_statistics=outside,
        )
        known = objective.function is None
        stale = plan.layers_of_other_weights(self._statistics)
        doubts = doubts_of(
            result,
            stale,
            objective.chance if known else None,
            outside_bits,
            self._ranges(images),
        )
        for doubt in doubts:
            # The caller of IBA or CoIBA.
            warnings.warn(doubt, stacklevel=3)
        return result

    def _plan(
        self,
        shape: tuple[int, ...],
        images: np.ndarray | None = None,
        batch_size: int = 1,
    ) -> SearchPlan:
        if shape not in self._plans:
            self._plans[shape] = SearchPlan(
                self._explained,
                self._places,
                self._statistics,
                self._options,
                _noise(shape) if images is None else images,
                batch_size,
            )
        return self._plans[shape]

    def _explain(
        self,
        plan: SearchPlan,
        images: np.ndarray,
        objective: Objective,
        start: int,
    ) -> list[np.ndarray]:
        """Of a batch: lambda, bits without a place, losses, labels, their
        probability, that kept, shares outside of features and of bits, and
        bits by layer."""
        outputs, cut, features = plan.forward(
            ops.convert_to_tensor(images, self._explained.input_dtype)
        )
        self._check_finite(features)
        labels, probability = objective.labels_of(outputs, start)
        batch = (cut, features[0], ops.convert_to_tensor(labels))
        alpha = keras.Variable(
            np.full((len(images), *plan.alpha_shape), INITIAL_ALPHA, "float32"),
            name="alpha",
        )
        if start == 0:
            self._check_gradient(plan, objective, alpha, batch, images)
        optimizer = keras.optimizers.Adam(
            self._options.learning_rate, epsilon=1e-8
        )
        optimizer.build([alpha])
        # The same draws for every image, so that neither the batch nor the
        # other images in it change what is found.
        draws = keras.random.SeedGenerator(self._options.seed)
        history = []
        for _ in range(self._options.steps):
            losses, gradient = plan.step(
                objective,
                # A tensor: for a variable TensorFlow would trace once more.
                ops.convert_to_tensor(alpha),
                self._options.beta,
                *batch,
                plan.draw(draws),
            )
            optimizer.apply([gradient])
            history.append(ops.convert_to_numpy(losses))
        alphas = ops.convert_to_tensor(alpha)
        damping, prefix, capacities = plan.measure(alphas, features)
        losses = np.stack(history, axis=1)
        kept = np.full(len(images), np.nan)
        if objective.function is None:
            noise = plan.draw(draws)
            kept = plan.kept(objective, alphas, *batch, noise)
            kept = ops.convert_to_numpy(kept)
        outside = plan.outside(alphas, features[0])
        found = [damping, prefix, losses, labels, probability, kept]
        return [*found, *outside, *capacities]

    def _check_finite(self, features: list[Any]) -> None:
        for place, values in zip(self._places, features, strict=True):
            if not bool(ops.all(ops.isfinite(values))):
                raise ValueError(
                    f"Features of layer {place.path!r} hold NaN or infinity. "
                    "Look for broken images, or weights that training spoiled."
                )

    def _check_gradient(
        self,
        plan: SearchPlan,
        objective: Objective,
        alpha: Any,
        batch: Any,
        images: np.ndarray,
    ) -> None:
        draws = keras.random.SeedGenerator(self._options.seed)
        noise = plan.draw(draws)

        def has_gradient(value: float) -> bool:
            alphas = ops.full(alpha.shape, value, "float32")
            _, gradient = plan.step(objective, alphas, 0.0, *batch, noise)
            return gradient is not None and bool(
                np.any(ops.convert_to_numpy(gradient))
            )

        # Half of each feature is noise, so that no output is too sure.
        if has_gradient(0.0):
            return
        path = self._places[0].path
        # With next to nothing but noise of what the model knows, it can only
        # be missing because nothing leads from the layer to the loss.
        if not any(map(has_gradient, MOSTLY_NOISE)):
            raise ValueError(
                f"The loss has no gradient at layer {path!r}: the outputs do "
                "not depend on it, or something between them, such as argmax "
                "or stop_gradient, passes none. Choose another layer."
            )
        problem = (
            f"The outputs are saturated: layer {path!r} leads to them, but "
            "they are so sure of these images that even with half of each "
            "feature replaced by noise the loss has no gradient."
        )
        ranges = self._ranges(images)
        if are_out_of_range(ranges):
            raise ValueError(f"{problem} {in_words(ranges)}")
        warnings.warn(
            f"{problem} {in_words(ranges)} The maps show what is left when "
            "the price of information alone has pushed the rest out.",
            stacklevel=5,
        )

    def _ranges(self, images: np.ndarray) -> PixelRanges:
        received = (float(images.min()), float(images.max()))
        return received, self._statistics.pixel_range

    def _bits(
        self,
        capacity: np.ndarray,
        shape: tuple[int, ...],
        placement: Placement | None,
    ) -> np.ndarray:
        """Bits by place as bits per pixel, at the size of the images."""
        bits = capacity.reshape(*capacity.shape[:3], -1).sum(axis=-1)
        size = self._explained.image_size(shape)
        height, width = (int(side or 0) for side in size)
        if placement is not None:
            return placement.draw(bits, (height, width))
        share = bits[0].size / (height * width)
        return resize_maps(share * bits, (height, width))


def _in_memory(images: Any, rank: int) -> np.ndarray:
    if hasattr(images, "shape"):
        return np.asarray(ops.convert_to_numpy(images))
    if not isinstance(images, list):
        raise TypeError(
            "`images` must be an array [N, ...] or a list of images. "
            f"Received: {type(images).__name__}. Of a dataset pass one batch "
            "at a time: `images, labels = next(iter(dataset))`, and the "
            "classes to explain, if not the predicted ones, as `targets`."
        )
    batches = ImageBatches(images, batch_size=max(len(images), 1), rank=rank)
    return np.concatenate(list(batches.first()))


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.uniform(size=(1, *shape)).astype("float32")
