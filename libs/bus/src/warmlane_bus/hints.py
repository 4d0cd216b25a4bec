"""Hints: core NATS messages, told to whoever listens and forgotten.

They make things quicker (a cancel reaches the engine at its next step instead of at the next heartbeat), never right.
A listener that is too slow loses the oldest hints, not the newest.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from nats.aio.msg import Msg

from warmlane_bus.connection import Connection, NotSentError
from warmlane_bus.ports import Hint
from warmlane_bus.subject import checked, checked_pattern

log = structlog.get_logger(__name__)

_KEPT = 1000


async def send_hint(connection: Connection, subject: str, data: bytes) -> None:
    """Tell; without a connection it is lost, which is what a hint may be."""
    try:
        await connection.send(checked(subject), data)
    except NotSentError:
        log.debug("bus.hint_lost", subject=subject)


@contextlib.asynccontextmanager
async def listen_hints(connection: Connection, subject: str) -> AsyncIterator[AsyncIterator[Hint]]:
    """Give an endless iterator over the hints that arrive inside the block. It hears all that is sent after entry."""
    arrived: asyncio.Queue[Hint] = asyncio.Queue(_KEPT)

    async def keep(message: Msg) -> None:
        if arrived.full():
            arrived.get_nowait()
        arrived.put_nowait(Hint(message.subject, message.data))

    subscription = await connection.client.subscribe(checked_pattern(subject), cb=keep)
    with contextlib.suppress(Exception):  # away: the reconnect subscribes
        await connection.client.flush(timeout=2)
    try:
        yield _endless(arrived)
    finally:
        with contextlib.suppress(Exception):  # closed, or away: then there is nothing left to end
            await subscription.unsubscribe()


async def _endless(arrived: asyncio.Queue[Hint]) -> AsyncIterator[Hint]:
    while True:
        yield await arrived.get()
