"""The report of a bisection, as text for a mail and as JSON."""

import json

from sysevent.bisect import report


def shown(result):
    return report.text(result.conclusion, result.state, result.about)


def test_found(ask, tree):
    """Commit, claim, expected and got, bytes of both sides, every step with times, and the commands to repeat it."""
    text = shown(ask())
    bad, good = tree.commits[9], tree.commits[8]
    assert text.startswith(f"First bad commit: {bad} (change 9)\n")
    assert "    Author: A Developer <dev@example.org>\n" in text
    assert "kvm.system_event.arm64.psci.off: FAIL\n" in text
    assert "  ndata: expected 1, got 0\n" in text
    assert f"  good, {good[:12]} (change 8)" in text
    assert f"  bad, {bad[:12]} (change 9)" in text
    rows = [line for line in text.splitlines() if line.startswith("       32  01 00 00 00")]
    assert [row.split()[5:9] for row in rows] == [["01", "00", "00", "00"], ["00", "00", "00", "00"]]
    assert text.count("^^ ^^ ^^ ^^") == 2
    assert "cannot tell: no boot: arm64-tcg: panic" in text or "cannot tell: building Image failed" in text
    assert "build 0.5 s" in text
    assert "not honoured: CONFIG_X" in text
    assert f"sysevent bisect --tree {tree.path} --good {tree.commits[0]} --bad {tree.commits[13]}" in text
    assert f"git checkout {bad[:12]} && sysevent bisect run --arch arm64 --test arm64.psci.off" in text


def test_names_the_kernels(ask):
    """The build ID of each that answered is in its step, in the text and in the JSON."""
    found = ask()
    assert f"build ID {9:040x} (proven)" in shown(found)
    steps = report.as_json(found.conclusion, found.state)["steps"]
    known = [step["facts"]["identity"]["build_id"] for step in steps if step["facts"]]
    assert f"{9:040x}" in known


def test_another_kernel_than_the_one_that_was_built(ask, make_tree):
    """It is skipped, and never called good or bad."""
    rows = [{"ndata": 1 if n < 7 else 0, "wrong": n in (6, 7, 8)} for n in range(14)]
    other = make_tree(rows)
    text = shown(ask(history=other))
    assert text.startswith("The first bad commit is one of these")
    assert "cannot tell: arm64-tcg: the kernel that answers has the build ID aa" in text


def test_a_kernel_that_is_built_again_between_two_boots(ask, make_tree):
    """The second boot confirms nothing: it is skipped."""
    rows = [{"ndata": 1 if n < 7 else 0, "rebuilt": n in (6, 7)} for n in range(14)]
    text = shown(ask(history=make_tree(rows)))
    assert text.startswith("The first bad commit is one of these")
    assert "the kernel's files changed" in text


def test_fits_a_mail(ask):
    """Prose and bytes stay within 80 columns; only names and commands are longer."""
    long = [line for line in shown(ask()).splitlines() if len(line) > 80]
    exempt = ("sysevent", "change", "logs:", "cannot tell")
    assert not [line for line in long if not any(word in line for word in exempt)]


def test_undecided(ask, make_tree):
    """All suspects are listed, and the revisions on both sides are shown."""
    rows = [{"ndata": 1 if n < 7 else 0, "build": n not in (5, 6)} for n in range(14)]
    other = make_tree(rows)
    text = shown(ask(history=other))
    assert text.startswith("The first bad commit is one of these 3, which could not be distinguished:\n")
    for commit in other.commits[5:8]:
        assert f"    {commit} (change" in text
    assert f"  good, {other.commits[4][:12]}" in text
    assert f"  bad, {other.commits[7][:12]}" in text


def test_another_failure_at_the_end(ask, make_tree):
    """If the bad end fails in another way than the commit that was found, the report says so."""
    rows = [{"ndata": 1 if n < 5 else 0 if n < 10 else 7} for n in range(14)]
    other = make_tree(rows)
    text = shown(ask(history=other))
    assert "The bad end fails in another way: ndata: got 7, expected 1" in text


def test_json(ask, tree):
    """The JSON has everything that the text has."""
    result = ask()
    found = json.loads(json.dumps(report.as_json(result.conclusion, result.state)))
    assert found["suspects"] == [{"revision": tree.commits[9], "title": "change 9"}]
    assert found["evidence"]["good"]["outcome"] == "good"
    assert len(found["steps"]) == len(result.state.steps)
    assert found["question"]["tests"] == ["arm64.psci.off", "arm64.psci.reset"]


def test_control_characters_of_a_title(ask, tree):
    """Control characters in a commit's message are escaped."""
    (tree.path / "x").write_text("")
    tree.git("add", "-A")
    tree.git("commit", "-q", "-m", "evil \x1b[2J title")
    last = tree.commit(99, ndata=0)
    text = shown(ask(bad=tree.git("rev-parse", f"{last}~1")))
    assert "\x1b" not in text
