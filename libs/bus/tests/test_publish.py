"""The outcome table, answer by answer, on a connection whose answers the test writes."""

import base64
import json
from types import SimpleNamespace

import pytest
from warmlane_bus import BusMisconfigured, BusUnavailable, Conflict, Full, Stored, Unknown
from warmlane_bus.bucket import NatsBucket
from warmlane_bus.connection import NoAnswerError, NobodyThereError, NotSentError
from warmlane_bus.jetstream import JetStreamApi
from warmlane_bus.publish import Publisher


class ScriptedConnection:
    """Answers each request with the next line of a script: a dict is the broker's JSON, an exception is raised."""

    connected = True

    def __init__(self, *script):
        self.script = list(script)
        self.sent = []

    async def request(self, subject, payload=b"", *, headers=None, timeout_s):
        self.sent.append((subject, dict(headers or {})))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(data=json.dumps(answer).encode())

    async def wait_connected(self, timeout_s):
        return True


def error(code, err_code, description):
    return {"error": {"code": code, "err_code": err_code, "description": description}}


STORED = {"stream": "S", "seq": 7}
FULL = error(503, 10077, "maximum messages exceeded")


async def publish(*script, within_s=0.5, **more):
    connection = ScriptedConnection(*script)
    outcome = await Publisher(connection).publish("a.b", b"x", message_id="m", within_s=within_s, **more)
    return outcome, connection.sent


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (STORED, Stored(7)),
        (STORED | {"duplicate": True}, Stored(7, duplicate=True)),
        (error(400, 10071, "wrong last sequence: 3"), Conflict()),
        (error(400, 10164, "wrong last sequence"), Conflict()),
        (FULL, Full("maximum messages exceeded")),
        (error(503, 10077, "maximum bytes exceeded"), Full("maximum bytes exceeded")),
        (error(503, 10077, "maximum messages per subject exceeded"), Full("maximum messages per subject exceeded")),
    ],
)
async def test_answers_that_settle_it_at_once(answer, expected):
    outcome, sent = await publish(answer)
    assert outcome == expected
    assert len(sent) == 1


@pytest.mark.parametrize(
    "answer",
    [
        NobodyThereError(),
        NotSentError(),
        NoAnswerError("no answer within 2 s"),
        error(503, 10077, "error opening msg block file"),
        error(503, 10008, "JetStream system temporarily unavailable"),
        error(500, 10000, "some store failure"),
        error(409, 10158, "message id is in process"),
    ],
)
async def test_answers_that_are_tried_again_under_the_same_id(answer):
    outcome, sent = await publish(answer, STORED)
    assert outcome == Stored(7)
    assert sent == [("a.b", {"Nats-Msg-Id": "m"})] * 2


@pytest.mark.parametrize(
    ("answer", "maybe_stored"),
    [
        (NotSentError(), False),
        (NobodyThereError(), False),
        (error(503, 10077, "error opening msg block file"), False),
        (NoAnswerError("the connection was lost"), True),
    ],
)
async def test_when_time_is_over_it_says_whether_it_may_be_stored(answer, maybe_stored):
    outcome, sent = await publish(answer, within_s=0.2)
    assert isinstance(outcome, Unknown)
    assert outcome.maybe_stored is maybe_stored
    assert outcome.reason
    assert len(sent) > 1


async def test_one_lost_answer_among_the_tries_is_enough_for_maybe():
    outcome, _ = await publish(NoAnswerError("lost"), NotSentError(), within_s=0.2)
    assert isinstance(outcome, Unknown)
    assert outcome.maybe_stored


async def test_full_after_a_lost_answer_is_no_refusal():
    """Our own earlier try may be one of the messages that fill it; refused and stored would be two outcomes."""
    outcome, _ = await publish(NoAnswerError("lost"), FULL)
    assert outcome == Unknown("maximum messages exceeded")


async def test_full_after_a_try_that_never_left_is_a_refusal():
    outcome, _ = await publish(NotSentError(), FULL)
    assert outcome == Full("maximum messages exceeded")


@pytest.mark.parametrize("answer", [error(400, 10060, "expected stream does not match"), error(403, 1, "forbidden")])
async def test_what_retrying_cannot_cure_is_raised(answer):
    with pytest.raises(BusMisconfigured, match=r"python -m warmlane_bus check"):
        await publish(answer)


async def test_the_condition_travels_and_the_callers_headers_stay_as_they_are():
    headers = {"traceparent": "t"}
    _, sent = await publish(STORED, expect_last_seq=0, headers=headers)
    assert sent[0][1] == {"traceparent": "t", "Nats-Msg-Id": "m", "Nats-Expected-Last-Subject-Sequence": "0"}
    assert headers == {"traceparent": "t"}


def last_message(message_id, seq):
    headers = f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n\r\n".encode()
    return {
        "message": {
            "subject": "$KV.b.k",
            "seq": seq,
            "time": "2026-01-01T00:00:00.123456789Z",
            "data": base64.b64encode(b"v").decode(),
            "hdrs": base64.b64encode(headers).decode(),
        }
    }


class EchoingConnection(ScriptedConnection):
    """Loses the answer to a write, refuses its retry, and then shows that write, or another's, as the last one."""

    def __init__(self, *, mine):
        super().__init__(NoAnswerError("lost"), error(400, 10071, "wrong last sequence: 8"))
        self.mine = mine

    async def request(self, subject, payload=b"", *, headers=None, timeout_s):
        if subject.startswith("$JS.API.STREAM.MSG.GET"):
            message_id = self.sent[0][1]["Nats-Msg-Id"] if self.mine else "another"
            return SimpleNamespace(data=json.dumps(last_message(message_id, 8)).encode())
        return await super().request(subject, payload, headers=headers, timeout_s=timeout_s)


@pytest.mark.parametrize(("mine", "revision"), [(True, 8), (False, None)])
async def test_a_bucket_recognises_its_own_write_whose_answer_was_lost(mine, revision):
    connection = EchoingConnection(mine=mine)
    bucket = NatsBucket(JetStreamApi(connection), Publisher(connection), name="b")
    assert await bucket.update("k", b"v", 3, within_s=1) == revision


async def test_a_bucket_whose_write_stays_unanswered_says_so():
    connection = ScriptedConnection(NoAnswerError("lost"))
    bucket = NatsBucket(JetStreamApi(connection), Publisher(connection), name="b")
    with pytest.raises(BusUnavailable, match="undecided"):
        await bucket.put("k", b"v", within_s=0.1)


async def test_a_broker_time_is_read_to_the_microsecond():
    connection = ScriptedConnection(last_message("m", 8))
    message = await JetStreamApi(connection).last("KV_b", "$KV.b.k")
    assert message.time.isoformat() == "2026-01-01T00:00:00.123456+00:00"
    assert message.headers == {"Nats-Msg-Id": "m"}
