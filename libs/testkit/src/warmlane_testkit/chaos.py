"""Load on a fleet while its processes are killed; then the checker.

    clients submit, submit again under the same key, cancel, steer lanes ─┐
    every few seconds something is killed, chosen by the seed ────────────┴─► settle ─► collect ─► check ─► Report

The plan of kills follows from the seed, so a run can be repeated: the same things die in the same order.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx
from pydantic import SecretStr
from warmlane_contracts.ids import new_ulid
from warmlane_contracts.messages import Claimed, MemoryCleaned
from warmlane_contracts.topology import LANE_STREAM, LANES, WAIT_STREAM
from warmlane_storage.objects import ObjectSettings, S3Objects
from warmlane_storage.postgres import Postgres, PostgresSettings

from warmlane_testkit.checker import Violation, check
from warmlane_testkit.evidence import Answer, Evidence, collect
from warmlane_testkit.fleet import Fleet

_UNFINISHED = "select count(*) from tasks where status in ('pending', 'processing')"
_SETTLE_S = 180.0
_SWEPT_S = 60.0


@dataclass(slots=True)
class Report:
    """What a run saw."""

    seed: int
    seconds: float = 0.0
    answers: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    attempts: int = 0
    cleanups: int = 0
    longest_stall_s: float = 0.0
    deepest: int = 0
    violations: list[Violation] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report for people."""
        return [
            f"seed {self.seed}, {self.seconds:.0f} s",
            f"answers   {_counts(self.answers)}",
            f"ends      {_counts(self.ends)}",
            f"kills     {sum(self.kills.values())}: {_counts(self.kills)}",
            f"attempts  {self.attempts}, cleanups told {self.cleanups}",
            f"longest time without any record: {self.longest_stall_s:.1f} s; deepest waiting queue: {self.deepest}",
            f"violations {len(self.violations)}",
            *(f"  {one.invariant}: {one.subject} {one.evidence}" for one in self.violations),
        ]


