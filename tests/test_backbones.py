"""AIBClassifier on every family of backbones, from insertion to reload.

With KERAS_AIB_RESULTS=folder each row leaves its outcome there, for
`backbone_table.py`.
"""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

import keras
import numpy as np
import pytest
from backbone import Backbone
from backbones import CATALOGUE

from keras_aib.models import AIBClassifier

BACKEND = keras.backend.backend()
NUM_CLASSES = 3
RATES = (
    "task_loss",
    "kl_bits",
    "attention_mean",
    "attention_spread",
    "anchors_used",
    "anchor_distance",
)
# Nothing but keras_aib: what else a file needs, it must bring by itself.
RELOAD = """
import json, sys
import numpy as np
import keras
import keras_aib

for path in sys.argv[1:]:
    expected = np.load(path + ".npz")
    try:
        model = keras.models.load_model(path)
        logits = model.predict(expected["images"], verbose=0)
        outcome = {
            "difference": float(np.max(np.abs(logits - expected["logits"]))),
            "iterations": int(model.optimizer.iterations.numpy()),
        }
    except Exception as error:
        outcome = {"error": f"{type(error).__name__}: {error}"}
    keras.utils.clear_session()
    print("OUTCOME", json.dumps({"path": path, **outcome}), flush=True)
"""


@dataclass
class Record:
    """What a row has passed, and where it stopped."""

    row: Backbone
    steps: list[str] = field(default_factory=list)
    error: str | None = None

    def write(self) -> None:
        folder = os.environ.get("KERAS_AIB_RESULTS")
        if not folder:
            return
        path = Path(folder) / f"backbones-{BACKEND}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        line = {
            "backbone": self.row.name,
            "library": self.row.library,
            "attention": self.row.attention_layer,
            "backend": BACKEND,
            "steps": self.steps,
            "error": self.error,
        }
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")


