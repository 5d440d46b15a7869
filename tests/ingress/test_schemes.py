"""What holds for every row of the table, so that a new one is covered by being there."""

import hmac
import itertools
import json
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devhost.signing import CannotSign, sample_secret
from kafka_bridge.errors import Unverified
from kafka_bridge.events.outcome import Verdict
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content, Location
from kafka_bridge.ingress.receive import answer
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import ALGORITHMS, MAX_SIGNATURE_CHARS, TOLERANCE_S, Signature
from kafka_bridge.ingress.source import compile_sources
from kafka_bridge.settings import endpoint
from tests.ingress.signer import (
    PROVING,
    ROTATING,
    SIGNING,
    TIMED,
    another,
    compiled,
    covered,
    delivery,
    flipped,
    flipped_byte,
    nearby,
    operators,
    proving_headers,
    source_for,
    timestamp_of,
)
from tests.stand_ins import NOW, Broker, receive_at, request, saved

any_text = st.text(st.characters(exclude_categories=[]))
proving = pytest.mark.parametrize("scheme", PROVING)
signing = pytest.mark.parametrize("scheme", SIGNING)
timed = pytest.mark.parametrize("scheme", TIMED)
# Those whose signature stands in a header of its own, so that a test can put something else there.
IN_HEADER = [name for name in SIGNING if not SCHEMES[name].proof.body_path]
in_header = pytest.mark.parametrize("scheme", IN_HEADER)
# Those that sign whatever bytes there are.
OF_BYTES = [
    name
    for name in IN_HEADER
    if "body" in SCHEMES[name].proof.placeholders and getattr(timestamp_of(name), "source", "") != "body"
]
of_bytes = pytest.mark.parametrize("scheme", OF_BYTES)


def header_of(scheme):
    return SCHEMES[scheme].proof.header.replace("{n}", "1")


def outcome_of(scheme, inbound, *, now=NOW, source=None):
    broker = Broker()
    outcome = receive_at(inbound, source or source_for(scheme), broker, now=now)
    assert (outcome.verdict is Verdict.VERIFIED) or broker.records == []
    return outcome


def verify(scheme, inbound, *, now=NOW, source=None):
    outcome = outcome_of(scheme, inbound, now=now, source=source)
    assert outcome.verdict is Verdict.VERIFIED, outcome.reason


def refused(scheme, inbound, *, now=NOW, source=None):
    outcome = outcome_of(scheme, inbound, now=now, source=source)
    assert (outcome.verdict, answer(outcome).status, outcome.events) == (Verdict.REJECTED, 401, ())
    assert outcome.reason
    return outcome.reason


def with_headers(inbound, **headers):
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return inbound._replace(headers={**inbound.headers, **changed})


def with_header(inbound, name, value):
    return inbound._replace(headers={**inbound.headers, name: value})


def without(inbound, name):
    return inbound._replace(headers={other: value for other, value in inbound.headers.items() if other != name})


def test_only_the_scheme_none_does_not_verify():
    assert [name for name, row in SCHEMES.items() if row.proof is None] == ["none"]


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        SCHEMES["new"] = SCHEMES["none"]


def test_only_schemes_that_are_no_single_vendors_have_options():
    assert [name for name, row in SCHEMES.items() if row.options] == ["hmac", "api-key", "grafana"]


# The right secret, and everything that is not.


@proving
def test_what_was_made_with_the_right_secret_is_verified_and_published(scheme):
    broker = Broker()

    outcome = receive_at(delivery(scheme), source_for(scheme), broker, now=NOW)

    assert (outcome.verdict, outcome.error) == (Verdict.VERIFIED, None), outcome.reason
    assert [record.topic for record in broker.records] == ["t"]
    assert 200 <= answer(outcome).status < 300


@proving
def test_a_secret_that_differs_in_one_character_is_refused(scheme):
    for secret in nearby(sample_secret(scheme)):
        refused(scheme, delivery(scheme, secret=secret))


@of_bytes
def test_another_secret_is_told_as_such(scheme):
    assert "does not match" in refused(scheme, delivery(scheme, secret=another(scheme)))


