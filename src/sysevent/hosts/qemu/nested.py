"""Whether a guest under this machine's KVM has a KVM of its own: found out by booting one that makes a VM.

A QEMU that starts proves nothing: there are nested KVMs under which it starts, and its guest spins for ever. What
came of it is remembered until this machine is rebooted or anything of that guest changes; a failure for an hour,
since it may have been a matter of load.
"""

from __future__ import annotations

import hashlib
import struct
import tempfile
import time
from pathlib import Path

import msgspec

from sysevent import wire
from sysevent.cache import Cache
from sysevent.errors import SyseventError
from sysevent.hosts.qemu.bundle import Boot
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.model import Progress
from sysevent.settings import Settings

_BOOT = 30  # seconds for a guest under KVM to answer; a sound one takes two
_ANSWER = 10  # seconds for it to make a VM
_STALE = 3600  # seconds until a failure is tried again
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Tried(msgspec.Struct, frozen=True):
    """What came of a trial."""

    why_not: str  # "": it works
    at: float


def refused(boot: Boot, settings: Settings, progress: Progress) -> str:
    """Why this guest cannot make a VM; "" when it did. It is booted for that, and ended."""
    boot_id = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
    name = hashlib.sha256(f"{boot.key} {boot_id}".encode()).hexdigest()
    cache, path = Cache(settings.cache), settings.cache / "nested" / f"{name}.json"
    known = cache.read(path, _Tried)
    if known is not None and (not known.why_not or 0 <= time.time() - known.at < _STALE):
        return known.why_not
    progress(f"{boot.spec.id}: trying whether a guest under KVM has a KVM of its own")
    found = _trial(boot)
    cache.record(path, _Tried(found, time.time()))
    return found


def _trial(boot: Boot) -> str:
    spec = msgspec.structs.replace(boot.spec, boot=min(boot.spec.boot, _BOOT))
    with tempfile.TemporaryDirectory(prefix="sysevent-kvm-") as logs:
        # A debugger waits for the guest that comes behind this one, and that is the one to keep.
        machine = msgspec.structs.replace(boot.machine, debug=False, keep=False)
        trial = msgspec.structs.replace(boot, spec=spec, machine=machine, keep=0)
        guest = QemuGuest(trial, Path(logs), lambda _: None)
        try:
            guest.start()
            guest.hello()
            step = wire.pack_step(wire.Op.VM, struct.pack("<Q", 0), required=True)
            number = guest.send(wire.pack_request(_ANSWER * 1000, [step]), boot.machine.arch.abis[0].number)
            reply = guest.reply(number, 2 * _ANSWER)
        except SyseventError as error:
            return f"a guest under KVM was lost: {str(error).splitlines()[0]}"
        finally:
            guest.close()
    if reply.state is wire.State.DONE:
        return ""
    return "a guest under KVM has no KVM of its own: this machine does not nest"
