"""What a kernel gives that follows the model, for the tests of single rules."""

from sysevent.conformance.judge import judge
from sysevent.conformance.play import Sequence
from sysevent.conformance.simulation import observation
from sysevent.explore.validity import valid


def given(contract, made, actions):
    """Return what a kernel gives that follows the model, and with which the model agrees."""
    sequence = Sequence(contract.arch, made, actions)
    assert valid(contract, sequence)
    seen = observation(contract, sequence)
    assert judge(contract, sequence, seen).disagreement is None
    return seen


def blocked(contract, made, actions):
    """Return which KVM_RUNs a signal has ended."""
    return [raw.kicked for raw in given(contract, made, actions).exits.values()]


def errors(contract, made, actions):
    """Return the error number of each ioctl."""
    return [answer.errno for answer in given(contract, made, actions).answers.values()]
