"""Training on several devices: what a step computes, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_aib.runs.distribution import distribution_scope
from keras_aib.runs.distribution import even_batches

HERE = Path(__file__).parent


class Batches(keras.utils.PyDataset):
    """Seven images in batches of 4, 3; counts its passes."""

    passes = 0

    def __len__(self):
        return 2

    def __getitem__(self, index):
        part = np.arange(7)[index * 4 : index * 4 + 4]
        return np.ones((len(part), 2, 2, 3)), part

    def on_epoch_end(self):
        self.passes += 1


@pytest.mark.parametrize(
    ("num_devices", "expected"),
    [
        (2, [[0, 1, 2, 3], [4, 5]]),
        (3, [[0, 1, 2], [4, 5, 6]]),
        (8, [[0, 1, 2, 3, 0, 1, 2, 3], [4, 5, 6, 4, 5, 6, 4, 5]]),
    ],
)
def test_even_batches(num_devices, expected):
    data = Batches()
    cut = even_batches(data, num_devices)
    assert len(cut) == 2
    for index, labels in enumerate(expected):
        images, received = cut[index]
        assert received.tolist() == labels
        assert images.shape == (len(labels), 2, 2, 3)
    cut.on_epoch_end()
    assert data.passes == 1


def test_one_device_needs_nothing():
    data = Batches()
    with distribution_scope(None) as num_devices:
        assert num_devices == 1
        assert even_batches(data, num_devices) is data
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(np.ones((3, 4)), np.ones((3, 1)), verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_even_batches_refuses_what_has_no_batches():
    with pytest.raises(TypeError, match="PyDataset"):
        even_batches(np.ones((6, 2)), 2)


def test_unknown_distribution():
    with (
        pytest.raises(ValueError, match="data_parallel"),
        distribution_scope("model_parallel"),
    ):
        pass


if keras.config.backend() == "torch":

    def test_torch_is_refused():
        with (
            pytest.raises(ValueError, match="KERAS_BACKEND=jax"),
            distribution_scope("data_parallel"),
        ):
            pass

else:

    @pytest.fixture(scope="module")
    def report(tmp_path_factory):
        path = tmp_path_factory.mktemp("distributed") / "model.keras"
        run = subprocess.run(
            [sys.executable, str(HERE / "distributed_training.py"), str(path)],
            env={**os.environ, "KERAS_BACKEND": keras.config.backend()},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        return json.loads(run.stdout)

    @pytest.mark.slow
    def test_steps_equal_those_of_one_device(report):
        assert report["num_devices"] == 2
        assert report["start_difference"] == 0.0
        alone, together = report["alone"], report["together"]
        for span in ("first", "epoch"):
            # A share is not the mean of the shares of the parts.
            names = set(alone[span]) - {"anchors_used"}
            assert {"loss", "kl_bits", "anchor_distance"} <= names
            for name in names:
                np.testing.assert_allclose(
                    together[span][name],
                    alone[span][name],
                    rtol=1e-4,
                    atol=1e-6,
                    err_msg=name,
                )
        assert report["moved"] > 1e-2
        assert report["difference"] < 1e-5

    @pytest.mark.slow
    def test_the_compared_loss_holds_the_rate_and_the_quantizer(report):
        first = report["alone"]["first"]
        assert 1e-2 * first["kl_bits"] * np.log(2) > 0.2 * first["loss"]
        assert first["anchor_distance"] > 1e-2

    @pytest.mark.slow
    def test_what_is_saved_loads_on_one_device_of_any_backend(report):
        assert report["loaded_difference"] == 0.0
        assert report["synchronized"] is False

    @pytest.mark.slow
    def test_batches_that_do_not_divide_are_refused(report):
        for case in ("last_batch", "prediction"):
            assert "multiple of 2" in report[f"uneven_{case}"]
        assert "missing" in report["other_error"]
        assert "multiple" not in report["other_error"]

    @pytest.mark.slow
    def test_even_batches_train_and_evaluate(report):
        assert report["sizes"] == [8, 2]
        assert report["finite"]
