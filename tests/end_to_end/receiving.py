"""Another system's web server, which takes webhooks."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from tests.end_to_end.system import eventually


class Receiver:
    """Another system's web server. `answers` are its next statuses; it says 204 after them."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(outer.answers.pop(0) if outer.answers else 204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/hooks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, request_id: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        found = [(headers, json.loads(body)) for headers, body in self.got]
        return [each for each in found if each[1]["data"]["id"] == request_id]

    def ended(self, request_id: str) -> tuple[dict[str, str], dict[str, Any]]:
        eventually(lambda: len(self.of(request_id)) > 0)
        return self.of(request_id)[-1]
