"""The order of programs and guests, and what becomes of them when a guest is lost."""

import pytest

from sysevent.decode.program import Ended
from sysevent.errors import GuestLost, HarnessError, WrongKernel
from sysevent.model import Status
from sysevent.peers import drive, outcome
from sysevent.peers.drive import Case

CASES = [Case("selftests", name, (f"/peers/{name}",)) for name in ("a", "b", "c")]


class Guests:
    """Makes guests whose programs end as `ends` says: by name and number of the guest an exit code, or an error."""

    def __init__(self, ends):
        self.ends = ends
        self.made, self.closed, self.ran = 0, 0, []

    def __call__(self):
        self.made += 1
        return _Guest(self, self.made)


class _Guest:
    def __init__(self, guests, number):
        self.guests, self.number = guests, number

    def run(self, case, seconds):
        self.guests.ran.append((self.number, case.name, seconds))
        end = self.guests.ends.get((case.name, self.number), 0)
        if isinstance(end, BaseException):
            raise end
        return end if isinstance(end, Ended) else Ended(0, b"", status=end << 8)

    def close(self):
        self.guests.closed += 1


def run(guests, cases=CASES, **more):
    return {
        found.case.name: (found.outcome.status, found.confirmed) for found in drive.run(cases, guests, **more)
    }


def test_one_guest_for_all():
    guests = Guests({("b", 1): 4})
    assert run(guests) == {"a": (Status.PASS, 0), "b": (Status.SKIP, 0), "c": (Status.PASS, 0)}
    assert (guests.made, guests.closed) == (1, 1)


def test_a_failure_is_looked_at_in_a_second_guest():
    """The failed ones alone, after all others."""
    guests = Guests({("a", 1): 254, ("a", 2): 254, ("c", 1): 1})
    assert run(guests) == {"b": (Status.PASS, 0), "a": (Status.FAIL, 2), "c": (Status.MISS, 0)}
    assert [(number, name) for number, name, _ in guests.ran] == [
        (1, "a"),
        (1, "b"),
        (1, "c"),
        (2, "a"),
        (2, "c"),
    ]
    assert (guests.made, guests.closed) == (2, 2)


@pytest.mark.parametrize("error", [GuestLost("it died"), WrongKernel("another one"), HarnessError("refused")])
def test_a_lost_guest(error):
    """It costs the program that ran, and no other one."""
    guests = Guests({("b", 1): error})
    assert run(guests) == {"a": (Status.PASS, 0), "b": (Status.MISS, 0), "c": (Status.PASS, 0)}
    assert guests.closed == 1


def test_a_second_guest_that_is_lost():
    guests = Guests({("a", 1): 1, ("a", 2): GuestLost("it died")})
    assert run(guests)["a"] == (Status.MISS, 0)
    assert guests.closed == 2


def test_the_deadline_is_that_of_each_program():
    guests = Guests({})
    run(guests, seconds=7.0)
    assert {seconds for _, _, seconds in guests.ran} == {7.0}


def test_a_budget_that_is_used_up():
    """What is left is not started, and has no result."""
    guests = Guests({})
    assert {status for status, _ in run(guests, budget=0.0).values()} == {Status.MISS}
    assert guests.ran == []


def test_what_is_known_is_not_run():
    known = Case(
        "selftests", "old", ("/peers/old",), outcome=outcome.Outcome(Status.SKIP, "not in this source")
    )
    guests = Guests({})
    assert run(guests, [known, *CASES])["old"] == (Status.SKIP, 0)
    assert all(name != "old" for _, name, _ in guests.ran)


def test_an_interruption_closes_the_guest():
    guests = Guests({("b", 1): KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run(guests)
    assert guests.closed == 1
