"""Serve the page and one exported model on this computer.

Command:  python serve.py MODEL.onnx [--port 8000]
Needs:    Python's standard library, and `npm ci` in this folder once.
Serves:   the page, onnxruntime-web, /model.onnx and /model.onnx.json, and
          nothing else, to this computer alone.
"""

import argparse
import contextlib
import shutil
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from http.server import ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
RUNTIME = "node_modules/onnxruntime-web/dist"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".wasm": "application/wasm",
}
# The browser itself refuses every other host.
SECURITY_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
    "worker-src 'self' blob:; img-src 'self' blob: data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--port", type=int, default=8000, help="0 takes any")
    options = parser.parse_args()
    if options.model.suffix != ".onnx":
        sys.exit(f"Expected a file ending in .onnx. Received: {options.model}")
    files = served_files(options.model.resolve())
    for path in files.values():
        if not path.is_file():
            sys.exit(f"{path} is missing. {remedy(path)}")
    try:
        server = PageServer(("127.0.0.1", options.port), files)
    except (OSError, OverflowError) as error:
        sys.exit(f"Port {options.port}: {error}. Choose another with --port.")
    print(f"http://localhost:{server.server_port}/  (Ctrl+C ends)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def served_files(model: Path) -> dict[str, Path]:
    """A request is looked up here, so no path can lead anywhere else."""
    names = [
        "index.html",
        "style.css",
        *sorted(path.name for path in FOLDER.glob("*.js")),
        f"{RUNTIME}/ort.wasm.min.mjs",
        f"{RUNTIME}/ort-wasm-simd-threaded.mjs",
        f"{RUNTIME}/ort-wasm-simd-threaded.wasm",
    ]
    return {
        "/": FOLDER / "index.html",
        **{f"/{name}": FOLDER / name for name in names},
        "/model.onnx": model,
        "/model.onnx.json": model.with_name(model.name + ".json"),
    }


def remedy(path: Path) -> str:
    if "node_modules" in path.parts:
        return f"Run `npm ci --prefix {FOLDER}`."
    return "`keras_aib.export.export` writes the model and its JSON."


class PageServer(ThreadingHTTPServer):
    """Knows the files it serves."""

    def __init__(self, address: tuple[str, int], files: dict[str, Path]):
        super().__init__(address, Handler)
        self.files = files


class Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        path = self.server.files.get(self.path)
        if path is None or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        # The browser may leave in the middle of a file.
        with path.open("rb") as content, contextlib.suppress(ConnectionError):
            size = content.seek(0, 2)
            content.seek(0)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPES[path.suffix])
            self.send_header("Content-Length", str(size))
            self.send_header("Content-Security-Policy", SECURITY_POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            shutil.copyfileobj(content, self.wfile)

    def log_request(self, code="-", size="-") -> None:
        """Nothing of what went well; errors are still logged."""


if __name__ == "__main__":
    main()
