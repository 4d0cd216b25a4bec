"""What becomes of a silent job."""

import pytest
from warmlane_contracts.messages import Cancelled, Claimed, Expired, Released
from warmlane_jobs.rescue import STALE_S, KeepWatch, Reissue, Settled, judge_silence

HELD = {"task_id": "T", "job_id": "T-1", "lane": "anisora", "record_id": "r"}
CLAIMED = Claimed(**HELD, worker="w", attempt=1)
RELEASED = Released(**HELD, claim_seq=1, attempt=1, reason="soft_stop")


@pytest.mark.parametrize("ended", [Cancelled(**HELD, by="x"), Expired(**HELD, reason="r")])
def test_what_has_ended_is_settled_however_quiet(ended: object) -> None:
    assert judge_silence(ended, quiet_s=1e6) == Settled()  # type: ignore[arg-type]


@pytest.mark.parametrize("record", [CLAIMED, RELEASED])
def test_a_job_is_handed_out_again_only_after_silence(record: Claimed | Released) -> None:
    assert judge_silence(record, quiet_s=5.0) == KeepWatch(STALE_S - 5.0)
    assert judge_silence(record, quiet_s=STALE_S) == Reissue()
