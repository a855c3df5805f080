"""This machine as a host: the VMM is a child process, and close() ends it with all its descendants."""

import importlib.util
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import pytest

from sysevent import settings, wire
from sysevent.arches import ARCHITECTURES
from sysevent.build import programs
from sysevent.errors import GuestLost, NoKvm, WrongHost
from sysevent.hosts import local, waiting
from sysevent.hosts.local import LocalHost
from sysevent.targets.spec import TargetSpec

SOON = 10
ARCH = next((arch for arch in ARCHITECTURES.values() if arch.uname_machine == os.uname().machine), None)
pytestmark = pytest.mark.skipif(ARCH is None, reason=f"there is no VMM for {os.uname().machine}")


def spec(**changes):
    return TargetSpec(**{"name": "here", "arch": ARCH.name, "where": "local", "boot": 10} | changes)


def request(*milliseconds, deadline=1000):
    steps = [wire.pack_step(wire.Op.SLEEP, struct.pack("<I", ms), required=True) for ms in milliseconds]
    return wire.pack_request(deadline, steps)


@pytest.fixture
def host(tmp_path, monkeypatch, fake_vmm, closing):
    """host(script): a LocalHost whose VMM is a shell script or the fake VMM; options are keys of the target."""
    kvm = tmp_path / "kvm"
    kvm.touch()
    monkeypatch.setattr(local, "KVM", kvm)

    def make(script="", vmms=(), progress=print, **options):
        path, _ = fake_vmm
        if script:
            path = tmp_path / "script"
            path.write_text(f"#!/bin/sh\n{textwrap.dedent(script)}\n")
            path.chmod(0o755)
        given = tuple((number, path.read_bytes()) for number, path in vmms or ((1, path),))
        return closing(LocalHost(spec(**options), given, tmp_path / "logs", progress))

    return make


def alive(pid):
    """Whether a process runs and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_hello_and_replies(host):
    found = host()
    found.start()
    hello = waiting.hello(found)
    assert (hello.release, hello.machine) == (os.uname().release, os.uname().machine)
    assert found.traits["node"] == os.uname().nodename
    assert 0 < found.seconds_to_ready < SOON
    numbers = [found.send(request(*[1] * count), 1) for count in (1, 5, 3000)]
    assert [len(waiting.reply(found, number, SOON).results) for number in numbers] == [1, 5, 3000]
    pid = found.pid
    found.close()
    assert not Path(f"/proc/{pid}").exists()
    found.close()


def test_both_directions_full_at_once(host):
    """More data than the buffers hold in both directions does not deadlock."""
    found = host()
    found.start()
    waiting.hello(found)
    body = request(*[1] * 60000)
    numbers = [found.send(body, 1) for _ in range(6)]
    assert all(len(waiting.reply(found, number, 60).results) == 60000 for number in numbers)


def test_vmm_that_reads_nothing(host, monkeypatch):
    """A full socket costs a deadline."""
    monkeypatch.setattr(local, "_SEND", 0.3)
    found = host("sleep 3600")
    found.start()
    # More than any socket buffers.
    body = b"x" * wire.BODY_MAX
    begin = time.monotonic()
    with pytest.raises(GuestLost, match="the channel broke: the VMM took nothing"):
        found.send(body, 1)
    assert time.monotonic() - begin < SOON


@pytest.mark.parametrize(
    ("script", "words"),
    [
        # Which of the two is first depends on the machine.
        ("cat /dev/zero", ("here: silent: no answer within 1 s", "here: it has sent more than 64 MiB")),
        ("echo out of paper >&2; exit 3", "here: the VMM ended with exit code 3\n"),
        ("kill -SEGV $$", "here: the VMM was ended by SIGSEGV"),
        ("exec 0<&- 1>&-; sleep 3600", "here: silent: no answer within 1 s"),
    ],
)
def test_lost_vmm(host, script, words):
    """The message has the reason and the VMM's last lines."""
    found = host(script, boot=1)
    found.start()
    begin = time.monotonic()
    with pytest.raises(GuestLost) as caught:
        waiting.hello(found)
    assert time.monotonic() - begin < SOON
    assert str(caught.value).startswith(words)
    if "paper" in script:
        assert str(caught.value).endswith("out of paper")


def test_the_whole_group_ends(host, tmp_path):
    """A worker that ignores all signals but SIGKILL, like one whose KVM_RUN hangs, is ended."""
    found = host(
        f"""
        sh -c 'trap "" TERM HUP INT PIPE; echo $$ >{tmp_path}/worker; while :; do sleep 60; done' &
        exec sleep 3600
        """
    )
    found.start()
    end = time.monotonic() + SOON
    while not (tmp_path / "worker").exists() or not (tmp_path / "worker").read_text().strip():
        assert time.monotonic() < end
        time.sleep(0.02)
    worker = int((tmp_path / "worker").read_text())
    assert alive(worker)
    begin = time.monotonic()
    found.close()
    assert time.monotonic() - begin < SOON
    assert not alive(worker)
    # The function finds processes that do run.
    assert local._alive(os.getpgrp()) != []


