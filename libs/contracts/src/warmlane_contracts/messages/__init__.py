"""Every message Warmlane sends, by the type that names it on the wire.

| module | what it holds | where it travels |
|---|---|---|
| `job` | the command that carries a task to a lane | `WL_LANE` |
| `state` | the records of the register: claims and outcomes | `WL_STATE` |
| `event` | facts: progress, lanes, memory, fallback | `WL_EVENTS` |
| `model` | facts: models brought to a node | `WL_EVENTS` |
| `lane` | the lane directory's record, and what was decided about a lane | buckets `wl_lanes`, `wl_routing` |
"""

from warmlane_contracts.messages.base import Message
from warmlane_contracts.messages.event import (
    ColdStarted,
    FallbackActivated,
    FallbackEnded,
    LaneChanged,
    MemoryCleaned,
    MemoryMeasured,
    Stage,
    TaskProgressed,
)
from warmlane_contracts.messages.job import ClipParams, InputRef, InputRole, JobRequested, OutputFormat
from warmlane_contracts.messages.lane import (
    Availability,
    FallbackReason,
    LaneFallback,
    LaneMode,
    LaneRecord,
    LaneRouting,
    RoutingChoice,
)
from warmlane_contracts.messages.model import ModelEnsured, ModelFailed, ModelProgressed
from warmlane_contracts.messages.state import (
    TERMINAL,
    Cancelled,
    Claimed,
    Done,
    Expired,
    Failed,
    Rejected,
    Released,
    ResultRef,
    StateRecord,
    Timings,
)

MESSAGES: dict[str, type[Message]] = {
    cls.TYPE: cls
    for cls in (
        JobRequested,
        Claimed,
        Done,
        Failed,
        Released,
        Cancelled,
        Expired,
        Rejected,
        TaskProgressed,
        LaneChanged,
        ColdStarted,
        MemoryCleaned,
        MemoryMeasured,
        FallbackActivated,
        FallbackEnded,
        ModelProgressed,
        ModelEnsured,
        ModelFailed,
    )
}

__all__ = [
    "MESSAGES",
    "TERMINAL",
    "Availability",
    "Cancelled",
    "Claimed",
    "ClipParams",
    "ColdStarted",
    "Done",
    "Expired",
    "Failed",
    "FallbackActivated",
    "FallbackEnded",
    "FallbackReason",
    "InputRef",
    "InputRole",
    "JobRequested",
    "LaneChanged",
    "LaneFallback",
    "LaneMode",
    "LaneRecord",
    "LaneRouting",
    "MemoryCleaned",
    "MemoryMeasured",
    "Message",
    "ModelEnsured",
    "ModelFailed",
    "ModelProgressed",
    "OutputFormat",
    "Rejected",
    "Released",
    "ResultRef",
    "RoutingChoice",
    "Stage",
    "StateRecord",
    "TaskProgressed",
    "Timings",
]
