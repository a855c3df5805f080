"""Checks whether lab machines could be asked: logs in, reads their traits, changes nothing."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from pathlib import Path

import paramiko

from sysevent.errors import InfrastructureError
from sysevent.hosts.ssh import remote
from sysevent.hosts.ssh.connect import Connection
from sysevent.hosts.ssh.route import route
from sysevent.hosts.traits import check_kvm_access, check_traits
from sysevent.targets.spec import TargetSpec

_WORKERS = 16


def obstacles(specs: Sequence[TargetSpec]) -> dict[str, str]:
    """Target id -> obstacle(), checked in parallel. Takes little longer than the longest `connect` of up to 16."""
    with concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip((spec.id for spec in specs), pool.map(obstacle, specs), strict=True))


def obstacle(spec: TargetSpec) -> str:
    """Why a run would not ask a machine, in one line, as the run would say it; "" when it would.

    Checks its host key, the login, its architecture, `expect`, and access to /dev/kvm. Does not retry.
    """
    try:
        connection = Connection(spec.id, route(spec, Path.home()), spec.connect)
        try:
            connection.open()
            traits = remote.read_traits(connection.transport)
        finally:
            connection.close()
        check_traits(spec, traits)
        check_kvm_access(spec, traits["kvm"], traits.get("user", "?"))
    except (InfrastructureError, OSError, EOFError, paramiko.SSHException) as error:
        message = str(error) or repr(error)
        return message.removeprefix(f"{spec.id}: ").splitlines()[0]
    return ""
