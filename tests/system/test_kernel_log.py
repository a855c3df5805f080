"""The kernel's log of a real guest, booted and restored from a snapshot."""

import msgspec

from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.hosts.openers import opener
from sysevent.scenario.x86_64 import wrmsr
from sysevent.targets import spec as targets

# MSRs between those of Hyper-V, whose writes KVM logs with level 3 (arch/x86/kvm/hyperv.c, kvm_hv_set_msr).
UNKNOWN = (0x4000_0005, 0x4000_0006)


def lines_of(settings, folder):
    """How the guest was started, and what its kernel logged around two scenarios."""
    (spec,) = [spec for spec in targets.builtin() if spec.name == "x86_64-tcg"]
    listeners = Listeners(lambda _: None, lambda _: None, lambda *_: None)
    asker = Asker(spec, opener(spec, settings, None), settings, folder, listeners)
    try:
        asker.facts()
        logs = [asker.observe(wrmsr(f"unknown.{msr:x}", msr, 1)).log for msr in UNKNOWN]
        return asker.restarts.origin, logs
    finally:
        asker.close()


def test_each_message_is_in_the_reply_of_its_scenario(bootable, here, tmp_path):
    """Also in a restored guest, whose VMM was saved with its position in the log; and with `quiet`."""
    bootable("x86_64")
    settings = msgspec.structs.replace(here, snapshots=True)
    origins = []
    for number in range(2):
        origin, logs = lines_of(settings, tmp_path / str(number))
        origins.append(origin)
        for msr, log in zip(UNKNOWN, logs, strict=True):
            assert log.before == ()
            (line,) = log.lines
            assert f"Unhandled WRMSR({msr:#x}) = 0x1" in line
    assert origins[-1] == "snapshot"
