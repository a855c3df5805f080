"""What a VMM on kvm-ioctls printed: its last exit, and a panic of the library."""

import pytest
import vmm_runs as runs

from sysevent.decode.vcpu_exits import last_exit
from sysevent.errors import BadWire, GuestLost
from sysevent.model import Observation

OUT = b'{"exit": "io_out", "address": 1026, "data": [109]}\n'
RESET = b'{"exit": "system_event", "type": 2, "data": [4096]}\n'
OLD = b"thread 'main' panicked at 'range end index 17 out of range', src/vcpu.rs:1\nnote: run with\n"
NEW = b"\nthread 'main' panicked at src/vcpu.rs:1:2:\nrange end index 17 out of range\nnote: run with\n"


def seen(*args, **kwargs):
    name = "x86_64.vmm.kvm_ioctls.test"
    return Observation(name, "x86_64", "x86_64", {}, {"run": runs.answer(*args, **kwargs)}, {})


def test_a_system_event():
    found = last_exit(seen(OUT + RESET))
    assert (found.exit, found.type, found.data, found.panic) == ("system_event", 2, (4096,), "")
    assert str(found.outcome().events[0]) == "system_event 2 [0x1000]"


def test_another_exit():
    found = last_exit(seen(b'{"exit": "shutdown"}\n'))
    assert (found.exit, found.type, found.data) == ("shutdown", None, ())


@pytest.mark.parametrize(
    ("text", "words"), [(OLD, "'range end index 17"), (NEW, "range end index 17 out of range")]
)
def test_a_panic(text, words):
    """The message of the library; the exit before it is not that of the event."""
    found = last_exit(seen(OUT, text, status=101 << 8))
    assert (found.exit, found.type) == ("none", None)
    assert words in found.panic
    assert found.outcome().happened.startswith("panic ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (seen(b"", b"no KVM\n", status=0x100), "did not run its guest: exit code 1: no KVM"),
        (seen(b"", OLD, status=101 << 8), "did not run its guest: exit code 101"),
        (seen(OUT, flags=runs.ENDED | runs.KILLED), "still ran after"),
    ],
)
def test_a_vmm_that_does_not_run(answer, words):
    with pytest.raises(GuestLost, match=words):
        last_exit(answer)


@pytest.mark.parametrize(
    "line", [b"x", b'{"exit": 5}', b'{"exit": "a", "data": ["b"]}', b"{" * 9000, b"\xff"]
)
def test_hostile_lines(line):
    with pytest.raises(BadWire):
        last_exit(seen(OUT + line))
