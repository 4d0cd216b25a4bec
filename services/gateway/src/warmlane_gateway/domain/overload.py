"""A queue that takes no more, and when it may be worth asking again."""

from warmlane_contracts.errors import ErrorCode, WarmlaneError


class QueueOverloaded(WarmlaneError):
    """As many tasks wait as may. `retry_after_s` is what the client is told, in words and in the header alike."""

    def __init__(self, detail: str, retry_after_s: int) -> None:
        super().__init__(ErrorCode.QUEUE_OVERLOADED, detail, f"Try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s
