"""Free loopback ports.

Taken below the range from which the kernel serves outgoing connections (32768 and up on Linux), so that a port that
was free when it was chosen is not lent to somebody's client socket before the server listens on it.
"""

import random
import socket
import sys

FIRST, LAST = 20000, 32000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(count: int) -> list[int]:
    """Return `count` different ports nobody listens on now. Raises OSError when the range is used up."""
    chosen: list[int] = []
    for port in random.sample(range(FIRST, LAST), LAST - FIRST):
        if is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    message = f"no {count} free ports between {FIRST} and {LAST}"
    raise OSError(message)


def claim(port: int) -> socket.socket | None:
    """Keep other stacks of this machine from choosing the port before its server listens. None when one of them has it.

    The claim is a name in the kernel (an abstract Unix socket), not a file: it ends with the socket or the process.
    """
    name = socket.socket(socket.AF_UNIX)
    if sys.platform != "linux":
        return name
    try:
        name.bind(f"\0warmlane-port-{port}")
    except OSError:
        name.close()
        return None
    return name
