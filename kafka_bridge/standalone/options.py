"""From variables to what the worker does, with all that is wrong at once. Pure: files are read by whoever calls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kafka_bridge.broker import config
from kafka_bridge.dispatch.plan import Plan, compile_plan
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.settings import endpoint
from kafka_bridge.settings.cluster import Cluster
from kafka_bridge.settings.reader import Problem
from kafka_bridge.settings.secret import Secret
from kafka_bridge.settings.table import Part
from kafka_bridge.standalone.variables import LOG_FORMATS, VARIABLES, Section, in_our_words, named

MAX_RUN_S: Final = 24 * 3600
MAX_PORT: Final = 65535
# The shortest secret that log lines are searched for: a shorter one would blot out half of them.
MIN_HIDDEN: Final = 4
_BEGIN: Final = "-----BEGIN "
# Longer than any path: what is pasted without its first line.
_MAX_PATH: Final = 1024

type ReadFile = Callable[[str], str | None]
"""The text of a file, or None when there is no such file, or none that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All that the worker was told. `flow` wins over `api_key`; without `http_port` nothing is served."""

    cluster: Cluster
    plan: Plan
    member: str
    flow: str
    api_url: str
    api_key: Secret | None
    run_timeout_s: float
    http_port: int | None
    http_host: str
    log_format: str


class Wrong(SettingsInvalid):
    """What is wrong with variables, by their names."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(map(in_our_words, problems))


def parse_connection(values: Mapping[str, str], read_file: ReadFile) -> Cluster:
    """Where Kafka is. Raises Wrong."""
    of_kafka = {name: value for name, value in values.items() if VARIABLES[name].section is Section.KAFKA}
    given, problems = _with_files(of_kafka, read_file)
    cluster, found = _cluster(endpoint.parse(_saved(given)))
    if cluster is None or problems or found:
        raise Wrong([*problems, *found])
    return cluster


def parse_options(values: Mapping[str, str], read_file: ReadFile) -> Options:
    """What variables say; an empty one says nothing. Raises Wrong."""
    given, problems = _with_files(values, read_file)
    settings = endpoint.parse(_saved(given))
    cluster, found = _cluster(settings)
    plan, wrong = compile_plan(settings.consume, name=settings.consume.group_id)
    problems += [*found, *map(str, wrong)]
    if not settings.consume.topics:
        problems.append(str(Problem("consume_topics", "missing")))
    timeout_s = _number(given, "RUN_TIMEOUT_SECONDS", 1, MAX_RUN_S, problems)
    port = _number(given, "HTTP_PORT", 0, MAX_PORT, problems)
    log_format = parse_log_format(given)
    if log_format is None:
        problems.append(f"{named('LOG_FORMAT')}: must be one of {', '.join(LOG_FORMATS)}.")
    if problems or cluster is None or plan is None or timeout_s is None or log_format is None:
        raise Wrong(problems)
    key = given.get("DIFY_API_KEY")
    return Options(
        cluster=cluster,
        plan=plan,
        member=given.get("GROUP_INSTANCE_ID", ""),
        flow=given.get("FLOW", ""),
        api_url=_text(given, "DIFY_API_URL"),
        api_key=Secret(key) if key else None,
        run_timeout_s=timeout_s,
        http_port=port,
        http_host=_text(given, "HTTP_HOST"),
        log_format=log_format,
    )


def parse_log_format(values: Mapping[str, str]) -> str | None:
    """How log lines are written; None when that is wrong."""
    chosen = _text(values, "LOG_FORMAT")
    return chosen if chosen in LOG_FORMATS else None


def hidden_texts(values: Mapping[str, str]) -> Sequence[str]:
    """The secrets, which no log line may hold."""
    secrets = (values.get(name, "") for name, row in VARIABLES.items() if row.secret and not row.pem)
    return tuple({text for secret in secrets if len(text := secret.strip()) >= MIN_HIDDEN})


def _text(values: Mapping[str, str], name: str) -> str:
    return values.get(name, "").strip() or VARIABLES[name].default


def _saved(values: Mapping[str, str]) -> Mapping[str, object]:
    """As the platform would have saved it."""
    return {row.setting: values[name] for name, row in VARIABLES.items() if row.setting and name in values}


def _with_files(values: Mapping[str, str], read_file: ReadFile) -> tuple[Mapping[str, str], list[str]]:
    """The values that are there, with files in the place of their paths; and the paths that lead nowhere."""
    given, problems = dict[str, str](), list[str]()
    for name, value in values.items():
        if not value.strip():
            continue
        # A password is taken as it is, everything else without the white space around it.
        given[name] = value if VARIABLES[name].secret else value.strip()
        if VARIABLES[name].pem and _BEGIN not in value and len(value) <= _MAX_PATH:
            content = read_file(value.strip())
            if content is not None:
                given[name] = content
            else:
                del given[name]
                problems.append(
                    f"{named(name)}: is neither PEM (-----BEGIN …) nor the path of a file that can be read."
                )
    return given, problems


def _cluster(settings: endpoint.EndpointSettings) -> tuple[Cluster | None, list[str]]:
    # The others are about webhooks, of which nothing was said here.
    found = [str(problem) for problem in settings.problems if problem.part in {Part.KAFKA, Part.CONSUME}]
    if settings.cluster is not None:
        found += map(str, config.problems(settings.cluster))
    return settings.cluster, found


def _number(values: Mapping[str, str], name: str, low: int, high: int, problems: list[str]) -> int | None:
    text = _text(values, name)
    if not text:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(high)) else -1
    if not low <= number <= high:
        problems.append(f"{named(name)}: must be a whole number from {low} to {high}.")
        return None
    return number
