"""From one precision to another, in pieces, with numpy and ml_dtypes: the same bits torch gives, without torch.

fp32, fp16 → bf16           rounded to nearest even, as torch does
fp8                         → bf16, exact: every fp8 value is a bf16 value
fp8 with a scale            → (fp8 → fp32) x scale → bf16: rounded once, at the end
"""

from collections.abc import Iterator

import ml_dtypes
import numpy as np
import numpy.typing as npt

_NUMPY: dict[str, npt.DTypeLike] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}
FLOATS = frozenset(_NUMPY)
FP8 = frozenset({"F8_E4M3", "F8_E5M2"})


def scale_values(data: bytes, dtype: str) -> npt.NDArray[np.float32]:
    """A scale tensor as fp32: one value, or one for each row of its weight."""
    return np.frombuffer(data, dtype=_NUMPY[dtype]).astype(np.float32)


def cast(
    pieces: Iterator[memoryview], source: str, target: str, scale: npt.NDArray[np.float32] | None, row: int
) -> Iterator[memoryview]:
    """Pieces of `source` as pieces of `target`. `row` is how many elements one value of a row-wise scale covers."""
    done = 0
    for piece in pieces:
        values = np.frombuffer(piece, dtype=_NUMPY[source])
        if scale is not None:
            values = values.astype(np.float32) * _factors(scale, done, len(values), row)
        done += len(values)
        # A saturating overflow is what the target precision means; numpy need not warn of it.
        with np.errstate(over="ignore", invalid="ignore"):
            yield np.ascontiguousarray(values.astype(_NUMPY[target])).view(np.uint8).data


def _factors(scale: npt.NDArray[np.float32], start: int, count: int, row: int) -> npt.NDArray[np.float32] | np.float32:
    if scale.size == 1:
        return np.float32(scale.reshape(-1)[0])
    rows = np.arange(start, start + count, dtype=np.int64) // row
    return scale.reshape(-1)[rows]
