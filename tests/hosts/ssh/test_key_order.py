"""The order of host keys, as OpenSSH's order_hostkeyalgs() has it."""

import pytest

from sysevent.hosts.ssh.certificates import SUFFIX
from sysevent.hosts.ssh.key_order import as_ssh

PLAIN = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")
CERTIFIED = tuple(name + SUFFIX for name in PLAIN)
ED, EC, RSA = PLAIN
ED_CERT, EC_CERT, RSA_CERT = CERTIFIED


@pytest.mark.parametrize(
    ("configured", "types", "has_authority", "order"),
    [
        ((), [], False, (*CERTIFIED, *PLAIN)),
        ((), [], True, (*CERTIFIED, *PLAIN)),
        ((), ["ssh-ed25519"], False, (*CERTIFIED, *PLAIN)),
        ((), ["ssh-rsa"], False, (RSA_CERT, RSA, ED_CERT, EC_CERT, ED, EC)),
        ((), ["ssh-rsa"], True, (ED_CERT, EC_CERT, RSA_CERT, RSA, ED, EC)),
        ((), ["ssh-rsa", EC], False, (EC_CERT, RSA_CERT, EC, RSA, ED_CERT, ED)),
        ((ED, RSA, "of-the-future"), ["ssh-rsa"], False, (RSA, ED)),
        ((RSA, ED, ED_CERT), ["ssh-rsa", ED], True, (RSA, ED, ED_CERT)),
        ((EC, ED_CERT), [], True, (ED_CERT, EC)),
        # What a line of known_hosts has that is no key.
        ((), ["NONE", ED_CERT], False, (*CERTIFIED, *PLAIN)),
    ],
)
def test_order(configured, types, has_authority, order):
    """Known types first, unless the best one is known; certificates before the keys that are in them."""
    assert as_ssh((*PLAIN, *CERTIFIED), configured, types, has_authority=has_authority) == order


def test_nothing_in_common():
    """What is configured is said, and what could be."""
    with pytest.raises(ValueError, match="HostKeyAlgorithms x,y has none of ssh-ed25519"):
        as_ssh(PLAIN, ("x", "y"), [], has_authority=False)
