"""A stream and its consumers in memory: what JetStream does, as far as Warmlane stands on it.

Kept on purpose, because code that forgets one of them works in a fake and fails in production:

* messages in flight count against the limit; age removes a message even while somebody holds it
* an acknowledgement is not fenced: an old holder's ack removes the message under the new holder
* in a work queue a message goes with its ack; redelivered messages come first
* ids are remembered for the duplicate window, also of messages that are gone
* a condition is checked before the id: a retry of a stored conditioned publish conflicts with itself
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from warmlane_bus.ports import Conflict, Full, Message, Stored
from warmlane_contracts.topology import Consumer, Stream
from warmlane_runtime.clock import Clock


def matches(pattern: str, subject: str) -> bool:
    """Say whether `subject` is one of `pattern`'s; `*` stands for one token, a last `>` for one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    for index, token in enumerate(wanted):
        if token == ">":
            return len(given) > index
        if index >= len(given) or token not in {"*", given[index]}:
            return False
    return len(wanted) == len(given)


class FakeStream:
    """The messages of one stream, in order."""

    def __init__(self, config: Stream, clock: Clock) -> None:
        """Be empty."""
        self.config = config
        self._clock = clock
        self._messages: dict[int, Message] = {}
        self._ids: dict[str, tuple[int, datetime]] = {}
        self.last_seq = 0

    @property
    def messages(self) -> list[Message]:
        """Return what is stored now, oldest first."""
        self._forget_old()
        return list(self._messages.values())

    def takes(self, subject: str) -> bool:
        """Say whether the stream stores `subject`."""
        return any(matches(pattern, subject) for pattern in self.config.subjects)

    def get(self, seq: int) -> Message | None:
        """Return a stored message."""
        self._forget_old()
        return self._messages.get(seq)

    def last(self, subject: str) -> Message | None:
        """Return the newest message of a subject."""
        return next((message for message in reversed(self.messages) if message.subject == subject), None)

    def remove(self, seq: int) -> None:
        """Drop a message."""
        self._messages.pop(seq, None)

    def store(
        self, subject: str, data: bytes, *, message_id: str | None, expect_last_seq: int | None, headers: dict[str, str]
    ) -> Stored | Conflict | Full:
        """Store a message unless its condition fails, its id is known, or the stream is full."""
        self._forget_old()
        if expect_last_seq is not None:
            last = self.last(subject)
            if (last.seq if last else 0) != expect_last_seq:
                return Conflict()
        if message_id is not None and message_id in self._ids:
            return Stored(self._ids[message_id][0], duplicate=True)
        if full := self._full(len(data)):
            return full
        self.last_seq += 1
        self._messages[self.last_seq] = Message(subject, data, self.last_seq, self._clock.now(), dict(headers))
        if message_id is not None:
            self._ids[message_id] = (self.last_seq, self._clock.now())
        self._trim(subject)
        return Stored(self.last_seq)

    def _full(self, size: int) -> Full | None:
        if self.config.discard != "new":
            return None
        if self.config.max_msgs and len(self._messages) >= self.config.max_msgs:
            return Full("maximum messages exceeded")
        if self.config.max_bytes and size + sum(len(m.data) for m in self._messages.values()) > self.config.max_bytes:
            return Full("maximum bytes exceeded")
        return None

    def _trim(self, subject: str) -> None:
        """Drop the oldest of a subject, then of the stream, that are over a limit."""
        if self.config.max_msgs_per_subject:
            same = [seq for seq, message in self._messages.items() if message.subject == subject]
            for seq in same[: -self.config.max_msgs_per_subject]:
                del self._messages[seq]
        while self.config.max_msgs and len(self._messages) > self.config.max_msgs:
            del self._messages[next(iter(self._messages))]

    def _forget_old(self) -> None:
        now = self._clock.now()
        if self.config.max_age_s:
            oldest = now - timedelta(seconds=self.config.max_age_s)
            self._messages = {seq: message for seq, message in self._messages.items() if message.time > oldest}
        forgotten = now - timedelta(seconds=self.config.duplicate_window_s)
        self._ids = {key: known for key, known in self._ids.items() if known[1] > forgotten}


@dataclass(slots=True)
class _InFlight:
    """A message that was handed out. `back_at` is when it may be handed out again."""

    back_at: float
    given_back: bool = False


@dataclass(slots=True)
class FakeConsumer:
    """A durable consumer: which messages it has handed out, and when they come again."""

    config: Consumer
    stream: FakeStream
    clock: Clock
    position: int = 0
    in_flight: dict[int, _InFlight] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)

    def next(self) -> tuple[Message, int] | None:
        """Hand out the next message with the number of its delivery: first one that comes again, then a new one."""
        self._drop_gone()
        message = self._again() or self._new()
        if message is None:
            return None
        self.in_flight[message.seq] = _InFlight(self.clock.monotonic() + self.config.ack_wait_s)
        self.counts[message.seq] = self.counts.get(message.seq, 0) + 1
        return message, self.counts[message.seq]

    def next_change_in(self) -> float | None:
        """Return in how many seconds something in flight comes again."""
        now = self.clock.monotonic()
        return min((max(0.0, flight.back_at - now) for flight in self.in_flight.values()), default=None)

    def settle(self, seq: int) -> None:
        """Take an ack or a term, whoever sent it."""
        self.in_flight.pop(seq, None)
        self.counts.pop(seq, None)
        if self.stream.config.retention == "workqueue":
            self.stream.remove(seq)

    def working(self, seq: int) -> None:
        """Start the ack wait over, whoever asks."""
        if flight := self.in_flight.get(seq):
            flight.back_at = self.clock.monotonic() + self.config.ack_wait_s

    def give_back(self, seq: int, delay_s: float) -> None:
        """Hand it out again after `delay_s`."""
        if flight := self.in_flight.get(seq):
            flight.back_at = self.clock.monotonic() + delay_s
            flight.given_back = True

    def _again(self) -> Message | None:
        now = self.clock.monotonic()
        due = [seq for seq, flight in self.in_flight.items() if flight.back_at <= now]
        return self.stream.get(min(due)) if due else None

    def _new(self) -> Message | None:
        held = sum(not flight.given_back for flight in self.in_flight.values())
        if held >= self.config.max_ack_pending:
            return None
        for message in self.stream.messages:
            if message.seq > self.position and matches(self.config.filter_subject, message.subject):
                self.position = message.seq
                return message
        return None

    def _drop_gone(self) -> None:
        """Forget what the stream no longer has: its age or a limit removed it."""
        for seq in [seq for seq in self.in_flight if self.stream.get(seq) is None]:
            del self.in_flight[seq]
            self.counts.pop(seq, None)
