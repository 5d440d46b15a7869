"""What is written of the worker, held against it."""

import json
import re

import pytest
from dotenv import dotenv_values

from kafka_bridge.flows import load_function
from kafka_bridge.settings import endpoint
from kafka_bridge.settings.table import SETTINGS
from kafka_bridge.standalone.options import Wrong, parse_options
from kafka_bridge.standalone.variables import VARIABLES
from tests.brokers import REPOSITORY

PAGE = (REPOSITORY / "docs" / "worker.md").read_text()
SAMPLE = REPOSITORY / "examples" / "worker.env"


def test_the_table_has_every_variable_with_its_flag_and_default():
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.*?) \| (.*?) \|", PAGE, re.MULTILINE)

    assert [(name, flag.strip("`"), default.strip("` ")) for name, flag, default in rows] == [
        (name, row.flag or "none: a secret", row.shown_default)
        for section in dict.fromkeys(row.section for row in VARIABLES.values())
        for name, row in VARIABLES.items()
        if row.section is section
    ]


def test_the_sample_needs_a_key_and_nothing_else():
    values = {name: value or "" for name, value in dotenv_values(SAMPLE).items()}

    assert parse_options({**values, "DIFY_API_KEY": "app-1"}, lambda _: None).plan.topics == ("orders",)


def test_what_the_sample_has_commented_out_is_right_too():
    text = re.sub(r"^#([A-Z_]+=)", r"\1", SAMPLE.read_text(), flags=re.MULTILINE)
    values = dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[A-Z]", line))

    assert set(values) <= set(VARIABLES)
    with pytest.raises(Wrong) as raised:
        parse_options(values, lambda _: None)
    assert [text.split()[0] for text in raised.value.problems] == ["KAFKA_SSL_CA_PEM"], "there is no such file here"


@pytest.mark.parametrize("function", ["answer", "greet"])
def test_the_sample_flows_can_be_loaded(function):
    assert load_function(f"{REPOSITORY}/examples/flow.py:{function}")[0] == function


def test_the_sample_of_consuming_lacks_only_what_the_local_host_adds():
    saved = json.loads((REPOSITORY / "examples" / "consume.json").read_text())
    settings = endpoint.parse({**saved, "bootstrap_servers": "localhost:9092", "app": {"app_id": "answer"}})

    assert set(saved) <= set(SETTINGS)
    assert settings.problems == ()
    assert settings.consume.topics == ("orders",)
