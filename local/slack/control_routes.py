"""The control API under /control: what the Python driver can do, over HTTP, for the page and for other languages."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from local.slack import changes
from local.slack.errors import SlackError, UsageError
from local.slack.faults import Fault
from local.slack.interactions import Interactions, Outcome
from local.slack.snapshot import snapshot
from local.slack.values import Json, Message
from local.slack.workspace import Workspace
from local.slack.world import World

Endpoint = Callable[[Request], Awaitable[Response]]
_CHANGES: Mapping[str, Callable[[World, str, Mapping[str, Any]], Awaitable[BaseModel]]] = {
    "users": changes.change_user,
    "groups": changes.change_group,
    "channels": changes.change_channel,
}


class ControlRoutes:
    """The control API of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._people = Interactions(workspace)
        table: list[tuple[str, str, Endpoint]] = [
            ("GET", "/control/people", self.people),
            ("GET", "/control/state", self.state),
            ("GET", "/control/events", self.events),
            ("POST", "/control/act", self.act),
            ("GET", "/control/calls", self.calls),
            ("GET", "/control/deliveries", self.deliveries),
            ("GET", "/control/faults", self.faults),
            ("POST", "/control/faults", self.arm),
            ("DELETE", "/control/faults", self.disarm),
            ("POST", "/control/advance", self.advance),
            ("POST", "/control/socket", self.socket),
            ("PUT", "/control/deliver_to", self.deliver_to),
            ("PATCH", "/control/{kind:str}/{item:str}", self.change),
        ]
        self.routes = [Route(path, _guarded(endpoint), methods=[method]) for method, path, endpoint in table]

    # looking

    async def people(self, _request: Request) -> Response:
        """List everybody one can act as."""
        return JSONResponse([user.model_dump() for user in self._workspace.world.users.values() if not user.is_bot])

    async def state(self, request: Request) -> Response:
        """Give everything a user sees."""
        return JSONResponse(snapshot(self._workspace, self._people.person(request.query_params.get("user", ""))))

    async def events(self, _request: Request) -> Response:
        """Tell of every change as it happens (server-sent events)."""
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(changes_of(self._workspace.world), media_type="text/event-stream", headers=headers)

    async def calls(self, request: Request) -> Response:
        """List Web API calls, of one method with ?method=."""
        method = request.query_params.get("method")
        return JSONResponse([asdict(call) for call in self._workspace.calls if method in {None, call.method}])

    async def deliveries(self, _request: Request) -> Response:
        """List deliveries to the app, without the signed bytes."""
        listing = [asdict(delivery) for delivery in self._workspace.deliveries]
        return JSONResponse([{key: value for key, value in item.items() if key != "sent"} for item in listing])

    async def faults(self, _request: Request) -> Response:
        """List the failures that are armed."""
        listing = self._workspace.faults.listing()
        return JSONResponse([fault.model_dump() | {"struck": hits, "left": left} for fault, hits, left in listing])

    # doing

    async def act(self, request: Request) -> Response:
        """Act as a user: {"user", "do": click|slash|say|submit|close|use|open_home, ...the arguments of that act}."""
        arguments = await _json(request)
        what, user = str(arguments.pop("do", "")), str(arguments.pop("user", ""))
        people = self._people
        acts: Mapping[str, Callable[..., Awaitable[Outcome | Message]]] = {
            "click": people.click,
            "slash": people.slash,
            "say": people.say,
            "submit": people.submit,
            "close": people.close,
            "use": people.use,
            "open_home": people.open_home,
        }
        if what not in acts:
            raise UsageError(f"'do' must be one of: {', '.join(acts)}")
        try:
            work = acts[what](user, **arguments)
        except TypeError as error:
            raise UsageError(f"wrong arguments for {what}: {error}") from error
        done = await work
        return JSONResponse(done.wire() if isinstance(done, Message) else _outcome(done))

    async def arm(self, request: Request) -> Response:
        """Arm a failure."""
        fault = Fault.model_validate(await _json(request))
        self._workspace.faults.arm(fault)
        return JSONResponse(fault.model_dump(), status_code=201)

    async def disarm(self, _request: Request) -> Response:
        """End every failure."""
        self._workspace.faults.clear()
        return Response(status_code=204)

    async def advance(self, request: Request) -> Response:
        """Move the workspace's clock ahead by {"seconds"}."""
        self._workspace.world.ahead += float((await _json(request)).get("seconds", 0))
        return JSONResponse({"ahead": self._workspace.world.ahead})

    async def socket(self, request: Request) -> Response:
        """Cut or end the Socket Mode connections: {"do": "drop"} or {"do": "disconnect", "reason"}."""
        arguments = await _json(request)
        if arguments.get("do") == "drop":
            await self._workspace.socket.drop()
        else:
            await self._workspace.socket.disconnect(str(arguments.get("reason", "refresh_requested")))
        return JSONResponse({"connected": self._workspace.socket.connected})

    async def deliver_to(self, request: Request) -> Response:
        """Set the app's request URL: {"url"}, null for the manifest's addresses or Socket Mode."""
        self._workspace.http.deliver_to = (await _json(request)).get("url")
        return JSONResponse({"url": self._workspace.http.deliver_to})

    async def change(self, request: Request) -> Response:
        """Change or add a user, group or channel."""
        kind, item = request.path_params["kind"], request.path_params["item"]
        if kind not in _CHANGES:
            raise UsageError(f"only {', '.join(_CHANGES)} can be changed")
        changed = await _CHANGES[kind](self._workspace.world, item, await _json(request))
        return JSONResponse(changed.model_dump())


def _guarded(endpoint: Endpoint) -> Endpoint:
    async def answer(request: Request) -> Response:
        # A form on a foreign page can be posted here without being asked; JSON cannot.
        kind = request.headers.get("content-type", "").partition(";")[0]
        if request.method not in {"GET", "DELETE"} and kind != "application/json":
            return JSONResponse({"error": "send Content-Type: application/json"}, status_code=415)
        try:
            return await endpoint(request)
        except (UsageError, SlackError, ValidationError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=422)

    return answer


async def _json(request: Request) -> Json:
    body = await request.json()
    if not isinstance(body, dict):
        raise UsageError("send a JSON object")
    return body


def _outcome(outcome: Outcome) -> Json:
    return {
        "ok": outcome.ok,
        "status": outcome.status,
        "body": outcome.body,
        "elapsed": outcome.elapsed,
        "error": outcome.error,
        "errors": dict(outcome.errors or {}),
    }


async def changes_of(world: World) -> AsyncIterator[str]:
    """Yield every change as a server-sent event until the workspace stops."""
    queue: asyncio.Queue[tuple[str, Json]] = asyncio.Queue()
    stop = world.listen(lambda kind, detail: queue.put_nowait((kind, detail)))
    try:
        yield ": connected\n\n"
        while True:
            kind, detail = await queue.get()
            if kind == "stop":
                return
            yield f"data: {json.dumps({'kind': kind, **detail})}\n\n"
    finally:
        stop()
