"""The line between processes and a server, which can fail: a TCP proxy that passes, swallows or cuts.

pass      bytes go through
swallow   nothing goes through and nobody is told, as with a dead switch; connections stay open
cut       connections are reset, new ones too
"""

import asyncio
import contextlib
from typing import Literal, Self

Mode = Literal["pass", "swallow", "cut"]


class Line:
    """A line to 127.0.0.1:`target`. Everybody connects to `port` instead."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._mode: Mode = "pass"
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reset()
        if self._server is not None:
            self._server.close()

    def set(self, mode: Mode) -> None:
        """Change what the line does, for open connections too."""
        self._mode = mode
        (self._open.clear if mode == "swallow" else self._open.set)()
        if mode == "cut":
            self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._mode == "cut":
            self._reset()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(back)
        await asyncio.gather(self._pipe(reader, back), self._pipe(there, writer), return_exceptions=True)
        self._writers -= {writer, back}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
