"""Classify photos with a SavedModel, from the command line or over HTTP.

Command:  python examples/serve_saved_model.py saved_model photo.jpg
          python examples/serve_saved_model.py saved_model --port 8000
          curl --data-binary @photo.jpg http://127.0.0.1:8000/
Needs:    pip install -r examples/requirements-serving.txt; no Keras (TensorFlow
          installs it, nothing here uses it), no GPU. The folder comes from
          keras_aib.export.export(model, "saved_model",
          format="tf_saved_model").
Makes:    overlay.png   the photo, the map over it, class and probability; with
          --port no file: the answer to a photo is JSON with class,
          probabilities and attention.
Cost:     5 s and 680 MB of memory, nearly all of it to start TensorFlow, then
          0.04 s per request, on 2 CPU cores with the zoo's
          aib_efficientnet_lite0.cifar10.
"""

import argparse
import io
import json
import os
import threading
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

import numpy as np
import photo

MAX_BODY = 32 * 1024 * 1024
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    options = parse_options()
    description = photo.read_description(options.model, "tf_saved_model")
    if options.port is not None:
        serve(SavedModel(options.model, description), options)
        return
    photo.check_output(options)
    picture, pixels = photo.read_photo(options.photo, description.image_size)
    model = SavedModel(options.model, description)
    photo.show(options, picture, model.explain(pixels))


def parse_options() -> argparse.Namespace:
    parser = photo.make_parser(__doc__, photo_required=False)
    parser.add_argument(
        "--port", type=int, help="answer over HTTP; 0 takes a free port"
    )
    parser.add_argument("--host", default="127.0.0.1")
    options = parser.parse_args()
    if (options.photo is None) == (options.port is None):
        parser.error("give either a photo or --port")
    return options


class SavedModel:
    """A SavedModel behind its `serving_default` signature."""

    def __init__(self, path: Path, description: photo.Description):
        # Here, not above: it takes seconds, and a mistyped name is told first.
        import tensorflow as tf

        self.constant = tf.constant
        self.path = path
        self.description = description
        try:
            # The signature alone does not keep the variables alive.
            self.loaded = tf.saved_model.load(str(path))
            self.signature = self.loaded.signatures["serving_default"]
            _, inputs = self.signature.structured_input_signature
            self.input = inputs["images"]
        except Exception as error:
            raise photo.unloadable(path, "TensorFlow", error) from None

    def explain(self, pixels: np.ndarray) -> photo.Explanation:
        images = photo.make_batch(
            self.path,
            pixels,
            tuple(self.input.shape),
            self.input.dtype.as_numpy_dtype,
        )
        outputs = self.signature(images=self.constant(images))
        return photo.explain(
            self.path,
            self.description,
            outputs["probabilities"].numpy(),
            outputs["attention"].numpy(),
        )


def serve(model: SavedModel, options: argparse.Namespace) -> None:
    # Whatever is wrong with the model shows now, not at the first photo.
    model.explain(np.zeros((*model.description.image_size, 3), "uint8"))
    handler = type("PhotoHandler", (Handler,), {"model": model})
    try:
        server = ThreadingHTTPServer((options.host, options.port), handler)
    except (OSError, OverflowError) as error:
        raise photo.InputError(
            f"Port {options.port} of {options.host} cannot be used ({error}). "
            "Choose another one with --port."
        ) from None
    address = f"http://{options.host}:{server.server_port}/"
    print(f"POST a photo to {address} (Ctrl-C ends)", flush=True)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("Ended.")


class Handler(BaseHTTPRequestHandler):
    """Answers the bytes of a photo with JSON."""

    model: SavedModel
    # A decoded photo is large: one at a time bounds the memory.
    lock = threading.Lock()
    protocol_version = "HTTP/1.1"
    timeout = 30  # seconds that a client may be silent

    def do_POST(self) -> None:
        if refusal := self.refusal():
            self.discard_body()
            self.answer(*refusal)
            return
        length = self.content_length() or 0
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        try:
            with self.lock:
                _, pixels = photo.read_photo(
                    io.BytesIO(body), self.model.description.image_size
                )
                explanation = self.model.explain(pixels)
        except photo.InputError as error:
            self.answer(400, error_json(str(error)))
            return
        self.answer(200, explanation.to_json())

    def do_GET(self) -> None:
        self.answer(405, error_json("POST the bytes of a photo to /."))

    def handle_expect_100(self) -> bool:
        # curl asks before it sends a large photo.
        if refusal := self.refusal():
            self.answer(*refusal)
            return False
        return super().handle_expect_100()

    def refusal(self) -> tuple[int, str] | None:
        """Status and message for a request whose body is not worth reading."""
        length = self.content_length()
        if self.path != "/":
            return 404, error_json("POST the bytes of a photo to /.")
        if length is None:
            return 411, error_json("Send the photo with its Content-Length.")
        if length > MAX_BODY:
            megabytes = MAX_BODY // 1024**2
            return 413, error_json(
                f"The photo is larger than {megabytes} MB. Make it smaller."
            )
        return None

    def content_length(self) -> int | None:
        text = self.headers.get("Content-Length", "")
        # `int` takes signs and spaces, and refuses thousands of digits.
        digits = text.isascii() and text.isdecimal() and len(text) < 16
        return int(text) if digits else None

    def discard_body(self) -> None:
        """A client that is still sending would not see the answer."""
        left = min(self.content_length() or 0, 4 * MAX_BODY)
        while left and (part := self.rfile.read(min(left, 1 << 16))):
            left -= len(part)

    def answer(self, status: int, content: str) -> None:
        body = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status >= 400:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)


def error_json(message: str) -> str:
    return json.dumps({"error": message})


if __name__ == "__main__":
    with photo.errors_in_one_line():
        main()
