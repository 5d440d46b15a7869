"""The files in `examples/`, held against what reads them: Dify, Compose, Kubernetes, Kafka Connect, the worker.

None of them is run here. The apps are checked as the importer of Dify 1.13 does (`api/services/app_dsl_service.py`),
and beyond that for what it does not look at.
"""

import json
import re
from importlib import resources

import jsonschema
import kubernetes_validate
import pytest
import yaml

from kafka_bridge.dispatch.form import Form
from kafka_bridge.dispatch.inputs import compile_inputs
from kafka_bridge.dispatch.payload import read
from kafka_bridge.dispatch.pushed import records_of
from kafka_bridge.events.record import Consumed, Record
from kafka_bridge.http import Inbound
from kafka_bridge.standalone.options import parse_options
from kafka_bridge.standalone.orders import parse_order
from kafka_bridge.standalone.variables import VARIABLES, Section
from tests.brokers import REPOSITORY

EXAMPLES = REPOSITORY / "examples"
APPS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((EXAMPLES / "apps").glob("*.yml"))}
MANIFESTS = sorted((EXAMPLES / "kubernetes").glob("*.yaml"))
COMPOSE = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
# The oldest that is still maintained, and the newest that the package knows.
KUBERNETES = ("1.34", "1.37")
TYPES = {"text-input", "paragraph", "number", "select", "json_object"}
REFERENCE = re.compile(r"\{\{#([\w.]+)#\}\}")
ORDER = {"amount": 1200, "country": "DE", "message": "Where is my parcel?"}


def nodes_of(app):
    return {node["id"]: node["data"] for node in app["workflow"]["graph"]["nodes"]}


def edges_of(app):
    return app["workflow"]["graph"]["edges"]


def start_of(app):
    return next(data for data in nodes_of(app).values() if data["type"] == "start")


def node_named(app, title):
    return next(data for data in nodes_of(app).values() if data["title"] == title)


def outputs_of(app, node_id):
    """What a node gives to those after it."""
    data = nodes_of(app)[node_id]
    match data["type"]:
        case "start":
            return {variable["variable"] for variable in data["variables"]}
        case "code":
            return set(data["outputs"])
        case "llm":
            return {"text"}
        case _:
            return set()


def selectors_in(value):
    """Every reference to another node's output, wherever it stands."""
    match value:
        case {"value_selector": list() as selector}:
            yield tuple(selector)
        case {"variable_selector": [_, *_] as selector}:
            yield tuple(selector)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from selectors_in(each)
    if isinstance(value, str):
        yield from (tuple(found.split(".")) for found in REFERENCE.findall(value))


def consumed(value, **headers):
    pairs = tuple((name, text.encode()) for name, text in headers.items())
    return read(Consumed(Record("orders", json.dumps(value).encode(), b"k", pairs), 2, 41))


