"""A sequence with which a kernel disagrees is looked at again, in a second guest."""

import msgspec
import pytest
from conformance.model_kernels import FACTS

from sysevent.conformance.contract import Configuration
from sysevent.conformance.contracts import CONTRACTS
from sysevent.conformance.machine import Action
from sysevent.conformance.play import Sequence
from sysevent.conformance.simulation import observation
from sysevent.explore.shrinking import Looking

CONTRACT = CONTRACTS["arm64"](FACTS["arm64"])
SEQUENCE = Sequence("arm64", Configuration(1), (Action("call", 0, (0x8400_0009,)),))
RIGHT = observation(CONTRACT, SEQUENCE)
((LABEL, EXIT),) = RIGHT.exits.items()
LATE = msgspec.structs.replace(
    RIGHT, exits={LABEL: msgspec.structs.replace(EXIT, ret=-1, errno=4, kicked=True)}
)
HEAD = EXIT.head[:40] + b"\x05" + EXIT.head[41:]
WRONG = msgspec.structs.replace(RIGHT, exits={LABEL: msgspec.structs.replace(EXIT, head=HEAD)})


class Kernel:
    """Gives these observations, one after the other."""

    def __init__(self, seen):
        self._seen = iter(seen)

    def forget(self, asked):
        """Nothing is remembered."""

    def observe(self, asked):
        return next(self._seen)


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        ([WRONG], WRONG),
        # vCPUs that run at the same time do not always meet.
        ([RIGHT, RIGHT, WRONG], WRONG),
        ([RIGHT] * 3, None),
        # A busy machine is late now and then, a kernel that never returns every time.
        ([LATE, RIGHT, LATE], None),
        ([LATE] * 3, LATE),
        ([LATE, WRONG], WRONG),
    ],
)
def test_what_confirms(seen, found):
    wrong, last = Looking(CONTRACT, Kernel(seen))._look(SEQUENCE)
    assert (wrong is None) is (found is None)
    assert found in (None, last)
