"""git history, searched with `git bisect` in a repository of our own that borrows the user's objects.

The user's repository is only read: no checkout, no ref, no worktree entry, and no hook of theirs runs.
Nothing is copied: ours holds what git bisect itself notes, and the files of the revision that is checked out.
"""

from __future__ import annotations

import errno
import os
import re
import subprocess
from pathlib import Path

from sysevent.bisect.outcome import Outcome
from sysevent.bisect.search import HistoryDoesNotFit, Place
from sysevent.errors import DiskFull, InfrastructureError, ToolMissing, UsageError
from sysevent.text import escape

_WORD = {Outcome.GOOD: "good", Outcome.BAD: "bad", Outcome.UNKNOWN: "skip"}
_FIRST = re.compile(r"^([0-9a-f]{40,64}) is the first bad commit$", re.MULTILINE)
_LEFT = re.compile(
    r"^Bisecting: (\d+) revisions? left to test after this \(roughly (\d+) steps?\)", re.MULTILINE
)
_ONLY_SKIPPED = "There are only 'skip'ped commits left to test."
# What would make git look at another repository than the one it is told.
_FOREIGN = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
)


class GitFailed(InfrastructureError):
    """git refused; the message holds its words."""


def git(folder: Path, *words: str, accept: tuple[int, ...] = (0,), both: bool = False) -> str:
    """What git says on stdout (or both streams); GitFailed for an exit code that is not to be accepted."""
    env = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "gc.auto=0"]
    try:
        done = subprocess.run(
            [*command, *words],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=env | {"LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise ToolMissing("git is not installed") from None
    if done.returncode not in accept:
        said = (done.stderr.strip() or done.stdout.strip()).replace("\n", "\n  ")
        if os.strerror(errno.ENOSPC) in said:
            raise DiskFull(f"git {words[0]}: no space left on the disk of {folder}")
        raise GitFailed(f"git {' '.join(words)} in {folder} failed with {done.returncode}:\n  {said}")
    return done.stdout + done.stderr if both else done.stdout


class Tree:
    """A kernel repository of the user's, read only."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise UsageError(f"--tree {path}: no such directory")
        try:
            self.git_dir = Path(git(path, "rev-parse", "--absolute-git-dir").strip())
        except GitFailed as error:
            raise UsageError(f"--tree {path} is no git repository: {error}") from error
        self.path = path

    def commit(self, revision: str) -> str:
        """The full name of a commit; UsageError when there is none of that name."""
        try:
            words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            return git(self.path, *words).strip()
        except GitFailed:
            raise UsageError(f"{revision!r} names no commit in {self.path}") from None

    def common(self, name: str) -> Path:
        """A file of the repository, wherever a linked worktree has it."""
        return self.path / git(self.path, "rev-parse", "--git-path", name).strip()


class Workshop:
    """Our own repository: where revisions are checked out."""

    def __init__(self, tree: Tree, place: Path) -> None:
        self.tree = tree
        self.path = place
        place.mkdir(parents=True, exist_ok=True)
        if not (place / ".git" / "objects").is_dir():
            git(place, "init", "--quiet", *self._format())
        own = place / ".git"
        for stale in ("index.lock", "HEAD.lock"):  # of a run that was killed; the place is locked by us
            (own / stale).unlink(missing_ok=True)
        objects = tree.common("objects").resolve()
        (own / "objects" / "info").mkdir(exist_ok=True)
        (own / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        shallow = tree.common("shallow")
        if shallow.exists():  # a history that was cut off must look so here, too
            (own / "shallow").write_bytes(shallow.read_bytes())
        else:
            (own / "shallow").unlink(missing_ok=True)
        self._borrow_promises()

    def _format(self) -> tuple[str, ...]:
        kind = git(self.tree.path, "rev-parse", "--show-object-format", accept=(0, 1, 128, 129)).strip()
        return (f"--object-format={kind}",) if kind == "sha256" else ()

    def _borrow_promises(self) -> None:
        """A partial clone fetches objects when they are asked for: so must we, from where it does."""
        pattern = r"^(extensions\.partialclone|remote\..*\.(url|promisor|partialclonefilter))$"
        known = git(self.tree.path, "config", "--get-regexp", pattern, accept=(0, 1)).splitlines()
        if any(".promisor true" in line for line in known):
            git(self.path, "config", "core.repositoryformatversion", "1")
            for line in known:
                key, _, value = line.partition(" ")
                git(self.path, "config", key, value)

    def checkout(self, commit: str) -> None:
        """Have the files of a commit, and no others; unchanged ones keep their times: make skips them."""
        git(self.path, "checkout", "--quiet", "--force", "--detach", commit)
        git(self.path, "clean", "-ffdxq")


class GitSearch:
    """`git bisect` without a checkout: only which commit is next is git's business."""

    def __init__(self, workshop: Workshop, good: str, bad: str) -> None:
        self._path = workshop.path
        self._good, self._bad = good, bad
        if not git(self._path, "rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1)):
            # git bisect wants to be somewhere; nothing is checked out for that.
            git(self._path, "update-ref", "--no-deref", "HEAD", good)

    def start(self) -> Place:
        git(self._path, "bisect", "reset", "HEAD")
        return self._bisect("start", "--no-checkout", self._bad, self._good)

    def mark(self, revision: str, outcome: Outcome) -> Place:
        return self._bisect(_WORD[outcome], revision)

    def _bisect(self, *words: str) -> Place:
        # 1: a good that is no ancestor; 2: only skipped ones are left; 3: a bad merge base.
        return self._place(git(self._path, "bisect", *words, accept=(0, 1, 2, 3), both=True))

    def _place(self, said: str) -> Place:
        if found := _FIRST.search(said):
            return Place(None, (found[1],))
        if _ONLY_SKIPPED in said:
            return Place(None, self._suspects())
        try:
            candidate = git(self._path, "rev-parse", "--verify", "--quiet", "BISECT_HEAD").strip()
        except GitFailed:
            candidate = ""
        if not candidate or ("merge base" in said and "is bad" in said):
            raise HistoryDoesNotFit(said.strip() or "git bisect found nothing to try")
        left = _LEFT.search(said)
        return Place(candidate, left=int(left[1]) if left else 0, steps=int(left[2]) if left else 0)

    def _suspects(self) -> tuple[str, ...]:
        good = git(self._path, "for-each-ref", "--format=%(objectname)", "refs/bisect/good-*").split()
        bad = git(self._path, "rev-parse", "refs/bisect/bad").strip()
        found = git(self._path, "rev-list", "--topo-order", bad, "--not", *good).split()
        return tuple(reversed(found))

    def title(self, revision: str) -> str:
        return escape(git(self._path, "show", "--no-patch", "--format=%s", revision).strip())

    def before(self, revision: str) -> tuple[str, ...]:
        return tuple(git(self._path, "show", "--no-patch", "--format=%P", revision).split())

    def about(self, revision: str) -> str:
        """A commit's author, date and message, and which files it touches."""
        words = ("show", "--stat=72", "--format=commit %H%nAuthor: %an <%ae>%nDate:   %aD%n%n%w(0,4,4)%B")
        return escape(git(self._path, *words, revision).strip())
