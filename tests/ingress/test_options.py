import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.options import BadOptions, with_options
from kafka_bridge.ingress.scheme import Scheme
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Timestamp
from tests.stand_ins import request

HMAC = SCHEMES["hmac"]
TIMED = {"template": "{timestamp}.{body}", "timestamp": {"name": "X-Time"}}
NAMES = [
    "header",
    "algorithm",
    "encoding",
    "prefix",
    "key_encoding",
    "template",
    "timestamp",
    "separator",
    "id",
    "type",
]
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


def signature(**options):
    return with_options(HMAC, options).proof


def refusal(**options):
    with pytest.raises(BadOptions) as caught:
        with_options(HMAC, options)
    return str(caught.value)


def test_without_options_the_row_is_itself():
    for row in SCHEMES.values():
        assert with_options(row, {}) is row


@pytest.mark.parametrize("scheme", [name for name, row in SCHEMES.items() if not row.options])
def test_a_scheme_without_parameters_takes_no_options(scheme):
    with pytest.raises(BadOptions, match=r"^the scheme has no scheme_options$"):
        with_options(SCHEMES[scheme], {"header": "x-signature"})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_options_can_never_switch_verification_off(scheme):
    for options in ({"algorithm": "none"}, {"scheme": "none"}, {"proof": None}, {"verify": False}):
        with pytest.raises(BadOptions):
            with_options(SCHEMES[scheme], options)


def test_the_table_is_not_changed_by_options():
    with_options(HMAC, {"header": "x-signature", "id": "header:x-id"})

    assert HMAC.proof.header == "x-webhook-signature"
    assert HMAC.proof.id is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("algorithm", "sha1"),
        ("algorithm", "sha512"),
        ("encoding", "base64"),
        ("key_encoding", "hex"),
        ("key_encoding", "base64"),
        ("key_encoding", "whsec"),
        ("prefix", "v0="),
        ("separator", ","),
        ("element", "v1"),
        ("template", "v0:{body}"),
        ("template", "{method}\n{body}"),
    ],
)
def test_an_option_takes_the_place_of_a_default(name, value):
    changed = signature(**{name: value})

    assert getattr(changed, name) == value
    for other in {"algorithm", "encoding", "key_encoding", "separator", "element", "template", "header"} - {name}:
        assert getattr(changed, other) == getattr(HMAC.proof, other)


def test_a_header_is_found_in_any_case():
    assert signature(header="X-Signature").header == "x-signature"


def test_the_default_prefix_may_be_left_out_by_the_sender():
    assert (HMAC.proof.prefix, HMAC.proof.prefix_optional) == ("sha256=", True)
    assert (signature(header="x").prefix, signature(header="x").prefix_optional) == ("sha256=", True)


def test_a_prefix_that_was_chosen_is_required():
    assert signature(prefix="v0=").prefix_optional is False


def test_another_algorithm_may_stand_before_its_signature_as_the_default_one_may():
    found = signature(algorithm="sha1")

    assert (found.prefix, found.prefix_optional) == ("sha1=", True)


def test_naming_the_default_algorithm_changes_nothing():
    assert signature(algorithm="sha256") == HMAC.proof


@pytest.mark.parametrize(
    ("given_timestamp", "parsed"),
    [
        ({"name": "X-Time"}, Timestamp(source="header", name="x-time", unit="s", tolerance=300)),
        (
            {"source": "header", "name": "t", "unit": "ms", "tolerance": 1},
            Timestamp(source="header", name="t", unit="ms", tolerance=1),
        ),
        ({"name": "t", "tolerance": 86_400}, Timestamp(source="header", name="t", tolerance=86_400)),
        (
            {"source": "body", "name": "data.at", "unit": "rfc3339"},
            Timestamp(source="body", name="data.at", unit="rfc3339"),
        ),
    ],
)
def test_a_timestamp_has_defaults(given_timestamp, parsed):
    assert signature(template="{timestamp}.{body}", timestamp=given_timestamp).timestamp == parsed


def test_a_timestamp_in_an_element_stands_in_the_signature_header():
    spec = signature(
        separator=",", element="v1", template="{timestamp}.{body}", timestamp={"source": "element", "name": "t"}
    )

    assert spec.timestamp == Timestamp(source="element", name="t")


def test_no_timestamp_is_none():
    assert signature(timestamp=None).timestamp is None


def test_a_timestamp_in_the_body_is_signed_with_the_body():
    assert signature(timestamp={"source": "body", "name": "at"}).template == "{body}"


