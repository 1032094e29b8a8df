"""What a classifier's outputs are is read off its graph."""

import keras
import numpy as np
import pytest
from keras import layers
from keras import ops

from keras_aib.models import AIBClassifier
from keras_aib.models.output_head import OUTPUT_KINDS
from keras_aib.models.output_head import find_output_head


def small(outputs=5, activation=None, **options):
    inputs = keras.Input((4,))
    return keras.Model(
        inputs, layers.Dense(outputs, activation=activation, **options)(inputs)
    )


def through(*functions, start=None):
    start = small(activation="softmax") if start is None else start
    tensor = start.output
    for function in functions:
        tensor = function(tensor)
    return keras.Model(start.input, tensor)


def nested(model):
    inputs = keras.Input((4,))
    return keras.Model(inputs, model(layers.GaussianNoise(0.1)(inputs)))


def attentive(activation, num_classes=3):
    images = keras.Input((8, 8, 3))
    backbone = keras.Model(images, layers.Conv2D(4, 3)(images))
    return AIBClassifier(
        backbone, num_classes, latent_dim=4, activation=activation
    )


def averaged(activation):
    inputs = keras.Input((4,))
    parts = [layers.Dense(3, activation=activation)(inputs) for _ in range(2)]
    return keras.Model(inputs, layers.Average()(parts))


MODELS = {
    "linear": (small, "logits"),
    "one output": (lambda: small(1), "label_logits"),
    "softmax": (lambda: small(5, "softmax"), "probabilities"),
    "bfloat16": (
        lambda: small(5, "softmax", dtype="bfloat16"),
        "probabilities",
    ),
    "sigmoid": (lambda: small(5, "sigmoid"), "label_probabilities"),
    "one sigmoid": (lambda: small(1, "sigmoid"), "label_probabilities"),
    "a function of keras.ops": (
        lambda: small(5, ops.softmax),
        "probabilities",
    ),
    "a layer as activation": (
        lambda: small(5, layers.Softmax()),
        "probabilities",
    ),
    "softmax layer": (
        lambda: through(layers.Softmax(), start=small()),
        "probabilities",
    ),
    "activation layer": (
        lambda: through(layers.Activation("sigmoid"), start=small()),
        "label_probabilities",
    ),
    "operation": (lambda: through(ops.softmax, start=small()), "probabilities"),
    "sigmoid operation": (
        lambda: through(ops.sigmoid, start=small()),
        "label_probabilities",
    ),
    "logarithms": (lambda: small(5, "log_softmax"), "logits"),
    "temperature": (lambda: through(lambda x: x / 3, start=small()), "logits"),
    "dtype set behind": (
        lambda: through(layers.Activation("linear", dtype="float32")),
        "probabilities",
    ),
    "cast, dropout, reshape behind": (
        lambda: through(
            lambda x: ops.cast(x, "float32"),
            layers.Dropout(0.5),
            layers.Reshape((5,)),
        ),
        "probabilities",
    ),
    "nested": (lambda: nested(small(5, "softmax")), "probabilities"),
    "nested twice": (lambda: nested(nested(small(5, "sigmoid"))), None),
    "Sequential in Sequential": (
        lambda: keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(3),
                keras.Sequential([layers.Dense(2, activation="softmax")]),
            ]
        ),
        "probabilities",
    ),
    "mean of distributions": (lambda: averaged("softmax"), "probabilities"),
    "mean of logits": (lambda: averaged(None), "logits"),
    "AIBClassifier": (lambda: attentive(None), "logits"),
    "AIBClassifier with softmax": (
        lambda: attentive("softmax"),
        "probabilities",
    ),
    "AIBClassifier of one": (lambda: attentive(None, 1), "label_logits"),
}


