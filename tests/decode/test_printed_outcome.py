"""What VMMs that run a kernel printed, and how they ended."""

import pytest
import vmm_runs as runs

from sysevent.decode.printed_outcome import GOES_ON, PRINTING, outcome
from sysevent.errors import BadWire, GuestLost
from sysevent.model import Observation
from sysevent.scenario.kernels import VMMS

# As kvmtool printed them; those of the others are what their sources format.
VERSIONS = {
    "kvmtool": b"kvm tool 3.18.0\n",
    "crosvm": b"crosvm 0.1.0-f1e797a68dad\n",
    "cloud_hypervisor": b"cloud-hypervisor v48.0.0\nMigration Protocol Versions: 1\n",
    "firecracker": b"Firecracker v1.14.0\n\n",
}
NUMBERS = {
    "kvmtool": "3.18.0",
    "crosvm": "0.1.0-f1e797a68dad",
    "cloud_hypervisor": "48.0.0",
    "firecracker": "1.14.0",
}
STARTED = runs.report("m", 1)
KILLED = runs.answer(flags=runs.KILLED | runs.ENDED, status=9)


def seen(vmm, ran, end=runs.NOT_STARTED, version=None):
    """The observation of a VMM that printed its version, ran its guest and ended, or was ended."""
    said = runs.answer(VERSIONS[vmm]) if version is None else version
    name = f"arm64.vmm.{vmm}.psci.off"
    return Observation(name, "arm64", "arm64", {}, {"start": said, "run": ran, "end": end}, {})


def test_each_vmm_that_can_be_run_can_be_read():
    assert PRINTING.keys() == VMMS.keys() == VERSIONS.keys()


@pytest.mark.parametrize("vmm", PRINTING)
def test_the_version(vmm):
    assert outcome(seen(vmm, runs.answer(STARTED))).version == NUMBERS[vmm]


@pytest.mark.parametrize("vmm", PRINTING)
@pytest.mark.parametrize(
    "version",
    [
        runs.answer(b"busybox 1.36\n"),
        runs.answer(b""),
        runs.answer(b"my kvm tool 3.18.0, crosvm 1, cloud-hypervisor 1, Firecracker v1\n"),
        runs.answer(b"unknown option\n", status=1 << 8),
        runs.NOT_STARTED,
        KILLED,
    ],
)
def test_another_program(vmm, version):
    """Nothing is judged, whatever else it prints."""
    with pytest.raises(GuestLost, match="this program is another one, or cannot start"):
        outcome(seen(vmm, runs.answer(STARTED), version=version))


def test_the_right_version_of_a_failing_program():
    with pytest.raises(GuestLost, match="then exit code 1"):
        outcome(
            seen("kvmtool", runs.answer(STARTED), version=runs.answer(VERSIONS["kvmtool"], status=1 << 8))
        )


