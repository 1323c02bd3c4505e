"""The page of metrics, from the registry that answers a scrape."""

from prometheus_client import Gauge

from bot.rest.metrics import Figures
from tools.docs import tables
from tools.docs.app import services

ABOUT = """`GET /metrics` in Prometheus' text form. It asks for no key: do not route it to the internet. No label
holds what a user typed."""


def page() -> str:
    """Return the page."""
    with services() as parts:
        registry = parts.metrics._registry(Figures())  # noqa: SLF001 a scrape would ask a database
    gauges = [each for each in registry._collector_to_names if isinstance(each, Gauge)]  # noqa: SLF001 no public way
    rows = [
        (tables.code(each._name), ", ".join(map(tables.code, each._labelnames)), each._documentation)  # noqa: SLF001
        for each in gauges
    ]
    return tables.page("Metrics", "`bot/rest/metrics.py`", ABOUT, tables.table(("metric", "labels", "meaning"), rows))
