"""The page of examples/browser, served and opened in a headless browser."""

import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parents[1] / "examples" / "browser"
TRAINED = "aib_efficientnet_lite0.cifar10"


def start(*command):
    return subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(model_path):
    with start(FOLDER / "serve.py", model_path, "--port", "0") as server:
        try:
            yield server.stdout.readline().split()[0].rstrip("/")
        finally:
            server.terminate()
            server.communicate()


@contextlib.contextmanager
def visiting(browser, url):
    """Open the page; `page.faults` collects what should not have happened."""
    context = browser.new_context()
    page = context.new_page()
    page.faults = []

    def check_request(request):
        if not request.url.startswith((f"{url}/", f"blob:{url}/", "data:")):
            page.faults.append(request.url)

    def check_console(message):
        if message.type == "error":
            page.faults.append(message.text)

    page.on("request", check_request)
    page.on("console", check_console)
    page.on("pageerror", lambda error: page.faults.append(f"uncaught {error}"))
    # Dialogs of the system are intercepted from here on.
    page.on("filechooser", lambda chooser: None)
    page.goto(url)
    wait(page)
    yield page
    context.close()


def wait(page):
    """Until the page has said how the last thing it was given went."""
    page.wait_for_selector("main[aria-busy=false]")


def choose(page, path):
    page.set_input_files("#file", path)
    wait(page)


def explain(page, path):
    """Choose a good photo; return what the page computed."""
    choose(page, path)
    result = page.evaluate("window.explanation")
    assert result is not None, page.inner_text("#status")
    assert result["name"] == path.name
    return result


def check_message(page, message):
    wait(page)
    assert message in page.inner_text("#status.error")
    assert page.is_hidden("#result")
    assert page.evaluate("window.explanation") is None


def drop(page, *files, text=None):
    """What the browser itself does, its default of showing a file included."""
    items = [] if text is None else [{"mimeType": "text/plain", "data": text}]
    data = {
        "items": items,
        "files": [str(file) for file in files],
        "dragOperationsMask": 1,
    }
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send(
            "Input.dispatchDragEvent",
            {"type": kind, "x": 30, "y": 30, "data": data},
        )
    session.detach()
    wait(page)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def smooth(height, width, channels):
    """Colours and transparency that change slowly, as a photograph's do."""
    rows = np.linspace(0, 3, height)[:, None, None]
    columns = np.linspace(0, 5, width)[None, :, None]
    waves = np.sin(rows + columns * np.arange(1, channels + 1) / channels)
    return np.uint8(127.5 + 127.5 * waves)
