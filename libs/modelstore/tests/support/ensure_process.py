"""`python ensure_process.py ROOT MANIFEST MODEL`: one ensure in a process of its own, to be raced and killed."""

import sys
from pathlib import Path

from warmlane_modelstore.manifest.load import load
from warmlane_modelstore.settings import StoreSettings
from warmlane_modelstore.store import ModelStore

root, manifest, model = sys.argv[1:4]
environ = {"WAN_MODELS_KEYRING": "off", "HF_HUB_CACHE": "/nonexistent"}
if len(sys.argv) > 5:
    environ |= {"WARMLANE_S3_ACCESS_KEY": sys.argv[4], "WARMLANE_S3_SECRET_KEY": sys.argv[5]}
settings = StoreSettings(root=Path(root), manifest=Path(manifest), margin=0, environ=environ, home=Path(root).parent)
outcome = ModelStore(settings, load(Path(manifest))).ensure(model)
sys.stdout.write(f"{outcome.how} {outcome.bytes_fetched}\n")
