"""Searches a git history with `git bisect`, in a repository of our own that borrows the user's objects.

The user's repository is only read: no checkout, no ref and no worktree entry changes, and none of its hooks runs.
No object is copied: our repository holds the state of git bisect and the files of the revision that is checked out.
"""

from __future__ import annotations

import re
from pathlib import Path

from sysevent.bisect.outcome import Outcome
from sysevent.bisect.search import HistoryDoesNotFit, Position
from sysevent.build import source_tree
from sysevent.build.git import GitFailed, git
from sysevent.errors import UsageError
from sysevent.text import escape, one_line

_FIRST = re.compile(r"^([0-9a-f]{40,64}) is the first (?:bad|fixed) commit$", re.MULTILINE)
_MERGE_BASE = re.compile(r"^The merge base ([0-9a-f]{40,64}) is bad\.$", re.MULTILINE)
_LEFT = re.compile(
    r"^Bisecting: (\d+) revisions? left to test after this \(roughly (\d+) steps?\)", re.MULTILINE
)
# Settings of a repository that fetching from its remotes takes.
_BORROWED = (
    r"^(extensions\.partialclone|remote\..*\.(url|promisor|partialclonefilter|uploadpack|proxy)|http\..*|credential\..*"
    r"|core\.(sshcommand|gitproxy|askpass)|ssh\.variant|protocol\..*)$"
)
_URL_OF = re.compile(r"remote\.(.*)\.url")
# A URL, an address of ssh (host:path), or an absolute path (gitglossary(7), git-fetch(1), GIT URLS).
_ABSOLUTE = re.compile(r"/|[^/]*:")
_ONLY_SKIPPED = "There are only 'skip'ped commits left to test."


class Tree:
    """The user's repository of a kernel, which is only read."""

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise UsageError(f"--tree {path}: no such directory")
        try:
            self.git_dir = Path(git(path, "rev-parse", "--absolute-git-dir").strip())
        except GitFailed as error:
            # git's own words: it may be none, or one of another user, or of a format that this git does not know.
            said = one_line(" ".join(str(error).partition(":\n")[2].split()))
            raise UsageError(f"--tree {path} cannot be used: git: {said}") from error
        self.path = path

    def commit(self, revision: str) -> str:
        """The hash of a commit; UsageError if revision names none."""
        try:
            words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
            return git(self.path, *words).strip()
        except GitFailed:
            raise UsageError(f"{revision!r} names no commit in {self.path}") from None

    def require_kernel(self, commit: str, named: str) -> None:
        """UsageError if a commit has no kernel, so that nothing could be built from it; named as the user wrote it."""
        found = git(self.path, "ls-tree", "--name-only", commit, *source_tree.MARKS).split()
        if len(found) < len(source_tree.MARKS):
            raise UsageError(
                f"--tree {self.path} is not a kernel tree: {named} lacks one of {', '.join(source_tree.MARKS)}"
            )

    def common(self, name: str) -> Path:
        """The path of a file in the repository's git directory, which linked worktrees share."""
        return self.path / git(self.path, "rev-parse", "--git-path", name).strip()


