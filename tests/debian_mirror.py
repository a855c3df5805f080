"""Fixtures: a Debian mirror on this machine, with settings that use nothing else."""

import contextlib
import functools
import hashlib
import http.server
import io
import lzma
import tarfile
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openpgp import library

from sysevent.images.debian import apt, own_mirror
from sysevent.images.download import Downloader
from sysevent.settings import Settings


def build_deb(files, compression="xz"):
    """Return the bytes of a Debian package with these files (path -> bytes)."""

    def tar(members):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(f"./{name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    data = tar(dict(sorted(files.items())))
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(tar({"control": b"Package: x\n"})),
    }
    if compression == "xz":
        parts["data.tar.xz"] = lzma.compress(data)
    else:
        parts["data.tar"] = data
    out = b"!<arch>\n"
    for name, part in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}".encode() + b"`\n"
        out += part + b"\n" * (len(part) % 2)
    return out


@pytest.fixture
def make_deb():
    """make_deb(files, compression="xz"): the bytes of a Debian package."""
    return build_deb


@dataclass
class Mirror:
    """A Debian mirror that serves the files below root, logs its requests, and fails as a test demands."""

    root: Path
    url: str = ""
    key: Any = field(default_factory=lambda: library().Tsk.generate("Archive <archive@mirror.example>"))
    # Every request: its path, and its Range header or None.
    log: list = field(default_factory=list)
    # End of a path -> function(handler, data) that sends the response to such requests.
    faults: dict = field(default_factory=dict)
    # Seconds before each response.
    delay: float = 0.0

    def add(self, suite, arch, packages, **fields):
        """Publish a suite with one architecture; packages: name, version, bytes of the .deb, more lines."""
        paragraphs = ["Package: bash\nVersion: 5\nFilename: pool/b.deb\nSize: 1\nSHA256: " + "0" * 64 + "\n"]
        for name, version, data, *lines in packages:
            filename = f"pool/main/l/linux/{name}_{version}_{arch}.deb"
            self.write(filename, data)
            paragraphs.append(
                f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nDescription: a\n kernel\n"
                + "".join(f"{line}\n" for line in lines)
                + f"Filename: {filename}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
            )
        index = lzma.compress("\n".join(paragraphs).encode())
        path, digest = f"main/binary-{arch}/Packages.xz", hashlib.sha256(index).hexdigest()
        self.write(f"dists/{suite}/{path}", index)
        self.write(f"dists/{suite}/main/binary-{arch}/by-hash/SHA256/{digest}", index)
        fields = {
            "Suite": "some",
            "Codename": suite,
            "Date": "Sat, 21 Nov 2026 02:10:46 UTC",
            "Acquire-By-Hash": "yes",
            "Architectures": arch,
            **fields,
        }
        text = "".join(f"{key}: {value}\n" for key, value in fields.items() if value)
        text += f"SHA256:\n {digest} {len(index)} {path}\n"
        mode = library().SignatureMode.CLEAR
        signed = library().sign(self.key.signer(), text.encode(), mode=mode)
        self.write(f"dists/{suite}/InRelease", signed)

    def write(self, path, data):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def find(self, end):
        """Return the one file whose path has this end."""
        (path,) = [p for p in self.root.rglob("*") if p.is_file() and str(p).endswith(end)]
        return path

    def request_count(self, end):
        """Return the number of requests for paths with this end."""
        return sum(path.endswith(end) for path, _ in self.log)


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, mirror, *args):
        self.mirror = mirror
        super().__init__(*args)

    def do_GET(self):
        ranged = self.headers.get("Range")
        self.mirror.log.append((self.path, ranged))
        time.sleep(self.mirror.delay)
        path = self.mirror.root / urllib.parse.unquote(self.path).lstrip("/")
        data = path.read_bytes() if path.is_file() else None
        with contextlib.suppress(ConnectionError):
            for end, fault in self.mirror.faults.items():
                if self.path.endswith(end):
                    fault(self, data)
                    return
            if data is None:
                self.answer(404, b"")
            elif ranged:
                start = int(ranged.removeprefix("bytes=").rstrip("-"))
                self.answer(
                    206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
                )
            else:
                self.answer(200, data)

    def answer(self, status, data, headers=(), length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """An empty Mirror, being served. Downloads from it use no proxy, and do not pause before a retry."""
    # This machine's apt configuration must not decide.
    monkeypatch.setattr(apt, "proxies", lambda url: {})
    monkeypatch.setattr(apt, "only_apt_reaches", lambda url: False)
    monkeypatch.setattr(own_mirror, "Downloader", functools.partial(Downloader, pause=0.0, timeout=5.0))
    served = Mirror(tmp_path / "mirror")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, served))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def settings(tmp_path, mirror):
    """Settings with the mirror, its keyring, and an empty cache."""
    keyring = tmp_path / "keyring.pgp"
    keyring.write_bytes(bytes(mirror.key.extract_certificate()))
    return Settings(cache=tmp_path / "cache", mirror=mirror.url, keyring=keyring, offline=False)


@pytest.fixture
def progress():
    """A progress function: the list of the lines it was called with, and .text, the lines as one string."""

    class Progress(list):
        def __call__(self, line):
            self.append(line)

        @property
        def text(self):
            return "\n".join(self)

    return Progress()
