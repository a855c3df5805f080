"""The initramfs of a guest."""

import hashlib

import pytest
from faults import DAMAGE

from sysevent.arches import architecture
from sysevent.errors import ImageError, UsageError
from sysevent.images.rootfs import initramfs
from sysevent.model import KernelImage

ARM64 = architecture("arm64")


def contents(data):
    """Return path -> (mode, device, bytes) of a newc archive, parsed independently of newc.py."""
    found, at = {}, 0
    while True:
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = data[at + 110 : at + 109 + fields[11]].decode()
        start = (at + 110 + fields[11] + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (fields[1], (fields[9], fields[10]), data[start : start + fields[6]])
        at = (start + fields[6] + 3) // 4 * 4


@pytest.fixture
def build(settings, progress, tmp_path, make_module):
    where = tmp_path / "modules"
    where.mkdir()
    for name, depends in (("kvm", "irqbypass"), ("irqbypass", "")):
        (where / f"{name}.ko").write_bytes(make_module(depends))

    def build(files, modules=(), release="6.12.1", directory=where):
        kernel = KernelImage("x", "arm64", release, "", where / "Image", directory)
        return initramfs.build(kernel, ARM64, files, modules, settings, progress)

    return build


def test_contents(build, make_module):
    found = contents(build({"/init": b"#!", "opt/bin/probe": b"\x7fELF"}, ["kvm"]).read_bytes())
    assert {path: mode for path, (mode, _, _) in found.items()} == {
        "dev": 0o40755,
        "modules": 0o40755,
        "opt": 0o40755,
        "opt/bin": 0o40755,
        "proc": 0o40755,
        "sys": 0o40755,
        "dev/console": 0o20600,
        "init": 0o100755,
        "opt/bin/probe": 0o100755,
        "modules/00-irqbypass.ko": 0o100644,
        "modules/01-kvm.ko": 0o100644,
    }
    assert found["dev/console"][1] == (5, 1)
    assert found["init"][2] == b"#!"
    assert found["modules/01-kvm.ko"][2] == make_module("irqbypass")
    paths = list(found)
    assert all(paths.index(p.rpartition("/")[0]) < paths.index(p) for p in paths if "/" in p)


def test_the_same_contents_give_the_same_file(build):
    first = build({"/init": b"1", "/a": b"2"})
    assert build({"a": b"2", "init": b"1"}) == first
    assert build({"a": b"2", "init": b"3"}) != first
    assert first.stem == hashlib.sha256(first.read_bytes()).hexdigest()


def test_a_rebuilt_module_gives_another_archive(build, tmp_path, make_module):
    first = build({}, ["kvm"])
    (tmp_path / "modules/kvm.ko").write_bytes(make_module("irqbypass", vermagic="6.12.1 modversions again"))
    assert build({}, ["kvm"]) != first


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_archive_is_written_again(build, damage):
    path = build({"/init": b"1"})
    whole = path.read_bytes()
    DAMAGE[damage](path)
    assert build({"/init": b"1"}).read_bytes() == whole


def test_without_modules_or_with_built_in_ones(build):
    assert build({}, ["kvm"], directory=None) == build({}, ["not_there"]) == build({})


def test_modules_for_another_kernel(build, tmp_path, make_module):
    (tmp_path / "modules/irqbypass.ko").write_bytes(make_module(vermagic="6.1.0 SMP "))
    with pytest.raises(ImageError, match=r"for Linux 6\.1\.0, the kernel is 6\.12\.1"):
        build({}, ["kvm"])


@pytest.mark.parametrize("files", [{"/init": b"1", "init": b"2"}, {"../etc": b""}, {"": b""}])
def test_invalid_paths(build, files):
    with pytest.raises(UsageError):
        build(files)
