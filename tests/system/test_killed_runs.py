"""Real runs that are killed at any moment leave a cache that the next run can use, and nothing that runs on."""

import os
import random
import subprocess
import time
from datetime import timedelta
from pathlib import Path

import msgspec
from system import runs

from sysevent.arches import ARCHITECTURES
from sysevent.cli import main
from sysevent.hosts.qemu.snapshots import Snapshots
from sysevent.images import inventory

SEED = 13
# Runs that are killed; SYSEVENT_TEST_KILLS is another number.
KILLS = int(os.environ.get("SYSEVENT_TEST_KILLS", "6"))
# Seconds for the processes of a killed run to end.
SOON = 10


def using(path):
    """The command lines of the processes that have a path in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(path) in line:
            found.append(line)
    return found


def test_killed_at_any_moment(packages, tmp_path, monkeypatch, capsys):
    """The moments are spread over a run that has to make everything, so they meet each kind of work."""
    chosen = random.Random(SEED)
    begin = time.monotonic()
    expected = runs.run(packages, tmp_path / "expected")
    whole = time.monotonic() - begin
    assert expected.code == 0, expected.output
    cache = tmp_path / "cache"
    for number in range(KILLS):
        if number % 3 == 0:
            # Some begin with what the last one left, and some with packages alone.
            cache = tmp_path / f"cache-{number}"
            subprocess.run(["cp", "-r", packages, cache], check=True, timeout=60)
            for folder in ("kernels", "vmlinux", "modules", "initramfs", "build", "snapshots"):
                subprocess.run(["rm", "-rf", cache / folder], check=True, timeout=60)
        run = subprocess.Popen(
            runs.command(tmp_path / f"killed-{number}"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=runs.ROOT,
            env=runs.environment(cache),
        )
        time.sleep(chosen.uniform(0, whole))
        run.kill()
        run.wait(SOON)
        end = time.monotonic() + SOON
        while using(cache) and time.monotonic() < end:
            time.sleep(0.1)
        assert using(cache) == []
        found = runs.run(cache, tmp_path / f"after-{number}")
        assert (found.verdicts, found.code) == (expected.verdicts, 0), found.output
        assert found.incidents == ()
        assert "waiting for another process" not in found.output
    monkeypatch.setenv("SYSEVENT_CACHE", str(cache))
    assert main(["images", "verify"]) == 0, capsys.readouterr().out


def test_what_killed_runs_leave_is_pruned(tmp_path, here):
    """Unfinished files go by their age."""
    names = (
        "build/.vmm.x",
        "snapshots/.k.state.x",
        "parts/x.part",
        "parts/build-x/program",
        "initramfs/.x.cpio.y",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        for path in (tmp_path / name, (tmp_path / name).parent):
            os.utime(path, (time.time() - 30 * 24 * 3600,) * 2)
    settings = msgspec.structs.replace(here, cache=tmp_path)
    inventory.prune(settings, list(ARCHITECTURES.values()), unused=timedelta(days=1))
    Snapshots(tmp_path).prune()
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.parent.name == "parts"] == []
