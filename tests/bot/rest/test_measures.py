"""What a scrape shows: shared figures from one process alone, and how long people waited."""

from prometheus_client.parser import text_string_to_metric_families

from bot.process import measures
from tests.in_process import Program


async def names(program: Program) -> set[str]:
    text, _ = await program.services.metrics.text()
    return {sample.name for family in text_string_to_metric_families(text.decode()) for sample in family.samples}


async def test_what_all_processes_share_is_shown_by_the_leader_alone(program: Program) -> None:
    program.services.database  # noqa: B018 made
    without = await names(program)
    await program.services.leadership.round()
    with_lease = await names(program)
    assert {"countersign_requests_waiting", "countersign_requests_ended_total"} <= with_lease - without
    assert {"countersign_database_up", "countersign_oldest_undelivered_seconds"} <= without


async def test_a_scraper_that_accepts_it_gets_openmetrics(program: Program) -> None:
    text, content_type = await program.services.metrics.text("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


async def test_acknowledgements_and_deliveries_are_measured(program: Program) -> None:
    def count(name: str, **labels: str) -> float:
        return measures.REGISTRY.get_sample_value(f"countersign_{name}_count", labels) or 0

    before = count("decision_delivery_seconds")
    order = await program.asked()
    await program.click("U0MANAGER", order)
    await program.ended(order)
    assert count("decision_delivery_seconds") == before + 1
    measures.acknowledged(0.2, ok=False)
    assert count("slack_ack_seconds", outcome="failed") >= 1
