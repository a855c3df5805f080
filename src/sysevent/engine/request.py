"""One scenario on its way to a guest, and its answer."""

from __future__ import annotations

import msgspec

from sysevent.arches import Abi
from sysevent.build.programs import Payload
from sysevent.engine.question import Key
from sysevent.errors import BadWire, NoKvm, SyseventError
from sysevent.model import Observation
from sysevent.scenario.request import decode
from sysevent.scenario.steps import Scenario
from sysevent.wire import Reply


class Request(msgspec.Struct, eq=False):
    """One scenario to be run once; question.py lists its states."""

    scenario: Scenario
    abi: Abi
    # None: its answer is not remembered.
    key: Key | None = None
    recorded: bool = False
    payloads: dict[str, Payload] = {}
    sent: float = 0.0
    # None also while an answer waits for a control.
    answer: Observation | SyseventError | None = None
    # Duration: from when it was sent, or the host was free for it, to its answer.
    seconds: float = 0.0


def decoded(request: Request, reply: Reply | BadWire, why_no_kvm: str = "") -> Observation | SyseventError:
    """The answer to a request: what decode() of scenario/request.py gives, its errors included.

    why_no_kvm: the reason if its KVM refused to run, from the guest; "" if it is not known.
    """
    if isinstance(reply, BadWire):
        return reply
    try:
        return decode(request.scenario, request.payloads, request.abi.name, reply)
    except NoKvm as error:
        # Instead of what it could be.
        return NoKvm(f"{str(error).partition(': ')[0]}: {why_no_kvm}") if why_no_kvm else error
    except SyseventError as error:
        return error
