import pytest
from warmlane_runtime.tracecontext import continue_trace, new_trace, parse_traceparent

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{SPAN}-01"


def test_what_is_written_is_what_is_read():
    context = parse_traceparent(HEADER)
    assert (context.trace_id, context.span_id, context.sampled) == (TRACE, SPAN, True)
    assert context.traceparent == HEADER


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-02", 2),  # level 2: the trace id is random
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),  # unknown flags are dropped, not refused
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", 1),  # a later version is read as 00
        (f" {HEADER} ", 1),
    ],
)
def test_what_the_specification_accepts(header, flags):
    assert parse_traceparent(header).flags == flags


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-extra",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0x",
    ],
)
def test_what_it_refuses_starts_a_new_trace(header):
    assert parse_traceparent(header) is None
    assert continue_trace(header).trace_id != TRACE


def test_a_child_is_a_new_span_of_the_same_trace():
    parent = parse_traceparent(HEADER)
    child = parent.child()
    assert (child.trace_id, child.flags) == (parent.trace_id, parent.flags)
    assert child.span_id != parent.span_id
    assert continue_trace(HEADER).trace_id == TRACE


def test_an_all_zero_id_is_never_made():
    answers = iter([bytes(16), b"\x01" * 16, bytes(8), b"\x02" * 8])
    assert new_trace(lambda _: next(answers)).traceparent == f"00-{'01' * 16}-{'02' * 8}-03"
