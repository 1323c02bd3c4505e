"""The app of `benchmarks.throughput`: with the floor's workflow in the same worker, and with a sampler of its CPU time.

python -m benchmarks.throughput_app PORT SAMPLES_FILE
"""

import json
import signal
import sys
from collections import Counter
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import dapr.ext.workflow as wf

from bot.app import create_app
from bot.cli.serving import serve
from bot.engine.extensions import Extensions
from bot.process import logs
from bot.process.settings import Settings
from bot.services import Services

STEPS = 5
SAMPLE_S = 0.005
ROOMS = {
    "sql": ("/records/", "/sqlalchemy/", "/asyncpg/"),
    "slack": ("/activities/slack/", "/slack_sdk/", "/aiohttp/", "/cards/"),
    "sdk": ("/dapr/", "/grpc/", "/google/protobuf/"),
    "door": ("/fastapi/", "/starlette/", "/uvicorn/protocols/", "/slack_bolt/"),
}


def floor(ctx: wf.DaprWorkflowContext, _: Any) -> Any:
    """Do as little as an order's workflow can: five activities and one event."""
    for number in range(STEPS):
        if number == 2:
            yield ctx.wait_for_external_event("approval_decision")
        yield ctx.call_activity("nothing", input=number)


def nothing(_ctx: wf.WorkflowActivityContext, _number: int) -> None:
    """Be an activity."""


class Floored(Services):
    """The app's parts, with the floor beside them."""

    @cached_property
    def extensions(self) -> Extensions:
        """The floor."""
        return Extensions(workflows={"floor": floor}, activities={"nothing": nothing})


class Sampler:
    """Looks every few milliseconds of CPU time at whose code runs in the main thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Counter[str] = Counter()
        signal.signal(signal.SIGPROF, self._sample)
        signal.signal(signal.SIGUSR1, self._write)
        signal.setitimer(signal.ITIMER_PROF, SAMPLE_S, SAMPLE_S)

    def _sample(self, _signal: int, frame: FrameType | None) -> None:
        while frame is not None:
            file = frame.f_code.co_filename
            found = next((room for room, parts in ROOMS.items() if any(each in file for each in parts)), None)
            if found is not None:
                self._seen[found] += 1
                return
            frame = frame.f_back
        self._seen["else"] += 1

    def _write(self, _signal: int, _frame: FrameType | None) -> None:
        self._path.write_text(json.dumps(self._seen))


def main() -> None:
    Sampler(Path(sys.argv[2]))
    logs.configure("WARNING")
    serve(create_app(Settings(_env_file=None), Floored), "127.0.0.1", int(sys.argv[1]))


if __name__ == "__main__":
    main()
