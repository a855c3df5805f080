"""Repositories as they are on other people's machines: git reads each of them."""

import os
import subprocess
from pathlib import Path

import pytest

from sysevent.bisect.repository import Tree, Workspace
from sysevent.errors import UsageError


def git(folder, *words):
    """Run git without the user's configuration, and return its output."""
    identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | identity | {"GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(
        ["git", "-C", folder, *words], check=True, capture_output=True, text=True, env=env, timeout=60
    ).stdout.strip()


def make(folder, *options):
    """Create a repository of a kernel with two commits, and return its directory."""
    (folder / "arch").mkdir(parents=True)
    (folder / "Makefile").touch()
    git(folder, "init", "-q", "-b", "main", *options)
    for text in ("one", "two"):
        (folder / "Kbuild").write_text(text)
        (folder / "arch" / "file").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", text)
    return folder


@pytest.fixture
def source(tmp_path):
    return make(tmp_path / "source")


def plain(source, place):
    return source


def bare(source, place):
    git(source, "clone", "-q", "--bare", ".", place)
    return place


def worktree(source, place):
    git(source, "worktree", "add", "-q", "--detach", place, "HEAD")
    return place


def shallow(source, place):
    git(source, "clone", "-q", "--depth=2", f"file://{source}", place)
    return place


def partial(source, place):
    git(source, "config", "uploadpack.allowFilter", "true")
    git(source, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{source}", place)
    return place


def submodule(source, place):
    place.mkdir()
    git(place, "init", "-q")
    git(place, "-c", "protocol.file.allow=always", "submodule", "add", "-q", f"file://{source}", "linux")
    return place / "linux"


def sha256(source, place):
    return make(place, "--object-format=sha256")


def borrowing(source, place):
    git(source, "clone", "-q", "--shared", ".", place)
    return place


def partial_of_a_neighbour(source, place):
    partial(source, place)
    git(place, "config", "remote.origin.url", f"../{source.name}")
    return place


def partial_with_a_rewritten_address(source, place):
    partial(source, place)
    git(place, "config", f"url.file://{source.parent}/.insteadOf", "lab:")
    git(place, "config", "remote.origin.url", f"lab:{source.name}")
    return place


def bare_partial_of_a_neighbour(source, place):
    git(source, "config", "uploadpack.allowFilter", "true")
    git(source, "clone", "-q", "--bare", "--filter=blob:none", f"file://{source}", place)
    git(place, "config", "remote.origin.url", f"../{source.name}")
    return place


def separate(source, place):
    git(source, "init", "-q", f"--separate-git-dir={place.parent / 'elsewhere'}")
    return source


def worktree_of_the_configuration(source, place):
    (source / ".git").rename(place)
    git(place, "config", "core.worktree", str(source))
    return place


def borrowing_twice(source, place):
    git(source, "clone", "-q", "--shared", ".", place.parent / "between")
    git(place.parent, "clone", "-q", "--shared", "between", place)
    (place / ".git/objects/info/alternates").write_text("../../../between/.git/objects\n")
    return place


def strange_name(source, place):
    return source.rename(place.parent / '"a" #b\'c d')


def packed(source, place):
    git(source, "repack", "-qad", "--write-midx")
    git(source, "pack-refs", "--all")
    git(source, "commit-graph", "write", "--reachable")
    return source


KINDS = [
    *(plain, bare, worktree, shallow, partial, submodule, sha256, borrowing, partial_of_a_neighbour),
    *(partial_with_a_rewritten_address, bare_partial_of_a_neighbour, separate, worktree_of_the_configuration),
    *(borrowing_twice, strange_name, packed),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_repository(source, tmp_path, monkeypatch, kind):
    """Its revisions are checked out elsewhere, whatever the caller's environment and configuration say."""
    tree = kind(source, tmp_path / "place")
    strict = tmp_path / "gitconfig"
    strict.write_text("[safe]\n\tbareRepository = explicit\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(strict))
    monkeypatch.setenv("GIT_DIR", "/no/such/repository")
    monkeypatch.setenv("GIT_WORK_TREE", "/no/such/tree")
    known = Tree(tree)
    first, last = known.commit("HEAD~1"), known.commit("HEAD")
    known.require_kernel(first, "HEAD~1")
    work = Workspace(known, tmp_path / "work")
    for commit, text in ((first, "one"), (last, "two")):
        work.checkout(commit)
        assert (work.path / "arch" / "file").read_text() == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[core]\n\trepositoryformatversion = 99\n", "repo version"),
        ("[core]\n\trepositoryformatversion = 1\n[extensions]\n\tnosuch = true\n", "nosuch"),
        ("[core\n", "bad config line 1"),
    ],
)
def test_cause_in_the_words_of_git(source, text, words):
    """Not every repository that git refuses is none."""
    (source / ".git" / "config").write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        Tree(source)
    assert "\n" not in str(caught.value)


def test_repository_of_another_user(source, monkeypatch):
    """As git says: with the command that trusts it."""
    # git's own tests use this variable.
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    with pytest.raises(UsageError, match=r"dubious ownership .*git config --global --add safe\.directory"):
        Tree(source)


def test_directory_below_the_top(source):
    """It is refused with what it lacks."""
    known = Tree(source / "arch")
    with pytest.raises(UsageError, match="is not a kernel tree: HEAD lacks one of"):
        known.require_kernel(known.commit("HEAD"), "HEAD")


def test_replaced_history(source, tmp_path):
    """As `git log` shows it to the user."""
    orphan = git(source, "commit-tree", "-m", "zero", git(source, "rev-parse", "HEAD^{tree}"))
    git(source, "replace", "--graft", git(source, "rev-parse", "HEAD~1"), orphan)
    work = Workspace(Tree(source), tmp_path / "work")
    log = ("log", "--format=%s")
    assert git(work.path, *log, git(source, "rev-parse", "HEAD")).split() == ["two", "one", "zero"]


def test_no_repository(tmp_path):
    (tmp_path / "plain").mkdir()
    with pytest.raises(UsageError, match="cannot be used: git: fatal: not a git repository"):
        Tree(Path(tmp_path, "plain"))
