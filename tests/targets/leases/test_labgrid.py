"""Leases of a real labgrid's places: a coordinator and an exporter on loopback."""

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

# A run that takes a place and does not end by itself.
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
def nothing_is_left(lab, tmp_path):
    """No place taken, no reservation, no note: a run gives back all it had."""
    yield
    assert set(lab.owners().values()) == {""}
    assert lab.reservations() == {}
    assert list(tmp_path.glob("labgrid-*")) == []


def quiet(_):
    """Nobody waits."""


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


def test_a_second_user_waits_and_gets_it_after_release(lab, leases):
    said, got = [], []
    spec = one_of(lab, tags={"row": "one"})
    first = leases.take(spec, quiet)
    waiter = threading.Thread(target=lambda: got.append(leases.take(spec, said.append)))
    waiter.start()
    time.sleep(5)
    assert not got
    assert any("waiting for labgrid: one is with " in line for line in said), said
    begin = time.monotonic()
    first.release()
    waiter.join(30)
    seconds = time.monotonic() - begin
    (second,) = got
    second.check()
    assert second.spec.port == 2301
    assert second.waited > 4
    second.release()
    assert seconds < 12  # 3 on a quiet machine; without cancel-reservation it would be 60


def test_gives_up_waiting_and_leaves_nothing(lab, leases):
    spec = one_of(lab, tags={"row": "one"}, lease=3)
    with leases.take(spec, quiet):
        begin = time.monotonic()
        with pytest.raises(
            NotLeased, match=r"labgrid gave no place with row=one within 3 s: one is with .*-sysevent-"
        ):
            leases.take(spec, quiet)
        assert time.monotonic() - begin < 20
        assert len(lab.reservations()) == 1


def test_a_place_by_its_name(lab, leases):
    with leases.take(one_of(lab, tags={}, place="two"), quiet) as lease:
        assert lease.spec.address == "127.0.0.2"


def test_the_target_file_goes_before_the_lab(lab, leases):
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
def test_what_the_lab_does_not_have(lab, leases, changes, words):
    """At once: labgrid itself would wait for ever."""
    with pytest.raises(NotLeased, match=words):
        leases.take(one_of(lab, **changes), quiet)


def test_what_a_killed_run_has_left_is_released_by_the_next(lab, leases, tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", TAKES, lab.address, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout.readline() == "taken 2301\n"
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    run.stdout.close()
    assert f"-sysevent-{run.pid}-" in lab.owners()["one"]
    said = []
    with leases.take(one_of(lab, tags={"row": "one"}, lease=5), said.append) as lease:
        assert lease.spec.port == 2301
    assert any("one released, which a killed run had" in line for line in said)


def test_what_a_living_run_has_is_left_alone(lab, leases, tmp_path):
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
    """The words of LeaseLost, which may take the watch a moment to hear of."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            lease.check()
        except LeaseLost as error:
            with contextlib.suppress(NotLeased), pytest.raises(LeaseLost):
                lease.check()
            return str(error)
        time.sleep(0.1)
    raise AssertionError("nobody noticed")


def test_a_place_taken_away_is_noticed(lab, leases):
    lease = leases.take(one_of(lab, tags={"row": "one"}), quiet)
    begin = time.monotonic()
    for _ in range(1000):
        lease.check()
    assert time.monotonic() - begin < 2  # no process for each: the watch tells
    lab.call("-p", "one", "release", "--kick")
    assert "labgrid's place one was taken from this run" in lost(lease)
    lease.release()


def test_taken_away_before_the_watch_listens(lab, leases, monkeypatch):
    """A watch that is slow to start never tells of it, and its silence is not relied on."""

    class Slow(Watch):
        def stirred(self):
            return False

    monkeypatch.setattr(labgrid, "Watch", Slow)
    lease = leases.take(one_of(lab, tags={"row": "one"}), quiet)
    lab.call("-p", "one", "release", "--kick")
    assert "labgrid's place one was taken from this run" in lost(lease)
    lease.release()


def test_a_restarted_coordinator_has_forgotten_us(lab, leases):
    """Also while it is away: nobody can say whose the place is."""
    lease = leases.take(one_of(lab, tags={"row": "one"}), quiet)
    lab.stop()
    assert "nobody can say whose one is" in lost(lease)
    lease.release()
    lab.start()
    leases.take(one_of(lab), quiet).release()
