"""What a machine says of itself against what its row in a target file says of it."""

import pytest

from sysevent.errors import InfrastructureError, NoKvm, WrongHost
from sysevent.hosts import identity
from sysevent.targets.spec import TargetSpec

TRAITS = {"kernel": "6.12.1-rt", "version": "#1 SMP", "machine": "aarch64", "node": "board"}


def spec(**changes):
    return TargetSpec(**{"name": "lab", "arch": "arm64", "where": "ssh"} | changes)


@pytest.mark.parametrize(
    "expect", [{}, {"kernel": "6.12.*"}, {"kernel": "*-rt", "node": "board", "version": "#* SMP*"}]
)
def test_fits(expect):
    identity.check(spec(expect=expect), TRAITS)


def test_what_is_not_known_yet_is_not_wrong():
    identity.check(spec(), {})


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"kernel": "6.12"}, "expect.kernel = '6.12', and this machine has '6.12.1-rt' (uname -r)"),
        ({"node": "BOARD"}, "expect.node = 'BOARD', and this machine has 'board' (uname -n)"),
        (
            {"kernel": "6.*", "cpu": "*"},
            "expect.cpu is no fact of a machine; there are kernel, version, machine",
        ),
    ],
)
def test_another_machine(expect, words):
    with pytest.raises(WrongHost) as caught:
        identity.check(spec(expect=expect), TRAITS)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arch", "machine"), [("arm64", "aarch64"), ("riscv64", "riscv64"), ("x86_64", "x86_64")]
)
def test_architectures(arch, machine):
    identity.check(spec(arch=arch), {"machine": machine})
    with pytest.raises(WrongHost, match=f"arch = '{arch}', and this machine is i686"):
        identity.check(spec(arch=arch), {"machine": "i686"})


def test_kvm():
    identity.check_kvm(spec(), "usable", "me")
    with pytest.raises(NoKvm, match="lab: there is no /dev/kvm: load the module"):
        identity.check_kvm(spec(), "missing", "me")
    with pytest.raises(
        NoKvm, match=r"the user me may not open /dev/kvm \(crw-rw---- root kvm\).*usermod -aG kvm me"
    ):
        identity.check_kvm(spec(), "crw-rw---- root kvm", "me")


def test_never_a_verdict():
    assert issubclass(WrongHost, InfrastructureError)
