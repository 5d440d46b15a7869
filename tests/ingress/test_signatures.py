import base64
import contextlib
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.errors import Unverified
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.keys import BadSecret
from kafka_bridge.ingress.signatures import Signature, SignatureVerifier, Timestamp
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.sources import SourceSecret
from tests.stand_ins import NOW, request

KEY = b"not-a-real-key"
KEYS = {
    "utf-8": KEY.decode(),
    "hex": KEY.hex(),
    "base64": base64.b64encode(KEY).decode(),
    "whsec": "whsec_" + base64.b64encode(KEY).decode(),
}
any_text = st.text(st.characters(exclude_categories=[]))


def digest_of(signed, algorithm="sha256", encoding="hex", key=KEY):
    digest = hmac.new(key, signed, getattr(hashlib, algorithm)).digest()
    return digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()


def verifier(spec, *secrets):
    return SignatureVerifier(spec, tuple(Secret(text) for text in secrets or [KEYS[spec.key_encoding]]))


def verify(spec, inbound, *secrets, now=NOW):
    verifier(spec, *secrets).verify(Content(inbound), now=now)


def refused(spec, inbound, *secrets, now=NOW):
    with pytest.raises(Unverified) as caught:
        verify(spec, inbound, *secrets, now=now)
    return caught.value.reason


# What the parameters mean, against a signer written apart from the verifier.


@st.composite
def deliveries(draw):
    """A way to sign, and a request that was signed so."""
    separator = draw(st.sampled_from(["", ",", " ", ";"]))
    element = draw(st.sampled_from(["", "v1", "sig"])) if separator else ""
    prefix = draw(st.sampled_from(["", "sha256=", "v0=", "hmac-"] + ([] if separator == "," else ["v1,"])))
    sources = ["header", "body", *(["element"] if separator else [])]
    timestamp = draw(
        st.none()
        | st.builds(
            Timestamp,
            source=st.sampled_from(sources),
            name=st.sampled_from(["t", "ts"]),
            unit=st.sampled_from(["s", "ms", "rfc3339"]),
            tolerance=st.integers(1, 600),
        )
    )
    parts = ["{body}", *draw(st.lists(st.sampled_from(["{id}", "{method}", ".", ":", "v0", "é", "{Body}", "{", "\n"])))]
    if timestamp is not None:
        parts.append("{timestamp}")
    spec = Signature(
        header="x-signature",
        algorithm=draw(st.sampled_from(["sha1", "sha256", "sha512"])),
        encoding=draw(st.sampled_from(["hex", "base64"])),
        prefix=prefix,
        prefix_optional=draw(st.booleans()),
        key_encoding=draw(st.sampled_from([*KEYS])),
        template="".join(draw(st.permutations(parts))),
        timestamp=timestamp,
        separator=separator,
        element=element,
        id=Location("header:x-id"),
    )
    return spec, _signed(spec, draw)


def _signed(spec, draw):
    unit = spec.timestamp.unit if spec.timestamp else "s"
    moment = {"s": str(NOW), "ms": str(NOW * 1000), "rfc3339": datetime.fromtimestamp(NOW, UTC).isoformat()}[unit]
    where = spec.timestamp.source if spec.timestamp else ""
    body = json.dumps({spec.timestamp.name: moment}).encode() if where == "body" else draw(st.binary())
    # Whatever stands between id and timestamp may not stand in the id.
    event_id = draw(st.text(st.characters(exclude_categories=["Cs"], exclude_characters=".:v0é{Body}\n"), min_size=1))
    values = {b"body": body, b"timestamp": moment.encode(), b"id": event_id.encode(), b"method": b"PUT"}
    signed = re.sub(rb"\{(body|timestamp|id|method)\}", lambda match: values[match[1]], spec.template.encode())
    item = spec.prefix + digest_of(signed, spec.algorithm, spec.encoding)
    items = [f"{spec.element}={item}" if spec.element else item]
    if spec.separator:
        items += draw(st.lists(st.sampled_from(["v1=0000", "v9,AAAA", "x", ""]), max_size=3))
    if where == "element":
        items.append(f"{spec.timestamp.name}={moment}")
    headers = {"x-signature": spec.separator.join(draw(st.permutations(items))), "x-id": event_id}
    if where == "header":
        headers[spec.timestamp.name] = moment
    return request(body, headers, method="PUT")


@given(deliveries())
def test_what_was_signed_by_the_parameters_is_verified(delivery):
    spec, inbound = delivery

    verify(spec, inbound)


@given(deliveries(), st.binary(min_size=1))
def test_a_changed_body_is_refused_whatever_the_parameters(delivery, tail):
    spec, inbound = delivery

    refused(spec, inbound._replace(body=inbound.body + tail))


