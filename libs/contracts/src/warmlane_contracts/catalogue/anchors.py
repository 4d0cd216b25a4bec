"""Which frame of a clip a keyframe stands at."""


def anchor_frame(position: float, num_frames: int, step: int) -> int:
    """Return the frame for a position of 0 to 1: the nearest multiple of `step`, but the last frame for 1.

    A model that was trained with anchors at certain frames only (`anchor_step` of its runtime) understands no others.
    """
    last = num_frames - 1
    if position >= 1:
        return last
    return min(round(position * last / step) * step, last)
