"""Files of a user's: links, permissions, places that are none."""

import errno
import os
import stat

import pytest

from keras_aib.utils import files
from keras_aib.utils.files import check_local
from keras_aib.utils.files import written_whole

pytestmark = pytest.mark.once


def write(path, text="new"):
    with written_whole(path) as temporary:
        assert not temporary.exists()
        temporary.write_text(text)


def test_a_file_is_whole_or_not_there(tmp_path):
    path = tmp_path / "notes" / "a.txt"
    write(path, "one")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("target", ["far/away.txt", "not_yet.txt"])
def test_a_link_stays_and_its_target_is_written(tmp_path, target):
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "away.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    (tmp_path / "second.txt").symlink_to("link.txt")
    write(tmp_path / "second.txt")
    assert os.readlink(link) == target
    assert os.readlink(tmp_path / "second.txt") == "link.txt"
    assert (tmp_path / target).read_text() == "new"


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(OSError, match="leads to itself") as caught:
        write(tmp_path / "a")
    assert caught.value.errno == errno.ELOOP


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664])
def test_permissions_are_those_of_a_normal_write(tmp_path, mode):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(mode)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    write(tmp_path / "written.txt")
    (tmp_path / "normal.txt").write_text("")
    assert (tmp_path / "written.txt").stat().st_mode == (
        tmp_path / "normal.txt"
    ).stat().st_mode


def test_what_is_no_file_is_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError, match="Choose another path"):
        write(tmp_path / "folder")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(ValueError, match="no ordinary file"):
            write(tmp_path / name)
    assert (tmp_path / "pipe").is_fifo()
    (tmp_path / "protected").write_text("old")
    # The superuser may write everywhere.
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="write-protected"):
        write(tmp_path / "protected")
    assert (tmp_path / "protected").read_text() == "old"


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "猫" * 83 + ".png"])
def test_the_longest_names_can_be_written(tmp_path, name):
    with written_whole(tmp_path / name) as temporary:
        assert temporary.suffix == name[-4:]
        temporary.write_text("new")
    assert os.listdir(tmp_path) == [name]


REMOTE = [
    "gs://bucket/m.keras",
    "s3://bucket/m.keras",
    "hdfs://host:9000/m.keras",
    "hf://user/model",
    "HTTPS://host/m.keras",
    "file:///tmp/m.keras",
    "my-own+v1.scheme://m.keras",
]


@pytest.mark.parametrize("path", REMOTE)
def test_a_remote_path_becomes_no_folder(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no path on this machine"):
        write(path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "path", ["gs:/bucket", "s3:/bucket", "S3:/x", b"gs://bucket/m.keras"]
)
def test_a_remote_path_that_lost_a_slash_is_seen_too(path):
    with pytest.raises(ValueError, match="no path on this machine"):
        check_local(path)


@pytest.mark.parametrize("path", ["a:b", "run: 2/x", "C:/x", "a/gs:/b", ":/x"])
def test_a_colon_alone_is_not_remote(path):
    check_local(path)


def test_an_error_names_the_file_that_was_meant(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError) as caught, written_whole(path) as temporary:
        temporary.mkdir()
        temporary.rmdir()
        temporary.read_text()
    assert caught.value.filename == str(path)
    with pytest.raises(ValueError) as caught, written_whole(path) as temporary:
        raise ValueError(f"no such ending: {temporary}", 3)
    assert caught.value.args == (f"no such ending: {path}", 3)


def test_only_what_a_kill_left_is_removed(tmp_path):
    with written_whole(tmp_path / "log.csv") as temporary:
        temporary.write_text("")
        left = temporary.name
    foreign = [
        *(".my-log.csv", "log.csv", ".keras_aib-log.csv", left[1:]),
        *(f"copy{left}", ".0123abcd-log.csv", ".keras_aib"),
    ]
    for name in (left, *foreign):
        (tmp_path / name).write_text("")
    files.remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(foreign)
    files.remove_unfinished(tmp_path / "nowhere")
