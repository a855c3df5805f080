"""Programs that the supervisor starts: how they end, what they printed, and that none is left. Needs no KVM."""

import os
import time

import pytest
from processes import has_ended, pids, stat

from sysevent import wire
from sysevent.arches import ARCHITECTURES
from sysevent.decode.program import read_program
from sysevent.scenario.request import decode, encode
from sysevent.scenario.steps import Program, Scenario

# Seconds: less than any deadline in these tests that is not meant to be reached.
SOON = 5
SHELL = "/bin/sh"


@pytest.fixture
def vmm(program, serve):
    return serve(program.path, program.path)


def scenario(*steps):
    return Scenario("x86_64.programs", ARCHITECTURES["x86_64"].name, steps)


def ask(vmm, *steps):
    """The results of these steps, in order."""
    asked = scenario(*steps)
    body, _ = encode(asked, {})
    reply = vmm.reply(vmm.request(body, wire.SUPERVISOR))
    return [read_program(answer) for answer in decode(asked, {}, "x86_64", reply).answers.values()]


def shell(text, label="a", **options):
    return Program((SHELL, "-c", text), label, **options)


def test_streams_and_status(vmm):
    """The three streams, apart from each other, and the exit code."""
    (seen,) = ask(vmm, shell("echo out; echo err >&2; echo side >&3; exit 7"))
    assert (seen.output, seen.errors, seen.side) == (b"out\n", b"err\n", b"side\n")
    assert (seen.exit_code, str(seen), seen.killed, seen.cut) == (7, "exit code 7", False, False)


def test_one_stream_for_both(vmm):
    """In the order in which they were written."""
    (seen,) = ask(vmm, shell("echo 1; echo 2 >&2; echo 3", merged=True))
    assert (seen.output, seen.errors) == (b"1\n2\n3\n", b"")


def test_what_a_program_is_given(vmm):
    """Its arguments, exactly the variables that are named, and its input, which ends."""
    given = Program(
        (SHELL, "-c", 'printf "%s|" "$0" "$A" "$HOME"; cat', "zero"), "a", 5000, ("A=b c",), b"in"
    )
    (seen,) = ask(vmm, given)
    assert seen.output == b"zero|b c||in"


def test_a_signal(vmm):
    (seen,) = ask(vmm, shell("kill -ABRT $$"))
    assert (seen.exit_code, str(seen)) == (-6, "SIGABRT")


def test_a_program_has_default_signals(vmm):
    """The supervisor blocks SIGPIPE; its programs do not inherit that."""
    (seen,) = ask(vmm, shell("kill -PIPE $$; exit 1"))
    assert str(seen) == "SIGPIPE"


@pytest.mark.parametrize(("path", "word"), [("/not-here", "ENOENT"), ("/dev/null", "EACCES")])
def test_a_program_that_cannot_be_started(vmm, path, word):
    """The error is the answer, and the next program runs."""
    failed, seen = ask(vmm, Program((path,), "a"), shell("exit 0", "b"))
    assert word in str(failed)
    assert failed.exit_code is None
    assert seen.exit_code == 0


def test_the_deadline(vmm):
    """The whole group is killed, also a child that ignores other signals; what was printed before is kept."""
    begin = time.monotonic()
    (seen,) = ask(vmm, shell("trap '' TERM HUP; sleep 61 & echo $!; wait", milliseconds=400))
    assert seen.killed
    assert seen.exit_code is None
    assert "still ran after 0." in str(seen)
    assert has_ended(int(seen.output))
    assert 0.4 <= time.monotonic() - begin < SOON


def test_a_program_leaves_nothing_behind(vmm):
    """When it ends by itself, what it left in its group is killed."""
    (seen,) = ask(vmm, shell("sleep 62 & echo $!"))
    assert seen.exit_code == 0
    assert has_ended(int(seen.output))


def test_a_process_that_left_the_group_does_not_delay_for_long(vmm):
    """It holds the pipes open; the answer comes without it."""
    begin = time.monotonic()
    (seen,) = ask(vmm, shell("setsid sleep 3 & echo done"))
    assert (seen.exit_code, seen.output) == (0, b"done\n")
    assert time.monotonic() - begin < 2.5


def test_a_flood(vmm):
    """The beginning is kept, the rest is read and dropped, so that the program goes on."""
    (seen,) = ask(vmm, shell("head -c 1000000 /dev/zero; exit 3"))
    assert seen.cut
    assert seen.output == bytes(wire.PROGRAM_OUTPUT_MAX)
    assert seen.exit_code == 3


def test_an_endless_flood_ends_at_the_deadline(vmm):
    begin = time.monotonic()
    (seen,) = ask(vmm, shell("yes & yes >&2", milliseconds=300))
    assert seen.killed
    assert seen.cut
    assert time.monotonic() - begin < SOON


