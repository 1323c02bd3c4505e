"""A CI job's own token in place of a stored key: GitHub Actions gives one, GitLab puts it into a variable."""

import os
import time
from collections.abc import Generator
from typing import Final, Self

import httpx

from countersign.errors import Misconfigured
from countersign.values import Seconds

FRESH_S: Final[Seconds] = 240.0
"""How long a token is used. GitHub's are good for five minutes, and a job waits for longer."""


class JobToken(httpx.Auth):
    """Sends the token with each call, and fetches a new one in time. `url` is empty for a token that is given."""

    requires_response_body = True

    def __init__(self, *, url: str = "", bearer: str = "", audience: str = "", token: str = "") -> None:
        self._url, self._bearer, self._audience = url, bearer, audience
        self._token = token
        self._until = float("inf") if token else float("-inf")

    @classmethod
    def of_this_job(cls) -> Self | None:
        """Return the token of the job that this process runs in, None outside of one."""
        if token := os.environ.get("COUNTERSIGN_ID_TOKEN", "").strip():
            return cls(token=token)
        url, bearer = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
        audience = os.environ.get("COUNTERSIGN_AUDIENCE", "countersign")
        return cls(url=url, bearer=bearer, audience=audience) if url and bearer else None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Fetch a token if the last one is old, and send it. Raises: Misconfigured."""
        if time.monotonic() > self._until:
            where = httpx.URL(self._url).copy_merge_params({"audience": self._audience})
            answer = yield httpx.Request("GET", where, headers={"Authorization": f"bearer {self._bearer}"})
            try:
                self._token = str(answer.raise_for_status().json()["value"])
            except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
                raise Misconfigured(
                    "GitHub gives this job no token. Add `permissions: {id-token: write}` to the job, or set "
                    "COUNTERSIGN_API_KEY as a secret."
                ) from error
            self._until = time.monotonic() + FRESH_S
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
