"""Exported files take turns with Keras; no time is asserted."""

import contextlib
import csv
import functools
import io
import os
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_aib.export import ExportError
from keras_aib.export import ExportResult
from keras_aib.export.conversion import FORMATS
from keras_aib.export.routes import find_routes
from keras_aib.zoo.benchmarks import latency as benchmark_latency
from keras_aib.zoo.benchmarks import speed as benchmark
from keras_aib.zoo.benchmarks.latency import Candidate
from keras_aib.zoo.benchmarks.latency import latency_tasks
from keras_aib.zoo.benchmarks.latency import serve
from keras_aib.zoo.benchmarks.latency import turn
from keras_aib.zoo.benchmarks.latency import write_candidates
from keras_aib.zoo.benchmarks.speed import Workload
from keras_aib.zoo.recipes import tables

TINY = Workload("tiny", 32, batch_size=1, rounds=2, steps=1)
FILES = (("tf_saved_model", None), ("onnx", "int8"))
FIGURES = {
    "images_per_second",
    "seconds",
    "seconds_least",
    "seconds_most",
    "ratio_to_keras_predict",
    "ratio_to_keras_predict_least",
    "ratio_to_keras_predict_most",
    "size_bytes",
}
PARITY = {
    "max_difference_probabilities",
    "mean_difference_probabilities",
    "max_difference_attention",
    "mean_difference_attention",
    "agreement",
}


def build_tiny(image_size):
    images = keras.Input((image_size, image_size, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, name="attended")(images)
    return keras.Model(images, keras.layers.Conv2D(4, 2)(x))


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch):
    monkeypatch.setitem(benchmark.MODELS, "tiny", (build_tiny, "attended"))


@pytest.fixture
def left_out(monkeypatch):
    names = []
    monkeypatch.setattr(
        benchmark_latency, "_leave_out", lambda name, _: names.append(name)
    )
    return names