@of_bytes
@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"\r\n", "ü{body}".encode(), b"x" * 100_000])
def test_any_bytes_that_were_signed_are_verified(scheme, body):
    verify(scheme, delivery(scheme, body))


@proving
def test_a_body_that_was_changed_by_one_bit_is_refused_wherever_the_proof_covers_it(scheme):
    inbound = delivery(scheme)

    for position in covered(scheme, inbound):
        refused(scheme, inbound._replace(body=flipped_byte(inbound.body, position)))


def test_only_tokens_cover_nothing_of_the_body():
    uncovered = {scheme for scheme in PROVING if not covered(scheme, delivery(scheme))}

    assert uncovered == {"bearer", "basic", "api-key", "gitlab-token", "cloudflare-notifications"}


@of_bytes
def test_a_body_that_was_cut_or_made_longer_is_refused(scheme):
    inbound = delivery(scheme)
    body = inbound.body

    for changed in (b"", body[:-1], body[1:], body + b"\n", b" " + body, body + body):
        refused(scheme, inbound._replace(body=changed))


@given(st.sampled_from(OF_BYTES), st.binary(), st.binary())
def test_a_signature_holds_for_one_body_only(scheme, one, other):
    # What could be a token of X's is no event; see test_handshakes.
    assume(scheme != "twitter" or not re.fullmatch(rb"[A-Za-z0-9_.~+/=-]{1,256}", one))
    inbound = delivery(scheme, one)

    verify(scheme, inbound)
    if one != other:
        refused(scheme, inbound._replace(body=other))


@proving
def test_a_header_of_the_proof_that_was_changed_by_one_bit_is_refused(scheme):
    inbound = delivery(scheme)

    for name in proving_headers(scheme):
        for position in range(len(inbound.headers[name])):
            refused(scheme, with_header(inbound, name, flipped(inbound.headers[name], position)))


@proving
def test_every_header_of_the_proof_is_needed(scheme):
    inbound = delivery(scheme)

    for name in proving_headers(scheme):
        refused(scheme, without(inbound, name))
        refused(scheme, with_header(inbound, name, ""))
        refused(scheme, with_header(inbound, name, " "))


@proving
def test_a_query_that_is_a_part_of_the_proof_is_needed_as_it_is(scheme):
    inbound = delivery(scheme)
    if inbound.query:
        refused(scheme, inbound._replace(query=""))
        for position in (n for n, character in enumerate(inbound.query) if character.isalnum()):
            refused(scheme, inbound._replace(query=flipped(inbound.query, position)))


@in_header
def test_no_header_at_all_is_told_as_such(scheme):
    assert "is missing or empty" in refused(scheme, delivery(scheme)._replace(headers={}))


def test_header_values_of_the_vendor_that_are_not_signed_do_not_matter():
    verify("github", with_headers(delivery("github"), x_github_event="é", x_github_delivery=""))


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


@proving
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_in_place_of_any_header_of_the_proof_is_refused(scheme, garbage):
    inbound, proof = delivery(scheme), SCHEMES[scheme].proof
    before = getattr(proof, "prefix", "")
    texts = [garbage, before + garbage]
    if isinstance(proof, Signature):
        texts += [f"{proof.element}={garbage}", f"t={NOW},time={NOW},{proof.element}={garbage}"]
    for name in proving_headers(scheme):
        for text in texts:
            refused(scheme, with_header(inbound, name, text))


@pytest.mark.parametrize("scheme", [name for name in PROVING if not proving_headers(name)])
@pytest.mark.parametrize(
    "garbage", [*GARBAGE.values(), None, 1, 1.5, True, [], {}, ["x"], {"x": 1}], ids=lambda value: repr(value)[:20]
)
def test_garbage_in_place_of_a_proof_in_the_body_is_refused(scheme, garbage):
    inbound, garbage = delivery(scheme), garbage[:100_000] if isinstance(garbage, str) else garbage
    try:
        document = json.loads(inbound.body)
    except ValueError:
        refused(scheme, inbound._replace(body=f"<xml><Encrypt>{garbage}</Encrypt></xml>".encode("utf-8", "replace")))
        return
    for changed in _each_replaced(document, garbage):
        body = json.dumps(changed).encode()
        if outcome_of(scheme, inbound._replace(body=body)).verdict is Verdict.VERIFIED:
            # What is not under the proof may be anything.
            assert _without_what_is_not_proved(scheme, changed) == _without_what_is_not_proved(scheme, document)


