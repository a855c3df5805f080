"""What is on the screen while tests run: on terminals of several kinds, and without one."""

import re
import signal

import pexpect
import pytest
from plugin_terminals import Terminal

PASSING = ["--arch", "arm64", "--arch", "x86_64", "-k", "test_arm64 or test_x86_64"]
BROKEN = {"arm64.psci.reset": "type"}
COLUMNS = 200
# Of a line that is redrawn.
ASKING = "  arm64-tcg   asking 1 of 2"
# What pytest prints for tests, if nothing keeps it from doing so.
DOTS = re.compile(r"^\S*test_suite\.py [.FsnME]+", re.MULTILINE)


class Shown:
    """A run on a terminal, from its start to its end."""

    def __init__(self, runs, name, *arguments, term="xterm", width=COLUMNS, **plan):
        command, env = runs.command(name, *arguments, **plan)
        size = {"COLUMNS": "", "LINES": "", "NO_COLOR": "1"} | plan.get("env", {})
        env = {key: value for key, value in (env | {"TERM": term} | size).items() if value}
        # -rA would print every test by its name.
        command = [word for word in command if word != "-rA"]
        self.results = runs.results(name)
        self.process = pexpect.spawn(
            command[0],
            command[1:],
            cwd=runs.folder,
            env=env,
            encoding="utf-8",
            dimensions=(50, width),
            timeout=60,
        )
        self._sent = None

    @property
    def sent(self):
        """All that was sent to the terminal."""
        if self._sent is None:
            self.process.expect(pexpect.EOF)
            self._sent = self.process.before
            self.process.close()
        return self._sent

    @property
    def lines(self):
        """What is on the screen in the end."""
        terminal = Terminal()
        terminal.feed(self.sent)
        return terminal.lines


@pytest.fixture(scope="module")
def shown(runs):
    started = {
        "plain": Shown(runs, "plain", *PASSING),
        "broken": Shown(runs, "broken", *PASSING, "-x", breaks=BROKEN),
        "coloured": Shown(runs, "coloured", *PASSING, "--color=yes"),
        "narrow": Shown(runs, "narrow", *PASSING, width=24),
        "dumb": Shown(runs, "dumb", *PASSING, term="dumb"),
        "verbose": Shown(runs, "verbose", *PASSING, "-v"),
        "quiet": Shown(runs, "quiet", *PASSING, "-q"),
        "uncaptured": Shown(runs, "uncaptured", *PASSING, "-s"),
        "other": Shown(runs, "other", "-k", "test_asks_no_kernel"),
    }
    runs.start("piped", *PASSING)
    runs.start("piped-quiet", *PASSING, "-q")
    yield started.__getitem__
    for each in started.values():
        each.process.close(force=True)


@pytest.mark.parametrize("name", ["plain", "broken", "coloured"])
def test_a_terminal(shown, name):
    """A line for each target is redrawn, and nothing of it is left; no test has a dot."""
    found = shown(name)
    assert ASKING in found.sent
    assert "asking" not in "\n".join(found.lines)
    assert not DOTS.search("\n".join(found.lines))
    assert "claims by target" in "\n".join(found.lines)
    # No mode of the terminal is changed.
    assert "\x1b[?" not in found.sent


def test_the_last_lines_are_the_answer(shown):
    """Also behind the failures: verdicts, what to look at next, results, and pytest's own line."""
    lines = [line for line in shown("broken").lines if line and not line.startswith("!")]
    counts, following, results, closing = lines[-4:]
    assert re.fullmatch(r"1 target asked: 1 FAIL(, 1 PASS)?", counts)
    assert following.startswith("next: the bytes are above; why it must hold: ./sysevent explain arm64.psci.")
    assert results == f"results: {shown('broken').results}"
    assert "1 failed" in closing


def test_a_narrow_terminal(shown):
    """No line that is redrawn is as wide as the terminal, so that none is wrapped."""
    drawn = re.findall(r"^  (?:arm64|x86_64)-tcg .*$", shown("narrow").sent.replace("\r", ""), re.MULTILINE)
    assert [line for line in drawn if "asking" in line]
    assert max(len(line) for line in drawn if "asking" in line) < 24


