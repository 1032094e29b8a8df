"""The SavedModel behind its signature, over HTTP."""

import http.client
import io
import json
import re
import signal
import subprocess

import numpy as np
import pytest
from deployed import EXAMPLES
from deployed import assert_one_line
from deployed import clean_environment
from deployed import numbers
from deployed import python_of
from deployed import run
from PIL import Image

pytestmark = pytest.mark.deployment
pytest_plugins = ["deployment_fixtures"]


@pytest.fixture(scope="module")
def server(exported, tmp_path_factory):
    """The port of a server, which must end by itself on Ctrl-C."""
    errors = tmp_path_factory.mktemp("server") / "errors.txt"
    with errors.open("w") as file:
        process = subprocess.Popen(
            [
                *(python_of("tf_saved_model"), "-B"),
                *(EXAMPLES / "serve_saved_model.py", exported / "saved_model"),
                *("--port", "0"),
            ],
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
            env=clean_environment(),
        )
    with process:
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            assert address, errors.read_text()
            yield int(address[1])
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0, errors.read_text()
            assert "Traceback" not in errors.read_text()
        finally:
            process.kill()


def request(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        assert answer.getheader("Content-Type") == "application/json"
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_server_answers_what_the_command_prints(
    server, exported, photos, tmp_path
):
    photo = photos / "cat.png"
    printed = numbers(
        "tf_saved_model", exported / "saved_model", photo, tmp_path
    )
    status, answer = request(server, "POST", "/", photo.read_bytes())
    assert status == 200
    assert answer["class"] == printed["class"] == "cat"
    assert answer["probabilities"] == pytest.approx(
        printed["probabilities"], abs=1e-6
    )
    np.testing.assert_allclose(
        answer["attention"], printed["attention"], atol=1e-6
    )


def test_server_keeps_a_connection(server, photos):
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=120)
    answers = []
    for name in ("cat.png", "temple.png"):
        connection.request("POST", "/", (photos / name).read_bytes())
        answers.append(json.loads(connection.getresponse().read())["class"])
    connection.close()
    assert answers == ["cat", "ship"]


def huge_photo():
    file = io.BytesIO()
    Image.new("1", (10_001, 10_000)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda photo: b"no photo", "is no photo"),
        (lambda photo: b"", "is no photo"),
        (lambda photo: photo[: len(photo) // 2], "cannot be read"),
        (lambda photo: b"%!PS-Adobe-3.0 EPSF-3.0\n", "is no photo"),
        (lambda photo: huge_photo(), "Make it smaller"),
    ],
)
def test_server_refuses_bad_bytes(body, message, server, photos):
    content = body((photos / "cat.png").read_bytes())
    status, answer = request(server, "POST", "/", content)
    assert status == 400
    assert message in answer["error"]
    assert "BytesIO" not in answer["error"]


def test_server_refuses_a_large_body(server):
    status, answer = request(server, "POST", "/", bytes(33 * 1024 * 1024))
    assert status == 413
    assert "32 MB" in answer["error"]
    # A client that asks first need not send it.
    status, _ = request(
        *(server, "POST", "/"),
        headers={"Content-Length": str(1 << 40), "Expect": "100-continue"},
    )
    assert status == 413


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("GET", "/", {}, 405),
        ("POST", "/photo", {}, 404),
        ("POST", "/", {"Content-Length": "-1"}, 411),
        ("POST", "/", {"Content-Length": "9" * 5000}, 411),
        ("POST", "/", {"Transfer-Encoding": "chunked"}, 411),
    ],
)
def test_server_refuses_other_requests(method, path, headers, expected, server):
    status, answer = request(server, method, path, None, headers)
    assert status == expected
    assert answer["error"].endswith(".")


def test_server_says_that_its_port_is_taken(server, exported, tmp_path):
    result = run(
        *("tf_saved_model", exported / "saved_model", "--port", str(server)),
        cwd=tmp_path,
    )
    assert_one_line(
        result, "serve_saved_model.py", f"Port {server} .*Choose another one"
    )


@pytest.mark.parametrize("arguments", [(), ("cat.png", "--port", "0")])
def test_photo_or_port(arguments, exported, tmp_path):
    result = run(
        "tf_saved_model", exported / "saved_model", *arguments, cwd=tmp_path
    )
    assert result.returncode == 2
    assert "give either a photo or --port" in result.stderr
