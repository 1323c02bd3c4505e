"""Sign in with Slack in the browser: the page where one agrees, the keys, the discovery document."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from local.slack.errors import SlackError
from local.slack.seed import User
from local.slack.sign_in import SignIn
from local.slack.world import World

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in · {team}</title><link rel="stylesheet" href="/static/app.css"></head>
<body class="sign-in"><main><h1>Sign in to {app}</h1><p>{app} wants to know who you are in {team}. Sign in as:</p>
<form method="post"><ul>{people}</ul></form></main></body></html>"""
_PERSON = '<li><button name="user" value="{id}"><strong>{name}</strong> <span>{email}</span></button></li>'


class SignInRoutes:
    """The browser's side of Sign in with Slack."""

    def __init__(self, sign_in: SignIn, world: World) -> None:
        self._sign_in = sign_in
        self._world = world
        self.routes = [
            Route("/openid/connect/authorize", self.ask, methods=["GET"]),
            Route("/openid/connect/authorize", self.agree, methods=["POST"]),
            Route("/openid/connect/keys", self.keys),
            Route("/.well-known/openid-configuration", self.discovery),
        ]

    async def ask(self, request: Request) -> Response:
        """Show who one can sign in as."""
        try:
            self._sign_in.refuse_request(request.query_params)
        except SlackError as error:
            return HTMLResponse(f"<h1>Sign in is not possible</h1><p>{escape(error.error)}</p>", status_code=400)
        people = "".join(_entry(user) for user in self._world.users.values() if not user.is_bot and not user.deleted)
        app, team = escape(self._world.manifest.name), escape(self._world.team.name)
        return HTMLResponse(_PAGE.format(app=app, team=team, people=people))

    async def agree(self, request: Request) -> Response:
        """Send the browser back to the app with a code."""
        user = str((await request.form()).get("user", ""))
        if user not in self._world.users or self._world.users[user].deleted:
            return HTMLResponse("<h1>There is no such user</h1>", status_code=400)
        try:
            return RedirectResponse(self._sign_in.agree(user, request.query_params), status_code=302)
        except SlackError as error:
            return HTMLResponse(f"<h1>Sign in is not possible</h1><p>{escape(error.error)}</p>", status_code=400)

    async def keys(self, _request: Request) -> Response:
        """Give the public keys that id_tokens are signed with."""
        return JSONResponse(self._sign_in.keys())

    async def discovery(self, _request: Request) -> Response:
        """Give the discovery document."""
        base = self._world.base_url
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/openid/connect/authorize",
                "token_endpoint": f"{base}/api/openid.connect.token",
                "userinfo_endpoint": f"{base}/api/openid.connect.userInfo",
                "jwks_uri": f"{base}/openid/connect/keys",
                "scopes_supported": ["openid", "profile", "email"],
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )


def _entry(user: User) -> str:
    return _PERSON.format(id=escape(user.id), name=escape(user.real_name), email=escape(user.email or ""))