class TestApps:
    def test_there_is_one_of_each_kind(self):
        assert {name: app["app"]["mode"] for name, app in APPS.items()} == {
            "order-triage": "workflow",
            "text-summary": "workflow",
            "customer-message": "advanced-chat",
        }

    @pytest.mark.parametrize("app", APPS.values(), ids=APPS)
    def test_the_importer_of_dify_takes_it_as_it_is(self, app):
        assert app["kind"] == "app"
        # A number would be refused, another major version would ask back.
        assert app["version"] == "0.6.0"
        assert {"name", "mode", "icon", "icon_type", "icon_background", "description"} <= app["app"].keys()
        assert app["app"]["icon_type"] == "emoji"
        assert app["dependencies"] == []
        workflow = app["workflow"]
        assert workflow["environment_variables"] == workflow["conversation_variables"] == []
        assert workflow["features"]["file_upload"] == {"enabled": False}

    @pytest.mark.parametrize("app", APPS.values(), ids=APPS)
    def test_its_graph_holds_together(self, app):
        nodes, edges = nodes_of(app), edges_of(app)
        assert len(nodes) == len(app["workflow"]["graph"]["nodes"])
        assert [data["type"] for data in nodes.values()].count("start") == 1
        last = "answer" if app["app"]["mode"] == "advanced-chat" else "end"
        assert len({edge["id"] for edge in edges}) == len(edges)
        for edge in edges:
            assert edge["data"]["sourceType"] == nodes[edge["source"]]["type"]
            assert edge["data"]["targetType"] == nodes[edge["target"]]["type"]
        for node_id, data in nodes.items():
            leaving = [edge["sourceHandle"] for edge in edges if edge["source"] == node_id]
            match data["type"]:
                case "if-else":
                    assert sorted(leaving) == sorted([*(case["case_id"] for case in data["cases"]), "false"])
                case "end" | "answer":
                    assert data["type"] == last
                    assert leaving == []
                case _:
                    assert leaving == ["source"]
            assert data["type"] == "start" or any(edge["target"] == node_id for edge in edges)

    @pytest.mark.parametrize("app", APPS.values(), ids=APPS)
    def test_what_a_node_refers_to_is_there(self, app):
        nodes = nodes_of(app)
        found = [selector for data in nodes.values() for selector in selectors_in(data)]
        assert found
        for node_id, *name in found:
            if node_id == "sys":
                assert (name, app["app"]["mode"]) == (["query"], "advanced-chat")
            else:
                assert name[0] in outputs_of(app, node_id)

    @pytest.mark.parametrize("app", APPS.values(), ids=APPS)
    def test_it_declares_inputs_as_the_bridge_passes_them(self, app):
        declared = start_of(app)["variables"]
        form = Form.parse({"user_input_form": [{each["type"]: each} for each in declared]})
        inputs, problems = compile_inputs({}, {})

        given = inputs.of(consumed(ORDER, ce_id="e-1", ce_type="order.paid"), form)

        assert not problems
        assert {each["type"] for each in declared} <= TYPES
        assert {each["variable"] for each in declared if each["required"]} <= given.keys()
        assert given["event_id"] == "e-1"
        for each in declared:
            value = given.get(each["variable"])
            assert value is None or isinstance(value, int | float if each["type"] == "number" else str)
            if each["type"] in {"text-input", "paragraph"} and value:
                assert len(value) <= each["max_length"]

    def test_only_the_summary_needs_a_model_and_says_so(self):
        models = {
            name: [data for data in nodes_of(app).values() if data["type"] == "llm"] for name, app in APPS.items()
        }

        assert {name for name, found in models.items() if found} == {"text-summary"}
        assert "Choose a model" in APPS["text-summary"]["app"]["description"]
        assert models["text-summary"][0]["model"]["provider"] == ""
        assert all("Needs no model" in APPS[name]["app"]["description"] for name in models if not models[name])

    @pytest.mark.parametrize(
        ("event_type", "amount", "country", "decision", "queue"),
        [
            ("order.paid", 12.5, "DE", "accept", ""),
            ("order.paid", 1000, "DE", "review", "large orders"),
            ("order.refunded", 5, "DE", "review", "refunds"),
            ("order.paid", 5, "us", "review", "abroad"),
            (None, None, None, "accept", ""),
            ("", "", "", "accept", ""),
        ],
    )
    def test_the_triage_decides(self, event_type, amount, country, decision, queue):
        app = APPS["order-triage"]
        node = node_named(app, "Triage")
        space = {}
        exec(node["code"], space)

        given = space["main"](event_type, amount, country)

        assert (given["decision"], given["queue"]) == (decision, queue)
        assert given.keys() == node["outputs"].keys()
        assert all(isinstance(value, str) for value in given.values())
        assert list(space["main"].__code__.co_varnames[:3]) == [each["variable"] for each in node["variables"]]
        (case,) = node_named(app, "Has a person to look?")["cases"]
        assert [(one["variable_selector"][1], one["value"]) for one in case["conditions"]] == [("decision", "review")]


class TestCompose:
    def test_it_has_the_form_that_compose_reads(self):
        text = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
        schema = json.loads(text)

        jsonschema.validators.validator_for(schema)(schema).validate(COMPOSE)

    def test_its_workers_are_several_and_their_settings_are_right(self):
        worker = COMPOSE["services"]["worker"]
        values = worker["environment"]

        assert worker["deploy"]["replicas"] > 1
        assert set(values) <= set(VARIABLES)
        options = parse_options(values, lambda _: None)
        assert options.plan.topics == ("orders",)
        assert f":{options.http_port}/health" in " ".join(worker["healthcheck"]["test"])
        assert int(worker["stop_grace_period"].removesuffix("s")) >= 25

    def test_the_topics_of_the_workers_are_made(self):
        script = "".join(COMPOSE["services"]["topics"]["command"])
        plan = parse_options(COMPOSE["services"]["worker"]["environment"], lambda _: None).plan

        for topic in (*plan.topics, plan.result_topic, plan.dead_letters.of("orders")):
            assert re.search(rf"\b{re.escape(topic)}[ ;]", script)

    def test_what_its_image_is_built_of_is_there(self):
        build = COMPOSE["services"]["worker"]["build"]
        context = EXAMPLES / build["context"]
        copied = re.findall(r"^COPY (\S+) ", (context / build["dockerfile"]).read_text(), re.MULTILINE)

        assert copied == ["requirements-worker.txt", "kafka_bridge", "examples/flow.py"]
        assert all((context / name).exists() for name in copied)


