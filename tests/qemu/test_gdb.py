"""The socket of QEMU's gdbstub, and the command line that connects to it."""

import os
import shlex
import socket
from pathlib import Path

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.model import KernelImage
from sysevent.qemu import gdb


def kernel(image, spec="debian:6.12", release=""):
    return KernelImage(spec, "arm64", release, "", image, None)


def test_socket_is_local():
    """It listens on the loopback interface only, on a port that no other program can take."""
    with gdb.listening_socket() as first, gdb.listening_socket() as second:
        ports = [found.getsockname() for found in (first, second)]
        assert [address for address, _ in ports] == ["127.0.0.1"] * 2
        assert len({port for _, port in ports}) == 2
        with socket.create_connection(ports[0], timeout=5):
            pass
        # Only QEMU inherits it, by pass_fds.
        assert not os.get_inheritable(first.fileno())


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
def test_command_line(arch):
    """It is quoted for a shell, whatever the directory's name is."""
    words = shlex.split(gdb.command_line(ARCHITECTURES[arch], 1234, Path("/my trees/vmlinux")))
    assert words[0] == "gdb-multiarch"
    assert words[2::2] == [words[2], "target remote 127.0.0.1:1234"]
    assert words[1:5:2] == ["-ex", "-ex"]
    assert words[2].startswith("set architecture ")
    assert words[5:] == ["/my trees/vmlinux"]


def test_command_line_without_symbols():
    assert gdb.command_line(ARCHITECTURES["arm64"], 1, None).endswith("'target remote 127.0.0.1:1'")


@pytest.mark.parametrize("asked", ["tree:{tree}", "{tree}/arch/arm64/boot/Image"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_symbols_of_a_tree(tmp_path, asked, unpacked):
    """The tree's vmlinux is found, also when QEMU boots a copy of the image."""
    tree = tmp_path / "linux"
    image = tree / "arch" / "arm64" / "boot" / "Image"
    image.parent.mkdir(parents=True)
    for path in (image, tree / "vmlinux", tmp_path / "copy"):
        path.write_bytes(b"")
    booted = tmp_path / "copy" if unpacked else image
    assert gdb.symbol_file(kernel(booted, asked.format(tree=tree))) == tree / "vmlinux"


def test_no_symbols(tmp_path, monkeypatch):
    """Neither a vmlinux in the current directory nor a directory of that name counts."""
    (tmp_path / "vmlinux").write_bytes(b"")
    cache = tmp_path / "cache"
    (cache / "vmlinux").mkdir(parents=True)
    image = cache / "kernels" / "one" / "boot" / "vmlinuz"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert gdb.symbol_file(kernel(image, release="6.12.1-none")) is None
