"""Each parser under test: its samples, and a function that gives bytes to it.

A function may return, or raise a SyseventError; any other exception is a defect, and so is one that takes too long.
"""

import contextlib
import dataclasses
import functools
import io
import os
import re
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import kernel_images
from openpgp import library

from fuzz import lines, reports, samples, vmms
from sysevent.build import programs
from sysevent.decode import build_id, dwarf
from sysevent.decode.btf import Btf
from sysevent.decode.structs import find, holes, leaves
from sysevent.errors import SyseventError
from sysevent.images.debian import apt, deb, keyring, mirror_list, package_index, release_file
from sysevent.images.kernel import bootfile, identity, modules, payload
from sysevent.images.rootfs import newc
from sysevent.qemu import console
from sysevent.qemu.monitor import Monitor
from sysevent.report import run_log
from sysevent.report.results_directories import is_needed
from sysevent.settings import Settings
from sysevent.targets import spec
from sysevent.targets.leases import client


@dataclasses.dataclass(frozen=True)
class Parser:
    """One parser."""

    name: str
    samples: Callable[[], list[bytes]]
    run: Callable[[bytes], object]
    # Words that may be inserted.
    tokens: tuple[bytes, ...] = ()
    # True: mutated as text as well.
    text: bool = False
    # True: an input takes 10 ms and more.
    slow: bool = False


@functools.cache
def _folder():
    # In memory where possible.
    root = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
    folder = tempfile.TemporaryDirectory(prefix="sysevent-fuzz-", dir=root)
    return folder, Path(folder.name)


def _path(data):
    path = _folder()[1] / "input"
    path.write_bytes(data)
    return path


def _each(*calls):
    """Call every function; the first one's SyseventError does not keep the others from being tried."""
    for call in calls:
        with contextlib.suppress(SyseventError):
            call()


def _btf(data):
    reader = Btf(data)

    def all_types():
        for number in range(min(reader.end, 500)):
            reader.type(number)

    def walk():
        found = reader.reachable("kvm_run")
        for struct in list(found.values())[:20]:
            list(leaves(struct, found))
            holes(struct)
            find(struct, "m.m", found)

    _each(all_types, walk, lambda: reader.struct("s"), lambda: Btf(data, reader).reachable("kvm_run"))


def _kernel(data):
    _each(
        lambda: bootfile.inspect(data, "X"),
        lambda: payload.unpacked(data, "X"),
        lambda: identity.image_build_id(data, "X"),
        lambda: bootfile.check_start(data[:1024], len(data), "X"),
    )


def _module(data):
    files = modules.FileModules("here", ("a.ko", "b.ko.xz", "c.ko.gz"), lambda path: data)
    _each(*(functools.partial(modules.closure, [name], files) for name in "abc"))


def _deb(data):
    path = _path(data)

    def read_modules():
        with deb.modules(path, _folder()[1]) as files:
            for name in files.paths[:20]:
                files.read(name)

    def extract():
        with tempfile.TemporaryDirectory(dir=_folder()[1]) as into:
            deb.extract(path, Path(into), re.compile(r".*\.h"))

    _each(lambda: deb.kernel_image(path), read_modules, extract)


def _tar(data):
    part = f"{'data.tar':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}".encode() + b"`\n" + data
    _deb(b"!<arch>\n" + part)


def _release(data):
    release_file.parse(data, "trixie", "X").index("arm64")


def _index(data):
    found = package_index.parse(data, "Packages")
    package_index.best(found, ["linux-image-6.12.*-cloud-arm64", "linux-binary-*-cloud-arm64"])


@functools.cache
def _signed():
    """Return a clear-signed release file, and the certificate of its key."""
    key = library().Tsk.generate("fuzz")
    signed = library().sign(key.signer(), samples.RELEASE, mode=library().SignatureMode.CLEAR)
    return bytes(signed), bytes(key.extract_certificate())


@functools.cache
def _ring():
    path = _folder()[1] / "ring"
    path.write_bytes(_signed()[1])
    return keyring.load(Settings(path.parent, None, path, offline=False))


def _keyring(data):
    path = _path(data)
    keyring.load(Settings(path.parent, None, path, offline=False))


def _apt(data):
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(SyseventError):
        apt.mirrors(ask=lambda words: (text, text))
    mirror_list.parse(text)
    apt.parse_proxies(text, "mirror.example", {})


def _labgrid(data):
    text = data.decode("utf-8", "replace")
    client.parse_places(text)
    client.parse_reservations(text)
    client.parse_service(text)


def _qmp(data):
    ours, other = socket.socketpair()
    with other, contextlib.closing(Monitor(ours)) as monitor:
        other.setblocking(False)
        view = memoryview(data)
        while view and monitor.open:
            view = view[other.send(view[:65536]) :]
            monitor.pump()
        other.close()
        monitor.stop_reason()


def _console(data):
    text = data.decode(errors="replace")
    console.trouble(text)


