"""`warmlane generate`: submit a clip, follow it, download it."""

import argparse
import base64
import json
import mimetypes
import re
import time
import uuid
from pathlib import Path
from typing import Any

from warmlane_devstack.cli.connection import add_connection, connect
from warmlane_devstack.cli.follow import check_done, patiently, watch
from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.exits import CommandFailed, Exit

# Option, field of the request, type, help.
FIELDS: tuple[tuple[str, str, type, str], ...] = (
    ("--prompt", "prompt", str, "what to show"),
    ("--negative-prompt", "negative_prompt", str, "what to avoid"),
    ("--mode", "mode", str, "t2v, i2v, first_last_frame, arbitrary_frame (default: what the images imply)"),
    ("--width", "width", int, "pixels"),
    ("--height", "height", int, "pixels"),
    ("--frames", "num_frames", int, "frames in the clip"),
    ("--fps", "fps", int, "frames per second"),
    ("--steps", "steps", int, "denoising steps"),
    ("--cfg", "cfg", float, "guidance scale"),
    ("--seed", "seed", int, "-1 for a random one"),
    ("--motion-score", "motion_score", float, "how much moves (anisora)"),
    ("--lighting-variant", "lighting_variant", str, "standard, bright or dim (phr00t)"),
    ("--reference-strength", "reference_strength", float, "how closely the reference is kept, 0 to 1"),
    ("--denoising-strength", "denoising_strength", float, "how much is made anew, 0 to 1"),
)
IMAGES = (
    ("--image", "reference_image", "the image to start from"),
    ("--first", "first_frame_image", "the first frame"),
    ("--last", "last_frame_image", "the last frame"),
)
FORMATS = ("mp4", "webm", "gif")
# The key makes a repeated request the same task, so a broken connection may be tried again.
SUBMIT_TRIES = 3
ASSET_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="anisora, phr00t, …; `GET /models` lists them")
    for option, field, kind, text in FIELDS:
        parser.add_argument(option, dest=field, type=kind, help=text, required=field == "prompt")
    for option, field, text in IMAGES:
        parser.add_argument(option, dest=field, metavar="FILE", help=f"{text}: a file, or the id of an uploaded asset")
    parser.add_argument("--keyframe", action="append", default=[], metavar="FILE@POS", help="image at 0 (start) to 1")
    parser.add_argument("--format", dest="output_format", choices=FORMATS, help="(default: by -o, else mp4)")
    parser.add_argument("-o", "--output", type=Path, help="where the clip goes (default: MODEL-TASK.FORMAT)")
    parser.add_argument("--preview", type=Path, help="where a preview image goes (default: not fetched)")
    parser.add_argument("--no-wait", action="store_true", help="print the task's id and leave")
    parser.add_argument("--idempotency-key", help="the same key and request give the same task, however often sent")
    add_connection(parser)


def run(options: argparse.Namespace) -> Exit:
    body = request_body(options)
    with connect(options) as gateway:
        began = time.monotonic()
        accepted, trace_id = submit(gateway, body, options.idempotency_key)
        task_id = accepted["task_id"]
        if options.no_wait:
            print(json.dumps({"task_id": task_id, "trace_id": trace_id}) if options.json else task_id)
            return Exit.DONE
        status = watch(gateway, accepted, title=options.model, quiet=options.json)
        check_done(status)
        suffix = body.get("output_format", FORMATS[0])
        target = options.output or Path(f"{options.model}-{task_id}.{suffix}")
        patiently(lambda: gateway.download(f"/results/{task_id}", target))
        if options.preview:
            patiently(lambda: gateway.download(f"/preview/{task_id}", options.preview))
        seconds = time.monotonic() - began
    if options.json:
        print(json.dumps(document(status, target, options.preview, trace_id=trace_id, seconds=seconds)))
    else:
        print(f"{target}  ({seconds:.1f} s, task {task_id}, trace {trace_id})")
    return Exit.DONE


def submit(gateway: Gateway, body: dict[str, Any], key: str | None) -> tuple[dict[str, Any], str | None]:
    """Send the request once, however often the connection makes us try, and return the answer and the trace id."""
    headers = {"Idempotency-Key": key or str(uuid.uuid4())}
    response = gateway.post("/generate", body, headers=headers, tries=SUBMIT_TRIES)
    trace = response.headers.get("traceparent", "").split("-")
    return response.json(), trace[1] if len(trace) > 1 else None


def request_body(options: argparse.Namespace) -> dict[str, Any]:
    """The request. What was not given is left out, so that the catalogue's defaults apply."""
    body: dict[str, Any] = {"model": options.model}
    for _, field, _, _ in FIELDS:
        if getattr(options, field) is not None:
            body[field] = getattr(options, field)
    for _, field, _ in IMAGES:
        if getattr(options, field) is not None:
            body[field] = image(getattr(options, field))
    if options.keyframe:
        body["arbitrary_frames"] = [keyframe(text) for text in options.keyframe]
    by_name = options.output.suffix.removeprefix(".").lower() if options.output else ""
    output_format = options.output_format or (by_name if by_name in FORMATS else None)
    if output_format:
        body["output_format"] = output_format
    return body


def image(text: str) -> str:
    """A data URI for a file, or the asset id as it is."""
    path = Path(text)
    if path.is_file():
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    if ASSET_ID.fullmatch(text):
        return text
    message = f"no such image file: {text}"
    raise CommandFailed(message, Exit.BAD_USAGE)


def keyframe(text: str) -> dict[str, Any]:
    name, _, position = text.rpartition("@")
    try:
        return {"image": image(name), "position": float(position)}
    except ValueError:
        message = f"--keyframe {text}: expected FILE@POSITION with a position from 0 to 1, such as pose.png@0.5"
        raise CommandFailed(message, Exit.BAD_USAGE) from None


def document(
    status: dict[str, Any], target: Path, preview: Path | None, *, trace_id: str | None, seconds: float
) -> dict[str, Any]:
    return {
        "task_id": status["task_id"],
        "status": status["status"],
        "output": str(target),
        "preview": str(preview) if preview else None,
        "seconds": round(seconds, 3),
        "trace_id": trace_id,
        "task": status,
    }
