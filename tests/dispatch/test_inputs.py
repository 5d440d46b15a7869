"""The input for one record: what is declared, what the operator says, and whose word counts."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.inputs import Inputs, compile_inputs, compile_template
from kafka_bridge.placeholders import BadTemplate
from tests.dispatch.records import payload

ORDER = b'{ "id": 7, "customer": {"name": "Ada"}, "items": [{"sku": "a"}], "paid": true, "note": null }'


def form_of(**kinds):
    return Form.parse({"user_input_form": [{kind: {"variable": name}} for name, kind in kinds.items()]})


def compiled(mapping=None, presets=None) -> Inputs:
    inputs, problems = compile_inputs(mapping or {}, presets or {})
    assert problems == []
    return inputs


def inputs_for(value=ORDER, form=None, mapping=None, presets=None, **record):
    return compiled(mapping, presets).of(payload(value, **record), form)


class TestForm:
    def test_no_form_is_not_an_empty_one(self):
        assert Form.parse({}) is None
        assert Form.parse({"user_input_form": None}) is None
        assert Form.parse("nonsense") is None
        assert Form.parse({"user_input_form": []}) == Form({})

    def test_entries_that_say_nothing_are_passed_over(self):
        entries = [{"paragraph": {"variable": "a"}}, {}, "x", {"number": None}, {"number": {"variable": 5}}, None]

        assert Form.parse({"user_input_form": entries}) == Form({"a": "paragraph"})

    def test_without_one_everything_is_passed(self):
        assert inputs_for() == payload(ORDER).everything()

    def test_one_that_declares_nothing_gets_nothing(self):
        assert inputs_for(form=form_of()) == {}

    def test_only_what_is_declared_is_passed(self):
        form = form_of(id="number", offset="number", absent="paragraph")

        assert inputs_for(form=form) == {"id": 7, "offset": 41}

    @pytest.mark.parametrize("kind", ["text-input", "paragraph", "select"])
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("as it is", "as it is"),
            ("", ""),
            (7, "7"),
            (1.5, "1.5"),
            (True, "true"),
            ([1, "a"], '[1,"a"]'),
            ({"a": None}, '{"a":null}'),
            ([], "[]"),
            (None, None),
        ],
    )
    def test_a_text_is_what_it_is_and_anything_else_its_json(self, kind, value, text):
        assert inputs_for(orjson.dumps({"x": value}), form=form_of(x=kind)) == {"x": text}

    @pytest.mark.parametrize(
        ("kind", "value", "passed"),
        [
            ("number", 7, 7),
            ("number", 1.5, 1.5),
            ("number", "7", "7"),
            ("number", True, True),
            ("checkbox", True, True),
            ("checkbox", "yes", "yes"),
            ("json_object", {"a": 1}, {"a": 1}),
            ("json_object", '{"a": 1}', {"a": 1}),
            ("json_object", "[1]", "[1]"),
            ("json_object", "text", "text"),
            ("json_object", [1], [1]),
            ("file", {"type": "image"}, {"type": "image"}),
            ("file-list", [{"type": "image"}], [{"type": "image"}]),
            ("something-new", [1], [1]),
        ],
    )
    def test_what_cannot_be_converted_is_dify_s_to_refuse(self, kind, value, passed):
        assert inputs_for(orjson.dumps({"x": value}), form=form_of(x=kind)) == {"x": passed}

    def test_what_the_bridge_knows_is_converted_as_well(self):
        form = form_of(offset="text-input", headers="paragraph", kafka="json_object", key="text-input")
        got = inputs_for(form=form, headers=(("a", b"1"),))

        assert (got["offset"], got["headers"], got["key"]) == ("41", '{"a":"1"}', None)
        assert got["kafka"] == payload(ORDER, headers=(("a", b"1"),)).facts


class TestPresets:
    def test_they_count_where_the_payload_says_nothing(self):
        presets = {"tenant": "acme", "id": 1, "topic": "by hand"}

        got = inputs_for(presets=presets)

        assert (got["tenant"], got["id"], got["topic"]) == ("acme", 7, "by hand")

    @pytest.mark.parametrize("empty", ["", None, [], {}])
    def test_a_field_that_was_left_empty_takes_nothing_away(self, empty):
        assert inputs_for(presets={"topic": empty, "x": empty}) == inputs_for()

    def test_zero_and_false_are_values(self):
        got = inputs_for(presets={"a": 0, "b": False})

        assert (got["a"], got["b"]) == (0, False)

    def test_a_null_in_the_payload_is_the_payload_s(self):
        assert inputs_for(presets={"note": "preset"})["note"] is None


class TestMapping:
    @pytest.mark.parametrize(
        ("template", "value"),
        [
            ("{body.id}", 7),
            ("{body.paid}", True),
            ("{body.customer}", {"name": "Ada"}),
            ("{body.customer.name}", "Ada"),
            ("{body.items.0.sku}", "a"),
            ("{body.items}", [{"sku": "a"}]),
            ("{body.note}", None),
            ("{body.absent}", None),
            ("{body}", json.loads(ORDER)),
            ("{offset}", 41),
            ("{partition}", 3),
            ("{topic}", "orders"),
            ("{key}", "k"),
            ("{event_id}", "evt_1"),
            ("{event_type}", None),
            ("{header.Tenant}", "acme"),
            ("{header.absent}", None),
            ("#{body.id}", "#7"),
            ("{body.id}{body.paid}", "7true"),
            ("{body.customer} {body.absent}!", '{"name":"Ada"} !'),
            ("all: {body}", f"all: {ORDER.decode()}"),
            ("{topic}/{partition}/{offset}", "orders/3/41"),
            ("constant", "constant"),
            ("", ""),
        ],
    )
    def test_a_single_placeholder_keeps_its_type_and_the_rest_is_text(self, template, value):
        got = inputs_for(mapping={"x": template}, key=b"k", headers=(("ce_id", b"evt_1"), ("tenant", b"acme")))

        assert got["x"] == value
        assert type(got["x"]) is type(value)

    def test_a_mapped_input_is_set_as_it_says_and_the_rest_as_usual(self):
        form = form_of(id="text-input", customer="json_object")

        assert inputs_for(mapping={"id": "{offset}"}, form=form) == {"id": "41", "customer": {"name": "Ada"}}

    def test_what_is_mapped_is_passed_only_where_it_is_declared(self):
        assert inputs_for(mapping={"id": "x", "other": "y"}, form=form_of(id="paragraph")) == {"id": "x"}

    @pytest.mark.parametrize("value", [ORDER, b"[1,  2]", b"12345678901234567890123", b"1.0e2"])
    def test_a_body_that_becomes_a_text_is_the_very_one_that_came(self, value):
        assert inputs_for(value, mapping={"all": "{body}"}, form=form_of(all="paragraph")) == {"all": value.decode()}

    def test_an_array_as_a_message_is_the_very_one_that_came(self):
        assert inputs_for(b"[1,  2]", form=form_of(message="paragraph")) == {"message": "[1,  2]"}

    def test_a_number_that_is_the_body_is_not_taken_for_another_one(self):
        got = inputs_for(b" 3 ", mapping={"where": "{partition}"}, form=form_of(where="text-input"))

        assert got == {"where": "3"}

    @pytest.mark.parametrize(
        "template",
        [
            "{",
            "{}",
            "{body.}",
            "{header}",
            "{header.}",
            "{id}",
            "{type}",
            "{Body}",
            "{body",
            "{body.a}}",
            "{kafka}",
            "{value}",
        ],
    )
    def test_what_is_no_template_is_refused(self, template):
        with pytest.raises(BadTemplate):
            compile_template(template)

    def test_what_is_wrong_is_said_of_the_setting_and_the_rest_is_used(self):
        inputs, problems = compile_inputs({"good": "{body.id}", "bad": "{SECRET}", "sk-live 1": "{"}, {})

        known = "{event_id}, {event_type}, {topic}, {partition}, {offset}, {key}, {header.NAME}, {body.PATH} and {body}"
        assert [str(problem) for problem in problems] == [
            f"Input mapping (JSON): the template of bad knows {known} only.",
            "Input mapping (JSON): template 3 has a brace without its partner.",
        ]
        assert list(inputs.mapping) == ["good"]


class TestQuery:
    @pytest.mark.parametrize(
        ("value", "query"),
        [
            (b'{"query": "why?", "message": "m"}', "why?"),
            (b'{"query": null, "message": "m"}', "m"),
            (b'{"query": 5}', "5"),
            (b'{"query": {"a": 1}}', '{"a":1}'),
            (b'{"message": "m"}', "m"),
            (b'{"a":  1}', '{"a":  1}'),
            (b"plain", "plain"),
            (b'"text"', "text"),
            (b"[1,  2]", "[1,  2]"),
            (b"null", "null"),
            (b"", ""),
            (None, ""),
        ],
    )
    def test_it_is_the_field_else_the_message_else_the_body(self, value, query):
        assert compiled().query(payload(value)) == query

    def test_the_mapping_comes_first(self):
        inputs = compiled({"query": "Order {body.id}?"})

        assert inputs.query(payload(b'{"query": "why?", "id": 7}')) == "Order 7?"
        assert inputs.query(payload(b"[]")) == "Order ?"
        assert compiled({"query": "{body.id}"}).query(payload(b'{"id": 7}')) == "7"


names = st.sampled_from(["id", "topic", "kafka", "message", "headers", "x", "query"]) | st.text(max_size=5)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(names, json_values, max_size=5)
bodies = st.none() | st.binary() | json_values.map(lambda value: json.dumps(value).encode())
kinds = st.sampled_from(["text-input", "paragraph", "select", "number", "checkbox", "json_object", "file", "new"])
forms = st.none() | st.dictionaries(names, kinds, max_size=6).map(Form)
templates = st.lists(
    st.sampled_from(["a", " ", "{", "{body}", "{topic}", "{header.a}", "{body.x.y}", "{key}", "{offset}"]), max_size=4
).map("".join)


@given(bodies, st.none() | st.binary(), forms, st.dictionaries(names, templates, max_size=3), objects)
def test_there_is_always_an_input_and_nothing_but_what_is_declared(value, key, form, mapping, presets):
    inputs, _ = compile_inputs(mapping, presets)
    record = payload(value, key=key, headers=(("a", b"\xff"),))

    got = inputs.of(record, form)

    assert isinstance(inputs.query(record), str)
    if form is not None:
        assert got.keys() <= form.inputs.keys()
        texts = {name for name, kind in form.inputs.items() if kind in {"text-input", "paragraph", "select"}}
        assert {type(got[name]) for name in texts & got.keys()} <= {str, type(None)}
    else:
        assert got.keys() >= {"event_id", "topic", "kafka"}


@given(objects, objects)
def test_the_payload_s_fields_win_over_all_but_the_mapping(fields, presets):
    got = inputs_for(json.dumps(fields).encode(), presets=presets)

    assert {name: got[name] for name in fields} == orjson.loads(json.dumps(fields))
