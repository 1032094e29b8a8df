"""The command line: what it prints, writes and refuses."""

import json
import os
import re
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from command_runs import run
from PIL import Image
from training_runs import tiny_model

from keras_aib import cli
from keras_aib import zoo
from keras_aib.cli import options
from keras_aib.runs import RunConfig
from keras_aib.runs import TrainingRun

pytestmark = pytest.mark.filterwarnings(
    # The environment for JAX has no tensorboard.
    "ignore:tensorboard is not installed"
)


@pytest.fixture(scope="module")
def trained(material, tmp_path_factory):
    """A run of one epoch, from the command line."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = run(
        *("train", "--data", material / "images", "--output", folder),
        *("--model", material / "preset", "--epochs", 1, "--batch-size", 4),
    )
    assert f"in epoch 1 of 1: {folder / 'best.keras'}" in result.output
    return folder


@pytest.mark.once
def test_as_a_program():
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    result = subprocess.run(
        [sys.executable, "-m", "keras_aib.cli", "info", "no_such_model"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.returncode == 1
    # TensorFlow has its say before.
    assert result.stderr.splitlines()[-1].startswith("Error: Unknown model")
    assert "Traceback" not in result.stderr


@pytest.mark.once
@pytest.mark.parametrize(
    "command",
    ["", "list", "info", "train", "evaluate", "explain", "export"],
)
def test_every_command_explains_itself(command):
    result = run(*command.split(), "--help")
    assert "Usage: " in result.output
    assert len(result.output.splitlines()) > 4


@pytest.mark.once
def test_list_and_info():
    names = run("list", "efficientnet_lite0*").output.split()
    assert names == zoo.list_models("efficientnet_lite0*") != []
    assert run("list").output.split() == zoo.list_models()
    result = run("list", "nothing*", code=1)
    assert "No model's name matches" in result.output
    shown = run("info", "efficientnet_lite0.imagenet").output
    assert "4,652,008" in shown
    assert "224 x 224" in shown
    assert "Apache-2.0" in shown
    assert "<function" not in shown


def test_train_writes_what_it_was_told(trained, material):
    config = RunConfig.read(trained)
    assert config.data == str(material / "images")
    assert (config.epochs, config.batch_size, config.seed) == (1, 4, 0)
    assert config.trained_part == "tail"
    assert (trained / "best.keras").is_file()


@pytest.mark.once
def test_train_asks_for_what_is_missing(material, trained, tmp_path):
    images, preset = material / "images", material / "preset"
    given = ("train", "--data", images, "--model", preset)
    assert "--output" in run(*given, code=2).output
    assert "'--model'" in run("train", "--data", images, code=2).output
    result = run(*given, "--output", trained, code=1)
    assert f"--resume {trained}" in result.output
    result = run("train", "--resume", trained, "--beta", 1, code=2)
    assert "--beta cannot be changed with --resume" in result.output
    result = run("train", "--resume", tmp_path, code=1)
    assert "is no training run" in result.output
    result = run(*given, "--output", tmp_path, "--image-size", "big", code=2)
    assert "'big' is no image size" in result.output


@pytest.mark.once
def test_ctrl_c_says_how_to_go_on(material, tmp_path, monkeypatch):
    def interrupted(self, **kwargs):
        self.config.write(self.folder)
        raise KeyboardInterrupt

    monkeypatch.setattr(TrainingRun, "train", interrupted)
    folder = tmp_path / "run"
    result = run(
        *("train", "--data", material / "images", "--output", folder),
        *("--model", material / "preset"),
        code=130,
    )
    assert f"keras-aib train --resume {folder}" in result.stderr


@pytest.mark.once
def test_evaluate(trained, material, tmp_path):
    table = run("evaluate", trained).output
    assert re.search(r"^num images +2$", table, re.M)
    # Of a folder of class folders all images are taken, where no run tells
    # that the model was trained on some.
    shutil.copy(trained / "last.keras", tmp_path)
    figures = json.loads(
        run(
            *("evaluate", tmp_path / "last.keras", "--json"),
            *("--data", material / "images", "--batch-size", 6),
        ).output
    )
    assert figures["num_images"] == 12
    assert 0 <= figures["expected_calibration_error"] <= 1
    model = keras.saving.load_model(trained / "last.keras", compile=False)
    cross_entropy = figures["negative_log_likelihood"]
    rate = figures["kl_bits"] * np.log(2)
    # As the warm-up had it at the end of the epoch.
    beta = float(keras.ops.convert_to_numpy(model.bottleneck.beta))
    assert beta * rate > 3e-4
    # What is left of the loss are the anchors' two small terms.
    expected = pytest.approx(cross_entropy + beta * rate, abs=2e-4)
    assert figures["loss"] == expected
    limited = run(
        *("evaluate", tmp_path / "last.keras", "--json", "--limit", 3),
        *("--data", material / "images"),
    )
    assert json.loads(limited.output)["num_images"] == 3


@pytest.mark.once
def test_evaluate_compares_the_classes(trained, material, tmp_path):
    result = run("evaluate", material / "preset", code=1)
    assert "`--data`" in result.output
    images = material / "images"
    result = run("evaluate", material / "preset", "--data", images, code=1)
    assert "3 classes apart" in result.output
    for name in ("ant", "cow"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (4, 4)).save(tmp_path / name / "0.png")
    result = run("evaluate", trained, "--data", tmp_path, code=1)
    assert "bee" in result.output


def test_explain(trained, material, tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "maps"
    (photos / "more").mkdir(parents=True)
    wide = Image.new("RGB", (1000, 500), "white")
    wide.save(photos / "a & <b>.png")
    upright = Image.Exif()
    upright[0x0112] = 6
    wide.save(photos / "more" / "turned.jpg", exif=upright)
    (photos / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    result = run("explain", trained, "--images", photos, "--output", output)
    assert "2 images" in result.output
    assert "Not readable: torn.jpg" in result.stderr
    sizes = {}
    for path in (output / "overlays").rglob("*.png"):
        with Image.open(path) as overlay:
            name = path.relative_to(output / "overlays").as_posix()
            sizes[name] = overlay.size
    assert sizes == {
        "a & <b>.png.png": (640, 320),
        "more/turned.jpg.png": (320, 640),
    }
    page = (output / "index.html").read_text()
    assert "a &amp; &lt;b&gt;.png" in page
    assert "<b>" not in page
    assert "torn.jpg" in page
    # Photo and overlay of each are in the page itself.
    sources = re.findall(r"src='([^']*)'", page)
    assert len(sources) == 4
    assert all(x.startswith("data:image/jpeg;base64,") for x in sources)
    (probability, *_) = re.findall(r"class='number'>([\d.]+)%", page)
    assert 50 <= float(probability) <= 100


@pytest.mark.once
def test_the_page_is_sorted_by_class_and_probability(tmp_path):
    from keras_aib.visualization.page import Explanation
    from keras_aib.visualization.page import ExplanationIndex

    index = ExplanationIndex("<i>")
    photo = np.zeros((4, 4, 3), "uint8")
    for name, of_class, probability in (
        ("1.png", "dog", 0.6),
        ("2.png", "cat", 0.7),
        ("3.png", "cat", 0.9),
    ):
        index.add(Explanation(name, photo, photo, of_class, probability))
    index.write(tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert re.findall(r"\d\.png", page) == ["3.png", "2.png", "1.png"]
    assert "<i>" not in page


@pytest.mark.once
def test_what_cannot_be_explained(trained, material, tmp_path):
    def explain(images, output, *more, model=trained):
        arguments = ("--images", images, "--output", output)
        return run("explain", model, *arguments, *more, code=1).output

    assert "no folder" in explain(tmp_path / "x", tmp_path / "maps")
    assert "no images" in explain(tmp_path, tmp_path.parent / "maps")
    inside = explain(tmp_path, tmp_path / "maps")
    assert "Choose another folder" in inside
    (tmp_path / "torn.png").write_bytes(b"")
    nothing = explain(tmp_path, tmp_path.parent / "maps")
    assert "None of the 1 images" in nothing
    continuous = tmp_path / "continuous.keras"
    model = tiny_model()
    arguments = {**vars(model._arguments), "num_anchors": None}
    type(model)(**arguments).save(continuous)
    images = material / "images"
    output = tmp_path.parent / "maps"
    which = explain(images, output, "--which", "quantized", model=continuous)
    assert "no 'quantized' attention map" in which


def test_another_backend_needs_another_process(monkeypatch):
    calls = []

    def execute(*arguments):
        calls.append(arguments)
        raise SystemExit(0)

    other = "jax" if keras.config.backend() == "torch" else "torch"
    monkeypatch.setattr(options.os, "execve", execute)
    monkeypatch.setattr(options, "is_installed", lambda name: True)
    arguments = ("evaluate", "somewhere", "--backend", other)
    run(*arguments)
    ((program, command, environment),) = calls
    assert command == [program, "-m", "keras_aib.cli", *arguments]
    assert environment["KERAS_BACKEND"] == other
    assert program == sys.executable

    monkeypatch.setattr(options, "is_installed", lambda name: False)
    result = run(*arguments, code=1)
    assert f"pip install {other}" in result.output
    assert len(calls) == 1


def test_resume_goes_on_with_the_backend_of_the_run(tmp_path, monkeypatch):
    other = "jax" if keras.config.backend() == "torch" else "torch"
    RunConfig(data="", model="", backend=other).write(tmp_path)
    monkeypatch.setattr(options, "is_installed", lambda name: False)
    result = run("train", "--resume", tmp_path, code=1)
    assert f"pip install {other}" in result.output


@pytest.mark.once
def test_benchmark_gets_its_arguments(monkeypatch):
    received = []
    module = types.ModuleType("benchmark")
    module.main = received.append
    monkeypatch.setitem(sys.modules, "keras_aib.zoo.benchmarks.speed", module)
    run("benchmark", "--pixels", "224", "--help", "more")
    assert received == [["--pixels", "224", "--help", "more"]]


@pytest.mark.once
def test_an_error_shows_its_traceback_on_request():
    with pytest.raises(ValueError, match="Unknown model"):
        run("--traceback", "info", "no_such_model")


@pytest.mark.once
def test_without_click_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(cli, "is_installed", lambda name: False)
    with pytest.raises(SystemExit, match="pip install click"):
        cli.main(["list"])


@pytest.mark.once
def test_paths_are_kept_whole_so_that_a_run_resumes_from_anywhere(
    material, tmp_path, monkeypatch
):
    def trained(self, **kwargs):
        seen.append(self.config)
        return [{"val_accuracy": 1.0}]

    monkeypatch.chdir(material)
    monkeypatch.setattr(TrainingRun, "train", trained)
    # `cifar10` is the dataset, whatever lies in the folder.
    (material / "cifar10").mkdir()
    seen = []
    for spec, expected in (
        ("images", str(material / "images")),
        ("stl10:images", f"stl10:{material / 'images'}"),
        ("tfds:beans", "tfds:beans"),
        ("cifar10", "cifar10"),
    ):
        arguments = ("--model", "preset", "--output", tmp_path / "run")
        run("train", "--data", spec, *arguments)
        assert seen[-1].data == expected
        assert seen[-1].model == str(material / "preset")


@pytest.mark.once
@pytest.mark.large
def test_a_model_of_the_zoo_from_training_to_the_page(material, tmp_path):
    folder = tmp_path / "run"
    run(
        *("train", "--data", material / "images", "--output", folder),
        *("--model", "aib_efficientnet_lite0.imagenet", "--image-size", 64),
        *("--epochs", 1, "--limit", 6, "--num-anchors", 5, "--beta", 1e-3),
    )
    assert json.loads(run("evaluate", folder, "--json").output)["kl_bits"] > 0
    model = keras.saving.load_model(folder / "best.keras", compile=False)
    assert model.get_config()["num_anchors"] == 5
    images = material / "images" / "ant"
    run("explain", folder, "--images", images, "--output", tmp_path / "maps")
    assert (tmp_path / "maps" / "index.html").stat().st_size > 10_000


def test_export(trained, tmp_path):
    path = tmp_path / "photos.onnx"
    result = run("export", trained, "--output", path)
    assert f"{path}: onnx" in result.output
    assert "same class for 100.0%" in result.output
    metadata = json.loads((tmp_path / "photos.onnx.json").read_text())
    assert metadata["class_names"] == ["ant", "bee"]
    again = run("export", trained, "--output", path, code=1)
    assert "overwrite" in again.output
    run("export", trained, "--output", path, "--overwrite")


@pytest.mark.once
def test_export_compares_on_the_images_it_is_given(trained, material, tmp_path):
    result = run(
        *("export", trained, "--output", tmp_path / "logits.onnx"),
        *("--data", material / "images", "--limit", 3),
        *("--outputs", "logits,attention_mean", "--batch-size", 1),
    )
    assert "on 3 images" in result.output
    metadata = json.loads((tmp_path / "logits.onnx.json").read_text())
    assert set(metadata["outputs"]) == {"logits", "attention_mean"}
    assert metadata["input"]["shape"][0] == 1


@pytest.mark.once
def test_a_plain_classifier_is_exported_too(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    model.save(tmp_path / "plain.keras")
    run("export", tmp_path / "plain.keras", "--output", tmp_path / "plain.onnx")
    metadata = json.loads((tmp_path / "plain.onnx.json").read_text())
    assert set(metadata["outputs"]) == {"probabilities"}


@pytest.mark.once
def test_export_refuses_int8_blindly(material, tmp_path):
    result = run(
        *("export", material / "preset", "--output", tmp_path / "x.onnx"),
        *("--quantization", "int8"),
        code=1,
    )
    assert "Give them: `--data`" in result.output
    assert list(tmp_path.iterdir()) == []
