"""A machine's traits against its row in the target file."""

import pytest

from sysevent.errors import InfrastructureError, NoKvm, WrongHost
from sysevent.hosts.traits import check_kvm_access, check_traits
from sysevent.targets.spec import TargetSpec

TRAITS = {"kernel": "6.12.1-rt", "version": "#1 SMP", "machine": "aarch64", "node": "board"}


def spec(**changes):
    return TargetSpec(**{"name": "lab", "arch": "arm64", "where": "ssh"} | changes)


@pytest.mark.parametrize(
    "expect", [{}, {"kernel": "6.12.*"}, {"kernel": "*-rt", "node": "board", "version": "#* SMP*"}]
)
def test_expected_traits(expect):
    check_traits(spec(expect=expect), TRAITS)


def test_the_build_id_is_checked_when_it_is_known():
    """The VMM reads it, after the host was reached."""
    check_traits(spec(expect={"build_id": "12*"}), TRAITS)
    check_traits(spec(expect={"build_id": "12*"}), TRAITS | {"build_id": "1234"})
    for found in ("", "2123"):
        with pytest.raises(WrongHost, match="build ID in /sys/kernel/notes"):
            check_traits(spec(expect={"build_id": "12*"}), TRAITS | {"build_id": found})


def test_the_mode_is_checked_when_it_is_known():
    """As the build ID. One that could not be found out is not the expected one."""
    wanted = spec(expect={"mode": "protected *", "page": "16k"})
    check_traits(wanted, TRAITS)
    check_traits(wanted, TRAITS | {"mode": "protected hVHE", "page": "16k"})
    for found in ("VHE", "unknown"):
        with pytest.raises(WrongHost, match=f"expect.mode = 'protected ..*has '{found}'"):
            check_traits(wanted, TRAITS | {"mode": found, "page": "16k"})


def test_unknown_traits_are_accepted():
    check_traits(spec(), {})


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ({"kernel": "6.12"}, "expect.kernel = '6.12', and this machine has '6.12.1-rt' (uname -r)"),
        ({"node": "BOARD"}, "expect.node = 'BOARD', and this machine has 'board' (uname -n)"),
        (
            {"kernel": "6.*", "cpu": "*"},
            "expect.cpu is not a known trait; use one of kernel, version, machine",
        ),
    ],
)
def test_unexpected_traits(expect, words):
    with pytest.raises(WrongHost) as caught:
        check_traits(spec(expect=expect), TRAITS)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("arch", "machine"), [("arm64", "aarch64"), ("riscv64", "riscv64"), ("x86_64", "x86_64")]
)
def test_architectures(arch, machine):
    check_traits(spec(arch=arch), {"machine": machine})
    with pytest.raises(WrongHost, match=f"arch = '{arch}', and this machine is i686"):
        check_traits(spec(arch=arch), {"machine": "i686"})


def test_kvm_access():
    check_kvm_access(spec(), "usable", "me")
    with pytest.raises(NoKvm, match="lab: there is no /dev/kvm: load the module"):
        check_kvm_access(spec(), "missing", "me")
    with pytest.raises(
        NoKvm, match=r"the user me may not open /dev/kvm \(crw-rw---- root kvm\).*usermod -aG kvm me"
    ):
        check_kvm_access(spec(), "crw-rw---- root kvm", "me")


def test_wrong_host_is_infrastructure():
    assert issubclass(WrongHost, InfrastructureError)
