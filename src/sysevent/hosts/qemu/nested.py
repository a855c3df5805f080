"""Whether a guest under this machine's KVM has a KVM of its own: decided by booting one that creates a VM.

A QEMU that starts proves nothing: under some nested KVMs it starts and its guest hangs. A success is remembered until
this machine is rebooted or anything in the guest changes; a failure for an hour, because a busy machine may have caused
it.
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
from sysevent.hosts import waiting
from sysevent.hosts.qemu.bundle import Bundle
from sysevent.hosts.qemu.guest import QemuGuest
from sysevent.model import Progress
from sysevent.settings import Settings

# Seconds for a guest under KVM to send HELLO; two are usual.
_BOOT = 30
# Seconds for it to create a VM.
_ANSWER = 10
# Seconds until a failure is tried again.
_STALE = 3600
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Trial(msgspec.Struct, frozen=True):
    """The remembered result of a trial, a file in the cache."""

    # "" when the guest created a VM.
    why_not: str
    # Seconds since the epoch.
    at: float


def kvm_obstacle(bundle: Bundle, settings: Settings, progress: Progress) -> str:
    """Why this guest cannot create a VM; "" when it can. Boots the guest and ends it, unless the result is cached."""
    boot_id = _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
    name = hashlib.sha256(f"{bundle.key} {boot_id}".encode()).hexdigest()
    cache, path = Cache(settings.cache), settings.cache / "nested" / f"{name}.json"
    known = cache.read(path, _Trial)
    if known is not None and (not known.why_not or 0 <= time.time() - known.at < _STALE):
        return known.why_not
    progress(f"{bundle.spec.id}: checking whether a guest under KVM has a KVM of its own")
    obstacle = _try(bundle)
    cache.record(path, _Trial(obstacle, time.time()))
    return obstacle


def _try(bundle: Bundle) -> str:
    spec = msgspec.structs.replace(bundle.spec, boot=min(bundle.spec.boot, _BOOT))
    with tempfile.TemporaryDirectory(prefix="sysevent-kvm-") as logs:
        # --gdb and --keep are for the guest of the run, not for this one.
        config = msgspec.structs.replace(bundle.config, debug=False, keep=False)
        trial = msgspec.structs.replace(bundle, spec=spec, config=config, keep=0)
        guest = QemuGuest(trial, Path(logs), lambda _: None)
        try:
            guest.start()
            waiting.hello(guest)
            step = wire.pack_step(wire.Op.VM, struct.pack("<Q", 0), required=True)
            number = guest.send(wire.pack_request(_ANSWER * 1000, [step]), bundle.config.arch.abis[0].number)
            reply = waiting.reply(guest, number, 2 * _ANSWER)
        except SyseventError as error:
            return f"a guest under KVM was lost: {str(error).splitlines()[0]}"
        finally:
            guest.close()
    if reply.state is wire.State.DONE:
        return ""
    return "a guest under KVM has no KVM of its own: this machine does not nest"
