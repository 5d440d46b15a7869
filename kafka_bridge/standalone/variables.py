"""The variables of the worker: names, flags, what they mean. Pure.

Most are settings of an endpoint under another name, and are parsed by the same code.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from kafka_bridge.settings.table import SETTINGS

LOG_FORMATS: Final = ("auto", "text", "json")
REDRIVE_TO: Final = ("topic", "flow")


class Section(StrEnum):
    """Where the help lists a variable."""

    KAFKA = "Kafka"
    CONSUMING = "Consuming"
    RUN = "What is run for each record"
    OPERATING = "Operating"
    REDRIVE = "Sending dead letters back (redrive)"


# What the worker itself heeds; the rest is for one of its commands.
OF_THE_WORKER: Final = (Section.KAFKA, Section.CONSUMING, Section.RUN, Section.OPERATING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One of them. `setting` is its name among an endpoint's settings.

    A `secret` has no flag: what stands on a command line is seen by everybody on the machine. `pem`: the value may be
    the path of a file that holds it. `switch`: true or false, and its flag takes no value.
    """

    section: Section
    help: str
    setting: str = ""
    metavar: str = "TEXT"
    secret: bool = False
    pem: bool = False
    switch: bool = False
    default: str = ""
    options: tuple[str, ...] = ()
    flag: str = ""

    @property
    def shown_default(self) -> str:
        """What the help says is taken without it."""
        return self.default or (SETTINGS[self.setting].default if self.setting else "")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have; empty where there is no such list."""
        return self.options or (SETTINGS[self.setting].options if self.setting else ())


def _kafka(setting: str, text: str, flag: str = "", **more: str) -> Variable:
    return Variable(section=Section.KAFKA, setting=setting, help=text, flag=flag, **more)  # type: ignore[arg-type]


def _consuming(setting: str, text: str, flag: str, metavar: str = "TEXT") -> Variable:
    return Variable(section=Section.CONSUMING, setting=setting, help=text, flag=flag, metavar=metavar)


VARIABLES: Final[Mapping[str, Variable]] = MappingProxyType(
    {
        "KAFKA_BOOTSTRAP_SERVERS": _kafka(
            "bootstrap_servers",
            "Brokers to begin with, separated by commas.",
            "--bootstrap-servers",
            metavar="HOST:PORT,…",
        ),
        "KAFKA_SECURITY_PROTOCOL": _kafka(
            "security_protocol",
            "With auto: SASL_SSL where there are a user name and a password, SSL where certificates, else PLAINTEXT.",
            "--security-protocol",
        ),
        "KAFKA_SASL_MECHANISM": _kafka("sasl_mechanism", "How the user name is proved.", "--sasl-mechanism"),
        "KAFKA_SASL_USERNAME": _kafka("sasl_username", "User name; for OAUTHBEARER the client id.", "--sasl-username"),
        "KAFKA_SASL_PASSWORD": Variable(
            section=Section.KAFKA,
            setting="sasl_password",
            help="Password; for OAUTHBEARER the client secret.",
            secret=True,
        ),
        "KAFKA_SASL_OAUTH_TOKEN_URL": _kafka(
            "oauth_token_url", "Where OAUTHBEARER fetches its tokens.", "--sasl-oauth-token-url", metavar="URL"
        ),
        "KAFKA_SASL_OAUTH_SCOPE": _kafka("oauth_scope", "Scope of those tokens.", "--sasl-oauth-scope"),
        "KAFKA_SSL_CA_PEM": Variable(
            section=Section.KAFKA,
            setting="ssl_ca_pem",
            help="Certificates of the authorities to trust; the system's without it.",
            flag="--ssl-ca-pem",
            metavar="PEM|FILE",
            pem=True,
        ),
        "KAFKA_SSL_CERTIFICATE_PEM": Variable(
            section=Section.KAFKA,
            setting="ssl_certificate_pem",
            help="Certificate of this client.",
            flag="--ssl-certificate-pem",
            metavar="PEM|FILE",
            pem=True,
        ),
        "KAFKA_SSL_KEY_PEM": Variable(
            section=Section.KAFKA,
            setting="ssl_key_pem",
            help="Its private key.",
            metavar="PEM|FILE",
            secret=True,
            pem=True,
        ),
        "KAFKA_SSL_KEY_PASSWORD": Variable(
            section=Section.KAFKA, setting="ssl_key_password", help="Password of an encrypted key.", secret=True
        ),
        "KAFKA_CLIENT_CONFIG": _kafka(
            "client_config",
            'More properties of the client library, as JSON: {"session.timeout.ms": 45000}.',
            "--client-config",
            metavar="JSON",
        ),
        "KAFKA_TOPIC": _consuming("consume_topics", "Topics to consume, separated by commas.", "--topic", "NAME,…"),
        "KAFKA_GROUP_ID": _consuming(
            "group_id", "Consumer group. Workers of one group share the partitions.", "--group-id"
        ),
        "GROUP_INSTANCE_ID": Variable(
            section=Section.CONSUMING,
            help="Static membership: a name that no other worker of the group has. A restart within the session's"
            " timeout then moves no partition.",
            flag="--group-instance-id",
        ),
        "AUTO_OFFSET_RESET": _consuming(
            "offset_reset", "Where a group begins that has committed nothing.", "--auto-offset-reset"
        ),
        "ORDERING": _consuming("ordering", "Records that wait for one another: those with the same one.", "--ordering"),
        "MAX_CONCURRENT_REQUESTS": _consuming("concurrency", "Runs at once.", "--max-concurrent-requests", "NUMBER"),
        "MAX_ATTEMPTS": _consuming(
            "max_attempts", "Runs of a record that fails, before it is dead-lettered.", "--max-attempts", "NUMBER"
        ),
        "MAX_AGE_SECONDS": _consuming(
            "max_age_seconds",
            "Dead-letter what is older than this instead of running it; without it nothing is too old.",
            "--max-age-seconds",
            "NUMBER",
        ),
        "DEAD_LETTER_TOPIC": _consuming(
            "dead_letter_topic",
            "Where records go that cannot be done. {topic} is the one that they came from.",
            "--dead-letter-topic",
            "NAME",
        ),
        "RESULT_TOPIC": _consuming(
            "result_topic", "Where the outputs of runs go; nowhere without it.", "--result-topic", "NAME"
        ),
        "INPUT_MAPPING": _consuming(
            "input_mapping",
            'Inputs made of what is in a record, as JSON: {"order": "{body.order.id}"}.',
            "--input-mapping",
            "JSON",
        ),
        "DIFY_API_URL": Variable(
            section=Section.RUN,
            help="Address of Dify's API.",
            flag="--dify-api-url",
            metavar="URL",
            default="https://api.dify.ai/v1",
        ),
        "DIFY_API_KEY": Variable(
            section=Section.RUN, help="Key of the app (workflow or chatflow), as its API page shows it.", secret=True
        ),
        "FLOW": Variable(
            section=Section.RUN,
            help="A local Python function instead of an app of Dify's; it wins over DIFY_API_KEY.",
            flag="--flow",
            metavar="PATH.py:FUNCTION",
        ),
        "RUN_TIMEOUT_SECONDS": Variable(
            section=Section.RUN,
            help="How long one run is waited for; after that it counts as failed, whatever becomes of it.",
            flag="--run-timeout-seconds",
            metavar="NUMBER",
            default="250",
        ),
        "HTTP_PORT": Variable(
            section=Section.OPERATING,
            help="Serve /health and /metrics on this port; 0 takes any free one. Nothing is served without it.",
            flag="--http-port",
            metavar="NUMBER",
        ),
        "HTTP_HOST": Variable(
            section=Section.OPERATING,
            help="Address to serve them on; 0.0.0.0 for all.",
            flag="--http-host",
            metavar="ADDRESS",
            default="127.0.0.1",
        ),
        "LOG_FORMAT": Variable(
            section=Section.OPERATING,
            help="With auto: text and a progress line on a terminal, one JSON object per line elsewhere.",
            flag="--log-format",
            options=LOG_FORMATS,
            default=LOG_FORMATS[0],
        ),
        "REDRIVE_TO": Variable(
            section=Section.REDRIVE,
            help="Where dead letters go: to the topic that they came from, or straight to what is run for each record.",
            flag="--to",
            options=REDRIVE_TO,
            default=REDRIVE_TO[0],
        ),
        "REDRIVE_DRY_RUN": Variable(
            section=Section.REDRIVE,
            help="Only say what would be sent, and how many that are.",
            flag="--dry-run",
            switch=True,
        ),
        "REDRIVE_COUNT": Variable(
            section=Section.REDRIVE,
            help="Send so many at the most, of each partition the oldest first; all without it.",
            flag="--count",
            metavar="NUMBER",
        ),
        "REDRIVE_FILTER": Variable(
            section=Section.REDRIVE,
            help=(
                "Only those that fit: by topic, event_id, key, reason (a part of it), group, since, until. Several as"
                ' JSON: {"topic": "orders", "since": "2026-01-31T12:00:00Z"}.'
            ),
            flag="--filter",
            metavar="NAME=VALUE|JSON",
        ),
        "REDRIVE_RECORD": Variable(
            section=Section.REDRIVE,
            help="This one alone, by its place in the dead-letter topic.",
            flag="--record",
            metavar="TOPIC/PARTITION/OFFSET",
        ),
        "REDRIVE_AGAIN": Variable(
            section=Section.REDRIVE,
            help="Send that one also where it was sent back before.",
            flag="--again",
            switch=True,
        ),
    }
)


def named(variable: str) -> str:
    """What an operator calls it: the variable, and its flag where it has one."""
    flag = VARIABLES[variable].flag
    return f"{variable} ({flag})" if flag else variable


def in_our_words(sentence: str) -> str:
    """A sentence about an endpoint's settings, with the variables in the place of the platform's labels."""
    for variable, row in VARIABLES.items():
        if not row.setting:
            continue
        label = SETTINGS[row.setting].label
        if sentence.startswith(f"{label}:"):
            sentence = f"{named(variable)}{sentence.removeprefix(label)}"
        sentence = sentence.replace(f"“{label}”", variable)
    return sentence
