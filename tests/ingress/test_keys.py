import base64
import contextlib
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.ingress.keys import MAX_PUBLIC, BadSecret, fingerprint, make_key, secrets_of
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret, parse_secret

KEY = b"not-a-real-key"
KEYS = {
    "utf-8": KEY.decode(),
    "hex": KEY.hex(),
    "base64": base64.b64encode(KEY).decode(),
    "whsec": "whsec_" + base64.b64encode(KEY).decode(),
}
PRIVATE = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"made up").digest())
PUBLIC = PRIVATE.public_key().public_bytes_raw()
any_text = st.text(st.characters(exclude_categories=[]))


def key(text, key_encoding, *, algorithm="sha256", encoding="hex"):
    return make_key(Secret(text), algorithm=algorithm, encoding=encoding, key_encoding=key_encoding)


def hmac_of(data, raw=KEY):
    return hmac.new(raw, data, hashlib.sha256).hexdigest().encode()


def opens(found, raw=KEY):
    return found.signed(b"data", [hmac_of(b"data", raw)])


@pytest.mark.parametrize("count", [1, 2, 32, 64])
@pytest.mark.parametrize("encoding", KEYS)
def test_a_key_of_zeros_is_the_empty_key_and_refused(encoding, count):
    raw = bytes(count)
    texts = {"utf-8": raw.decode(), "hex": raw.hex(), "base64": base64.b64encode(raw).decode()}
    texts["whsec"] = "whsec_" + texts["base64"]
    assert hmac_of(b"data", raw) == hmac_of(b"data", b"")

    with pytest.raises(BadSecret, match="nothing but zeros"):
        key(texts[encoding], encoding)


# Arithmetic on the curve of RFC 8032, as its section 6 writes it.
P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
GROUP = 2**252 + 27742317777372353535851937790883648493


def added(one, other):
    (x, y), (u, v) = one, other
    both = D * x * u * y * v
    return (x * v + u * y) * pow(1 + both, P - 2, P) % P, (y * v + x * u) * pow(1 - both, P - 2, P) % P


def times(number, point):
    found = (0, 1)
    while number:
        found = added(found, point) if number & 1 else found
        point, number = added(point, point), number >> 1
    return found