@given(deliveries())
def test_another_key_is_refused_whatever_the_parameters(delivery):
    spec, inbound = delivery
    other = {"hex": "01" * 16, "base64": "AAAB", "whsec": "whsec_AAAB", "utf-8": "AAAA"}[spec.key_encoding]

    assert "does not match" in refused(spec, inbound, other)
    verify(spec, inbound, other, KEYS[spec.key_encoding])


@given(deliveries(), st.sampled_from([-1, 1]))
def test_the_edge_of_the_window_is_inside_it_whatever_the_unit(delivery, side):
    spec, inbound = delivery
    if spec.timestamp is not None:
        verify(spec, inbound, now=NOW + side * spec.timestamp.tolerance)
        refused(spec, inbound, now=NOW + side * (spec.timestamp.tolerance + 1))


@given(deliveries(), st.data(), st.binary(), st.floats(-(10**12), 10**12))
def test_a_verifier_returns_or_raises_unverified_whatever_the_parameters(delivery, data, body, now):
    spec, inbound = delivery
    names = st.sampled_from(["x-signature", "x-id", "t", "ts"]) | any_text
    headers = {**inbound.headers, **data.draw(st.dictionaries(names, any_text))}

    with contextlib.suppress(Unverified):
        verify(spec, request(body, headers), now=now)


# Single rules.


def test_the_defaults_are_the_hex_sha256_of_the_body():
    verify(Signature(), request(b"body", {"X-Webhook-Signature": digest_of(b"body")}))


def test_hex_is_read_in_either_case():
    verify(Signature(), request(b"body", {"x-webhook-signature": digest_of(b"body").upper()}))


def test_base64_is_case_sensitive():
    spec, right = Signature(encoding="base64"), digest_of(b"body", encoding="base64")

    refused(spec, request(b"body", {"x-webhook-signature": right.swapcase()}))


def test_base64_is_read_with_and_without_padding():
    spec, right = Signature(encoding="base64"), digest_of(b"body", encoding="base64")

    assert right.endswith("=")
    verify(spec, request(b"body", {"x-webhook-signature": right}))
    verify(spec, request(b"body", {"x-webhook-signature": right.rstrip("=")}))


def test_white_space_around_a_signature_is_nothing():
    verify(Signature(), request(b"body", {"x-webhook-signature": f"  {digest_of(b'body')}\t"}))


@pytest.mark.parametrize("header", ["v1=A,v1=B", "v1=A, v1=B", "v1=B,v1=A", "t=1,v1=A,v0=B", "v1=B"])
def test_any_signature_of_a_list_is_enough(header):
    right = digest_of(b"body")
    spec = Signature(separator=",", element="v1")

    if "v1=A" in header:
        verify(spec, request(b"body", {"x-webhook-signature": header.replace("A", right)}))
    else:
        refused(spec, request(b"body", {"x-webhook-signature": header.replace("B", "0" * 64)}))


def test_another_element_is_no_signature():
    spec = Signature(separator=",", element="v1")

    for name in ("v0", "V1", "v11", "", "xv1", "v1 "):
        reason = refused(spec, request(b"body", {"x-webhook-signature": f"{name}={digest_of(b'body')}"}))
        assert reason == "the signature has not the form that the scheme gives it"


def test_an_optional_prefix_may_be_left_out_and_no_other_takes_its_place():
    spec, right = Signature(prefix="sha256=", prefix_optional=True), digest_of(b"body")

    for header in (right, f"sha256={right}"):
        verify(spec, request(b"body", {"x-webhook-signature": header}))
    for header in (f"sha1={right}", f"SHA256={right}", f"sha256=sha256={right}", f"={right}"):
        refused(spec, request(b"body", {"x-webhook-signature": header}))


def test_a_signature_of_the_empty_key_is_never_made_nor_taken():
    for secrets in [(), (Secret(""),), (Secret(KEYS["utf-8"]), Secret(""))]:
        with pytest.raises(BadSecret):
            Signature().verifier(SourceSecret(rotation=secrets))


def test_a_verifier_without_a_key_verifies_nothing():
    for header in ("", "x", digest_of(b"body"), digest_of(b"body", key=b"")):
        with pytest.raises(Unverified):
            SignatureVerifier(Signature(), ()).verify(
                Content(request(b"body", {"x-webhook-signature": header})), now=NOW
            )


