"""Whole bisections on a real git history, with recorded kernels."""

import errno

import pytest

from sysevent.bisect import report
from sysevent.bisect.ask import raise_if_disk_full
from sysevent.bisect.drive import Ending
from sysevent.bisect.outcome import Outcome
from sysevent.bisect.search import HistoryDoesNotFit, ReleaseList
from sysevent.bisect.state import State
from sysevent.errors import DiskFull, GuestLost


def test_finds_the_commit(ask, tree, bench):
    """The commit that breaks an event, past one that does not build and one that does not boot."""
    result = ask()
    assert result.conclusion.end is Ending.FOUND
    assert result.conclusion.suspects == (tree.commits[9],)
    assert result.conclusion.tests == ("kvm.system_event.arm64.psci.off",)
    outcomes = {step.revision: step.outcome for step in result.state.steps}
    assert outcomes[tree.commits[8]] is Outcome.GOOD
    assert outcomes[tree.commits[9]] is Outcome.BAD
    assert len(bench.built) <= 8


@pytest.mark.parametrize("first", [1, 2, 5, 12, 13])
def test_finds_every_commit(first, ask, make_tree, bench):
    """At every position; both ends are tried first."""
    rows = [{"ndata": 1 if n < first else 0} for n in range(14)]
    other = make_tree(rows)
    result = ask(history=other)
    assert result.conclusion.suspects == (other.commits[first],)
    assert bench.built[:2] == [0, 13]


def test_unbuildable_and_unbootable_are_skipped(ask, make_tree):
    """None of them counts as bad, however many there are; all suspects are listed."""
    rows = [{"ndata": 1 if n < 7 else 0} for n in range(14)]
    for n in (5, 6, 7):
        rows[n] |= {"build": n == 5, "boot": False}
    other = make_tree(rows)
    result = ask(history=other)
    assert result.conclusion.end is Ending.UNDECIDED
    assert result.conclusion.suspects == tuple(other.commits[5:9])
    assert result.conclusion.end.code == 125


def test_users_repository_is_untouched(ask, tree):
    """No checkout, no ref, no worktree entry, and a bisection of the user's own goes on."""
    tree.git("bisect", "start", tree.commits[13], tree.commits[0])
    head, before = tree.git("rev-parse", "HEAD"), tree.state()
    ask()
    assert (tree.git("rev-parse", "HEAD"), tree.state()) == (head, before)


def test_hooks_of_the_user_do_not_run(ask, tree):
    """Not even one that would stop a checkout."""
    hook = tree.path / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert ask().conclusion.end is Ending.FOUND


def test_shallow_history(ask, tree, tmp_path):
    """A shallow clone is searched as far as its history goes."""
    path = tmp_path / "shallow"
    tree.git("clone", "-q", "--depth", "13", f"file://{tree.path}", str(path))
    result = ask(good=1, source=str(path))
    assert result.conclusion.suspects == (tree.commits[9],)


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        pytest.param(10, 13, "the good end is bad already", id="good fails"),
        pytest.param(0, 5, "the bad end is good", id="bad passes"),
        pytest.param(6, 13, "the good end cannot be judged", id="good does not boot"),
        pytest.param(0, 7, "the bad end cannot be judged", id="bad does not build"),
    ],
)
def test_wrong_ends(good, bad, says, ask, bench):
    """They stop the search at once, with the evidence."""
    result = ask(good, bad)
    assert result.conclusion.end is Ending.WRONG_ENDS
    assert result.conclusion.reason.startswith(says)
    assert result.conclusion.end.code == 1
    assert len(bench.built) <= 2
    text = report.text(result.conclusion, result.state, result.about)
    assert says in text
    assert "Steps:" in text


@pytest.mark.parametrize("first", [1, 3, 5])
def test_finds_the_commit_that_repaired_it(first, ask, make_tree, bench):
    """If the bad end is the older one; the evidence is of both sides of that commit."""
    other = make_tree([{"ndata": 1 if n >= first else 0} for n in range(6)])
    result = ask(5, 0, history=other)
    assert result.conclusion.end is Ending.FOUND
    assert result.conclusion.suspects == (other.commits[first],)
    text = report.text(result.conclusion, result.state, result.about)
    assert text.startswith(f"First good commit: {other.commits[first]} (change {first})\n")
    assert f"  good, {other.commits[first][:12]}" in text
    assert f"  bad, {other.commits[first - 1][:12]}" in text


def test_repair_beside_commits_that_cannot_be_judged(ask, make_tree):
    """All that may be it are listed."""
    other = make_tree([{"ndata": 1 if n >= 5 else 0, "build": n not in (3, 4)} for n in range(8)])
    result = ask(7, 0, history=other)
    assert result.conclusion.end is Ending.UNDECIDED
    assert result.conclusion.suspects == tuple(other.commits[3:6])
    text = report.text(result.conclusion, result.state, result.about)
    assert text.startswith("The first good commit is one of these 3, which could not be distinguished:\n")


