"""Small valid inputs of each parser, for mutation."""

import gzip
import io
import json
import lzma
import struct
import tarfile
from pathlib import Path

import kernel_images
import msgspec
import sample_records
from debian_mirror import build_deb

from sysevent.decode import btf

DATA = Path(__file__).parents[1] / "data"

RELEASE = b"""Suite: stable
Codename: trixie
Date: Sat, 21 Nov 2026 02:10:46 UTC
Valid-Until: Sat, 28 Nov 2026 02:10:46 UTC
Acquire-By-Hash: yes
Architectures: all amd64 arm64
SHA256:
 %s 12345 main/binary-arm64/Packages.xz
 %s 45 main/binary-amd64/Packages.xz
""" % (b"a" * 64, b"b" * 64)

INDEX = b"\n".join(
    b"""Package: %s
Version: %s
Architecture: arm64
Description: a
 kernel
Filename: pool/main/l/linux/x_%s.deb
Size: 12345
SHA256: %s
"""
    % (name, version, version, b"c" * 64)
    for name, version in (
        (b"bash", b"5"),
        (b"linux-image-6.12.1+deb13-cloud-arm64", b"6.12.1-1"),
        (b"linux-binary-7.2.1-cloud-arm64", b"7.2.1-1~bpo13+1"),
        (b"linux-modules-7.2.1-cloud-arm64", b"7.2.1-1~bpo13+1"),
        (b"linux-libc-dev", b"1:6.12.1-1"),
    )
)

TARGETS = b"""[labgrid]
coordinator = "lab:20408"

[[target]]
name = "board"
arch = "arm64"
where = "ssh"
address = "board.lab"
port = 22
tags = { soc = "x1" }
expect = { kernel = "6.*" }

[[target]]
name = "quick"
arch = "x86_64"
where = "tcg"
memory = 512
boot = 60
kernel = "debian:6.12"

[[target]]
name = "rack"
arch = "arm64"
where = "labgrid"
tags = { board = "rpi4" }
"""

SOURCES = b"""# comment
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian trixie main
deb-src http://mirror.example/debian trixie main contrib

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
Enabled: yes
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Acquire::http::Proxy "http://proxy:3128/";
Acquire::http::Proxy::mirror.example "DIRECT";
"""

LABGRID = b"""Place 'rack1':
  aliases:
  comment:
  tags: board=rpi4, soc=x1
  matches:
    host/rack1/NetworkService
  acquired: host/user
  acquired resources:
    host/rack1/NetworkService/NetworkService
  created: 2026-01-01
  reservation: ABCDEF
Acquired resource 'NetworkService' (host/rack1/NetworkService/NetworkService):
  {'acquired': 'host/user', 'avail': True, 'cls': 'NetworkService',
   'params': {'address': '10.0.0.1', 'username': 'root', 'port': 22, 'extra': {'proxy': 'p', 'proxy_required': 1}}}
Reservation 'ABCDEF':
  owner: host/user
  token: ABCDEF
  state: acquired
"""

QMP = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {
            "QMP": {
                "version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": ""},
                "capabilities": [],
            }
        },
        {"return": {}, "id": 1},
        {"event": "SHUTDOWN", "data": {"guest": True, "reason": "guest-reset"}, "timestamp": {"seconds": 1}},
        {"error": {"class": "GenericError", "desc": "no"}, "id": 1},
    )
)

CONSOLE = b"""[    0.000000] Linux version 6.12.1
[    1.000000] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:1]\r
[    1.000001] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000000
[    1.000002] Internal error: Oops: 96000004 [#1] SMP
[    1.000003] Kernel panic - not syncing: Attempted to kill init!
"""


