"""What every broker has to do, asked of the fake and of the real one.

Ack waits and ages are a second here, in real time, so that the same test is fair to both.
"""

import asyncio
import contextlib

import pytest
from warmlane_bus.lease import Lease, LeaseLost, Renewed, sign_of_life
from warmlane_bus.ports import Bus, BusMisconfigured, Conflict, Full, Hint, Stored, Unknown
from warmlane_bus.register import Lost, StateRegister, Written
from warmlane_contracts.topology import LEASE_BUCKET, TOPOLOGY, Bucket, Consumer, Stream, Topology

from warmlane_testkit.builders import LANE, claimed, done, new_job_id
from warmlane_testkit.waiting import eventually

ACK_WAIT_S = 1.0
TTL_S = 1.0
DEPTH = 3
_WORK, _WAIT, _PLAIN = "T_WORK", "T_WAIT", "T_PLAIN"
_STATE = next(stream for stream in TOPOLOGY.streams if stream.name == "WL_STATE")
_LEASE = next(bucket for bucket in TOPOLOGY.buckets if bucket.name == LEASE_BUCKET)

SUITE_TOPOLOGY = Topology(
    streams=(
        Stream(_WORK, ("t.work.*",), "a work queue", retention="workqueue", discard="new", max_bytes=1_000_000),
        Stream(
            _WAIT,
            ("t.wait.*",),
            "a bounded queue",
            retention="workqueue",
            discard="new",
            max_msgs=DEPTH,
            max_age_s=TTL_S,
            duplicate_window_s=TTL_S,
        ),
        Stream(_PLAIN, ("t.plain.>",), "facts", max_msgs_per_subject=2),
        _STATE,
    ),
    consumers=(
        Consumer(_WORK, "one", "t.work.*", "one at a time", ack_wait_s=ACK_WAIT_S, max_ack_pending=1),
        Consumer(_WAIT, "many", "t.wait.*", "many at a time", ack_wait_s=3 * TTL_S, max_ack_pending=10),
        Consumer(_PLAIN, "facts", "t.plain.>", "all facts", ack_wait_s=ACK_WAIT_S, max_ack_pending=100),
    ),
    buckets=(Bucket("t_kv", "a bucket", ttl_s=60), Bucket("t_short", "forgets", ttl_s=TTL_S), _LEASE),
)


async def publish(bus: Bus, subject: str, data: bytes = b"", *, message_id: str | None = None) -> Stored:
    """Publish what has to be stored."""
    outcome = await bus.publish(subject, data, message_id=message_id or f"{subject}:{data[:9]!r}")
    assert isinstance(outcome, Stored)
    return outcome


