"""The command line against a small HTTP server that answers as the gateway would: errors, exit codes, resuming."""

import base64
import hashlib
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from rich.console import Console
from warmlane_devstack.cli import follow as following
from warmlane_devstack.cli import main as cli
from warmlane_devstack.cli import up as greeting
from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.exits import CommandFailed, Exit

TASK = "01JC0000000000000000000000"
CLIP = b"not really a clip" * 1000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class FakeGateway:
    """Answers by `routes`: (method, path) → function(request handler). Keeps what was asked."""

    def __init__(self):
        self.asked = []
        self.routes = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self):
                length = int(self.headers.get("Content-Length", 0))
                self.body = json.loads(self.rfile.read(length) or "null")
                path = self.path.partition("?")[0]
                fake.asked.append((self.command, self.path, self.body, dict(self.headers)))
                fake.routes.get((self.command, path), not_found)(self)

            do_GET = do_POST = do  # noqa: N815  # http.server finds them by these names

            def log_message(self, *arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def answer(handler, body, *, status=200, headers=None, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


def problem(status, code, **extra):
    body = {"status": status, "code": code, "detail": f"because of {code}", "user_action": "do better", **extra}
    return lambda handler: answer(handler, body, status=status, kind="application/problem+json")


not_found = problem(404, "task_not_found")


def status(state, **extra):
    return {"task_id": TASK, "status": state, "progress": 0, **extra}


def events(*items):
    """A stream of (id, data) that ends without a word, as a broken connection does."""

    def handle(handler):
        text = "".join(f"id: {number}\nevent: status\ndata: {json.dumps(data)}\n\n" for number, data in items)
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(b": hello\n\n" + text.encode())

    return handle


@pytest.fixture
def gateway(monkeypatch):
    fake = FakeGateway()
    monkeypatch.setenv("WARMLANE_URL", fake.url)
    monkeypatch.setenv("WARMLANE_API_KEY", "wl_test")
    monkeypatch.setattr(following, "FIRST_PAUSE_S", 0.01)
    trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    fake.routes[("POST", "/generate")] = lambda handler: answer(handler, status("pending"), status=202, headers=trace)
    fake.routes[("GET", f"/status/{TASK}")] = lambda handler: answer(handler, status("done", progress=100, seed=7))
    fake.routes[("GET", f"/status/{TASK}/events")] = events((1, status("done", progress=100, seed=7)))
    fake.routes[("GET", f"/results/{TASK}")] = lambda handler: answer(handler, CLIP, kind="video/mp4")
    fake.routes[("GET", f"/preview/{TASK}")] = lambda handler: answer(handler, b"preview", kind="image/webp")
    yield fake
    fake.close()


@pytest.fixture
def warmlane(monkeypatch, capsys):
    """Run the command; returns (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["warmlane", *map(str, arguments)])
        try:
            code = cli.main()
        except SystemExit as left:
            code = left.code
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def test_generate_submits_follows_and_downloads(gateway, warmlane, tmp_path):
    clip, preview = tmp_path / "new" / "clip.webm", tmp_path / "clip.webp"
    code, out, _ = warmlane("generate", "--model", "phr00t", "--prompt", "a boat", "-o", clip, "--preview", preview)
    assert code == Exit.DONE
    assert clip.read_bytes() == CLIP
    assert preview.read_bytes() == b"preview"
    assert TRACE in out
    method, _, body, headers = gateway.asked[0]
    assert method == "POST"
    assert body == {"model": "phr00t", "prompt": "a boat", "output_format": "webm"}
    assert headers["X-API-Key"] == "wl_test"
    assert headers["Idempotency-Key"]


def test_every_option_reaches_its_field(gateway, warmlane, tmp_path):
    picture = tmp_path / "p.png"
    picture.write_bytes(b"\x89PNG")
    uri = "data:image/png;base64," + base64.b64encode(b"\x89PNG").decode()
    options = "--negative-prompt n --mode i2v --width 64 --height 80 --frames 5 --fps 8 --steps 8 --cfg 1.5 --seed 7"
    more = "--motion-score 2.5 --lighting-variant dim --reference-strength 0.5 --denoising-strength 0.4 --format gif"
    images = ["--image", picture, "--first", "asset_1", "--last", picture, "--keyframe", f"{picture}@0.5"]
    arguments = ["--model", "m", "--prompt", "p", *options.split(), *more.split(), *images, "--no-wait"]
    code, out, _ = warmlane("generate", *arguments)
    assert (code, out.strip()) == (Exit.DONE, TASK)
    assert gateway.asked[0][2] == {
        "model": "m",
        "prompt": "p",
        "negative_prompt": "n",
        "mode": "i2v",
        "width": 64,
        "height": 80,
        "num_frames": 5,
        "fps": 8,
        "steps": 8,
        "cfg": 1.5,
        "seed": 7,
        "motion_score": 2.5,
        "lighting_variant": "dim",
        "reference_strength": 0.5,
        "denoising_strength": 0.4,
        "output_format": "gif",
        "reference_image": uri,
        "first_frame_image": "asset_1",
        "last_frame_image": uri,
        "arbitrary_frames": [{"image": uri, "position": 0.5}],
    }


def test_json_is_one_document(gateway, warmlane, tmp_path):
    clip = tmp_path / "c.mp4"
    code, out, err = warmlane("generate", "--model", "m", "--prompt", "p", "-o", clip, "--json")
    document = json.loads(out)
    assert (code, err) == (Exit.DONE, "")
    assert document["output"] == str(clip)
    assert document["trace_id"] == TRACE
    assert document["task"]["seed"] == 7


@pytest.mark.parametrize(
    ("http_status", "code", "expected"),
    [
        (422, "validation_error", Exit.BAD_USAGE),
        (409, "idempotency_conflict", Exit.BAD_USAGE),
        (413, "payload_too_large", Exit.BAD_USAGE),
        (404, "task_not_found", Exit.NOT_FOUND),
        (410, "result_gone", Exit.NOT_FOUND),
        (401, "invalid_api_key", Exit.REFUSED),
        (403, "forbidden", Exit.REFUSED),
        (429, "rate_limited", Exit.OVERLOADED),
        (503, "queue_overloaded", Exit.OVERLOADED),
        (507, "storage_full", Exit.NO_SPACE),
        (503, "dependency_unavailable", Exit.NETWORK),
        (500, "internal_error", Exit.FAILED),
    ],
)
def test_each_refusal_has_its_exit_code_and_says_what_to_do(gateway, warmlane, http_status, code, expected):
    errors = [{"field": "steps", "message": "is fixed", "allowed": 8}]
    gateway.routes[("POST", "/generate")] = problem(http_status, code, errors=errors)
    left, out, err = warmlane("generate", "--model", "m", "--prompt", "p")
    assert (left, out) == (expected, "")
    assert err == f"warmlane: because of {code}\n  steps: is fixed (allowed: 8)\n  do better\n"
    left, out, err = warmlane("generate", "--model", "m", "--prompt", "p", "--json")
    assert (left, err) == (expected, "")
    assert json.loads(out)["error"]["code"] == code


def test_an_answer_that_is_no_problem_document_is_still_one_line(gateway, warmlane):
    gateway.routes[("GET", "/lanes")] = lambda handler: answer(handler, b"<html>", status=502, kind="text/html")
    assert warmlane("lanes") == (Exit.NETWORK, "", "warmlane: the gateway answered 502 Bad Gateway\n")


def test_a_broken_stream_is_resumed_where_it_broke(gateway, warmlane, tmp_path):
    streams = iter([
        events((1, status("pending", queue_position=1, eta_s=4)), (2, status("processing", stage="denoising", step=1, steps=4))),
        problem(503, "dependency_unavailable"),
        events((3, status("processing", progress=80)), (4, status("done", progress=100))),
    ])  # fmt: skip
    gateway.routes[("GET", f"/status/{TASK}/events")] = lambda handler: next(streams)(handler)  # noqa: PLW0108  # next at each call
    code, _, _ = warmlane("generate", "--model", "m", "--prompt", "p", "-o", tmp_path / "c.mp4")
    assert code == Exit.DONE
    resumed = [headers.get("Last-Event-ID") for _, path, _, headers in gateway.asked if path.endswith("/events")]
    assert resumed == [None, "2", "2"]


def test_following_gives_up_when_nothing_is_heard_for_long(gateway, warmlane, monkeypatch):
    monkeypatch.setattr(following, "GIVE_UP_AFTER_S", 0.05)
    gateway.routes[("GET", f"/status/{TASK}")] = lambda handler: answer(handler, status("processing"))
    gateway.routes[("GET", f"/status/{TASK}/events")] = problem(503, "dependency_unavailable")
    code, _, err = warmlane("tasks", "watch", TASK)
    assert code == Exit.NETWORK
    assert "because of dependency_unavailable" in err


def test_ctrl_c_leaves_the_task_and_says_how_to_watch_and_cancel_it(gateway, warmlane, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Gateway, "events", interrupted)
    code, _, err = warmlane("generate", "--model", "m", "--prompt", "p")
    assert code == cli.INTERRUPTED
    assert f"warmlane tasks watch {TASK}" in err
    assert f"warmlane tasks cancel {TASK}" in err


def test_a_failed_task_fails_the_command_with_its_reason(gateway, warmlane):
    failed = status("failed", error={"code": "engine_crashed", "message": "the engine died three times"})
    gateway.routes[("GET", f"/status/{TASK}/events")] = events((1, failed))
    code, _, err = warmlane("generate", "--model", "m", "--prompt", "p")
    assert (code, err.splitlines()[-1]) == (
        Exit.FAILED,
        f"warmlane: task {TASK} failed: the engine died three times",
    )


def test_a_damaged_download_is_refused_and_leaves_no_file(gateway, warmlane, tmp_path):
    wrong = {"X-Content-Sha256": hashlib.sha256(b"other").hexdigest()}
    gateway.routes[("GET", f"/results/{TASK}")] = lambda handler: answer(handler, CLIP, headers=wrong)
    code, _, err = warmlane("generate", "--model", "m", "--prompt", "p", "-o", tmp_path / "c.mp4")
    assert code == Exit.CORRUPT
    assert "sha256 differs" in err
    assert list(tmp_path.iterdir()) == []


def test_a_cut_download_is_tried_again(gateway, warmlane, tmp_path):
    lengths = iter([len(CLIP) + 1, len(CLIP)])

    def cut_once(handler):
        answer(handler, CLIP, headers={"Content-Length": str(next(lengths))})

    gateway.routes[("GET", f"/results/{TASK}")] = cut_once
    code, _, _ = warmlane("generate", "--model", "m", "--prompt", "p", "-o", tmp_path / "c.mp4")
    assert code == Exit.DONE
    assert (tmp_path / "c.mp4").read_bytes() == CLIP


def test_a_download_that_stays_cut_leaves_no_file(gateway, warmlane, tmp_path, monkeypatch):
    monkeypatch.setattr(following, "GIVE_UP_AFTER_S", 0.05)
    length = {"Content-Length": str(len(CLIP) + 1)}
    gateway.routes[("GET", f"/results/{TASK}")] = lambda handler: answer(handler, CLIP, headers=length)
    code, _, _ = warmlane("generate", "--model", "m", "--prompt", "p", "-o", tmp_path / "c.mp4")
    assert code == Exit.NETWORK
    assert list(tmp_path.iterdir()) == []


def test_times_and_numbers_are_short_in_tables(gateway, warmlane):
    long = {"lane": "phr00t", "availability": "ready", "warm": True, "service_s": 1.23456}
    gateway.routes[("GET", "/lanes")] = lambda handler: answer(handler, {"lanes": [long]})
    assert "1.2 " in warmlane("lanes")[1]
    shown = status("done", created_at="2026-11-21T00:02:00.909489Z")
    gateway.routes[("GET", f"/status/{TASK}")] = lambda handler: answer(handler, shown)
    assert "2026-11-21 00:02:00 " in warmlane("tasks", "show", TASK)[1]


def test_tasks_and_lanes_are_tables_for_people_and_documents_for_machines(gateway, warmlane):
    tasks = {"items": [status("done", model="phr00t")], "next": None}
    lanes = {"lanes": [{"lane": "phr00t", "availability": "ready", "warm": True}]}
    gateway.routes[("GET", "/tasks")] = lambda handler: answer(handler, tasks)
    gateway.routes[("GET", "/lanes")] = lambda handler: answer(handler, lanes)
    gateway.routes[("POST", f"/tasks/{TASK}/cancel")] = lambda handler: answer(handler, status("cancelled"))
    _, out, _ = warmlane("tasks")
    assert TASK in out
    assert "phr00t" in out
    assert json.loads(warmlane("tasks", "list", "--json")[1]) == tasks
    assert json.loads(warmlane("tasks", "--json", "list", "--status", "done")[1]) == tasks
    assert gateway.asked[-1][1] == "/tasks?limit=20&status=done"
    warmlane("tasks", "--limit", "3", "--status", "failed")
    assert gateway.asked[-1][1] == "/tasks?limit=3&status=failed"
    assert "ready" in warmlane("lanes")[1]
    assert json.loads(warmlane("lanes", "status", "--json")[1]) == lanes
    assert warmlane("tasks", "cancel", TASK)[1] == f"{TASK}: cancelled\n"
    assert "done" in warmlane("tasks", "show", TASK)[1]
    assert warmlane("tasks", "show", "unknown")[0] == Exit.NOT_FOUND


def test_bad_usage_is_exit_code_two(gateway, warmlane):
    for arguments in [
        (),
        ("dance",),
        ("generate", "--model", "m"),
        ("generate", "--model", "m", "--prompt", "p", "--image", "missing.png"),
        ("generate", "--model", "m", "--prompt", "p", "--keyframe", "asset@middle"),
        ("tasks", "--url", "ftp://x"),
    ]:
        assert warmlane(*arguments)[0] == Exit.BAD_USAGE, arguments


def test_without_a_stack_the_command_says_so(warmlane, monkeypatch, tmp_path):
    monkeypatch.delenv("WARMLANE_URL", raising=False)
    code, _, err = warmlane("tasks", "--data", tmp_path)
    assert code == Exit.NETWORK
    assert "make up" in err
    code, _, err = warmlane("tasks", "--url", "http://127.0.0.1:9")
    assert code == Exit.NETWORK
    assert "cannot reach http://127.0.0.1:9" in err


def test_a_submit_is_repeated_with_its_key_when_the_connection_broke():
    keys = []

    def flaky(request):
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) < 3:
            raise httpx.ReadError("broken")
        return httpx.Response(202, json=status("pending"))

    with Gateway("http://x", None, transport=httpx.MockTransport(flaky)) as gateway:
        response = gateway.post("/generate", {}, headers={"Idempotency-Key": "k"}, tries=3)
    assert response.json()["task_id"] == TASK
    assert keys == ["k", "k", "k"]


def test_a_post_that_may_be_said_once_only_is_not_repeated():
    def broken(request):
        raise httpx.ReadError("broken")

    with Gateway("http://x", None, transport=httpx.MockTransport(broken)) as gateway:
        with pytest.raises(CommandFailed, match="cannot reach"):
            gateway.post("/tasks/x/cancel")


def test_lanes_are_steered_and_the_reserve_is_shown(gateway, warmlane):
    lane = {"lane": "phr00t", "availability": "ready", "mode": "degraded_shared", "routing": "degraded"}
    lane |= {"fallback_reason": "manual", "waiting": 0, "service_s": 1.5}
    reserve = {"waiting": 3, "depth": 25, "oldest_s": 12.4, "workers": [{"availability": "ready", "model": "anisora"}]}
    gateway.routes[("GET", "/lanes")] = lambda handler: answer(handler, {"lanes": [lane], "degraded": reserve})
    gateway.routes[("POST", "/lanes/phr00t/mode")] = lambda handler: answer(handler, lane)
    _, out, _ = warmlane("lanes")
    assert "manual" in out
    assert "1 ready (holding anisora); 3 of 25 waiting, the first for 12 s" in out
    code, out, _ = warmlane("lanes", "set", "phr00t", "degraded")
    assert (code, gateway.asked[-1][:2]) == (Exit.DONE, ("POST", "/lanes/phr00t/mode"))
    assert "degraded_shared" in out
    assert json.loads(warmlane("lanes", "set", "phr00t", "auto", "--reason", "quota", "--json")[1])["lane"] == "phr00t"
    assert warmlane("lanes", "set", "phr00t", "sideways")[0] == Exit.BAD_USAGE


def test_a_task_is_made_again_with_another_seed(gateway, warmlane):
    made = {"task_id": "01KE0000000000000000000009", "status": "pending"}
    gateway.routes[("POST", f"/tasks/{TASK}/rerun")] = lambda handler: answer(handler, made, status=202)
    assert warmlane("tasks", "rerun", TASK, "--seed", "-1")[1] == f"{made['task_id']}: pending\n"
    assert json.loads(warmlane("tasks", "rerun", TASK, "--json")[1]) == made


def test_sign_in_prints_a_link_and_nothing_else(gateway, warmlane):
    made = {"path": "/app/sign-in#secret", "expires_in_s": 900}
    gateway.routes[("POST", "/auth/links")] = lambda handler: answer(handler, made, status=201)
    assert warmlane("sign-in") == (Exit.DONE, f"{gateway.url}/app/sign-in#secret\n", "")
    assert json.loads(warmlane("sign-in", "--json")[1]) == {"link": f"{gateway.url}/app/sign-in#secret"}


def test_a_stack_greets_a_person_with_a_link_and_a_log_without_one(gateway, tmp_path):
    gateway.routes[("POST", "/auth/links")] = lambda handler: answer(
        handler, {"path": "/app/sign-in#secret"}, status=201
    )
    for person in (True, False):
        written = io.StringIO()
        console = Console(file=written, force_terminal=person, width=200)
        greeting.welcome(console, url=gateway.url, api_key="wl_key", data=tmp_path, seconds=1.0, stop="Ctrl-C")
        assert ("#secret" in written.getvalue(), "wl_key" in written.getvalue()) == (person, person)
        assert f"{gateway.url}/app/" in written.getvalue()
