"""The layout of kvm_run that a running kernel was compiled with, from its BTF; cached for each kernel.

BTF has megabytes, so it is read once. A kernel is identified by the build IDs of itself and of its module kvm: the
linker hashes all that it links into them, BTF included, so equal IDs mean equal BTF. A kernel without IDs is read
every time.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Protocol

from sysevent.arches import NATIVE, Architecture
from sysevent.cache import Cache
from sysevent.decode.btf import Btf
from sysevent.decode.structs import Layout, Struct
from sysevent.model import Observation
from sysevent.scenario.facts import BUILD
from sysevent.scenario.steps import Scenario

# Version of what is cached; a change outdates all of it.
_SCHEMA = 1
_VMLINUX, _MODULE = "/sys/kernel/btf/vmlinux", "/sys/kernel/btf/kvm"
# NT_GNU_BUILD_ID. Source: binutils, include/elf/common.h.
_GNU_BUILD_ID = 3
# The header of an ELF note: the sizes of name and content, and its type.
_NOTE = struct.Struct("<III")


class Asked(Protocol):
    """The part of Asker that kvm_run() uses."""

    @property
    def arch(self) -> Architecture:
        """The architecture of the target."""

    def observe(self, scenario: Scenario, abi: str = NATIVE, *, recorded: bool = True) -> Observation:
        """See Asker."""

    def file(self, path: str) -> bytes:
        """See Asker."""


class Types(Protocol):
    """The part of Btf that kvm_run() uses."""

    def reachable(self, name: str) -> dict[str, Struct]:
        """See Btf."""


def kvm_run(target: Asked, cache: Cache, parse: Callable[..., Types] = Btf) -> Layout:
    """The layout of struct kvm_run and of the types in it; empty if the BTF has none. NotApplicable without BTF.

    parse is called as Btf is: with the bytes of vmlinux, or with those of a module and the types of vmlinux.
    """
    notes = target.observe(BUILD[target.arch.name], recorded=False).answers
    own, module = build_id(notes["kernel"].data), build_id(notes["kvm"].data)
    key = hashlib.sha256(repr((_SCHEMA, target.arch.name, own, module)).encode()).hexdigest()[:32]
    path = cache.root / "btf" / f"{key}.json"
    if own and (known := cache.read(path, Layout)):
        return known
    types = parse(target.file(_VMLINUX))
    found, cache_key_complete = Layout(types.reachable("kvm_run")), bool(own)
    if not found.structs:
        found = Layout(parse(target.file(_MODULE), types).reachable("kvm_run"))
        cache_key_complete = bool(own and module)
    if cache_key_complete:
        cache.record(path, found)
    return found


def build_id(notes: bytes) -> bytes:
    """The build ID among ELF notes; empty when there is none."""
    at = 0
    while at + _NOTE.size <= len(notes):
        name_size, size, kind = _NOTE.unpack_from(notes, at)
        name = at + _NOTE.size
        content = name + (name_size + 3 & ~3)
        if kind == _GNU_BUILD_ID and notes[name : name + name_size] == b"GNU\0":
            return notes[content : content + size]
        at = content + (size + 3 & ~3)
    return b""
