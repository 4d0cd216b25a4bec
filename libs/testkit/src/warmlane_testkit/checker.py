"""Proves that a run kept its promises, from what it left behind. Pure: the same evidence gives the same verdict.

| invariant | promise |
|---|---|
| `one_end` | every accepted request has exactly one terminal record, and nothing follows it |
| `no_ghosts` | no record without an accepted request |
| `fenced` | outcomes are written by the last claim; attempts count up by one |
| `one_result` | a finished task's clip is there, under its claim's key, and no other clip of the task is |
| `depth` | never more than 25 waited |
| `answers` | what the client was told is what happened, in the one shape |
| `replay` | replaying the records gives the database |
| `one_at_a_time` | no worker held two jobs at once |
| `cleaned` | every generation of a worker that lived had its cleanup and its memory reading |
| `nothing_left` | no row to publish, no token, no lease, no unfinished task |
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from warmlane_contracts.messages import (
    TERMINAL,
    Claimed,
    Done,
    Expired,
    Failed,
    MemoryCleaned,
    MemoryMeasured,
    Rejected,
    Released,
    TaskProgressed,
)
from warmlane_contracts.topology import WAIT_DEPTH
from warmlane_jobs.task import TaskState, record_state

from warmlane_testkit.evidence import Evidence, Recorded

_ACCEPTED, _BUSY = 202, 503


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, by which task, and what shows it."""

    invariant: str
    subject: str
    evidence: str


def check(evidence: Evidence) -> list[Violation]:
    """Return every violation; none means that all promises were kept."""
    return [
        Violation(name, subject, shown)
        for name, invariant in INVARIANTS.items()
        for subject, shown in invariant(evidence, _histories(evidence))
    ]


Histories = dict[str, list[Recorded]]
Found = Iterator[tuple[str, str]]


def _histories(evidence: Evidence) -> Histories:
    histories: Histories = defaultdict(list)
    for recorded in sorted(evidence.records, key=lambda one: one.seq):
        histories[recorded.record.task_id].append(recorded)
    return histories


def _one_end(evidence: Evidence, histories: Histories) -> Found:
    accepted = {answer.task_id for answer in evidence.answers if answer.status == _ACCEPTED and answer.task_id}
    for task_id in accepted - histories.keys():
        yield task_id, "was accepted and has no record"
    for task_id, history in histories.items():
        ends = [one for one in history if isinstance(one.record, TERMINAL)]
        if len(ends) != 1:
            yield task_id, f"has {len(ends)} ends: {_shown(history)}"
        elif history[-1] is not ends[0]:
            yield task_id, f"went on after its end: {_shown(history)}"


def _no_ghosts(evidence: Evidence, histories: Histories) -> Found:
    known = evidence.tasks.keys() | {answer.task_id for answer in evidence.answers}
    for task_id in histories.keys() - known:
        yield task_id, "has records and nobody asked for it"


def _fenced(_evidence: Evidence, histories: Histories) -> Found:
    for task_id, history in histories.items():
        claim: Recorded | None = None
        attempts = 0
        for one in history:
            match one.record:
                case Claimed():
                    attempts += 1
                    claim = one
                    if one.record.attempt != attempts:
                        yield task_id, f"attempt {one.record.attempt} came as number {attempts}"
                case Done() | Released() | Failed() if one.record.claim_seq is not None:
                    if claim is None or one.record.claim_seq != claim.seq:
                        yield task_id, f"{type(one.record).__name__} by another than the last claim: {_shown(history)}"


def _one_result(evidence: Evidence, histories: Histories) -> Found:
    stored: dict[str, set[str]] = defaultdict(set)
    for key in evidence.objects:
        stored[key.split("/")[1]].add(key)
    for task_id, history in histories.items():
        last = history[-1].record
        wanted = set()
        if isinstance(last, Done):
            wanted = {last.result.key, last.result.preview_key}
            if not last.result.key.startswith(f"results/{task_id}/{last.claim_seq}/"):
                yield task_id, f"has a result under {last.result.key}"
        if task_id in evidence.tasks and wanted - stored[task_id]:
            yield task_id, f"is done and lacks {sorted(wanted - stored[task_id])}"
        clips = {key for key in stored[task_id] - wanted if not key.endswith("live.webp")}
        if clips and _told_its_end(history, evidence):
            yield task_id, f"left {sorted(clips)}"


def _told_its_end(history: list[Recorded], evidence: Evidence) -> bool:
    """Say whether every worker of a task lived to sweep what it stored: a killed one leaves its claim's folder."""
    return not any(isinstance(one.record, Claimed) and one.record.worker in evidence.killed_workers for one in history)


