"""Runs that are killed, resumed, and end where they would have ended."""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from command_runs import run as command_line
from training_runs import CLASS_NAMES
from training_runs import arrays
from training_runs import check_same_end
from training_runs import tiny_config
from training_runs import tiny_model

from keras_aib.runs import RunConfig
from keras_aib.runs import TrainingRun
from keras_aib.runs.freezing import freeze
from keras_aib.runs.model_source import ModelSource
from keras_aib.runs.run_recorder import RunRecorder
from keras_aib.runs.training_state import TrainingState

pytestmark = pytest.mark.filterwarnings(
    # The environment for JAX has no tensorboard.
    "ignore:tensorboard is not installed"
)


@pytest.fixture(scope="module")
def reference(material, tmp_path_factory):
    """A run of three epochs that nothing came in between of."""
    folder = tmp_path_factory.mktemp("runs") / "reference"
    TrainingRun.start(folder, tiny_config(material)).train(verbose=0)
    return folder


@pytest.fixture
def without_pictures(monkeypatch):
    """Most of the time of a tiny run goes into drawing."""
    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "_pictures", lambda *arguments: [])
        yield


def command(*arguments, before):
    code = f"{before}\nfrom keras_aib.cli import main\nmain({arguments!r})"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )


KILL_IN_EPOCH_2 = """
import os, signal
from keras_aib.runs.run_recorder import RunRecorder
def kill(self, batch, logs=None):
    if batch == 2 and os.path.exists(self._folder / "log.csv"):
        os.kill(os.getpid(), signal.SIGKILL)
RunRecorder.on_train_batch_end = kill
"""


@pytest.mark.slow
def test_a_run_killed_in_mid_epoch_ends_as_if_it_had_not_been(
    material, reference, tmp_path
):
    run = tmp_path / "run"
    config = tiny_config(material)
    options = ("epochs", "batch_size", "learning_rate", "warmup_epochs")
    options += ("data", "model", "workers")
    arguments = [
        text
        for name in options
        for text in (f"--{name.replace('_', '-')}", str(getattr(config, name)))
    ]
    killed = command(
        *("train", *arguments, "--output", str(run)), before=KILL_IN_EPOCH_2
    )
    assert killed.returncode == -9, killed.stderr
    with (run / "log.csv").open() as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1"]

    resumed = command_line("train", "--resume", run)
    assert "Epoch 2/3" in resumed.stdout
    assert "Epoch 1/3" not in resumed.stdout
    check_same_end(run, reference)


@pytest.mark.once
@pytest.mark.parametrize(
    ("moment", "epoch"),
    [
        ("_write_models", 1),
        *(
            pytest.param(moment, epoch, marks=pytest.mark.slow)
            for moment, epoch in (
                ("save", 0),
                ("_write_log", 1),
                ("rewrite", 0),
            )
        ),
    ],
)
def test_a_kill_between_two_files_is_mended(
    material, reference, tmp_path, without_pictures, moment, epoch
):
    owner = TrainingState if moment == "save" else RunRecorder
    whole = getattr(owner, moment)

    def killed(self, *args):
        state = self if owner is TrainingState else self._state
        if state.epoch > epoch or moment == "rewrite":
            # What a kill leaves behind, for nothing can clean up after it.
            (run / ".keras_aib-0123abcd-state.npz").write_bytes(b"half")
            raise KeyboardInterrupt
        whole(self, *args)

    run = tmp_path / "run"
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(KeyboardInterrupt),
    ):
        patch.setattr(owner, moment, killed)
        TrainingRun.start(run, tiny_config(material)).train(verbose=0)
    TrainingRun.resume(run).train(verbose=0)
    check_same_end(run, reference)


@pytest.mark.slow
def test_a_finished_run_goes_on_for_more_epochs(
    material, reference, tmp_path, without_pictures
):
    run = tmp_path / "run"
    history = TrainingRun.start(run, tiny_config(material, epochs=1)).train(0)
    assert len(history) == 1
    assert TrainingRun.resume(run).train(verbose=0) == history
    assert len(TrainingRun.resume(run, epochs=3).train(verbose=0)) == 3
    check_same_end(run, reference)


