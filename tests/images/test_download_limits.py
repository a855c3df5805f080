"""Downloads from hostile mirrors: slow ones, long ones, redirects, and headers that are not what they should be."""

import contextlib
import hashlib
import time

import pytest

from sysevent.errors import BadSignature, DownloadFailed, ImageError
from sysevent.images.download import Downloader, Expected

DATA = bytes(range(256)) * 2000
EXPECTED = Expected(len(DATA), hashlib.sha256(DATA).hexdigest())


@pytest.fixture
def loader(progress):
    """A downloader that gives a mirror one second, and 30 s without a byte."""
    return Downloader(progress, {}, attempts=3, pause=0.0, grace=1.0, slowest=1e9)


@pytest.fixture(params=["fetch", "fetch_to"])
def fetch(request, mirror, loader, tmp_path):
    """fetch(): obtain a file by either function."""
    mirror.write("file", DATA)
    part = tmp_path / "x.part"

    def fetch():
        if request.param == "fetch":
            return loader.fetch(f"{mirror.url}/file", "the file", len(DATA))
        loader.fetch_to(f"{mirror.url}/file", part, EXPECTED, "the file")
        return part.read_bytes()

    return fetch


def drip(handler, data):
    """Send a byte every 50 ms: 512000 bytes would take seven hours."""
    with contextlib.suppress(OSError):
        for at in range(400):
            handler.wfile.write(data[at : at + 1])
            handler.wfile.flush()
            time.sleep(0.05)


def drip_body(handler, data):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    drip(handler, data)


def drip_headers(handler, data):
    drip(handler, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 400)
    handler.close_connection = True


def drip_chunks(handler, data):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    drip(handler, b"1\r\nx\r\n" * 60)
    handler.close_connection = True


def drip_redirects(handler, data):
    time.sleep(0.4)
    with contextlib.suppress(OSError):
        handler.answer(302, b"", {"Location": f"/file?{time.monotonic()}"})


@pytest.mark.parametrize("fault", [drip_body, drip_headers, drip_chunks])
def test_a_mirror_that_drips_is_given_up(fetch, mirror, fault):
    """After a time that the file's size gives, over all attempts; the message says so."""
    mirror.faults["/file"] = fault
    begin = time.monotonic()
    with pytest.raises(DownloadFailed, match=r"given up after 1 s, since the mirror is too slow\); --mirror"):
        fetch()
    assert time.monotonic() - begin < 5


def test_a_slow_file_that_is_fast_enough(fetch, mirror):
    def slow(handler, data):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        for at in range(0, len(data), 100_000):
            handler.wfile.write(data[at : at + 100_000])
            handler.wfile.flush()
            time.sleep(0.05)

    mirror.faults["/file"] = slow
    assert fetch() == DATA


@pytest.mark.parametrize(
    "location", ["/file", "/other", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://[", "//"]
)
def test_redirects_that_lead_nowhere(fetch, mirror, location):
    """Neither endless ones, nor those to other protocols, nor those to what is not a URL."""
    mirror.faults["/file"] = lambda handler, data: handler.answer(302, b"", {"Location": location})
    with pytest.raises(DownloadFailed):
        fetch()
    assert len(mirror.log) < 20


def test_one_redirect(fetch, mirror):
    mirror.write("moved", DATA)
    mirror.faults["/file"] = lambda handler, data: handler.answer(302, b"", {"Location": "/moved"})
    assert fetch() == DATA


def raw(text):
    """Return a fault that sends these bytes and closes the connection."""

    def fault(handler, data):
        with contextlib.suppress(OSError):
            handler.wfile.write(text)
        handler.close_connection = True

    return fault


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not http\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_invalid_answers(loader, mirror, tmp_path, text):
    mirror.write("file", DATA)
    mirror.faults["/file"] = raw(text)
    with pytest.raises(DownloadFailed) as caught:
        loader.fetch_to(f"{mirror.url}/file", tmp_path / "x.part", EXPECTED, "the file")
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "\u0661", "1e3", ""])
def test_invalid_lengths_are_ignored(fetch, mirror, length):
    """The size in the signed index decides."""

    def fault(handler, data):
        handler.wfile.write(
            f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode() + data
        )
        handler.close_connection = True

    mirror.faults["/file"] = fault
    assert fetch() == DATA


def test_a_body_without_end(loader, mirror, tmp_path):
    """More than the index says is not written to the disk."""

    def endless(handler, data):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(data)
        handler.close_connection = True

    mirror.write("file", DATA)
    mirror.faults["/file"] = endless
    part = tmp_path / "x.part"
    with pytest.raises(BadSignature, match="is longer than the 512000 bytes"):
        loader.fetch_to(f"{mirror.url}/file", part, EXPECTED, "the file")
    assert not part.exists()
    with pytest.raises(DownloadFailed, match="longer than the 1000 bytes"):
        loader.fetch(f"{mirror.url}/file", "the file", 1000)


def test_a_full_disk(loader, mirror, tmp_path):
    """Is not a fault of the network, so nothing is tried again."""
    mirror.write("file", DATA)
    part = tmp_path / "x.part"
    part.symlink_to("/dev/full")
    with pytest.raises(ImageError, match=r"cannot write .*: No space left on device") as caught:
        loader.fetch_to(f"{mirror.url}/file", part, EXPECTED, "the file")
    assert not isinstance(caught.value, DownloadFailed)
    assert len(mirror.log) == 1
