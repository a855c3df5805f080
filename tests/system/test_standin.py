"""The whole suite over SSH, on a stand-in for a lab machine of each architecture."""

import os
import subprocess
import sys

import msgspec
import pytest
from system import standin

from sysevent.arches import ARCHITECTURES
from sysevent.checkout import ROOT
from sysevent.errors import GuestLost
from sysevent.report import records, run_log

# Seconds for two guests and two suites, which take ten on an idle machine.
SUITE_TIMEOUT = 300


def ssh(stand_in, command):
    """Run a command there with OpenSSH's client."""
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={stand_in.known_hosts}"]
    where = ["-i", stand_in.identity, "-p", str(stand_in.port), f"{stand_in.user}@{stand_in.address}"]
    return subprocess.run(
        ["ssh", *options, "-o", "IdentitiesOnly=yes", *where, command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(params=sorted(ARCHITECTURES))
def stand_in(request, servable, here, tmp_path):
    arch = servable(request.param)
    with standin.booted(arch, tmp_path / "stand-in", here, lambda _: None) as found:
        yield found


def verdicts(results):
    """The status of each claim by target; claims about headers are left out, as they ask no kernel."""
    found = {}
    for record in run_log.read(results / "run.jsonl"):
        if isinstance(record, records.Verdict) and ".layout." not in record.test:
            found.setdefault(record.target, {})[record.test, record.abi] = record.status
    return found


def test_a_lab_machine(stand_in, tmp_path):
    """Over SSH the stand-in gives the same verdicts as a guest with the same kernel gives over its console."""
    arch = ARCHITECTURES[stand_in.arch]
    ran = ssh(stand_in, "uname -m; ls /dev/kvm; command -v sftp-server || echo none")
    assert ran.stdout.split() == [arch.uname_machine, "/dev/kvm", "none"], ran.stderr
    lab = f"lab-{stand_in.arch}"
    (tmp_path / "lab.toml").write_text(stand_in.target(lab))
    run = subprocess.run(
        [
            *(sys.executable, "-m", "sysevent", "run", "--offline", "--results", tmp_path / "results"),
            *("--targets", tmp_path / "lab.toml", "--target", lab, "--target", f"{stand_in.arch}-tcg"),
            *("--", "-p", "no:cacheprovider"),
        ],
        capture_output=True,
        text=True,
        timeout=SUITE_TIMEOUT,
        check=False,
        cwd=ROOT,
        env=os.environ | {"SYSEVENT_LOCKS": str(tmp_path / "locks")},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = verdicts(tmp_path / "results")
    assert found[lab] == found[f"{stand_in.arch}-tcg"]
    assert list(found[lab].values()).count("PASS") > 20
    # No file and no process is left there.
    assert ssh(stand_in, "ls /tmp; ps | grep '[v]mm'").stdout == ""


def test_another_key(stand_in, tmp_path):
    """The stand-in refuses every other key."""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True, timeout=60)
    ran = ssh(msgspec.structs.replace(stand_in, identity=other), "true")
    assert ran.returncode == 255
    assert "Permission denied" in ran.stderr


def test_ended_with_the_context(servable, here, tmp_path):
    """QEMU ends with the context; a stand-in that is not ready in time raises GuestLost."""
    arch = servable("arm64")
    with standin.booted(arch, tmp_path / "one", here, lambda _: None) as found:
        pid = found.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with (
        pytest.raises(GuestLost, match="the stand-in of arm64: not ready after 0 s"),
        standin.booted(arch, tmp_path / "two", here, lambda _: None, seconds=0.2),
    ):
        pass
