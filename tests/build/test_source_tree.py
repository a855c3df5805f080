"""What a kernel tree says of its version and of what is checked out."""

import re
import subprocess
from pathlib import Path

import kernel_images
import pytest

from sysevent.build import source_tree
from sysevent.errors import UsageError


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 107\nEXTRAVERSION =\nNAME = Baby\n", "6.12.107"),
        ("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc7\n", "7.3.0-rc7"),
        ("VERSION = 6\n", "6.0.0"),
        ("all:\n", ""),
    ],
    ids=["release", "candidate", "short", "none"],
)
def test_version(text, version, tmp_path):
    """As `uname -r` of its kernel will begin."""
    (tmp_path / "Makefile").write_text(f"# SPDX\n{text}")
    assert source_tree.version(tmp_path) == version


@pytest.fixture
def git(tmp_path, monkeypatch):
    """Runs git in a repository with one file and one commit."""
    for name, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    tree = tmp_path / "linux"
    tree.mkdir()
    (tree / "Makefile").write_text("VERSION = 6\n")

    def git(*words):
        me = ("-c", "user.name=me", "-c", "user.email=me@example.org")
        return subprocess.run(
            ["git", "-C", tree, *me, *words], check=True, capture_output=True, text=True
        ).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    return git


def test_revision(git, tmp_path):
    """The commit, and another name for each uncommitted change."""
    tree = tmp_path / "linux"
    commit = git("rev-parse", "HEAD")[:12]
    assert source_tree.revision(tree) == commit
    found = {source_tree.revision(tree)}
    for text in ("VERSION = 7\n", "VERSION = 8\n"):
        (tree / "Makefile").write_text(text)
        name = source_tree.revision(tree)
        assert re.fullmatch(rf"{commit}-[0-9a-f]{{8}}", name)
        assert name == source_tree.revision(tree)
        found.add(name)
    git("add", ".")
    assert source_tree.revision(tree) in found
    (tree / "notes.txt").write_text("not known to git")
    git("commit", "-qm", "two")
    assert source_tree.revision(tree) == git("rev-parse", "HEAD")[:12]
    assert len(found) == 3


def test_revision_without_a_repository(git, tmp_path, monkeypatch):
    """Neither the commit of a repository around the tree nor that of the caller's GIT_DIR is the tree's."""
    inner = tmp_path / "linux" / "unpacked"
    inner.mkdir()
    assert source_tree.revision(inner) == "no-commit"
    assert source_tree.revision(tmp_path) == "no-commit"
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "linux" / ".git"))
    assert source_tree.revision(tmp_path) == "no-commit"
    monkeypatch.setenv("PATH", "/nonexistent")
    assert source_tree.revision(tmp_path / "linux") == "no-commit"


def test_revision_with_changes_that_are_too_large(git, tmp_path, monkeypatch):
    """They are hashed up to a limit, so that a build begins."""
    tree = tmp_path / "linux"
    (tree / "Makefile").write_text("VERSION = 7\n" * 50_000)
    monkeypatch.setattr(source_tree, "_DIFFERENCE_MAX", 100_000)
    assert source_tree.revision(tree) == f"{git('rev-parse', 'HEAD')[:12]}-changed"


def test_changed_files(git, tmp_path):
    """Uncommitted changes, staged or not; a tree without a repository of its own has none that are known."""
    tree = tmp_path / "linux"
    assert source_tree.changed_files(tree) == ()
    (tree / "Makefile").write_text("VERSION = 7\n")
    (tree / "a b").write_text("")
    git("add", "a b")
    assert source_tree.changed_files(tree) == ("Makefile", "a b")
    (tree / "below").mkdir()
    assert source_tree.changed_files(tree / "below") == ()


def test_the_state_names_edited_files(git, tmp_path):
    """Those that are there: staged or not, with any name; never one that git does not know."""
    tree = tmp_path / "linux"
    assert source_tree.state(tree) == source_tree.State(source_tree.revision(tree), ())
    (tree / "Makefile").write_text("VERSION = 7\n")
    (tree / "a b").write_text("one\n")
    (tree / "unknown").write_text("")
    git("add", "a b")
    found = source_tree.state(tree)
    assert found.revision == source_tree.revision(tree)
    assert found.edited == ("Makefile", "a b")
    git("commit", "-qam", "two")
    (tree / "a b").unlink()
    assert source_tree.state(tree).edited == ()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "not a kernel tree"),
        (["Kbuild", "arch/Kconfig"], "not a kernel tree"),
        (["Kbuild", "Makefile", "arch/Kconfig", ".config"], "run make mrproper there"),
        (["Kbuild", "Makefile", "arch/Kconfig", "include/config/auto.conf"], "--kernel tree:"),
    ],
    ids=str,
)
def test_trees_that_cannot_be_built_elsewhere(files, message, tmp_path):
    """The message begins with what the user wrote, and is one line."""
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("")
    with pytest.raises(UsageError, match=f"^--tree it.*{message}") as caught:
        source_tree.require(tmp_path, "--tree it")
    assert "\n" not in str(caught.value)


def test_a_tree_that_can_be_built_elsewhere(tmp_path, monkeypatch):
    """Its absolute path; what does not exist, or is a file, is named as such."""
    kernel_images.source_tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert source_tree.require(Path(), "--tree .") == tmp_path
    for name, message in (("none", "no such directory"), ("Kbuild", "not a directory")):
        with pytest.raises(UsageError, match=f"--tree {name}: {message}"):
            source_tree.require(Path(name), f"--tree {name}")
