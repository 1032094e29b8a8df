"""Training and evaluating on one class an image, whatever the head gives."""

import json

import keras
import numpy as np
import pytest
from command_runs import run as command
from training_runs import make_material
from training_runs import tiny_config
from training_runs import tiny_model

from keras_aib import data
from keras_aib.models import AIBClassifier
from keras_aib.runs import RunConfig
from keras_aib.runs import TrainingRun
from keras_aib.runs.evaluation import evaluate_model
from keras_aib.runs.model_source import ModelSource
from keras_aib.runs.task import Task

HEADS = [
    (3, None, "logits"),
    (3, "softmax", "probabilities"),
    (3, "sigmoid", "label_probabilities"),
    (1, None, "label_logits"),
    (1, "sigmoid", "label_probabilities"),
]


def classifier(units, activation):
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation=activation),
        ]
    )


def images_of(num_classes):
    generator = np.random.default_rng(0)
    labels = np.arange(14) % num_classes
    images = generator.integers(0, 256, (14, 8, 8, 3), "uint8")
    return images, labels, data.from_arrays(images, labels, shuffle=False)


@pytest.mark.parametrize(("units", "activation", "kind"), HEADS)
def test_figures_are_those_of_the_head(units, activation, kind):
    model = classifier(units, activation)
    task = Task(model)
    assert task.head.kind == kind
    num_classes = max(2, units)
    images, labels, dataset = images_of(num_classes)
    outputs = model.predict(images, verbose=0).astype("float64")
    if activation is None and units == 1:
        outputs = 1 / (1 + np.exp(-outputs))
    if activation is None and units == 3:
        exponentials = np.exp(outputs)
        outputs = exponentials / exponentials.sum(axis=1, keepdims=True)
    if units == 1:
        right = np.where(labels == 1, outputs[:, 0], 1 - outputs[:, 0])
        chosen, costs = outputs[:, 0] > 0.5, -np.log(right)
    else:
        right = outputs[np.arange(14), labels]
        chosen, costs = outputs.argmax(axis=1), -np.log(right)
        if activation == "sigmoid":
            truth = np.eye(3)[labels]
            costs = -np.log(np.abs(1 - truth - outputs)).mean(axis=1)
    figures = evaluate_model(model, dataset, verbose=0)
    assert figures["num_images"] == 14
    assert figures["loss"] == pytest.approx(costs.mean(), rel=1e-4)
    assert figures["accuracy"] == pytest.approx((chosen == labels).mean())
    surprise = pytest.approx(-np.log(right).mean(), rel=1e-4)
    assert figures["negative_log_likelihood"] == surprise

    # What `fit` shows is the same.
    model.compile(loss=task.loss(), metrics=[task.accuracy()])
    shown = model.evaluate(task.targets(dataset), verbose=0, return_dict=True)
    assert shown["accuracy"] == pytest.approx(figures["accuracy"])


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:tensorboard is not installed")
@pytest.mark.parametrize(
    ("units", "activation"), [(1, None), (1, "sigmoid"), (2, "sigmoid")]
)
def test_a_run_trains_what_its_model_gives(
    tmp_path, monkeypatch, units, activation
):
    monkeypatch.setattr(TrainingRun, "_pictures", lambda *arguments: [])
    make_material(tmp_path)
    arguments = vars(tiny_model()._arguments)
    arguments |= {"num_classes": units, "activation": activation}
    AIBClassifier(**arguments).save(tmp_path / "start.keras")
    config = tiny_config(tmp_path, model=tmp_path / "start.keras", epochs=1)
    history = TrainingRun.start(tmp_path / "run", config).train(verbose=0)
    history = TrainingRun.resume(tmp_path / "run", epochs=4).train(verbose=0)
    model = ModelSource(tmp_path / "run" / "last.keras").model
    assert model.num_classes == units
    figures = json.loads(
        command("evaluate", tmp_path / "run" / "last.keras", "--json").stdout
    )
    last = history[-1]
    assert figures["accuracy"] == pytest.approx(last["val_accuracy"])
    assert figures["loss"] == pytest.approx(last["val_loss"], rel=1e-3)


@pytest.mark.once
def test_any_classifier_can_be_evaluated(tmp_path):
    make_material(tmp_path)
    pixels = keras.Input((16, 16, 3))
    nested = keras.Sequential(
        [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    keras.Model(pixels, nested(pixels)).save(tmp_path / "plain.keras")
    unknown = keras.layers.Dense(2)(keras.layers.Flatten()(pixels))
    keras.Model(pixels, keras.ops.relu(unknown)).save(tmp_path / "relu.keras")
    evaluate = ("evaluate", "--data", tmp_path / "images", "--json")
    figures = json.loads(command(*evaluate, tmp_path / "plain.keras").stdout)
    assert figures["num_images"] == 12
    assert 0 <= figures["accuracy"] <= 1
    asked = command(*evaluate, tmp_path / "relu.keras", code=1)
    assert "Nothing tells whether" in asked.output
    figures = json.loads(
        command(
            *evaluate, tmp_path / "relu.keras", "--output-kind", "logits"
        ).stdout
    )
    assert figures["num_images"] == 12
    two = keras.Model(pixels, [nested(pixels), unknown])
    two.save(tmp_path / "two.keras")
    refused = command(*evaluate, tmp_path / "two.keras", code=1)
    assert "one output" in refused.output


@pytest.mark.once
def test_warming_up_does_not_choose_the_best_epoch(tmp_path, monkeypatch):
    """The total price rises with beta; accuracy is what counts."""
    monkeypatch.setattr(TrainingRun, "_pictures", lambda *arguments: [])
    make_material(tmp_path)
    arguments = vars(tiny_model()._arguments) | {"beta": 10.0}
    AIBClassifier(**arguments).save(tmp_path / "start.keras")
    config = tiny_config(
        tmp_path, model=tmp_path / "start.keras", epochs=4, warmup_epochs=4
    )
    history = TrainingRun.start(tmp_path / "run", config).train(verbose=0)
    losses = [logs["val_loss"] for logs in history]
    assert losses == sorted(losses)
    accuracies = [logs["val_accuracy"] for logs in history]
    best = ModelSource(tmp_path / "run").model
    figures = evaluate_model(
        best,
        data.from_spec(
            RunConfig.read(tmp_path / "run").data,
            image_size=(12, 12),
            subset="validation",
            shuffle=False,
        ),
        verbose=0,
    )
    assert figures["accuracy"] == pytest.approx(max(accuracies))
