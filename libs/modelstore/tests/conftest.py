"""What the store's tests share: manifests as text, and a MODELS_ROOT of their own."""

import pytest


@pytest.fixture
def models_root(tmp_path):
    root = tmp_path / "models"
    root.mkdir()
    return root
