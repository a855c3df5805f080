"""The kinds of host, which `where` of a target selects: one row each.

Code elsewhere reads a column. It compares names only where it drives one kind: QEMU's accelerator, labgrid's places.
What opens a kind is in hosts/openers.py.
"""

from __future__ import annotations

from typing import Literal

import msgspec

KindName = Literal["tcg", "kvm", "auto", "ssh", "labgrid", "local"]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of host."""

    # As in where = "...".
    name: KindName
    # True: a guest that this machine boots in QEMU, so that --kernel chooses its kernel.
    booted: bool = False
    # True: this machine's own KVM. `arch` may be left out, and `sysevent targets` tries to open /dev/kvm.
    own_kvm: bool = False
    # True: this machine logs in at `address` with SSH, for `sysevent targets --check` and for a shell.
    ssh: bool = False

    # Keys of a target file that have no meaning with every kind, but have one with this kind.
    keys: tuple[str, ...] = ()
    # Keys of which a target must have at least one, and the message about it: 'where = "ssh" needs ...'.
    needs: tuple[str, ...] = ()
    needed: str = ""

    # The name of the lock that keeps two runs from using one host. {slot}: a number, one for each guest that this
    # machine can run at a time. {address}: address and port. "": labgrid keeps other runs away.
    lock: str
    # What `sysevent targets` says of a target without a known obstacle. "": QEMU's version.
    usable: str = ""
    # True: only --check finds that out.
    needs_check: bool = False
    # Why `sysevent shell` has none, after the name of the target; "" if it has one: in a guest, or with SSH.
    no_shell: str = ""


_SLOT = "slot-{slot}"
_QEMU_KEYS = ("cpu", "machine", "memory", "channel", "boot", "kernel", "append")
_SSH_KEYS = ("port", "user", "identity", "jump", "known_hosts", "connect", "directory")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        # A guest in this machine's QEMU without KVM, with KVM, and with KVM if that works.
        Kind(name="tcg", booted=True, keys=_QEMU_KEYS, lock=_SLOT),
        Kind(name="kvm", booted=True, keys=_QEMU_KEYS, lock=_SLOT),
        Kind(name="auto", booted=True, keys=_QEMU_KEYS, lock=_SLOT),
        # A lab machine over SSH.
        Kind(
            name="ssh",
            ssh=True,
            keys=(*_SSH_KEYS, "address"),
            needs=("address",),
            needed="an address: a name, an IP address, or a Host of ~/.ssh/config",
            lock="host-{address}",
            usable="login works, and /dev/kvm is there",
            needs_check=True,
        ),
        # A lab machine that labgrid assigns; then it is one over SSH.
        Kind(
            name="labgrid",
            keys=(*_SSH_KEYS, "place", "coordinator"),
            needs=("tags", "place"),
            needed='tags = {arch = "arm64", ...} that a place must have, or a place',
            lock="",
            usable="a place has the tags",
            needs_check=True,
            no_shell="is leased by labgrid: `labgrid-client -p PLACE lock`, then `labgrid-client -p PLACE ssh`",
        ),
        # This machine itself.
        Kind(
            name="local",
            own_kvm=True,
            keys=("directory",),
            lock="local",
            usable="/dev/kvm opens (`sysevent doctor` runs a VM)",
            no_shell="is this machine: you have a shell here already",
        ),
    )
}


def kinds_with(key: str) -> tuple[str, ...]:
    """Return the names of the kinds with which a key of a target file has a meaning."""
    return tuple(kind.name for kind in KINDS.values() if key in kind.keys) or tuple(KINDS)
