"""A CI job's own token in place of a stored key: GitHub Actions gives one on request, GitLab puts it into a variable.

The policy's `workloads` say which jobs are believed. docs/how-to/ask-from-ci.md has the steps. The client has the same
(client/src/countersign/job_token.py): it is a distribution of its own, and neither installs the other.
"""

import os
import time
from collections.abc import Generator
from typing import Self

import httpx

from bot.cli import output

JOB_TOKEN_FRESH_S = 240.0
"""Seconds for which a token is used. GitHub's are good for five minutes, and a job waits for longer."""

NO_ANSWER = (
    "GitHub gives this job no token. Add `permissions: {id-token: write}` to the job, or set COUNTERSIGN_API_KEY as a "
    "secret."
)


class JobToken(httpx.Auth):
    """Sends the token with each call, and fetches a new one in time. `url` is empty for a token that is given."""

    requires_response_body = True

    def __init__(self, *, url: str = "", bearer: str = "", audience: str = "", token: str = "") -> None:
        self._url, self._bearer, self._audience = url, bearer, audience
        self._token = token
        self._until = float("inf") if token else float("-inf")

    @classmethod
    def of_this_job(cls, audience: str) -> Self | None:
        """Return the token of the job that this process runs in, None outside of one."""
        url, bearer = (os.environ.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
        if token := os.environ.get("COUNTERSIGN_ID_TOKEN", "").strip():
            return cls(token=token)
        return cls(url=url, bearer=bearer, audience=audience) if url and bearer else None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Fetch a token if the last one is old, and send it."""
        if time.monotonic() > self._until:
            where = httpx.URL(self._url).copy_merge_params({"audience": self._audience})
            answer = yield httpx.Request("GET", where, headers={"Authorization": f"bearer {self._bearer}"})
            try:
                self._token = str(answer.raise_for_status().json()["value"])
            except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
                output.fail(NO_ANSWER, output.REFUSED)
            self._until = time.monotonic() + JOB_TOKEN_FRESH_S
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