@pytest.mark.parametrize(
    ("vmm", "printed", "events"),
    [
        ("kvmtool", b"\n  Info: KVM session ended normally.\n", "KVM session ended normally"),
        (
            "kvmtool",
            b"  Warning: unknown system event type 3\n  Info: KVM session ended normally.\n",
            "unknown system event type 3, KVM session ended normally",
        ),
        ("kvmtool", b'  Error: KVM exit reason: 17 ("KVM_EXIT_INTERNAL_ERROR")\n',
         "KVM exit reason KVM_EXIT_INTERNAL_ERROR"),
        (
            "crosvm",
            b"[INFO  crosvm::crosvm::sys::linux::vcpu] system reset event\n[INFO  x] vcpu requested reset\n",
            "vcpu requested reset",
        ),
        ("crosvm", b"[WARN x] PSCI SYSTEM_RESET2 with reset_type=0x0, cookie=0x0\n", "PSCI SYSTEM_RESET2"),
        ("cloud_hypervisor", b'{\n  "source": "vm",\n  "event": "rebooting",\n  "properties": null\n}\n', "rebooting"),
        ("cloud_hypervisor", b"<vcpu0> VCPU generated error: VcpuRun(..)\n", "VCPU generated error"),
        ("firecracker", b"[a:fc_vcpu 0] Received KVM_SYSTEM_EVENT: type: 2, event: [1]\n", "KVM_SYSTEM_EVENT 2 [1]"),
        ("firecracker", b"Received KVM_SYSTEM_EVENT signal type: 3, flag: []\n", "KVM_SYSTEM_EVENT 3 []"),
        ("firecracker", b"Unexpected exit reason on vcpu run: Shutdown\n", "Unexpected exit reason Shutdown"),
        ("firecracker", b"nothing\xff\n", "none"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stream", ["output", "errors", "side"])
def test_events(vmm, printed, events, stream):
    """On whichever stream."""
    streams = {"output": STARTED, "errors": b"", "side": b""}
    streams[stream] += printed
    assert outcome(seen(vmm, runs.answer(**streams))).happened == events


def test_a_repeated_event_is_listed_once():
    lines = b"Received KVM_SYSTEM_EVENT: type: 1, event: [0]\n" * 1000
    assert outcome(seen("firecracker", runs.answer(STARTED, side=lines))).happened == "KVM_SYSTEM_EVENT 1 [0]"


def test_no_more_events_than_are_kept():
    lines = b"".join(b"unknown system event type %d\n" % number for number in range(1000))
    assert len(outcome(seen("kvmtool", runs.answer(STARTED, errors=lines))).events) == 50


def test_the_end_of_the_vmm():
    found = outcome(seen("crosvm", runs.answer(STARTED, status=32 << 8)))
    assert (found.exit_code, found.ended, found.state, found.restarted) == (32, "exit code 32", "", False)


def test_a_guest_that_goes_on():
    """It has reported what its call returned; its VMM is killed then, which is no result."""
    reported = STARTED + runs.report("r", 2**64 - 1) + runs.report("e", 1)
    found = outcome(seen("kvmtool", runs.answer(reported, flags=runs.FOUND), KILLED))
    assert (found.returned, found.state, found.exit_code, found.ended) == (
        2**64 - 1,
        "running",
        None,
        GOES_ON,
    )


def test_a_vmm_that_ends_behind_its_guest():
    """Of such an end no claim knows anything."""
    reported = STARTED + runs.report("e", 1)
    with pytest.raises(GuestLost, match="ended by itself after its guest had reported its end: exit code 1"):
        outcome(seen("kvmtool", runs.answer(reported, flags=runs.FOUND), runs.answer(status=1 << 8)))


@pytest.mark.parametrize("again", [STARTED, runs.report("m", 2)])
def test_a_guest_that_starts_again(again):
    """In the same memory its count goes up; in new memory it begins again."""
    found = outcome(seen("cloud_hypervisor", runs.answer(side=STARTED, flags=runs.FOUND),
                         runs.answer(side=again, flags=runs.KILLED | runs.ENDED, status=9)))  # fmt: skip
    assert (found.starts, found.restarted) == (2, True)


def test_a_guest_that_never_ran():
    with pytest.raises(GuestLost, match="its guest did not: exit code 1: Fatal: not enough memory"):
        outcome(seen("kvmtool", runs.answer(errors=b"  Fatal: not enough memory\n", status=1 << 8)))


def test_more_than_is_kept():
    with pytest.raises(BadWire, match="printed more than is kept"):
        outcome(seen("kvmtool", runs.answer(STARTED, flags=runs.ENDED | runs.CUT)))


def test_hostile_text_stays_short():
    with pytest.raises(GuestLost) as lost:
        outcome(seen("kvmtool", runs.answer(STARTED), version=runs.answer(b"x" * 10000, b"y" * 10000)))
    assert len(str(lost.value)) < 600
    with pytest.raises(GuestLost) as lost:
        outcome(seen("kvmtool", runs.answer(errors=b"y" * 10000)))
    assert len(str(lost.value)) < 400
    version = runs.answer(b"crosvm 1" + b"9" * 10000 + b"\n")
    assert len(outcome(seen("crosvm", runs.answer(STARTED), version=version)).version) == 40
