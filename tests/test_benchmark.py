"""The benchmark's bookkeeping, on a tiny backbone; no time is asserted."""

import csv
import functools
import itertools
import subprocess

import keras
import numpy as np
import pytest

from keras_aib.zoo.benchmarks import memory as benchmark_memory
from keras_aib.zoo.benchmarks import speed as benchmark
from keras_aib.zoo.benchmarks.speed import Workload
from keras_aib.zoo.benchmarks.speed import compare
from keras_aib.zoo.benchmarks.speed import interleave

TINY = Workload("tiny", 8, batch_size=2, rounds=2, steps=1, num_samples=3)


def build_tiny(image_size):
    images = keras.Input((image_size, image_size, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, name="attended")(images)
    return keras.Model(images, keras.layers.Conv2D(4, 2)(x))


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch):
    monkeypatch.setitem(benchmark.MODELS, "tiny", (build_tiny, "attended"))


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Clock:
    """Time passes only when a task says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.once
def test_tasks_take_turns_after_a_round_that_is_not_timed():
    clock, order = Clock(), []
    durations = {
        "plain": iter([50.0, 1.0, 2.0, 3.0]),
        "aib": iter([90.0, 1.5, 5.0, 3.0]),
    }

    def task(name):
        order.append(name)
        clock.now += next(durations[name])

    tasks = {name: lambda name=name: task(name) for name in durations}
    seconds = interleave(tasks, 3, clock)
    assert order == ["plain", "aib"] * 4
    assert seconds == {"plain": [1.0, 2.0, 3.0], "aib": [1.5, 5.0, 3.0]}


@pytest.mark.once
def test_ratios_compare_within_a_round():
    seconds = {"plain": [1.0, 2.0, 4.0], "aib": [1.5, 5.0, 4.0]}
    figures = compare(seconds, "plain", num_images=8)
    assert figures["aib"] == {
        "images_per_second": 2.0,
        "seconds": 4.0,
        "seconds_least": 1.5,
        "seconds_most": 5.0,
        # Of 1.5, 2.5 and 1.0; the quotient of the medians would be 2.
        "ratio_to_plain": 1.5,
        "ratio_to_plain_least": 1.0,
        "ratio_to_plain_most": 2.5,
    }
    assert figures["plain"]["ratio_to_plain"] == 1.0
    assert figures["plain"]["images_per_second"] == 4.0


@pytest.mark.parametrize("kind", ["training", "inference"])
def test_steps(kind, monkeypatch):
    calls = []
    method = "fit" if kind == "training" else "predict"
    original = getattr(keras.Model, method)

    @functools.wraps(original)
    def record(self, x, *args, **kwargs):
        calls.append((type(self).__name__, x.shape, kwargs["batch_size"]))
        return original(self, x, *args, **kwargs)

    monkeypatch.setattr(keras.Model, method, record)
    ticks = itertools.count()
    figures = benchmark.benchmark_steps(
        TINY, kind, ("plain", "aib_quantized"), lambda: float(next(ticks))
    )
    data = ((2, 8, 8, 3), 2)
    names = ["Functional", "AIBClassifier"] * 3
    assert calls == [(name, *data) for name in names]
    assert set(figures) == {"plain", "aib_quantized"}
    assert figures["aib_quantized"]["ratio_to_plain"] == 1.0
    assert figures["plain"]["images_per_second"] == 2.0


def test_samples_are_compared_with_trunk_and_tails():
    figures = benchmark.benchmark_samples(TINY)
    assert list(figures) == ["trunk_and_tails", "predict_samples", "passes"]
    for name, values in figures.items():
        assert np.isfinite(list(values.values())).all(), name
    assert figures["trunk_and_tails"]["ratio_to_trunk_and_tails"] == 1.0


@pytest.mark.once
def test_growth():
    workload = Workload("tiny", image_size=16, batch_size=2)
    sizes = [x.image_size for x in benchmark.grown(workload, "pixels")]
    counts = [x.batch_size for x in benchmark.grown(workload, "batch")]
    assert sizes == [8, 16, 24]
    assert counts == [1, 2, 3, 4]


def test_rows(tmp_path, monkeypatch, capsys):
    memory = {"plain": 200, "aib_quantized": 300}
    monkeypatch.setattr(
        benchmark,
        "peak_memory",
        lambda workload, kind, variants: {
            name: {"peak_memory_mb": memory[name]}
            for name in variants
            if name in memory
        },
    )
    path = tmp_path / "results.csv"
    argv = [
        *("--model", "tiny", "--image-size", "8", "--batch-size", "2"),
        *("--rounds", "1", "--steps", "1", "--num-samples", "2"),
        *("--what", "inference,samples", "--precision", "bfloat16"),
        *("--output", str(path)),
    ]
    benchmark.main(argv)
    rows = read(path)
    assert {row["backend"] for row in rows} == {keras.config.backend()}
    assert {row["model"] for row in rows} == {"tiny"}
    for row in rows:
        assert "8 px, batch 2, bfloat16" in row["setting"]
        assert row["command"].endswith(f"--output {path}")
        assert keras.version() in row["keras"]
        assert row["commit"] and row["device"]
        assert float(row["value"]) > 0
    inference = [row for row in rows if row["experiment"] == "benchmark"]
    variants = list(dict.fromkeys(row["variant"] for row in inference))
    assert variants == ["plain", "deterministic", "aib", "aib_quantized"]
    peaks = {
        row["variant"]: float(row["value"])
        for row in inference
        if row["metric"] == "peak_memory_mb"
    }
    assert peaks == memory
    samples = {r["variant"] for r in rows if "samples" in r["setting"]}
    assert samples == {"trunk_and_tails", "predict_samples", "passes"}
    assert keras.config.dtype_policy().name == "float32"
    assert "ratio_to_plain" in capsys.readouterr().out


@pytest.mark.once
def test_memory_is_that_of_a_process_of_its_own(monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        assert options["env"]["KERAS_BACKEND"] == keras.config.backend()
        plain = "plain" in command
        output = "noise\n100000000" if plain else "150000000"
        return subprocess.CompletedProcess(command, 0, output, "")

    monkeypatch.setattr(subprocess, "run", run)
    figures = benchmark_memory.peak_memory(TINY, "training", ("plain", "aib"))
    assert figures == {
        "plain": {"peak_memory_mb": 100.0, "memory_ratio_to_plain": 1.0},
        "aib": {"peak_memory_mb": 150.0, "memory_ratio_to_plain": 1.5},
    }
    assert len(commands) == 2
    assert commands[0][1:3] == ["-m", "keras_aib.zoo.benchmarks.speed"]


@pytest.mark.once
def test_what_such_a_process_prints(capsys, monkeypatch):
    # What this process has used and freed before would hide its growth.
    sizes = {"VmRSS": 1000, "VmHWM": 6000}
    monkeypatch.setattr(benchmark_memory, "resident_bytes", sizes.get)
    benchmark.main(
        [
            *("--memory-of", "aib_quantized", "training", "--model", "tiny"),
            *("--image-size", "64", "--batch-size", "4"),
        ]
    )
    assert capsys.readouterr().out.split()[-1] == "5000"


@pytest.mark.once
def test_the_most_memory_grows_with_what_is_held():
    resident = benchmark_memory.resident_bytes
    most, now = resident("VmHWM"), resident("VmRSS")
    held = np.ones(most - now + 2**26, "uint8")
    assert resident("VmHWM") > most + 2**25
    del held


@pytest.mark.once
def test_a_process_that_fails_is_reported(monkeypatch):
    def run(command, **options):
        return subprocess.CompletedProcess(command, -9, "", "out of memory")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RuntimeError, match=r"(?s)--batch-size.*out of memory"):
        benchmark_memory.peak_memory(TINY, "training", ("plain",))


@pytest.mark.once
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--what", "speed"], "speed"),
        (["--rounds", "0"], "--rounds must be 1 or more"),
        (["--model", "unknown"], "resnet50"),
    ],
)
def test_bad_arguments(argv, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert message in capsys.readouterr().err
