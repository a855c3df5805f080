"""Downloads: resumed, retried, verified."""

import hashlib
import socket

import pytest

from sysevent.errors import BadSignature, DownloadFailed
from sysevent.images.download import Downloader, Expected, Gone, LengthMismatch

DATA = bytes(range(256)) * 2000
EXPECTED = Expected(len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def fetch(mirror, tmp_path, progress):
    mirror.write("file", DATA)
    part = tmp_path / "x.part"

    def fetch(expected=EXPECTED):
        loader = Downloader(progress, {}, attempts=3, pause=0.0, timeout=2.0)
        loader.fetch_to(f"{mirror.url}/file", part, expected, "the file")
        return part.read_bytes()

    fetch.part = part
    return fetch


def cut(length, times):
    """Return a fault: the first times connections end after length bytes."""
    left = [times]

    def fault(handler, data):
        ranged = int((handler.headers.get("Range") or "bytes=0-")[6:-1])
        rest = data[ranged:]
        left[0] -= 1
        status = 206 if ranged else 200
        headers = {"Content-Range": f"bytes {ranged}-{len(data) - 1}/{len(data)}"} if ranged else {}
        handler.answer(status, rest if left[0] < 0 else rest[:length], headers, length=len(rest))
        handler.close_connection = True

    return fault


def status(code, times):
    """Return a fault: the first times responses have this status."""
    left = [times]

    def fault(handler, data):
        left[0] -= 1
        handler.answer(code if left[0] >= 0 else 200, data)

    return fault


def test_whole(fetch, progress):
    assert fetch() == DATA
    assert progress[-1] == "the file 0.5 of 0.5 MB"


def test_a_part_of_another_process_is_resumed(fetch, mirror):
    fetch.part.write_bytes(DATA[:1000])
    assert fetch() == DATA
    assert mirror.log == [("/file", "bytes=1000-")]


def test_a_server_that_ignores_ranges(fetch, mirror):
    fetch.part.write_bytes(DATA[:1000])
    mirror.faults["/file"] = lambda handler, data: handler.answer(200, data)
    assert fetch() == DATA
    assert mirror.request_count("/file") == 1


def test_after_a_stale_part_the_whole_file_is_fetched_once(fetch, mirror, progress):
    fetch.part.write_bytes(b"stale" * 100)
    assert fetch() == DATA
    assert mirror.log == [("/file", "bytes=500-"), ("/file", None)]
    assert "does not verify, starting again from the beginning" in progress.text


def test_a_part_that_is_too_long(fetch):
    fetch.part.write_bytes(DATA + b"x")
    assert fetch() == DATA


def test_a_complete_but_wrong_part(fetch, mirror):
    fetch.part.write_bytes(bytes(len(DATA)))
    assert fetch() == DATA
    assert mirror.log == [("/file", None)]


def test_a_broken_connection_is_resumed(fetch, mirror, progress):
    mirror.faults["/file"] = cut(100_000, times=2)
    assert fetch() == DATA
    assert mirror.log == [("/file", None), ("/file", "bytes=100000-"), ("/file", "bytes=200000-")]
    assert "(attempt 1 of 3)" in progress.text


def test_the_number_of_attempts_is_limited(fetch, mirror):
    mirror.faults["/file"] = status(503, times=9)
    with pytest.raises(DownloadFailed, match="503"):
        fetch()
    assert mirror.request_count("/file") == 3


def test_an_overloaded_server_is_asked_again(fetch, mirror):
    mirror.faults["/file"] = status(503, times=1)
    assert fetch() == DATA


@pytest.mark.parametrize(("code", "kind"), [(404, Gone), (403, DownloadFailed)])
def test_a_permanent_error_is_not_retried(fetch, mirror, code, kind):
    mirror.faults["/file"] = status(code, times=9)
    with pytest.raises(kind, match=str(code)):
        fetch()
    assert mirror.request_count("/file") == 1


def test_one_changed_byte(fetch, mirror):
    mirror.write("file", DATA[:5000] + b"\xff" + DATA[5001:])
    with pytest.raises(BadSignature, match=f"{mirror.url}/file"):
        fetch()
    assert not fetch.part.exists()
    assert mirror.request_count("/file") == 1


def test_one_changed_byte_after_a_part(fetch, mirror):
    mirror.write("file", DATA[:5000] + b"\xff" + DATA[5001:])
    fetch.part.write_bytes(DATA[:1000])
    with pytest.raises(BadSignature):
        fetch()
    assert not fetch.part.exists()
    assert mirror.request_count("/file") == 2


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b"<html>"])
def test_another_length(fetch, mirror, data):
    mirror.write("file", data)
    with pytest.raises(LengthMismatch):
        fetch()
    assert mirror.request_count("/file") == 1


def test_an_endless_response_without_a_length(fetch, mirror):
    def flood(handler, data):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(data)

    mirror.faults["/file"] = flood
    with pytest.raises(BadSignature, match="longer than"):
        fetch()
    assert not fetch.part.exists()


def test_a_refused_connection(progress):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    loader = Downloader(progress, {}, attempts=2, pause=0.0, timeout=2.0)
    with pytest.raises(DownloadFailed, match=r"refused \(2 attempts\); --mirror"):
        loader.fetch(f"http://127.0.0.1:{port}/x", "the index", 100)
    assert len(progress) == 2


def test_small_files_have_a_limit(mirror, progress):
    mirror.write("big", b"x" * 101)
    with pytest.raises(DownloadFailed, match="longer than the 100 bytes"):
        Downloader(progress, {}).fetch(f"{mirror.url}/big", "the index", 100)


def test_a_truncated_index_is_retried(mirror, progress):
    mirror.write("index", b"y" * 100)
    mirror.faults["/index"] = cut(10, times=1)
    assert Downloader(progress, {}, pause=0.0).fetch(f"{mirror.url}/index", "the index", 1000) == b"y" * 100
