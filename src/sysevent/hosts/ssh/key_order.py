"""The order in which a machine is asked for its kinds of host keys: that of ssh (OpenSSH, order_hostkeyalgs())."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sysevent.hosts.ssh.certificates import SUFFIX


def as_ssh(
    able: Collection[str], configured: Sequence[str], types: Collection[str], *, has_authority: bool
) -> tuple[str, ...]:
    """Return algorithms of host keys, the preferred one first.

    A certificate is asked for before the key in it, also where no authority is known: RevokedHostKeys and
    KnownHostsCommand count for all that the machine has to show.

    able: those that this program can check. configured: HostKeyAlgorithms; empty: the usual ones. types: of the keys
    that are known of the machine. has_authority: whether an authority of its certificates is. ValueError if nothing
    is both able and configured.
    """
    # ssh's own order has certificates first.
    names = [
        name for name in configured or sorted(able, key=lambda name: not _certified(name)) if name in able
    ]
    if not names:
        raise ValueError(f"HostKeyAlgorithms {','.join(configured)} has none of {', '.join(able)}")
    if _type(names[0]) in types:
        return tuple(names)
    return tuple(
        sorted(names, key=lambda name: not (_type(name) in types or (has_authority and _certified(name))))
    )


def _certified(algorithm: str) -> bool:
    return algorithm.endswith(SUFFIX)


def _type(algorithm: str) -> str:
    """Return the type, as in known_hosts, of the key that an algorithm is for, or a certificate of it."""
    name = algorithm.removesuffix(SUFFIX)
    return "ssh-rsa" if name.startswith("rsa-") else name