def test_an_id_feeds_the_template_and_is_the_event_id():
    scheme = with_options(HMAC, {"template": "{id}.{body}", "id": "header:X-Id"})

    assert scheme.id_of(Content(request(b'{"id": "body"}', {"x-id": "header"}))) == ("header", True)


def test_an_id_beside_the_template_is_not_signed():
    scheme = with_options(HMAC, {"id": "header:X-Id"})

    assert scheme.id_of(Content(request(b"{}", {"x-id": "header"}))) == ("header", False)


def test_a_type_is_where_the_option_says():
    scheme = with_options(HMAC, {"type": "header:X-Topic"})

    assert scheme.type_of(Content(request(b'{"type": "body"}', {"x-topic": "header"}))) == "header"
    assert scheme.type_of(Content(request(b'{"type": "body"}'))) is None


REFUSED = {
    "header must not be empty": {"header": ""},
    "template must contain {body}": {"template": "{timestamp}", "timestamp": {"name": "t"}},
    "template must contain {body}: nothing": {"template": ""},
    "template uses {id}, so id must say where it stands": {"template": "{id}.{body}"},
    "template uses {timestamp}, so timestamp must say": {"template": "{timestamp}.{body}"},
    "timestamp is not under the signature": {"timestamp": {"name": "t"}},
    "a timestamp in an element needs a separator": {**TIMED, "timestamp": {"source": "element", "name": "t"}},
    "scheme_options knows algorithm, element, encoding": {"headers": "x"},
    "algorithm must be one of sha1, sha256, sha512": {"algorithm": "md5"},
    "encoding must be one of hex, base64": {"encoding": "base64url"},
    "key_encoding must be one of utf-8, base64, hex, whsec": {"key_encoding": "utf8"},
    "id must be header:NAME or body:PATH": {"id": "x-id"},
    "id must be header:NAME": {"id": "query:id"},
    "type must be header:NAME or body:PATH": {"type": "body:"},
    "type must be header:NAME": {"type": "query:type"},
    "timestamp.name must not be empty": {**TIMED, "timestamp": {}},
    "timestamp.source must be one of header, element, body": {**TIMED, "timestamp": {"name": "t", "source": "query"}},
    "timestamp.unit must be one of s, ms, rfc3339": {**TIMED, "timestamp": {"name": "t", "unit": "us"}},
    "timestamp must be an object": {**TIMED, "timestamp": "X-Time"},
    "timestamp must be an object with": {**TIMED, "timestamp": {"name": "t", "skew": 1}},
}


@pytest.mark.parametrize(("told", "options"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_verified_safely_is_refused(told, options):
    assert refusal(**options).startswith(told)


@pytest.mark.parametrize("tolerance", [0, -1, 86_401, 300.0, "300", True, None, [], 10**30])
def test_a_tolerance_is_a_number_of_seconds_within_a_day(tolerance):
    told = refusal(template="{timestamp}.{body}", timestamp={"name": "t", "tolerance": tolerance})

    assert told == "timestamp.tolerance must be a number of seconds from 1 to 86400"


@pytest.mark.parametrize("name", ["header", "prefix", "template", "separator", "element", "id", "type"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}])
def test_a_text_is_a_text(name, value):
    assert refusal(**{name: value}) == f"{name} must be a text"


@pytest.mark.parametrize("name", ["algorithm", "encoding", "key_encoding"])
@pytest.mark.parametrize("value", [None, 1, True, [], {}, "", "SHA256", ["sha256"]])
def test_a_choice_is_one_of_its_values(name, value):
    assert refusal(**{name: value}).startswith(f"{name} must be one of ")


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(), any_json | st.sampled_from(["body:id", "{body}", ","])))
def test_any_options_make_a_scheme_or_are_bad(options):
    try:
        scheme = with_options(HMAC, options)
    except BadOptions:
        return
    assert isinstance(scheme, Scheme)
    assert "body" in scheme.proof.placeholders


BRACES = [
    "{form}{body}",
    "{headers}{body}",
    "{ID}.{body}",
    "{Body}{body}",
    "{body}{",
    "}{body}",
    "{{body}}",
    "{}{body}",
    "{bo{id}dy}{body}",
]


