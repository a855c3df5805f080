"""A guest of each architecture that serves SSH, as a lab machine that is asked the whole suite over paramiko."""

import os
import subprocess
import sys

import msgspec
import pytest
from system import standin

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT
from sysevent.errors import GuestLost
from sysevent.report import run_log

# Seconds for two guests and two suites; ten are usual.
TIMEOUT = 300


def ssh(served, command):
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={served.known_hosts}"]
    where = ["-i", served.identity, "-p", str(served.port), f"{served.user}@{served.address}"]
    return subprocess.run(
        ["ssh", *options, "-o", "IdentitiesOnly=yes", *where, command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=sorted(ARCHITECTURES))
def served(request, servable, here, tmp_path):
    arch = servable(request.param)
    with standin.served(arch, tmp_path / "stand-in", here, lambda _: None) as found:
        yield found


def verdicts(results):
    """Target -> (claim, ABI) -> status. Without claims about layouts, which need no guest."""
    found = {}
    for record in run_log.read(results / "run.jsonl"):
        if record["record"] == "verdict" and ".layout." not in record["test"]:
            found.setdefault(record["target"], {})[record["test"], record["abi"]] = record["status"]
    return found


def test_a_lab_machine(served, tmp_path):
    """Over SSH it has the expected traits, and gives the same verdicts as its kernel under QEMU's console."""
    arch = ARCHITECTURES[served.arch]
    ran = ssh(served, "uname -m; ls /dev/kvm; command -v sftp-server || echo none")
    assert ran.stdout.split() == [arch.machine, "/dev/kvm", "none"], ran.stderr
    lab = f"lab-{served.arch}"
    (tmp_path / "lab.toml").write_text(served.target(lab))
    command = [sys.executable, "-m", "sysevent", "run", "--offline", "--results", tmp_path / "results"]
    targets = ["--targets", tmp_path / "lab.toml", "--target", lab, "--target", f"{served.arch}-tcg"]
    run = subprocess.run(
        [*command, *targets, "--", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        cwd=ROOT,
        env=os.environ | {"SYSEVENT_LOCKS": str(tmp_path / "locks")},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = verdicts(tmp_path / "results")
    assert found[lab] == found[f"{served.arch}-tcg"]
    assert list(found[lab].values()).count("PASS") > 20
    # No file and no VMM is left there.
    assert ssh(served, "ls /tmp; ps | grep '[v]mm'").stdout == ""


def test_another_key(served, tmp_path):
    """It refuses every other key."""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True, timeout=60)
    ran = ssh(msgspec.structs.replace(served, identity=other), "true")
    assert ran.returncode == 255
    assert "Permission denied" in ran.stderr


def test_ended_with_the_context(servable, here, tmp_path):
    """QEMU ends with the context. A stand-in that is not ready in time is lost, with its console in the message."""
    arch = servable("arm64")
    with standin.served(arch, tmp_path / "one", here, lambda _: None) as found:
        pid = found.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with (
        pytest.raises(GuestLost, match="the stand-in of arm64: not ready after 0 s"),
        standin.served(arch, tmp_path / "two", here, lambda _: None, seconds=0.2),
    ):
        pass
