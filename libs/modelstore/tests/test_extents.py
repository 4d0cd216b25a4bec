"""Extents agree with a plain set of bytes, whatever order ranges come in."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from warmlane_modelstore.transfer.extents import Extents

SIZE = 60
ranges = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=12)


@given(ranges, st.integers(1, 20))
def test_missing_is_the_complement_cut_at_steps(added, step):
    extents, model = Extents(), set()
    for start, end in added:
        extents.add(start, end)
        model |= set(range(start, end))
    missing = list(extents.missing(SIZE, step))
    assert {b for start, end in missing for b in range(start, end)} == set(range(SIZE)) - model
    assert all(start < end and start // step == (end - 1) // step for start, end in missing)
    assert missing == sorted(missing)
    assert extents.total == len(model)


@given(ranges, st.integers(0, SIZE))
def test_covered_from_reaches_exactly_to_the_first_gap(added, start):
    extents, model = Extents(), set()
    for low, high in added:
        extents.add(low, high)
        model |= set(range(low, high))
    reach = start
    while reach in model:
        reach += 1
    assert extents.covered_from(start) == reach


@given(ranges)
def test_ranges_stay_sorted_and_apart(added):
    extents = Extents()
    for start, end in added:
        extents.add(start, end)
    listed = list(extents)
    assert all(a[1] < b[0] for a, b in pairwise(listed))