@pytest.mark.parametrize("template", [*BRACES, "{ body}{body}", "{body.id}.{body}", "{header.x-id}.{body}"])
def test_a_brace_that_is_no_placeholder_is_refused_rather_than_signed(template):
    told = refusal(template=template, id="header:x-id")

    assert told == "template knows {body}, {timestamp}, {id}, {url}, {method}, {path} only, and no other brace"


@pytest.mark.parametrize("template", ["{body}{body}", "{method}.{body}.{method}", "{body}" * 100])
def test_a_placeholder_stands_once_in_a_template(template):
    assert refusal(template=template) == "template may contain each placeholder once"


@pytest.mark.parametrize("name", ["header", "prefix", "template", "separator", "element", "id", "type"])
def test_an_option_is_of_a_thousand_characters_at_most(name):
    assert refusal(**{name: "x" * 1001}) == f"{name} is longer than 1000 characters"
    signature(template="x" * 994 + "{body}")


NO_HEADERS = ["X Sig", "X-Sig:", "X_Sig", "x/y", "é", "x\n", " x", "x,y", '"x"', "(x)", "\x00"]


@pytest.mark.parametrize("name", NO_HEADERS)
def test_a_header_that_cannot_arrive_is_refused(name):
    told = " must be a header's name: letters, digits and hyphens (underscores never arrive)"

    assert refusal(header=name) == f"header{told}"
    assert refusal(id=f"header:{name}") == f"id{told}"
    assert refusal(type=f"header:{name}") == f"type{told}"
    assert refusal(template="{timestamp}{body}", timestamp={"name": name}) == f"timestamp.name{told}"


@pytest.mark.parametrize("name", ["X-Signature", "x", "X.Sig", "x!#$%&'*+^`|~9"])
def test_any_token_without_an_underscore_is_a_header(name):
    assert signature(header=name).header == name.lower()
    assert with_options(HMAC, {"id": f"header:{name}"}).id[0].name == name.lower()


def test_what_is_no_header_may_have_any_name():
    timed = {"source": "element", "name": "t_1"}

    assert signature(separator=",", template="{timestamp}{body}", timestamp=timed).timestamp.name == "t_1"
    assert signature(timestamp={"source": "body", "name": "a b_c"}).timestamp.name == "a b_c"
    assert with_options(HMAC, {"id": "body:event id_1"}).id[0].name == "event id_1"


def test_an_id_in_the_body_is_not_looked_for_before_the_body_is_verified():
    with pytest.raises(BadOptions, match="header"):
        with_options(SCHEMES["hmac"], {"template": "{id}.{body}", "id": "body:id"})


# The other schemes with parameters.


def test_grafana_signs_with_a_timestamp_where_the_operator_names_its_header():
    changed = with_options(SCHEMES["grafana"], {"timestamp_header": "X-Grafana-Alerting-Signature-Timestamp"}).proof

    assert changed.template == "{timestamp}:{body}"
    assert changed.timestamp == Timestamp(source="header", name="x-grafana-alerting-signature-timestamp")
    assert changed.header == SCHEMES["grafana"].proof.header


def test_a_header_of_grafanas_may_have_another_name():
    assert with_options(SCHEMES["grafana"], {"header": "X-Sig"}).proof.header == "x-sig"
    both = with_options(SCHEMES["grafana"], {"header": "X-Sig", "timestamp_header": "X-Time"}).proof
    assert (both.header, both.timestamp.name) == ("x-sig", "x-time")


def test_an_api_key_may_stand_in_another_header():
    changed = with_options(SCHEMES["api-key"], {"header": "X-Token", "id": "header:X-Id", "type": "body:kind"})

    assert str(changed.proof.place) == "header x-token"
    assert [str(place) for place in changed.id] == ["header x-id"]
    assert str(changed.type[0][0]) == "body kind"
    assert with_options(SCHEMES["api-key"], {"id": "header:X-Id"}).proof == SCHEMES["api-key"].proof


@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("grafana", {"algorithm": "sha1"}),
        ("grafana", {"template": "{body}"}),
        ("grafana", {"timestamp_header": ""}),
        ("grafana", {"timestamp_header": 1}),
        ("grafana", {"timestamp_header": "X_Time"}),
        ("api-key", {"prefix": ""}),
        ("api-key", {"header": ""}),
        ("api-key", {"header": None}),
        ("hmac", {"timestamp_header": "X-Time"}),
    ],
)
def test_a_parameter_that_a_scheme_does_not_have_is_refused(scheme, options):
    with pytest.raises(BadOptions):
        with_options(SCHEMES[scheme], options)
