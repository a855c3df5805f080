"""A target over SSH with retries, when connections break."""

import importlib.util
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import msgspec
import pytest

from sysevent import settings, wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.build.programs import Program
from sysevent.engine.asker import Asker
from sysevent.engine.listeners import Listeners
from sysevent.errors import GuestLost, HostUnreachable
from sysevent.hosts import waiting
from sysevent.hosts.running_kernel import RunningKernelOpener
from sysevent.hosts.ssh.host import SshHost
from sysevent.scenario.control import Control
from sysevent.scenario.steps import Scenario, Sleep


@pytest.fixture
def asked(lab, closing):
    """asked(server): its Asker."""
    own = msgspec.structs.replace(settings.from_environment(), cache=lab.path / "cache")

    def make(server, **changes):
        lab.knows(server)
        lab.incidents, lab.seen = [], []
        spec = lab.spec(server, **changes)
        opener = RunningKernelOpener(
            spec, own, "ssh.log", SshHost, lambda *_: Program(lab.vmm, "build", lab.vmm.read_bytes())
        )
        listeners = Listeners(
            lab.messages.append, lab.incidents.append, lambda _, seen: lab.seen.append(seen.scenario)
        )
        # The stand-in for the VMM can only sleep.
        control = Control(sleep(spec.arch, 0), lambda _: "")
        return closing(Asker(spec, opener, own, lab.path / "logs", listeners, control=control))

    return make


def sleep(arch, milliseconds):
    """A scenario named for the milliseconds that it sleeps."""
    return Scenario(f"{arch}.{milliseconds}", arch, (Sleep(milliseconds),))


def cut_when_it_hangs(server, lab, also=lambda: None):
    """A started thread that cuts the connections once a scenario hangs."""

    def wait():
        while not lab.mark.exists():
            time.sleep(0.02)
        also()
        server.cut()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_cut_in_the_middle(sshd, lab, asked):
    """The target is connected and asked once more; no observation is lost, and nothing stays on the machine."""
    server = sshd("one")
    found = asked(server)
    scenarios = [sleep(found.spec.arch, ms) for ms in (1, 2, 5000, 3)]
    thread = cut_when_it_hangs(server, lab)
    for scenario in scenarios:
        assert found.observe(scenario).scenario == scenario.name
    thread.join()
    assert lab.seen == [scenario.name for scenario in scenarios]
    (incident,) = lab.incidents
    assert incident.retried
    assert "the connection to 127.0.0.1 broke" in incident.reason
    assert incident.log == str(lab.path / "logs" / "ssh.log")
    found.close()
    assert lab.left() == []


def test_cut_for_good(sshd, lab, asked, monkeypatch):
    """Later scenarios fail at once, with the reason; earlier observations are kept."""
    monkeypatch.setattr("sysevent.hosts.ssh.connect._WAIT", 0.01)
    server = sshd("one")
    found = asked(server)
    arch = found.spec.arch

    def down():
        server.process.kill()
        server.process.wait(10)

    # The connections outlive the listener, so list them before it ends.
    found.observe(sleep(arch, 1))
    below = server.below()
    monkeypatch.setattr(server, "below", lambda: below)
    thread = cut_when_it_hangs(server, lab, down)
    begin = time.monotonic()
    for ms in (5000, 2, 3):
        with pytest.raises((GuestLost, HostUnreachable), match="127"):
            found.observe(sleep(arch, ms))
    thread.join()
    assert time.monotonic() - begin < 30
    assert found.observe(sleep(arch, 1))
    assert lab.seen == [f"{arch}.1"]
    found.close()
    assert lab.gone(20)


def test_two_machines_at_once(sshd, lab, asked):
    """Each machine has its own connection and directory."""
    one, two = sshd("one"), sshd("two")
    first, second = asked(one), asked(two)
    lab.knows(one, two)
    for found in (first, second):
        assert found.observe(sleep(found.spec.arch, 1))
    assert len(lab.left()) == 2
    first.close()
    assert len(lab.left()) == 1
    second.close()
    assert lab.left() == []


def alive(pid):
    """Whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_cut_while_a_worker_hangs(sshd, lab, closing):
    """The machine itself ends the real supervisor and a worker that only SIGKILL ends."""
    arch = next((arch for arch in ARCHITECTURES.values() if arch.name == lab.spec(None).arch), None)
    if arch is None or not importlib.util.find_spec("ziglang"):
        pytest.skip("the VMM cannot be compiled: that needs the ziglang wheel and a supported architecture")
    own = msgspec.structs.replace(settings.from_environment(), cache=lab.path / "cache")
    worker = lab.path / "worker"
    worker.write_text(
        f'#!/bin/sh\ntrap "" TERM HUP INT PIPE\necho $$ >{lab.mark}\nwhile :; do sleep 60; done\n'
    )
    worker.chmod(0o755)
    server = sshd("one")
    lab.knows(server)
    native = arch.abis[0]
    vmms = ((native.number, programs.vmm(arch, native, own).content), (9, worker.read_bytes()))
    host = closing(SshHost(lab.spec(server), vmms, lab.path / "logs", lab.messages.append))
    host.start()
    assert waiting.hello(host).build_id
    number = host.send(wire.pack_request(3_600_000, []), 9)
    wait_until(lambda: lab.mark.exists() and lab.mark.read_text().strip())
    pids = [int(lab.mark.read_text()), int((next(lab.there.iterdir()) / "pid").read_text())]
    assert all(map(alive, pids))
    server.cut()
    with pytest.raises(GuestLost, match="broke"):
        waiting.reply(host, number, 60)
    wait_until(lambda: not any(map(alive, pids)))
    assert lab.gone()


def test_harness_is_killed(sshd, lab):
    """After SIGKILL of the harness the machine itself cleans up."""
    server = sshd("one")
    lab.knows(server)
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from sysevent.hosts import waiting
        from sysevent.hosts.ssh import remote
        from sysevent.hosts.ssh.host import SshHost
        from sysevent.targets.spec import TargetSpec
        remote._TRAITS = remote._TRAITS.replace("/dev/kvm", {str(lab.kvm)!r})
        spec = TargetSpec(**{msgspec.structs.asdict(lab.spec(server))!r})
        host = SshHost(spec, ((1, Path({str(lab.vmm)!r}).read_bytes()),), Path({str(lab.path)!r}), print)
        host.start()
        waiting.hello(host)
        print("ready", flush=True)
        time.sleep(3600)
    """)
    ours = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        assert ours.stdout.readline() == "ready\n"
        assert lab.left() != []
    finally:
        ours.kill()
        ours.wait(20)
        ours.stdout.close()
    assert lab.gone()