def on_curve(y):
    """A point with this y; None when there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == square else None


def test_every_public_key_under_which_anybody_can_sign_is_refused():
    found = {times(GROUP, point)[1] for y in range(2, 60) if (point := on_curve(y))}
    assert len(found) == 5
    written = {y + more for y in found for more in (0, P) if y + more < 2**255}

    for y in written:
        for sign in (0, 1 << 255):
            raw = (y + sign).to_bytes(32, "little")
            for text, encoding in ((raw.hex(), "hex"), ("whpk_" + base64.b64encode(raw).decode(), "whsec")):
                with pytest.raises(BadSecret) as caught:
                    key(text, encoding, algorithm="ed25519")
                assert "anybody can sign" in str(caught.value) or not any(raw)


@pytest.mark.parametrize("encoding", KEYS)
def test_a_key_is_decoded_as_its_encoding_says(encoding):
    assert opens(key(KEYS[encoding], encoding))


@pytest.mark.parametrize(
    "text",
    ["whsec_bm90LWEtcmVhbC1rZXk=", "whsec_bm90LWEtcmVhbC1rZXk", "bm90LWEtcmVhbC1rZXk", " whsec_bm90LWEtcmVhbC1rZXk=\n"],
)
def test_a_whsec_key_may_lack_its_prefix_and_its_padding(text):
    assert opens(key(text, "whsec"))


def test_a_utf8_key_is_verbatim_whsec_included():
    assert opens(key(" whsec_x\n", "utf-8"), b" whsec_x\n")
    assert not opens(key(" whsec_x\n", "utf-8"), b"whsec_x")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "utf-8"),
        ("", "hex"),
        ("", "base64"),
        ("whsec_", "whsec"),
        (" ", "base64"),
        ("xyz", "hex"),
        ("abc", "hex"),
        ("é", "hex"),
        ("\ud800", "base64"),
        ("é", "whsec"),
        ("!!!!", "base64"),
        ("A", "base64"),
        ("=", "base64"),
        ("====", "base64"),
        ("AA=A", "base64"),
        ("whsec_???", "whsec"),
        ("whpk_AAAA", "whsec"),
        ("whpk_???", "whsec"),
        ("v1,whsec_bm90LWEtcmVhbC1rZXk=", "whsec"),
    ],
)
def test_a_key_of_another_form_is_refused_without_being_quoted(text, encoding):
    with pytest.raises(BadSecret) as caught:
        key(text, encoding)

    assert len(text) < 3 or text not in str(caught.value)


@given(any_text, st.sampled_from([*KEYS]), st.sampled_from(["sha256", "ed25519"]))
def test_any_text_is_a_key_or_a_bad_secret(text, encoding, algorithm):
    with contextlib.suppress(BadSecret):
        assert not key(text, encoding, algorithm=algorithm).signed(b"data", [b""])


# Whoever knows no secret.


@given(st.binary(), st.lists(st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_no_candidate_raises_and_none_is_right_by_chance(data, candidates):
    for found in (key(KEYS["hex"], "hex"), key(PUBLIC.hex(), "hex", algorithm="ed25519"), _whpk()):
        assert found.signed(data, candidates) is False


def _whpk():
    return key("whpk_" + base64.b64encode(PUBLIC).decode(), "whsec", encoding="base64")


@given(st.binary(), st.binary(min_size=1))
def test_what_the_private_key_signed_the_public_key_verifies(data, tail):
    signature = PRIVATE.sign(data)

    for found, text in (
        (key(PUBLIC.hex(), "hex", algorithm="ed25519"), signature.hex()),
        (_whpk(), base64.b64encode(signature).decode()),
    ):
        assert found.public
        assert found.signed(data, [b"", b"x", text.encode()])
        assert not found.signed(data + tail, [text.encode()])


def test_a_public_key_is_never_used_as_a_shared_one():
    found = _whpk()

    assert not found.signed(b"data", [base64.b64encode(hmac.new(PUBLIC, b"data", hashlib.sha256).digest())])


def test_a_shared_key_is_not_public():
    assert key(KEYS["hex"], "hex").public is False


# The secrets of a source.


@pytest.mark.parametrize(
    ("value", "texts"),
    [("one", ["one"]), (["new", "old"], ["new", "old"]), ({"secret": "one", "token": "two"}, ["one"])],
)
def test_the_secrets_that_may_sign_are_the_rotation_or_the_one_of_that_name(value, texts):
    assert [secret.reveal() for secret in secrets_of(parse_secret(value))] == texts


def test_a_secret_of_names_alone_or_none_at_all_signs_nothing():
    for secret, told in ((parse_secret({"token": "NEVERSHOWN"}), "must be one text"), (SourceSecret(), "missing")):
        with pytest.raises(BadSecret, match=f"^{told}") as caught:
            secrets_of(secret)
        assert "NEVERSHOWN" not in str(caught.value)


# The id of an event that carries none.


def test_the_fingerprint_is_the_sha256_of_source_and_body():
    assert fingerprint("shop", b"body") == hashlib.sha256(b"shop\x00body").hexdigest()


@given(
    st.from_regex(r"[a-zA-Z0-9._-]{1,8}", fullmatch=True),
    st.binary(),
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    st.binary(),
)
def test_two_events_have_the_same_fingerprint_exactly_when_they_are_the_same(source, body, other_source, other_body):
    same = (source, body) == (other_source, other_body)

    assert (fingerprint(source, body) == fingerprint(other_source, other_body)) is same


def test_no_more_than_a_few_signatures_are_tried_with_a_public_key():
    right, wrong = PRIVATE.sign(b"x").hex().encode(), b"00" * 64
    public = key(PUBLIC.hex(), "hex", algorithm="ed25519")

    assert public.signed(b"x", [*[wrong] * (MAX_PUBLIC - 1), right])
    assert not public.signed(b"x", [*[wrong] * MAX_PUBLIC, right])
