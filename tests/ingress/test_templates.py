import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.templates import MissingValue, compile_template
from kafka_bridge.placeholders import BadTemplate
from tests.stand_ins import request

BODY = b'{"data": {"customer": "cus_1"}, "a": {"": {"b": "x"}}}'
EVENT = Content(request(BODY, {"X-Tenant": "acme", "x-brace": "{id}"}))
NAMED = {"type": "push", "id": "evt_1"}
# What a placeholder stands for in `EVENT`.
VALUES = {
    "source": "shop",
    "type": "push",
    "id": "evt_1",
    "header.x-tenant": "acme",
    "header.X-TENANT": "acme",
    "header.x-brace": "{id}",
    "body.data.customer": "cus_1",
    "body.a..b": "x",
}
MISSING = ["header.x-none", "body.x", "body.data", "body.data.customer.x"]

literals = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]))
pairs_of = st.lists(st.tuples(literals, st.sampled_from(sorted(VALUES))), max_size=15)


def compiled(text):
    return compile_template(text, source="shop")


def render(text, content=EVENT, named=NAMED):
    return compiled(text).render(content, named)


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("orders", "orders"),
        ("", ""),
        ("github.{type}", "github.push"),
        ("{type}{id}", "pushevt_1"),
        ("{type}.{type}", "push.push"),
        ("{source}.{header.X-Tenant}-{body.data.customer}", "shop.acme-cus_1"),
        ("a{body.a..b}c", "axc"),
    ],
)
def test_placeholders_are_replaced(text, rendered):
    assert render(text) == rendered


def test_the_name_of_the_source_is_replaced_when_the_template_is_compiled():
    assert compiled("webhooks.{source}").constant == "webhooks.shop"
    assert compiled("{source}{source}").constant == "shopshop"


def test_a_template_with_values_of_the_event_has_no_constant():
    for name in ("type", "id", "header.x", "body.x"):
        assert compiled(f"webhooks.{{{name}}}").constant is None


def test_a_value_is_not_a_template():
    assert render("{header.x-brace}.{type}") == "{id}.push"


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_value_is_named_by_its_place(name):
    with pytest.raises(MissingValue) as caught:
        render(f"{{type}}.{{{name}}}.{{id}}")

    assert str(caught.value).startswith("the event has no value for ")
    assert name.partition(".")[2] in str(caught.value)


@pytest.mark.parametrize("name", ["type", "id"])
def test_an_event_without_type_or_id_has_no_value_for_it(name):
    with pytest.raises(MissingValue, match=f"no value for .*{name}"):
        render(f"{{{name}}}", named={**NAMED, name: None})


UNKNOWN = [
    "",
    " type",
    "type ",
    "Type",
    "topic",
    "header",
    "header.",
    "body.",
    "body",
    "0",
    "x.y",
    "Header.x",
    ".x",
    "url",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_placeholder_is_refused(name):
    with pytest.raises(BadTemplate, match=r"knows .* only"):
        compiled(f"a.{{{name}}}")


@pytest.mark.parametrize("text", ["{", "}", "a{b", "a}b", "{type}}", "{{type}", "{{type}}", "}{", "{type", "type}"])
def test_a_brace_without_its_partner_is_refused(text):
    with pytest.raises(BadTemplate):
        compiled(text)


def test_what_is_wrong_is_told_without_the_template():
    with pytest.raises(BadTemplate) as caught:
        compiled("NEVERSHOWN{NEVERSHOWN}")

    assert "NEVERSHOWN" not in str(caught.value)


@given(literals)
def test_a_text_without_braces_is_itself(text):
    assert compiled(text).constant == text
    assert render(text, Content(request()), {"type": None, "id": None}) == text


@given(pairs_of, literals)
def test_render_of_compile_puts_every_value_in_its_place(pairs, last):
    text = "".join(f"{literal}{{{name}}}" for literal, name in pairs) + last

    assert render(text) == "".join(literal + VALUES[name] for literal, name in pairs) + last


@given(pairs_of, st.sampled_from(MISSING), pairs_of)
def test_one_missing_value_is_enough_to_have_no_text(before, name, after):
    with pytest.raises(MissingValue):
        render("".join(f"{literal}{{{each}}}" for literal, each in [*before, ("", name), *after]))


@given(st.text() | st.text(st.sampled_from("{}abdeiopty.hr")))
def test_any_text_is_a_template_or_a_bad_one(text):
    try:
        template = compiled(text)
    except BadTemplate:
        return
    assert template.constant is None or "{" not in template.constant


def test_a_template_is_of_a_thousand_characters_at_most():
    assert compiled("{source}" * 125).constant == "shop" * 125
    with pytest.raises(BadTemplate, match=r"^is longer than 1000 characters$"):
        compiled("{source}" * 125 + "x")


def test_thirty_two_placeholders_are_enough():
    assert len(compiled("{id}" * 32 + "{source}" * 50).places) == 32
    with pytest.raises(BadTemplate, match=r"^has more than 32 placeholders$"):
        compiled("{id}" * 33)
