"""The Web API over HTTP: tokens, scopes, limits, faults, then the method. Also the response_url."""

import asyncio
import json
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.slack.arguments import flag, read_arguments
from local.slack.call_log import ApiCall, without_secrets
from local.slack.errors import RateLimitedError, SlackError
from local.slack.faults import Fault
from local.slack.values import Json
from local.slack.web_api import METHODS, Call, Caller, Method
from local.slack.web_api.chat import content_of
from local.slack.workspace import Workspace
from local.slack.world import World


class LostReplyError(Exception):
    """The connection was cut on purpose; there is nobody to answer."""


class ApiRoutes:
    """Answers Slack's Web API for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.routes = [
            Route("/api/{method}", self.call, methods=["GET", "POST"]),
            Route("/response/{team}/{token}", self.respond, methods=["POST"]),
        ]

    # the calls

    async def call(self, request: Request) -> Response:
        """Answer one method call."""
        return await self._logged(request, request.path_params["method"], self._answer)

    async def respond(self, request: Request) -> Response:
        """Answer one use of a response_url."""
        return await self._logged(request, "response_url", self._answer_response_url)

    async def _logged(self, request: Request, name: str, answer: Any) -> Response:
        workspace, started = self._workspace, time.perf_counter()
        arguments: Json = {}
        fault = workspace.faults.strike(name)
        try:
            arguments |= await read_arguments(request)
            await self._before(request, fault)
            response: Response = answer(request, name, arguments)
            self._after(request, fault)
        except LostReplyError:
            response = Response(status_code=499)
        except SlackError as error:
            response = refusal(error)
        status = 0 if response.status_code == 499 else response.status_code  # noqa: PLR2004 # nginx's word for it
        error_word = _error_in(response)
        at, elapsed = workspace.world.now(), time.perf_counter() - started
        workspace.log_call(ApiCall(name, without_secrets(arguments), status, error_word, at, elapsed))
        return response

    async def _before(self, request: Request, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.kind == "slow":
            await asyncio.sleep(fault.delay)
        elif fault.kind == "ratelimited":
            raise RateLimitedError(fault.retry_after)
        elif fault.kind == "http_500":
            raise SlackError("internal_error", http_status=500)
        elif fault.kind == "error":
            raise SlackError(fault.error)
        elif fault.kind == "refused":
            self._workspace.drop(request.scope)
            raise LostReplyError

    def _after(self, request: Request, fault: Fault | None) -> None:
        if fault and fault.kind == "lost_reply":
            self._workspace.drop(request.scope)
            raise LostReplyError

    def _answer(self, request: Request, name: str, arguments: Json) -> Response:
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        caller = self._caller(request, arguments, method)
        if self._workspace.limits:
            channel, now = self._workspace.world.id_of(str(arguments.get("channel", ""))), self._workspace.world.now()
            self._workspace.limits.count(name, channel, method.per_minute, now)
        workspace = self._workspace
        call = Call(workspace.world, arguments, caller, workspace.base_url, workspace.socket_url, workspace.sign_in)
        body = {"ok": True, **method.handler(call)}
        return JSONResponse(_with_warnings(body, call.warnings), headers=_scope_headers(caller, method))

    def _caller(self, request: Request, arguments: Json, method: Method) -> Caller:
        """Tell who calls. Raises not_authed, invalid_auth, not_allowed_token_type or missing_scope."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else str(arguments.get("token") or "")
        if not token and "none" in method.tokens:
            return Caller("none")
        if not token:
            raise SlackError("not_authed")
        caller = self._holder(token)
        if caller.kind not in method.tokens:
            raise SlackError("not_allowed_token_type")
        if method.scope and method.scope not in caller.scopes:
            raise SlackError("missing_scope", needed=method.scope, provided=",".join(caller.scopes))
        return caller

    def _holder(self, token: str) -> Caller:
        workspace = self._workspace
        if token == workspace.settings.bot_token:
            return Caller("bot", workspace.world.manifest.bot_scopes, workspace.world.bot_user_id)
        if token == workspace.settings.app_token:
            return Caller("app", workspace.settings.app_scopes)
        user = workspace.sign_in.user_of(token)
        if user is None:
            raise SlackError("invalid_auth")
        return Caller("user", ("openid", "profile", "email"), user)

    # response_url

    def _answer_response_url(self, request: Request, _name: str, arguments: Json) -> Response:
        try:
            respond(self._workspace.world, request.path_params["token"], arguments)
        except SlackError as error:
            gone = error.error in {"used_url", "expired_url"}
            return JSONResponse(error.body(), status_code=404 if gone else 400)
        return Response("ok", media_type="text/plain")


def respond(world: World, token: str, arguments: Json) -> None:
    """Do what a response_url asks for: delete or replace the source message, or answer beside it."""
    target = world.use_response_url(token)
    source = world.messages.get(target.channel, {}).get(target.message_ts or "")
    source = source or world.find_ephemeral(target.message_ts or "")
    if flag(arguments, "delete_original"):
        if source:
            world.remove_message(source)
        return
    text, blocks, attachments = content_of(arguments)
    if flag(arguments, "replace_original") and source:
        world.rewrite(source, text=text, blocks=blocks, attachments=attachments)
        return
    only_for = None if arguments.get("response_type") == "in_channel" else target.user
    thread_ts = arguments.get("thread_ts") or (source.thread_ts if source else None)
    world.post(world.bot_message(target.channel, text, blocks, thread_ts=thread_ts, only_for=only_for))


def refusal(error: SlackError) -> Response:
    """Answer with an error the way Slack does: 200 for nearly everything."""
    if isinstance(error, RateLimitedError):
        return JSONResponse(error.body(), status_code=429, headers={"Retry-After": str(error.retry_after)})
    body = error.body()
    status = body.pop("http_status", 200)
    return JSONResponse(body, status_code=status)


def _error_in(response: Response) -> str | None:
    if response.media_type != "application/json":
        return None
    error = json.loads(bytes(response.body)).get("error")
    return str(error) if error else None


def _with_warnings(body: Json, warnings: list[str]) -> Json:
    if not warnings:
        return body
    metadata = body.get("response_metadata", {}) | {"warnings": warnings}
    return body | {"warning": ",".join(warnings), "response_metadata": metadata}


def _scope_headers(caller: Caller, method: Method) -> dict[str, str]:
    headers = {"x-oauth-scopes": ",".join(caller.scopes)}
    return headers | ({"x-accepted-oauth-scopes": method.scope} if method.scope else {})
