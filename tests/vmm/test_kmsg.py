"""The kernel's log around a request. A terminal stands in for /dev/kmsg: each read returns one line."""

import contextlib
import errno
import os
import termios

import pytest
from processes import open_terminal
from vmm_sources import changed

from sysevent import wire

CUT, END = "------------[ cut here ]------------", "---[ end trace 0000000000000000 ]---"


class Kernel:
    """What the VMM takes for its kernel: a log and taint bits."""

    def __init__(self, folder, master):
        self._folder, self._master = folder, master

    def log(self, *messages, level=4, facility=0):
        """Log these messages."""
        for number, message in enumerate(messages):
            record = f"{facility << 3 | level},{number},123456,-;{message}\n"
            assert os.write(self._master, record.encode()) == len(record)

    def taint(self, bits):
        (self._folder / "tainted").write_text(f"{bits}\n")


@pytest.fixture
def kernel(logging):
    """A kernel that has logged nothing yet and is not tainted."""
    folder = logging[1]
    master, slave = open_terminal()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    (folder / "kmsg").symlink_to(os.ttyname(slave))
    found = Kernel(folder, master)
    found.taint(0)
    yield found
    for name in ("kmsg", "tainted"):
        (folder / name).unlink(missing_ok=True)
    for end in (master, slave):
        with contextlib.suppress(OSError):
            os.close(end)


@pytest.fixture(scope="session")
def tight(logging, own_cache, tmp_path_factory):
    """The same VMM with space for few messages, since a terminal takes few."""
    changes = {
        r'"/dev/kvm"': '"/dev/null"',
        r'"/dev/kmsg"': f'"{logging[1]}/kmsg"',
        r"#define BEFORE_MAX 4096\b": "#define BEFORE_MAX 512",
    }
    return changed(own_cache, tmp_path_factory.mktemp("tight"), changes)


@pytest.fixture
def vmm(logging, kernel, serve):
    return serve(logging[0], logging[0])


def during(vmm, steps, folder, *actions):
    """The log of a request, during which these are called: between two pipes that it opens."""
    gates = [folder / name for name in ("begun", "end")]
    for gate in gates:
        os.mkfifo(gate)
    number = vmm.request(wire.pack_request(5000, [steps.open(gate, os.O_WRONLY) for gate in gates]))
    for gate, calls in zip(gates, (actions, ()), strict=True):
        # Waits until the worker opens it as well.
        os.close(os.open(gate, os.O_RDONLY))
        for action in calls:
            action()
    return vmm.reply(number).log


def before(vmm, steps):
    """Ask a request, so that what was logged before is read."""
    return vmm.ask(steps.sleep(0)).log


def test_nothing_logged(vmm, steps):
    log = before(vmm, steps)
    assert (log.before, log.lines, log.lost, log.cut, log.taint, log.log_errno) == (
        (),
        (),
        False,
        False,
        (0, 0),
        0,
    )


def test_a_warning_belongs_to_its_request(vmm, steps, kernel, tmp_path):
    """It is in that reply, in no other one, and so are the new taint bits."""
    before(vmm, steps)
    log = during(vmm, steps, tmp_path, lambda: kernel.log(CUT, "WARNING: one"), lambda: kernel.taint(512))
    assert (log.lines, log.taint) == ((CUT, "WARNING: one"), (0, 512))
    log = before(vmm, steps)
    assert (log.before, log.lines, log.taint) == ((), (), (512, 512))


def test_messages_between_two_requests(vmm, steps, kernel, tmp_path):
    """They are separate from those of the request."""
    before(vmm, steps)
    kernel.log("early")
    log = during(vmm, steps, tmp_path, lambda: kernel.log("late"))
    assert (log.before, log.lines) == (("early",), ("late",))


@pytest.mark.parametrize(("level", "kept"), [(0, True), (3, True), (4, True), (5, False), (7, False)])
def test_levels(vmm, steps, kernel, level, kept):
    """Warnings and above are kept."""
    kernel.log("message", level=level)
    assert before(vmm, steps).before == (("message",) if kept else ())


def test_all_of_a_block(vmm, steps, kernel):
    """From "cut here" to "end trace" the level does not matter; after it, it does again."""
    kernel.log("info", level=6)
    kernel.log(CUT, level=4)
    kernel.log("Call Trace:", " <TASK>", level=6)
    kernel.log(END, level=4)
    kernel.log("more info", level=6)
    assert before(vmm, steps).before == (CUT, "Call Trace:", " <TASK>", END)


def test_a_block_without_an_end(vmm, steps, kernel):
    """It does not make every later message a warning."""
    kernel.log(CUT)
    for _ in range(8):
        # No more than a terminal takes at a time.
        kernel.log(*["info"] * 50, level=6)
        before(vmm, steps)
    kernel.log("info", level=6)
    assert before(vmm, steps).before == ()


def test_messages_of_programs(vmm, steps, kernel):
    """What a program writes to /dev/kmsg is not the kernel's, whatever it says: it has another facility."""
    kernel.log(CUT, "BUG: forged", level=0, facility=1)
    kernel.log(END, level=0, facility=3)
    assert before(vmm, steps).before == ()


def test_messages_that_do_not_fit(tight, kernel, serve, steps, tmp_path):
    """The reply says that some are missing, and those of the request itself have a share of their own."""
    vmm = serve(tight, tight)
    before(vmm, steps)
    kernel.log(*["early" * 20] * 10)
    log = during(vmm, steps, tmp_path, lambda: kernel.log("late"))
    assert log.cut
    assert 0 < len(log.before) < 10
    assert log.lines == ("late",)
    assert not before(vmm, steps).cut


def test_without_a_log(logging, serve, steps):
    """Without /dev/kmsg (CONFIG_PRINTK=n) and /proc the reply says so."""
    vmm = serve(logging[0], logging[0])
    log = before(vmm, steps)
    assert (log.log_errno, log.taint, log.lines) == (errno.ENOENT, None, ())


def test_hostile_records(vmm, steps, kernel):
    """Records without a header, or with an endless number, are no reason to stop."""
    kernel.log("one")
    for record in (b"\n", b";\n", b"4\n", b"4;\n", b"9" * 300 + b";x\n", b"4,1,1,-;a;b\n", b"\xff\xfe\n"):
        os.write(kernel._master, record)
    kernel.log("two")
    assert {"one", "two", "a;b"} <= set(before(vmm, steps).before)
