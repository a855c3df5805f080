"""A git history, and a fake builder with recorded kernels, so that whole bisections take seconds."""

import json
import subprocess

import msgspec
import pytest

from sysevent.abi import kvm_run
from sysevent.bisect import session
from sysevent.bisect.question import Question
from sysevent.bisect.session import Equipment
from sysevent.bisect.state import State
from sysevent.build.kernel import BuiltKernel
from sysevent.errors import GuestLost, KernelNotBuilt, WrongKernel
from sysevent.model import KernelIdentity, Proof
from sysevent.settings import Settings

SOUND = {"build": True, "boot": True, "ndata": 1}


def with_field(seen, field, value):
    """An observation in which a field of the exit has this value."""
    member, raw = kvm_run.FIELDS[field], seen.exits["exit"]
    head = bytearray(raw.head)
    head[member.offset : member.offset + member.size] = value.to_bytes(member.size, "little")
    return msgspec.structs.replace(seen, exits={"exit": msgspec.structs.replace(raw, head=bytes(head))})


class Kernel:
    """A kernel that behaves as a commit's file says."""

    def __init__(self, recording, behaviour, boot):
        self._recording, self._behaviour, self._boot = recording, behaviour, boot

    def facts(self):
        if not self._behaviour["boot"]:
            raise GuestLost(
                "arm64-tcg: panic: Kernel panic - not syncing: early check\nthe end of its console"
            )
        if self._behaviour.get("wrong"):
            raise WrongKernel("arm64-tcg: the kernel that answers has the build ID aa, and Image has bb")
        number = self._boot if self._behaviour.get("rebuilt") else self._behaviour["n"]
        identity = KernelIdentity(f"{number:040x}", {}, Proof.PROVEN)
        return msgspec.structs.replace(self._recording.facts["arm64-tcg"], identity=identity)

    def observe(self, scenario, abi):
        if self._behaviour.get("lost"):
            raise GuestLost("arm64-tcg: silent: no answer within 9 s")
        ndata = self._behaviour["ndata"]
        if self._behaviour.get("unstable"):
            ndata = self._boot % 2
        seen = self._recording.of("arm64-tcg", scenario.name)
        return with_field(seen, "ndata", ndata) if scenario.name == "arm64.psci.off" else seen

    def kernel_logs(self):
        return ()

    def close(self):
        pass


class Workbench:
    """A fake builder and a fake way to boot, which record their calls."""

    def __init__(self, recording):
        self.recording = recording
        self.built = []
        self.boots = 0
        self.on_build = lambda behaviour: None

    def build(self, tree, log):
        """As KernelBuilder.build; the kernel is the content of the file `behaviour` of the commit."""
        behaviour = json.loads((tree / "behaviour").read_text())
        self.built.append(behaviour["n"])
        self.on_build(behaviour)
        if not behaviour["build"]:
            raise KernelNotBuilt("building Image failed: kvm_main.c:9: error: expected ';'")
        return BuiltKernel(json.dumps(behaviour), {"build": 0.5}, ("not honoured: CONFIG_X",), "gcc-12.2.0")

    def boot(self, kernel, logs):
        """As a function of guests.boot_on."""
        self.boots += 1
        return Kernel(self.recording, json.loads(kernel), self.boots)


def git(folder, *words):
    """git as a user calls it, independent of this machine's configuration."""
    config = ["-c", "user.name=A Developer", "-c", "user.email=dev@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(
        ["git", *config, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder, n, **behaviour):
    """A commit after which a kernel behaves so."""
    (folder / "behaviour").write_text(json.dumps(SOUND | behaviour | {"n": n}))
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"change {n}")
    return git(folder, "rev-parse", "HEAD")


class Tree:
    """A user's repository with a commit for each behaviour."""

    def __init__(self, path, changes):
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")
        self.commits = self._import(changes)

    def _import(self, changes):
        """The commits' hashes, made by one process instead of three for each."""
        stream = ""
        for n, behaviour in enumerate(changes):
            text, title = json.dumps(SOUND | behaviour | {"n": n}), f"change {n}"
            stream += (
                f"commit refs/heads/main\nmark :{n + 1}\n"
                f"committer A Developer <dev@example.org> {1_700_000_000 + n} +0000\n"
                f"data {len(title)}\n{title}\nM 644 inline behaviour\ndata {len(text)}\n{text}\n"
            )
        subprocess.run(["git", "fast-import", "--quiet"], cwd=self.path, input=stream, text=True, check=True)
        self.git("reset", "-q", "--hard", "main")
        return self.git("rev-list", "--reverse", "main").split()

    def git(self, *words):
        """The output of git, called as a user does."""
        return git(self.path, *words)

    def commit(self, n, **behaviour):
        """A commit after which a kernel behaves so; its hash."""
        return commit(self.path, n, **behaviour)

    def state(self):
        """Everything that a bisection must not change."""
        return self.git("status", "--porcelain"), self.git("for-each-ref"), self.git("worktree", "list")


def broken_at(first, count=14):
    """Behaviours: from the commit numbered first on, SYSTEM_OFF comes without its datum."""
    return [{"ndata": 1 if n < first else 0} for n in range(count)]


@pytest.fixture
def changes():
    """14 commits: number 9 breaks an event, number 7 does not build, number 6 does not boot."""
    rows = broken_at(9)
    rows[7] |= {"build": False}
    rows[6] |= {"boot": False}
    return rows


@pytest.fixture
def tree(tmp_path, changes):
    """That history."""
    return Tree(tmp_path / "linux", changes)


@pytest.fixture
def make_tree(tmp_path):
    """make_tree(behaviours): another history."""
    return lambda rows: Tree(tmp_path / "other", rows)


@pytest.fixture
def bench(recording):
    return Workbench(recording("debian-6.12"))


@pytest.fixture
def settings(tmp_path):
    return Settings(cache=tmp_path / "cache", mirror=None, keyring=None, offline=True)


@pytest.fixture
def ask(tree, bench, settings, tmp_path):
    """ask(good, bad, **changes of the question): the result of a whole bisection, whose state is kept."""

    def run(good=0, bad=-1, history=None, anew=False, say=lambda line: None, **fields):
        of = history or tree
        first, last = (of.commits[end] if isinstance(end, int) else end for end in (good, bad))
        question = Question(
            kind="build",
            source=str(of.path),
            arch="arm64",
            good=first,
            bad=last,
            good_named=str(good),
            bad_named=str(bad),
            tests=("arm64.psci.off", "arm64.psci.reset"),
        )
        question = msgspec.structs.replace(question, **fields)
        folder = tmp_path / "results"
        state = (None if anew else State.resume(folder)) or State.begin(folder, question)
        means = Equipment(bench.boot, bench, {"QEMU": "7.2.22"})
        return session.run(state, settings, lambda place: means, say)

    return run
