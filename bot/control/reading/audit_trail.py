"""Reading and verifying the audit for the dashboard: pages of it, whom it names, and whether the chain is whole."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from approvals.audit_actions import AuditAction
from approvals.authority import Action
from approvals.values import Value
from bot.access.authenticating import Access, Caller
from bot.process.correlation import correlation_id
from records import audit, checkpoints, instances, keys
from records.chain import Verification
from records.checkpoints import is_signed
from records.database import Database

MOST_KEYS = 1_000


class Verified(Value):
    """The result of a check of the chain. `unsigned` are the entries whose checkpoint no trusted key has signed.

    `missing` says that checkpoints are missing, if they are.
    """

    chain: Verification
    unsigned: tuple[int, ...]
    missing: str = ""

    @property
    def whole(self) -> bool:
        """Whether the check found nothing wrong."""
        return self.chain.ok and not self.unsigned and not self.missing


class AuditTrail:
    """Shows the audit to auditors. `trusted` are the public keys whose checkpoints count. Raises: Refused."""

    def __init__(
        self,
        database: Database,
        access: Access,
        trusted: Collection[bytes],
        clock: Callable[[], datetime],
        checkpoint_every: timedelta,
    ) -> None:
        self._database = database
        self._access = access
        self._trusted = trusted
        self._clock = clock
        self._checkpoint_every = checkpoint_every

    async def page(
        self, caller: Caller, wanted: audit.EntryFilter, *, before: int | None, limit: int
    ) -> tuple[audit.Chained, ...]:
        """Return entries, newest first; `before` is the number of the last one seen."""
        await self._access.demand(caller, Action.AUDIT_READ)
        async with self._database.read() as connection:
            return await audit.page(connection, wanted, before=before, limit=limit)

    async def instance_of(self, reference: str) -> str:
        """Return the instance that an order's id or an instance id means; an unknown one as it is."""
        async with self._database.read() as connection:
            row = await instances.find(connection, reference.removeprefix("order ").lstrip("#"))
        return row.instance_id if row else reference

    async def actors(self) -> dict[str, str]:
        """Return all actors in the audit; those that are API keys with name and e-mail."""
        async with self._database.read() as connection:
            known = await audit.actors(connection)
            owners = {
                f"key:{key.id}": f"{key.name} {key.person}" for key in await keys.page(connection, limit=MOST_KEYS)
            }
        return {actor: owners.get(actor, "") for actor in known}

    async def verify(self, caller: Caller) -> Verified:
        """Check the whole chain against itself and its signed checkpoints; the check is audited."""
        await self._access.demand(caller, Action.AUDIT_VERIFY)
        async with self._database.read() as connection:
            kept = await checkpoints.kept(connection)
            signed = max((each.seq for each in kept), default=0)
            missing = await checkpoints.missing(connection, signed, self._checkpoint_every)
        unsigned = tuple(each.seq for each in kept if not is_signed(each, self._trusted))
        found = Verified(chain=await audit.verify(self._database, kept), unsigned=unsigned, missing=missing)
        entry = audit.Entry(
            at=self._clock(),
            actor=caller.actor,
            action=AuditAction.AUDIT_VERIFIED,
            through=caller.through,
            verdict="whole" if found.whole else "broken",
            correlation_id=correlation_id(),
            data={"entries": found.chain.entries, "email": caller.email},
        )
        async with self._database.write() as connection:
            await audit.append(connection, entry)
        return found
