"""How far a task is, in percent, from the stage and the step its engine reports.

The shares follow where the time goes with the real models: nearly all of it is denoising.
"""

from warmlane_contracts.messages import Stage

from warmlane_lanekit.engine import StepProgress

_BEGINS = {
    Stage.QUEUED: 0,
    Stage.CLAIMED: 1,
    Stage.LOADING: 2,
    Stage.ENCODING_PROMPT: 4,
    Stage.DENOISING: 6,
    Stage.DECODING: 88,
    Stage.ENCODING: 95,
    Stage.UPLOADING: 98,
    Stage.DONE: 100,
}


def percent(at: StepProgress) -> int:
    """Return 0 to 100. Never falls along the stages' order, nor with the steps of denoising."""
    begin = _BEGINS[at.stage]
    if at.stage is not Stage.DENOISING or not at.steps:
        return begin
    return begin + (_BEGINS[Stage.DECODING] - begin) * min(at.step, at.steps) // at.steps
