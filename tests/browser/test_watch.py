"""What the other tests rely on: a page that misbehaves is noticed, and the browser leaves nothing behind."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.watch import eventually

POLICY = "default-src 'none'; script-src 'nonce-good'; connect-src 'self'"
ANYWHERE = POLICY.replace("'self'", "*")
PAGES = {
    "/good": (POLICY, "<p>Nothing happens here."),
    "/inline": (POLICY, "<p>Hello<script>document.title = 'changed'</script>"),
    "/handler": (POLICY, '<img src="/nothing.png" onerror="alert(1)">'),
    "/style": (POLICY, '<p style="color: red">Hello'),
    "/dialog": (POLICY, '<script nonce="good">alert(1)</script>'),
    "/error": (POLICY, '<script nonce="good">throw new Error("defect")</script>'),
    "/told": (POLICY, '<script nonce="good">console.error("defect")</script>'),
    "/missing": (POLICY, '<script nonce="good">fetch("/nothing")</script>'),
    "/outside": (ANYWHERE, '<script nonce="good">fetch("http://example.com/").catch(() => 0)</script>'),
    "/lawless": ("", "<p>Hello"),
}
NOTICED = {
    "/inline": "CSP: script-src-elem",
    "/handler": "CSP: img-src",
    "/style": "CSP: style-src",
    "/dialog": "dialog: alert 1",
    "/error": "uncaught: defect",
    "/told": "console error: defect",
    "/missing": "console error: .* 404",
    "/outside": "outside: GET http://example.com/",
    "/lawless": "no policy",
}


@pytest.fixture(scope="module")
def site():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            policy, body = PAGES.get(self.path, ("", ""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(f"<!doctype html><html lang=en><title>A page</title>{body}".encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", NOTICED)
def test_a_page_that_does_what_it_must_not_is_noticed(watched, site, path):
    context, watch = watched()
    watch.expect("")
    page = context.new_page()

    page.goto(site + path)

    eventually(page, lambda: any(re.search(NOTICED[path], told) for told in watch.all))


def test_a_page_that_does_nothing_of_it_is_not(watched, site):
    context, watch = watched()

    context.new_page().goto(f"{site}/good")

    assert watch.all == []
