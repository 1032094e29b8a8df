"""Downloads: resumed, checked, whole or not there."""

import contextlib
import errno
import hashlib
import http.server
import sys
import threading
import time

import numpy as np
import pytest

from keras_aib.zoo import download as download_module
from keras_aib.zoo.download import download

pytestmark = pytest.mark.once

CONTENT = np.random.default_rng(0).bytes(700_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `CONTENT`; misbehaves as the server's attributes say."""

    def do_GET(self):
        server = self.server
        requested = self.headers.get("Range")
        server.requests.append(requested)
        status = server.statuses.pop(0) if server.statuses else 200
        if status != 200:
            self.send_error(status)
            return
        start = 0
        if requested is not None and server.ranges:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(CONTENT)}")
                self.end_headers()
                return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        if start:
            span = f"bytes {start + server.shift}-{len(CONTENT) - 1}"
            self.send_header("Content-Range", f"{span}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.cuts:
            body = body[: server.cuts.pop(0)]
        time.sleep(server.delay)
        # Counted before it is written: the other side may read the last byte,
        # and the test go on, before this thread runs again.
        server.sent += len(body)
        # The other side may hang up as soon as it has seen the headers.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download_module, "PAUSE_SECONDS", 0.001)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests = []
    server.statuses = []
    server.cuts = []
    server.ranges = True
    server.shift = 0
    server.sent = 0
    server.delay = 0
    server.url = f"http://127.0.0.1:{server.server_port}/weights.bin"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def part_of(path):
    return path.with_name(f"{path.name}.{SHA256[:8]}.part")


def test_fetches_once(server, tmp_path, capsys):
    path = tmp_path / "deep" / "weights.bin"
    assert download(server.url, path, SHA256, len(CONTENT)) == path
    assert path.read_bytes() == CONTENT
    assert "1/1" in capsys.readouterr().out
    download(server.url, str(path), SHA256)
    assert server.requests == [None]
    assert not part_of(path).exists()


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.cuts = [300_000, 100_000]
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=300000-", "bytes=400000-"]
    assert server.sent == len(CONTENT)


def test_goes_on_in_another_process(server, tmp_path):
    path = tmp_path / "weights.bin"
    part_of(path).write_bytes(CONTENT[:123_456])
    download(server.url, path, SHA256, len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert server.requests == ["bytes=123456-"]
    assert server.sent == len(CONTENT) - 123_456


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_a_whole_part_is_not_fetched_again(server, tmp_path, size):
    path = tmp_path / "weights.bin"
    part_of(path).write_bytes(CONTENT)
    download(server.url, path, SHA256, size)
    assert path.read_bytes() == CONTENT
    assert server.sent == 0


@pytest.mark.parametrize(
    "attributes, part, requests",
    [
        ({"ranges": False}, CONTENT[:1000], ["bytes=1000-"]),
        ({"shift": 7}, CONTENT[:1000], ["bytes=1000-", None]),
        ({}, CONTENT + b"too long", ["bytes=700008-", None]),
    ],
)
def test_starts_over_where_it_cannot_go_on(
    server, tmp_path, attributes, part, requests
):
    path = tmp_path / "weights.bin"
    part_of(path).write_bytes(part)
    for name, value in attributes.items():
        setattr(server, name, value)
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT
    assert server.requests == requests


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    path = download(server.url, tmp_path / "weights.bin", SHA256)
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_gives_up_after_a_few_failures_and_keeps_the_part(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.cuts = [5000] + [0] * 9
    with pytest.raises(OSError, match="5000 of 700000 bytes") as caught:
        download(server.url, path, SHA256)
    assert len(server.requests) == 1 + download_module.MAX_FAILURES
    message = str(caught.value)
    for told in (server.url, str(path), str(part_of(path)), "call again"):
        assert told in message
    assert not path.exists()
    assert part_of(path).read_bytes() == CONTENT[:5000]


def test_a_server_without_ranges_that_always_breaks_ends(server, tmp_path):
    server.ranges = False
    server.cuts = [5000] * 20
    with pytest.raises(OSError, match="Could not download"):
        download(server.url, tmp_path / "weights.bin", SHA256)
    assert len(server.requests) == 1 + download_module.MAX_FAILURES


def test_not_found_is_final(server, tmp_path):
    server.statuses = [404] * 5
    path = tmp_path / "weights.bin"
    with pytest.raises(OSError, match="404") as caught:
        download(server.url, path, SHA256)
    assert server.url in str(caught.value)
    assert caught.value.filename == str(path)
    assert len(server.requests) == 1
    assert not path.exists()


def test_no_server(server, tmp_path):
    url = "http://127.0.0.1:9/weights.bin"
    with pytest.raises(OSError, match=r"Could not download .*put it at"):
        download(url, tmp_path / "weights.bin", SHA256)


def test_another_checksum_is_deleted(server, tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(b"what stood there before")
    wrong = "0" * 64
    with pytest.raises(ValueError, match=f"{SHA256}.*expected {wrong}"):
        download(server.url, path, wrong)
    assert not list(tmp_path.glob("*.part"))
    assert path.read_bytes() == b"what stood there before"


def test_an_altered_file_is_replaced(server, tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(CONTENT[:-1] + b"x")
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT


def test_no_room_is_seen_before_anything_is_fetched(server, tmp_path):
    with pytest.raises(OSError, match="Nothing was written") as caught:
        download(server.url, tmp_path / "weights.bin", SHA256, 10**18)
    assert caught.value.errno == errno.ENOSPC
    assert server.requests == []


def test_a_disk_that_fills_up_is_not_tried_again(server, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download_module, "_copy", full)
    with pytest.raises(OSError, match="room on the disk") as caught:
        download(server.url, tmp_path / "weights.bin", SHA256)
    assert caught.value.errno == errno.ENOSPC
    assert len(server.requests) == 1


def test_two_at_once_fetch_it_once(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.delay = 0.2
    threads = [
        threading.Thread(target=download, args=(server.url, path, SHA256))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert server.requests == [None]


def test_without_filelock(server, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "filelock", None)
    with pytest.raises(ImportError, match="pip install filelock"):
        download(server.url, tmp_path / "weights.bin", SHA256)
