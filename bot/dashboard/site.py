"""Puts the dashboard together: what each page needs of the services, and where it is served."""

from collections.abc import Callable
from datetime import datetime

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.responses import Response

from activities.policies import PolicyFile
from activities.slack.directory import Directory
from approvals.signing import KeyRing
from bot.access.authenticating import Access
from bot.access.refusals import Kind, Refused
from bot.access.session_store import SessionStore
from bot.control.operations.bulk import Bulk
from bot.control.operations.single import Operations
from bot.control.operations.webhooks import Deliveries
from bot.control.reading.audit_trail import AuditTrail
from bot.control.reading.decided import DecisionsSearch
from bot.control.reading.event_stream import EventStream
from bot.control.reading.overview import Overview
from bot.control.subjects import Subjects
from bot.dashboard import api_page
from bot.dashboard.acting import Acting
from bot.dashboard.audit_page import AuditPage
from bot.dashboard.bulk_pages import BulkPages
from bot.dashboard.cookies import CookieSigner
from bot.dashboard.decisions_page import DecisionsPage
from bot.dashboard.figures import StatisticsPage
from bot.dashboard.instance import Instances
from bot.dashboard.live import Live
from bot.dashboard.names import DisplayNames
from bot.dashboard.page_renderer import PageRenderer
from bot.dashboard.policy_page import PolicyPage
from bot.dashboard.rendering import STATIC, Assets
from bot.dashboard.serving import PageRoute
from bot.dashboard.sessions import Sessions
from bot.dashboard.sign_in_pages import SignInPages
from bot.dashboard.slack_identity import SlackIdentity
from bot.dashboard.waiting import WaitingPage
from bot.dashboard.webhooks_page import WebhooksPage
from bot.decisions.submitting import Decisions
from bot.process.settings import Settings
from records.database import Database


def mount(  # noqa: PLR0913 the parts it is made of
    app: FastAPI,
    *,
    settings: Settings,
    keys: KeyRing,
    database: Database,
    access: Access,
    directory: Directory,
    policies: PolicyFile,
    overview: Overview,
    decided: DecisionsSearch,
    trail: AuditTrail,
    operations: Operations,
    subjects: Subjects,
    decisions: Decisions,
    bulk: Bulk,
    deliveries: Deliveries,
    following: EventStream,
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
) -> None:
    """Serve the dashboard. Before REST, whose addresses it shares: pages answer browsers alone."""
    cookies = CookieSigner(keys)
    sessions = Sessions(
        store=SessionStore(database, clock), access=access, cookies=cookies, clock=clock, public_url=settings.public_url
    )
    renderer, names = PageRenderer(sessions, clock), DisplayNames(directory, policies)
    secret = settings.slack_client_secret.get_secret_value()
    identity = SlackIdentity(http, settings.slack_api_url, settings.slack_client_id, secret)
    pages = APIRouter(route_class=PageRoute, include_in_schema=False)
    instances = Instances(
        renderer=renderer,
        overview=overview,
        subjects=subjects,
        access=access,
        decisions=decisions,
        directory=directory,
        names=names,
    )
    SignInPages(sessions, access, directory, identity).register(pages)
    WaitingPage(renderer, overview, names).register(pages)
    instances.register(pages)
    Acting(
        renderer=renderer,
        overview=overview,
        subjects=subjects,
        operations=operations,
        decisions=decisions,
        access=access,
        instances=instances,
    ).register(pages)
    BulkPages(renderer=renderer, bulk=bulk, access=access, names=names).register(pages)
    StatisticsPage(renderer, overview, names).register(pages)
    AuditPage(renderer=renderer, access=access, trail=trail, names=names).register(pages)
    DecisionsPage(renderer, decided, names).register(pages)
    PolicyPage(renderer, access, policies).register(pages)
    WebhooksPage(renderer, deliveries).register(pages)
    streams = APIRouter()
    api_page.register(streams, app)
    Live(following, sessions).register(streams)
    app.include_router(pages)
    app.include_router(streams)
    app.mount("/assets", Assets(directory=STATIC), name="assets")


def mount_unknown(app: FastAPI) -> None:
    """Answer a browser with a page at every address that nothing else has; programs get REST's answer."""
    pages = APIRouter(route_class=PageRoute, include_in_schema=False)

    @pages.get("/{address:path}")
    async def unknown(address: str) -> Response:
        raise Refused(Kind.NOT_FOUND, f"There is no page /{address[:100]}. Begin at the list, or look at the address.")

    app.include_router(pages)