def _each_replaced(document, value):
    for name in document:
        yield {**document, name: value}
        if isinstance(document[name], dict):
            yield from ({**document, name: inner} for inner in _each_replaced(document[name], value))


def _without_what_is_not_proved(scheme, document):
    match scheme:
        case "mailgun":
            return document.get("signature")
        case "aws-sns":
            return {name: value for name, value in document.items() if name not in {"UnsubscribeURL", "Subject"}}
        case "microsoft-graph":
            return [item.get("clientState") for item in document["value"]]
        case _:
            return document


@in_header
def test_garbage_around_the_signature_is_refused(scheme):
    inbound, name = delivery(scheme), header_of(scheme)
    right = inbound.headers[name]

    for text in (right + "\x00", right + "é", right + "0", right[:-2], "x" + right, right.replace("=", "", 1) + "=0"):
        refused(scheme, with_header(inbound, name, text))


@in_header
def test_a_prefix_without_a_signature_is_refused(scheme):
    spec = SCHEMES[scheme].proof

    for text in (spec.prefix, f"{spec.prefix} ", f"{spec.element}=", f"t={NOW},time={NOW},{spec.element}="):
        refused(scheme, with_header(delivery(scheme), header_of(scheme), text))


@in_header
def test_a_required_prefix_cannot_be_left_out(scheme):
    spec, inbound, name = SCHEMES[scheme].proof, delivery(scheme), header_of(scheme)
    if spec.prefix and not spec.prefix_optional:
        refused(scheme, with_header(inbound, name, inbound.headers[name].removeprefix(spec.prefix)))


@in_header
def test_a_header_that_was_sent_twice_is_the_list_of_signatures_that_the_scheme_knows_or_it_is_refused(scheme):
    spec, inbound, name = SCHEMES[scheme].proof, delivery(scheme), header_of(scheme)
    joined = with_header(inbound, name, ",".join([inbound.headers[name]] * 2))

    if spec.separator == ",":
        verify(scheme, joined)
    else:
        refused(scheme, joined)


@in_header
def test_two_wrong_signatures_do_not_make_a_right_one(scheme):
    inbound, name = delivery(scheme, secret=another(scheme)), header_of(scheme)

    for joint in (",", ", ", " ", ";", SCHEMES[scheme].proof.separator):
        refused(scheme, with_header(inbound, name, joint.join([inbound.headers[name]] * 2)))


@in_header
def test_a_signature_header_up_to_the_limit_is_read_and_a_longer_one_is_not(scheme):
    inbound, name = delivery(scheme), header_of(scheme)
    right = inbound.headers[name]

    verify(scheme, with_header(inbound, name, right.ljust(MAX_SIGNATURE_CHARS)))
    assert "too long" in refused(scheme, with_header(inbound, name, right.ljust(MAX_SIGNATURE_CHARS + 1)))


# No weaker way in.


@pytest.mark.parametrize("scheme", [name for name in SIGNING if SCHEMES[name].proof.algorithm in ALGORITHMS])
def test_a_signature_by_another_algorithm_is_refused(scheme, monkeypatch):
    row = SCHEMES[scheme]
    for algorithm in {*ALGORITHMS} - {row.proof.algorithm}:
        with monkeypatch.context() as patched:
            other = row.changed(proof=replace(row.proof, algorithm=algorithm, stronger=None))
            patched.setattr("devhost.signing.rows.SCHEMES", {scheme: other})
            inbound = delivery(scheme)
        refused(scheme, inbound)


@in_header
def test_the_hash_cannot_be_downgraded_by_a_prefix(scheme):
    spec, inbound, name = SCHEMES[scheme].proof, delivery(scheme), header_of(scheme)
    digest = inbound.headers[name].rpartition("=" if spec.encoding == "hex" else ",")[2]

    for prefix in {"sha1=", "sha512=", "md5=", "SHA256=", "v0=", "v0,", "v1a,", "v2,", "none="} - {spec.prefix}:
        refused(scheme, with_header(inbound, name, prefix + digest))
        refused(scheme, with_header(inbound, name, f"t={NOW},{prefix}{digest}"))


