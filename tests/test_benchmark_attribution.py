"""The bookkeeping of attribution's benchmark; no real time is asserted."""

import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from keras_aib.zoo.benchmarks import attribution as benchmark
from keras_aib.zoo.benchmarks import memory
from keras_aib.zoo.benchmarks.attribution import AttributionWorkload
from keras_aib.zoo.benchmarks.attribution import Case
from keras_aib.zoo.recipes.results import read_rows
from keras_aib.zoo.recipes.tables import all_tables

TINY = AttributionWorkload(
    "tiny", 8, batch_size=4, rounds=3, steps=1, search_steps=1, copies=2
)
ARGUMENTS = [
    *("--models", "tiny", "--rounds", "1"),
    *("--search-steps", "1", "--copies", "2"),
]


def build_tiny(image_size):
    images = keras.Input((image_size, image_size, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="first")(images)
    x = keras.layers.Conv2D(4, 3, padding="same", name="second")(x)
    pooled = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, keras.layers.Dense(3)(pooled))


@pytest.fixture(autouse=True)
def tiny_cases(monkeypatch):
    for name, method, layers in (
        ("tiny", "coiba", ("first", "second")),
        ("tiny_iba", "iba", ("second",)),
    ):
        case = Case(build_tiny, method, layers, 8)
        monkeypatch.setitem(benchmark.CASES, name, case)
    # Only processes on a device need it; the tests' own is left as it is.
    monkeypatch.setattr(benchmark, "GROWING", {})