def btf_files():
    """Return BTF of real structures, and one in which each kind of type occurs."""
    types = [
        (5, btf.INT, 0, 0, 4, 32), (9, btf.TYPE_TAG, 0, 0, 1), (0, btf.CONST, 0, 0, 2), (0, btf.VOLATILE, 0, 0, 3),
        (0, btf.RESTRICT, 0, 0, 4), (13, btf.TYPEDEF, 0, 0, 5),
        (15, btf.STRUCT, 3, 1, 12, 3, 6, 0, 0, 8, 32, 3, 12, 64),
        (0, btf.UNION, 1, 0, 4, 3, 1, 0), (9, btf.DECL_TAG, 0, 0, 7, 0), (3, btf.VAR, 0, 0, 6, 1),
        (1, btf.DATASEC, 1, 0, 4, 10, 0, 4), (0, btf.ARRAY, 0, 0, 0, 1, 1, 2), (1, btf.ENUM64, 1, 0, 8, 3, 1, 0),
        (0, btf.PTR, 0, 0, 7), (0, btf.FUNC_PROTO, 1, 0, 0, 3, 1), (3, btf.FUNC, 0, 0, 15), (1, btf.FWD, 0, 1, 0),
        (1, btf.ENUM, 1, 0, 4, 3, 1), (3, btf.FLOAT, 0, 0, 8),
    ]  # fmt: skip
    strings = b"\0s\0m\0int\0tag\0t\0kvm_run\0"
    body = b"".join(
        struct.pack(f"<III{len(words)}I", name, flag << 31 | kind << 24 | vlen, value, *words)
        for name, kind, vlen, flag, value, *words in types
    )
    head = struct.pack("<HBBIIIII", btf.MAGIC, 1, 0, 24, 0, len(body), len(body), len(strings))
    return [head + body + strings, (DATA / "layout" / "shapes.btf").read_bytes()]


def kernels():
    """Return an image of each kind, and some in each other."""
    arm64 = kernel_images.arm64_image()
    packed = lzma.compress(kernel_images.vmlinux())
    x86 = bytearray(kernel_images.empty_bzimage()) + packed
    struct.pack_into("<I", x86, 0x1F4, (len(x86) - 1536 + 15) // 16)
    struct.pack_into("<II", x86, 0x248, 64, len(packed))
    return [
        arm64,
        kernel_images.riscv_image(),
        kernel_images.empty_bzimage(),
        bytes(x86) + bytes(15),
        kernel_images.vmlinux(),
        gzip.compress(arm64, mtime=0),
        kernel_images.zboot(gzip.compress(arm64, mtime=0)),
        kernel_images.zboot(lzma.compress(arm64), b"xzkern"),
        gzip.compress(kernel_images.zboot(gzip.compress(arm64, mtime=0)), mtime=0),
    ]


_FILES = {
    "boot/vmlinuz-6.12.1": kernel_images.arm64_image(),
    "usr/lib/modules/6.12.1/kernel/a.ko.xz": lzma.compress(kernel_images.module("b")),
    "usr/lib/modules/6.12.1/kernel/b.ko": kernel_images.module(),
    "usr/include/linux/kvm.h": b"#define KVM 1\n",
}


def debs():
    """Return packages with a kernel, with xz and without compression."""
    return [build_deb(_FILES), build_deb(_FILES, compression="none")]


def tars():
    """Return archives in the formats of tar, with links."""
    found = []
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form, bufsize=512) as archive:
            for name, data in _FILES.items():
                long = name if form == tarfile.USTAR_FORMAT else f"{'d/' * 60}{name}"
                info = tarfile.TarInfo(f"./{long if 'include' in name else name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("./usr/include/linux/link.h")
            link.type, link.linkname = tarfile.SYMTYPE, "kvm.h"
            archive.addfile(link)
        found.append(out.getvalue())
    return found


def run_logs():
    """Return a log with a record of each kind that the tests have, and the start of a real one."""
    made = [
        sample_records.RUN,
        sample_records.TARGET,
        sample_records.INCIDENT,
        sample_records.OUTCOME,
        sample_records.READING,
        sample_records.PEER,
        sample_records.KEPT,
        sample_records.verdict("kvm.a", "arm64-tcg", "FAIL"),
        sample_records.END,
    ]
    lines = [json.dumps(msgspec.to_builtins(record)).encode() for record in made]
    real = (DATA / "runs" / "debian-6.1.jsonl").read_bytes().split(b"\n")[:4]
    return [b"\n".join((*lines, b"")), b"\n".join((lines[0], *real, b""))]
