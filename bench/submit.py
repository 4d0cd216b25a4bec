"""How fast `POST /generate` accepts durably: rate and latency at 1, 16 and 64 clients, beside the same server in memory.

Lanes are left out, so that what is measured is acceptance: check, PostgreSQL commit, answer, and the JetStream publish
that follows it. All of it, and the load generator, share the machine.
"""

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from load import Load, post, run
from report import Figure, quantile
from stack import running_stack

BODY = json.dumps({"model": "phr00t", "prompt": "a paper boat on a rainy street", "seed": 7}).encode()
SECONDS = 8.0
PEER = "same server in memory"


def main() -> int:
    """Measure and keep the figures; 1 when anything was refused."""
    with running_stack("--without", "lane-anisora", "--without", "lane-phr00t") as stack, memory_peer() as peer:
        # Submitting alone is measured, so there are no lanes; requests shall queue all the same, not look for a reserve.
        stack.decide("phr00t", "dedicated")
        mine = {"X-API-Key": stack.api_key}
        refused = 0
        for clients in (1, 16, 64):
            ours = asyncio.run(measured(stack.host, stack.port, mine, clients))
            theirs = asyncio.run(measured("127.0.0.1", peer, {}, clients))
            keep(clients, ours, theirs)
            refused += sum(ours.refused.values())
    return 1 if refused else 0


async def measured(host: str, port: int, headers: dict[str, str], clients: int) -> Load:
    """Warm up for a second, then measure."""
    request = post(host, port, "/generate", BODY, headers)
    await run(host, port, request, clients=clients, seconds=1.0)
    return await run(host, port, request, clients=clients, seconds=SECONDS)


def keep(clients: int, ours: Load, theirs: Load) -> None:
    """Keep rate, p50 and p99 of a run."""
    n = len(ours.latencies)
    Figure(f"submit_rate_{clients}", ours.rate, "1/s", n, PEER, theirs.rate).keep()
    for name, q in (("p50", 0.5), ("p99", 0.99)):
        mine, other = quantile(ours.latencies, q) * 1e3, quantile(theirs.latencies, q) * 1e3
        Figure(f"submit_{name}_{clients}", mine, "ms", n, PEER, other).keep()
    if ours.refused:
        print(f"refused: {ours.refused}", flush=True)


@contextmanager
def memory_peer() -> Iterator[int]:
    """Run the peer and yield its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "bench/memory_peer.py", str(port)])
    try:
        transport = httpx.HTTPTransport(retries=8)
        with httpx.Client(transport=transport) as client:
            client.get(f"http://127.0.0.1:{port}/openapi.json").raise_for_status()
        yield port
    finally:
        process.terminate()
        process.wait(10)


if __name__ == "__main__":
    sys.exit(main())