def test_repair_on_a_branch_of_its_own(ask, make_tree):
    """Neither end is an ancestor of the other, and where they separated is bad: the message has the search to make."""
    other = make_tree([{"ndata": 0}, {"ndata": 0}])
    other.git("checkout", "-q", "-b", "stable")
    stable = other.commit(7, ndata=0)
    other.git("checkout", "-q", "main")
    good = other.commit(8)
    other.commits += [good, stable]
    result = ask(2, 3, history=other)
    assert result.conclusion.end is Ending.MISFIT
    assert f"search with --good {good} --bad {other.commits[1]}" in result.conclusion.reason


def test_steps_are_counted_on_after_an_interruption(ask, bench):
    """Not from one again."""
    lines = []

    def interrupt(behaviour):
        if len(bench.built) == 4:
            raise KeyboardInterrupt

    bench.on_build = interrupt
    with pytest.raises(KeyboardInterrupt):
        ask(say=lines.append)
    assert [line.split(" of ")[0] for line in lines if line.startswith("step")] == ["step 1", "step 2"]
    lines.clear()
    ask(say=lines.append)
    assert lines[2] == "going on after step 1"
    assert lines[3].startswith("step 2 of about ")


def test_boot_failure_as_bad(ask, make_tree):
    """With --boot-failure=bad, the first kernel that does not boot is found."""
    other = make_tree([{"boot": n < 8} for n in range(14)])
    result = ask(history=other, boot_failure_is_bad=True)
    assert result.conclusion.suspects == (other.commits[8],)


def test_unstable_kernel_is_undecided(ask, make_tree):
    """Two boots of one kernel that disagree make the outcome UNKNOWN."""
    rows = [{"ndata": 1 if n < 7 else 0} for n in range(14)]
    rows[6] |= {"unstable": True}
    other = make_tree(rows)
    result = ask(history=other)
    step = next(step for step in result.state.steps if step.revision == other.commits[6])
    assert step.outcome is Outcome.UNKNOWN
    assert step.reason.startswith("unstable: kvm.system_event.arm64.psci.off")


def test_lost_guest_is_not_bad(ask, make_tree):
    """A guest that is lost while it is asked makes the outcome UNKNOWN."""
    rows = [{"ndata": 1 if n < 7 else 0, "lost": n == 6} for n in range(14)]
    other = make_tree(rows)
    result = ask(history=other)
    assert result.conclusion.suspects == tuple(other.commits[6:8])


def test_merge(ask, make_tree):
    """A merged branch is searched as well."""
    other = make_tree([{}, {}, {}])
    other.git("checkout", "-q", "-b", "side")
    side = [other.commit(n, ndata=1 if n < 12 else 0) for n in (10, 11, 12, 13)]
    other.git("checkout", "-q", "main")
    (other.path / "unrelated").write_text("x")
    other.git("add", "-A")
    other.git("commit", "-q", "-m", "main goes on")
    other.git("merge", "-q", "--no-edit", "side")
    result = ask(0, other.git("rev-parse", "HEAD"), history=other)
    assert result.conclusion.suspects == (side[2],)


def test_full_disk_stops(ask, bench, tmp_path):
    """No step is recorded, and the same command resumes."""

    def full(behaviour):
        if len(bench.built) == 4:
            raise DiskFull("building Image: no space left on the disk")

    bench.on_build = full
    with pytest.raises(DiskFull):
        ask()
    state = State.resume(tmp_path / "results")
    assert state is not None
    assert len(state.steps) == 1
    assert ask().conclusion.end is Ending.FOUND


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_behind_another_error(number):
    """The guest is lost because of it, which says nothing about the kernel."""
    lost = GuestLost("no guest")
    lost.__cause__ = OSError(number, "full")
    with pytest.raises(DiskFull):
        raise_if_disk_full(lost)
    lost.__cause__ = OSError(errno.EIO, "another one")
    raise_if_disk_full(lost)


def test_line_of_releases():
    """A change is found at every position of a list; UNKNOWN revisions are skipped."""
    names = [f"v{n}" for n in range(20)]
    for first in range(1, 20):
        line = ReleaseList(names, {})
        place = line.start()
        while place.revision is not None:
            at = names.index(place.revision)
            unknown = at in (first - 3, 7) and at not in (first, first - 1)
            place = line.mark(
                place.revision,
                Outcome.UNKNOWN if unknown else Outcome.BAD if at >= first else Outcome.GOOD,
            )
        assert place.suspects == (names[first],)


def test_line_with_a_gap_beside_the_change():
    """All revisions after the last good one, up to the first bad one, are suspects."""
    line = ReleaseList(["a", "b", "c", "d"], {})
    place = line.start()
    marks = {"b": Outcome.UNKNOWN, "c": Outcome.BAD}
    while place.revision is not None:
        place = line.mark(place.revision, marks[place.revision])
    assert place.suspects == ("b", "c")


def test_line_that_contradicts_itself():
    """A bad release before a good one cannot be explained by one change."""
    line = ReleaseList(["a", "b", "c", "d", "e"], {})
    line.start()
    line.mark("b", Outcome.BAD)
    with pytest.raises(HistoryDoesNotFit, match="before it"):
        line.mark("c", Outcome.GOOD)