@pytest.mark.slow
def test_a_run_in_half_precision_goes_on_too(
    material, tmp_path, without_pictures
):
    keras.config.set_dtype_policy("mixed_float16")
    tiny_model().save_to_preset(tmp_path / "half")
    keras.config.set_dtype_policy("float32")
    config = tiny_config(material, model=str(tmp_path / "half"), epochs=2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    TrainingRun.start(whole, config).train(verbose=0)
    TrainingRun.start(broken, replace(config, epochs=1)).train(verbose=0)
    TrainingRun.resume(broken, epochs=2).train(verbose=0)
    check_same_end(broken, whole)


def test_what_a_run_leaves(material, reference):
    config = RunConfig.read(reference)
    assert config.class_names == CLASS_NAMES
    assert config.num_images == 10
    assert config.image_size == (12, 12)
    assert config.backend == keras.config.backend()
    with (reference / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    # Beta rises over the first two of three epochs.
    betas = [float(row["beta"]) for row in rows]
    assert 0 < betas[0] < betas[1] < betas[2] == pytest.approx(1e-4)
    pictures = sorted(path.name for path in (reference / "pictures").iterdir())
    assert pictures == [f"epoch_000{epoch}.png" for epoch in (1, 2, 3)]

    accuracies = [float(row["val_accuracy"]) for row in rows]
    best = keras.saving.load_model(reference / "best.keras", compile=False)
    last = keras.saving.load_model(reference / "last.keras", compile=False)
    same = all(
        np.array_equal(*pair)
        for pair in zip(best.get_weights(), last.get_weights(), strict=True)
    )
    assert same == (accuracies.index(max(accuracies)) == 2)


def test_tensorboard_shows_the_figures(reference):
    if importlib.util.find_spec("tensorboard") is None:
        assert not (reference / "tensorboard").exists()
        return
    from tensorboard.backend.event_processing import event_accumulator

    history = json.loads(str(arrays(reference)[-1]))
    for side, name in (("training", "loss"), ("validation", "val_loss")):
        folder = str(reference / "tensorboard" / side)
        events = event_accumulator.EventAccumulator(folder).Reload()
        scalars = events.Scalars("loss")
        assert [scalar.step for scalar in scalars] == [0, 1, 2]
        np.testing.assert_allclose(
            [scalar.value for scalar in scalars],
            [logs[name] for logs in history],
            rtol=1e-6,
        )


def test_the_tail_is_trained_and_what_lies_before_is_not(material, reference):
    before = ModelSource(material / "preset").model
    after = ModelSource(reference / "last.keras").model
    changed = {
        name: not np.array_equal(
            before.backbone.get_layer(name).get_weights()[0],
            after.backbone.get_layer(name).get_weights()[0],
        )
        for name in ("stem", "attended", "tail", "statistics")
    }
    assert changed == {
        "stem": False,
        "attended": False,
        "tail": True,
        "statistics": True,
    }


def test_which_layers_are_frozen():
    model = tiny_model()
    frozen = {}
    for trainable in ("head", "all", "tail"):
        freeze(model, trainable)
        frozen[trainable] = [
            layer.name
            for layer in model.backbone.layers
            if layer.weights and not layer.trainable
        ]
        assert model.attention_block.trainable and model.decoder.trainable
    assert frozen["all"] == []
    assert frozen["tail"] == ["stem", "attended"]
    assert frozen["head"] == ["stem", "attended", "tail", "statistics"]
    with pytest.raises(ValueError, match="must be one of"):
        freeze(model, "some")


def test_a_folder_that_holds_something_is_left_alone(material, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="--resume"):
        TrainingRun.start(tmp_path, tiny_config(material))


def test_nothing_is_written_where_a_run_cannot_begin(material, tmp_path):
    run = tmp_path / "run"
    for options, message in (
        ({"num_anchors": 7}, "saved model, in which these are settled: num_a"),
        ({"precision": "mixed_float16"}, "settled: precision"),
        ({"image_size": (8, 8)}, "12 x 12 pixels only"),
        ({"data": str(material / "nowhere")}, "no folder"),
        ({"validation_split": 1.5}, "between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingRun.start(run, tiny_config(material, **options)).train(0)
    with pytest.raises(ValueError, match="There is no model"):
        config = tiny_config(material, model=str(tmp_path / "x.keras"))
        TrainingRun.start(run, config).train(0)
    assert not run.exists()


def test_what_cannot_be_resumed(material, reference, tmp_path):
    with pytest.raises(ValueError, match="is no training run"):
        TrainingRun.resume(tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    config = RunConfig.read(reference)
    other = "jax" if config.backend == "torch" else "torch"
    for change, message in (
        ({"num_images": 11}, "num_images was 11 and is 10"),
        ({"class_names": ("bee", "ant")}, "class_names was"),
        ({"backend": other}, f"KERAS_BACKEND={other}"),
    ):
        RunConfig(**{**vars(config), **change}).write(run)
        with pytest.raises(ValueError, match=message):
            TrainingRun.resume(run).train(verbose=0)
    (run / "config.json").write_text("{")
    with pytest.raises(ValueError, match="is no configuration"):
        TrainingRun.resume(run)
    (run / "config.json").write_text(
        json.dumps(
            {"format": 9, "keras_version": "4", "keras_aib_version": "9"}
        )
    )
    with pytest.raises(ValueError, match="Install that version"):
        TrainingRun.resume(run)


def test_a_state_that_is_damaged_or_of_another_model(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam", loss="mse")
    model.optimizer.build(model.trainable_variables)
    assert TrainingState.restore(tmp_path, model).epoch == 0
    weights = model.get_weights()
    TrainingState([{"val_accuracy": 0.5}]).save(tmp_path, model)
    model.set_weights([array + 1 for array in weights])
    state = TrainingState.restore(tmp_path, model)
    assert (state.epoch, state.best_epoch) == (1, 0)
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])

    for units, layers in ((2, 1), (1, 2)):
        other = keras.Sequential(
            [keras.Input((2,))]
            + [keras.layers.Dense(units) for _ in range(layers)]
        )
        other.compile("adam", loss="mse")
        other.optimizer.build(other.trainable_variables)
        with pytest.raises(ValueError, match="does not fit"):
            TrainingState.restore(tmp_path, other)

    path = tmp_path / "state.npz"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match="is damaged"):
        TrainingState.restore(tmp_path, model)


def test_the_first_of_equally_good_epochs_is_the_best():
    history = [{"val_accuracy": value} for value in (0.5, 0.75, 0.75, 0.25)]
    assert TrainingState(history).best_epoch == 1
    assert TrainingState().best_epoch is None


def test_a_loss_that_is_not_a_number_keeps_the_last_good_state(tmp_path):
    recorder = RunRecorder(tmp_path, TrainingState())
    recorder.set_model(tiny_model())
    with pytest.raises(ValueError, match="not a number in epoch 4"):
        recorder.on_epoch_end(3, {"loss": float("nan")})
    assert not os.listdir(tmp_path)


def test_a_model_of_any_size_and_other_classes_can_be_trained_on(tmp_path):
    tiny_model(num_classes=5, fixed_size=False).save(tmp_path / "m.keras")
    source = ModelSource(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="--image-size"):
        source.find_image_size()
    assert source.find_image_size((8, 10)) == (8, 10)
    config = RunConfig(data="", model="")
    renewed = source.build(config, num_classes=2)
    assert renewed.num_classes == 2
    np.testing.assert_array_equal(
        renewed.backbone.get_layer("stem").get_weights()[0],
        source.model.backbone.get_layer("stem").get_weights()[0],
    )
    assert source.build(config, num_classes=5) is source.model


def test_files_that_hold_no_model(tmp_path):
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    plain.save(tmp_path / "plain.keras")
    (tmp_path / "torn.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match="Expected an AIBClassifier"):
        _ = ModelSource(tmp_path / "plain.keras").model
    with pytest.raises(ValueError, match="cannot be loaded"):
        _ = ModelSource(tmp_path / "torn.keras").model
    with pytest.raises(ValueError, match="holds no model"):
        ModelSource(tmp_path)


def test_options_of_the_model():
    config = RunConfig(data="", model="")
    assert config.model_options == {}
    config = RunConfig(
        data="", model="", num_anchors=0, attention_layer="output", beta=0.0
    )
    assert config.model_options == {
        "beta": 0.0,
        "num_anchors": None,
        "attention_layer": None,
    }
    assert config.trained_part == "tail"
    config = RunConfig(data="", model="", from_scratch=True, num_anchors=5)
    assert config.model_options == {"num_anchors": 5}
    assert config.trained_part == "all"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "`epochs` must be a positive"),
        ({"limit": -1}, "`limit` must be a positive"),
        ({"learning_rate": -1.0}, "`learning_rate` must be at least 0"),
        ({"warmup_epochs": float("nan")}, "`warmup_epochs` must be"),
        ({"beta": -1.0}, "`beta` must be"),
        ({"trainable": "some"}, "`trainable` must be one of"),
        ({"precision": "float8"}, "`precision` must be one of"),
        ({"from_scratch": True, "trainable": "head"}, "random as they are"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RunConfig(data="", model="", **options)
