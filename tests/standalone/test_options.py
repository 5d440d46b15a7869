"""What variables say, and what is wrong with them: all of it at once, in the operator's words."""

import pytest

from kafka_bridge.dispatch.task import Ordering
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.table import SETTINGS
from kafka_bridge.standalone.options import Wrong, hidden_texts, parse_connection, parse_options
from kafka_bridge.standalone.variables import VARIABLES, in_our_words, named
from tests.dispatch.words import state_of

KAFKA = {"KAFKA_BOOTSTRAP_SERVERS": "a:9092"}
ENOUGH = {**KAFKA, "KAFKA_TOPIC": "orders"}
PEM = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
KEY = PEM.replace("CERTIFICATE", "PRIVATE KEY")


def no_files(_path):
    return None


def parse(values, files=None):
    return parse_options({**ENOUGH, **values}, (files or {}).get)


def problems(values, files=None):
    with pytest.raises(Wrong) as raised:
        parse_options(values, (files or {}).get)
    return list(raised.value.problems)


def test_the_variables_are_those_of_the_contract():
    assert set(VARIABLES) == {
        *("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC", "KAFKA_GROUP_ID", "KAFKA_SECURITY_PROTOCOL"),
        *("KAFKA_SASL_MECHANISM", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"),
        *("KAFKA_SASL_OAUTH_TOKEN_URL", "KAFKA_SASL_OAUTH_SCOPE"),
        *("KAFKA_SSL_CA_PEM", "KAFKA_SSL_CERTIFICATE_PEM", "KAFKA_SSL_KEY_PEM", "KAFKA_SSL_KEY_PASSWORD"),
        *("KAFKA_CLIENT_CONFIG", "AUTO_OFFSET_RESET", "ORDERING", "MAX_CONCURRENT_REQUESTS", "MAX_ATTEMPTS"),
        *("MAX_AGE_SECONDS", "DEAD_LETTER_TOPIC", "RESULT_TOPIC", "INPUT_MAPPING", "DIFY_API_URL", "DIFY_API_KEY"),
        *("FLOW", "RUN_TIMEOUT_SECONDS", "GROUP_INSTANCE_ID", "HTTP_PORT", "HTTP_HOST", "LOG_FORMAT"),
        *("REDRIVE_TO", "REDRIVE_DRY_RUN", "REDRIVE_COUNT", "REDRIVE_FILTER", "REDRIVE_RECORD", "REDRIVE_AGAIN"),
    }


def test_a_secret_has_no_flag_and_everything_else_has_one():
    assert {name for name, row in VARIABLES.items() if not row.flag} == {
        name for name, row in VARIABLES.items() if row.secret
    }
    assert len({row.flag for row in VARIABLES.values() if row.flag}) == sum(
        bool(row.flag) for row in VARIABLES.values()
    )


def test_every_setting_of_the_form_that_is_a_secret_is_one_here():
    of_form = {row.setting for row in VARIABLES.values() if row.setting and row.secret}

    assert of_form == {row.setting for row in VARIABLES.values() if "SECRET" in getattr(_kind(row), "name", "")}


def _kind(row):
    return SETTINGS[row.setting].kind if row.setting else None


def test_what_is_not_said_is_as_in_the_form():
    options = parse({})

    assert (options.plan.group_id, options.plan.start, options.plan.topics) == ("kafka-bridge", "latest", ("orders",))
    assert (options.plan.policy.concurrency, options.plan.policy.max_attempts) == (4, 3)
    assert (options.plan.policy.ordering, options.plan.policy.max_age_s) == (Ordering.KEY, None)
    assert options.plan.dead_letters.of("orders") == "orders.dead-letter"
    assert (options.plan.result_topic, options.plan.policy.results) == ("", False)
    assert (options.api_url, options.api_key, options.flow) == ("https://api.dify.ai/v1", None, "")
    assert (options.run_timeout_s, options.http_port, options.http_host) == (250, None, "127.0.0.1")
    assert (options.log_format, options.member) == ("auto", "")
    assert (options.cluster.protocol, options.cluster.servers) == ("PLAINTEXT", ("a:9092",))


def test_everything_that_is_said_counts():
    options = parse(
        {
            "KAFKA_TOPIC": " orders , refunds ",
            "KAFKA_GROUP_ID": "g",
            "AUTO_OFFSET_RESET": "earliest",
            "ORDERING": "partition",
            "MAX_CONCURRENT_REQUESTS": "32",
            "MAX_ATTEMPTS": "5",
            "MAX_AGE_SECONDS": "60",
            "DEAD_LETTER_TOPIC": "dead",
            "RESULT_TOPIC": "results",
            "INPUT_MAPPING": '{"order": "{body.id}"}',
            "DIFY_API_URL": " https://dify.example.com/v1 ",
            "DIFY_API_KEY": "app-1",
            "RUN_TIMEOUT_SECONDS": "7",
            "GROUP_INSTANCE_ID": "worker-0",
            "HTTP_PORT": "0",
            "HTTP_HOST": "0.0.0.0",
            "LOG_FORMAT": "json",
        }
    )

    assert (options.plan.topics, options.plan.start) == (("orders", "refunds"), "earliest")
    assert (options.plan.policy.concurrency, options.plan.policy.max_age_s) == (32, 60)
    assert (options.plan.dead_letters.of("orders"), options.plan.result_topic) == ("dead", "results")
    assert list(options.plan.inputs.mapping) == ["order"]
    assert (options.api_url, options.api_key) == ("https://dify.example.com/v1", Secret("app-1"))
    assert (options.run_timeout_s, options.member, options.http_port) == (7, "worker-0", 0)
    assert (options.http_host, options.log_format) == ("0.0.0.0", "json")


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_an_empty_variable_says_nothing(name):
    if name in ENOUGH:
        assert problems({**ENOUGH, name: " "}) == [f"{named(name)}: missing."]
    else:
        assert state_of(parse({name: " "})) == state_of(parse({}))


def test_the_rules_of_the_connection_are_those_of_the_form():
    credentials = {"KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": " p "}

    cluster = parse(credentials).cluster

    assert (cluster.protocol, cluster.mechanism, cluster.password) == ("SASL_SSL", "PLAIN", Secret(" p "))
    assert parse({"KAFKA_SSL_CA_PEM": PEM}).cluster.protocol == "SSL"


def test_all_that_is_wrong_is_said_at_once_by_the_name_of_its_variable():
    found = problems(
        {
            "ORDERING": "alphabet",
            "MAX_ATTEMPTS": "0",
            "KAFKA_SASL_USERNAME": "u",
            "RESULT_TOPIC": "no/topic",
            "RUN_TIMEOUT_SECONDS": "soon",
            "HTTP_PORT": "70000",
            "LOG_FORMAT": "xml",
        }
    )

    assert [text.partition(":")[0] for text in found] == [
        "KAFKA_BOOTSTRAP_SERVERS (--bootstrap-servers)",
        "KAFKA_SASL_PASSWORD",
        "ORDERING (--ordering)",
        "MAX_ATTEMPTS (--max-attempts)",
        "RESULT_TOPIC (--result-topic)",
        "KAFKA_TOPIC (--topic)",
        "RUN_TIMEOUT_SECONDS (--run-timeout-seconds)",
        "HTTP_PORT (--http-port)",
        "LOG_FORMAT (--log-format)",
    ]


@pytest.mark.parametrize("row", [row for row in VARIABLES.values() if row.setting], ids=lambda row: row.setting)
def test_a_label_of_the_form_becomes_the_variable(row):
    (name,) = [name for name, other in VARIABLES.items() if other is row]
    label = SETTINGS[row.setting].label

    assert in_our_words(f"{label}: missing.") == f"{named(name)}: missing."
    assert in_our_words(f"Another: not that of “{label}”.") == f"Another: not that of {name}."


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"KAFKA_CLIENT_CONFIG": '{"acks": 0}'}, "KAFKA_CLIENT_CONFIG"),
        ({"KAFKA_CLIENT_CONFIG": '{"message.max.bytes": 1}'}, "message.max.bytes must be"),
        ({"KAFKA_CLIENT_CONFIG": "no json"}, "is not valid JSON"),
        ({"INPUT_MAPPING": '{"a": "{nonsense}"}'}, "INPUT_MAPPING (--input-mapping): the template of a"),
        ({"DEAD_LETTER_TOPIC": "{topic}"}, "DEAD_LETTER_TOPIC (--dead-letter-topic): is a topic that is consumed"),
        ({"RESULT_TOPIC": "orders"}, "RESULT_TOPIC (--result-topic): is a topic that is consumed"),
        ({"KAFKA_TOPIC": "a/b"}, "KAFKA_TOPIC (--topic): has a name that is not legal"),
        ({"KAFKA_SSL_CERTIFICATE_PEM": PEM}, "KAFKA_SSL_KEY_PEM: missing"),
        ({"MAX_CONCURRENT_REQUESTS": "many"}, "must be a whole number from 1 to 1000"),
        ({"RUN_TIMEOUT_SECONDS": "0"}, "must be a whole number from 1 to 86400"),
        ({"RUN_TIMEOUT_SECONDS": "9" * 5000}, "must be a whole number from 1 to 86400"),
        ({"HTTP_PORT": "-1"}, "must be a whole number from 0 to 65535"),
    ],
)
def test_what_is_wrong_is_named(values, said):
    assert said in " ".join(problems({**ENOUGH, **values}))


