"""sysevent targets: every target, its lease, and whether it can be used."""

import os
import re

import pytest

from sysevent import cli
from sysevent.cli import targets
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
    """rows(*words): the exit code, and each row of the table by its first word."""
    lab = tmp_path / "lab.toml"
    lab.write_text(LAB)
    monkeypatch.setenv("SYSEVENT_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:1")

    def run(*words):
        code = cli.main(["targets", "--targets", str(lab), *words])
        said = capsys.readouterr().out
        return code, {line.split()[0]: line for line in said.splitlines()[1:]}

    return run


def test_all_are_listed(rows):
    code, found = rows()
    assert code == 0
    names = list(found)
    assert names[:3] == ["arm64-tcg", "riscv64-tcg", "x86_64-tcg"]
    assert names[-3:] == ["local", "rpi5", "some"]
    assert "arm64-nvhe (by name only)" in found["arm64-nvhe"]
    assert re.search(r"arm64 +ssh +127\.0\.0\.1:1 +rack=\[red\] +running +free +not tried", found["rpi5"])
    assert re.search(r"arm64 +labgrid +arch=arm64 +running +by labgrid", found["some"])
    assert "local (by name only)" in found["local"]
    assert re.search(r"debian:6\.12 +\d+ of \d+ slots free", found["arm64-tcg"])


def test_holder_of_a_lease(rows, tmp_path):
    held = Locks(tmp_path / "locks").take("host-127.0.0.1:1", {})
    assert f"held by pid {os.getpid()} of " in rows()[1]["rpi5"]
    held.release()


def test_check_connects(rows):
    """And the exit code says whether every target of a run can be used."""
    code, found = rows("--check", "--target", "rpi5")
    assert code == 1
    assert "no: no connection to 127.0.0.1 port 1: connection refused" in found["rpi5"]


def test_nothing_is_installed(rows, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    _, found = rows()
    assert "no: qemu-system-aarch64 is not installed" in found["arm64-tcg"]
    assert "no: labgrid-client is not installed: pip install" in found["some"]


def test_kernel_is_for_guests(rows):
    _, found = rows("--kernel", "debian:6.1", "--kernel", "debian:7.2")
    assert [name for name in found if name.startswith("arm64-tcg")] == [
        "arm64-tcg@debian:6.1",
        "arm64-tcg@debian:7.2",
    ]
    assert "running" in found["rpi5"]


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
