"""Every way in which a guest is lost: each has its own message, and none is a hang."""

import pytest
from qemu_guests import ANSWERING, PANIC, ask, lost

from sysevent import wire
from sysevent.hosts import waiting
from sysevent.qemu import launch
from sysevent.qemu.confinement import Confinement


@pytest.mark.parametrize("reason", ["guest-reset", "guest-panic", None])
def test_panic_while_booting(start, reason, tmp_path):
    """The message has the panic line and the end of the console, whatever reason QEMU gives for the stop."""
    guest = start(f"""
        console.sendall(b"[    0.1] nothing special\\r\\n{PANIC}[    1.3] CPU: 0\\r\\n")
        {f"stopped({reason!r})" if reason else ""}
    """)
    message = lost(guest, lambda: waiting.hello(guest))
    assert message.startswith("stub: panic: Kernel panic - not syncing: Attempted to kill init!\n")
    assert "the end of its console" in message
    assert "nothing special" in message
    assert message.endswith("[    1.3] CPU: 0")
    assert str(tmp_path / "logs" / "console.log") in message
    assert "Kernel panic" in (tmp_path / "logs" / "console.log").read_text()


def test_panic_while_qemu_runs_on(start):
    """The guest is lost at once, not at the deadline."""
    guest = start(f"""
        greet(channel)
        request(channel)
        console.sendall(b"{PANIC}")
        forever()
    """)
    waiting.hello(guest)
    assert "panic: Kernel panic" in lost(guest, lambda: ask(guest, seconds=60))


def test_an_oops_that_becomes_a_panic(start):
    """The message has the panic, which arrives after the oops."""
    guest = start(f"""
        console.sendall(b"[    1.1] Internal error: Oops: 96000004 [#1] SMP\\r\\n")
        time.sleep(0.02)
        console.sendall(b"{PANIC}")
        forever()
    """)
    assert "stub: panic: Kernel panic" in lost(guest, lambda: waiting.hello(guest))


def test_oops(start):
    guest = start("""
        console.sendall(b"[    1.1] Unable to handle kernel paging request at virtual address dead\\r\\n")
        forever()
    """)
    assert "stub: oops: Unable to handle kernel paging request" in lost(guest, lambda: waiting.hello(guest))


def test_silence(start):
    """A silent guest is lost at the target's deadline."""
    guest = start("console.sendall(b'[    0.0] Linux\\r\\n'); forever()", boot=1)
    message = lost(guest, lambda: waiting.hello(guest))
    assert message.startswith("stub: silent: no answer within 1 s\n")
    assert message.endswith("[    0.0] Linux")


def test_silence_after_hello(start):
    guest = start("greet(channel); forever()")
    waiting.hello(guest)
    assert lost(guest, lambda: ask(guest, seconds=0.3)).startswith("stub: silent: no answer within 0 s")


def test_waiting_uses_little_cpu_time(start, monkeypatch):
    """Waiting does not poll: QEMU needs the CPU."""
    guest = start("greet(channel); forever()")
    waiting.hello(guest)
    looks = []
    listen = guest.listen
    monkeypatch.setattr(guest, "listen", lambda: looks.append(1) or listen())
    lost(guest, lambda: ask(guest, seconds=0.5))
    assert len(looks) < 200


def test_patience_while_it_boots(start):
    """As long as the target says."""
    guest = start(ANSWERING, boot=30)
    assert (guest.activity, guest.hello_timeout) == ("booting debian:6.12", 30)


def test_patience_on_a_slow_machine(start, monkeypatch):
    """As many times longer as QEMU needs to start there: an emulated machine would boot nothing in time."""
    monkeypatch.setattr(launch, "confine", lambda _: Confinement(seconds=0.5))
    guest = start("forever()", boot=1)
    assert lost(guest, lambda: waiting.hello(guest)).startswith("stub: silent: no answer within 2 s")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "print('no such CPU', flush=True); sys.exit(1)",
            "QEMU ended with exit code 1; it said: no such CPU",
        ),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "QEMU was ended by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "QEMU was ended by SIGKILL"),
        ("sys.exit(0)", "QEMU ended with exit code 0"),
        ("stopped('guest-shutdown')", "the guest powered off"),
        ("stopped('guest-reset')", "the guest rebooted"),
        ("stopped('guest-reset'); forever()", "the guest rebooted"),
    ],
)
def test_how_qemu_ends(start, script, words):
    """The message has the reason, before HELLO and during a request; a late event of QEMU still counts."""
    booting = start(script, boot=0.3)
    assert lost(booting, lambda: waiting.hello(booting)).startswith(f"stub: {words}")
    asked = start(f"greet(channel); request(channel); {script}")
    waiting.hello(asked)
    assert lost(asked, lambda: ask(asked, seconds=0.3)).startswith(f"stub: {words}")


@pytest.mark.parametrize("_", range(4))
def test_event_right_before_qemu_ends(start, _):
    """The reason is read although QEMU ends right after the event. Four times, because it is a race."""
    guest = start("greet(channel); request(channel); stopped('guest-reset'); os._exit(0)")
    waiting.hello(guest)
    assert lost(guest, lambda: ask(guest)).startswith("stub: the guest rebooted")


def test_reply_right_before_the_end(start):
    """A reply that arrived before QEMU ended counts."""
    guest = start("greet(channel); channel.sendall(reply(request(channel)[2])); stopped('guest-shutdown')")
    waiting.hello(guest)
    assert ask(guest).state is wire.State.DONE
    assert lost(guest, lambda: ask(guest)).startswith("stub: the guest powered off")


def test_closed_channel(start):
    """A guest whose channel closes is lost, although QEMU runs on."""
    guest = start("greet(channel); channel.close(); forever()")
    waiting.hello(guest)
    assert lost(guest, lambda: ask(guest, seconds=0.3)).startswith("stub: ")
