"""uvicorn as a part of the process, under our signals."""

import asyncio
import contextlib
from collections.abc import Iterator

import structlog
import uvicorn
from starlette.types import ASGIApp
from warmlane_runtime.lifecycle import Part

log = structlog.get_logger(__name__)

_LINGER_S = 5


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the service."""
        yield


class HttpServer(Part):
    """Serves an application. Requests in flight are finished at a stop; long streams are cut after five seconds."""

    def __init__(self, app: ASGIApp, *, host: str, port: int) -> None:
        super().__init__()
        self._server = _Server(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=_LINGER_S,
                backlog=2048,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen; raise `OSError` when the port is taken."""
        self._serving = asyncio.create_task(self._serve(), name="http")
        while not self._server.started:
            if self._serving.done():
                await self._serving
                raise OSError(f"cannot listen on {self._server.config.host}:{self._server.config.port}")
            await asyncio.sleep(0.01)
        log.info("http.listening", host=self._server.config.host, port=self._server.config.port)

    async def drain(self) -> None:
        """Take no new connection and finish what is in flight."""
        self._server.should_exit = True
        if self._serving is not None:
            await asyncio.shield(self._serving)

    async def close(self) -> None:
        """Stop at once."""
        self._server.should_exit = self._server.force_exit = True
        if self._serving is not None:
            await asyncio.gather(self._serving, return_exceptions=True)

    async def _serve(self) -> None:
        # uvicorn leaves by SystemExit when it cannot listen; that must not take the loop with it.
        with contextlib.suppress(SystemExit):
            await self._server.serve()
