"""The cache of BTF: keyed by the content of a kernel's files, and only if that kernel was proven to answer."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.cache import Cache
from sysevent.decode.structs import Layout, Struct
from sysevent.engine import btf
from sysevent.errors import NotApplicable
from sysevent.model import Facts, KernelIdentity, Proof

VMLINUX, MODULE = "/sys/kernel/btf/vmlinux", "/sys/kernel/btf/kvm"


class Target:
    """Files of L1, and which of them were read."""

    arch = ARCHITECTURES["arm64"]

    def __init__(self, identity, files):
        self.identity = identity
        self.known = {path: data for path, data in files.items() if data}
        self.read = []

    def facts(self):
        return Facts("arm64", "6.12", {}, {}, "", self.identity)

    def file(self, path):
        self.read.append(path)
        if path not in self.known:
            raise NotApplicable(path)
        return self.known[path]


def identity(content="c", proof=Proof.PROVEN, build_id="1" * 40):
    return KernelIdentity(build_id, {}, proof, "", content)


def target(known=None, types=b"vmlinux", module_types=None):
    return Target(known or identity(), {VMLINUX: types, MODULE: module_types})


class Types:
    """BTF whose bytes say what is in it."""

    def __init__(self, data, base=None):
        self.data = data

    def reachable(self, name):
        return {name: Struct(name, "struct", len(self.data), ())} if b"kvm_run" in self.data else {}


def kvm_run(asked, cache):
    return btf.kvm_run(asked, cache, Types)


def size(layout: Layout) -> int:
    return layout.structs["kvm_run"].size


def test_read_once(tmp_path):
    cache = Cache(tmp_path)
    assert size(kvm_run(target(types=b"kvm_run"), cache)) == 7
    # Cannot be: equal files.
    again = target(types=b"kvm_run, another")
    assert size(kvm_run(again, cache)) == 7
    assert again.read == []


def test_the_types_of_a_module_are_read_once(tmp_path):
    cache = Cache(tmp_path)
    assert size(kvm_run(target(module_types=b"kvm_run"), cache)) == 7
    again = target(module_types=b"kvm_run")
    assert size(kvm_run(again, cache)) == 7
    assert again.read == []


def test_the_build_id_that_a_guest_reports_is_no_key(tmp_path):
    """Two kernels that report one build ID are two kernels if their files differ."""
    cache = Cache(tmp_path)
    assert size(kvm_run(target(identity("one"), types=b"kvm_run"), cache)) == 7
    assert size(kvm_run(target(identity("two"), types=b"kvm_run 7.2"), cache)) == 11


@pytest.mark.parametrize("proof", [Proof.UNPROVEN, Proof.RECORDED])
def test_a_kernel_that_is_not_proven_is_read_every_time(tmp_path, proof):
    """Neither does it take another kernel's layout, nor does it leave its own for another one."""
    cache = Cache(tmp_path)
    assert size(kvm_run(target(types=b"kvm_run"), cache)) == 7
    for types in (b"kvm_run 2", b"kvm_run number 3"):
        assert size(kvm_run(target(identity(proof=proof), types=types), cache)) == len(types)
    assert size(kvm_run(target(types=b"kvm_run of the first"), cache)) == 7


def test_a_kernel_that_was_not_asked_who_it_is(tmp_path):
    cache = Cache(tmp_path)
    for types in (b"kvm_run", b"kvm_run 2"):
        asked = target(types=types)
        asked.identity = None
        assert size(kvm_run(asked, cache)) == len(types)


def test_a_damaged_layout_is_read_again(tmp_path):
    cache = Cache(tmp_path)
    kvm_run(target(types=b"kvm_run"), cache)
    (path,) = (tmp_path / "btf").iterdir()
    path.write_bytes(path.read_bytes().replace(b'"size":7', b'"size":8'))
    assert size(kvm_run(target(types=b"kvm_run"), cache)) == 7


def test_a_cache_that_cannot_be_written_to(tmp_path):
    (tmp_path / "btf").write_text("not a directory")
    assert size(kvm_run(target(types=b"kvm_run"), Cache(tmp_path))) == 7


def test_without_btf(tmp_path):
    with pytest.raises(NotApplicable, match="btf/vmlinux"):
        kvm_run(target(types=None), Cache(tmp_path))
