"""How quickly the model store says what is here: in a service, with a thousand models, and as a process.

python bench/modelstore_status.py
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import Figure, quantile
from warmlane_modelstore.manifest.load import parse
from warmlane_modelstore.places import RECORD_NAME
from warmlane_modelstore.record import Record, RecordedFile, write_record
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore

FILES = 25
PROCESSES = 15


def manifest(count: int) -> bytes:
    """`count` single-file models."""
    models = "".join(
        f'[[model]]\nid = "m{n}"\nversion = "1.0"\nfamily = "f"\ntype = "single-file"\nlayout = "diffusers"\n'
        f'license = {{ spdx = "MIT", commercial = "yes" }}\nsource = [{{ kind = "local", path = "x" }}]\n'
        f'variant = [{{ name = "bf16", dtype_on_disk = "bf16", file = [{{ path = "c.json", size = 2 }}] }}]\n'
        for n in range(count)
    )
    return f"schema_version = 1\n{models}".encode()


def publish(store: ModelStore, files: int) -> None:
    """Makes every model look published, with small files: status reads records and file times only."""
    for resolved in store.resolver.all():
        directory = store.places.model(resolved.id)
        directory.mkdir(parents=True)
        recorded = []
        for n in range(files):
            path = directory / f"f{n}.safetensors"
            path.write_bytes(b"{}")
            stat = path.stat()
            recorded.append(RecordedFile(path.name, 2, "0" * 64, stat.st_mtime_ns, "sha256", "local"))
        write_record(directory, Record(str(resolved.id), "2026-01-01", "0" * 64, tuple(recorded)))
        assert (directory / RECORD_NAME).exists()


def timed(store: ModelStore, rounds: int) -> list[float]:
    """Milliseconds of each full status."""
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        store.statuses()
        samples.append((time.perf_counter() - began) * 1e3)
    return samples


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for count, files, rounds in ((3, FILES, 200), (1000, 3, 20)):
            path = root / f"{count}.toml"
            path.write_bytes(manifest(count))
            models = root / f"root{count}"
            store = ModelStore(StoreSettings(root=models, manifest=path), parse(path.read_bytes(), origin=str(path)))
            empty = timed(store, rounds)
            publish(store, files)
            first = timed(store, 1)
            samples = timed(store, rounds)
            Figure(f"modelstore_status_{count}_models", statistics.median(samples), "ms", len(samples)).keep()
            Figure(f"modelstore_status_{count}_models_p99", quantile(samples, 0.99), "ms", len(samples)).keep()
            Figure(f"modelstore_status_{count}_models_first", first[0], "ms", 1).keep()
            Figure(f"modelstore_status_{count}_models_absent", statistics.median(empty), "ms", len(empty)).keep()
        process(root)
    return 0


def process(root: Path) -> None:
    """`wan models status --json` for three models, as a process, beside an interpreter that does nothing."""
    env = os.environ | {"MODELS_ROOT": str(root / "root3"), "WAN_MODELS_MANIFEST": str(root / "3.toml")}
    ours, bare = [], []
    for _ in range(PROCESSES):
        for samples, command in (
            (bare, ["-c", "pass"]),
            (ours, ["-m", "warmlane_modelstore", "models", "status", "--json"]),
        ):
            began = time.perf_counter()
            done = subprocess.run([sys.executable, *command], env=env, capture_output=True, check=True)
            samples.append((time.perf_counter() - began) * 1e3)
        assert len(json.loads(done.stdout)["result"]["models"]) == 3
    peer = statistics.median(bare)
    Figure("modelstore_status_process", statistics.median(ours), "ms", len(ours), "python -c pass", peer).keep()


if __name__ == "__main__":
    sys.exit(main())
