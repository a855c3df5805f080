"""The built-in targets of other modes of KVM: none is asked unless it is named."""

from sysevent.targets import spec

MODES = [row for row in spec.builtin() if row.booted and not row.default]


def test_each_says_how_it_differs():
    """Its KVM must say so, too, or it names the kernel or the machine that it is about."""
    assert len(MODES) > 5
    assert all((row.cpu or row.append or row.machine) and row.where == "tcg" for row in MODES)
    assert all(row.expect or row.machine or row.kernel != "debian:6.12" for row in MODES)