def test_vmm_dies_with_the_harness(tmp_path, fake_vmm):
    """Also when SIGKILL ends the harness."""
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from sysevent.hosts import local, waiting
        from sysevent.targets.spec import TargetSpec
        local.KVM = Path({str(fake_vmm[0])!r})
        spec = TargetSpec(name="here", arch={ARCH.name!r}, where="local")
        host = local.LocalHost(spec, ((1, local.KVM.read_bytes()),), Path({str(tmp_path)!r}), print)
        host.start()
        waiting.hello(host)
        host.send({request(5000)!r}, 1)
        print(host.pid, flush=True)
        time.sleep(3600)
    """)
    ours = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(ours.stdout.readline())
        end = time.monotonic() + SOON
        while not fake_vmm[1].exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert alive(pid)
    finally:
        ours.send_signal(signal.SIGKILL)
        ours.wait(SOON)
        ours.stdout.close()
    end = time.monotonic() + SOON
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(pid)


def test_another_architecture(host):
    other = next(name for name in ARCHITECTURES if name != ARCH.name)
    with pytest.raises(WrongHost, match=f"this machine is {ARCH.uname_machine}"):
        host(arch=other).start()


def test_unexpected_traits(host):
    with pytest.raises(WrongHost, match=r"expect\.kernel = '2\.4\.\*'"):
        host(expect={"kernel": "2.4.*"}).start()


def test_no_kvm(host, monkeypatch, tmp_path):
    monkeypatch.setattr(local, "KVM", tmp_path / "none")
    with pytest.raises(NoKvm, match="there is no /dev/kvm"):
        host().start()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_no_permission(host):
    found = host()
    local.KVM.chmod(0)
    with pytest.raises(NoKvm, match=r"may not open /dev/kvm \(mode 0"):
        found.start()


@pytest.fixture(scope="module")
def vmm(tmp_path_factory):
    """A file with the real VMM."""
    if not importlib.util.find_spec("ziglang"):
        pytest.skip("the ziglang wheel is not installed, which compiles the VMM")
    cache = msgspec.structs.replace(settings.from_environment(), cache=tmp_path_factory.mktemp("cache"))
    # Without the permission to be executed: the host runs what it has read.
    return programs.vmm(ARCH, ARCH.abis[0], cache).path


def test_the_real_vmm(host, vmm):
    found = host(vmms=((ARCH.abis[0].number, vmm),))
    found.start()
    assert waiting.hello(found).release == os.uname().release
    step = wire.pack_step(wire.Op.FILE, struct.pack("<II", 0, 4096) + b"/proc/version", required=False)
    reply = waiting.reply(found, found.send(wire.pack_request(1000, [step]), ARCH.abis[0].number), SOON)
    assert reply.results[0].body == Path("/proc/version").read_bytes()


def test_hanging_scenario_costs_its_deadline(host, vmm, tmp_path):
    """The supervisor kills the worker and reports HUNG; later requests are answered."""
    worker = tmp_path / "worker"
    worker.write_text('#!/bin/sh\ntrap "" TERM HUP INT PIPE\nwhile :; do sleep 60; done\n')
    worker.chmod(0o755)
    native = ARCH.abis[0].number
    found = host(vmms=((native, vmm), (9, worker)))
    found.start()
    waiting.hello(found)
    step = wire.pack_step(wire.Op.FILE, struct.pack("<II", 0, 64) + b"/proc/version", required=False)
    begin = time.monotonic()
    numbers = [found.send(wire.pack_request(200, [step]), abi) for abi in (9, native, native)]
    states = [waiting.reply(found, number, 60).state for number in numbers]
    assert states == [wire.State.HUNG, wire.State.DONE, wire.State.DONE]
    # 0.2 s, and the 4 s that the supervisor adds.
    assert time.monotonic() - begin < SOON


def test_logs_that_cannot_be_created(host, tmp_path):
    """The VMM answers all the same, and one incident is noted."""
    (tmp_path / "logs").write_text("a file in the place of the directory")
    found = host()
    found.start()
    waiting.hello(found)
    assert found.incidents == [
        f"here: its logs are incomplete: {tmp_path}/logs cannot be created: File exists"
    ]
    os.kill(found.pid, signal.SIGKILL)
    # Already in send(), if the VMM has ended by then.
    with pytest.raises(GuestLost, match="the VMM was ended by SIGKILL"):
        waiting.reply(found, found.send(request(1), 1), SOON)
