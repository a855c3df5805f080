"""The logs of a target: an incident for each scenario around which its kernel warned."""

from sysevent.engine.kernel_logs import KernelLogs
from sysevent.errors import BadWire
from sysevent.model import KernelLog
from sysevent.wire import Reply, State

SPLAT = (
    "[ cut here ]",
    "WARNING: CPU: 0 PID: 7 at arch/x86/kvm/x86.c:1 kvm_vcpu_reset+0x1/0x2",
    "---[ end trace",
)


def heard(*replies):
    """The incidents and the entries after these logs of scenarios."""
    incidents = []
    logs = KernelLogs(incidents.append)
    for name, log in replies:
        logs.add(name, "x86_64", log if isinstance(log, BadWire) else Reply(State.DONE, 0, (), log))
    return incidents, logs.entries


def test_a_warning_is_an_incident():
    """With its headline first, then all of its lines, and without other messages."""
    incidents, entries = heard(("x86_64.a", KernelLog(lines=("noise", *SPLAT))), ("x86_64.b", KernelLog()))
    assert incidents == ["\n".join([f"the kernel warned while x86_64.a ran: {SPLAT[1]}", *SPLAT])]
    assert [key.scenario for key, _ in entries] == ["x86_64.a", "x86_64.b"]


def test_once_for_each_scenario():
    """Also if it runs for several ABIs, or again."""
    log = KernelLog(lines=SPLAT)
    assert len(heard(("x86_64.a", log), ("x86_64.a", log), ("x86_64.b", log))[0]) == 2


def test_a_warning_before_a_scenario():
    (incident,), _ = heard(("x86_64.a", KernelLog(before=SPLAT)))
    assert incident.startswith("the kernel warned before x86_64.a: WARNING")


def test_a_long_splat_is_cut():
    (incident,), _ = heard(("x86_64.a", KernelLog(lines=("[ cut here ]", *["x"] * 100), cut=True)))
    assert incident.splitlines()[-2:] == ["(41 more lines)", "(messages are missing here)"]


def test_no_log():
    """An invalid reply has none, and most have no warning."""
    assert heard(("x86_64.a", BadWire("x")), ("x86_64.b", KernelLog(lines=("noise",))))[0] == []