def documents():
    for path in MANIFESTS:
        for document in yaml.safe_load_all(path.read_text()):
            yield pytest.param(document, id=f"{path.name} {document['kind']}")


def one_of(kind, name):
    found = [document for param in documents() for document in param.values if document["kind"] == kind]
    return next(document for document in found if name in json.dumps(document["metadata"]))


class TestKubernetes:
    @pytest.mark.parametrize("version", KUBERNETES)
    @pytest.mark.parametrize("document", [*documents()])
    def test_each_has_the_form_that_kubernetes_reads(self, document, version):
        kubernetes_validate.validate(document, version, strict=True)

    def test_the_workers_are_several_and_their_settings_are_right(self):
        values = one_of("ConfigMap", "worker")["data"]
        worker = one_of("StatefulSet", "worker")["spec"]

        assert worker["replicas"] > 1
        assert set(values) <= set(VARIABLES)
        assert not [name for name in values if VARIABLES[name].secret]
        options = parse_options({**values, "GROUP_INSTANCE_ID": "kafka-bridge-worker-0"}, lambda _: None)
        (container,) = worker["template"]["spec"]["containers"]
        assert [port["containerPort"] for port in container["ports"]] == [options.http_port]
        assert options.http_host == "0.0.0.0"
        assert container["readinessProbe"]["httpGet"]["path"] == "/health"
        assert "livenessProbe" not in container
        assert worker["template"]["spec"]["terminationGracePeriodSeconds"] >= 25

    def test_names_that_refer_to_something_do(self):
        named = {(param.values[0]["kind"], param.values[0]["metadata"].get("name")) for param in documents()}

        assert ("ConfigMap", "kafka-bridge-worker") in named
        for name in ("kafka", "kafka-bridge-worker"):
            stateful = one_of("StatefulSet", name)["spec"]
            assert ("Service", stateful["serviceName"]) in named
            assert stateful["selector"]["matchLabels"] == stateful["template"]["metadata"]["labels"]
        assert one_of("ConfigMap", "worker")["data"]["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"

    def test_the_job_that_sends_dead_letters_back_asks_for_something_that_there_is(self):
        (container,) = one_of("Job", "redrive")["spec"]["template"]["spec"]["containers"]
        values = {each["name"]: each["value"] for each in container["env"]}

        assert container["args"] == ["redrive"]
        assert {VARIABLES[name].section for name in values} == {Section.REDRIVE}
        assert not parse_order(values).dry_run


# Of Aiven's HTTP sink connector: docs/sink-connector-config-options.rst in Aiven-Open/http-connector-for-apache-kafka.
OPTIONS = {
    *("http.url", "http.authorization.type", "http.headers.authorization", "http.headers.content.type"),
    *("http.headers.additional", "http.timeout", "batching.enabled", "batch.max.size", "batch.prefix"),
    *("batch.suffix", "batch.separator", "kafka.retry.backoff.ms", "max.retries", "retry.backoff.ms"),
}
OF_EVERY_SINK = {"connector.class", "tasks.max", "topics", "key.converter", "value.converter"}


class TestConnect:
    config = json.loads((EXAMPLES / "kafka-connect-http-sink.json").read_text())["config"]

    def test_its_options_are_those_of_the_connector(self):
        assert self.config.keys() <= OPTIONS | OF_EVERY_SINK
        assert self.config.keys() >= OF_EVERY_SINK
        assert self.config["connector.class"] == "io.aiven.kafka.connect.http.HttpSinkConnector"
        assert all(isinstance(value, str) for value in self.config.values())

    def test_a_batch_as_it_sends_it_is_as_many_records(self):
        values = ['{"amount": 5}', '{"amount": 7}', '"text"']
        body = self.config["batch.prefix"] + self.config["batch.separator"].join(values) + self.config["batch.suffix"]
        headers = {"content-type": self.config["http.headers.content.type"]}

        records, many = records_of(Inbound("POST", "/dispatch", headers=headers, body=body.encode()))

        assert many
        assert [each.record.value for each in records] == [b'{"amount":5}', b'{"amount":7}', b'"text"']

    def test_it_waits_as_long_as_a_run_may_take(self):
        assert int(self.config["http.timeout"]) > 240
        assert self.config["http.headers.authorization"].startswith("Bearer ")
        assert self.config["http.url"].endswith("/dispatch")
