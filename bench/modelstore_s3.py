"""Our ranged S3 download beside boto3's managed transfer, from the same SeaweedFS, in the same run.

    python bench/modelstore_s3.py [MIB]        needs boto3 (a bench tool, no dependency of anything)

Two comparisons, both writing the same file to the same folder: the bare transfers, ranges over boto3's managed ones; and
the downloads one can trust, ours with its journal and inline sha256 over boto3's and a sha256 and fsync after it. Each to shared
memory, where the transfer is measured, and to the disk. On a small machine server and client share the cores, so the
client's CPU seconds are kept too.
"""

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "libs/modelstore/tests/support"))

import boto3
from botocore.config import Config
from report import Figure
from warmlane_modelstore.credentials import Credential
from warmlane_modelstore.sources.base import RemoteFile
from warmlane_modelstore.sources.s3 import S3Source
from warmlane_modelstore.transfer.backoff import Backoff
from warmlane_modelstore.transfer.download import PART_BYTES, Downloader, Limits, Wish
from warmlane_modelstore.transfer.http import Http
from warmlane_modelstore.transfer.negative import NegativeCache
from warmlane_modelstore.verifying import hash_file
from weed import ACCESS_KEY, BUCKET, SECRET_KEY, Weed

ROUNDS = 5
MIB = 1024 * 1024


class Count:
    def add(self, count: int) -> None:
        pass


def s3_source(weed: Weed, http: Http) -> S3Source:
    return S3Source(
        "s3", http, endpoint=weed.url, bucket=BUCKET, prefix="", region="us-east-1", virtual_host=False,
        credential=Credential(access_key=ACCESS_KEY, secret_key=SECRET_KEY),
    )  # fmt: skip


def ours(weed: Weed, folder: Path, size: int, sha256: str) -> None:
    http = Http(environ_proxies=False)
    source = s3_source(weed, http)
    downloader = Downloader(
        folder, limits=Limits(), backoff=Backoff(), negative=NegativeCache(folder / "n.json"), boot_id="b",
        stop=threading.Event(), mask=str,
    )  # fmt: skip
    fetched = downloader.fetch(Wish("blob", "blob", size, sha256, "blob"), [source], Count())
    fetched.part.discard()
    downloader.close()
    http.close()


def ours_bare(weed: Weed, folder: Path, size: int) -> None:
    http = Http(environ_proxies=False)
    source = s3_source(weed, http)
    target = folder / "bare"
    fd = os.open(target, os.O_RDWR | os.O_CREAT)

    def span(start: int) -> None:
        position = start

        def sink(view: memoryview) -> None:
            nonlocal position
            position += os.pwrite(fd, view, position)

        source.read(RemoteFile("blob", size), start, min(size, start + PART_BYTES), sink)

    with ThreadPoolExecutor(Limits().streams) as pool:
        list(pool.map(span, range(0, size, PART_BYTES)))
    os.close(fd)
    target.unlink()
    http.close()


def theirs_hashed(client: object, folder: Path) -> None:
    target = folder / "boto"
    client.download_file(BUCKET, "blob", str(target))
    hash_file(target)
    # Ours is on the disk when it returns, so theirs has to be as well.
    with target.open("rb") as file:
        os.fsync(file.fileno())
    target.unlink()


def theirs(client: object, folder: Path) -> None:
    target = folder / "boto"
    client.download_file(BUCKET, "blob", str(target))
    target.unlink()


def main() -> int:
    size = int(sys.argv[1]) * MIB if len(sys.argv) > 1 else 256 * MIB
    memory = Path("/dev/shm")  # random bytes of a benchmark, no place for secrets
    places = {"": memory if memory.is_dir() else None, "_disk": None}
    with tempfile.TemporaryDirectory() as folder:
        blob = Path(folder) / "blob"
        rng = random.Random(1)
        with blob.open("wb") as file:
            for _ in range(size // MIB):
                file.write(rng.randbytes(MIB))
        sha256 = hash_file(blob)
        with Weed(Path(folder) / "weed") as weed:
            weed.put("blob", blob)
            for suffix, place in places.items():
                with tempfile.TemporaryDirectory(dir=place) as out:
                    compare(weed, Path(out), size, sha256, suffix)
    return 0


def compare(weed: Weed, out: Path, size: int, sha256: str, suffix: str) -> None:
    client = boto3.client(
        "s3", endpoint_url=weed.url, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
    )  # fmt: skip
    works: dict[str, Callable[[], None]] = {
        "ranged": lambda: ours_bare(weed, out, size),
        "boto3": lambda: theirs(client, out),
        "verified": lambda: ours(weed, out, size, sha256),
        "boto3 and sha256": lambda: theirs_hashed(client, out),
    }
    speed, cpu = measure(works, size)
    bare, checked = "boto3 managed transfer", "boto3 and sha256"
    Figure(f"modelstore_s3_ranged{suffix}", speed["ranged"], "MB/s", ROUNDS, bare, speed["boto3"]).keep()
    Figure(f"modelstore_s3_verified{suffix}", speed["verified"], "MB/s", ROUNDS, checked, speed[checked]).keep()
    Figure(f"modelstore_s3_ranged_cpu{suffix}", cpu["ranged"], "s", ROUNDS, bare, cpu["boto3"]).keep()


def measure(works: dict[str, Callable[[], None]], size: int) -> tuple[dict[str, float], dict[str, float]]:
    """MB/s (median) and client CPU seconds (mean) of each, taken in turns, after one round to warm the server."""
    speeds: dict[str, list[float]] = {name: [] for name in works}
    cpu = dict.fromkeys(works, 0.0)
    for number in range(ROUNDS + 1):
        for name, work in works.items():
            before, began = os.times(), time.perf_counter()
            work()
            seconds, after = time.perf_counter() - began, os.times()
            if number:
                speeds[name].append(size / 1e6 / seconds)
                cpu[name] += (after.user + after.system - before.user - before.system) / ROUNDS
    return {name: sorted(values)[len(values) // 2] for name, values in speeds.items()}, cpu


if __name__ == "__main__":
    sys.exit(main())
