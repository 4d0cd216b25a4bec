"""Logs: rotated files, readable lines."""

from warmlane_devstack.stack import logs
from warmlane_devstack.stack.logs import RotatedFile, readable


def test_files_are_rotated_and_the_oldest_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_BYTES", 20)
    file = RotatedFile(tmp_path / "api.log")
    for n in range(10):
        file.write(b"line %d of many\n" % n)
    file.close()
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {
        "api.log": "line 9 of many\n",
        "api.log.1": "line 8 of many\n",
        "api.log.2": "line 7 of many\n",
        "api.log.3": "line 6 of many\n",
    }


def test_an_event_becomes_a_line_for_people():
    line = '{"timestamp": "2026-01-02T03:04:05.6Z", "level": "info", "event": "task.accepted", "task_id": "T1", "lane": null}'
    assert readable(line).plain == "03:04:05 task.accepted task_id=T1"


def test_what_is_no_event_stays_as_it_is():
    assert readable("plain text").plain == "plain text"
    assert readable('{"some": "json"}').plain == '{"some": "json"}'
    assert readable("3").plain == "3"
