import pytest

from kafka_bridge.dify.call import Call
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.errors import TokenNotConfigured, Unauthorized
from kafka_bridge.http import problem
from tests.stand_ins import request, saved

TOKEN = "not-a-real-token"


def call(authorization=None, token=TOKEN):
    headers = {} if authorization is None else {"Authorization": authorization}
    return Call(request(headers=headers), compile_hook(saved(api_token=token)), "endpoint-1")


@pytest.mark.parametrize(
    "authorization", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER {TOKEN}", f"Bearer  {TOKEN} ", f"Bearer {TOKEN}\t"]
)
def test_the_token_authorizes(authorization):
    assert call(authorization).authorized
    call(authorization).authorize()


@pytest.mark.parametrize("token", ["ü" * 20, "a b", f" {TOKEN} ", "Bearer"])
def test_any_token_may_be_chosen_and_white_space_at_its_ends_is_nothing(token):
    assert call(f"Bearer {token.strip()}", token).authorized


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Token {TOKEN}",
        f"Bearer{TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer x{TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN},{TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
        f" Bearer {TOKEN}",
        "Bearer é",
        "Bearer \ud800",
        "Bearer \x00",
        "Bearer ***",
        "Bearer None",
        "Bearer " + "x" * 1_000_000,
    ],
)
def test_anything_else_does_not(authorization):
    assert not call(authorization).authorized
    with pytest.raises(Unauthorized) as caught:
        call(authorization).authorize()
    assert problem(caught.value).status == 401
    assert ("WWW-Authenticate", "Bearer") in problem(caught.value).headers


@pytest.mark.parametrize("token", [None, "", "  ", "\n", 1, ["x"]])
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer ", "Bearer None", f"Bearer {TOKEN}"])
def test_without_a_token_nobody_is_authorized_and_the_answer_names_the_setting(token, authorization):
    assert not call(authorization, token).authorized
    with pytest.raises(TokenNotConfigured, match="Set “API token”") as caught:
        call(authorization, token).authorize()
    assert problem(caught.value).status == 403


def test_the_token_is_in_no_answer():
    with pytest.raises(Unauthorized) as caught:
        call("Bearer another-made-up-token").authorize()

    assert b"made-up" not in problem(caught.value).body
    assert TOKEN.encode() not in problem(caught.value).body
    assert TOKEN not in repr(call())


def test_a_form_that_is_larger_than_any_of_ours_is_not_read():
    # Whoever has no token may send one: of ten megabytes it held up every other request for seconds.
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    hook = compile_hook(saved(api_token=TOKEN))

    assert Call(request(b"token=" + b"%41" * 20_000, headers), hook, "endpoint-1").form == {"token": "A" * 20_000}
    assert Call(request(b"token=" + b"%41" * 3_000_000, headers), hook, "endpoint-1").form == {}
