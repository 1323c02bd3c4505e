"""GET /metrics: figures for alerts, in Prometheus' text form. No label comes from a user's text."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.exposition import choose_encoder

from approvals.decision import Reason
from approvals.values import Value
from bot.control.reconciling.reconciler import Reconciler
from bot.control.reconciling.restoring import Restoration
from bot.decisions.delivery import ALARM_AGE, Deliverer
from bot.engine.worker import Worker
from bot.process import measures
from bot.process.leadership import Job, Leadership
from bot.process.periodic import Loops
from records import alarms, intake, notifications, statistics
from records.database import Database
from records.errors import RecordsError

log = structlog.get_logger(__name__)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOTALS_CACHED_S = 15.0
"""Cache all-time totals for this many seconds: they walk an index, and a scraper asks often."""

OUTCOMES = ("approved", "rejected", "timed_out", "withdrawn", "terminated", "failed", "unknown")


class Figures(Value):
    """The figures of one scrape. Ages in seconds; `oldest` is 0 while nothing is undelivered."""

    database_up: bool = False
    oldest: float = 0.0
    undelivered: int = 0
    unposted: int = 0
    stale: int = 0
    untold: int = 0
    waiting: int = 0
    failed: int = 0


READY: Final = "1 while the sidecar can hand this process work."


class Metrics:
    """Gathers the figures at each scrape."""

    def __init__(  # noqa: PLR0913 the parts that are counted
        self,
        *,
        database: Database,
        worker: Worker | None,
        deliverer: Deliverer,
        loops: Loops,
        leadership: Leadership,
        reconciler: Reconciler,
        restoration: Restoration,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._worker = worker
        self._deliverer = deliverer
        self._loops = loops
        self._leadership = leadership
        self._reconciler = reconciler
        self._restoration = restoration
        self._clock = clock
        self._counted_at = float("-inf")
        self._outcomes: dict[str, int] = {}
        self._refusals: dict[str, int] = {}
        self._forged: dict[str, int] = {}

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """Return the exposition, and its type: OpenMetrics, with exemplars, if it is accepted.

        If the database is away, that is a figure and the others are shown.
        """
        found = Figures()
        try:
            found = await self._figures()
            await self._count()
        except RecordsError as error:
            log.warning("figures are missing from the metrics", why=str(error))
        except Exception:
            log.exception("figures are missing from the metrics")
        shared = self._leadership.held[Job.FIGURES]
        encode, content_type = choose_encoder(accept)
        return encode(_Both(self._registry(found, shared=shared))), content_type

    async def _figures(self) -> Figures:
        now = self._clock()
        async with self._database.read() as connection:
            age = await intake.oldest_undelivered(connection, now)
            return Figures(
                database_up=True,
                oldest=max(0.0, age.total_seconds()) if age else 0.0,
                undelivered=await intake.undelivered(connection),
                unposted=await alarms.unposted(connection, now - UNPOSTED_AFTER),
                stale=await alarms.stale(connection, now - STALE_AFTER),
                untold=len(await notifications.late(connection, now - STALE_AFTER, MOST_UNTOLD)),
                waiting=await alarms.waiting(connection),
                failed=await alarms.failed(connection),
            )

    async def _count(self) -> None:
        if time.monotonic() - self._counted_at < TOTALS_CACHED_S:
            return
        until = self._clock() + timedelta(days=1)
        async with self._database.read() as connection:
            self._outcomes = await statistics.by_outcome(connection, EPOCH, until)
            self._refusals = await statistics.refusals(connection, EPOCH, until)
            self._forged = await alarms.forged(connection)
        self._counted_at = time.monotonic()

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
        _labelled(registry, "requests_ended", "Requests by how they ended.", "outcome", self._outcomes, OUTCOMES)
        reasons = tuple(each.value for each in Reason)
        _labelled(registry, "decisions_refused", "Refused decisions by reason.", "reason", self._refusals, reasons)
        forged = tuple(each.value for each in alarms.FORGED)
        _labelled(registry, "evidence_alarms", EVIDENCE_ALARMS, "action", self._forged, forged)

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
        for table, count in self._database.bad_rows.by_table().items():
            bad.labels(table).set(count)


EVIDENCE_ALARMS = "Audit entries of what did not follow from sealed evidence, or was started at none of our doors."
UNPOSTED_AFTER = timedelta(minutes=1)
MOST_UNTOLD = 1_000
STALE_AFTER = timedelta(seconds=30)


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
