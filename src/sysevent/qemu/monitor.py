"""QMP: what QEMU itself says of its machine, most of all why it stopped."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from qemu.qmp import EventListener, QMPClient, QMPError

from sysevent.errors import GuestLost

_DEADLINE = 30  # seconds for any command; a stopped QEMU must not stop us
T = TypeVar("T")


class Monitor:
    """A QMP connection over a socket that QEMU inherited, in a thread of its own, used from ours."""

    def __init__(self, connection: socket.socket) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []  # in the order they came
        self._client = QMPClient("sysevent")
        self._client.logger.setLevel(logging.CRITICAL)  # what it would log, it also raises
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qmp", daemon=True)
        self._thread.start()
        self._ready = asyncio.run_coroutine_threadsafe(self._connect(connection), self._loop)

    async def _connect(self, connection: socket.socket) -> None:
        listener = EventListener()
        self._client.register_listener(listener)
        await self._client.connect(connection)
        self._listening = asyncio.create_task(self._listen(listener))

    async def _listen(self, listener: EventListener) -> None:
        async for event in listener:
            data = event.get("data")
            self.events.append((str(event["event"]), data if isinstance(data, dict) else {}))

    def execute(self, command: str, **arguments: Any) -> Any:
        """What a QMP command returns; GuestLost when QEMU refuses it or is not there any more."""
        try:
            self._ready.result(_DEADLINE)
            return self._run(self._client.execute(command, arguments or None))
        except (QMPError, EOFError, OSError, TimeoutError) as error:
            raise GuestLost(f"QEMU did not carry out {command}: {error!r}") from error

    def stop_reason(self) -> str:
        """Why the machine stopped, in QEMU's words ("guest-reset", "guest-shutdown"); empty when it did not say."""
        for name, data in reversed(self.events):
            if name == "SHUTDOWN":
                return str(data.get("reason", ""))
        return ""

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_DEADLINE)

    def close(self) -> None:
        """Disconnect and end the thread; never raises, since QEMU may be long gone."""
        # Not cancelled: qemu.qmp asserts its own state when a connection under way is. QEMU has ended, or is
        # about to answer. disconnect() raises EOFError after QEMU has quit: it reports how the connection ended.
        with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError, asyncio.CancelledError):
            self._ready.result(_DEADLINE)
            self._run(self._client.disconnect())
        self._run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE)
        self._loop.close()


async def _cancel_all() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
