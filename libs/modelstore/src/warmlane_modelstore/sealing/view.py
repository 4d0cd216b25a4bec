"""Loading an encrypted model: its weights are decrypted into memory, and a directory of links leads there.

    view/transformer/w.safetensors ─► /proc/<pid>/fd/7 (a memfd: memory with a file's face)
    view/model_index.json ─► the published file

Loaders open and map these like any file, in this process and in the engine's child of it. No clear byte touches a
disk; closing the view frees the memory. Linux only: elsewhere there is no memory with a path.
"""

import os
import shutil
import sys
import uuid
from pathlib import Path
from types import TracebackType
from typing import Self

from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.record import Record
from warmlane_modelstore.sealing.sealed import SUFFIX, unseal


class ClearView:
    """A readable face of an encrypted model, until `close`."""

    def __init__(self, directory: Path, record: Record, master: bytes, scratch: Path) -> None:
        """Decrypts all weights now. Raises KEY_MISSING or CORRUPT, and leaves nothing behind then."""
        if sys.platform != "linux":
            raise StoreError(
                Code.KEY_MISSING, "encrypted models can be loaded on Linux only", "Turn the feature 'encrypt' off here."
            )
        self.path = scratch / uuid.uuid4().hex
        self._memories: list[int] = []
        try:
            for file in record.files:
                self._show(directory, file.path, master)
        except BaseException:
            self.close()
            raise

    def _show(self, directory: Path, path: str, master: bytes) -> None:
        source = directory / path
        target = self.path / path.removesuffix(SUFFIX)
        target.parent.mkdir(parents=True, exist_ok=True)
        if not path.endswith(SUFFIX):
            target.symlink_to(source)
            return
        memory = os.memfd_create(target.name)
        self._memories.append(memory)
        for chunk in unseal(source, master):
            view = memoryview(chunk)
            while view:
                view = view[os.write(memory, view) :]
        target.symlink_to(f"/proc/{os.getpid()}/fd/{memory}")

    def close(self) -> None:
        """Removes the links and frees the memory; may be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        while self._memories:
            os.close(self._memories.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
