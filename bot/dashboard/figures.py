"""/statistics : what waits now and how decisions went, as figures, plots, and tables that say the same."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from approvals.moments import moment_of
from approvals.percents import whole_percents
from bot.control.reading.overview import Overview
from bot.dashboard import charts
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer

USUAL = "30d"
SPANS = {"7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "a year"}


class StatisticsPage:
    """The page of statistics."""

    def __init__(self, renderer: PageRenderer, overview: Overview, names: DisplayNames) -> None:
        self._pages = renderer
        self._overview = overview
        self._names = names

    def register(self, router: APIRouter) -> None:
        """Add the page."""
        router.get("/statistics")(self.show)

    async def show(self, request: Request) -> Response:
        """Show the figures."""
        signed_in = await self._pages.enter(request)
        now, since = self._pages.clock(), request.query_params.get("since", USUAL)[:60]
        mistake = ""
        try:
            moment = moment_of(since, now)
        except ValueError as error:
            since, mistake = USUAL, f"The time is not usable: {error}. The last 30 days are shown."
            moment = moment_of(since, now)
        found = await self._overview.statistics(signed_in.caller, moment)
        names = await self._names.of([each.what for each in found.by_approver])
        return self._pages.show(
            request,
            signed_in,
            "statistics.html",
            status=422 if mistake else 200,
            mistake=mistake,
            found=found,
            since=since,
            spans=SPANS,
            days=charts.columns(found.per_day, moment.date(), now.date()),
            rules=charts.bars(found.by_rule, {"": "no rule"}),
            approvers=charts.bars(found.by_approver, names, "/?waiting_on="),
            width=charts.WIDTH,
            height=charts.HEIGHT,
            shares=charts.shares(found.outcomes),
            percents=whole_percents(found.outcomes),
            refusals={_told(reason): count for reason, count in found.refusals.items()},
        )


def _told(reason: str) -> str:
    """Return a reason in a few words: its message addresses the person who clicked."""
    return reason.replace("_", " ").capitalize()