def _depth(evidence: Evidence, _histories: Histories) -> Found:
    if evidence.depths and max(evidence.depths) > WAIT_DEPTH:
        yield "queue", f"{max(evidence.depths)} waited"


def _answers(evidence: Evidence, histories: Histories) -> Found:
    by_correlation = {row["correlation_id"]: task_id for task_id, row in evidence.tasks.items()}
    for answer in evidence.answers:
        if answer.code is not None and answer.code.startswith("unreadable"):
            yield answer.correlation_id, f"was answered {answer.status} and {answer.code}"
        task_id = answer.task_id or by_correlation.get(answer.correlation_id, "")
        history = histories.get(task_id, [])
        if not history:
            continue  # refused before there was a task, or `one_end` says it
        refused = isinstance(history[-1].record, Expired | Rejected)
        if answer.status == _BUSY and answer.code == "queue_overloaded" and not refused:
            yield task_id, f"was refused to the client and is {_shown(history)}"
        if answer.status == _ACCEPTED and isinstance(history[-1].record, Rejected):
            yield task_id, "was accepted to the client and rejected"


def _replay(evidence: Evidence, histories: Histories) -> Found:
    for task_id, row in evidence.tasks.items():
        state = TaskState()
        for one in histories.get(task_id, []):
            state = record_state(state, one.record, one.seq, one.at)
        found = (row["status"], row["error_code"], (row["result"] or {}).get("key"), row["state_seq"])
        wanted = (state.status.value, state.error_code, state.result.key if state.result else None, state.state_seq)
        if found != wanted:
            yield task_id, f"is {found} in the database and {wanted} by its records"


def _one_at_a_time(_evidence: Evidence, histories: Histories) -> Found:
    holds: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for task_id, history in histories.items():
        for number, one in enumerate(history):
            if isinstance(one.record, Claimed):
                until = history[number + 1].seq if number + 1 < len(history) else 2**62
                holds[one.record.worker].append((one.seq, until, task_id))
    for worker, spans in holds.items():
        spans.sort()
        for (_, until, first), (begin, _, second) in pairwise(spans):
            if begin < until:
                yield worker, f"claimed {second} while it held {first}"


def _cleaned(evidence: Evidence, histories: Histories) -> Found:
    cleaned = Counter((fact.task_id, fact.worker) for fact in evidence.facts if isinstance(fact, MemoryCleaned))
    measured = Counter((fact.task_id, fact.worker) for fact in evidence.facts if isinstance(fact, MemoryMeasured))
    # A claim whose answer the broker's death swallowed stands, and its worker never began.
    told = {fact.claim_seq for fact in evidence.facts if isinstance(fact, TaskProgressed)}
    claims = Counter(
        (task_id, one.record.worker)
        for task_id, history in histories.items()
        for number, one in enumerate(history)
        if isinstance(one.record, Claimed) and (one.seq in told or _ended_by_itself(history, number))
    )
    for (task_id, worker), attempts in claims.items():
        if worker in evidence.killed_workers:
            continue
        for what, counted in (("cleanup", cleaned), ("memory reading", measured)):
            if counted[task_id, worker] < attempts:
                yield task_id, f"{attempts} attempts on {worker} and {counted[task_id, worker]} times a {what}"


def _ended_by_itself(history: list[Recorded], number: int) -> bool:
    """Say whether the worker of a claim wrote its end: it ran, whether its progress was heard or not."""
    following = history[number + 1].record if number + 1 < len(history) else None
    return isinstance(following, Done | Failed | Released) and following.claim_seq == history[number].seq


def _nothing_left(evidence: Evidence, histories: Histories) -> Found:
    for what, count in (("outbox rows", evidence.outbox), ("tokens", evidence.tokens), ("waiting", evidence.waiting)):
        if count:
            yield what, f"{count} are left"
    ended = {one.record.job_id for history in histories.values() for one in history if isinstance(one.record, TERMINAL)}
    for key in evidence.leases:
        if key.split(".", 1)[1] in ended:
            yield key, "is a lease of a job that has ended"
    for task_id, row in evidence.tasks.items():
        if row["status"] in {"pending", "processing"}:
            yield task_id, f"is still {row['status']}"


INVARIANTS: dict[str, Callable[[Evidence, Histories], Found]] = {
    "one_end": _one_end,
    "no_ghosts": _no_ghosts,
    "fenced": _fenced,
    "one_result": _one_result,
    "depth": _depth,
    "answers": _answers,
    "replay": _replay,
    "one_at_a_time": _one_at_a_time,
    "cleaned": _cleaned,
    "nothing_left": _nothing_left,
}


def _shown(history: list[Recorded]) -> str:
    return " ".join(f"{one.seq}:{type(one.record).__name__}" for one in history)
