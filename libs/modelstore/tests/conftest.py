"""What the store's tests share: a MODELS_ROOT of their own, a hub with faults, a real S3 server."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))

from fake_hub import FakeHub


@pytest.fixture
def models_root(tmp_path):
    root = tmp_path / "models"
    root.mkdir()
    return root


@pytest.fixture
def hub(tmp_path):
    root = tmp_path / "hub"
    root.mkdir()
    with FakeHub(root) as running:
        yield running


@pytest.fixture(scope="session")
def weed(tmp_path_factory):
    from weed import Weed  # the lane environment has no servers

    with Weed(tmp_path_factory.mktemp("weed")) as running:
        yield running
