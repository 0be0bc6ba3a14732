"""The pages of the door in a real browser: wide and narrow, light and dark, and the way in."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from closingbell import create_app
from closingbell.api.security.entrance import sign_in_address
from closingbell.api.server import ApiServer
from closingbell.app import App
from closingbell.core.role import Role
from tests.api_client import bearer
from tests.integration.browser import CHROMIUM, Browser
from tests.integration.test_report_browser import CONTRASTS

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium in the PATH")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def app(sqlite_address: str, browser: Browser) -> Iterator[App]:
    made = create_app(
        sqlite_address,
        guardian=False,
        oidc_issuer="https://login.example",
        oidc_client_id="desk",
        oidc_roles="desk=admin",
    )
    browser.call("Network.clearBrowserCookies")
    yield made
    made.stop()


@pytest.fixture
def server(app: App) -> Iterator[ApiServer]:
    with ApiServer(app, port=0) as running:
        yield running


def complaints(browser: Browser) -> list[object]:
    """What the browser warned of or refused since the page was opened."""
    told = [one["params"]["entry"] for one in browser.events if one["method"] == "Log.entryAdded"]
    return [entry for entry in told if entry["level"] != "verbose"]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1440, 390])
def test_form_is_readable_and_fits(
    browser: Browser, server: ApiServer, width: int, dark: bool
) -> None:
    for path in ("/sign-in", "/sign-in?next=/runs"):
        browser.open(server.url + path, width=width, dark=dark)
        assert browser.ask(CONTRASTS) == []
        assert browser.ask("document.documentElement.scrollWidth") <= width
        # The focus is given after the page was loaded, at the browser's leisure.
        assert any(browser.ask("document.activeElement.id") == "token" for _ in range(500))
        assert browser.ask("getComputedStyle(document.querySelector('main')).maxWidth") == "400px"
        tall = "Math.min(...[...document.querySelectorAll('input:not([type=hidden]), button, .button')]"
        assert browser.ask(f"{tall}.map((one) => one.offsetHeight))") >= 44
        assert complaints(browser) == []


def test_form_signs_in_and_the_page_signs_out(
    browser: Browser, server: ApiServer, app: App
) -> None:
    token = bearer(app, Role.OPERATOR, "ann")["Authorization"].removeprefix("Bearer ")
    browser.open(server.url + "/", width=1440)
    assert browser.ask("location.pathname") == "/sign-in"
    browser.events.clear()
    browser.ask(f"document.getElementById('token').value = {token!r}; document.forms[0].submit()")
    browser.await_load()
    assert browser.ask("location.pathname") == "/"
    assert browser.ask("document.querySelector('footer p').textContent").startswith("ann, operator")
    # No script gets at the cookie.
    assert browser.ask("document.cookie") == ""
    assert browser.ask(CONTRASTS) == []
    browser.events.clear()
    browser.ask("document.forms[0].submit()")
    browser.await_load()
    assert browser.ask("location.pathname") == "/sign-in"
    browser.open(server.url + "/", width=390)
    assert browser.ask("location.pathname") == "/sign-in"
    assert complaints(browser) == []


def test_wrong_token_is_told_to_who_sees_and_to_who_hears(
    browser: Browser, server: ApiServer
) -> None:
    browser.open(server.url + "/sign-in", width=390, dark=True)
    browser.events.clear()
    browser.ask("document.getElementById('token').value = 'no'; document.forms[0].submit()")
    browser.await_load()
    assert browser.ask("document.querySelector('[role=alert]').textContent").startswith(
        "This token"
    )
    assert browser.ask("document.getElementById('token').getAttribute('aria-describedby')")
    assert browser.ask(CONTRASTS) == []


class LinkingSite:
    """Another site, with a link to an address."""

    def __init__(self, address: str) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = f'<a id="link" href="{address}">sign in</a>'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        # localhost is another site than 127.0.0.1.
        self.url = f"http://localhost:{self._server.server_port}/"

    def __enter__(self) -> LinkingSite:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def test_address_that_another_site_links_to_signs_in(
    browser: Browser, server: ApiServer, app: App
) -> None:
    """The cookie is strict: a mere redirect would lead back to the form."""
    address = sign_in_address(app, server.url, "admin", Role.ADMIN)
    with LinkingSite(address) as site:
        browser.open(site.url, width=390)
        browser.events.clear()
        browser.ask("document.getElementById('link').click()")
        browser.await_load(2)
    assert browser.ask("location.href") == f"{server.url}/"
    assert browser.ask("document.querySelector('footer p').textContent").startswith("admin")


def test_page_of_another_site_reads_and_changes_nothing(
    browser: Browser, server: ApiServer, app: App
) -> None:
    browser.open(sign_in_address(app, server.url, "admin", Role.ADMIN), width=390)
    tokens = len(app.store.tokens.page(10))
    tries = """
    (async () => {
      const found = [];
      for (const path of ['/api/v1/session', '/openapi.json']) {
        await fetch('ADDRESS' + path, {credentials: 'include'})
          .then((answer) => found.push(path + answer.status), () => found.push('refused'));
      }
      await fetch('ADDRESS/api/v1/tokens', {
        method: 'POST', credentials: 'include', mode: 'no-cors', body: '{"name":"x","role":"admin"}',
      }).then(() => found.push('sent'), () => found.push('refused'));
      return found;
    })()
    """.replace("ADDRESS", server.url)
    with LinkingSite("/") as site:
        browser.open(site.url, width=390)
        answer = browser.call(
            "Runtime.evaluate", expression=tries, returnByValue=True, awaitPromise=True
        )
    assert answer["result"]["value"][:2] == ["refused", "refused"]
    assert len(app.store.tokens.page(10)) == tokens
