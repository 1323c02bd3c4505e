"""GET /metrics: figures for alerts, in Prometheus' text form. No label comes from a user's text."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.exposition import choose_encoder

from approvals.decision import Reason
from bot.control.reading.figures import Figures, GatheredFigures
from bot.control.reconciling.reconciler import Reconciler
from bot.control.reconciling.restoring import Restoration
from bot.decisions.delivery import ALARM_AGE, Deliverer
from bot.engine.worker import Worker
from bot.process import measures
from bot.process.leadership import Job, Leadership
from bot.process.periodic import Loops
from records import alarms
from records.errors import RecordsError

log = structlog.get_logger(__name__)


OUTCOMES = ("approved", "rejected", "timed_out", "withdrawn", "terminated", "failed", "unknown")


READY: Final = "1 while the sidecar can hand this process work."


class Metrics:
    """Gathers the figures at each scrape."""

    def __init__(  # noqa: PLR0913 the parts that are counted
        self,
        *,
        gathered: GatheredFigures,
        worker: Worker | None,
        deliverer: Deliverer,
        loops: Loops,
        leadership: Leadership,
        reconciler: Reconciler,
        restoration: Restoration,
        clock: Callable[[], datetime],
    ) -> None:
        self._gathered = gathered
        self._worker = worker
        self._deliverer = deliverer
        self._loops = loops
        self._leadership = leadership
        self._reconciler = reconciler
        self._restoration = restoration
        self._clock = clock

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition, and its type: OpenMetrics, with exemplars, if it is accepted.

        If the database is away, that is a figure and the others are shown.
        """
        found = Figures()
        try:
            found = await self._gathered.now()
            await self._gathered.count()
        except RecordsError as error:
            log.warning("figures are missing from the metrics", why=str(error))
        except Exception:
            log.exception("figures are missing from the metrics")
        shared = self._leadership.held[Job.FIGURES]
        encode, content_type = choose_encoder(accept)
        return encode(_Both(self._registry(found, shared=shared))), content_type

    def _registry(self, found: Figures, *, shared: bool = True) -> CollectorRegistry:
        """Return the figures of this process, and those that all share if it is the one that shows them."""
        registry = CollectorRegistry()
        if shared:
            self._shared_figures(registry, found)
        plain: dict[str, tuple[str, float]] = {
            "database_up": ("1 while the database answers.", found.database_up),
            **({} if self._worker is None else {"worker_ready": (READY, self._worker.ready)}),
            "undelivered_decisions": ("Decisions that the workflow has not answered.", found.undelivered),
            "oldest_undelivered_seconds": ("Age of the oldest decision without the workflow's answer.", found.oldest),
            "undelivered_alarm": ("1 when that age is over 30 s.", found.oldest > ALARM_AGE.total_seconds()),
            "deliveries_failing": (
                "1 while no decision reaches its workflow though one should.",
                self._deliverer.raises.trouble_s > 0,
            ),
            "effects_held": (
                "1 while the database is older than its checkpoints and effects are held.",
                self._restoration.held,
            ),
        }
        for name, (about, value) in plain.items():
            Gauge(f"countersign_{name}", about, registry=registry).set(float(value))
        counted = {
            "deliveries_failed": ("Times that this process could not raise a decision.", self._deliverer.failures),
            "comparisons_failed": (
                "Times that this process could not compare an instance with the engine.",
                self._reconciler.left_out,
            ),
        }
        for name, (about, value) in counted.items():
            Counter(f"countersign_{name}", about, registry=registry).inc(value)
        self._loop_figures(registry)
        return registry

    def _shared_figures(self, registry: CollectorRegistry, found: Figures) -> None:
        """Add what every process would show the same: one shows it, so that a sum counts it once."""
        plain = {
            "workflows_failed": ("Workflows that broke off with an error: run them again or purge them.", found.failed),
            "requests_waiting": ("Requests that wait for a decision.", found.waiting),
            "cards_unposted": ("Requests that wait for over a minute without a card in Slack.", found.unposted),
            "cards_stale": ("Cards that have not shown what is true for over 30 s.", found.stale),
            "notifications_late": ("Messages that Slack has not taken for over 30 s, up to 1,000.", found.untold),
        }
        for name, (about, value) in plain.items():
            Gauge(f"countersign_{name}", about, registry=registry).set(float(value))
        _labelled(
            registry, "requests_ended", "Requests by how they ended.", "outcome", self._gathered.outcomes, OUTCOMES
        )
        reasons = tuple(each.value for each in Reason)
        _labelled(
            registry, "decisions_refused", "Refused decisions by reason.", "reason", self._gathered.refusals, reasons
        )
        forged = tuple(each.value for each in alarms.FORGED)
        _labelled(registry, "evidence_alarms", EVIDENCE_ALARMS, "action", self._gathered.forged, forged)

    def _loop_figures(self, registry: CollectorRegistry) -> None:
        failed = Counter(
            "countersign_loop_failures", "Rounds of a loop that failed in this process.", ("loop",), registry=registry
        )
        down = Gauge(
            "countersign_loop_down",
            "1 while a loop failed three times in a row, or hangs.",
            ("loop",),
            registry=registry,
        )
        for state in self._loops.states:
            failed.labels(state.name).inc(state.failures)
            down.labels(state.name).set(state.down)
        leader = Gauge(
            "countersign_leader", "1 while this process does a job for all processes.", ("job",), registry=registry
        )
        for job, held in self._leadership.held.items():
            leader.labels(job.value).set(held)
        bad = Gauge(
            "countersign_rows_unreadable", "Rows that were set aside lately, by table.", ("table",), registry=registry
        )
        for table, count in self._gathered.unreadable.items():
            bad.labels(table).set(count)


EVIDENCE_ALARMS = "Audit entries of what did not follow from sealed evidence, or was started at none of our doors."


class _Both:
    """A registry of one scrape, and what this process measures all along."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """Give the families of both."""
        yield from self._registry.collect()
        yield from measures.REGISTRY.collect()


def _labelled(  # noqa: PLR0913, PLR0917 a family of one metric
    registry: CollectorRegistry, name: str, about: str, label: str, found: dict[str, int], known: tuple[str, ...]
) -> None:
    """Show one figure for each word that this program knows; any other counts as "other"."""
    counter = Counter(f"countersign_{name}", about, (label,), registry=registry)
    for word in known:
        counter.labels(word).inc(found.get(word, 0))
    counter.labels("other").inc(sum(count for word, count in found.items() if word not in known))


def routes(metrics: Metrics) -> APIRouter:
    """Return the route. It asks for no key, as scrapers expect: it shows counts alone."""
    router = APIRouter(tags=["health"])

    @router.get("/metrics", response_class=Response)
    async def scrape(request: Request) -> Response:
        """Figures for Prometheus."""
        text, content_type = await metrics.text(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})

    return router