def inputs_of(model):
    shape = (6, *model.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def predict(model, inputs):
    return ops.convert_to_numpy(
        ops.cast(model(inputs, training=False), "float32")
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_tells_what_the_outputs_are(name):
    build, kind = MODELS[name]
    assert find_output_head(build()).kind == (kind or "label_probabilities")


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_are_those_that_the_model_says(name):
    model = MODELS[name][0]()
    outputs = predict(model, inputs_of(model))
    head = find_output_head(model)
    expected = outputs.astype("float64")
    if head.kind == "logits":
        exponentials = np.exp(expected)
        expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    elif head.kind == "label_logits":
        expected = 1 / (1 + np.exp(-expected))
    said = ops.convert_to_numpy(head.probabilities(outputs))
    np.testing.assert_allclose(said, expected, atol=1e-6)
    classes = head.class_probabilities(outputs)
    assert classes.shape == (6, head.num_classes)
    np.testing.assert_allclose(classes[:, -1], expected[:, -1], atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_logarithms_are_those_of_the_probabilities(name):
    model = MODELS[name][0]()
    inputs = inputs_of(model)
    head = find_output_head(model)
    before = predict(model, inputs)
    with head.logits_where_possible():
        raw = model(inputs, training=False)
    logs = ops.convert_to_numpy(head.log_probabilities(raw))
    tolerance = 0.02 if "bfloat16" in name else 1e-5
    np.testing.assert_allclose(
        np.exp(logs), head.class_probabilities(before), atol=tolerance
    )
    np.testing.assert_array_equal(predict(model, inputs), before)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("where", ["layer", "activation", "operation"])
def test_a_sure_model_still_has_logarithms(activation, where):
    add = {
        "layer": lambda x: layers.Dense(
            2,
            activation=activation,
            kernel_initializer="zeros",
            bias_initializer=bias,
        )(x),
        "activation": lambda x: layers.Activation(activation)(linear(x)),
        "operation": lambda x: getattr(ops, activation)(linear(x)),
    }[where]

    def bias(shape, dtype=None):
        return ops.convert_to_tensor([-500.0, 500.0], dtype)

    def linear(x):
        return layers.Dense(
            2, kernel_initializer="zeros", bias_initializer=bias
        )(x)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, add(inputs))
    head = find_output_head(model)
    with head.logits_where_possible():
        raw = model(np.zeros((1, 4), "float32"), training=False)
    logs = ops.convert_to_numpy(head.log_probabilities(raw))
    expected = -1000.0 if activation == "softmax" else -500.0
    np.testing.assert_allclose(logs, [[expected, 0.0]], atol=1e-3)


@pytest.mark.parametrize(
    ("loss", "activation", "kind"),
    [
        ("binary_crossentropy", "sigmoid", "label_probabilities"),
        (keras.losses.BinaryCrossentropy(from_logits=True), None, "label"),
        (keras.losses.BinaryFocalCrossentropy(from_logits=True), None, "label"),
        ([keras.losses.BinaryCrossentropy(from_logits=True)], None, "label"),
        ("sparse_categorical_crossentropy", None, "logits"),
        ("mse", None, "logits"),
    ],
)
def test_the_loss_tells_classes_from_labels(loss, activation, kind):
    model = small(5, activation)
    model.compile("sgd", loss)
    expected = "label_logits" if kind == "label" else kind
    assert find_output_head(model).kind == expected


class Opaque(keras.layers.Layer):
    def call(self, inputs):
        return inputs * inputs


@pytest.mark.parametrize(
    "behind",
    [
        (Opaque(),),
        (layers.Activation("relu"),),
        (layers.Activation(lambda x: x * x),),
        (lambda x: 0.9 * x + 0.02,),
        (layers.Softmax(axis=0),),
    ],
)
def test_what_does_not_tell_asks(behind):
    model = through(*behind)
    with pytest.raises(ValueError, match="Pass `output_kind`"):
        find_output_head(model)
    for kind in OUTPUT_KINDS:
        assert find_output_head(model, kind).kind == kind


def test_where_the_graph_does_not_tell_the_loss_may():
    model = through(Opaque())
    model.compile(
        "sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    assert find_output_head(model).kind == "logits"
    model.compile("sgd", "binary_crossentropy")
    assert find_output_head(model).kind == "label_probabilities"


def test_errors_say_what_is_expected():
    with pytest.raises(ValueError, match="`output_kind` must be one of"):
        find_output_head(small(), "softmax")
    model = small()
    two = keras.Model(model.input, [model.output, model.output])
    with pytest.raises(ValueError, match="one output"):
        find_output_head(two)
    with pytest.raises(ValueError, match="shape"):
        find_output_head(small()).class_probabilities(np.zeros((2, 4)))
