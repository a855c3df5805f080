"""The claims that a pattern selects."""

import pytest

from sysevent.bisect.selection import architecture_of, select
from sysevent.contract import catalogue
from sysevent.errors import UsageError

CLAIMS = catalogue.load().exits


def names(patterns, arch=""):
    return [claim.name for claim in select(patterns, CLAIMS, arch)]


@pytest.mark.parametrize("pattern", ["arm64.psci.off", "kvm.system_event.arm64.psci.off"])
def test_whole_name(pattern):
    """A whole name selects that claim only, even if it is a part of other names."""
    assert names([pattern]) == ["arm64.psci.off"]


def test_part_and_glob():
    """A part of a name, and a glob on the whole of it."""
    assert set(names(["psci.off"])) >= {"arm64.psci.off", "arm64.psci.off.written"}
    assert set(names(["arm64.*.off"])) >= {"arm64.psci.off"}
    assert "arm64.psci.off.written" not in names(["arm64.*.off"])


def test_none():
    """No pattern: all of an architecture. A pattern without a match: none."""
    assert names([], "riscv64")
    assert all(name.startswith("riscv64.") for name in names([], "riscv64"))
    assert names(["psci.of"], "riscv64") == []


def test_architecture():
    """It follows from the claims if they are about one."""
    assert architecture_of(select(["psci.off"], CLAIMS), ["psci.off"]) == "arm64"
    with pytest.raises(UsageError, match="arm64, riscv64, x86_64"):
        architecture_of(select(["capability"], CLAIMS), ["capability"])
    with pytest.raises(UsageError, match="selects no claim"):
        architecture_of((), ["typo"])