class Workspace:
    """Our own repository, in which revisions are checked out."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        self.tree = tree
        self.path = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / ".git" / "objects").is_dir():
            git(folder, "init", "--quiet", *self._format())
        own = folder / ".git"
        # Locks of a run that was killed. No other run is active: the caller holds the lock of this directory.
        for stale in ("index.lock", "HEAD.lock"):
            (own / stale).unlink(missing_ok=True)
        objects = tree.common("objects").resolve()
        (own / "objects" / "info").mkdir(exist_ok=True)
        (own / "objects" / "info" / "alternates").write_text(f"{objects}\n", encoding="utf-8")
        shallow = tree.common("shallow")
        # A shallow history must be shallow here as well.
        if shallow.exists():
            (own / "shallow").write_bytes(shallow.read_bytes())
        else:
            (own / "shallow").unlink(missing_ok=True)
        self._borrow_replacements()
        self._borrow_promises()

    def _format(self) -> tuple[str, ...]:
        kind = git(self.tree.path, "rev-parse", "--show-object-format", accept=(0, 1, 128, 129)).strip()
        return (f"--object-format={kind}",) if kind == "sha256" else ()

    def _borrow_replacements(self) -> None:
        """Have the same history: `git replace` joins and cuts histories."""
        words = ("for-each-ref", "--format=%(refname) %(objectname)", "refs/replace")
        for line in git(self.tree.path, *words).splitlines():
            git(self.path, "update-ref", *line.split())

    def _borrow_promises(self) -> None:
        """Configure the remotes of a partial clone, from which git fetches missing objects on demand.

        With what that takes: the address as the user's repository rewrites it, programs and passwords.
        """
        words = ("config", "--local", "--null", "--get-regexp")
        lines = git(self.tree.path, *words, _BORROWED, accept=(0, 1)).split("\0")
        known = [line.partition("\n")[::2] for line in lines if line]
        if not any(key.endswith(".promisor") and value == "true" for key, value in known):
            return
        git(self.path, "config", "core.repositoryformatversion", "1")
        for key, value in known:
            git(self.path, "config", "--replace-all", key, value)
            if found := _URL_OF.fullmatch(key):
                url = git(self.tree.path, "ls-remote", "--get-url", found[1]).strip()
                if not _ABSOLUTE.match(url):
                    # git reads it as relative to the top of the working tree, or to a bare repository.
                    top = git(self.tree.path, "rev-parse", "--show-toplevel", accept=(0, 128)).strip()
                    url = str(Path(top or self.tree.git_dir, url))
                git(self.path, "config", key, url)

    def checkout(self, commit: str) -> None:
        """Check out the files of a commit and remove all others. Unchanged files keep their times, for make."""
        git(self.path, "checkout", "--quiet", "--force", "--detach", commit)
        git(self.path, "clean", "-ffdxq")


class GitSearch:
    """`git bisect` without a checkout: git only chooses the next commit.

    If bad is an ancestor of good, the commit is searched for that repaired it.
    """

    def __init__(self, workspace: Workspace, good: str, bad: str) -> None:
        self._path = workspace.path
        if not git(self._path, "rev-parse", "--verify", "--quiet", "HEAD", accept=(0, 1)):
            # git bisect needs a HEAD to return to. This checks nothing out.
            git(self._path, "update-ref", "--no-deref", "HEAD", good)
        self.repaired = git(self._path, "merge-base", bad, good, accept=(0, 1)).strip() == bad
        self._first, self._last = (bad, good) if self.repaired else (good, bad)
        # git refuses its own terms in exchanged roles.
        self._before, self._behind = ("broken", "fixed") if self.repaired else ("good", "bad")
        before, behind = (Outcome.BAD, Outcome.GOOD) if self.repaired else (Outcome.GOOD, Outcome.BAD)
        self._words = {before: self._before, behind: self._behind, Outcome.UNKNOWN: "skip"}

    def start(self) -> Position:
        git(self._path, "bisect", "reset", "HEAD")
        terms = (f"--term-old={self._before}", f"--term-new={self._behind}") if self.repaired else ()
        return self._bisect("start", "--no-checkout", *terms, self._last, self._first)

    def mark(self, revision: str, outcome: Outcome) -> Position:
        return self._bisect(self._words[outcome], revision)

    def _bisect(self, *words: str) -> Position:
        # 1: good is not an ancestor of bad; 2: only skipped commits are left; 3: the merge base is bad.
        return self._position(git(self._path, "bisect", *words, accept=(0, 1, 2, 3), both=True))

    def _position(self, output: str) -> Position:
        if found := _FIRST.search(output):
            return Position(None, (found[1],))
        if _ONLY_SKIPPED in output:
            return Position(None, self._suspects())
        try:
            candidate = git(self._path, "rev-parse", "--verify", "--quiet", "BISECT_HEAD").strip()
        except GitFailed:
            candidate = ""
        if base := _MERGE_BASE.search(output):
            raise HistoryDoesNotFit(
                f"good is not an ancestor of bad, and where they separated, {base[1]}, is bad as well: for the commit "
                f"that repaired it, search with --good {self._first} --bad {base[1]}"
            )
        if not candidate:
            raise HistoryDoesNotFit(output.strip() or "git bisect found no commit to try")
        left = _LEFT.search(output)
        return Position(candidate, left=int(left[1]) if left else 0, steps=int(left[2]) if left else 0)

    def _suspects(self) -> tuple[str, ...]:
        before = f"refs/bisect/{self._before}-*"
        tried = git(self._path, "for-each-ref", "--format=%(objectname)", before).split()
        behind = git(self._path, "rev-parse", f"refs/bisect/{self._behind}").strip()
        found = git(self._path, "rev-list", "--topo-order", behind, "--not", *tried).split()
        return tuple(reversed(found))

    def title(self, revision: str) -> str:
        return escape(git(self._path, "show", "--no-patch", "--format=%s", revision).strip())

    def before(self, revision: str) -> tuple[str, ...]:
        return tuple(git(self._path, "show", "--no-patch", "--format=%P", revision).split())

    def about(self, revision: str) -> str:
        """A commit's author, date, message and changed files, as text for a report."""
        words = ("show", "--stat=72", "--format=commit %H%nAuthor: %an <%ae>%nDate:   %aD%n%n%w(0,4,4)%B")
        return escape(git(self._path, *words, revision).strip())