class Processes:
    """In place of other processes: what they were asked, and their answers."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.asked = []
        self.requests = []

    @contextlib.contextmanager
    def __call__(self, request, backend):
        self.requests.append((backend, request))

        def ask(name):
            self.asked.append((backend, request["num_threads"], name))
            return next(self.seconds[name, request["num_threads"]])

        yield ask, "a made-up processor"


def export_nothing(model, path, file_format, quantization, **options):
    return ExportResult(
        path=path,
        metadata_path=path,
        format=file_format,
        quantization=quantization,
        route="torch",
        size=4_000_000,
        num_images=4,
        max_difference={"probabilities": 0.5},
        mean_difference={"probabilities": 0.25},
        agreement=1.0,
    )


@pytest.fixture
def processes(monkeypatch):
    answers = {}
    for count in (1, 2):
        # An untimed round, then two.
        answers["keras_predict", count] = iter([9.0, 2.0 / count, 4.0])
        answers["tf_saved_model float32", count] = iter([9.0, 1.0, 1.0])
        answers["onnx int8", count] = iter([9.0, 0.5, 2.0])
    fake = Processes(answers)
    monkeypatch.setattr(benchmark_latency, "_process", fake)
    monkeypatch.setattr(benchmark_latency, "export", export_nothing)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    return fake


def test_all_take_turns_in_one_run(processes):
    benchmark.benchmark_latency(TINY, FILES)
    own = keras.config.backend()
    one_round = [
        (backend, count, name)
        for count in (1, 2)
        for backend, name in (
            (own, "keras_predict"),
            ("tensorflow", "tf_saved_model float32"),
            (own, "onnx int8"),
        )
    ]
    assert processes.asked == one_round * 3


def test_a_saved_model_is_loaded_by_tensorflow_only(processes):
    benchmark.benchmark_latency(TINY, FILES)
    loaded = {}
    for backend, request in processes.requests:
        assert request["shape"] == (32, 32, 3)
        loaded.setdefault(request["num_threads"], []).append(
            (backend, list(request["files"]))
        )
    expected = [
        (keras.config.backend(), ["keras_predict", "onnx int8"]),
        ("tensorflow", ["tf_saved_model float32"]),
    ]
    if keras.config.backend() == "tensorflow":
        names = ["keras_predict", "tf_saved_model float32", "onnx int8"]
        expected = [("tensorflow", names)]
    assert loaded == {1: expected, 2: expected}


def test_each_is_divided_by_keras_on_as_many_threads(processes):
    figures, device = benchmark.benchmark_latency(TINY, FILES)
    assert device == "a made-up processor"
    one = figures["onnx int8, 1 thread"]
    assert one["ratio_to_keras_predict_least"] == 0.25
    assert one["ratio_to_keras_predict_most"] == 0.5
    assert one["seconds"] == 1.25
    assert one["images_per_second"] == 0.8
    assert one["size_bytes"] == 4_000_000
    assert one["mean_difference_probabilities"] == 0.25
    two = figures["onnx int8, 2 threads"]
    assert two["ratio_to_keras_predict"] == 0.5
    keras_itself = figures["keras_predict, 2 threads"]
    assert keras_itself["ratio_to_keras_predict"] == 1.0
    assert keras_itself["seconds"] == 2.5


def test_more_threads_than_cores_are_left_out(processes, monkeypatch, left_out):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    figures, _ = benchmark.benchmark_latency(TINY, FILES)
    assert left_out == ["2 threads"]
    assert all(variant.endswith(", 1 thread") for variant in figures)


def test_a_system_that_cannot_bind_processes(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity")
    with (
        pytest.raises(OSError, match="Run it on Linux"),
        latency_tasks(TINY.build("aib"), TINY),
    ):
        pass


@pytest.mark.parametrize("error", [ExportError, ImportError])
def test_what_cannot_be_exported_is_left_out(error, monkeypatch, tmp_path):
    def fail(model, path, file_format, *args, **options):
        if file_format == "onnx":
            raise error("install this and that")
        return export_nothing(model, path, file_format, *args)

    monkeypatch.setattr(benchmark_latency, "export", fail)
    with pytest.warns(UserWarning, match=r"onnx int8.*install this and that"):
        written = write_candidates(TINY.build("aib"), tmp_path, FILES)
    assert list(written) == ["keras_predict", "tf_saved_model float32"]
    keras_file = Path(written["keras_predict"].path)
    size = written["keras_predict"].metrics["size_bytes"]
    assert size == keras_file.stat().st_size > 0


@pytest.mark.once
def test_a_turn_begins_with_a_call_that_is_not_timed():
    now, calls = [100.0], []
    durations = iter([50.0, 1.0, 2.0])

    def run(images):
        calls.append(images.shape)
        now[0] += next(durations)

    images = np.zeros((3, 2, 2, 3))
    assert turn(run, images, 2, lambda: now[0]) == 0.5
    assert calls == [(3, 2, 2, 3)] * 3


def test_what_the_other_process_answers(tmp_path):
    path = tmp_path / "model.keras"
    TINY.build("aib_quantized").save(path)
    request = {
        "num_threads": 1,
        "batch_size": 5,
        "steps": 2,
        "shape": [32, 32, 3],
        "files": {"keras_predict": (None, str(path))},
    }
    answers = io.StringIO()
    serve(request, ["keras_predict\n"] * 2, answers)
    device, *seconds = answers.getvalue().splitlines()
    assert device
    assert len(seconds) == 2
    assert all(float(value) > 0 for value in seconds)


@pytest.mark.once
def test_a_process_that_fails_is_reported(monkeypatch, tmp_path):
    missing = Candidate(None, "no/model.keras", keras.config.backend())
    monkeypatch.setattr(
        benchmark_latency,
        "write_candidates",
        lambda *args: {"keras_predict": missing},
    )
    cores = os.sched_getaffinity(0)
    with (
        pytest.raises(RuntimeError, match=r"(?s)exit code 1.*no/model.keras"),
        latency_tasks(TINY.build("aib"), TINY),
    ):
        pass
    assert os.sched_getaffinity(0) == cores


def real_run(files, path, monkeypatch):
    """Rows by variant, the names in the order they were asked, and the rest."""
    asked = []
    process = benchmark_latency._process

    @contextlib.contextmanager
    def record(request, backend):
        with process(request, backend) as (ask, device):

            def ask_and_note(name):
                asked.append((name, request["num_threads"]))
                return ask(name)

            yield ask_and_note, device

    monkeypatch.setattr(benchmark_latency, "_process", record)
    measured = functools.partial(benchmark.benchmark_latency, files=files)
    monkeypatch.setattr(benchmark, "benchmark_latency", measured)
    benchmark.main(
        [
            *("--what", "latency", "--model", "tiny", "--image-size", "32"),
            *("--rounds", "2", "--steps", "1", "--output", str(path)),
        ]
    )
    with open(path, newline="") as file:
        return list(csv.DictReader(file)), asked


def check_real_run(files, path, monkeypatch, left_out):
    rows, asked = real_run(files, path, monkeypatch)
    written, missing = ["keras_predict"], []
    for file_format, quantization in files:
        name = f"{file_format} {quantization or 'float32'}"
        try:
            find_routes(FORMATS[file_format])
            written.append(name)
        except ImportError:
            missing.append(name)
    counts = [n for n in (1, 2) if n <= len(os.sched_getaffinity(0))]
    assert [name for name in left_out if "threads" not in name] == missing
    assert asked == [(name, n) for n in counts for name in written] * 3
    figures = {}
    for row in rows:
        assert row["experiment"] == "latency"
        assert row["setting"] == "32 px, batch 1"
        assert row["backend"] == keras.config.backend()
        assert "CPU cores" in row["device"]
        figures.setdefault(row["variant"], {})[row["metric"]] = row["value"]
    assert list(figures) == [
        benchmark_latency.variant_name(name, n)
        for n in counts
        for name in written
    ]
    for variant, values in figures.items():
        is_keras = variant.startswith("keras_predict")
        assert set(values) == (FIGURES if is_keras else FIGURES | PARITY)
        assert float(values["seconds"]) > 0
        assert float(values["size_bytes"]) > 1000
        if not is_keras and "float32" in variant:
            assert float(values["max_difference_probabilities"]) < 1e-4


# Processes for each number of threads; whatever backend, they do the same.
@pytest.mark.large
def test_a_run(tmp_path, monkeypatch, left_out):
    files = (("onnx", None), ("openvino", None))
    check_real_run(files, tmp_path / "rows.csv", monkeypatch, left_out)


@pytest.mark.once
@pytest.mark.large
def test_a_run_of_all_formats(tmp_path, monkeypatch, left_out):
    files = benchmark_latency.FILES
    check_real_run(files, tmp_path / "rows.csv", monkeypatch, left_out)


@pytest.mark.once
@pytest.mark.parametrize(
    ("argv", "size", "batch_size"),
    [
        (["--model", benchmark.TRAINED], 96, 1),
        (["--model", "resnet50"], 224, 1),
        (["--batch-size", "4", "--image-size", "64"], 64, 4),
    ],
)
def test_defaults(argv, size, batch_size, monkeypatch):
    workloads = []
    monkeypatch.setattr(
        benchmark,
        "measure",
        lambda workload, *_: workloads.append(workload) or [],
    )
    benchmark.main(["--what", "latency", *argv])
    (workload,) = workloads
    assert (workload.image_size, workload.batch_size) == (size, batch_size)


@pytest.mark.once
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model", benchmark.TRAINED], "for --what latency only"),
        (
            ["--what", "training,latency", "--precision", "bfloat16"],
            "--precision float32 only",
        ),
        (["--what", "latency", "--batch-size", "0"], "must be 1 or more"),
    ],
)
def test_bad_arguments(argv, message, capsys):
    with pytest.raises(SystemExit):
        benchmark.main(argv)
    assert message in capsys.readouterr().err


@pytest.mark.once
def test_the_table_has_a_line_for_each_runtime_and_number_of_threads():
    row = dict.fromkeys(("seed", "seconds", "device", "keras", "commit"), "")
    row |= {"experiment": "latency", "model": "m", "backend": "torch"}
    row |= {"setting": "s", "command": "c", "variant": "onnx int8, 2 threads"}
    values = {
        "seconds": "0.0123",
        "ratio_to_keras_predict": "0.5",
        "ratio_to_keras_predict_least": "0.4",
        "ratio_to_keras_predict_most": "0.6",
        "size_bytes": "4.1e6",
    }
    rows = [{**row, "metric": m, "value": v} for m, v in values.items()]
    table = tables.latency_table(rows)
    line = "| onnx int8 | 2 | 12.30 | 0.500 | 0.400 | 0.600 | 4.10 |"
    assert line in table
    assert "ms per image" in table
    assert tables.latency_table([]) == "Not run yet."
