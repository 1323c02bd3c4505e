"""One approval as an OpenTelemetry collector sees it: asked by one process, decided and completed by the next."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bot.process.tracing import Tracing, ref
from local.sidecar import Sidecar
from records import audit
from tests.end_to_end.processes import AppProcess, variables
from tests.end_to_end.system import REAL_SIDECAR, System, eventually, settings_for, workspace

CALLER = "0af7651916cd43dd8448eb211c80319c"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Give an OTLP receiver's address, and the spans that came."""
    spans: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = ExportTraceServiceRequest.FromString(body)
            for resource in found.resource_spans:
                spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", spans
    finally:
        server.shutdown()
        server.server_close()


def names(spans: list[Any], trace_id: str) -> set[str]:
    return {span.name for span in spans if span.trace_id.hex() == trace_id}


@pytest.mark.skipif(bool(REAL_SIDECAR), reason="beside the apps of other tests it would take their work")
def test_asking_deciding_and_completing_are_traces_that_links_join_over_a_restart(tmp_path: Path) -> None:
    with (
        Sidecar(tmp_path / "sidecar.db") as sidecar,
        workspace() as slack,
        collector() as (address, spans),
    ):
        settings = settings_for(tmp_path, slack, sidecar.address)
        environment = variables(settings) | {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with AppProcess(settings, tmp_path / "first.log", environment=environment) as app:
            slack.deliver_to = f"{app.url}/slack/events"
            system = System(slack, app.url, settings, sidecar.address)
            eventually(lambda: system.http.get("/readyz").json()["status"] == "ready")
            system.http.headers["traceparent"] = f"00-{CALLER}-b7ad6b7169203331-01"
            order = system.order("traced")
            order.card()
            assert app.end()[0] == 0
        with AppProcess(settings, tmp_path / "second.log", environment=environment) as app:
            slack.deliver_to = f"{app.url}/slack/events"
            system.http.base_url = app.url
            assert order.click("U0MANAGER").ok
            assert order.result() == {"status": "completed"}
            assert app.end()[0] == 0
        system.http.close()
        entries = system.records(lambda connection: audit.of_instance(connection, order.instance_id))
        by_action = {entry.action: entry for entry in entries}
        asked, decided = (by_action[each].correlation_id for each in ("order.started", "decision.submitted"))
        assert asked == CALLER
        assert {"POST /orders/{order_id}/start", "ask order", "request_approval"} <= names(spans, asked)
        assert {"POST /slack/events", "decide", "judge_decision"} <= names(spans, decided)
        (completed,) = (span for span in spans if span.name == "complete process_order")
        (decision,) = (span for span in spans if span.name == "decide")
        assert len({asked, decided, completed.trace_id.hex()}) == 3
        made = {(span.trace_id.hex(), span.span_id.hex()): span.name for span in spans}

        def linked(span: Any) -> set[str]:
            return {made[link.trace_id.hex(), link.span_id.hex()] for link in span.links}

        assert (linked(decision), linked(completed)) == ({"ask order"}, {"ask order", "decide"})
        lines = [json.loads(line) for line in (tmp_path / "second.log").read_text().splitlines() if line[:1] == "{"]
        assert not [line for line in lines if line["level"] == "error"]


def test_an_id_that_is_no_trace_s_gives_no_link() -> None:
    assert ref("5f0c9a7d1b3e", "order-42") is None
    assert ref("Z" * 32, "order-42") is None
    assert ref(CALLER, "order-42") == ref(CALLER, "order-42") != ref(CALLER, "order-43")


def test_without_a_collector_no_span_is_made() -> None:
    tracing = Tracing()
    tracing.start({})
    with tracing.span("x", key="y") as span:
        assert (tracing.on, span) == (False, None)
    tracing.stop()