class BusConformance:
    """Give it `bus`: a bus with `SUITE_TOPOLOGY` applied and nothing stored."""

    @pytest.fixture
    async def bus(self) -> Bus:
        """Return or yield the bus under test."""
        raise NotImplementedError

    # -- publish ---------------------------------------------------------------------------------------------------

    async def test_sequences_grow(self, bus: Bus) -> None:
        first = await publish(bus, "t.work.a")
        second = await publish(bus, "t.work.b")
        assert (first.seq, second.seq) == (1, 2)
        assert not first.duplicate

    async def test_a_repeated_id_is_stored_once(self, bus: Bus) -> None:
        first = await publish(bus, "t.work.a", message_id="m")
        again = await publish(bus, "t.work.a", message_id="m")
        assert again == Stored(first.seq, duplicate=True)

    async def test_an_id_is_remembered_after_its_message_was_consumed(self, bus: Bus) -> None:
        await publish(bus, "t.work.a", message_id="m")
        delivery = await (await bus.pull(_WORK, "one")).fetch(2)
        assert delivery is not None
        assert await delivery.ack()
        assert (await publish(bus, "t.work.a", message_id="m")).duplicate
        assert await (await bus.pull(_WORK, "one")).fetch(0.2) is None

    async def test_a_condition_on_an_empty_subject_lets_only_the_first_through(self, bus: Bus) -> None:
        first = await bus.publish("t.plain.x", b"1", message_id="1", expect_last_seq=0)
        second = await bus.publish("t.plain.x", b"2", message_id="2", expect_last_seq=0)
        assert isinstance(first, Stored)
        assert second == Conflict()

    async def test_a_condition_on_a_sequence_holds_only_while_it_is_the_last(self, bus: Bus) -> None:
        first = await publish(bus, "t.plain.x", b"1")
        await publish(bus, "t.plain.other", b"-")
        second = await bus.publish("t.plain.x", b"2", message_id="2", expect_last_seq=first.seq)
        assert isinstance(second, Stored)
        assert await bus.publish("t.plain.x", b"3", message_id="3", expect_last_seq=first.seq) == Conflict()

    async def test_a_retry_of_a_stored_conditioned_publish_conflicts_with_itself(self, bus: Bus) -> None:
        """The reason why the register reads before it believes a conflict: the condition is checked before the id."""
        await bus.publish("t.plain.x", b"1", message_id="1", expect_last_seq=0)
        assert await bus.publish("t.plain.x", b"1", message_id="1", expect_last_seq=0) == Conflict()

    async def test_a_full_stream_refuses(self, bus: Bus) -> None:
        for n in range(DEPTH):
            await publish(bus, f"t.wait.{n}")
        outcome = await bus.publish("t.wait.more", b"", message_id="more")
        assert outcome == Full("maximum messages exceeded")

    async def test_a_known_id_is_a_duplicate_even_when_the_stream_is_full(self, bus: Bus) -> None:
        for n in range(DEPTH):
            await publish(bus, f"t.wait.{n}", message_id=str(n))
        assert (await publish(bus, "t.wait.0", message_id="0")).duplicate

    async def test_a_message_in_flight_still_takes_its_place(self, bus: Bus) -> None:
        for n in range(DEPTH):
            await publish(bus, f"t.wait.{n}")
        delivery = await (await bus.pull(_WAIT, "many")).fetch(2)
        assert delivery is not None
        assert isinstance(await bus.publish("t.wait.more", b"", message_id="a"), Full)
        assert await delivery.ack()
        assert isinstance(await bus.publish("t.wait.more", b"", message_id="b"), Stored)

    async def test_a_stream_at_its_bytes_refuses(self, bus: Bus) -> None:
        await publish(bus, "t.work.a", b"x" * 600_000)
        outcome = await bus.publish("t.work.b", b"x" * 600_000, message_id="b")
        assert isinstance(outcome, Full)

    async def test_a_subject_no_stream_takes_is_unknown_and_certainly_not_stored(self, bus: Bus) -> None:
        outcome = await bus.publish("nowhere.x", b"", message_id="m", within_s=0.3)
        assert isinstance(outcome, Unknown)
        assert not outcome.maybe_stored

    async def test_a_message_too_big_for_the_broker_is_refused_and_harms_nobody_else(self, bus: Bus) -> None:
        with pytest.raises(BusMisconfigured, match="more than the broker takes"):
            await bus.publish("t.plain.x", b"x" * 600_000, message_id="m", headers={"Big": "x" * 600_000})
        await publish(bus, "t.plain.x")

    @pytest.mark.parametrize(
        "subject", ["t.work.*", "t.>", "t.work.a b", "t..a", "t.work.a\r\nPUB x 0", "", "t." + "a" * 65]
    )
    async def test_only_plain_tokens_can_be_published_to(self, bus: Bus, subject: str) -> None:
        with pytest.raises(BusMisconfigured):
            await bus.publish(subject, b"", message_id="m")

    async def test_headers_and_data_travel(self, bus: Bus) -> None:
        headers = {"traceparent": "00-1-2-01"}
        await bus.publish("t.work.a", b"data", message_id="m", headers=headers)
        delivery = await (await bus.pull(_WORK, "one")).fetch(2)
        assert delivery is not None
        assert (delivery.subject, delivery.data, delivery.seq) == ("t.work.a", b"data", 1)
        assert delivery.headers["traceparent"] == "00-1-2-01"
        assert headers == {"traceparent": "00-1-2-01"}, "the caller's headers are the caller's"

    # -- last ------------------------------------------------------------------------------------------------------

    async def test_last_of_an_empty_subject_is_none(self, bus: Bus) -> None:
        assert await bus.last(_PLAIN, "t.plain.x") is None

    async def test_last_is_the_newest_of_the_subject(self, bus: Bus) -> None:
        for data in (b"1", b"2", b"3"):
            await publish(bus, "t.plain.x", data)
        await publish(bus, "t.plain.y", b"other")
        last = await bus.last(_PLAIN, "t.plain.x")
        assert last is not None
        assert (last.data, last.seq, last.subject) == (b"3", 3, "t.plain.x")
        assert last.headers["Nats-Msg-Id"] == "t.plain.x:b'3'"
        assert last.time.utcoffset() is not None

    async def test_depth_counts_what_is_stored(self, bus: Bus) -> None:
        assert await bus.depth(_PLAIN) == 0
        for data in (b"1", b"2"):
            await publish(bus, "t.plain.x", data)
        assert await bus.depth(_PLAIN) == 2

    async def test_what_is_removed_is_gone_and_again_is_fine(self, bus: Bus) -> None:
        for data in (b"1", b"2"):
            await publish(bus, "t.plain.x", data)
        for _ in range(2):
            await bus.remove(_PLAIN, 2)
        last = await bus.last(_PLAIN, "t.plain.x")
        assert last is not None
        assert (last.data, await bus.depth(_PLAIN)) == (b"1", 1)

    # -- pull ------------------------------------------------------------------------------------------------------

    async def test_messages_come_in_order_and_once(self, bus: Bus) -> None:
        pull = await bus.pull(_PLAIN, "facts")
        for n in range(5):
            await publish(bus, "t.plain.x.y", str(n).encode())
            delivery = await pull.fetch(2)
            assert delivery is not None
            assert delivery.data == str(n).encode()
            assert delivery.deliveries == 1
            await delivery.ack_soon()
        assert await pull.fetch(0.1) is None

    async def test_fetch_waits_for_a_message(self, bus: Bus) -> None:
        pull = await bus.pull(_WORK, "one")
        waiting = asyncio.create_task(pull.fetch(5))
        await publish(bus, "t.work.a")
        delivery = await waiting
        assert delivery is not None
        assert delivery.subject == "t.work.a"

    async def test_fetch_many_returns_what_is_there(self, bus: Bus) -> None:
        pull = await bus.pull(_PLAIN, "facts")
        for n in range(5):
            await publish(bus, "t.plain.x", str(n).encode(), message_id=str(n))
        await publish(bus, "t.plain.y")  # keeps x's newest two only in number, not in delivery
        first = await pull.fetch_many(2, 2)
        rest = await pull.fetch_many(10, 2)
        assert len(first) == 2
        assert [delivery.subject for delivery in first + rest] == ["t.plain.x", "t.plain.x", "t.plain.y"]

    async def test_fetch_many_waits_for_the_first(self, bus: Bus) -> None:
        pull = await bus.pull(_PLAIN, "facts")
        waiting = asyncio.create_task(pull.fetch_many(10, 5))
        await publish(bus, "t.plain.x")
        assert [delivery.subject for delivery in await waiting] == ["t.plain.x"]
        assert await pull.fetch_many(10, 0) == []

    async def test_several_fetches_at_once_share_the_messages(self, bus: Bus) -> None:
        pull = await bus.pull(_WAIT, "many")
        waiting = [asyncio.create_task(pull.fetch(3)) for _ in range(DEPTH)]
        for n in range(DEPTH):
            await publish(bus, f"t.wait.{n}")
        deliveries = [delivery for delivery in await asyncio.gather(*waiting) if delivery is not None]
        assert sorted(delivery.subject for delivery in deliveries) == [f"t.wait.{n}" for n in range(DEPTH)]

    async def test_what_is_not_acknowledged_comes_again(self, bus: Bus) -> None:
        await publish(bus, "t.work.a")
        pull = await bus.pull(_WORK, "one")
        first = await pull.fetch(2)
        again = await pull.fetch(3)
        assert first is not None
        assert again is not None
        assert (first.deliveries, again.deliveries) == (1, 2)
        assert again.seq == first.seq

    async def test_progress_starts_the_ack_wait_over(self, bus: Bus) -> None:
        await publish(bus, "t.work.a")
        pull = await bus.pull(_WORK, "one")
        delivery = await pull.fetch(2)
        assert delivery is not None
        for _ in range(4):  # longer than the ack wait in all
            assert await pull.fetch(ACK_WAIT_S / 2.5) is None
            await delivery.in_progress()
        assert await delivery.ack()

    async def test_given_back_it_comes_again_at_once(self, bus: Bus) -> None:
        await publish(bus, "t.work.a")
        pull = await bus.pull(_WORK, "one")
        delivery = await pull.fetch(2)
        assert delivery is not None
        await delivery.nak()
        again = await pull.fetch(ACK_WAIT_S / 2)
        assert again is not None
        assert again.deliveries == 2

    async def test_given_back_with_a_delay_it_comes_after_it(self, bus: Bus) -> None:
        await publish(bus, "t.work.a")
        pull = await bus.pull(_WORK, "one")
        delivery = await pull.fetch(2)
        assert delivery is not None
        await delivery.nak(0.4)
        assert await pull.fetch(0.2) is None
        assert await pull.fetch(2) is not None

    async def test_given_up_it_never_comes_again(self, bus: Bus) -> None:
        await publish(bus, "t.work.a")
        pull = await bus.pull(_WORK, "one")
        delivery = await pull.fetch(2)
        assert delivery is not None
        await delivery.term()
        assert await pull.fetch(ACK_WAIT_S * 1.5) is None

    async def test_no_more_in_flight_than_allowed(self, bus: Bus) -> None:
        await publish(bus, "t.work.a")
        await publish(bus, "t.work.b")
        pull = await bus.pull(_WORK, "one")
        first = await pull.fetch(2)
        assert first is not None
        assert await pull.fetch(0.3) is None
        assert await first.ack()
        second = await pull.fetch(2)
        assert second is not None
        assert second.subject == "t.work.b"

    async def test_an_ack_proves_nothing_about_who_holds(self, bus: Bus) -> None:
        """The reason why claims live in the register: the broker lets a former holder acknowledge."""
        await publish(bus, "t.work.a")
        pull = await bus.pull(_WORK, "one")
        former = await pull.fetch(2)
        holder = await pull.fetch(3)
        assert former is not None
        assert holder is not None
        assert await former.ack()
        assert await holder.ack()
        assert await pull.fetch(ACK_WAIT_S * 1.5) is None

    async def test_age_takes_a_message_from_under_its_holder(self, bus: Bus) -> None:
        await publish(bus, "t.wait.a")
        pull = await bus.pull(_WAIT, "many")
        delivery = await pull.fetch(2)
        assert delivery is not None
        assert await pull.fetch(TTL_S * 2) is None, "too old to come again"
        assert await delivery.ack(), "and its ack is answered all the same"

    async def test_a_cancelled_fetch_holds_no_message(self, bus: Bus) -> None:
        pull = await bus.pull(_WORK, "one")
        waiting = asyncio.create_task(pull.fetch(5))
        await asyncio.sleep(0.05)  # the request has to reach the server; there is nothing to wait for
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await publish(bus, "t.work.a")
        delivery = await pull.fetch(ACK_WAIT_S / 2)
        assert delivery is not None

    async def test_a_consumer_that_is_not_there_is_named(self, bus: Bus) -> None:
        with pytest.raises(BusMisconfigured, match="nobody"):
            await bus.pull(_WORK, "nobody")

    # -- bucket ----------------------------------------------------------------------------------------------------

    async def test_a_key_is_created_once(self, bus: Bus) -> None:
        bucket = await bus.bucket("t_kv")
        assert await bucket.get("a.b") is None
        revision = await bucket.create("a.b", b"1")
        assert revision is not None
        assert await bucket.create("a.b", b"2") is None
        entry = await bucket.get("a.b")
        assert entry is not None
        assert (entry.key, entry.value, entry.revision) == ("a.b", b"1", revision)

    async def test_an_update_needs_the_newest_revision(self, bus: Bus) -> None:
        bucket = await bus.bucket("t_kv")
        first = await bucket.put("k", b"1")
        second = await bucket.update("k", b"2", first)
        assert second is not None
        assert await bucket.update("k", b"3", first) is None
        entry = await bucket.get("k")
        assert entry is not None
        assert entry.value == b"2"

    async def test_a_deleted_key_is_gone_and_can_be_created_again(self, bus: Bus) -> None:
        bucket = await bus.bucket("t_kv")
        await bucket.put("k", b"1")
        await bucket.delete("k")
        assert await bucket.get("k") is None
        assert await bucket.entries() == []
        assert await bucket.create("k", b"2") is not None

    async def test_entries_are_the_present_values(self, bus: Bus) -> None:
        bucket = await bus.bucket("t_kv")
        await bucket.put("a.1", b"old")
        await bucket.put("a.1", b"new")
        await bucket.put("b.1", b"x")
        await bucket.put("c.1", b"x")
        await bucket.delete("c.1")
        assert sorted((entry.key, entry.value) for entry in await bucket.entries()) == [("a.1", b"new"), ("b.1", b"x")]

    async def test_a_value_is_forgotten_with_its_age(self, bus: Bus) -> None:
        bucket = await bus.bucket("t_short")
        await bucket.put("k", b"1")

        async def forgotten() -> bool:
            return await bucket.get("k") is None and not await bucket.entries()

        await eventually(forgotten, within_s=TTL_S * 3)

    async def test_a_key_is_plain_tokens(self, bus: Bus) -> None:
        bucket = await bus.bucket("t_kv")
        for key in ("a.*", "a>", "a b", ""):
            with pytest.raises(BusMisconfigured):
                await bucket.put(key, b"")

    # -- hints -----------------------------------------------------------------------------------------------------

    async def test_hints_reach_who_listens(self, bus: Bus) -> None:
        await bus.hint("h.cancel.a", b"nobody hears this")
        async with bus.hints("h.cancel.*") as hints:
            await bus.hint("h.cancel.a", b"1")
            await bus.hint("h.other.a", b"2")
            await bus.hint("h.cancel.b", b"3")
            heard = [await asyncio.wait_for(anext(hints), 2) for _ in range(2)]
        assert heard == [Hint("h.cancel.a", b"1"), Hint("h.cancel.b", b"3")]

    # -- register --------------------------------------------------------------------------------------------------

    async def test_the_first_record_wins_and_the_loser_reads_it(self, bus: Bus) -> None:
        register, job = StateRegister(bus, source="suite"), new_job_id()
        assert await register.read(LANE, job) is None
        won = await register.write(claimed(job, worker="w1"), after=0, traceparent="", correlation_id="c")
        lost = await register.write(claimed(job, worker="w2"), after=0, traceparent="", correlation_id="c")
        assert isinstance(won, Written)
        assert isinstance(lost, Lost)
        assert lost.held is not None
        assert lost.held.seq == won.seq
        assert lost.held.record == (await register.read(LANE, job)).record  # type: ignore[union-attr]

    async def test_of_many_claims_at_once_exactly_one_wins(self, bus: Bus) -> None:
        register, job = StateRegister(bus, source="suite"), new_job_id()
        outcomes = await asyncio.gather(
            *(
                register.write(claimed(job, worker=f"w{n}"), after=0, traceparent="", correlation_id="c")
                for n in range(20)
            )
        )
        won = [outcome for outcome in outcomes if isinstance(outcome, Written)]
        lost = [outcome for outcome in outcomes if isinstance(outcome, Lost)]
        assert (len(won), len(lost)) == (1, 19)
        assert all(one.held is not None and one.held.seq == won[0].seq for one in lost)

    async def test_a_repeated_write_of_a_stored_record_counts_as_written(self, bus: Bus) -> None:
        register, job = StateRegister(bus, source="suite"), new_job_id()
        record = claimed(job)
        first = await register.write(record, after=0, traceparent="", correlation_id="c")
        assert await register.write(record, after=0, traceparent="", correlation_id="c") == first

    async def test_an_outcome_is_fenced_by_the_claim(self, bus: Bus) -> None:
        register, job = StateRegister(bus, source="suite"), new_job_id()
        first = await register.write(claimed(job), after=0, traceparent="", correlation_id="c")
        assert isinstance(first, Written)
        second = await register.write(claimed(job, attempt=2), after=first.seq, traceparent="", correlation_id="c")
        assert isinstance(second, Written)
        late = await register.write(done(job, first.seq), after=first.seq, traceparent="", correlation_id="c")
        assert isinstance(late, Lost)
        good = await register.write(done(job, second.seq), after=second.seq, traceparent="", correlation_id="c")
        assert isinstance(good, Written)
        assert good.seq > second.seq > first.seq

    # -- lease -----------------------------------------------------------------------------------------------------

    async def test_a_lease_is_renewed_and_seen(self, bus: Bus) -> None:
        bucket, job = await bus.bucket(LEASE_BUCKET), new_job_id()
        lease = Lease(bucket, lane=LANE, job_id=job, claim_seq=7, worker="w1")
        first = await lease.acquire()
        second = await lease.renew()
        assert isinstance(first, Renewed)
        assert isinstance(second, Renewed)
        assert second.revision > first.revision
        sign = await sign_of_life(bucket, LANE, job)
        assert sign is not None
        assert (sign.worker, sign.claim_seq) == ("w1", 7)
        await lease.release()
        assert await sign_of_life(bucket, LANE, job) is None

    async def test_a_later_term_takes_the_lease_and_the_former_learns_it(self, bus: Bus) -> None:
        bucket, job = await bus.bucket(LEASE_BUCKET), new_job_id()
        former = Lease(bucket, lane=LANE, job_id=job, claim_seq=7, worker="w1")
        later = Lease(bucket, lane=LANE, job_id=job, claim_seq=9, worker="w2")
        await former.acquire()
        assert isinstance(await later.acquire(), Renewed)
        assert await former.renew() == LeaseLost("w2", 9)
        assert await former.acquire() == LeaseLost("w2", 9)
        await former.release()
        assert await sign_of_life(bucket, LANE, job) is not None, "only one's own lease can be released"

    # -- life ------------------------------------------------------------------------------------------------------

    async def test_closing_twice_is_fine_and_ends_what_waits(self, bus: Bus) -> None:
        pull = await bus.pull(_WORK, "one")
        waiting = asyncio.create_task(pull.fetch(0.5))
        await asyncio.sleep(0)
        await bus.close()
        await bus.close()
        with contextlib.suppress(Exception):
            assert await waiting is None
        assert not bus.connected
        assert await bus.publish("t.work.a", b"", message_id="m", within_s=0.1) == Unknown(
            "not connected to the broker", maybe_stored=False
        )
