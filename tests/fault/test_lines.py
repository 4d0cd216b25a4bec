"""The network fails: nothing goes through and nobody is told, or every connection breaks. Duplicates and disorder too."""

import asyncio
import random
from collections import deque
from pathlib import Path

import pytest

pytest.importorskip("warmlane_devstack", reason="the servers live in the main environment")

from warmlane_contracts.ids import new_ulid
from warmlane_contracts.topology import all_lane_jobs
from warmlane_testkit.chaos import Chaos
from warmlane_testkit.fleet import Fleet

pytestmark = [pytest.mark.fault, pytest.mark.timeout(400)]


@pytest.mark.parametrize("server", ["nats", "postgres", "s3"])
@pytest.mark.parametrize("mode", ["swallow", "cut"])
async def test_a_server_that_cannot_be_reached_for_a_while_costs_time_only(tmp_path: Path, server: str, mode) -> None:
    async with Fleet(tmp_path, gateways=2, failing_lines=True) as fleet:
        chaos = Chaos(fleet, seed=5)

        async def fail() -> None:
            await asyncio.sleep(4)
            fleet.lines[server].set(mode)
            await asyncio.sleep(8)
            fleet.lines[server].set("pass")

        failing = asyncio.create_task(fail())
        report = await chaos.run(seconds=20, clients=4, kill_every_s=None)
        await failing
    print("\n".join([f"{server} {mode}", *report.lines()]))
    assert report.violations == []
    assert report.ends["done"] > 20


async def test_tokens_that_come_twice_and_out_of_order_run_once(tmp_path: Path) -> None:
    async with Fleet(tmp_path) as fleet:
        chaos, tokens = Chaos(fleet, seed=7), deque(maxlen=2000)

        async def listen() -> None:
            async with fleet.bus.hints(all_lane_jobs()) as hints:
                async for hint in hints:
                    tokens.append(hint)

        listening = asyncio.create_task(listen())
        running = asyncio.create_task(chaos.run(seconds=10, clients=4, kill_every_s=None))
        while not running.done():
            await asyncio.sleep(0.5)
            shuffled = random.Random(7).sample(list(tokens), min(10, len(tokens)))
            for token in shuffled:
                await fleet.bus.publish(token.subject, token.data, message_id=new_ulid())
        listening.cancel()
        report = await running
    print("\n".join(report.lines()))
    assert report.violations == []
    assert len(tokens) > 50
