"""Real runs whose cache or results cannot be written: the verdicts are those of any other run."""

import shutil
import subprocess

import pytest
from system import runs

# The run's command follows. The mount vanishes with the namespace, also when the test is killed.
IN_NAMESPACE = ("unshare", "--mount", "sh", "-ec")
READ_ONLY = 'mount --bind "$0" "$0"; mount -o remount,ro,bind "$0"; exec "$@"'
# A copy of the cache on a small disk; what a run would have to write does not fit.
FULL = """
mount -t tmpfs -o size=$SIZE none "$0"
cp -a "$FROM"/. "$0"
rm -rf "$0"/snapshots
dd if=/dev/zero of="$0"/filler bs=4k 2>/dev/null || true
dd if=/dev/zero of="$0"/filler bs=1 count=0 seek=$(($(stat -c %s "$0"/filler) - SPARE)) 2>/dev/null
exec "$@"
"""
PRINTING = f"""
[[target]]
name = "printing"
arch = "{runs.ARCH.name}"
where = "tcg"
append = "loglevel=7"
"""
FULL_LOGS = """
mount -t tmpfs -o size=64k none "$0"
dd if=/dev/zero of="$0"/filler bs=4k 2>/dev/null || true
exec "$@"
"""


@pytest.fixture(scope="module")
def filled(packages):
    """A cache that a run has filled, and the outcome of the next run."""
    ran = subprocess.run(
        [*IN_NAMESPACE, READ_ONLY, str(packages), "true"], capture_output=True, text=True, timeout=60
    )
    if ran.returncode:
        pytest.skip(f"no file system can be mounted here: {ran.stderr.strip()}")
    first, second = (runs.run(packages, packages.with_name(name)) for name in ("first", "second"))
    assert (first.code, second.code) == (0, 0), first.output + second.output
    return packages, second


def lines_about_the_cache(outcome):
    return [line for line in outcome.output.splitlines() if "cannot be written" in line]


@pytest.mark.parametrize("options", [[], ["--fresh"]], ids=["restored", "booted"])
def test_a_read_only_cache(filled, tmp_path, options):
    cache, expected = filled
    inside = (*IN_NAMESPACE, READ_ONLY, str(cache))
    found = runs.run(cache, tmp_path / "results", *options, inside=inside)
    assert found.verdicts == expected.verdicts, found.output
    assert (found.code, found.incidents) == (0, ())
    assert len(lines_about_the_cache(found)) == 1


def test_an_empty_read_only_cache(filled, tmp_path):
    """One error says what could not be written, why, and what to do."""
    (tmp_path / "cache").mkdir()
    cache = tmp_path / "cache"
    found = runs.run(cache, tmp_path / "results", inside=(*IN_NAMESPACE, READ_ONLY, str(cache)))
    assert set(found.statuses) <= {"MISS"}
    assert found.code != 0
    assert "SYSEVENT_CACHE" in found.output


@pytest.mark.parametrize(("spare", "incidents"), [(0, 0), (8 << 20, 1)], ids=["full", "nearly full"])
def test_a_full_cache(filled, tmp_path, spare, incidents):
    """There is no space for a snapshot: no incident if the run has said so at its start, and else one."""
    cache, expected = filled
    small = tmp_path / "cache"
    small.mkdir()
    used = int(
        subprocess.run(["du", "-sm", cache], capture_output=True, check=True, text=True).stdout.split()[0]
    )
    script = FULL.replace("$SIZE", f"{used + 50}m").replace("$FROM", str(cache)).replace("SPARE", str(spare))
    found = runs.run(small, tmp_path / "results", inside=(*IN_NAMESPACE, script, str(small)))
    assert found.verdicts == expected.verdicts, found.output
    assert found.code == 0
    assert len(found.incidents) == incidents, found.incidents
    assert len(lines_about_the_cache(found)) == 1 - incidents


@pytest.mark.parametrize("fault", ["full", "a file in its place"])
def test_logs_that_cannot_be_written(filled, tmp_path, fault):
    """The run's own log is on another disk than those of the guest, which prints what a kernel usually prints."""
    cache, expected = filled
    (tmp_path / "targets.toml").write_text(PRINTING)
    results, logs = tmp_path / "results", tmp_path / "results" / "printing"
    options = ["--fresh", "--targets", str(tmp_path / "targets.toml"), "--target", "printing"]
    results.mkdir()
    if fault == "full":
        logs.mkdir()
        found = runs.run(cache, results, *options, inside=(*IN_NAMESPACE, FULL_LOGS, str(logs)))
    else:
        logs.write_text("")
        found = runs.run(cache, results, *options)
    assert found.verdicts == expected.verdicts, found.output
    assert found.code == 0
    assert len(found.incidents) == 1
    assert "its logs are incomplete" in found.incidents[0]


def test_a_run_fills_a_small_disk_from_nothing(filled, tmp_path):
    """Whatever the size of the disk, there are the same verdicts, or none and an error."""
    cache, expected = filled
    for megabytes in (1, 20, 60, 150):
        small = tmp_path / f"cache-{megabytes}"
        small.mkdir()
        script = 'mount -t tmpfs -o size=$SIZE none "$0"; cp -a "$FROM"/blobs "$FROM"/tracks "$0"/ || true; exec "$@"'
        script = script.replace("$SIZE", f"{megabytes}m").replace("$FROM", str(cache))
        found = runs.run(small, tmp_path / f"results-{megabytes}", inside=(*IN_NAMESPACE, script, str(small)))
        assert found.verdicts == expected.verdicts or set(found.statuses) <= {"MISS"}, found.output
        shutil.rmtree(small)
