"""Sessions, CSRF and sign-in redirects.

A session names a person; their rights come from the key or of Slack and the policy at every request, so a revoked
key or a lost group ends it at once.
"""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response
from starlette.datastructures import FormData

from approvals.audit_actions import AuditAction
from approvals.people import Person
from approvals.values import Value
from bot.access.authenticating import Access, Caller, of_key
from bot.access.refusals import Kind, Refused
from bot.access.session_store import SessionStore
from bot.dashboard.cookies import LIFETIME, CookieSigner, FlashMessage, Session, is_over
from bot.dashboard.one_time_link import OneTimeLink
from bot.dashboard.rendering import guarded
from bot.process.correlation import correlation_id
from records import audit

VISIT = "countersign_visit"
SAID = "countersign_said"
LONGEST_FORM = 64 * 1024
MOST_FORM_FIELDS = 100
"""Fields of a form: a dry run has a check box for each of its lines."""


WHY = {
    "over": "Your session is over, so nothing was done. Sign in again to go on.",
    "key": "Your API key has expired or was revoked, so your session has ended. Sign in with another key.",
    "slack": (
        "Your Slack account gives no access here: it is no full member of this workspace, or Slack could not be asked. "
        "Try again in a minute, or ask an operator."
    ),
}


class SignInNeededError(Exception):
    """No session. `then` is the address that was asked for, `why` a key of WHY if there is something to say."""

    def __init__(self, then: str, why: str = "") -> None:
        super().__init__(why)
        self.then = then
        self.why = why


class SignedInRequest(Value):
    """One request with a session."""

    session: Session
    caller: Caller
    csrf: str
    name: str
    secure: bool = False


PORTS = {"http": 80, "https": 443}


