"""Whether lab machines could be asked: logged in to, looked at, and left as they were."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from pathlib import Path

import paramiko

from sysevent.errors import InfrastructureError
from sysevent.hosts import identity
from sysevent.hosts.ssh import remote
from sysevent.hosts.ssh.connect import Connection
from sysevent.hosts.ssh.route import route
from sysevent.targets.spec import TargetSpec

_AT_ONCE = 16


def all_at_once(specs: Sequence[TargetSpec]) -> dict[str, str]:
    """By id: why each cannot be asked, "" for those that can. Ends soon after the longest `connect`."""
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip((spec.id for spec in specs), pool.map(unusable, specs), strict=True))


def unusable(spec: TargetSpec) -> str:
    """Why a run would refuse a machine, in the words of the run; "" when nothing speaks against it.

    Its host key, our login, its architecture, what `expect` wants and /dev/kvm. Tried once.
    """
    try:
        connection = Connection(spec.id, route(spec, Path.home()), spec.connect)
        try:
            connection.open()
            traits = remote.look(connection.transport)
        finally:
            connection.close()
        identity.check(spec, traits)
        identity.check_kvm(spec, traits["kvm"], traits.get("user", "?"))
    except (InfrastructureError, OSError, EOFError, paramiko.SSHException) as error:
        told = str(error) or repr(error)
        return told.removeprefix(f"{spec.id}: ").splitlines()[0]
    return ""
