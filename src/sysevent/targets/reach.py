"""Whether an SSH server answers where a target file says: TCP and its first line, no login.

The login, with keys and known hosts, is hosts/'s business.
"""

from __future__ import annotations

import concurrent.futures
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence

from sysevent.targets.spec import TargetSpec

_BANNER_MAX = 64 << 10  # bytes; a server may say things before its version (RFC 4253, 4.2)
_AT_ONCE = 16


def all_at_once(specs: Sequence[TargetSpec]) -> dict[str, str]:
    """By id: why each cannot be reached, "" for those that answer. Ends within the longest `connect`."""
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip((spec.id for spec in specs), pool.map(unreached, specs), strict=True))


def unreached(spec: TargetSpec) -> str:
    """Why no SSH server answers at the target's address within its `connect` seconds; "" when one does."""
    host, port, jump = _resolved(spec)
    if jump:
        return ""  # only a login there could tell
    where = f"{host} port {port}"
    deadline = time.monotonic() + spec.connect
    said = b""
    try:
        with socket.create_connection((host, port), timeout=spec.connect) as server:
            while not any(line.startswith(b"SSH-2.0-") for line in said.split(b"\n")[:-1]):
                left = deadline - time.monotonic()
                if left <= 0:
                    return f"{where} says nothing within {spec.connect} s"
                server.settimeout(left)
                data = server.recv(4096)
                said += data
                if not data or len(said) > _BANNER_MAX:
                    return f"what listens at {where} is no SSH server"
    except TimeoutError:
        return f"{where} does not answer within {spec.connect} s"
    except (OSError, UnicodeError) as error:
        return f"{where}: {getattr(error, 'strerror', None) or error}"
    return ""


def _resolved(spec: TargetSpec) -> tuple[str, int, bool]:
    """Address, port, and whether there is a jump host, as ~/.ssh/config has it (`ssh -G` knows its rules)."""
    host, port, jump = spec.address, str(spec.port or 22), bool(spec.jump)
    ssh = shutil.which("ssh")
    if ssh is not None:
        words = [ssh, "-G", *(["-p", str(spec.port)] if spec.port else []), "--", spec.address]
        try:
            said = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return host, int(port), jump
        told = dict(line.partition(" ")[::2] for line in said.stdout.splitlines())
        host, port = told.get("hostname", host), told.get("port", port)
        jump = jump or told.get("proxyjump", "none") != "none" or told.get("proxycommand", "none") != "none"
    return host, int(port), jump
