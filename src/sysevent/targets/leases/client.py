"""labgrid-client, as a program: each call a process with a deadline, its text read as it is printed.

Never the library: gRPC's threads and fork race, and whoever has no lab does not want its thirty dependencies.
"""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sysevent.errors import NotLeased, ToolMissing
from sysevent.text import printable

INSTALL = "pip install 'sysevent[labgrid]', or labgrid itself, in a venv on PATH"
_CALL = 30  # seconds for a call that takes half of one; a loaded machine is ten times slower


class Place(msgspec.Struct, frozen=True):
    """A place as `labgrid-client -v places` and `show` print it."""

    name: str
    tags: Mapping[str, str]
    acquired: str  # HOST/USER; "" when nobody has it
    reservation: str  # its token; "" without


class Service(msgspec.Struct, frozen=True):
    """What a place's NetworkService says: where to connect."""

    address: str
    port: int
    user: str
    proxy: str  # to go through, when the exporter demands that


class Client:
    """labgrid-client for one coordinator, in the name of one user."""

    def __init__(self, coordinator: str, user: str = "") -> None:
        self.coordinator = coordinator or os.environ.get("LG_COORDINATOR", "") or "127.0.0.1:20408"
        self.host = os.environ.get("LG_HOSTNAME") or socket.gethostname()
        self.user = user
        self._program = program()

    @property
    def owner(self) -> str:
        """As the coordinator names us."""
        return f"{self.host}/{self.user}"

    def start(self, *words: str, errors: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        """A call under way; whoever starts it sees to its end. It dies with us, whatever ends us."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("LG_")}
        env |= {"LG_COORDINATOR": self.coordinator, "LG_HOSTNAME": self.host, "PYTHONUNBUFFERED": "1"}
        if self.user:
            env["LG_USERNAME"] = self.user
        setpriv = shutil.which("setpriv")
        return subprocess.Popen(
            [*([setpriv, "--pdeathsig=KILL", "--"] if setpriv else []), self._program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            errors="replace",
            env=env,
            start_new_session=True,  # Ctrl-C is for us: a place is given back in order
        )

    def call(self, *words: str, seconds: float = _CALL) -> str:
        """What a call prints; NotLeased when it fails or does not end."""
        return self.finish(self.start(*words), words, seconds)

    def finish(self, process: subprocess.Popen[str], words: tuple[str, ...], seconds: float = _CALL) -> str:
        """Wait for a call under way."""
        line = f"labgrid-client {' '.join(words)}"
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            end(process)
            raise NotLeased(
                f"`{line}` did not end within {seconds:.0f} s; is the coordinator at {self.coordinator} well?"
            ) from None
        except BaseException:
            end(process)
            raise
        if process.returncode != 0:
            last = (said.strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            raise NotLeased(f"`{line}` of the coordinator at {self.coordinator}: {printable(last)}")
        return said

    def places(self) -> list[Place]:
        """All there are."""
        return places(self.call("-v", "places"))

    def show(self, place: str) -> tuple[Place, Service | None]:
        """One place, and where to connect when it is ours."""
        said = self.call("-p", place, "show")
        found = [row for row in places(said) if row.name == place]
        if not found:
            raise NotLeased(f"labgrid has no place {place!r} any more, at {self.coordinator}")
        return found[0], service(said)

    def reservations(self) -> dict[str, str]:
        """Tokens, each with its owner."""
        return reservations(self.call("reservations"))


def program() -> str:
    """Where labgrid-client is; ToolMissing with the line that installs it."""
    beside = Path(sys.executable).with_name("labgrid-client")
    found = shutil.which("labgrid-client") or (str(beside) if os.access(beside, os.X_OK) else None)
    if found is None:
        raise ToolMissing(f"labgrid-client is not installed: {INSTALL}")
    return found


def end(process: subprocess.Popen[str]) -> None:
    """Gone when this returns."""
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    if process.stdout:
        process.stdout.close()


def places(said: str) -> list[Place]:
    """The places in what `-v places` or `show` printed."""
    found = []
    for block in re.split(r"^(?=Place ')", said, flags=re.MULTILINE):
        name = re.match(r"Place '(.*)':$", block, flags=re.MULTILINE)
        if name is None:
            continue
        tags = dict(pair.partition("=")[::2] for pair in _line(block, "tags").split(", ") if pair)
        acquired = _line(block, "acquired")
        found.append(
            Place(name[1], tags, "" if acquired == "None" else acquired, _line(block, "reservation"))
        )
    return found


def service(said: str) -> Service | None:
    """The NetworkService of an acquired place, from what `show` printed; None when it has none to reach."""
    blocks = re.split(r"^(?=\S)", said, flags=re.MULTILINE)
    for block in blocks:
        head, _, body = block.partition("\n")
        if not re.match(r"Acquired resource '.*' \(.*/NetworkService/.*\):$", head):
            continue
        try:
            entry = ast.literal_eval(body.strip())
            given = entry["params"]
            extra = given.get("extra") or {}
            return Service(
                address=str(given["address"]),
                port=int(given.get("port") or 0),
                user=str(given.get("username") or ""),
                proxy=str(extra.get("proxy") or "") if extra.get("proxy_required") else "",
            )
        except (ValueError, SyntaxError, KeyError, TypeError, AttributeError) as error:
            raise NotLeased(
                f"labgrid's NetworkService cannot be read: {error!r} in {body.strip()!r}"
            ) from error
    return None


def reservations(said: str) -> dict[str, str]:
    """Tokens, each with its owner, in what `reservations` printed."""
    return {
        token[1]: _line(block, "owner")
        for block in re.split(r"^(?=Reservation ')", said, flags=re.MULTILINE)
        if (token := re.match(r"Reservation '(\w+)':$", block, flags=re.MULTILINE))
    }


def _line(block: str, key: str) -> str:
    """The value of a line at the first level of a block; "" when there is none."""
    found = re.search(rf"^  {key}: (.*)$", block, flags=re.MULTILINE)
    return found[1].strip() if found else ""
