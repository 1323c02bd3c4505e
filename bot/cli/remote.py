"""The commands' way to the app: its REST API with the caller's key. Every failure is a message and an exit code."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import httpx
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bot.cli import output
from bot.cli.job_token import JobToken

EXIT_CODES: Mapping[int, int] = {
    400: output.MISUSED,
    401: output.REFUSED,
    403: output.REFUSED,
    404: output.NOT_FOUND,
    422: output.MISUSED,
    428: output.MISUSED,
    429: output.UNREACHABLE,
    502: output.UNREACHABLE,
    503: output.UNREACHABLE,
    504: output.UNREACHABLE,
}
"""By HTTP status; any other failure is output.FAILED."""


PASSING = frozenset({429, 502, 503, 504})
"""Statuses that say: try again."""

UNREAD = ". Nothing was changed: ask again, and look at the app's log if it goes on."
UNKNOWN = ", so whether the call took effect is not known. Look with `countersign status` before you call again."
"""The ends of the messages for a read and for a change that got no complete answer."""

HEARTBEAT_S = 30.0
"""A stream that is silent for longer is dead: the app sends something every 15 seconds."""


class ClientSettings(BaseSettings):
    """The app's address and the key that is sent, from the environment and a .env file."""

    model_config = SettingsConfigDict(
        env_file=".env", env_prefix="COUNTERSIGN_", extra="ignore", hide_input_in_errors=True
    )

    url: str = Field("", description="where the app is; without it, this machine, at COUNTERSIGN_PORT")
    port: int = Field(8000, description="the app's own port, if the command runs in the app's folder")
    api_key: SecretStr = Field(SecretStr(""), description="whose key the commands send (cs_…)")
    app_id: str = Field("countersign", description="the sidecar's app-id, as `countersign workflow --app-id` names it")
    audience: str = Field(
        "countersign", description="the audience of the token that a CI job proves itself with, if there is no key"
    )
    timeout_seconds: float = Field(
        30.0,
        gt=0,
        validation_alias="COUNTERSIGN_CLIENT_TIMEOUT_SECONDS",
        description="how long a command waits for the app",
    )


class Remote:
    """The app, asked by REST."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self._http = http
        self._url = url

    def get(self, path: str, **query: Any) -> Any:
        """Return what the app answers to a GET; parameters that are None are left out."""
        return self._json("GET", path, params={name: value for name, value in query.items() if value is not None})

    def poll(self, path: str, **query: Any) -> Any | None:
        """Return what the app answers to a GET; None if it does not answer now, as while it starts again."""
        try:
            answer = self._http.get(path, params=query)
        except httpx.TransportError:
            return None
        if answer.status_code in PASSING:
            return None
        if answer.is_error:
            _fail(answer, output.FAILED)
        return answer.json()

    def post(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        conflict: int = output.FAILED,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Return what the app answers to a POST; fields that are None are left out.

        `conflict` is the exit code if the app says that the call does not fit how things stand (409).
        """
        sent = {name: value for name, value in (body or {}).items() if value is not None}
        return self._json("POST", path, conflict, json=sent, headers=headers)

    async def lines(self, path: str) -> AsyncIterator[str]:
        """Give the lines of a stream until it ends, without an error: the caller polls as well."""
        with suppress(httpx.HTTPError):
            async with (
                httpx.AsyncClient(base_url=self._url, headers=self._http.headers, timeout=HEARTBEAT_S) as http,
                http.stream("GET", path) as answer,
            ):
                if answer.is_success:
                    async for line in answer.aiter_lines():
                        yield line

    def _json(self, method: str, path: str, conflict: int = output.FAILED, **what: Any) -> Any:
        with self._explained(method):
            answer = self._http.request(method, path, **what)
        if answer.is_error:
            _fail(answer, conflict)
        try:
            return answer.json()
        except ValueError:
            output.fail(f"{self._url} answers, but is no Countersign: look at COUNTERSIGN_URL.", output.UNREACHABLE)

    @contextmanager
    def _explained(self, method: str) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            output.fail(
                f"Nothing answers at {self._url}. Start the app there (countersign run, or countersign demo), or set "
                "COUNTERSIGN_URL to where it runs.",
                output.UNREACHABLE,
            )
        except httpx.HTTPError as error:
            what = f"{self._url} did not answer to the end ({type(error).__name__})"
            then = UNREAD if method == "GET" else UNKNOWN
            output.fail(f"{what}{then}", output.UNREACHABLE)