class Chaos:
    """One run on one fleet."""

    def __init__(self, fleet: Fleet, *, seed: int, targets: tuple[str, ...] | None = None) -> None:
        """Kill `targets`; everything there is when none are named."""
        self._fleet = fleet
        self._random = random.Random(seed)  # noqa: S311 - a repeatable plan, no secret
        self._targets = targets
        self.answers: list[Answer] = []
        self.depths: list[int] = []
        self.report = Report(seed)

    async def run(self, *, seconds: float, clients: int, kill_every_s: float | None, script: str = "steps=2") -> Report:
        """Load, kill, settle, check."""
        began = time.monotonic()
        until = began + seconds
        work = [self._client(number, until, script) for number in range(clients)]
        watching = [asyncio.create_task(self._watch_depth())]
        if kill_every_s is not None:
            work.append(self._kill(until, kill_every_s))
        try:
            await asyncio.gather(*work)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        evidence = await self.settle()
        self.report.seconds = time.monotonic() - began
        self._sum_up(evidence)
        return self.report

    async def settle(self) -> Evidence:
        """Wait until nothing is under way and all is swept; return what is left."""
        async with self._postgres() as postgres:
            await self._quiet(postgres)
            deadline = time.monotonic() + _SWEPT_S
            while True:
                evidence = await collect(
                    self._fleet.bus,
                    postgres,
                    self._objects(),
                    answers=self.answers,
                    depths=self.depths,
                    killed_workers=self._fleet.killed_workers,
                )
                if not check(evidence) or time.monotonic() > deadline:
                    return evidence
                await asyncio.sleep(2)

    async def submit(
        self, client: httpx.AsyncClient, body: dict[str, Any], *, key: str | None = None, **headers: str
    ) -> Answer | None:
        """Submit once; None when nobody can say what became of it, because the connection broke."""
        correlation_id, began = new_ulid(), time.monotonic()
        headers |= {"X-Correlation-Id": correlation_id} | ({"Idempotency-Key": key} if key else {})
        try:
            answer = await client.post("/generate", json=body, headers=headers)
        except httpx.HTTPError:
            self.report.answers["broken"] += 1
            return None
        try:
            told = answer.json()
        except ValueError:
            told = {"code": f"unreadable: {answer.text[:80]!r}"}
        heard = Answer(
            answer.status_code, correlation_id, told.get("task_id"), told.get("code"), time.monotonic() - began
        )
        self.report.answers[f"{heard.status}{f' {heard.code}' if heard.code else ''}"] += 1
        self.answers.append(heard)
        return heard

    async def _client(self, number: int, until: float, script: str) -> None:
        chosen = random.Random(f"{self.report.seed}/{number}")  # noqa: S311
        async with self._fleet.client(number) as client:
            while time.monotonic() < until:
                body = {"model": "phr00t", "prompt": script, "seed": chosen.randrange(1000)}
                key = new_ulid() if chosen.random() < 0.3 else None
                heard = await self.submit(client, body, key=key)
                if heard is None and key is not None:
                    heard = await self.submit(client, body, key=key)
                if heard is not None and heard.task_id and chosen.random() < 0.05:
                    with contextlib.suppress(httpx.HTTPError):
                        await client.post(f"/tasks/{heard.task_id}/cancel")
                if chosen.random() < 0.02:
                    with contextlib.suppress(httpx.HTTPError):
                        mode = chosen.choice(["degraded", "auto", "auto"])
                        await client.post(f"/lanes/{chosen.choice(LANES)}/mode", json={"mode": mode})
                await asyncio.sleep(chosen.uniform(0.05, 0.4))
            with contextlib.suppress(httpx.HTTPError):
                for lane in LANES:
                    await client.post(f"/lanes/{lane}/mode", json={"mode": "auto"})

    async def _kill(self, until: float, every_s: float) -> None:
        fleet = self._fleet
        engines = tuple(f"engine-of:{name}" for name in fleet.workers())
        targets = self._targets or (*fleet.members, *engines, *fleet.servers)
        while time.monotonic() + every_s < until:
            await asyncio.sleep(every_s)
            target = self._random.choice(targets)
            self.report.kills[target] += 1
            await fleet.kill(target)

    async def _watch_depth(self) -> None:
        while True:
            with contextlib.suppress(Exception):
                self.depths.append(await self._fleet.bus.depth(WAIT_STREAM))
            await asyncio.sleep(0.05)

    async def _quiet(self, postgres: Postgres) -> None:
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(Exception):
                async with postgres.connection() as connection:
                    unfinished = await connection.fetchval(_UNFINISHED)
                if not unfinished and not await self._fleet.bus.depth(LANE_STREAM):
                    return
            await asyncio.sleep(0.5)

    @contextlib.asynccontextmanager
    async def _postgres(self) -> Any:  # noqa: ANN401
        postgres = Postgres(PostgresSettings(postgres_dsn=SecretStr(self._fleet.postgres.dsn)))
        await postgres.start()
        try:
            yield postgres
        finally:
            await postgres.stop()

    def _objects(self) -> S3Objects:
        server = self._fleet.s3
        return S3Objects.from_settings(
            ObjectSettings(
                s3_endpoint=server.endpoint,
                s3_access_key=server.access_key,
                s3_secret_key=SecretStr(server.secret_key),
                s3_bucket=server.bucket,
                s3_region=server.region,
            )
        )

    def _sum_up(self, evidence: Evidence) -> None:
        report = self.report
        report.violations = check(evidence)
        report.deepest = max(self.depths, default=0)
        for row in evidence.tasks.values():
            report.ends[row["status"] if row["status"] != "failed" else f"failed {row['error_code']}"] += 1
        times = [one.at for one in evidence.records]
        gaps = ((later - earlier).total_seconds() for earlier, later in pairwise(times))
        report.longest_stall_s = max(gaps, default=0.0)
        report.attempts = sum(isinstance(one.record, Claimed) for one in evidence.records)
        report.cleanups = sum(isinstance(fact, MemoryCleaned) and fact.task_id is not None for fact in evidence.facts)


def _counts(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items())) or "none"
