"""The private copy of a kernel tree."""

import pytest

from sysevent.errors import UsageError
from sysevent.sensitivity import tree
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
    return TreeCopy.make(source, tmp_path / "copy", {FILE: b"original"})


def test_copy_has_all_files_but_the_repository(source, copy):
    assert (copy.path / "virt/kvm/b.c").samefile(source / "virt/kvm/b.c")
    assert (copy.path / "link").is_symlink()
    assert not (copy.path / ".git").exists()


def test_mutated_file_is_replaced_and_the_tree_stays(source, copy):
    copy.mutate(FILE, b"mutant")
    assert (copy.path / FILE).read_bytes() == b"mutant"
    assert (source / FILE).read_text() == FILE
    copy.restore()
    assert (copy.path / FILE).read_bytes() == b"original"
    assert (source / FILE).read_text() == FILE


def test_one_file_is_mutated_at_a_time(source, tmp_path):
    copy = TreeCopy.make(source, tmp_path / "copy", {FILE: b"a", "virt/kvm/b.c": b"b"})
    copy.mutate(FILE, b"mutant")
    copy.mutate("virt/kvm/b.c", b"mutant")
    assert (copy.path / FILE).read_bytes() == b"a"


def test_file_is_newer_after_each_change(copy):
    """Or make would take the object of the mutant before."""
    times = []
    for change in (lambda: copy.mutate(FILE, b"mutant"), copy.restore):
        change()
        times.append((copy.path / FILE).stat().st_mtime_ns)
    assert times[0] < times[1]


def test_new_copy_replaces_one_that_was_left(source, copy, tmp_path):
    copy.mutate(FILE, b"mutant")
    again = TreeCopy.make(source, tmp_path / "copy", {FILE: b"original"})
    assert (again.path / FILE).read_bytes() == b"original"


def test_tree_is_checked(source, tmp_path):
    assert tree.check(source) == source.resolve()
    with pytest.raises(UsageError, match="not a kernel tree"):
        tree.check(tmp_path)
    (source / ".config").write_text("")
    with pytest.raises(UsageError, match="was built in place"):
        tree.check(source)