@pytest.mark.parametrize("name", ["KAFKA_SSL_CA_PEM", "KAFKA_SSL_CERTIFICATE_PEM", "KAFKA_SSL_KEY_PEM"])
def test_pem_may_be_a_text_or_the_path_of_a_file(name):
    pair = {"KAFKA_SSL_CERTIFICATE_PEM": PEM, "KAFKA_SSL_KEY_PEM": KEY}
    text = KEY if "KEY" in name else PEM

    as_text = parse({**pair, name: text}).cluster
    as_file = parse({**pair, name: " /etc/tls/it.pem\n"}, {"/etc/tls/it.pem": text}).cluster

    assert as_file == as_text
    found = problems({**ENOUGH, **pair, name: "/etc/tls/absent.pem"})
    assert f"{named(name)}: is neither PEM (-----BEGIN …) nor the path of a file that can be read." in found
    assert "absent" not in " ".join(found), "what looks like a path may be a secret"


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_no_value_is_ever_quoted(name):
    pasted = "hunter2-NEVERSHOWN"
    shown = ""
    try:
        options = parse_options({**ENOUGH, name: pasted}, no_files)
        shown = repr(options) if VARIABLES[name].secret else ""
    except Wrong as error:
        shown = str(error)

    assert "NEVERSHOWN" not in shown


def test_log_lines_are_searched_for_passwords_and_keys():
    values = {"KAFKA_SASL_PASSWORD": "pass-word", "DIFY_API_KEY": " app-key\n", "KAFKA_SSL_KEY_PASSWORD": "abc"}

    assert set(hidden_texts({**ENOUGH, **values})) == {"pass-word", "app-key"}, "a short one is in every other word"


def test_a_producer_needs_the_connection_only():
    assert parse_connection({**KAFKA, "KAFKA_TOPIC": "a/b", "HTTP_PORT": "x"}, no_files).servers == ("a:9092",)
    with pytest.raises(Wrong, match="KAFKA_BOOTSTRAP_SERVERS"):
        parse_connection({"KAFKA_TOPIC": "orders"}, no_files)
