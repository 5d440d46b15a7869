"""What holds for every scheme, so that a new row of the table is covered by being there."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devhost.senders import SENDERS
from kafka_bridge.errors import Unverified
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import MAX_SIGNATURE_CHARS, TOLERANCE_S
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings import endpoint
from tests.stand_ins import NOW, request, saved, secret_for, source_of

SIGNED = [name for name, row in SCHEMES.items() if row.signature is not None]
TIMED = [name for name in SIGNED if SCHEMES[name].signature.timestamp is not None]
BODY = b'{"id": "evt_1", "type": "order.created"}'
SOURCES = {name: source_of(scheme=name, webhook_secret=secret_for(SCHEMES[name])) for name in SCHEMES}

any_text = st.text(st.characters(exclude_categories=[]))
schemes = pytest.mark.parametrize("scheme", SIGNED)


def signed(scheme, body=BODY, now=NOW, secret=""):
    headers = SENDERS[scheme](secret or secret_for(SCHEMES[scheme]), body, now, "evt_1")
    return {name.lower(): value for name, value in headers.items()}


def verify(scheme, headers, body=BODY, now=NOW):
    SOURCES[scheme].verifier.verify(Content(request(body, headers)), now=now)


def refused(scheme, headers, body=BODY, now=NOW):
    with pytest.raises(Unverified) as caught:
        verify(scheme, headers, body, now)
    assert caught.value.reason
    return caught.value.reason


def test_every_scheme_has_a_sender_to_test_it_with():
    assert set(SCHEMES) <= set(SENDERS)


def test_only_the_scheme_none_does_not_verify():
    assert [name for name, row in SCHEMES.items() if row.signature is None] == ["none"]


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        SCHEMES["new"] = SCHEMES["none"]


def test_only_the_generic_scheme_has_options():
    assert [name for name, row in SCHEMES.items() if row.configurable] == ["hmac"]


@schemes
def test_what_was_signed_with_the_right_secret_is_verified(scheme):
    verify(scheme, signed(scheme))


@schemes
@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"\r\n", "ü{body}".encode(), b"x" * 100_000])
def test_any_bytes_that_were_signed_are_verified(scheme, body):
    verify(scheme, signed(scheme, body), body)


@schemes
def test_another_secret_is_refused(scheme):
    assert "does not match" in refused(scheme, signed(scheme, secret=_another(scheme)))


@schemes
def test_a_body_that_was_changed_by_one_byte_is_refused(scheme):
    headers = signed(scheme)

    for position in range(len(BODY)):
        refused(scheme, headers, BODY[:position] + bytes([BODY[position] ^ 1]) + BODY[position + 1 :])
    for changed in (b"", BODY[:-1], BODY[1:], BODY + b"\n", b" " + BODY, BODY + BODY):
        refused(scheme, headers, changed)


@given(st.sampled_from(SIGNED), st.binary(), st.binary())
def test_a_signature_holds_for_one_body_only(scheme, one, other):
    headers = signed(scheme, one)

    verify(scheme, headers, one)
    if one != other:
        refused(scheme, headers, other)


@schemes
def test_every_header_of_the_signature_is_needed(scheme):
    headers, needed = signed(scheme), _signing_headers(scheme)

    for name in needed:
        refused(scheme, {other: value for other, value in headers.items() if other != name})
        refused(scheme, {**headers, name: ""})
        refused(scheme, {**headers, name: " "})


@schemes
def test_no_header_at_all_is_told_as_such(scheme):
    assert "is missing or empty" in refused(scheme, {})


def test_header_values_of_the_vendor_that_are_not_signed_do_not_matter():
    verify("github", {**signed("github"), "x-github-event": "é", "x-github-delivery": ""})


GARBAGE = {
    "empty": "",
    "a space": " ",
    "NUL": "\x00",
    "non-ASCII": "é" * 64,
    "a surrogate": "\ud800",
    "an emoji": "🔑",
    "hex of the wrong length": "0" * 63,
    "hex of another signature": "0" * 64,
    "not hex": "g" * 64,
    "wrong base64": "!!!!",
    "base64 of another signature": "A" * 43 + "=",
    "padding only": "====",
    "separators only": ",,, , ,",
    "an element": "v1=",
    "many elements": "t=,v1=,v0=",
    "versions": "v1, v1a, v2,",
    "huge": "a" * 1_000_000,
    "many items": "v1,x " * 1600,
}


@schemes
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_place_of_the_signature_is_refused(scheme, garbage):
    spec = SCHEMES[scheme].signature
    for text in (garbage, spec.prefix + garbage, f"{spec.element}={garbage}", f"t={NOW},{spec.element}={garbage}"):
        refused(scheme, {**signed(scheme), spec.header: text})


@schemes
def test_garbage_around_the_signature_is_refused(scheme):
    spec, headers = SCHEMES[scheme].signature, signed(scheme)
    right = headers[spec.header]

    for text in (right + "\x00", right + "é", right + "0", right[:-2], "x" + right, right.replace("=", "", 1) + "=0"):
        refused(scheme, {**headers, spec.header: text})


@schemes
def test_a_prefix_without_a_signature_is_refused(scheme):
    spec = SCHEMES[scheme].signature

    for text in (spec.prefix, f"{spec.prefix} ", f"{spec.element}=", f"t={NOW},{spec.element}="):
        refused(scheme, {**signed(scheme), spec.header: text})


@schemes
def test_a_required_prefix_cannot_be_left_out(scheme):
    spec, headers = SCHEMES[scheme].signature, signed(scheme)
    if spec.prefix and not spec.prefix_optional:
        refused(scheme, {**headers, spec.header: headers[spec.header].removeprefix(spec.prefix)})


@schemes
def test_a_header_that_was_sent_twice_is_the_list_of_signatures_that_the_scheme_knows_or_it_is_refused(scheme):
    spec, headers = SCHEMES[scheme].signature, signed(scheme)
    joined = {**headers, spec.header: ",".join([headers[spec.header]] * 2)}

    if spec.separator == ",":
        verify(scheme, joined)
    else:
        refused(scheme, joined)


@schemes
def test_two_wrong_signatures_do_not_make_a_right_one(scheme):
    spec, headers = SCHEMES[scheme].signature, signed(scheme, secret=_another(scheme))

    for joint in (",", ", ", " ", ";", spec.separator):
        refused(scheme, {**headers, spec.header: joint.join([headers[spec.header]] * 2)})


@schemes
def test_a_signature_header_up_to_the_limit_is_read_and_a_longer_one_is_not(scheme):
    spec, headers = SCHEMES[scheme].signature, signed(scheme)
    right = headers[spec.header]

    verify(scheme, {**headers, spec.header: right.ljust(MAX_SIGNATURE_CHARS)})
    assert "too long" in refused(scheme, {**headers, spec.header: right.ljust(MAX_SIGNATURE_CHARS + 1)})


@schemes
def test_the_hash_cannot_be_downgraded(scheme):
    spec, headers = SCHEMES[scheme].signature, signed(scheme)
    digest = headers[spec.header].rpartition("=" if spec.encoding == "hex" else ",")[2]

    for prefix in ("sha1=", "sha512=", "md5=", "SHA256=", "v0=", "v0,", "v1a,", "v2,", "none="):
        refused(scheme, {**headers, spec.header: prefix + digest})
        refused(scheme, {**headers, spec.header: f"t={NOW},{prefix}{digest}"})


# Time.


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize("direction", [-1, 1])
def test_the_window_is_closed_at_both_edges_on_both_sides(scheme, direction):
    headers, tolerance = signed(scheme), SCHEMES[scheme].signature.timestamp.tolerance

    verify(scheme, headers, now=NOW + direction * tolerance)
    assert f"the tolerance is {tolerance} s" in refused(scheme, headers, now=NOW + direction * (tolerance + 1))
    refused(scheme, headers, now=NOW + direction * (tolerance + 0.001))
    refused(scheme, headers, now=NOW + direction * 10**9)


def test_the_window_is_five_minutes_where_a_vendor_gives_one():
    assert TOLERANCE_S == 300
    for scheme in ("standard-webhooks", "stripe"):
        assert SCHEMES[scheme].signature.timestamp.tolerance == 300


@pytest.mark.parametrize("scheme", TIMED)
def test_the_timestamp_is_under_the_signature(scheme):
    headers = signed(scheme)
    moved = {name: value.replace(str(NOW), str(NOW + 1)) for name, value in headers.items()}

    assert moved != headers
    assert "does not match" in refused(scheme, moved)


@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize(
    "garbage",
    ["", " ", "x", "-1", "+1", "1e9", "1.5", "0x1", "²", "\u0661", "\x00", "é", "9" * 16, "9" * 5000, f" {NOW}"],
)
def test_a_timestamp_that_is_no_number_is_refused(scheme, garbage):
    refused(scheme, {name: value.replace(str(NOW), garbage) for name, value in signed(scheme).items()})


@pytest.mark.parametrize("scheme", [scheme for scheme in SIGNED if scheme not in TIMED])
def test_a_scheme_without_timestamps_verifies_at_any_time(scheme):
    for now in (0, NOW, 2 * NOW):
        verify(scheme, signed(scheme), now=now)


# Secrets.


@schemes
def test_any_secret_of_a_rotation_verifies(scheme):
    mine, other = secret_for(SCHEMES[scheme]), _another(scheme)

    for secrets in itertools.permutations([mine, other]):
        source = source_of(scheme=scheme, webhook_secret=json.dumps(secrets))
        for secret in secrets:
            source.verifier.verify(Content(request(BODY, signed(scheme, secret=secret))), now=NOW)


@schemes
def test_a_secret_that_was_rotated_out_is_refused(scheme):
    source = source_of(scheme=scheme, webhook_secret=json.dumps([_another(scheme)]))

    with pytest.raises(Unverified):
        source.verifier.verify(Content(request(BODY, signed(scheme))), now=NOW)


@schemes
@pytest.mark.parametrize(
    "secret", ["", " ", None, "[]", "{}", '[""]', '["", ""]', '{"token": "x"}', 1, ["x"]], ids=repr
)
def test_a_source_without_a_secret_cannot_be_made(scheme, secret):
    parsed = endpoint.parse(saved(scheme=scheme, webhook_secret=secret))
    sources, problems = compile_sources(parsed)

    assert "default" not in sources
    assert [*problems, *parsed.problems]


def _another(scheme):
    return secret_for(SCHEMES[scheme], "another-made-up-secret")


def _signing_headers(scheme):
    spec = SCHEMES[scheme].signature
    names = {spec.header}
    if spec.timestamp is not None and spec.timestamp.source == "header":
        names.add(spec.timestamp.name)
    if spec.id is not None and not spec.id.in_body:
        names.add(spec.id.name)
    return names


# Whatever comes.


@given(st.data(), st.sampled_from(SIGNED), st.binary(), st.floats(-(10**12), 10**12))
def test_verify_returns_or_raises_unverified_and_nothing_else(data, scheme, body, now):
    near = signed(scheme, now=max(0, int(now)))
    mutated = st.sampled_from(sorted(near.values())).flatmap(
        lambda value: st.tuples(any_text, st.integers(0, len(value))).map(
            lambda cut: value[: cut[1]] + cut[0] + value[cut[1] :]
        )
    )
    names = st.sampled_from(sorted(_signing_headers(scheme))) | any_text
    headers = near | data.draw(st.dictionaries(names, any_text | mutated))

    try:
        verify(scheme, headers, body, now)
    except Unverified:
        return
    assert all(headers[name].strip() for name in _signing_headers(scheme))


@given(st.binary(), any_text)
def test_nothing_is_verified_without_knowing_the_secret(body, text):
    for scheme in SIGNED:
        spec = SCHEMES[scheme].signature
        refused(scheme, dict.fromkeys(_signing_headers(scheme), text) | {spec.header: text}, body)


# What a row says about types and ids.


@pytest.mark.parametrize(
    ("scheme", "headers", "body", "event_type"),
    [
        ("hmac", {}, {"event_type": "a", "type": "b", "event": "c"}, "a"),
        ("hmac", {}, {"type": "b", "event": "c"}, "b"),
        ("hmac", {}, {"event": "c"}, "c"),
        ("hmac", {}, {"event": {"type": "c"}}, None),
        ("hmac", {"x-event": "push"}, {}, None),
        ("none", {}, {"event_type": "a"}, "a"),
        ("github", {"x-github-event": "issues"}, {"action": "opened"}, "issues.opened"),
        ("github", {"x-github-event": "push"}, {}, "push"),
        ("github", {}, {"action": "opened", "type": "x"}, None),
        ("standard-webhooks", {}, {"type": "invoice.paid"}, "invoice.paid"),
        ("stripe", {}, {"type": "charge.failed"}, "charge.failed"),
    ],
)
def test_the_type_of_an_event(scheme, headers, body, event_type):
    assert SCHEMES[scheme].type_of(Content(request(json.dumps(body).encode(), headers))) == event_type


@pytest.mark.parametrize(
    ("scheme", "headers", "body", "found"),
    [
        ("hmac", {}, {"id": "a", "event_id": "b"}, ("a", True)),
        ("hmac", {}, {"event_id": "b"}, ("b", True)),
        ("hmac", {}, {"id": 7}, ("7", True)),
        ("hmac", {"x-id": "c"}, {}, None),
        ("none", {}, {"id": "a"}, ("a", False)),
        ("github", {"x-github-delivery": "g"}, {"id": "a"}, ("g", False)),
        ("github", {}, {"id": "a"}, None),
        ("standard-webhooks", {"webhook-id": "msg_1"}, {"id": "a"}, ("msg_1", True)),
        ("stripe", {}, {"id": "evt_1"}, ("evt_1", True)),
    ],
)
def test_the_id_of_an_event_and_whether_it_is_signed(scheme, headers, body, found):
    assert SCHEMES[scheme].id_of(Content(request(json.dumps(body).encode(), headers))) == found


@schemes
def test_an_id_that_a_row_calls_signed_cannot_be_changed(scheme):
    row, headers = SCHEMES[scheme], signed(scheme)
    for location in row.id:
        if not location.in_body and row.signature.covers(location):
            refused(scheme, {**headers, location.name: "evt_2"})


@schemes
def test_a_header_that_a_row_does_not_call_signed_can_be_changed(scheme):
    assert not SCHEMES[scheme].signature.covers(Location("header:x-anything"))
    verify(scheme, {**signed(scheme), "x-anything": "other"})
