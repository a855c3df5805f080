"""Damage to every file of a folder of the cache at once, for x86-64: neither another verdict nor an incident.

tests/trials/of_the_cache.py damages each kind of file by itself, for arm64. Here are what arm64 lacks (the ELF kernel
that is taken out of a bzImage, a second ABI), packages, and what is said when nothing can be made again: by the run,
and by `sysevent images verify`. The hash of a file is left as it was: a disk does no better.
"""

import shutil

import pytest
from faults import DAMAGE, flip
from system import runs

from sysevent.cache import SEAL
from sysevent.cli import main

# What a run of the claims makes of packages. Of the other folders one at least is needed: each is damaged by itself.
DERIVED = ("kernels", "vmlinux", "modules", "initramfs", "build")
FOLDERS = ("blobs", "suites", "tracks", *DERIVED, "snapshots")


@pytest.fixture(scope="module")
def filled(packages):
    """A cache that a run has filled, and the outcome of the next run, which found all that it needed."""
    first, second = (runs.run(packages, packages.with_name(name)) for name in ("first", "second"))
    assert (first.code, second.code) == (0, 0), first.output + second.output
    assert second.incidents == ()
    assert len(second.verdicts) > 20
    return packages, second


@pytest.fixture
def restored(filled, tmp_path):
    """restored(folder): the cache, whose folder is as before after the test: a damaged package is not made again."""
    cache, _ = filled
    saved = []

    def save(folder):
        shutil.copytree(cache / folder, tmp_path / "saved" / folder)
        saved.append(folder)
        return cache

    yield save
    for folder in saved:
        shutil.rmtree(cache / folder, ignore_errors=True)
        shutil.copytree(tmp_path / "saved" / folder, cache / folder)


def there(cache, folders):
    """The folders that a run here has made: without zstd(1), no ELF kernel is taken out of Debian's bzImages."""
    return [folder for folder in folders if folder != "vmlinux" or (cache / folder).is_dir()]


def damage(cache, folder, fault):
    """Inject a fault into every file of a folder; the number of files."""
    files = [path for path in (cache / folder).rglob("*") if path.is_file() and path.suffix != SEAL]
    for path in files:
        DAMAGE[fault](path)
    return len(files)


@pytest.mark.parametrize("fault", DAMAGE)
@pytest.mark.parametrize(
    "folders", [DERIVED, *((one,) for one in FOLDERS if one not in DERIVED)], ids="-".join
)
def test_damage_changes_no_verdict(filled, restored, tmp_path, folders, fault):
    """What is damaged counts as absent, without an incident."""
    cache, expected = filled
    for folder in there(cache, folders):
        assert damage(restored(folder), folder, fault)
    # Only without snapshots does a guest boot from the files.
    found = runs.run(cache, tmp_path / "results", *([] if "snapshots" in folders else ["--fresh"]))
    assert found.verdicts == expected.verdicts, found.output
    assert (found.code, found.incidents) == (0, ())


def test_a_damaged_snapshot_is_one_incident(filled, restored, tmp_path):
    """It is restored while it is checked; then the guest boots, and the next run has a new snapshot."""
    cache, expected = filled
    for state in (restored("snapshots") / "snapshots").glob("*.state"):
        flip(state)
    found, again = (runs.run(cache, tmp_path / name) for name in ("results", "again"))
    assert found.verdicts == again.verdicts == expected.verdicts, found.output
    (incident,) = found.incidents
    assert incident.endswith("its snapshot is damaged")
    assert again.incidents == ()


@pytest.mark.parametrize("fault", DAMAGE)
def test_nothing_left_to_make_it_from(filled, restored, tmp_path, fault):
    """Modules and their package damaged, offline: no verdict, and an error that says how to fetch it again."""
    cache, expected = filled
    for folder in ("blobs", "modules"):
        damage(restored(folder), folder, fault)
    found = runs.run(cache, tmp_path / "results", "--fresh")
    assert set(found.statuses) <= {"MISS"}
    assert "sysevent images fetch --kernel debian:6.12 --arch x86_64` online" in found.output
    assert found.code != 0
    assert len(expected.verdicts) > 20


def test_verify_finds_all_damage(filled, restored, monkeypatch, capsys):
    """`sysevent images verify` names every damaged file, and removes it."""
    cache, _ = filled
    monkeypatch.setenv("SYSEVENT_CACHE", str(cache))
    assert main(["images", "verify"]) == 0, capsys.readouterr().out
    for folder in there(cache, FOLDERS):
        number = damage(restored(folder), folder, "flipped")
        assert main(["images", "verify"]) == 1
        assert capsys.readouterr().out.count("its content is not what was stored") >= number // 2
