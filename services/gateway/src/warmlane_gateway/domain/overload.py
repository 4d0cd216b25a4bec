"""Queues that take no more, and when it may be worth asking again."""

from warmlane_contracts.errors import ErrorCode, WarmlaneError


class TryAgain(WarmlaneError):
    """A refusal that passes. `retry_after_s` is what the client is told, in words and in the header alike."""

    def __init__(self, code: ErrorCode, detail: str, retry_after_s: int) -> None:
        super().__init__(code, detail, f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class QueueOverloaded(TryAgain):
    """As many tasks wait as may, or nobody took this one in time."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(ErrorCode.QUEUE_OVERLOADED, detail, retry_after_s)


class TooManyWaiting(TryAgain):
    """As many tasks of this caller wait as may; others are not affected."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(ErrorCode.RATE_LIMITED, detail, retry_after_s)
