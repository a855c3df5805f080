"""The kernel that answers is the one that was given, with real guests: replaced files, wrong snapshots, damage."""

import os
import shutil

import msgspec
import pytest

from sysevent.cache import Cache
from sysevent.decode import build_id
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import WrongKernel
from sysevent.hosts.openers import opener
from sysevent.hosts.qemu.opener import QemuOpener
from sysevent.hosts.qemu.snapshots import SnapshotNote
from sysevent.images.kernel import identity, resolve, vmlinux
from sysevent.model import KernelImage, Proof
from sysevent.targets import spec

KERNEL = "debian:6.12"
OTHER = b"another kernel......"


def silent(_):
    pass


@pytest.fixture(params=["arm64", "riscv64", "x86_64"])
def arch(request, bootable):
    return bootable(request.param)


@pytest.fixture
def own(here, tmp_path):
    """Settings with a cache of its own, in which only the VMMs and the compiler's files are those of the user."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("build", "zig", "blobs", "tracks", "suites", "modules"):
        if (here.cache / name).exists():
            (cache / name).symlink_to(here.cache / name)
    return msgspec.structs.replace(here, cache=cache, offline=True, snapshots=True)


@pytest.fixture
def image(arch, here, own, tmp_path):
    """A kernel of the user's own: a file that contains its build ID as it is, so that it can be replaced."""
    found = resolve.find(KERNEL, arch, here, silent)
    found = msgspec.structs.replace(found, modules=Cache(own.cache).blob(found.modules.name))
    path = tmp_path / "kernel"
    path.write_bytes(vmlinux.boot_kernel(found, here, silent).content.read())
    return msgspec.structs.replace(found, image=path, sha256="")


def id_in(path):
    found = identity.image_build_id(path.read_bytes(), str(path))
    if "zstd" in found.obstacle and shutil.which("zstd") is None:
        pytest.skip("zstd is not installed: apt install zstd")
    assert found.value, found.obstacle
    return found.value


def patch(path, new):
    """Give the kernel in a file another build ID, and leave size and times as they are."""
    status, data = path.stat(), path.read_bytes()
    old = bytes.fromhex(id_in(path))
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)


class Opener(QemuOpener):
    """Takes a kernel that is not resolved: modules of a package with an image of the test's own."""

    def __init__(self, row, settings, image):
        super().__init__(row, settings, None)
        self._kernel = image


# Seconds for a restore, and boots after which there must be a good snapshot.
TRIAL, BOOTS = 10, 3


@pytest.fixture
def ask(arch, own, tmp_path):
    """ask(image): the facts, how the guest was opened, and the incidents.

    A guest that was saved on a busy machine may not be restorable: then it boots again, until there is a good snapshot.
    """
    (row,) = spec.select(spec.known([]), [f"{arch.name}-tcg"], [], [])
    count = iter(range(100))

    def ask(image):
        first, good = once(image)
        for _ in range(BOOTS):
            good = good or once(image)[1]
        assert good
        return first

    def once(image):
        incidents = []
        listeners = Listeners(silent, incidents.append, lambda *_: None)
        found = Opener(row, own, image) if isinstance(image, KernelImage) else opener(row, own, None)
        asker = Asker(row, found, own, tmp_path / f"logs-{next(count)}", listeners)
        try:
            told = asker.facts(), asker.restarts.origin, [incident.reason for incident in incidents]
        finally:
            asker.close()
        # As a run does at its end.
        asker.restarts.try_snapshot(TRIAL)
        return told, found.restorable()

    return ask


def test_a_kernel_that_is_replaced(image, ask):
    """By one of the same size and time, as by `cp -p`: it is the new one that boots, and answers."""
    first = id_in(image.image)
    facts, origin, incidents = ask(image)
    assert (facts.identity.build_id, facts.identity.proof) == (first, Proof.PROVEN)
    assert (origin, incidents) == ("boot", [])
    again, origin, _ = ask(image)
    assert (again.identity, origin) == (facts.identity, "snapshot")

    patch(image.image, OTHER)
    replaced, origin, incidents = ask(image)
    assert (replaced.identity.build_id, replaced.identity.proof) == (OTHER.hex(), Proof.PROVEN)
    assert (origin, incidents) == ("boot", [])


def test_the_snapshot_of_another_kernel(image, ask, own):
    """Under the key of the kernel that was given: it is discarded, and that kernel boots."""
    ask(image)
    patch(image.image, OTHER)
    ask(image)
    snapshots = own.cache / "snapshots"
    one, two = sorted(snapshots.glob("*.json"), key=lambda path: path.stat().st_mtime)
    cache = Cache(own.cache)
    note = cache.read(one, SnapshotNote)
    # The newer one is that of the image as it is now.
    cache.record(two, msgspec.structs.replace(note, key=two.stem))
    two.with_suffix(".state").unlink()
    one.with_suffix(".state").rename(two.with_suffix(".state"))

    facts, origin, incidents = ask(image)
    assert (facts.identity.build_id, facts.identity.proof, origin) == (OTHER.hex(), Proof.PROVEN, "boot")
    assert len(incidents) == 1
    assert "the kernel that answers has the build ID" in incidents[0]
    assert "It came from a snapshot, which is discarded" in incidents[0]


def test_another_kernel_boots(image, ask, own, monkeypatch):
    """If all else fails: whatever the reason, nothing that it answers counts."""
    real = vmlinux.boot_kernel

    def with_another_id(*args):
        return msgspec.structs.replace(real(*args), build_id=OTHER.hex())

    monkeypatch.setattr(vmlinux, "boot_kernel", with_another_id)
    with pytest.raises(WrongKernel, match=f"has the build ID {id_in(image.image)}, and .* has {OTHER.hex()}"):
        ask(image)
    assert not list((own.cache / "snapshots").glob("*.json"))


def test_another_module(image, ask, arch, own):
    """A module that was not given is found by its build ID, too."""
    facts, _, _ = ask(image)
    if not facts.identity.modules:
        pytest.skip(f"KVM is built into this kernel for {arch.name}")
    (path,) = [p for p in own.cache.glob("modules/*.bin") if p.name.startswith(image.modules.name[:16])][:1]
    known = build_id.of_elf
    name, found = next(iter(facts.identity.modules.items()))

    def of_elf(data):
        return OTHER.hex() if known(data) == found else known(data)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(build_id, "of_elf", of_elf)
        with pytest.raises(
            WrongKernel, match=f"the module {name} that is loaded there has the build ID {found}"
        ):
            ask(image)
    assert path.exists()


@pytest.mark.parametrize("folder", ["kernels", "vmlinux"])
def test_a_flipped_bit_in_a_cached_kernel(folder, ask, arch, own):
    """The kernel is taken out of its package again, and is the same."""
    facts, _, _ = ask(None)
    paths = [p for p in (own.cache / folder).rglob("*") if p.is_file() and p.stat().st_size > 1 << 20]
    if not paths:
        pytest.skip(f"{arch.name} has none")
    (path,) = paths
    good = path.read_bytes()
    for at in (len(good) // 7, len(good) // 2):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        again, _, incidents = ask(None)
        assert (again.identity, incidents) == (facts.identity, [])
        assert path.read_bytes() == good
    assert Cache(own.cache).is_intact(path)
