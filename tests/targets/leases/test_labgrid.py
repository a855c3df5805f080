"""Leases of the places of a real labgrid: coordinator and exporter on loopback."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import msgspec
import pytest

from sysevent import settings
from sysevent.errors import LeaseLost, NotLeased
from sysevent.targets.leases import labgrid
from sysevent.targets.leases.lease import Leases
from sysevent.targets.leases.watch import Watch
from sysevent.targets.spec import TargetSpec

ANY = TargetSpec(
    name="any", arch="x86_64", where="labgrid", kernel="", tags={"arch": "x86_64", "kvm": "yes"}, lease=30
)

# A run that takes a place and keeps it.
TAKES = """
import msgspec, sys, time
from pathlib import Path
from sysevent import settings
from sysevent.targets.leases.lease import Leases
from sysevent.targets.spec import TargetSpec
address, folder = sys.argv[1:]
spec = TargetSpec(name="killed", arch="x86_64", where="labgrid", tags={"row": "one"}, coordinator=address)
lease = Leases(msgspec.structs.replace(settings.from_environment(), locks=Path(folder))).take(spec, lambda _: None)
print("taken", lease.spec.port, flush=True)
time.sleep(120)
"""


def one_of(lab, **changes):
    return msgspec.structs.replace(ANY, coordinator=lab.address, **changes)


@pytest.fixture
def leases(tmp_path):
    return Leases(msgspec.structs.replace(settings.from_environment(), locks=tmp_path))


@pytest.fixture(autouse=True)
def everything_is_released(lab, tmp_path):
    """After each test no place is acquired, and there is no reservation and no note."""
    yield
    assert set(lab.owners().values()) == {""}
    assert lab.reservations() == {}
    assert list(tmp_path.glob("labgrid-*")) == []


def quiet(_):
    """Ignore progress."""


def test_two_workers_get_different_places(lab, leases):
    with leases.take(one_of(lab), quiet) as first, leases.take(one_of(lab), quiet) as second:
        assert {(lease.spec.address, lease.spec.port, lease.spec.user) for lease in (first, second)} == {
            ("127.0.0.1", 2301, "root"),
            ("127.0.0.2", 2302, "tester"),
        }
        assert {lease.spec.where for lease in (first, second)} == {"ssh"}
        assert {lease.spec.id for lease in (first, second)} == {"any"}
        owners = lab.owners()
        assert owners["one"] != owners["two"]
        assert all(f"-sysevent-{os.getpid()}-" in owners[name] for name in ("one", "two"))
        for lease in (first, second):
            lease.check()
            assert lease.waited == 0
        assert {place: owner for place, owner in lab.owners().items() if owner} == {
            name: owners[name] for name in ("one", "two")
        }


def test_a_second_user_waits_for_the_release(lab, leases):
    lines, got = [], []
    spec = one_of(lab, tags={"row": "one"})
    first = leases.take(spec, quiet)
    waiter = threading.Thread(target=lambda: got.append(leases.take(spec, lines.append)))
    waiter.start()
    time.sleep(5)
    assert not got
    assert any("waiting for labgrid: one is held by " in line for line in lines), lines
    begin = time.monotonic()
    first.release()
    waiter.join(30)
    seconds = time.monotonic() - begin
    (second,) = got
    second.check()
    assert second.spec.port == 2301
    assert second.waited > 4
    second.release()
    # 3 on an idle machine; without cancel-reservation it would be 60.
    assert seconds < 12


def test_waiting_ends_after_the_lease_timeout(lab, leases):
    spec = one_of(lab, tags={"row": "one"}, lease=3)
    with leases.take(spec, quiet):
        begin = time.monotonic()
        with pytest.raises(
            NotLeased, match=r"labgrid gave no place with row=one within 3 s: one is held by .*-sysevent-"
        ):
            leases.take(spec, quiet)
        assert time.monotonic() - begin < 20
        assert len(lab.reservations()) == 1


def test_a_place_by_name(lab, leases):
    with leases.take(one_of(lab, tags={}, place="two"), quiet) as lease:
        assert lease.spec.address == "127.0.0.2"


def test_the_target_file_wins_over_the_lab(lab, leases):
    spec = one_of(lab, place="two", user="me", port=22)
    with leases.take(spec, quiet) as lease:
        assert (lease.spec.user, lease.spec.port) == ("me", 22)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"tags": {"arch": "s390x"}},
            r"no place of labgrid at 127.* has arch=s390x: there are .*one \(arch=x86_64",
        ),
        ({"tags": {}, "place": "three"}, r"has name=three"),
        ({"tags": {"arch": "riscv64"}}, r"place bare has no NetworkService"),
    ],
    ids=str,
)
def test_places_that_the_lab_does_not_have(lab, leases, changes, words):
    """The error comes at once, whereas labgrid-client would wait without end."""
    with pytest.raises(NotLeased, match=words):
        leases.take(one_of(lab, **changes), quiet)


def test_the_place_of_a_killed_run_is_released_by_the_next(lab, leases, tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", TAKES, lab.address, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout.readline() == "taken 2301\n"
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    run.stdout.close()
    assert f"-sysevent-{run.pid}-" in lab.owners()["one"]
    lines = []
    with leases.take(one_of(lab, tags={"row": "one"}, lease=5), lines.append) as lease:
        assert lease.spec.port == 2301
    assert any("released one, which a killed run had acquired" in line for line in lines)


def test_the_place_of_a_living_run_is_not_released(lab, leases, tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", TAKES, lab.address, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert run.stdout.readline() == "taken 2301\n"
        with leases.take(one_of(lab), quiet) as lease:
            assert lease.spec.port == 2302
        assert f"-sysevent-{run.pid}-" in lab.owners()["one"]
    finally:
        run.kill()
        run.wait(10)
        run.stdout.close()
    leases.take(one_of(lab), quiet).release()


def lost(lease):
    """Return the message of LeaseLost; the event may take a moment to arrive."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            lease.check()
        except LeaseLost as error:
            with contextlib.suppress(NotLeased), pytest.raises(LeaseLost):
                lease.check()
            return str(error)
        time.sleep(0.1)
    raise AssertionError("the loss was not noticed")


def test_a_place_taken_away_is_noticed(lab, leases):
    lease = leases.take(one_of(lab, tags={"row": "one"}), quiet)
    begin = time.monotonic()
    for _ in range(1000):
        lease.check()
    # check() starts no process while the monitor is silent.
    assert time.monotonic() - begin < 2
    lab.call("-p", "one", "release", "--kick")
    assert "labgrid's place one was taken from this run" in lost(lease)
    lease.release()


def test_a_place_taken_away_before_the_monitor_is_connected(lab, leases, monkeypatch):
    """The monitor does not print that event, and its silence is not relied on."""

    class Slow(Watch):
        def has_news(self):
            return False

    monkeypatch.setattr(labgrid, "Watch", Slow)
    lease = leases.take(one_of(lab, tags={"row": "one"}), quiet)
    lab.call("-p", "one", "release", "--kick")
    assert "labgrid's place one was taken from this run" in lost(lease)
    lease.release()


def test_a_restarted_coordinator_has_forgotten_the_lease(lab, leases):
    """The lease is lost even before the restart: the owner is unknown."""
    lease = leases.take(one_of(lab, tags={"row": "one"}), quiet)
    lab.stop()
    assert "owner of labgrid's place one is unknown" in lost(lease)
    lease.release()
    lab.start()
    leases.take(one_of(lab), quiet).release()