@pytest.mark.parametrize(("scheme", "weak"), [("github", "x-hub-signature"), ("meta", "x-hub-signature")])
def test_a_right_sha1_in_the_old_header_does_not_help(scheme, weak):
    inbound = delivery(scheme)
    sha1 = hmac.new(sample_secret(scheme).encode(), inbound.body, "sha1").hexdigest()
    old = without(with_header(inbound, weak, f"sha1={sha1}"), header_of(scheme))

    refused(scheme, old)
    refused(scheme, with_header(old, header_of(scheme), f"sha1={sha1}"))
    refused(scheme, with_header(old, header_of(scheme), f"sha256={sha1}"))


@pytest.mark.parametrize("scheme", ["jira", "bitbucket"])
def test_a_right_sha1_in_the_header_of_the_sha256_is_refused(scheme):
    inbound = delivery(scheme)
    sha1 = hmac.new(sample_secret(scheme).encode(), inbound.body, "sha1").hexdigest()

    for text in (f"sha1={sha1}", f"sha256={sha1}", sha1):
        refused(scheme, with_header(inbound, "x-hub-signature", text))


def test_an_element_of_stripes_test_mode_is_no_signature():
    inbound = delivery("stripe")

    refused("stripe", with_headers(inbound, stripe_signature=inbound.headers["stripe-signature"].replace("v1=", "v0=")))


def test_twilio_is_held_to_the_algorithm_that_it_announces():
    settings = "x-twilio-webhooks-signature-settings"
    weak, strong = delivery("twilio"), delivery("twilio", stronger=True)

    verify("twilio", weak)
    verify("twilio", strong)
    refused("twilio", with_header(weak, settings, strong.headers[settings]))
    refused("twilio", without(strong, settings))


def test_a_public_key_is_no_shared_secret():
    # Whoever knows the public key, everybody, could sign with it otherwise.
    seed = "whsk_" + sample_secret("standard-webhooks").removeprefix("whsec_")
    source = compiled("standard-webhooks", secret=seed)
    public = operators("standard-webhooks", seed)
    forged = delivery("standard-webhooks", secret="whsec_" + public.removeprefix("whpk_"))

    verify("standard-webhooks", delivery("standard-webhooks", secret=seed), source=source)
    refused("standard-webhooks", forged, source=source)
    asymmetric = forged.headers["webhook-signature"].replace("v1,", "v1a,")
    refused("standard-webhooks", with_headers(forged, webhook_signature=asymmetric), source=source)


@proving
def test_secrets_and_signatures_are_compared_as_bytes_in_constant_time(scheme, monkeypatch):
    compared, compare = [], hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: compared.append((one, other)) or compare(one, other))

    verify(scheme, delivery(scheme))

    assert {type(value) for pair in compared for value in pair} == ({bytes} if compared else set())
    # A public key compares nothing that is secret.
    assert compared or scheme == "discord"


# Time.


@timed
@pytest.mark.parametrize("direction", [-1, 1])
def test_the_window_ends_at_the_tolerance_on_both_sides(scheme, direction):
    inbound, timestamp = delivery(scheme), timestamp_of(scheme)
    tolerance = timestamp.tolerance

    verify(scheme, inbound, now=NOW + direction * (tolerance - 1))
    if timestamp.strict:
        refused(scheme, inbound, now=NOW + direction * tolerance)
    else:
        verify(scheme, inbound, now=NOW + direction * tolerance)
    assert f"the tolerance is {tolerance} s" in refused(scheme, inbound, now=NOW + direction * (tolerance + 1))
    refused(scheme, inbound, now=NOW + direction * (tolerance + 0.001))
    refused(scheme, inbound, now=NOW + direction * 10**9)


@pytest.mark.parametrize(("scheme", "tolerance"), [("feishu", 300), ("dingtalk", 300), ("wecom", 300)])
@pytest.mark.parametrize("direction", [-1, 1])
def test_an_encrypted_message_has_its_window_too(scheme, tolerance, direction):
    verify(scheme, delivery(scheme), now=NOW + direction * tolerance)
    refused(scheme, delivery(scheme), now=NOW + direction * (tolerance + 1))


