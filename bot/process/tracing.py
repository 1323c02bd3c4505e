"""Traces with OpenTelemetry, if the extra `otel` is installed and OTEL_EXPORTER_OTLP_ENDPOINT is set; else nothing.

An approval waits for days, so that no span may stay open: asking, deciding and completing are a trace each, joined by
span links. A span that others link to has an id that is derived from its trace and a key (the instance, the decision):
the trace's id in the audit links to it, also after a restart and from another replica.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, NamedTuple

import structlog

log = structlog.get_logger(__name__)

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
TRACE_ID_DIGITS: Final = 32
SAMPLED: Final = 1

Kind = Literal["internal", "server", "consumer"]


class SpanRef(NamedTuple):
    """A span of another moment: its trace and itself, in hex digits."""

    trace_id: str
    span_id: str


def ref(trace_id: str, key: str) -> SpanRef | None:
    """Return the span that has a key in a trace; None if that is no trace's id, such as a plain correlation id."""
    if len(trace_id) != TRACE_ID_DIGITS or not set(trace_id) <= set("0123456789abcdef"):
        return None
    return SpanRef(trace_id, hashlib.sha256(f"{trace_id}:{key}".encode()).hexdigest()[:16])


class Ids:
    """Makes ids as the SDK's generator does, and those of spans with a key by `ref`."""

    def __init__(self) -> None:
        self._key: ContextVar[tuple[str, str] | None] = ContextVar("span_key", default=None)

    @contextmanager
    def keyed(self, trace_id: str, key: str) -> Iterator[None]:
        """Give the next span the id of its key. Without `trace_id` it begins a trace."""
        token = self._key.set((trace_id, key) if key else None)
        try:
            yield
        finally:
            self._key.reset(token)

    def generate_trace_id(self) -> int:
        """Return a new trace's id, which is not 0."""
        made = secrets.token_hex(16)
        if (wanted := self._key.get()) is not None:
            self._key.set((made, wanted[1]))
        return int(made, 16) or 1

    def generate_span_id(self) -> int:
        """Return a span's id, which is not 0."""
        wanted = self._key.get()
        found = ref(*wanted) if wanted is not None else None
        return int(found.span_id if found else secrets.token_hex(8), 16) or 1

    def is_trace_id_random(self) -> bool:
        """Say that sampling may rely on the ids."""
        return True


class Tracing:
    """What makes spans. One that is off makes none and costs nothing."""

    def __init__(self) -> None:
        self._ids = Ids()
        self._provider: Any = None
        self._tracer: Any = None

    @property
    def on(self) -> bool:
        """Whether spans are made."""
        return self._tracer is not None

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Begin to export, if the environment names a collector."""
        given = os.environ if environment is None else environment
        if not any(given.get(name) for name in ENDPOINTS):
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            log.warning("no traces are sent: install countersign[otel], or unset OTEL_EXPORTER_OTLP_ENDPOINT")
            return
        named = {} if given.get("OTEL_SERVICE_NAME") else {"service.name": "countersign"}
        # Not the global provider: the SDKs that we use would make spans of their own beside ours.
        self._provider = TracerProvider(resource=Resource.create(named), id_generator=self._ids)  # type: ignore[arg-type]  # as one
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("countersign")

    def stop(self) -> None:
        """Send what is left. Waits for the collector, for some seconds at most."""
        if self._provider is not None:
            self._provider.shutdown()

    @contextmanager
    def span(  # noqa: PLR0913 what a span has
        self,
        name: str,
        *,
        key: str = "",
        parent: SpanRef | None = None,
        root: bool = False,
        links: Sequence[SpanRef | None] = (),
        kind: Kind = "internal",
        headers: Mapping[str, str] | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> Iterator[Any]:
        """Make a span of the block: below `parent`, the caller's traceparent in `headers`, or the one that runs.

        A `root` begins a trace. The trace's id becomes the correlation id of log and audit. An error is noted.
        """
        if self._tracer is None:
            yield None
            return
        from opentelemetry import trace

        context = self._context(parent, headers, root=root)
        above = trace.get_current_span(context).get_span_context()
        linked = [trace.Link(_context_of(each)) for each in links if each is not None]
        with self._ids.keyed(trace.format_trace_id(above.trace_id) if above.is_valid else "", key):
            made = self._tracer.start_span(
                name,
                context=context,
                kind=trace.SpanKind[kind.upper()],
                links=linked,
                attributes=dict(attributes or {}),
            )
        found = made.get_span_context()
        ids = {"correlation_id": trace.format_trace_id(found.trace_id), "span_id": trace.format_span_id(found.span_id)}
        with trace.use_span(made, end_on_exit=True), structlog.contextvars.bound_contextvars(**ids):
            yield made

    def _context(self, parent: SpanRef | None, headers: Mapping[str, str] | None, *, root: bool) -> Any:
        from opentelemetry import trace
        from opentelemetry.context import Context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        if root:
            return Context()
        if parent is not None:
            return trace.set_span_in_context(trace.NonRecordingSpan(_context_of(parent)), Context())
        if headers is not None:
            return TraceContextTextMapPropagator().extract(headers, Context())
        return None


def _context_of(span: SpanRef) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(int(span.trace_id, 16), int(span.span_id, 16), is_remote=True, trace_flags=TraceFlags(SAMPLED))


TRACING: Final = Tracing()
"""The process's own; `countersign run` starts it. As with logging, there is one for all."""