class Explanation:
    """Takes 1 s a call and 0.5 s an image; 100 s the first time a size is."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def predict(self, images, batch_size, verbose):
        calls = len(images) // batch_size
        if batch_size not in {size for _, size in self.calls}:
            self.now += 100.0
        self.calls.append((images.tobytes(), batch_size))
        self.now += calls * 1.0 + len(images) * 0.5


def test_the_batch_and_the_loop_take_turns_on_the_same_images(monkeypatch):
    explanation = Explanation()
    monkeypatch.setattr(
        AttributionWorkload, "build", lambda self, variant: explanation
    )
    figures = benchmark.measure(TINY, lambda: explanation.now)
    assert [size for _, size in explanation.calls] == [4, *[4, 1] * 4]
    assert len({images for images, _ in explanation.calls}) == 1
    assert figures == {
        # Compiling is here and nowhere else: 100 + 1 + 4 x 0.5.
        "first_call_seconds": 103.0,
        # (1 + 2) / 4 and (4 + 2) / 4.
        "batched_seconds_per_image": 0.75,
        "loop_seconds_per_image": 1.5,
        "times_faster": 2.0,
        "times_faster_least": 2.0,
        "times_faster_most": 2.0,
    }


@pytest.mark.parametrize(
    ("model", "capacities"),
    [("tiny", ["first", "second"]), ("tiny_iba", ["second"])],
)
def test_what_is_timed_explains_as_asked(model, capacities):
    workload = AttributionWorkload(
        model, 8, batch_size=2, search_steps=3, copies=2
    )
    method = benchmark.CASES[model].method
    images = np.random.default_rng(0).random((2, 8, 8, 3), dtype="float32")
    result = workload.build(method).predict(images, batch_size=2, verbose=0)
    assert result.method.lower() == method
    assert list(result.capacity) == capacities
    assert result.loss_history.shape == (2, 3)
    assert result.options["copies"] == 2


@pytest.mark.slow
def test_rows_are_appended_once(tmp_path, monkeypatch, capsys):
    asked = []

    def peak_memory(workload):
        asked.append(workload.batch_size)
        return {"peak_memory_mb": 100.0 * workload.batch_size}

    monkeypatch.setattr(benchmark, "peak_memory", peak_memory)
    path = tmp_path / "results.csv"
    arguments = [*ARGUMENTS, "--results", str(path), "--batch-sizes"]
    benchmark.main([*arguments, "1"])
    benchmark.main([*arguments, "1", "2"])
    assert asked == [1, 2]
    shown = capsys.readouterr().out
    assert shown.count("batch 1") == shown.count("batch 2") == 1
    rows = read_rows(path)
    assert {row["experiment"] for row in rows} == {"attribution_speed"}
    assert {row["backend"] for row in rows} == {keras.config.backend()}
    assert {row["image_size"] for row in rows} == {"8"}
    assert rows[-1]["command"].endswith("--batch-sizes 1 2")
    assert all(float(row["value"]) > 0 for row in rows)
    for size in "12":
        setting = (
            f"{keras.config.backend()} on {rows[0]['device']}, batch {size}"
        )
        figures = {
            row["metric"]: row["value"]
            for row in rows
            if row["setting"] == setting
        }
        assert figures["peak_memory_mb"] == f"{size}00"
        assert "first_call_seconds" in figures
        line = f"| tiny | CoIBA | {setting} | "
        assert line in all_tables(rows)["attribution_speed"]
    assert "seeds" not in all_tables(rows)["attribution_speed"]


def test_another_backend_or_device_is_another_run(monkeypatch):
    first = benchmark.describe(TINY)["setting"]
    monkeypatch.setattr(benchmark, "device_name", lambda: "a GPU")
    second = benchmark.describe(TINY)["setting"]
    assert second == f"{keras.config.backend()} on a GPU, batch 4"
    assert first != second


def test_memory_is_that_of_a_process_of_its_own(monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        assert options["env"]["KERAS_BACKEND"] == keras.config.backend()
        return subprocess.CompletedProcess(command, 0, "noise\n150000000", "")

    monkeypatch.setattr(subprocess, "run", run)
    assert benchmark.peak_memory(TINY) == {"peak_memory_mb": 150.0}
    ((_, _, module, *arguments),) = commands
    assert module == "keras_aib.zoo.benchmarks.attribution"
    # What that process makes of it.
    options = benchmark.parse(arguments)
    assert options.only_memory
    again = benchmark.workload_of(
        *options.models, *options.batch_sizes, options
    )
    assert (again.search_steps, again.copies) == (1, 2)
    assert (again.image_size, again.batch_size) == (8, 4)


def test_what_such_a_process_prints(capsys, monkeypatch):
    # What this process has used and freed before would hide its growth.
    sizes = {"VmRSS": 1000, "VmHWM": 6000}
    monkeypatch.setattr(memory, "resident_bytes", sizes.get)
    arguments = [*ARGUMENTS, "--batch-sizes", "4", "--image-size", "64"]
    benchmark.main([*arguments, "--only-memory"])
    assert capsys.readouterr().out.split()[-1] == "5000"


@pytest.mark.once
def test_a_device_that_only_its_framework_can_tell_of(monkeypatch):
    asked = []

    def get_memory_info(device):
        asked.append(device)
        return {"current": 5, "peak": 70}

    monkeypatch.setattr(benchmark, "own_peak_memory", lambda *_: "unknown")
    experimental = types.SimpleNamespace(get_memory_info=get_memory_info)
    config = types.SimpleNamespace(experimental=experimental)
    monkeypatch.setitem(
        sys.modules, "tensorflow", types.SimpleNamespace(config=config)
    )
    assert benchmark.own_peak(TINY) == "70"
    assert asked == ["GPU:0"]


@pytest.mark.once
def test_a_process_that_fails_is_reported(monkeypatch):
    def run(command, **options):
        return subprocess.CompletedProcess(command, -9, "", "out of memory")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RuntimeError, match=r"(?s)--batch-sizes.*out of memory"):
        benchmark.peak_memory(TINY)


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "1 or more, not '0'"),
        (["--batch-sizes", "4", "many"], "1 or more, not 'many'"),
        (["--models", "unknown"], "vit_tiny32.cifar10"),
    ],
)
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(arguments)
    assert message in capsys.readouterr().err
