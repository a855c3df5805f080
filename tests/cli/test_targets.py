"""sysevent targets: every target, its lease, and whether it can be used."""

import os
import re

import msgspec
import pytest

from sysevent import cli
from sysevent.cli import targets
from sysevent.cli.targets import Row
from sysevent.targets import spec
from sysevent.targets.leases.locks import Locks
from sysevent.targets.spec import TargetSpec

LAB = """
[[target]]
name = "rpi5"
arch = "arm64"
where = "ssh"
address = "127.0.0.1"
port = 1
tags = { rack = "[red]" }

[[target]]
name = "some"
arch = "arm64"
where = "labgrid"
tags = { arch = "arm64" }
"""


@pytest.fixture
def rows(tmp_path, monkeypatch, capsys):
    """rows(*words): the exit code, and what a pipe gets: the fields of each target by their names."""
    lab = tmp_path / "lab.toml"
    lab.write_text(LAB)
    monkeypatch.setenv("SYSEVENT_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:1")

    def run(*words):
        code = cli.main(["targets", "--targets", str(lab), *words])
        names, *found = (line.split("\t") for line in capsys.readouterr().out.splitlines())
        return code, {one[1]: dict(zip(names, one, strict=True)) for one in found}

    return run


def test_all_are_listed(rows):
    """A pipe gets a line for each target, neither padded nor broken."""
    code, found = rows()
    assert code == 0
    names = list(found)
    assert names[:3] == ["arm64-tcg", "riscv64-tcg", "x86_64-tcg"]
    assert names[-3:] == ["local", "rpi5", "some"]
    assert found["rpi5"] == {
        "usable": "untried",
        "target": "rpi5",
        "arch": "arm64",
        "where": "ssh",
        "address": "127.0.0.1:1",
        "tags": "rack=[red]",
        "kernel": "running",
        "lease": "free",
        "asked": "by default",
        "note": "not tried (use --check)",
    }
    assert (found["some"]["where"], found["some"]["tags"]) == ("labgrid", "arch=arm64")
    assert found["some"]["lease"].startswith("by labgrid")
    assert found["local"]["asked"] == found["arm64-nvhe"]["asked"] == "by name only"
    assert found["arm64-tcg"]["kernel"] == "debian:6.12"
    assert re.fullmatch(r"\d+ of \d+ slots free", found["arm64-tcg"]["lease"])


def test_holder_of_a_lease(rows, tmp_path):
    held = Locks(tmp_path / "locks").take("host-127.0.0.1:1", {})
    assert f"held by pid {os.getpid()} of " in rows()[1]["rpi5"]["lease"]
    held.release()


def test_check_connects(rows):
    """And the exit code says whether every target of a run can be used."""
    code, found = rows("--check", "--target", "rpi5")
    assert code == 1
    assert found["rpi5"]["usable"] == "no"
    assert found["rpi5"]["note"].startswith("no connection to 127.0.0.1 port 1: connection refused")


def test_nothing_is_installed(rows, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    _, found = rows()
    assert found["arm64-tcg"]["usable"] == found["some"]["usable"] == "no"
    assert "qemu-system-aarch64 is not installed" in found["arm64-tcg"]["note"]
    assert re.search(r"labgrid-client is not installed: .* pip install .*\[labgrid\]", found["some"]["note"])


def test_kernel_is_for_guests(rows):
    _, found = rows("--kernel", "debian:6.1", "--kernel", "debian:7.2")
    assert [name for name in found if name.startswith("arm64-tcg")] == [
        "arm64-tcg@debian:6.1",
        "arm64-tcg@debian:7.2",
    ]
    assert found["rpi5"]["kernel"] == "running"


GUEST = Row(
    "yes", "arm64-tcg", "arm64", "tcg", "", "", "debian:6.12", "1 of 3 slots free", "by default", "QEMU 7"
)
BOARD = Row(
    "no", "rpi5", "arm64", "ssh", "10.0.0.9:22", "rack=1", "running", "free", "by default", "why " * 30
)
OTHER = Row(
    "yes", "arm64-nvhe", "arm64", "tcg", "", "", "debian:6.12", "1 of 3 slots free", "by name only", "QEMU 7"
)


def terminal(rows, width):
    return [line for text, _ in targets.lines(rows, width) for line in text.splitlines()]


def test_a_terminal_begins_with_usable():
    """And has the reason below its target."""
    head, guest, board, *below, by_name, other = terminal([OTHER, GUEST, BOARD], 80)
    assert head == "usable  target      arch   where  kernel       lease"
    assert guest == "yes     arm64-tcg   arm64  tcg    debian:6.12  1 of 3 slots free"
    assert board == "no      rpi5        arm64  ssh    running      free"
    assert below == [
        "         " + "why " * 17 + "why",
        "         " + "why " * 11 + "why",
        "         at 10.0.0.9:22, tags rack=1",
    ]
    assert by_name == "asked by name only, with --target:"
    assert other.startswith("yes     arm64-nvhe")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_fit_a_terminal(width):
    """What has no column is below, and nothing is cut."""
    held = msgspec.structs.replace(BOARD, lease="held by pid 1234 of root since 10:00 on this machine")
    found = terminal([GUEST, held], width)
    assert max(map(len, found)) <= width
    text = " ".join(" ".join(found).split())
    assert held.lease in text
    assert "debian:6.12" in text


def test_unusable_kvm(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert spec.own_arch() == "x86_64"
    other = TargetSpec(name="a", arch="arm64", where="local")
    own = TargetSpec(name="a", arch="x86_64", where="local")
    assert targets.kvm_unusable(other, tmp_path) == "this machine is x86_64"
    assert "is missing" in targets.kvm_unusable(own, tmp_path / "kvm")
    (tmp_path / "kvm").write_text("")
    assert targets.kvm_unusable(own, tmp_path / "kvm") == ""
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "no permission" in targets.kvm_unusable(own, tmp_path / "kvm")
