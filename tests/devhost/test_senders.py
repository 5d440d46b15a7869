"""Signatures against examples that the vendors publish, where they do."""

import base64
import hashlib
import hmac

import pytest

from devhost.senders import SENDERS


def test_github_signs_as_in_its_own_documentation():
    # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    headers = SENDERS["github"]("It's a Secret to Everybody", b"Hello, World!", 0, "id")

    assert headers["X-Hub-Signature-256"] == ("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
    assert headers["X-GitHub-Event"] == "push"


def test_github_gives_a_delivery_the_same_id_every_time():
    one, again, other = (SENDERS["github"]("k", b"x", 0, event)["X-GitHub-Delivery"] for event in ("a", "a", "b"))

    assert one == again != other


def test_standard_webhooks_signs_as_in_its_own_documentation():
    # The example of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = SENDERS["standard-webhooks"](
        secret, b'{"test": 2432232314}', 1614265330.9, "msg_p5jXN8AQM9LWM0D4loKWxJek"
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_stripe_signs_time_and_body_with_the_secret_as_it_is():
    # https://docs.stripe.com/webhooks#verify-manually: the payload that is signed is "<time>.<body>".
    header = SENDERS["stripe"]("whsec_text", b"{}", 1492774577.5, "id")["Stripe-Signature"]

    digest = hmac.new(b"whsec_text", b"1492774577.{}", hashlib.sha256).hexdigest()
    assert header == f"t=1492774577,v1={digest}"


def test_the_generic_signature_is_of_the_body_alone():
    # RFC 4231, test case 2.
    headers = SENDERS["hmac"]("Jefe", b"what do ya want for nothing?", 0, "id")

    assert headers == {"X-Webhook-Signature": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"}


def test_unsigned_is_unsigned():
    assert SENDERS["none"]("k", b"x", 0, "id") == {}


@pytest.mark.parametrize("scheme", sorted(set(SENDERS) - {"none"}))
def test_secret_and_body_both_count(scheme):
    secrets = ["whsec_" + base64.b64encode(bytes([number]) * 24).decode() for number in (1, 2)]

    seen = {str(SENDERS[scheme](secret, body, 5, "id")) for secret in secrets for body in (b"a", b"b")}

    assert len(seen) == 4
