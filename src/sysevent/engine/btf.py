"""The layout of kvm_run that a running kernel was compiled with, from its BTF; cached for each kernel.

BTF has megabytes, so it is read once. The key is the content of the kernel's files on this machine, and only if the
kernel that answers was proven to be that one (engine/identity.py): what a guest says of itself cannot choose a layout.
Any other kernel's BTF is read every time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sysevent.arches import Architecture
from sysevent.cache import Cache
from sysevent.decode.btf import Btf
from sysevent.decode.structs import Layout, Struct
from sysevent.model import Facts, Proof

# Version of what is cached; a change outdates all of it.
_SCHEMA = 2
_VMLINUX, _MODULE = "/sys/kernel/btf/vmlinux", "/sys/kernel/btf/kvm"


class Asked(Protocol):
    """The part of Asker that kvm_run() uses."""

    @property
    def arch(self) -> Architecture:
        """The architecture of the target."""

    def facts(self) -> Facts:
        """See Asker."""

    def file(self, path: str) -> bytes:
        """See Asker."""


class Types(Protocol):
    """The part of Btf that kvm_run() uses."""

    def reachable(self, name: str) -> dict[str, Struct]:
        """See Btf."""


def kvm_run(target: Asked, cache: Cache | None, parse: Callable[..., Types] = Btf) -> Layout:
    """The layout of struct kvm_run and of the types in it; empty if the BTF has none. NotApplicable without BTF.

    cache: None: the kernel is asked in any case. parse is called as Btf is: with the bytes of vmlinux, or with those of
    a module and the types of vmlinux.
    """
    path = None if cache is None else _path(target, cache)
    if cache is not None and path is not None and (known := cache.read(path, Layout)):
        return known
    types = parse(target.file(_VMLINUX))
    found = Layout(types.reachable("kvm_run"))
    if not found.structs:
        found = Layout(parse(target.file(_MODULE), types).reachable("kvm_run"))
    if cache is not None and path is not None:
        cache.record(path, found)
    return found


def _path(target: Asked, cache: Cache) -> Path | None:
    """The file of the cache with the layout of a kernel; None unless the kernel is proven to be a known one."""
    identity = target.facts().identity
    if identity is None or identity.proof is not Proof.PROVEN:
        return None
    key = hashlib.sha256(repr((_SCHEMA, target.arch.name, identity.content)).encode()).hexdigest()[:32]
    return cache.root / "btf" / f"{key}.json"
