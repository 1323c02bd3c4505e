"""Logging: a JSON object a line, or readable lines on a terminal. Never a request's body or a secret."""

import logging
import sys
from typing import Any

import structlog
from dapr.ext.workflow.logger import LoggerOptions
from structlog.typing import EventDict, WrappedLogger

from bot.process.visible import visible

LIBRARIES = (
    "slack_bolt",
    "slack_sdk",
    "httpx",
    "httpcore",
    "aiosqlite",
    "durabletask-worker",
    "durabletask-client",
    "grpc",
    "WorkflowRuntime",
)


def configure(level: str = "INFO") -> None:
    """Set logging up for the process. Text of users is escaped, so that it cannot forge a line."""
    readable = sys.stderr.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *([_shown] if readable else []), renderer]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)


def _shown(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape all texts, as JSON does by itself: a terminal obeys them. Only a trace keeps its lines."""
    return {name: _harmless(name, value) if isinstance(value, str) else value for name, value in event.items()}


def _harmless(name: str, text: str) -> str:
    return visible(text) if name == "exception" else visible(text).replace("\n", "\\n")


def of_the_sdk() -> LoggerOptions:
    """Return how Dapr's SDK logs: through us alone. Its own handler writes every line once more, unescaped."""
    return LoggerOptions(log_handler=logging.NullHandler())
