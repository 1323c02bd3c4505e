"""Slack in an outage: pages instead of JSON, odd Retry-After headers. All of it passes; none of it is a no."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from activities.slack.client import Slack
from activities.slack.directory import Directory
from activities.slack.failures import LookupFailedError, SlackRefusedError, SlackUnavailableError

PAGE = b"<html><body>Server Error</body></html>"


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """Serve one answer to everything; the value is the API's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name is http.server's
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api/"
    finally:
        server.shutdown()
        server.server_close()


PASSES = [
    ("a page with 500", 500, PAGE, {"content_type": "text/html"}),
    ("a page with 503 and a Retry-After", 503, PAGE, {"content_type": "text/html", "retry_after": "5"}),
    ("a proxy's page with 200", 200, PAGE, {"content_type": "text/html"}),
    ("a proxy's page with 404", 404, PAGE, {"content_type": "text/html"}),
    ("nothing with 502", 502, b"", {}),
    ("JSON that is cut off", 200, b'{"ok": tr', {"content_type": "application/json"}),
    ("JSON with 500", 500, b'{"ok": false, "error": "internal_error"}', {"content_type": "application/json"}),
    ("429 without a header", 429, b'{"ok": false, "error": "ratelimited"}', {"content_type": "application/json"}),
    ("429 as a page", 429, PAGE, {"content_type": "text/html", "retry_after": "1"}),
    (
        "429 with a date",
        429,
        b'{"ok": false, "error": "ratelimited"}',
        {"retry_after": "Mon, 23 Nov 2026 00:00:00 GMT"},
    ),
]


@pytest.mark.parametrize(("_what", "status", "body", "headers"), PASSES, ids=[each[0] for each in PASSES])
async def test_an_outage_passes_and_is_never_an_answer(
    _what: str, status: int, body: bytes, headers: dict[str, str]
) -> None:
    with answering(status, body, **headers) as address:
        slack = Slack("xoxb-test", address)
        try:
            with pytest.raises(SlackUnavailableError):
                await slack.call("users.info", user="U1")
            with pytest.raises(LookupFailedError):
                await Directory(slack).profile("U1")
        finally:
            await slack.close()


async def test_slack_s_no_is_a_no() -> None:
    with answering(200, b'{"ok": false, "error": "user_not_found"}', content_type="application/json") as address:
        slack = Slack("xoxb-test", address)
        try:
            with pytest.raises(SlackRefusedError):
                await slack.call("users.info", user="U1")
        finally:
            await slack.close()
