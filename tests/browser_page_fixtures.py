"""Fixtures for the page of examples/browser: server, browser, open page."""

import os
import shutil
from pathlib import Path

import pytest
import skimage.data
from browser_page import FOLDER
from browser_page import TRAINED
from browser_page import save
from browser_page import serving
from browser_page import visiting

from keras_aib import zoo


@pytest.fixture(scope="session")
def model():
    return zoo.load(TRAINED)


@pytest.fixture(scope="session")
def exported(request, tmp_path_factory):
    """The ONNX file; from KERAS_AIB_EXPORTED, or exported here."""
    if "KERAS_AIB_EXPORTED" in os.environ:
        return Path(os.environ["KERAS_AIB_EXPORTED"]) / "model.onnx"
    from keras_aib.export import export

    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(
        request.getfixturevalue("model"),
        path,
        class_names=zoo.info(TRAINED).class_names,
    )
    return path


@pytest.fixture(scope="session")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("Chromium is missing: `apt-get install chromium`.")
    if not (FOLDER / "node_modules").is_dir():
        pytest.fail("Run `npm ci --prefix examples/browser` first.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def url(exported):
    with serving(exported) as url:
        yield url


@pytest.fixture(scope="session")
def open_page(browser, url):
    with visiting(browser, url) as page:
        yield page


@pytest.fixture
def page(open_page):
    """One page for all tests: it must take whatever comes after another."""
    yield open_page
    faults = list(open_page.faults)
    open_page.faults.clear()
    assert faults == []


@pytest.fixture
def photo(tmp_path):
    return save(tmp_path / "chelsea.png", skimage.data.chelsea())
