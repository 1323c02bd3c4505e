"""The page of metrics, from the registry that answers a scrape."""

from prometheus_client import Counter, Gauge, Histogram

from bot.control.reading.figures import Figures
from bot.process import measures
from tools.docs import tables
from tools.docs.app import services

ABOUT = """`GET /metrics` in Prometheus' text form. It asks for no key: do not route it to the internet. No label
holds what a user typed. Figures that all replicas share (waiting, ended, refused, cards, messages) are shown
by the leader of the job `figures` alone, so that a sum counts them once. A scraper that accepts OpenMetrics gets
exemplars with the trace's id."""


def page() -> str:
    """Return the page."""
    with services() as parts:
        registry = parts.metrics._registry(Figures())  # noqa: SLF001 a scrape would ask a database
    found = [*registry._collector_to_names, *measures.REGISTRY._collector_to_names]  # noqa: SLF001 no public way
    shown = [each for each in found if isinstance(each, Gauge | Counter | Histogram)]
    rows = [
        (tables.code(_name(each)), ", ".join(map(tables.code, each._labelnames)), each._documentation)  # noqa: SLF001
        for each in shown
    ]
    return tables.page("Metrics", "`bot/rest/metrics.py`", ABOUT, tables.table(("metric", "labels", "meaning"), rows))


def _name(metric: Counter | Gauge | Histogram) -> str:
    return f"{metric._name}_total" if isinstance(metric, Counter) else metric._name  # noqa: SLF001 no public way
