import pytest
from warmlane_bus import NatsBus, apply_topology
from warmlane_testkit.conformance.bus import SUITE_TOPOLOGY, BusConformance
from warmlane_testkit.fixtures import remove_streams


class TestNatsBus(BusConformance):
    @pytest.fixture
    async def bus(self, nats_server):
        bus = await NatsBus.connect(nats_server.url, name="suite", on_fatal=pytest.fail)
        await remove_streams(bus)
        await apply_topology(bus, SUITE_TOPOLOGY)
        yield bus
        await bus.close()
