import signal
import subprocess
import sys

PROGRAM = """
from warmlane_runtime.faults import fault_point
for n in range(5):
    fault_point("lane.stored")
    print(n, flush=True)
    fault_point("lane.acked")
"""


def run(fault):
    env = {} if fault is None else {"WARMLANE_FAULT": fault}
    ran = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout.split()


def test_unset_or_another_name_lets_everything_pass():
    assert run(None) == (0, list("01234"))
    assert run("") == (0, list("01234"))
    assert run("lane.store,other:1") == (0, list("01234"))


def test_named_it_dies_there_by_sigkill():
    assert run("lane.stored") == (-signal.SIGKILL, [])
    assert run("lane.acked") == (-signal.SIGKILL, ["0"])


def test_counted_it_dies_the_nth_time():
    assert run("lane.stored:3") == (-signal.SIGKILL, ["0", "1"])


def test_of_several_the_first_that_is_due():
    assert run("lane.stored:4, lane.acked:2") == (-signal.SIGKILL, ["0", "1"])