@pytest.mark.parametrize("name", ["dumb", "uncaptured"])
def test_a_terminal_that_is_only_written_to(shown, name):
    """Without a cursor that moves, or with output of tests in between: a line for each target that is finished."""
    found = shown(name)
    assert "\x1b[J" not in found.sent
    assert "  arm64-tcg: 4 judged: 4 PASS" in found.sent
    assert not DOTS.search(found.sent.replace("\r", ""))


def test_verbose(shown):
    """pytest prints a line for each test, and the end has the matrix of all claims."""
    found = shown("verbose")
    assert "\x1b[J" not in found.sent
    assert re.search(r"test_arm64\[arm64-tcg-psci.off\] PASSED", found.sent)
    assert "claims one by one" in found.sent
    assert re.search(r"^arm64\.psci\.off +PASS", found.sent.replace("\r", ""), re.MULTILINE)


def test_quiet(shown):
    """The lines are redrawn, and the end has no table."""
    assert ASKING in shown("quiet").sent
    assert "claims by target" not in shown("quiet").sent
    assert [line for line in shown("quiet").lines if line][-2].startswith("results: ")


def test_a_session_without_targets(shown):
    """It looks like any other of pytest."""
    assert DOTS.search(shown("other").sent.replace("\r", ""))
    assert "\x1b[J" not in shown("other").sent


def test_a_pipe(shown, runs):
    """A line for each target that is finished; with -q none."""
    assert "  arm64-tcg: 4 judged: 4 PASS" in runs["piped"].out
    assert "  x86_64-tcg: 4 judged: 4 PASS" in runs["piped"].out
    assert "\x1b" not in runs["piped"].out
    assert "judged" not in runs["piped-quiet"].out


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_ctrl_c(runs, workers):
    """Nothing of the lines is left, and the answer is there."""
    if workers:
        pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")
    name = f"interrupted{len(workers)}"
    begun = runs.folder / f"{name}.begun"
    plan = {"breaks": {"arm64.psci.reset2": "waits"}, "begun": str(begun)}
    found = Shown(runs, name, "--arch", "arm64", "-k", "test_arm64", *workers, **plan)
    found.process.expect(r"judging [12] of 4" if workers else r"asking 1 of 2")
    while not begun.exists():
        assert found.process.isalive()
    found.process.kill(signal.SIGINT)
    before = found.process.before + found.process.after
    terminal = Terminal()
    terminal.feed(before + found.sent)
    lines = "\n".join(terminal.lines)
    assert "claims by target" in lines
    assert "arm64-tcg  asking" not in lines
    assert "arm64-tcg  judging" not in lines


def test_several_processes(runs):
    """The first one shows how many tests of each target are done."""
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install 'sysevent[xdist]'")
    found = Shown(runs, "workers", *PASSING, "-n", "2")
    assert re.search(r"  arm64-tcg   (waiting|judging [1-3] of 4|4 judged: 4 PASS)\r\n", found.sent)
    assert "judged" not in "\n".join(found.lines)
    assert "2 targets asked: 8 PASS" in "\n".join(found.lines)


def test_a_debugger(runs):
    """With --pdb nothing is redrawn, and its prompt works."""
    found = Shown(runs, "pdb", *PASSING, "--pdb", breaks=BROKEN)
    found.process.expect_exact("(Pdb) ")
    assert "\x1b[J" not in found.process.before
    found.process.sendline("q")
    assert "claims by target" in found.sent


def test_a_breakpoint(runs):
    """The lines stay above the debugger's, and nothing is redrawn below them."""
    suite = runs.folder / "test_breakpoint.py"
    text = (runs.folder / "test_suite.py").read_text()
    stop = "    if claim.name.endswith('reset2'):\n        breakpoint()\n    check(claim)"
    suite.write_text(text.replace("    check(claim)", stop, 1))
    found = Shown(runs, "breakpoint", str(suite), "--arch", "arm64", "-k", "test_arm64")
    found.process.expect_exact("(Pdb) ")
    assert "  arm64-tcg  asking 1 of 2" in found.process.before
    found.process.sendline("c")
    assert "\x1b[J" not in found.sent
    assert "  arm64-tcg: 4 judged: 4 PASS" in found.sent
    suite.unlink()
