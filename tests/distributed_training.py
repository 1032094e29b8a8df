"""Run in a process of its own, with 2 virtual devices, by test_distribution."""

import json
import os
import sys

import keras
import numpy as np

from keras_aib.models import AIBClassifier
from keras_aib.runs.distribution import distribution_scope
from keras_aib.runs.distribution import even_batches

NUM_DEVICES = 2
BATCH_SIZE = 8
random = np.random.default_rng(0)
IMAGES = random.normal(size=(16, 8, 8, 3)).astype("float32")
LABELS = random.integers(0, 3, size=16)


def use_virtual_devices():
    """Make several devices of the CPU, before it is used."""
    if keras.config.backend() == "jax":
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = (
            f"{flags} --xla_force_host_platform_device_count={NUM_DEVICES}"
        )
        return
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * NUM_DEVICES,
    )


class Batches(keras.utils.PyDataset):
    """Eleven images in batches of 8, 3."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = slice(index * 8, min(index * 8 + 8, 11))
        return IMAGES[part], LABELS[part]


def make_model():
    keras.utils.set_random_seed(0)
    images = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="attended")(images)
    x = keras.layers.BatchNormalization(momentum=0.8, name="normalized")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(4, 3)(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    model = AIBClassifier(
        keras.Model(images, x),
        num_classes=3,
        attention_layer="attended",
        num_anchors=4,
        latent_dim=4,
        beta=1e-2,
        # No noise to speak of: the devices draw it differently.
        stddev_offset=-30.0,
        anchor_gradient_scale=1.0,
        seed=0,
    )
    # Scores start flat, and half way between two anchors.
    network = model.attention_block.attention.score_network
    kernel, bias = network.get_weights()
    network.set_weights([np.random.normal(size=kernel.shape), bias])
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(model):
    """Logs of the first of two steps and of both, and the weights after."""
    steps = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(dict(logs))
    )
    history = model.fit(
        IMAGES,
        LABELS,
        batch_size=BATCH_SIZE,
        shuffle=False,
        verbose=0,
        callbacks=[watch],
    ).history
    first = {name: float(value) for name, value in steps[0].items()}
    epoch = {name: float(values[0]) for name, values in history.items()}
    return {"first": first, "epoch": epoch}, model.get_weights()


def difference(these, those):
    pairs = zip(these, those, strict=True)
    return max(float(np.abs(a - b).max()) for a, b in pairs)


def message(function):
    try:
        with distribution_scope("data_parallel"):
            function()
    except ValueError as error:
        return str(error)
    return ""


def main():
    use_virtual_devices()
    start = make_model().get_weights()
    alone, expected = train(make_model())
    with distribution_scope("data_parallel") as num_devices:
        model = make_model()
        start_difference = difference(start, model.get_weights())
        together, weights = train(model)
        model.save(sys.argv[1])
        config = model.backbone.get_layer("normalized").get_config()
        cut = even_batches(Batches(), num_devices)
        sizes = [len(cut[index][1]) for index in range(len(cut))]
        losses = model.fit(cut, verbose=0).history["loss"]
        evaluated = model.evaluate(cut, verbose=0, return_dict=True)
    loaded = keras.models.load_model(sys.argv[1])
    report = {
        "num_devices": num_devices,
        "alone": alone,
        "together": together,
        "start_difference": start_difference,
        "difference": difference(expected, weights),
        "moved": difference(start, expected),
        "synchronized": config["synchronized"],
        "loaded_difference": difference(weights, loaded.get_weights()),
        "sizes": sizes,
        "finite": bool(np.isfinite([*losses, *evaluated.values()]).all()),
        # Each with a model of its own: JAX leaves one that failed unusable.
        "other_error": message(lambda: make_model().get_layer("missing")),
        "uneven_prediction": message(
            lambda: make_model().predict(IMAGES[:5], verbose=0)
        ),
        "uneven_last_batch": message(
            lambda: make_model().fit(
                IMAGES[:13], LABELS[:13], batch_size=8, verbose=0
            )
        ),
    }
    sys.stdout.write(json.dumps(report))


main()
