"""The peer of `submit.py`: the same server and framework, accepting into a dictionary. What durability costs is the ratio."""

import sys

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import Response
from warmlane_contracts.catalogue import load_catalogue, resolve
from warmlane_contracts.ids import new_task_id

app = FastAPI()
tasks: dict[str, object] = {}
catalogue = load_catalogue("tiny")


@app.post("/generate", status_code=202)
async def generate(request: Request) -> Response:
    """Accept a task and forget it when the process ends."""
    task_id = new_task_id()
    tasks[task_id] = resolve(catalogue, await request.json())
    return Response(f'{{"task_id":"{task_id}","status":"pending"}}', 202, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
