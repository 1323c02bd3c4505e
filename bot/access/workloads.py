"""Programs that come with a token of their platform in place of a stored key: which one of the policy's it is.

A token names an issuer; only an issuer that the policy names is asked for its keys. The token has to be signed by it,
for the policy's audience, in time, and to have the claims of exactly one workload.
"""

import httpx

from approvals.policy.workloads import WorkloadRule
from bot.access.oidc import LARGEST_TOKEN, BadTokenError, Oidc, issuer_of


class Workloads:
    """Checks tokens. One cache of keys for each issuer and audience."""

    def __init__(self, http: httpx.AsyncClient, algorithms: tuple[str, ...]) -> None:
        self._http = http
        self._algorithms = algorithms
        self._issuers: dict[tuple[str, str], Oidc] = {}

    def claimed(self, token: str, known: tuple[WorkloadRule, ...]) -> bool:
        """Return whether a token says that it is from an issuer of these workloads."""
        return len(token) <= LARGEST_TOKEN and issuer_of(token) in {each.issuer for each in known}

    async def of(self, token: str, known: tuple[WorkloadRule, ...]) -> WorkloadRule:
        """Return the workload that a token proves. Raises: BadTokenError, ProviderUnavailableError."""
        issuer = issuer_of(token)
        wanted = [each for each in known if each.issuer == issuer]
        refused = BadTokenError("This bearer token is from an issuer that the policy does not name.")
        for audience in dict.fromkeys(each.audience for each in wanted):
            try:
                claims = await self._oidc(issuer, audience).claims_of(token)
            except BadTokenError as error:
                refused = error
                continue
            found = [each for each in wanted if each.audience == audience and each.fits(claims)]
            if len(found) == 1:
                return found[0]
            why = "no workload of the policy has its claims" if not found else "its claims fit several workloads"
            refused = BadTokenError(f"This bearer token is good, but {why}. Look at `workloads` in the policy.")
        raise refused

    def _oidc(self, issuer: str, audience: str) -> Oidc:
        known = self._issuers.get((issuer, audience))
        if known is None:
            known = Oidc(self._http, issuer=issuer, audience=audience, algorithms=self._algorithms)
            self._issuers[issuer, audience] = known
        return known
