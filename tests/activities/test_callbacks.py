"""A callback that would not be called after the yes is refused at the start."""

import pytest

from activities.callbacks import BadCallbackError, Callbacks, allowed_host

ALLOWED = Callbacks(["orders.example", "other.example:8443", "[::1]:5", "bücher.example"])
LOCAL = Callbacks(["127.0.0.1:9999", "localhost", "orders.example"], plain_to_loopback=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://orders.example/approved",
        "https://orders.example:443/approved?key=1",
        "HTTPS://ORDERS.example",
        "https://other.example:8443/",
        "https://[::1]:5/",
        "https://bücher.example/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_an_allowed_address_is_called(url: str) -> None:
    ALLOWED.demand(url)


def test_a_request_without_a_callback_needs_none() -> None:
    Callbacks().demand(None)


REFUSED = {
    "http": "http://orders.example/",
    "another scheme": "ftp://orders.example/",
    "a script": "javascript:alert(1)",
    "no scheme": "orders.example/approved",
    "no scheme but a host": "//orders.example/approved",
    "nothing": "",
    "no host": "https:///approved",
    "another host": "https://evil.example/",
    "a host below": "https://a.orders.example/",
    "a final dot": "https://orders.example./",
    "another port": "https://orders.example:8443/",
    "the port left out": "https://other.example/",
    "port 0": "https://orders.example:0/",
    "a port beyond": "https://orders.example:99999/",
    "a name in front": "https://orders.example@evil.example/",
    "a password": "https://me:secret@orders.example/",
    "a fragment": "https://orders.example/#top",
    "a backslash": "https://orders.example\\@evil.example/",
    "a tab": "https://orders.example\t.evil.example/",
    "a line": "https://orders.example/\nX-Header: 1",
    "a space": "https://orders.example/ approved",
    "an escaped dot": "https://orders.example%2eevil.example/",
    "text that turns": "https://orders.example/\u202etxt",
    "an address as a number": "https://2130706433/",
    "too long": "https://orders.example/" + "x" * 2000,
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("callbacks", [ALLOWED, LOCAL], ids=["real Slack", "local Slack"])
def test_every_other_address_is_refused(callbacks: Callbacks, url: str) -> None:
    with pytest.raises(BadCallbackError):
        callbacks.demand(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9999/x", "http://localhost/x", "https://127.0.0.1:9999/x"])
def test_plain_http_goes_to_this_machine_alone_and_only_beside_a_local_slack(url: str) -> None:
    LOCAL.demand(url)
    strict = Callbacks(["127.0.0.1:9999", "localhost"])
    if url.startswith("http:"):
        with pytest.raises(BadCallbackError, match="https"):
            strict.demand(url)


@pytest.mark.parametrize(
    "entry",
    [
        *("", " ", "https://orders.example", "orders.example/x", "me@orders.example", "*", "*.example", "a:b:c"),
        *("orders.example:0", "orders.example:99999", "orders.example:x", "orders.example?", "x#", "x y", "a\\b"),
    ],
)
def test_an_entry_that_allows_nothing_is_refused_when_the_settings_are_read(entry: str) -> None:
    with pytest.raises(ValueError, match=r"orders\.example:8443"):
        allowed_host(entry)