@pytest.mark.parametrize(
    ("unit", "text", "seconds"),
    [
        ("s", "1700000000", NOW),
        ("s", "01700000000", NOW),
        ("ms", "1700000000000", NOW),
        ("ms", "1700000000999", NOW + 0.999),
        ("rfc3339", "2023-11-14T22:13:20Z", NOW),
        ("rfc3339", "2023-11-14T22:13:20.500Z", NOW + 0.5),
        ("rfc3339", "2023-11-15T00:13:20+02:00", NOW),
        ("rfc3339", "2023-11-14 22:13:20+00:00", NOW),
    ],
)
def test_a_timestamp_is_read_in_its_unit(unit, text, seconds):
    spec = Signature(
        template="{timestamp}{body}", timestamp=Timestamp(source="header", name="ts", unit=unit, tolerance=1)
    )
    inbound = request(b"body", {"ts": text, "x-webhook-signature": digest_of(text.encode() + b"body")})

    verify(spec, inbound, now=seconds)
    refused(spec, inbound, now=seconds + 1.1)
    refused(spec, inbound, now=seconds - 1.1)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("rfc3339", "2023-11-14T22:13:20"),
        ("rfc3339", "2023-11-14"),
        ("rfc3339", "1700000000"),
        ("rfc3339", "yesterday"),
        ("rfc3339", "2023-13-14T22:13:20Z"),
        ("rfc3339", "0001-01-01T00:00:00+23:59"),
        ("rfc3339", "9999-12-31T23:59:59-23:59"),
        ("rfc3339", "\ud800"),
        ("s", "1700000000.0"),
        ("s", "-1700000000"),
        ("ms", "1e12"),
    ],
)
def test_a_timestamp_that_is_none_is_refused(unit, text):
    spec = Signature(template="{timestamp}{body}", timestamp=Timestamp(source="header", name="ts", unit=unit))
    signed = text.encode("utf-8", "replace") + b"body"

    reason = refused(spec, request(b"body", {"ts": text, "x-webhook-signature": digest_of(signed)}))

    assert "timestamp" in reason


def test_a_timestamp_in_another_time_zone_is_the_same_moment():
    text = datetime.fromtimestamp(NOW, timezone(timedelta(hours=-11))).isoformat()
    spec = Signature(template="{timestamp}{body}", timestamp=Timestamp(source="header", name="ts", unit="rfc3339"))

    verify(spec, request(b"body", {"ts": text, "x-webhook-signature": digest_of(text.encode() + b"body")}))


def test_the_reason_says_on_which_side_the_clock_is_wrong():
    spec = Signature(template="{timestamp}{body}", timestamp=Timestamp(source="header", name="ts"))
    inbound = request(b"body", {"ts": str(NOW), "x-webhook-signature": digest_of(str(NOW).encode() + b"body")})

    assert refused(spec, inbound, now=NOW + 400) == "the timestamp is 400 s old; the tolerance is 300 s"
    assert refused(spec, inbound, now=NOW - 400) == "the timestamp is 400 s ahead of our clock; the tolerance is 300 s"


def test_the_reason_never_tells_the_expected_signature_nor_the_secret():
    right = digest_of(b"body")
    for header in ("", "x", "0" * 64, "sha1=" + right):
        reason = refused(Signature(), request(b"body", {"x-webhook-signature": header}))

        assert right not in reason
        assert KEYS["utf-8"] not in reason


def test_a_template_that_names_an_id_needs_one():
    spec = Signature(template="{id}{body}", id=Location("header:x-id"))
    right = {"x-webhook-signature": digest_of(b"body")}

    assert refused(spec, request(b"body", right)) == "no event id beside the signature"
    assert refused(spec, request(b"body", right | {"x-id": ""})) == "no event id beside the signature"


def test_the_body_is_never_taken_for_a_template():
    body = b"{timestamp}{id}{body}"

    verify(Signature(template="{body}.{body}"), request(body, {"x-webhook-signature": digest_of(body + b"." + body)}))


@pytest.mark.parametrize(
    ("template", "location", "covered"),
    [
        ("{body}", "body:id", True),
        ("{body}", "header:x-id", False),
        ("{id}.{body}", "header:x-id", True),
        ("{id}.{body}", "header:X-ID", True),
        ("{id}.{body}", "header:x-other", False),
        ("{id}", "body:id", False),
    ],
)
def test_a_value_is_signed_where_the_template_says_so(template, location, covered):
    assert Signature(template=template, id=Location("header:x-id")).covers(Location(location)) is covered


def test_a_header_is_not_signed_because_a_body_path_has_its_name():
    spec = Signature(template="{id}.{body}", id=Location("body:x-id"))

    assert spec.covers(Location("header:x-id")) is False


def test_the_border_between_id_and_timestamp_cannot_be_moved():
    spec = Signature(
        template="{id}.{timestamp}.{body}",
        timestamp=Timestamp(source="header", name="webhook-timestamp"),
        id=Location("header:webhook-id"),
    )
    old = NOW - 100_000
    signed = f"msg_1.{old}.hi.{NOW}.rest".encode()
    headers = {"x-webhook-signature": digest_of(signed), "webhook-id": f"msg_1.{old}.hi", "webhook-timestamp": str(NOW)}

    assert "separates" in refused(spec, request(b"rest", headers))


def test_a_body_that_nobody_signed_is_not_parsed_for_its_timestamp():
    spec = Signature(timestamp=Timestamp(source="body", name="time"))
    content = Content(request(b'{"time": 1}', {"x-webhook-signature": "0" * 64}))

    with pytest.raises(Unverified):
        verifier(spec).verify(content, now=NOW)

    assert "document" not in vars(content)
