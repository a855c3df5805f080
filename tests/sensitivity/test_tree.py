"""The private copy of a kernel tree."""

import os
import time

import pytest

from sysevent.sensitivity.tree import TreeCopy

FILE = "virt/kvm/a.c"


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for name in (FILE, "virt/kvm/b.c", "Kbuild", "arch/arm64/a.h", ".git/HEAD"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "link").symlink_to("Kbuild")
    return root


@pytest.fixture
def copy(source, tmp_path):
    return TreeCopy.make(source, tmp_path / "copy", {FILE: FILE.encode()})


def again(source, tmp_path):
    return TreeCopy.make(source, tmp_path / "copy", {FILE: FILE.encode()})


def test_copy_has_all_files_but_the_repository(source, copy):
    assert (copy.path / "virt/kvm/b.c").read_text() == "virt/kvm/b.c"
    assert (copy.path / "link").is_symlink()
    assert not (copy.path / ".git").exists()


def test_scripts_can_be_executed(source, tmp_path):
    (source / "Kbuild").chmod(0o555)
    assert again(source, tmp_path).path.joinpath("Kbuild").stat().st_mode & 0o777 == 0o755


def test_mutated_file_is_replaced_and_the_tree_stays(source, copy):
    copy.mutate(FILE, b"mutant")
    assert (copy.path / FILE).read_bytes() == b"mutant"
    assert (source / FILE).read_text() == FILE
    copy.restore()
    assert (copy.path / FILE).read_text() == FILE


def test_one_file_is_mutated_at_a_time(source, tmp_path):
    texts = {name: name.encode() for name in (FILE, "virt/kvm/b.c")}
    copy = TreeCopy.make(source, tmp_path / "copy", texts)
    copy.mutate(FILE, b"mutant")
    copy.mutate("virt/kvm/b.c", b"mutant")
    assert (copy.path / FILE).read_text() == FILE


def test_file_is_newer_after_each_change(copy):
    """Or make would take the object of the mutant before."""
    times = []
    for change in (lambda: copy.mutate(FILE, b"mutant"), copy.restore):
        change()
        times.append((copy.path / FILE).stat().st_mtime_ns)
    assert times[0] < times[1]


def test_edit_of_the_tree_does_not_reach_the_copy(source, copy):
    with (source / "virt/kvm/b.c").open("r+") as file:
        file.write("edited")
    assert (copy.path / "virt/kvm/b.c").read_text() == "virt/kvm/b.c"


def test_next_run_brings_it_up_to_date(source, copy, tmp_path):
    stays, before = copy.path / "arch/arm64/a.h", time.time_ns()
    old = stays.stat().st_mtime_ns
    # As from an older archive.
    (source / "virt/kvm/b.c").write_text("older")
    os.utime(source / "virt/kvm/b.c", ns=(0, 0))
    (source / "Kbuild").unlink()
    (source / "new").write_text("new")
    found = again(source, tmp_path)
    assert (found.path / "virt/kvm/b.c").read_text() == "older"
    assert (found.path / "virt/kvm/b.c").stat().st_mtime_ns > before - 10**9
    assert not (found.path / "Kbuild").exists()
    assert (found.path / "new").exists()
    assert stays.stat().st_mtime_ns == old


def test_mutant_that_was_left_is_restored(source, copy, tmp_path):
    copy.mutate(FILE, b"mutant")
    assert (again(source, tmp_path).path / FILE).read_text() == FILE


def test_copy_that_was_interrupted_is_made_again(source, copy, tmp_path):
    (tmp_path / "copy.json").unlink()
    (copy.path / "virt/kvm/b.c").write_text("half")
    assert (again(source, tmp_path).path / "virt/kvm/b.c").read_text() == "virt/kvm/b.c"
