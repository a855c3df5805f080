"""The cache of BTF: keyed by build IDs that the running kernel gives, and by nothing less."""

import struct

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.cache import Cache
from sysevent.decode.structs import Layout, Struct
from sysevent.engine import btf
from sysevent.errors import NotApplicable
from sysevent.model import Answer, Observation

VMLINUX, MODULE = "/sys/kernel/btf/vmlinux", "/sys/kernel/btf/kvm"


def note(content, name=b"GNU\0", kind=3):
    padded = content + bytes(-len(content) % 4)
    return struct.pack("<III", len(name), len(content), kind) + name + bytes(-len(name) % 4) + padded


class Target:
    """Files of L1, and which of them were read."""

    arch = ARCHITECTURES["arm64"]

    def __init__(self, kernel, module, files):
        self.build = {"kernel": answer(kernel), "kvm": answer(module)}
        self.files = {path: data for path, data in files.items() if data}
        self.read = []

    def observe(self, scenario, abi="native", *, recorded=True):
        assert (scenario.name, abi, recorded) == ("arm64.build", "native", False)
        return Observation(scenario.name, "arm64", abi, {}, self.build, {})

    def file(self, path):
        self.read.append(path)
        if path not in self.files:
            raise NotApplicable(path)
        return self.files[path]


def answer(data):
    return Answer(-1, 2, b"") if data is None else Answer(0, 0, data)


def target(own=b"1" * 20, module=None, types=b"vmlinux", module_types=None):
    return Target(
        own and note(b"\x07", b"Linux\0", 0x101) + note(own),
        module and note(module),
        {VMLINUX: types, MODULE: module_types},
    )


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
    again = target(types=b"kvm_run, another")  # cannot be: the same ID
    assert size(kvm_run(again, cache)) == 7
    assert VMLINUX not in again.read


@pytest.mark.parametrize("other", [{"own": b"2" * 20}, {"module": b"2" * 20}])
def test_another_kernel_is_read(tmp_path, other):
    cache = Cache(tmp_path)
    kvm_run(target(types=b"kvm_run"), cache)
    assert size(kvm_run(target(types=b"kvm_run 7.2", **other), cache)) == 11


def test_a_rebuilt_module_without_an_id_is_read(tmp_path):
    """Its types are its own, and the ID of vmlinux does not tell them."""
    cache = Cache(tmp_path)
    assert size(kvm_run(target(module_types=b"kvm_run"), cache)) == 7
    assert size(kvm_run(target(module_types=b"kvm_run rebuilt"), cache)) == 15


def test_a_module_with_an_id_is_read_once(tmp_path):
    cache = Cache(tmp_path)
    assert size(kvm_run(target(module=b"m" * 20, module_types=b"kvm_run"), cache)) == 7
    again = target(module=b"m" * 20, module_types=b"kvm_run")
    assert size(kvm_run(again, cache)) == 7
    assert MODULE not in again.read


def test_a_kernel_without_ids_is_read_every_time(tmp_path):
    cache = Cache(tmp_path)
    assert size(kvm_run(target(own=None, types=b"kvm_run"), cache)) == 7
    assert size(kvm_run(target(own=None, types=b"kvm_run 2"), cache)) == 9


def test_without_btf(tmp_path):
    with pytest.raises(NotApplicable, match="btf/vmlinux"):
        kvm_run(target(types=None), Cache(tmp_path))


@pytest.mark.parametrize(
    ("notes", "found"),
    [
        (b"", b""),
        (note(b"abc"), b"abc"),
        (note(b"x", b"Linux\0", 3) + note(b"abcd"), b"abcd"),
        (note(b"abcd", b"GNU\0", 1), b""),
        (note(b"abcd")[:10], b""),
    ],
)
def test_build_id(notes, found):
    assert btf.build_id(notes) == found