@contextlib.contextmanager
def recorded(row: Backbone):
    record = Record(row)
    try:
        yield record.steps
    except BaseException as error:
        first_line = str(error).strip().splitlines()[:1]
        record.error = ": ".join([type(error).__name__, *first_line])
        raise
    finally:
        record.write()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Folder of the models of this module, and the row of each file."""
    return tmp_path_factory.mktemp("backbones"), {}


def plain_logits(row, model, images):
    """What the backbone without attention gives under the same head."""
    backbone = model.backbone
    pixels = images / 127.5 - 1.0
    if isinstance(getattr(backbone, "input", None), dict):
        pixels = dict.fromkeys(backbone.input, pixels)
    features = backbone.predict(pixels, verbose=0)
    if isinstance(features, dict):
        last = max(name for name in features if name.startswith("stage"))
        features = features[last]
    if features.ndim == 3:
        features = features[:, row.num_prefix_tokens :]
    axes = tuple(range(1, features.ndim - 1))
    pooled = np.mean(features, axis=axes)
    return np.asarray(
        keras.ops.convert_to_numpy(
            model.decoder(model.bottleneck(pooled, training=False))
        )
    )


def logits_with(model, images, kernel, bias):
    """Logits with this kernel and bias in the score convolution."""
    network = model.attention_block.attention.score_network
    weights = network.get_weights()
    network.set_weights([kernel, np.full_like(weights[1], bias)])
    logits = model.predict(images, verbose=0)
    network.set_weights(weights)
    return logits


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(
            row, id=str(row), marks=[] if row.ordinary else [pytest.mark.large]
        )
        for row in CATALOGUE
    ],
)
def test_backbone(row, saved):
    if row.library == "KerasCV":
        pytest.importorskip("keras_cv", reason="KerasCV needs TensorFlow")
    with recorded(row) as steps:
        random = np.random.default_rng(0)
        shape = (2, row.image_size, row.image_size, 3)
        images = random.uniform(0, 255, size=shape).astype("float32")
        labels = np.array([0, 2])

        backbone = row.build()
        if row.library == "keras.applications":
            # As for fine-tuning, and because these are large.
            backbone.trainable = False
        for name in row.frozen:
            backbone.get_layer(name).trainable = False
        model = AIBClassifier(
            backbone,
            num_classes=NUM_CLASSES,
            attention_layer=row.attention_layer,
            latent_dim=8,
            preprocessor=keras.layers.Rescaling(1 / 127.5, offset=-1.0),
        )
        # XLA is tried where it is quick; on JAX there is no other way.
        jit_compile = BACKEND == "jax" or (
            BACKEND == "tensorflow" and row.library == "own"
        )
        model.compile(
            # Adam's state costs JAX seconds for each row.
            optimizer="adam" if row.library == "own" else "sgd",
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=jit_compile,
        )
        backbone.jit_compile = jit_compile
        steps.append("insert")

        logits = model.predict(images, verbose=0)
        assert logits.shape == (2, NUM_CLASSES)
        assert np.isfinite(logits).all()
        steps.append("predict")

        plain = plain_logits(row, model, images)
        scale = np.max(np.abs(plain))
        network = model.attention_block.attention.score_network
        kernel_shape = network.get_weights()[0].shape
        # The sigmoid is exactly 0, and so is the nearest anchor.
        zero = logits_with(model, images, np.zeros(kernel_shape), -1e4)
        assert np.max(np.abs(zero - plain)) <= 1e-5 * scale
        # Steep, because a LayerNormalization undoes what is equal everywhere;
        # both signs, because one of them can give zeros.
        steep = random.normal(scale=10.0, size=kernel_shape)
        effects = [
            np.max(np.abs(logits_with(model, images, kernel, 0.0) - plain))
            for kernel in (steep, -steep)
        ]
        assert max(effects) > 1e-4 * scale
        steps.append("zero scores")

        maps = model.attention(images)
        for name in ("mean", "stddev", "quantized"):
            assert maps[name].shape == (2, row.map_size, row.map_size)
            assert np.isfinite(maps[name]).all()
        steps.append("attention")

        before = network.get_weights()
        history = model.fit(images, labels, batch_size=2, verbose=0).history
        assert np.isfinite(history["loss"]).all()
        assert set(RATES) <= set(history)
        for old, new in zip(before, network.get_weights(), strict=True):
            assert np.any(old != new)
        steps.append("fit")

        samples = model.predict_samples(images, num_samples=2, seed=0)
        assert samples.shape == (2, 2, NUM_CLASSES)
        assert np.isfinite(samples).all()
        assert np.any(samples[0] != samples[1])
        steps.append("predict_samples")

        folder, files = saved
        path = folder / f"{row}.keras"
        model.save(path)
        np.savez(
            f"{path}.npz",
            images=images,
            logits=model.predict(images, verbose=0),
        )
        files[str(path)] = row
        steps.append("save")


@pytest.mark.parametrize(
    "ordinary",
    [
        pytest.param(True, id="ordinary"),
        pytest.param(False, id="large", marks=pytest.mark.large),
    ],
)
def test_files_reload_in_a_fresh_process(ordinary, saved):
    """One process for all files, so that its start is paid once."""
    files = {
        path: row for path, row in saved[1].items() if row.ordinary is ordinary
    }
    assert files, "Run together with test_backbone."
    process = subprocess.run(
        [sys.executable, "-c", RELOAD, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    outcomes = [
        json.loads(line.removeprefix("OUTCOME "))
        for line in process.stdout.splitlines()
        if line.startswith("OUTCOME ")
    ]
    assert len(outcomes) == len(files), process.stderr[-2000:]
    failures = []
    for outcome in outcomes:
        row = files[outcome["path"]]
        try:
            with recorded(row) as steps:
                assert "error" not in outcome, outcome["error"]
                assert outcome["difference"] <= 1e-5
                assert outcome["iterations"] == 1
                steps.append("reload")
        except AssertionError as error:
            failures.append(f"{row}: {error}")
    assert not failures, "\n".join(failures)
