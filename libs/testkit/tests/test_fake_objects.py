import pytest
from warmlane_storage.objects import StoreUnavailable
from warmlane_testkit.conformance.objects import ObjectsConformance
from warmlane_testkit.fake_objects import FakeObjects


class TestFakeObjects(ObjectsConformance):
    @pytest.fixture
    async def store(self):
        return FakeObjects()


async def test_away_every_call_fails_and_nothing_is_lost():
    store = FakeObjects()
    await store.put("a", b"1", content_type="text/plain")
    store.go_away()
    with pytest.raises(StoreUnavailable):
        await store.get("a")
    with pytest.raises(StoreUnavailable):
        await store.put("b", b"2", content_type="text/plain")
    store.come_back()
    assert await store.get("a") == b"1"
    assert store.stored.keys() == {"a"}
