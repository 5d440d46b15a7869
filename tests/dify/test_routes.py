import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.errors import (
    BridgeError,
    MethodNotAllowed,
    NotFound,
    TokenNotConfigured,
    Unauthorized,
)
from kafka_bridge.http import Outbound
from tests.dify.browsing import Endpoint
from tests.stand_ins import request, saved

TOKEN = "not-a-real-token"
HOOK = compile_hook(saved(scheme="none", api_token=TOKEN, sources='{"shop": {"scheme": "none"}}'))
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
# The contract with senders and scripts.
PUBLIC = {
    "/webhook": {"POST", "GET", "HEAD", "OPTIONS"},
    "/webhook/shop": {"POST", "GET", "HEAD", "OPTIONS"},
    "/health": {"GET", "HEAD"},
}
LOOKING = {
    "/events": {"GET", "HEAD"},
    "/events/e-1": {"GET", "HEAD"},
    "/events/e-1/replay": {"POST"},
    # It is the path of an entry, too.
    "/events/replay": {"POST", "GET", "HEAD"},
    "/stream": {"GET", "HEAD"},
    "/metrics": {"GET", "HEAD"},
    "/consumer": {"GET", "HEAD"},
    "/consumer/start": {"POST"},
    "/consumer/stop": {"POST"},
}
# With the token they say that no app is chosen.
# `test_signin.py` and `test_trial.py` have what they answer.
PAGES = {"/": {"GET", "HEAD"}, "/login": {"POST"}, "/logout": {"POST"}, "/test": {"POST"}}
CONSUMING = {"/dispatch": {"POST"}, "/consume": {"POST"}}
# With it they say that nothing is consumed.
LETTERS = {"/dead-letters": {"GET", "HEAD"}, "/dead-letters/redrive": {"POST"}}
ROUTES = PUBLIC | CONSUMING | LOOKING | PAGES | LETTERS


TABLE = Endpoint().table


def dispatch(method, path, *, token="", hook=HOOK):
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return TABLE.dispatch(Call(request(b"{}", headers, method=method, path=path), hook, "endpoint-1"))


def refusal(method, path, **arguments):
    with pytest.raises(BridgeError) as caught:
        dispatch(method, path, **arguments)
    return caught.value


@pytest.mark.parametrize("path", PUBLIC)
def test_a_public_path_needs_no_token(path):
    for method in PUBLIC[path]:
        assert dispatch(method, path).status in {200, 204}


@pytest.mark.parametrize("path", LOOKING)
def test_a_path_for_looking_asks_for_the_token_before_anything_else(path):
    no_token = compile_hook(saved())
    for method in LOOKING[path]:
        assert isinstance(refusal(method, path), Unauthorized)
        assert isinstance(refusal(method, path, token="wrong"), Unauthorized)
        assert isinstance(refusal(method, path, hook=no_token), TokenNotConfigured)


@pytest.mark.parametrize("path", CONSUMING)
def test_a_consuming_path_asks_for_the_token_before_anything_else(path):
    no_token = compile_hook(saved(webhook_secret=""))

    assert isinstance(refusal("POST", path), Unauthorized)
    assert isinstance(refusal("POST", path, token="wrong"), Unauthorized)
    assert isinstance(refusal("POST", path, hook=no_token), TokenNotConfigured)
    assert "App to run: missing." in str(refusal("POST", path, token=TOKEN))


@pytest.mark.parametrize("path", LETTERS)
def test_a_path_of_dead_letters_asks_for_the_token_before_anything_else(path):
    no_token = compile_hook(saved())
    for method in LETTERS[path]:
        assert isinstance(refusal(method, path), Unauthorized)
        assert isinstance(refusal(method, path, token="wrong"), Unauthorized)
        assert isinstance(refusal(method, path, hook=no_token), TokenNotConfigured)
        assert "Topics to consume: missing." in str(refusal(method, path, token=TOKEN))


def test_no_path_is_routed_that_the_contract_does_not_have():
    contract = {path.replace("e-1", "<name>").replace("shop", "<name>") for path in ROUTES}

    assert {rule.rule for rule in TABLE._map.map.iter_rules()} == contract


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("method", [*METHODS, "PATCH", "TRACE", "QUERY"])
def test_a_method_that_a_path_does_not_have_is_answered_with_those_that_it_has(path, method):
    if method in ROUTES[path]:
        return

    error = refusal(method, path)

    assert isinstance(error, MethodNotAllowed)
    assert set(error.allowed) == ROUTES[path]
    assert error.headers == (("Allow", ", ".join(sorted(ROUTES[path]))),)


@pytest.mark.parametrize("path", [path for path in ROUTES if path != "/"])
def test_a_trailing_slash_is_nothing(path):
    for method in ROUTES[path]:
        one, other = (_outcome(method, each) for each in (path, path + "/"))
        assert one == other


def _outcome(method, path):
    try:
        answer = dispatch(method, path)
        # A page has a nonce of its own.
        return answer.status if path.strip("/") in {"login", ""} else answer
    except BridgeError as error:
        return type(error)


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/webhooks",
        "/Webhook",
        "/WEBHOOK",
        "/webhook/shop/extra",
        "/webhook//shop",
        "/webhook/shop//",
        "/webhook//",
        "/events/e-1/replay/now",
        "/events//replay",
        "/health/live",
        "/consumer/pause",
        "/.env",
        "/é",
        "/\x00",
        "/a|b",
        "/%2e%2e",
        "/../webhook",
        "/./webhook",
        "//x",
    ],
)
def test_a_path_that_is_not_there_is_not_found_and_never_a_redirect(path):
    for method in ("GET", "POST"):
        assert isinstance(refusal(method, path), NotFound)


@pytest.mark.parametrize("path", ROUTES)
def test_more_than_one_slash_at_the_start_is_one(path):
    for method in ROUTES[path]:
        one, other = (_outcome(method, each) for each in (path, "/" + path))
        assert one == other


def test_a_source_that_is_not_there_is_not_found():
    for method in ("POST", "GET", "HEAD", "OPTIONS"):
        assert isinstance(refusal(method, "/webhook/nobody"), NotFound)


def test_the_last_part_of_the_path_is_the_source():
    assert json.loads(dispatch("GET", "/webhook").body)["source"] == "default"
    assert json.loads(dispatch("GET", "/webhook/shop").body)["source"] == "shop"
    assert json.loads(dispatch("POST", "/webhook/shop").body)["topic"] == "webhooks.shop"


@given(st.sampled_from([*METHODS, "PATCH", ""]) | st.text(), st.text().map(lambda text: f"/{text}") | st.text())
def test_no_path_and_no_method_raise_anything_but_ours(method, path):
    try:
        outbound = dispatch(method, path)
    except BridgeError as error:
        assert isinstance(error, NotFound | MethodNotAllowed | Unauthorized)  # noqa: PT017
    else:
        assert isinstance(outbound, Outbound)


@given(st.lists(st.sampled_from(["webhook", "shop", "events", "x", "", "."]), max_size=4).map("/".join))
def test_a_delivery_is_taken_at_the_webhook_paths_alone(path):
    parts = [part for part in path.split("/") if part]

    outcome = _outcome("POST", f"/{path}")

    assert not isinstance(outcome, Outbound) or parts in (["webhook"], ["webhook", "shop"])