def test_the_window_is_five_minutes_unless_a_vendor_gives_another():
    assert TOLERANCE_S == 300
    tolerances = {name: timestamp_of(name).tolerance for name in TIMED}
    assert {name: found for name, found in tolerances.items() if found != 300} == {"linear": 60, "contentful": 30}


@pytest.mark.parametrize("scheme", [name for name in TIMED if "timestamp" in SCHEMES[name].proof.placeholders])
def test_the_timestamp_is_under_the_signature(scheme):
    early, late = delivery(scheme), delivery(scheme, now=NOW + 1)
    name = header_of(scheme) if not SCHEMES[scheme].proof.body_path else ""
    if timestamp_of(scheme).source == "element":
        moved = with_header(early, name, early.headers[name].replace(str(NOW), str(NOW + 1)))
    elif timestamp_of(scheme).source == "body":
        moved = early._replace(body=early.body.replace(str(NOW).encode(), str(NOW + 1).encode()))
    else:
        at = timestamp_of(scheme).name
        moved = with_header(early, at, late.headers[at])

    assert moved != early
    assert "does not match" in refused(scheme, moved)


@pytest.mark.parametrize("scheme", [name for name in TIMED if timestamp_of(name).source != "body"])
@pytest.mark.parametrize(
    "garbage",
    ["", " ", "x", "-1", "+1", "1e9", "1.5", "0x1", "²", "\u0661", "\x00", "é", "9" * 16, "9" * 5000, f" {NOW}"],
)
def test_a_timestamp_that_is_none_is_refused(scheme, garbage):
    inbound, timestamp = delivery(scheme), timestamp_of(scheme)
    if timestamp.source == "element":
        name = header_of(scheme)
        refused(scheme, with_header(inbound, name, inbound.headers[name].replace(str(NOW), garbage)))
    else:
        refused(scheme, with_header(inbound, timestamp.name, garbage))


@pytest.mark.parametrize("scheme", [name for name in SIGNING if name not in TIMED])
def test_a_scheme_without_timestamps_verifies_at_any_time(scheme):
    for now in (0, NOW, 2 * NOW):
        verify(scheme, delivery(scheme), now=now)


# Secrets.


@pytest.mark.parametrize("scheme", ROTATING)
def test_any_secret_of_a_rotation_verifies(scheme):
    mine, other = sample_secret(scheme), another(scheme)

    for secrets in itertools.permutations([mine, other]):
        source = compiled(scheme, secret=list(secrets))
        for secret in secrets:
            verify(scheme, delivery(scheme, secret=secret), source=source)


@pytest.mark.parametrize("scheme", ROTATING)
def test_a_secret_that_was_rotated_out_is_refused(scheme):
    refused(scheme, delivery(scheme), source=compiled(scheme, secret=[another(scheme)]))


def test_docusign_and_stripe_may_sign_with_every_secret_at_once():
    for scheme in ("docusign", "stripe", "standard-webhooks"):
        secrets = [another(scheme), sample_secret(scheme)]
        verify(scheme, delivery(scheme, secret=secrets))


@proving
@pytest.mark.parametrize("secret", ["", " ", None, "[]", "{}", '[""]', '["", ""]', '{"x": "x"}', 1, ["x"]], ids=repr)
def test_a_source_without_a_secret_cannot_be_made(scheme, secret):
    parsed = endpoint.parse(saved(scheme=scheme, webhook_secret=secret))
    sources, problems = compile_sources(parsed)

    assert "default" not in sources
    assert [*problems, *parsed.problems]


# Whatever comes.


