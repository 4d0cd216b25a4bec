"""How fast the store hashes, beside sha256sum and openssl on the same files in the same run.

    python bench/modelstore_verify.py [MIB]

One file: the goal is 80 % of the smaller of sha256 in memory and reading the file. Several shards: 75 % of cores times
one core's sha256. Warm files, so that the figure is the code's and not the disk's; the disk's own is printed beside.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import Figure
from warmlane_modelstore.record import Record, RecordedFile
from warmlane_modelstore.verifying import hash_file, verify

ROUNDS = 5
MIB = 1024 * 1024


def best(work: Callable[[], object], size: int, rounds: int = ROUNDS) -> float:
    """GB/s of the quickest of several runs: the others tell of neighbours."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return size / 1e9 / min(seconds)


def read_only(path: Path) -> None:
    buffer = bytearray(MIB)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def main() -> int:
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 256 * MIB
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shards = [root / f"s{n}.safetensors" for n in range(4)]
        block = os.urandom(16 * MIB)
        for shard in shards:
            with shard.open("wb") as file:
                for _ in range(size // len(block)):
                    file.write(block)
        one_file(shards[0], size, block)
        many(root, shards, size)
    return 0


def one_file(path: Path, size: int, block: bytes) -> None:
    ours = best(lambda: hash_file(path), size)
    memory = best(lambda: [hashlib.sha256(block).digest() for _ in range(size // len(block))], size)
    reading = best(lambda: read_only(path), size)
    limit = min(memory, reading)
    Figure("modelstore_verify_file", ours, "GB/s", ROUNDS, "min(sha256 in memory, reading the file)", limit).keep()
    for tool, command in (("sha256sum", ["sha256sum"]), ("openssl", ["openssl", "dgst", "-sha256"])):
        if shutil.which(command[0]):
            peer = best(
                lambda command=command: subprocess.run([*command, str(path)], capture_output=True, check=True), size
            )
            Figure(f"modelstore_verify_file_vs_{tool}", ours, "GB/s", ROUNDS, tool, peer).keep()


def many(root: Path, shards: list[Path], size: int) -> None:
    cores = os.cpu_count() or 1
    digests = {shard.name: hash_file(shard) for shard in shards}
    files = tuple(RecordedFile(s.name, size, digests[s.name], 0, "sha256", "bench") for s in shards)
    record = Record("bench@1.0#bf16", "", "", files)
    single = best(lambda: hash_file(shards[0]), size)
    ours = best(lambda: verify(root, record, workers=cores), size * len(shards))
    assert verify(root, record, workers=cores).intact
    Figure("modelstore_verify_shards", ours, "GB/s", ROUNDS, f"{cores} x one core", cores * single).keep()
    # What the machine gives two processes at once: neighbours and shared memory bandwidth take their part of both.
    if shutil.which("openssl"):
        ceiling = best(lambda: _processes(shards, cores), size * len(shards))
        Figure(
            "modelstore_verify_shards_vs_openssl", ours, "GB/s", ROUNDS, f"{cores} x openssl at once", ceiling
        ).keep()


def _processes(shards: list[Path], cores: int) -> None:
    lanes = [shards[n::cores] for n in range(cores)]
    running = [
        subprocess.Popen(["openssl", "dgst", "-sha256", *map(str, lane)], stdout=subprocess.DEVNULL) for lane in lanes
    ]
    for process in running:
        assert process.wait() == 0


if __name__ == "__main__":
    sys.exit(main())
