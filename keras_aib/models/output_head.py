"""What a classifier gives: logits or probabilities, of classes or labels."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_aib.graph.retrace import replaced_attribute
from keras_aib.utils.keras_internals import find_source

OUTPUT_KINDS = (
    "logits",
    "probabilities",
    "label_logits",
    "label_probabilities",
)
PROBABILITIES = ("probabilities", "label_probabilities")
# Below it, float32 has no normal numbers and a logarithm no gradient.
SMALLEST_PROBABILITY = 1e-37
# What a layer with `activation`, or an operation, makes of its input.
KIND_OF_ACTIVATION = {
    "linear": "logits",
    "log_softmax": "logits",
    "softmax": "probabilities",
    "sigmoid": "label_probabilities",
}
KIND_OF_OPERATION = {
    "LogSoftmax": "logits",
    "Softmax": "probabilities",
    "Sigmoid": "label_probabilities",
}
# At inference these give each value that they get, as it is.
IDENTITIES = {
    "ActivityRegularization",
    "AlphaDropout",
    "Cast",
    "Dropout",
    "ExpandDims",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "Reshape",
    "Squeeze",
}
# Means of distributions are distributions, means of logits are logits.
MEANS = {
    "Average",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "Mean",
}
# These keep logits what they are, and nothing else.
ARITHMETIC = {
    "Add",
    "BatchNormalization",
    "Clip",
    "Divide",
    "Multiply",
    "Negative",
    "Rescaling",
    "Subtract",
    "TrueDivide",
}
BINARY_LOSSES = {
    "bce",
    "binarycrossentropy",
    "binaryfocalcrossentropy",
}
CATEGORICAL_LOSSES = {
    "categoricalcrossentropy",
    "categoricalfocalcrossentropy",
    "sparsecategoricalcrossentropy",
}


@dataclass(frozen=True)
class OutputHead:
    """What the outputs `[images, outputs]` of a model are.

    Attributes:
        kind: `"logits"` or `"probabilities"` of classes of which one is right;
            `"label_logits"` or `"label_probabilities"` of labels of which each
            is right or not.
        num_outputs: Number of outputs.
        activated: Layer or operation whose activation made probabilities of
            logits and can be left out; `None` where there is none.
    """

    kind: str
    num_outputs: int
    activated: Any = None

    @property
    def is_multi_label(self) -> bool:
        """Whether each output is right or not by itself."""
        return self.kind.startswith("label_")

    @property
    def is_binary(self) -> bool:
        """Whether one output tells two classes apart: 1 from 0."""
        return self.is_multi_label and self.num_outputs == 1

    @property
    def num_classes(self) -> int:
        """Classes or labels that there are; 2 for a binary head."""
        return 2 if self.is_binary else self.num_outputs

    @property
    def activation(self) -> str:
        """What makes probabilities of logits: `"softmax"` or `"sigmoid"`."""
        return "sigmoid" if self.is_multi_label else "softmax"

    def probabilities(self, outputs: Any) -> Any:
        """Probabilities, float32, of what the model gives.

        Args:
            outputs: Tensors or Keras tensors `[images, outputs]`.
        """
        outputs = ops.cast(outputs, "float32")
        if self.kind in PROBABILITIES:
            return outputs
        if self.is_multi_label:
            return ops.sigmoid(outputs)
        return ops.softmax(outputs)

    def class_probabilities(self, outputs: Any) -> np.ndarray:
        """As `probabilities`, for arrays: a column for each class.

        Args:
            outputs: Array `[images, outputs]`, as `predict` gives it.

        Returns:
            float64 `[images, num_classes]`. A binary head has the two columns
            of class 0 and class 1. Rows of labels need not add up to 1.

        Raises:
            ValueError: If the shape differs.
        """
        outputs = np.asarray(ops.convert_to_numpy(outputs)).astype("float64")
        if outputs.ndim != 2 or outputs.shape[1] != self.num_outputs:
            raise ValueError(
                "Expected the outputs of the model, [images, "
                f"{self.num_outputs}]. Received: shape {outputs.shape}."
            )
        if self.kind == "logits":
            outputs = _softmax(outputs)
        elif self.kind == "label_logits":
            # Of the smaller exponential, which cannot overflow.
            small = np.exp(-np.abs(outputs))
            outputs = np.where(outputs < 0, small, 1.0) / (1.0 + small)
        if self.is_binary:
            return np.concatenate([1.0 - outputs, outputs], axis=1)
        return outputs

    @contextlib.contextmanager
    def logits_where_possible(self) -> Iterator[None]:
        """Let the model give what goes into its last activation.

        Probabilities of float32 underflow where the model is sure, and with
        them the gradient. Wherever the model is called or traced within the
        `with` block, it gives what `log_probabilities` takes.
        """
        layer = self.activated
        if layer is None:
            yield
            return
        linear = ("activation", keras.activations.linear)
        replacement = (
            linear if hasattr(layer, "activation") else ("call", _first)
        )
        with replaced_attribute(layer, *replacement):
            yield

    def log_probabilities(self, outputs: Any) -> Any:
        """Logarithms of the probabilities of classes or labels, float32.

        Args:
            outputs: What the model gives within `logits_where_possible`.

        Returns:
            `[images, num_classes]`, in nats.
        """
        outputs = ops.cast(outputs, "float32")
        are_logits = (
            self.kind not in PROBABILITIES or self.activated is not None
        )
        if are_logits and not self.is_multi_label:
            return ops.log_softmax(outputs)
        if are_logits:
            logs = ops.log_sigmoid(outputs)
            others = ops.log_sigmoid(-outputs)
        else:
            logs = _log(outputs)
            others = _log(1.0 - outputs)
        return (
            ops.concatenate([others, logs], axis=1) if self.is_binary else logs
        )


def find_output_head(
    model: keras.Model, output_kind: str | None = None
) -> OutputHead:
    """Say what a model gives, by the operation that its output comes from.

    It is followed through nested models, and through what changes nothing at
    inference. Where the graph ends in logits, the loss that the model was
    compiled with tells classes from labels: a binary cross-entropy means
    labels, and a single output is always a label. Where the graph tells
    nothing, `from_logits` of that loss does.

    Args:
        model: A classifier with one output `[images, outputs]`.
        output_kind: One of `OUTPUT_KINDS`, to say what the model does not
            tell; `None` to find out.

    Raises:
        ValueError: If there is no such `output_kind`, the model has other
            outputs than one `[images, outputs]`, or nothing tells what it is.

    Example:

    ```python
    import keras
    from keras_aib.models.output_head import find_output_head

    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="sigmoid")]
    )
    find_output_head(model).kind  # "label_probabilities"
    ```
    """
    if output_kind is not None and output_kind not in OUTPUT_KINDS:
        raise ValueError(
            f"`output_kind` must be one of {OUTPUT_KINDS}, or None to find "
            f"out. Received: output_kind={output_kind!r}."
        )
    outputs = getattr(model, "outputs", None)
    if not outputs:
        raise ValueError(
            f"The outputs of {type(model).__name__} {model.name!r} are not "
            "known: it is subclassed, or was never built. Wrap it: "
            "`x = keras.Input(shape); keras.Model(x, model(x))`."
        )
    if len(outputs) != 1 or len(outputs[0].shape) != 2:
        shapes = [tuple(tensor.shape) for tensor in outputs]
        raise ValueError(
            "`model` must have one output [images, classes]. Received: model "
            f"{model.name!r} with outputs of shapes {shapes}. Choose one: "
            "`keras.Model(model.inputs, model.outputs[0])`."
        )
    found, activated = _follow(outputs[0])
    if output_kind is not None:
        # An activation that is left out must be the one that was meant.
        if output_kind not in PROBABILITIES or found != output_kind:
            activated = None
        return OutputHead(output_kind, int(outputs[0].shape[1]), activated)
    kind = _of_classes_or_labels(model, found, int(outputs[0].shape[1]))
    if kind is None:
        operation = find_source(outputs[0]).operation
        raise ValueError(
            f"Nothing tells whether model {model.name!r} gives logits or "
            f"probabilities: its output comes from {operation.name!r} "
            f"({type(operation).__name__}). Pass `output_kind`, one of "
            f"{OUTPUT_KINDS}: of classes of which one is right, or of labels "
            "of which each is right or not."
        )
    return OutputHead(kind, int(outputs[0].shape[1]), activated)


def _follow(tensor: Any) -> tuple[str | None, Any]:
    """What a tensor is, and what could be left out to make it logits."""
    source = find_source(tensor)
    operation, inputs = source.operation, source.inputs
    inner = getattr(operation, "outputs", None)
    if isinstance(operation, keras.Model):
        return _follow(inner[source.output_index]) if inner else (None, None)
    name = type(operation).__name__
    if name in IDENTITIES and len(inputs) == 1:
        return _follow(inputs[0])
    if name in KIND_OF_OPERATION and _along_classes(operation, tensor):
        kind = KIND_OF_OPERATION[name]
        return kind, operation if kind in PROBABILITIES else None
    if _applies_activation(operation):
        return _of_activation(operation, inputs)
    return _of_combination(name, inputs), None


def _of_combination(name: str, inputs: list[Any]) -> str | None:
    if name not in {*MEANS, *ARITHMETIC, "Concatenate"}:
        return None
    kinds = {_follow(tensor)[0] for tensor in inputs}
    (kind,) = kinds if len(kinds) == 1 else (None,)
    keeps = (
        name in MEANS
        or kind == "logits"
        or (name == "Concatenate" and kind == "label_probabilities")
    )
    return kind if keeps else None


def _of_activation(operation: Any, inputs: list[Any]) -> tuple[str | None, Any]:
    activation = operation.activation
    # A function, whosever; or a layer, which has no name of its own.
    name = getattr(activation, "__name__", type(activation).__name__)
    if name == "linear" and isinstance(operation, keras.layers.Activation):
        return _follow(inputs[0])
    kind = KIND_OF_ACTIVATION.get(name, KIND_OF_OPERATION.get(name))
    is_layer = isinstance(activation, keras.layers.Layer)
    activated = activation if is_layer else operation
    return kind, activated if kind in PROBABILITIES else None


def _applies_activation(operation: Any) -> bool:
    layers = keras.layers
    return isinstance(
        operation,
        (
            layers.Activation,
            layers.Dense,
            layers.EinsumDense,
            layers.Conv1D,
            layers.Conv2D,
            layers.Conv3D,
        ),
    )


def _along_classes(operation: Any, tensor: Any) -> bool:
    axis = getattr(operation, "axis", -1)
    return axis in (-1, [-1], (-1,), len(tensor.shape) - 1)


def _of_classes_or_labels(
    model: keras.Model, kind: str | None, num_outputs: int
) -> str | None:
    """Fill in what the graph leaves open from the loss that was compiled."""
    name, from_logits = _compiled_loss(model)
    binary, categorical = name in BINARY_LOSSES, name in CATEGORICAL_LOSSES
    if kind is None and (binary or categorical):
        kind = "logits" if from_logits else "probabilities"
        if binary and not from_logits:
            kind = "label_probabilities"
    if kind == "logits" and (binary or num_outputs == 1):
        return "label_logits"
    return kind


def _compiled_loss(model: keras.Model) -> tuple[str, bool]:
    loss = getattr(model, "loss", None)
    if isinstance(loss, dict):
        loss = list(loss.values())
    if isinstance(loss, list | tuple) and len(loss) == 1:
        (loss,) = loss
    from_logits = False
    if isinstance(loss, keras.losses.Loss):
        from_logits = bool(loss.get_config().get("from_logits", False))
        loss = type(loss).__name__
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    return name.replace("_", "").lower(), from_logits


def _first(inputs: Any, *args: Any, **kwargs: Any) -> Any:
    return inputs


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def _log(probabilities: Any) -> Any:
    return ops.log(ops.maximum(probabilities, SMALLEST_PROBABILITY))
