"""Builders for tiny stand-ins of the real things, and a Debian mirror on this machine."""

import contextlib
import functools
import hashlib
import http.server
import io
import lzma
import struct
import tarfile
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pysequoia
import pytest
from pysequoia import SignatureMode, Tsk

from sysevent.arches import architecture
from sysevent.images.debian import apt, archive
from sysevent.images.download import Downloader
from sysevent.images.kernel import resolve
from sysevent.settings import Settings

EM_X86_64, EM_AARCH64, EM_RISCV = 62, 183, 243


def _elf(sections, machine):
    """An ELF64 file with nothing but these sections (System V ABI, chapter 4)."""
    names = b"\0" + b"".join(name + b"\0" for name in sections) + b".shstrtab\0"
    body, headers = b"", [bytes(64)]
    for name, data in {**sections, b".shstrtab": names}.items():
        kind = 3 if name == b".shstrtab" else 1
        headers.append(
            struct.pack(
                "<IIQQQQIIQQ", names.index(name + b"\0"), kind, 0, 0, 64 + len(body), len(data), 0, 0, 1, 0
            )
        )
        body += data
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 1, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1
    )
    return header + body + b"".join(headers)


@pytest.fixture
def make_module():
    """A function that makes a kernel module, as far as its .modinfo goes."""

    def make(depends="", machine=EM_AARCH64, vermagic="6.12.1 SMP mod_unload modversions "):
        info = f"license=GPL\0depends={depends}\0vermagic={vermagic}\0".encode()
        return _elf({b".modinfo": info}, machine)

    return make


def _arm64_image(release="6.12.1", tail=b""):
    """An arm64 Image with an EFI stub whose section table says how long the file is."""
    banner = f"Linux version {release} (who@where) #1".encode() + tail
    header = bytearray(64)
    header[0:2], header[56:60] = b"MZ", b"ARM\x64"
    struct.pack_into("<I", header, 0x3C, 64)
    table = b"PE\0\0" + struct.pack("<HHIIIHH", 0xAA64, 1, 0, 0, 0, 0, 0)
    start = 64 + len(table) + 40
    section = b".text\0\0\0" + struct.pack("<IIIIIIHHI", 0, 0, len(banner), start, 0, 0, 0, 0, 0)
    return bytes(header) + table + section + banner


@pytest.fixture
def arm64_image():
    return _arm64_image


def _deb(files, compression="xz"):
    """A Debian package with these files (path -> bytes)."""

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
        {"xz": "data.tar.xz", "none": "data.tar"}[compression]: lzma.compress(data)
        if compression == "xz"
        else data,
    }
    out = b"!<arch>\n"
    for name, part in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(part):<10}".encode() + b"`\n"
        out += part + b"\n" * (len(part) % 2)
    return out


@pytest.fixture
def make_deb():
    return _deb


@dataclass
class Mirror:
    """A Debian mirror: files below root, served on this machine, with a log and with faults to order."""

    root: Path
    url: str = ""
    key: Tsk = field(default_factory=lambda: Tsk.generate("Archive <archive@mirror.example>"))
    log: list = field(default_factory=list)  # (path, Range header or None)
    faults: dict = field(default_factory=dict)  # end of a path -> function(handler, data) that answers
    delay: float = 0.0

    def add(self, suite, arch, packages, **fields):
        """Publish a suite of one architecture; packages: (name, version, bytes of the .deb)."""
        paragraphs = ["Package: bash\nVersion: 5\nFilename: pool/b.deb\nSize: 1\nSHA256: " + "0" * 64 + "\n"]
        for name, version, data in packages:
            filename = f"pool/main/l/linux/{name}_{version}_{arch}.deb"
            self.write(filename, data)
            paragraphs.append(
                f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\nDescription: a\n kernel\n"
                f"Filename: {filename}\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
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
        signed = pysequoia.sign(self.key.signer(), text.encode(), mode=SignatureMode.CLEAR)
        self.write(f"dists/{suite}/InRelease", signed)

    def write(self, path, data):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_bytes(data)

    def find(self, end):
        """The one file whose path ends so."""
        (path,) = [p for p in self.root.rglob("*") if p.is_file() and str(p).endswith(end)]
        return path

    def asked(self, end):
        """How often a path with this end was asked for."""
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
def mirror(tmp_path):
    """An empty Mirror, being served."""
    served = Mirror(tmp_path / "mirror")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, served))
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_proxy_no_pauses(monkeypatch):
    """This machine's apt configuration must not decide, and retries need not be polite."""
    monkeypatch.setattr(apt, "proxies", lambda host: {})
    monkeypatch.setattr(archive, "Downloader", functools.partial(Downloader, pause=0.0, timeout=5.0))


@pytest.fixture
def settings(tmp_path, mirror):
    """Settings that know only the test's mirror, keyring and cache."""
    keyring = tmp_path / "keyring.pgp"
    keyring.write_bytes(bytes(mirror.key.extract_certificate()))
    return Settings(cache=tmp_path / "cache", mirror=mirror.url, keyring=keyring, offline=False)


@pytest.fixture
def said():
    """A progress function that remembers what it was told."""

    class Said(list):
        def __call__(self, line):
            self.append(line)

        @property
        def text(self):
            return "\n".join(self)

    return Said()


@pytest.fixture
def trixie(mirror, make_module):
    """The mirror with Debian's kernel 6.12.1 for arm64: built-in KVM, one module that needs another."""
    mirror.deb = _deb(
        {
            "boot/vmlinuz-6.12.1+deb13-cloud-arm64": _arm64_image("6.12.1+deb13-cloud-arm64"),
            "usr/lib/modules/6.12.1/kernel/virtio_console.ko.xz": lzma.compress(
                make_module("virtio,virtio_ring")
            ),
            "usr/lib/modules/6.12.1/kernel/virtio.ko.xz": lzma.compress(make_module("virtio_ring")),
            "usr/lib/modules/6.12.1/kernel/virtio-ring.ko.xz": lzma.compress(make_module()),
        }
    )
    mirror.add("trixie", "arm64", [("linux-image-6.12.1+deb13-cloud-arm64", "6.12.1-1", mirror.deb)])
    return mirror


@pytest.fixture
def find(settings, said):
    """kernels.find() with the test's settings, or some of them changed."""

    def find(spec="debian:6.12", arch="arm64", **changes):
        return resolve.find(spec, architecture(arch), msgspec.structs.replace(settings, **changes), said)

    return find