class Sessions:
    """Opens for sessions that are ours, not over, not ended, and whose key or person still counts."""

    def __init__(
        self,
        *,
        store: SessionStore,
        access: Access,
        cookies: CookieSigner,
        clock: Callable[[], datetime],
        public_url: str = "",
    ) -> None:
        self._store = store
        self._access = access
        self.cookies = cookies
        self._clock = clock
        self._public_url = public_url.rstrip("/")

    # ---- who --------------------------------------------------------------------------------------------------------

    async def enter(self, request: Request) -> SignedInRequest:
        """Return whose request this is. Raises: SignInNeededError."""
        then = _then(request)
        session = self.cookies.loads(Session, request.cookies.get(self.cookie(request)))
        if session is None:
            raise SignInNeededError(then)
        if is_over(session.ends, self._clock()) or await self._store.is_revoked(session.id):
            raise SignInNeededError(then, "over")
        caller = await (self._by_key(session, then) if session.kind == "key" else self._by_slack(session, then))
        name = caller.email or caller.actor
        return SignedInRequest(session=session, caller=caller, csrf=self.cookies.token(session.id), name=name)

    async def _by_key(self, session: Session, then: str) -> Caller:
        key = await self._store.usable_key(session.key_id)
        if key is None:
            raise SignInNeededError(then, "key")
        return of_key(key, "dashboard")

    async def by_link(self, text: str) -> tuple[Session, Caller]:
        """Return the session that a one-time link begins. Raises: SignInNeededError if it is no longer good."""
        link = self.cookies.loads(OneTimeLink, text)
        if link is None or is_over(link.ends, self._clock()):
            raise SignInNeededError("/")
        if not await self._store.use_link(link.nonce):
            raise SignInNeededError("/")
        session = self.session(kind="key", key_id=link.key_id)
        return session, await self._by_key(session, "/")

    async def _by_slack(self, session: Session, then: str) -> Caller:
        caller = await self._access.by_slack(Person(team=session.team, user=session.user))
        if not caller.roles:
            raise SignInNeededError(then, "slack")
        return caller.model_copy(update={"through": "dashboard"})

    # ---- coming and going -------------------------------------------------------------------------------------------

    async def welcome(self, request: Request, session: Session, caller: Caller, then: str) -> Response:
        """Begin a session with a new id each time, against session fixation."""
        await self._store.begun(self._entry(AuditAction.SESSION_BEGAN, caller, session))
        response = guarded(RedirectResponse(local(then), 303))
        self._set(request, response, self.cookie(request), self.cookies.dumps(session), LIFETIME)
        response.delete_cookie(VISIT)
        return response

    def session(self, **who: str) -> Session:
        """Return a new session."""
        now = self._clock()
        return Session.model_validate({"id": secrets.token_urlsafe(18), "began": now, "ends": now + LIFETIME, **who})

    async def leave(self, request: Request, signed_in: SignedInRequest) -> Response:
        """Revoke a session: copies of its cookie are refused too."""
        entry = self._entry(AuditAction.SESSION_ENDED, signed_in.caller, signed_in.session)
        await self._store.ended(entry, signed_in.session.id, LIFETIME)
        response = guarded(RedirectResponse("/sign-in?out=1", 303))
        response.delete_cookie(self.cookie(request), secure=self.is_secure(request), httponly=True)
        return response

    def _entry(self, action: AuditAction, caller: Caller, session: Session) -> audit.Entry:
        return audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=action,
            through="dashboard",
            correlation_id=correlation_id(),
            data={"session": session.id, "by": session.kind, "email": caller.email},
        )

    # ---- forms ------------------------------------------------------------------------------------------------------

    async def form(self, request: Request, session_id: str) -> FormData:
        """Return a form that comes from one of our own pages in this session.

        Raises: Refused NOT_ALLOWED, TOO_LARGE.
        """
        self._demand_own_origin(request)
        if int(request.headers.get("content-length") or 0) > LONGEST_FORM:
            raise Refused(
                Kind.TOO_LARGE, "The form is too long, so nothing was done. Shorten what you typed and send it again."
            )
        form = await request.form(max_files=0, max_fields=MOST_FORM_FIELDS, max_part_size=LONGEST_FORM)
        if not self.cookies.is_token(session_id, str(form.get("csrf", ""))):
            raise Refused(
                Kind.NOT_ALLOWED,
                "This form is not from your present session, so nothing was done. Open the page again and repeat.",
            )
        return form

    def _demand_own_origin(self, request: Request) -> None:
        origin = request.headers.get("origin")
        if origin is None and request.headers.get("sec-fetch-site") == "same-origin":
            return
        if origin is None or not self._is_own(origin, request.headers.get("host", "")):
            raise Refused(
                Kind.NOT_ALLOWED,
                "This form was sent from another site, so nothing was done. Open the page here and repeat.",
            )

    def _is_own(self, origin: str, host: str) -> bool:
        """Whether an origin is ours. A stranger can name any Host that reaches us, so a public address goes first."""
        if self._public_url:
            return _origin(origin) is not None and _origin(origin) == _origin(self._public_url)
        return bool(host) and urlsplit(origin).netloc == host

    # ---- cookies ----------------------------------------------------------------------------------------------------

    def is_secure(self, request: Request) -> bool:
        """Whether people reach us over https: then cookies travel nowhere else."""
        return (self._public_url or str(request.base_url)).startswith("https:")

    def cookie(self, request: Request) -> str:
        """Return the session cookie's name; over https its prefix makes the browser refuse one from another host."""
        return "__Host-countersign" if self.is_secure(request) else "countersign"

    def base(self, request: Request) -> str:
        """Return the address of this app as the browser knows it."""
        return self._public_url or str(request.base_url).rstrip("/")

    def visit_id(self, request: Request) -> str:
        """Return the name of a visit before the session: the sign-in form's CSRF token is bound to it."""
        return request.cookies.get(VISIT) or secrets.token_urlsafe(18)

    def keep_visit(self, request: Request, response: Response, visit_id: str) -> None:
        """Remember the visit until the sign-in form comes back."""
        self._set(request, response, VISIT, visit_id, timedelta(hours=1), strict=True)

    def flash(self, request: Request, response: Response, said: FlashMessage) -> Response:
        """Give the next page something to say."""
        self._set(request, response, SAID, self.cookies.dumps(said), timedelta(minutes=2), strict=True)
        return response

    def flashed(self, request: Request) -> FlashMessage | None:
        """Return what this page has to say, if it is this page's."""
        found = self.cookies.loads(FlashMessage, request.cookies.get(SAID))
        return found if found is not None and found.to == request.url.path else None

    def keep(self, request: Request, response: Response, name: str, value: Value, lifetime: timedelta) -> None:
        """Let the browser keep a sealed value. Lax: it has to come back from another site's redirect."""
        self._set(request, response, name, self.cookies.dumps(value), lifetime)

    def _set(  # noqa: PLR0913 a cookie's parts
        self, request: Request, response: Response, name: str, value: str, lifetime: timedelta, *, strict: bool = False
    ) -> None:
        # The session is Lax and not Strict: a link in Slack to a page here has to find its reader signed in.
        response.set_cookie(
            name,
            value,
            max_age=int(lifetime.total_seconds()),
            httponly=True,
            secure=self.is_secure(request),
            samesite="strict" if strict else "lax",
        )


def _origin(address: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(address)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def local(address: str) -> str:
    """Return an address within this app: a sign-in must not redirect elsewhere."""
    parts = urlsplit(address)
    safe = address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return address if safe and address.isprintable() and "\\" not in address else "/"


def _then(request: Request) -> str:
    if request.method != "GET":
        return "/"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