def path_of(*parts: str) -> str:
    """Return a path of one segment for each part. Ends with a message for an id that can be no segment."""
    if wrong := [part for part in parts if "/" in part or part.strip(".") == ""]:
        output.fail(f"{wrong[0][:100]!r} is no id: no id holds a '/' or dots alone.", output.MISUSED)
    return "/" + "/".join(quote(part, safe="") for part in parts)


def settings_or_exit() -> tuple[ClientSettings, str, str]:
    """Return the settings, the app's address, and the key or nothing. Ends with a message if one is wrong."""
    try:
        settings = ClientSettings()
    except ValidationError as error:
        names = ", ".join(str(each["loc"][0]) for each in error.errors(include_input=False))
        output.fail(f"The settings are not usable: {names}.", output.MISUSED)
    except UnicodeDecodeError:
        output.fail(output.UNREADABLE_FILE, output.MISUSED)
    key = settings.api_key.get_secret_value().strip()
    if not key.isascii() or not (key.isprintable() or not key):
        output.fail("COUNTERSIGN_API_KEY is no key: copy it again, as `keys create` printed it.", output.MISUSED)
    return settings, _address(settings.url.rstrip("/") or f"http://127.0.0.1:{settings.port}"), key


def key_missing() -> NoReturn:
    """End with the message that there is no key."""
    output.fail(
        "COUNTERSIGN_API_KEY is missing. Where the app runs, make a key with `countersign keys create NAME "
        "--person EMAIL --role operator`, and set it in the environment or in .env.",
        output.MISUSED,
    )


@contextmanager
def connected() -> Iterator[Remote]:
    """Give the app. Ends with a message if no key is set."""
    settings, url, key = settings_or_exit()
    job = None if key else JobToken.of_this_job(settings.audience)
    if not key and job is None:
        key_missing()
    headers = {"User-Agent": "countersign-cli"} | ({"Authorization": f"Bearer {key}"} if key else {})
    with httpx.Client(base_url=url, headers=headers, timeout=settings.timeout_seconds, auth=job) as http:
        yield Remote(http, url)


def _address(url: str) -> str:
    try:
        parsed = urlsplit(url)
        good = parsed.scheme in {"http", "https"} and bool(parsed.hostname) and parsed.port != 0
    except ValueError:
        good = False
    if not good:
        output.fail(f"COUNTERSIGN_URL is no address: {url[:100]}. Write it like http://127.0.0.1:8000.", output.MISUSED)
    return url


def _fail(answer: httpx.Response, conflict: int) -> NoReturn:
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict) or "detail" not in problem:
        problem = {"detail": f"The app answered {answer.status_code} {answer.reason_phrase} without a sentence."}
    codes = {**EXIT_CODES, int(httpx.codes.CONFLICT): conflict}
    correlation = problem.get("correlation_id") or answer.headers.get("x-correlation-id")
    quoted = f"\nTo ask about it, quote the correlation id {correlation}." if correlation else ""
    output.fail(f"{problem['detail']}{quoted}", codes.get(answer.status_code, output.FAILED))


def payload(text: str) -> dict[str, Any]:
    """Return a typed JSON object. Raises: typer.Exit with a message for anything else."""
    try:
        found = json.loads(text, parse_constant=_no_number)
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate can be sent nowhere: UnicodeEncodeError
    except (ValueError, RecursionError) as error:
        output.fail(f"--input is no JSON ({error}). Write it like '{{\"paid\": true}}', in single quotes.", 2)
    if not isinstance(found, dict) or not found:
        output.fail(
            "--input has to be a JSON object with something in it: the engine delivers an empty one, false or 0 as "
            "nothing.",
            output.MISUSED,
        )
    return found


def _no_number(name: str) -> NoReturn:
    """Refuse NaN and its like: Python reads them, and JSON has no way to send them."""
    raise ValueError(f"{name} is no number in JSON")
