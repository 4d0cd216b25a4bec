"""How long the gateway takes to decide where a request goes, when its lane is ready."""

import time
from datetime import UTC, datetime

from report import Figure, quantile
from warmlane_bus.lane_directory import LaneDirectory
from warmlane_contracts.messages import LaneRecord
from warmlane_contracts.topology import LANES, SHARED
from warmlane_jobs.routing import Dedicated, decide_route

N = 20_000
WORKERS = 16


def main() -> None:
    directory = LaneDirectory(lanes=LANES)
    directory._workers = [
        LaneRecord(
            lane_key=lane,
            worker=f"{lane}-{number}",
            model=lane,
            mode="degraded_shared" if lane == SHARED else "dedicated",
            warm=True,
            availability="ready",
            engine="real",
            updated_at=datetime.now(UTC),
        )
        for lane in (*LANES, SHARED)
        for number in range(WORKERS)
    ]
    seconds = []
    for number in range(N):
        began = time.perf_counter()
        route = decide_route(directory.facts(LANES[number % len(LANES)], waiting=3, bound=1000))
        seconds.append(time.perf_counter() - began)
        assert isinstance(route, Dedicated)
    Figure("route_p99", quantile(seconds, 0.99) * 1e3, "ms", N).keep()
    Figure("route_p50", quantile(seconds, 0.5) * 1e3, "ms", N).keep()


if __name__ == "__main__":
    main()
