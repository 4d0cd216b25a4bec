"""Peak memory of ensuring and converting a large model: fetch, hash, fp32 to bf16, publish, in one child process.

    python bench/modelstore_memory.py [GB]

The model is real in layout (sharded original Wan, two experts) and empty in content: zeros, in sparse files.
"""

import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import Figure

CHILD = """
import resource, sys, pathlib
from warmlane_modelstore.cli.main import main
code = main(["models", "ensure", "wan", "--json"])
sys.stderr.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
sys.exit(code)
"""
MANIFEST = """
schema_version = 1
[[model]]
id = "wan"
version = "1.0"
family = "f"
type = "single-file"
layout = "wan-original"
license = { spdx = "MIT", commercial = "yes" }
source = [{ kind = "local", path = "shelf" }]
variant = [{ name = "bf16", dtype_on_disk = "fp32", convert = "bf16" }]
"""


def shard(path: Path, block: int, size: int) -> None:
    """A safetensors file of zeros, as sparse as the file system allows."""
    width = 5120
    rows = size // 4 // width
    header = json.dumps(
        {
            f"blocks.{block}.ffn.0.weight": {
                "dtype": "F32",
                "shape": [rows, width],
                "data_offsets": [0, rows * width * 4],
            }
        }
    ).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + rows * width * 4)


def main() -> int:
    size = int(float(sys.argv[1]) * 1e9) if len(sys.argv) > 1 else 4 * 10**9
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for expert in ("high_noise_model", "low_noise_model"):
            for number in (1, 2):
                name = f"diffusion_pytorch_model-{number:05d}-of-00002.safetensors"
                shard(root / "shelf" / expert / name, number - 1, size // 4)
        (root / "models.toml").write_text(MANIFEST)
        env = os.environ | {
            "MODELS_ROOT": str(root / "models"), "WAN_MODELS_MANIFEST": str(root / "models.toml"), "WAN_MODELS_KEYRING": "off"
        }  # fmt: skip
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", CHILD], env=env, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - began
        peak = int(done.stderr.split()[-1]) / 1e6
    assert peak * 1e6 <= resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 * 1.01
    Figure("modelstore_memory_peak", peak, "MB", 1).keep()
    Figure("modelstore_ensure_and_convert", size / 1e6 / seconds, "MB/s", 1).keep()
    return 0


if __name__ == "__main__":
    sys.exit(main())