def _newc(data):
    parts = data.split(b"\n")
    newc.archive(newc.plain(part.decode("utf-8", "surrogateescape"), part) for part in parts)


_DEB822 = (
    b"\nPackage: linux-image-6.12.1-cloud-arm64\n",
    b"\n\n",
    b" .\n",
    b"\nSHA256: ",
    b":",
    b"\r\n",
    b"\xff",
    b"\n \n",
)


def _dwarf_file():
    return (samples.DATA / "corpus" / "dwarf" / "valid").read_bytes()


_TOML = (
    b"[[target]]\n",
    b"[",
    b"{",
    b'"""',
    b"= ",
    b"nan",
    b"2026-01-01T00:00:00",
    b"\xff",
    b".",
    b"a.b.c = 1\n",
)
_JSON = (
    b"{",
    b"[",
    b'"',
    b"null",
    b"NaN",
    b'{"record":',
    b"\\ud800",
    b"1e999",
    b"\xff",
    b"-",
    b"\n",
    b'{"QMP": ',
)
_TAR = (b"../", b"/", b"ustar\000", b"L", b"x", b"g", b"S", b"-1", b"\xff" * 12, b"30 size=-512\n")
_AR = (b"data.tar.xz     ", b"data.tar.zst    ", b"`\n", b"!<arch>\n")
_PLACES = (b"{", b"(", b"[", b"'", b"-", b"Place '", b"  tags: ", b"\n", b"\\N{x}", b"\0")
_PANICS = (b"Kernel panic - not syncing: ", b"\x1b[2J", b"\r", b"\xff", b"BUG: ")
_PATHS = (b"/", b"..", b".", b"TRAILER!!!", b"\0", b"\n")
_SOURCES = (b"deb ", b"[", b"]", b"\t", b" ", b"http://[", b":", b"://")
_PGP = (b"-----BEGIN PGP SIGNATURE-----\n", b"- ")


def _certificates():
    ring = _signed()[1]
    return [ring, library().armor(ring, library().ArmorKind.PublicKey).encode()]


PARSERS = {
    parser.name: parser
    for parser in (
        Parser("btf", samples.btf_files, _btf),
        Parser("dwarf", lambda: [_dwarf_file()], lambda data: dwarf.structs(_path(data))),
        Parser("points", lines.vmlinux_files, lambda data: lines.points(_path(data)), slow=True),
        Parser("kcov", lines.recordings, lines.addresses),
        Parser(
            "payload",
            lambda: [_dwarf_file()],
            lambda data: programs.read_payload("p", data),
        ),
        Parser("notes", lambda: [b"\4\0\0\0\24\0\0\0\3\0\0\0GNU\0" + bytes(20)], build_id.of_notes),
        Parser("kernel", samples.kernels, _kernel),
        Parser("module", lambda: [kernel_images.module("b"), kernel_images.module()], _module),
        Parser("deb", samples.debs, _deb, _AR),
        Parser("tar", samples.tars, _tar, _TAR),
        Parser("release", lambda: [samples.RELEASE], _release, _DEB822, text=True),
        Parser("index", lambda: [samples.INDEX], _index, _DEB822, text=True),
        Parser(
            "signed",
            lambda: [_signed()[0]],
            lambda data: _ring().content(data, "X"),
            _PGP,
            text=True,
            slow=True,
        ),
        Parser("keyring", _certificates, _keyring, slow=True),
        Parser("targets", lambda: [samples.TARGETS], lambda data: spec.parse(data, "X"), _TOML, text=True),
        Parser("run-log", samples.run_logs, lambda data: list(run_log.read(_path(data))), _JSON, text=True),
        Parser("reports", samples.run_logs, lambda data: reports.formats(_path(data)), _JSON, text=True),
        Parser("history", samples.run_logs, lambda data: reports.history(_path(data)), _JSON, text=True),
        Parser("old-runs", samples.run_logs, lambda data: is_needed(_path(data), 0.0), _JSON, text=True),
        Parser("apt", lambda: [samples.SOURCES], _apt, _SOURCES, text=True),
        Parser("labgrid", lambda: [samples.LABGRID], _labgrid, _PLACES, text=True),
        Parser("qmp", lambda: [samples.QMP], _qmp, _JSON, text=True),
        Parser("console", lambda: [samples.CONSOLE], _console, _PANICS, text=True),
        Parser("program", vmms.programs, vmms.program),
        Parser("printed", lambda: [vmms.PRINTED], vmms.printed, text=True),
        Parser("catalogue", lambda: [vmms.CATALOGUE], vmms.catalogue, _DEB822, text=True),
        Parser("newc", lambda: [b"init\nbin/busybox\nmodules/00-kvm.ko"], _newc, _PATHS, text=True),
    )
}


def messages(data, parser):
    """Run a parser and return the SyseventError that it raises, None if it raises none; other exceptions pass."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.run(data)
        except SyseventError as error:
            return error
    return None
