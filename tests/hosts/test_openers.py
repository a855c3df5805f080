"""Each kind of host has an opener."""

from sysevent.hosts.openers import OPENERS
from sysevent.targets.kinds import KINDS


def test_openers_are_those_of_the_table():
    assert OPENERS.keys() == KINDS.keys()
