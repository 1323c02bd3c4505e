"""/sign-in and /sign-out: with an API key, or with Slack."""

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError
from bot.access.authenticating import Access
from bot.access.refusals import Refused
from bot.dashboard.cookies import SIGN_IN_LIFETIME, PendingSignIn, is_over
from bot.dashboard.one_time_link import PATH
from bot.dashboard.rendering import guarded
from bot.dashboard.serving import TEMPLATES
from bot.dashboard.sessions import WHY, Sessions, SignInNeededError, local
from bot.dashboard.slack_identity import IdentityError, SlackIdentity, secret
from bot.web.answers import STATUS, headers_of, source_of

PENDING = "countersign_signing_in"
BACK = "/sign-in/slack/back"
LONGEST_KEY = 200
WORN_LINK = "This link has been used, or its time is over. Sign in in another way, or print a new one."
NO_KEY = "Paste an API key: it begins with cs_. Create one with: countersign keys create NAME --person EMAIL."


class SignInPages:
    """Signs people in and out."""

    def __init__(self, sessions: Sessions, access: Access, directory: Directory, identity: SlackIdentity) -> None:
        self._sessions = sessions
        self._access = access
        self._directory = directory
        self._identity = identity

    def register(self, router: APIRouter) -> None:
        """Add the pages."""
        router.get("/sign-in")(self.ask)
        router.post("/sign-in")(self.with_key)
        router.get(PATH + "/{link}")(self.with_link)
        router.post("/sign-out")(self.leave)
        if self._identity.offered:
            router.get("/sign-in/slack")(self.with_slack)
            router.get(BACK)(self.back_from_slack)

    async def ask(self, request: Request) -> Response:
        """Show the ways in."""
        why = WHY.get(request.query_params.get("why", ""), "")
        out = "You are signed out." if request.query_params.get("out") else ""
        return self._page(request, request.query_params.get("then", "/"), said=why or out)

    async def with_key(self, request: Request) -> Response:
        """Take an API key. Too many wrong ones from one address have to wait."""
        form = await self._sessions.form(request, self._sessions.visit_id(request))
        then, token = local(str(form.get("then", "/"))), str(form.get("key", "")).strip()
        if not token or len(token) > LONGEST_KEY:
            return self._page(request, then, error=NO_KEY, status=422)
        try:
            caller = await self._access.by_key(token, source_of(request))
        except Refused as refusal:
            response = self._page(request, then, error=refusal.message, status=STATUS[refusal.kind])
            response.headers.update({n: each for n, each in headers_of(refusal).items() if n == "Retry-After"})
            return response
        session = self._sessions.session(kind="key", key_id=caller.key_id)
        return await self._sessions.welcome(request, session, caller, then)

    async def with_link(self, request: Request, link: str) -> Response:
        """Take a link that signs in once, as the person of its key."""
        try:
            session, caller = await self._sessions.by_link(link)
        except SignInNeededError:
            return self._page(request, "/", error=WORN_LINK, status=403)
        return await self._sessions.welcome(request, session, caller, "/")

    async def with_slack(self, request: Request) -> Response:
        """Send the browser to Slack."""
        pending = PendingSignIn(
            state=secret(),
            nonce=secret(),
            verifier=secret(),
            redirect_uri=self._sessions.base(request) + BACK,
            then=local(request.query_params.get("then", "/")),
            ends=self._sessions.session(kind="slack").began + SIGN_IN_LIFETIME,
        )
        try:
            address = await self._identity.address(pending, await self._team())
        except IdentityError as error:
            return self._page(request, pending.then, error=str(error), status=503)
        response = guarded(RedirectResponse(address, 303))
        self._sessions.keep(request, response, PENDING, pending, SIGN_IN_LIFETIME)
        return response

    async def back_from_slack(self, request: Request) -> Response:
        """Take what Slack's page sent back: only to the browser that began it, and only once."""
        pending = self._sessions.cookies.loads(PendingSignIn, request.cookies.get(PENDING))
        query = request.query_params
        if pending is None or not hmac.compare_digest(pending.state.encode(), query.get("state", "").encode()):
            response = self._page(request, "/", error="This sign-in was not begun here. Start it again.", status=403)
        elif is_over(pending.ends, self._sessions.session(kind="slack").began):
            response = self._page(request, pending.then, error="This sign-in took too long. Start again.", status=403)
        elif query.get("error") or not query.get("code"):
            response = self._page(request, pending.then, error="Slack did not sign you in. Start again.", status=403)
        else:
            response = await self._identified(request, pending, query["code"])
        response.delete_cookie(PENDING)
        return response

    async def _identified(self, request: Request, pending: PendingSignIn, code: str) -> Response:
        try:
            person = await self._identity.person(code, pending)
        except IdentityError as error:
            return self._page(request, pending.then, error=str(error), status=403)
        caller = await self._access.by_slack(person)
        if person.team != await self._team() or not caller.roles:
            return self._page(request, pending.then, error=WHY["slack"], status=403)
        session = self._sessions.session(kind="slack", team=person.team, user=person.user)
        return await self._sessions.welcome(request, session, caller, pending.then)

    async def leave(self, request: Request) -> Response:
        """Sign out."""
        try:
            signed_in = await self._sessions.enter(request)
        except SignInNeededError:
            return guarded(RedirectResponse("/sign-in", 303))
        await self._sessions.form(request, signed_in.session.id)
        return await self._sessions.leave(request, signed_in)

    async def _team(self) -> str:
        try:
            return str((await self._directory.team()).get("team_id") or "")
        except LookupFailedError:
            return ""

    def _page(self, request: Request, then: str, *, error: str = "", said: str = "", status: int = 200) -> Response:
        visit_id = self._sessions.visit_id(request)
        response = TEMPLATES.page(
            "sign_in.html",
            status,
            csrf=self._sessions.cookies.token(visit_id),
            then=local(then),
            slack=self._identity.offered,
            error=error,
            said=said,
        )
        self._sessions.keep_visit(request, response, visit_id)
        return response
