"""Leases: one holder, the dead are replaced, the living are waited for, and who was replaced notices."""

import os
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from warmlane_modelstore.errors import Code, StoreError
from warmlane_modelstore.host import Identity
from warmlane_modelstore.leases.holding import LeaseRoom, Timing
from warmlane_modelstore.leases.lease import evict, read, take
from warmlane_modelstore.leases.uses import begin_use, users
from warmlane_modelstore.transfer.progress import Phase, Snapshot

QUICK = Timing(ttl_s=0.3, beat_s=0.02, poll_s=0.01)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "locks" / "m.lease"


def room(identity=None, timing=QUICK):
    return LeaseRoom(identity or Identity.current(), timing)


def test_only_one_takes_and_its_words_can_be_read(path):
    mine = take(path, Identity.current())
    assert take(path, Identity.current()) is None
    mine.beat(Snapshot("m", Phase.DOWNLOADING, 5, 10, "f"))
    holder = read(path)
    assert holder.identity == mine.identity
    assert (holder.progress.bytes_done, holder.progress.phase) == (5, Phase.DOWNLOADING)
    mine.release()
    mine.release()
    assert read(path) is None


def test_a_killed_processes_lease_is_taken_at_once(path):
    code = (
        "import sys, pathlib, os, signal\n"
        "from warmlane_modelstore.host import Identity\n"
        "from warmlane_modelstore.leases.lease import take\n"
        "take(pathlib.Path(sys.argv[1]), Identity.current())\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    with room(timing=Timing()).hold(path, what="m", wait_s=5, stop=threading.Event()) as held:
        assert not held.lease.taken_over
        held.check()
    assert list(path.parent.glob("*.lease*")) == []


def test_a_reused_pid_another_boot_and_another_container_are_told_apart():
    me = Identity.current()
    assert not me.knows_dead(me)
    assert me.knows_dead(replace(me, started="1"))
    assert me.knows_dead(replace(me, boot_id="before"))
    assert not me.knows_dead(replace(me, pid=999_999_999, pid_namespace="pid:[1]"))
    assert not me.knows_dead(replace(me, pid=999_999_999, host="elsewhere"))
    assert me.knows_dead(replace(me, pid=999_999_999))


def test_a_silent_holder_on_another_host_is_replaced_after_the_ttl_and_notices(path):
    foreign = take(path, replace(Identity.current(), host="elsewhere"))
    with room().hold(path, what="m", wait_s=5, stop=threading.Event()) as held:
        assert held.lease.taken_over
        assert not foreign.still_mine()
        assert foreign.beat() is False
        held.check()
        foreign.release()
        held.check()


def test_a_beating_holder_is_waited_for_and_shown_until_patience_ends(path):
    seen = []
    with (
        room().hold(
            path, what="m", wait_s=0, stop=threading.Event(), progress=lambda: Snapshot("m", Phase.LISTING, 1, 2)
        ),
        pytest.raises(StoreError) as caught,
        room(replace(Identity.current(), host="elsewhere")).hold(
            path, what="m", wait_s=0.8, stop=threading.Event(), waiting=lambda h: seen.append(h.progress)
        ),
    ):
        pytest.fail("two holders")
    assert caught.value.code is Code.LOCK_TIMEOUT
    assert str(os.getpid()) in caught.value.detail
    assert seen[-1].bytes_total == 2


def test_losing_the_lease_stops_the_work(path):
    lost = threading.Event()
    with room().hold(path, what="m", wait_s=0, stop=threading.Event(), lost=lost) as held:
        path.unlink()
        assert lost.wait(5)
        with pytest.raises(StoreError) as caught:
            held.check()
    assert caught.value.code is Code.LEASE_LOST


def test_evicting_looks_twice_and_never_removes_a_newer_lease(path):
    take(path, Identity.current())
    judged = read(path)
    path.unlink()
    newer = take(path, Identity.current())
    if read(path).inode == judged.inode:
        newer.beat()
    assert evict(path, judged) is False
    assert newer.still_mine()
    newer.release()


def test_many_threads_race_and_exactly_one_holds_at_a_time(path):
    inside, worst, lock = [0], [0], threading.Lock()

    def work():
        with room().hold(path, what="m", wait_s=30, stop=threading.Event()):
            with lock:
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst[0] == 1


def test_uses_are_many_and_end_with_their_process(tmp_path):
    directory = tmp_path / "uses"
    first, second = begin_use(directory, tmp_path), begin_use(directory, tmp_path)
    now = next(directory.iterdir()).stat().st_mtime
    assert len(users(directory, room(), now=now)) == 2
    first.close()
    assert len(users(directory, room(), now=now)) == 1
    assert users(directory, room(replace(Identity.current(), host="elsewhere")), now=now + 3600) == []
    second.close()