def test_two_steps(vmm):
    """The first ends at a text, the program goes on, and the second gives it input and follows it to its end."""
    steps = (
        shell("echo ready; read line; echo got $line; exit 4", open=True, until=b"ready"),
        Program((), "b", 5000, input=b"word\n"),
    )
    first, second = ask(vmm, *steps)
    assert first.found
    assert first.status is None
    assert str(first) == "runs"
    assert (second.output, second.exit_code) == (b"got word\n", 4)


def test_the_second_step_may_come_with_another_request(vmm):
    """A program that waits does not keep the supervisor from answering."""
    ask(vmm, shell("echo ready; read line; echo $line", open=True, until=b"ready"))
    vmm.give_key()
    (seen,) = ask(vmm, Program((), "b", 5000, input=b"later\n"))
    assert seen.output == b"later\n"


def test_a_text_in_any_stream(vmm):
    for number in (1, 2, 3):
        ask_for = shell(f"printf 'a.b.EN' >&{number}; printf D. >&{number}; sleep 65", until=b"END")
        (seen,) = ask(vmm, ask_for)
        assert seen.found
        assert b"a.b.END." in seen.output + seen.errors + seen.side + b"."


def test_a_program_that_outlives_its_step(vmm):
    """The step ends when its time is over; the program goes on, and the next step sees its end."""
    first, second = ask(
        vmm,
        shell("echo a; read line; echo $line", open=True, until=b"never", milliseconds=200, leave=True),
        Program((), "b", 5000, input=b"b\n"),
    )
    assert (first.found, first.status, first.output) == (False, None, b"a\n")
    assert (second.output, second.exit_code) == (b"b\n", 0)


def test_nothing_to_continue(vmm):
    (seen,) = ask(vmm, Program((), "a"))
    assert "ECHILD" in str(seen)


def test_a_new_program_ends_the_one_that_runs(vmm):
    (first,) = ask(vmm, shell("echo $$; read line", open=True, until=b"\n"))
    ask(vmm, shell("exit 0"))
    assert has_ended(int(first.output))


def test_more_input_than_a_pipe_holds_is_refused(vmm):
    """Written to a program that reads nothing, it would block the supervisor."""
    part = b"x" * wire.PROGRAM_INPUT_MAX
    steps = [
        shell("echo ready; sleep 63", input=part, open=True, until=b"ready"),
        Program((), "b", input=b"y"),
    ]
    first, second = ask(vmm, *steps)
    assert first.found
    assert "EINVAL" in str(second)


@pytest.mark.parametrize("how", ["close", "kill"])
def test_the_end_of_the_harness_ends_the_program(vmm, how):
    """The end of the channel, and the death of the supervisor."""
    body, _ = encode(scenario(shell("exec sleep 64", milliseconds=60_000)), {})
    vmm.request(body, wire.SUPERVISOR)
    own = str(vmm.process.pid)
    end = time.monotonic() + SOON
    while not (children := [pid for pid in pids() if stat(pid)[1:2] == [own]]) and time.monotonic() < end:
        time.sleep(0.01)
    (child,) = children
    if how == "close":
        vmm.process.stdin.close()
    else:
        os.kill(vmm.process.pid, 9)
    assert has_ended(child, SOON)


@pytest.mark.parametrize("how", ["bye", "close"])
def test_the_end_of_the_harness_between_two_steps(vmm, how):
    ask_first = ask(vmm, shell("echo $$; read line", open=True, until=b"\n"))
    if how == "bye":
        vmm.send(vmm.pack(wire.Frame(wire.Kind.BYE, 0, 0, b"")))
        assert vmm.process.wait(SOON) == 0
    else:
        vmm.process.stdin.close()
    assert has_ended(int(ask_first[0].output), 10)


@pytest.mark.parametrize(
    "step",
    [
        wire.pack_step(wire.Op.SLEEP, bytes(4), required=False),
        wire.pack_step(wire.Op.PROGRAM, bytes(10), required=False),
        wire.pack_step(wire.Op.PROGRAM, bytes(16) + b"\xff\0\0\0" + bytes(4), required=False),
        wire.pack_step(wire.Op.PROGRAM, bytes(8) + b"\xff\xff\xff\xff" + bytes(12), required=False),
        wire.pack_step(wire.Op.PROGRAM, bytes(16) + b"\1\0\0\0" + bytes(4) + b"/no/end", required=False),
        wire.pack_step(wire.Op.PROGRAM, bytes(24) + b"left over", required=False),
        b"\x11\0\0\0\xff\xff\xff\xff",
    ],
    ids=["other_step", "short", "many_arguments", "long_text", "no_end", "left_over", "long_step"],
)
def test_malformed_requests(vmm, step):
    """They are refused, and the next program runs."""
    reply = vmm.reply(vmm.request(wire.pack_request(100, [step]), wire.SUPERVISOR))
    assert reply.state is wire.State.BAD
    assert ask(vmm, shell("exit 0"))[0].exit_code == 0