@given(st.data(), st.sampled_from(PROVING), st.binary(), st.floats(0, 10**10))
def test_verify_returns_or_raises_unverified_and_nothing_else(data, scheme, body, now):
    near = delivery(scheme, now=int(now))
    values = sorted(near.headers.values())
    mutated = st.sampled_from(values).flatmap(
        lambda value: st.tuples(any_text, st.integers(0, len(value))).map(
            lambda cut: value[: cut[1]] + cut[0] + value[cut[1] :]
        )
    )
    names = st.sampled_from([*sorted(near.headers), "dify-hook-url", *sorted(proving_headers(scheme))]) | any_text
    headers = {**near.headers, **data.draw(st.dictionaries(names, any_text | mutated))}
    query = data.draw(st.just(near.query) | st.text(st.characters(codec="latin-1")))
    inbound = near._replace(headers=headers, query=query, body=data.draw(st.sampled_from([near.body, body])))

    for source in (source_for(scheme), replace(source_for(scheme), public_url="")):
        content = Content(inbound, public_url=source.public_url)
        try:
            source.verifier.verify(content, now=now)
        except Unverified as error:
            assert error.reason  # noqa: PT017
        else:
            assert all(headers[name].strip() for name in proving_headers(scheme))


@given(st.binary(), any_text, st.text(st.characters(codec="latin-1")))
def test_nothing_is_verified_without_knowing_the_secret(body, text, query):
    for scheme in PROVING:
        headers = dict.fromkeys(proving_headers(scheme), text)
        source = source_for(scheme)
        with pytest.raises(Unverified):
            source.verifier.verify(Content(Inbound("POST", "/webhook", query, headers, body)), now=NOW)


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
        ("gitlab-token", {"x-gitlab-event": "Push Hook"}, {"object_kind": "push"}, "push"),
        ("gitlab-token", {"x-gitlab-event": "Push Hook"}, {}, "Push Hook"),
        ("linear", {}, {"type": "Issue", "action": "create"}, "Issue.create"),
        ("pagerduty", {}, {"event": {"event_type": "incident.triggered"}}, "incident.triggered"),
        ("slack", {}, {"type": "event_callback", "event": {"type": "message"}}, "message"),
        ("slack", {"content-type": "application/x-www-form-urlencoded"}, "command=%2Fgo", "/go"),
        ("shopify", {"x-shopify-topic": "orders/create"}, {}, "orders/create"),
        ("dropbox", {}, {"type": "x"}, None),
    ],
)
def test_the_type_of_an_event(scheme, headers, body, event_type):
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    assert SCHEMES[scheme].type_of(Content(request(raw, headers))) == event_type


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
        ("bearer", {}, {"id": "evt_1"}, ("evt_1", False)),
        ("mailgun", {}, {"event-data": {"id": "a"}, "signature": {"token": "b"}}, ("a", False)),
    ],
)
def test_the_id_of_an_event_and_whether_it_is_signed(scheme, headers, body, found):
    assert SCHEMES[scheme].id_of(Content(request(json.dumps(body).encode(), headers))) == found


@proving
def test_an_id_in_a_header_that_a_row_calls_signed_cannot_be_changed(scheme):
    row, inbound = SCHEMES[scheme], delivery(scheme)
    for location in row.id:
        if location.where == "header" and row.covers(location):
            outcome = outcome_of(scheme, with_header(inbound, location.name, "evt_2"))
            assert outcome.event is None or (outcome.event.id, outcome.event.id_signed) == ("msg_1", True)


def test_svix_may_use_the_names_of_standard_webhooks():
    inbound = delivery("svix")
    renamed = {name.replace("svix-", "webhook-"): value for name, value in inbound.headers.items()}

    outcome = outcome_of("svix", inbound._replace(headers=renamed))

    assert (outcome.event.id, outcome.event.id_signed) == ("msg_1", True)
    # Its own name comes first among the ids, so it must not be there without a signature.
    refused("svix", with_header(inbound._replace(headers=renamed), "svix-id", "evt_2"))
    refused("svix", with_header(inbound._replace(headers=renamed), "webhook-id", "evt_2"))


@in_header
def test_a_header_that_a_row_does_not_call_signed_can_be_changed(scheme):
    assert not SCHEMES[scheme].proof.covers(Location("header:x-anything"))
    inbound = delivery(scheme)
    verify(scheme, with_header(inbound, "x-anything", "other"))


def test_a_row_that_nobody_can_sign_for_is_told_rather_than_passed_over():
    with pytest.raises(CannotSign):
        delivery("no such scheme")
