"""What is not well on the screen: each cause once, in full for one of its claims."""

import pytest
from sample_records import verdict

from sysevent.plugin.failures import shown, wrapped
from sysevent.report.grouping import causes

ARM = ["--arch", "arm64", "-k", "test_arm64 or hides or checks_another"]
BREAKS = {"arm64.psci.reset": "type", "arm64.psci.reset2_64": "type", "arm64.psci.reset2": "GuestLost"}


@pytest.fixture(scope="module")
def out(runs):
    """out(name): what one of these runs prints up to the matrix."""
    runs.start("plain", *ARM, breaks=BREAKS)
    runs.start("lost", *ARM, facts={"arm64-tcg": "NoKvm"})
    runs.start("quiet", *ARM, "--tb=no", breaks=BREAKS)
    return lambda name: runs[name].out


def test_a_cause_is_told_once(out):
    """With the members named below the bytes, and the others by their names."""
    told = out("plain").partition("what is not well, by cause")[2]
    assert told.count("kvm_run at 'exit'") == 1
    assert "  kvm.system_event.arm64.psci.reset: PSCI SYSTEM_RESET exits as RESET" in told
    assert " 32  07 00 00 00 01 00 00 00" in told
    assert "     ^^ ^^ ^^ ^^  type\n" in told
    assert "  rests on Documentation/virt/kvm/api.rst" in told
    assert "  1 other: arm64.psci.reset2_64\n" in told


def test_pytest_does_not_tell_it_again(out):
    """Neither in sections of its own, nor in its short summary; it counts all the same."""
    told = out("plain")
    assert "= FAILURES =" not in told
    assert "= ERRORS =" not in told
    assert "FAILED " not in told
    assert "ERROR test_suite" not in told
    assert "2 failed, 2 passed" in told.splitlines()[-1]
    assert "1 error, 1 missed" in told.splitlines()[-1]


@pytest.mark.parametrize("name", ["plain", "lost"])
def test_each_cause_has_its_command(out, name):
    """MISS and ERROR as well as FAIL."""
    told, _, _ = out(name).partition("what is not well, by cause")[2].partition("claims by target")
    causes_told = [line for line in told.splitlines() if line.startswith(("FAIL ", "ERROR ", "MISS "))]
    assert len(causes_told) == {"plain": 3, "lost": 2}[name]
    assert told.count("\n  again /") == len(causes_told)


def test_a_lost_target_is_told_once(out):
    told, _, _ = out("lost").partition("what is not well, by cause")[2].partition("claims by target")
    assert "MISS 5 claims on arm64-tcg: NoKvm with its reason\n  and a console\n  again /" in told
    assert "4 others: " in told


def test_without_tracebacks_only_the_end_tells_it(out):
    assert "what is not well" not in out("quiet")
    assert "FAIL 2 claims on arm64-tcg: type: got 7" in out("quiet")


def text(count):
    return "\n".join(["why", *(f"  line {n}" for n in range(count)), "  logs  /l", "  again /a"])


@pytest.mark.parametrize(("most", "lines"), [(None, 12), (12, 12), (6, 7)])
def test_a_long_text_is_cut(most, lines):
    """Its logs and its command stay."""
    (cause,) = causes([verdict("a.b", "t", "MISS")])
    found = shown(cause, text(10), most)
    assert len(found) == lines
    assert found[0] == "line 0"
    assert found[-2:] == ["logs  /l", "again /a"]


@pytest.mark.parametrize("width", [80, 200, None])
def test_lines_fit_a_terminal(width):
    """Words stay whole, what is to be pasted is not broken, and a pipe gets whole lines."""
    line = "  rests on " + "word " * 60
    found = wrapped(line.rstrip(), width)
    assert all(len(one) <= (width or 1000) for one in found)
    assert " ".join(" ".join(found).split()) == " ".join(line.split())
    assert all(one.startswith("      word") for one in found[1:])
    assert wrapped(f"  again {line}", width) == [f"  again {line}"]
