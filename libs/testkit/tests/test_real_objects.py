"""The suite against a real S3 server."""

import pytest
from warmlane_testkit.conformance.objects import ObjectsConformance


class TestS3Objects(ObjectsConformance):
    @pytest.fixture
    async def store(self, objects):
        return objects
