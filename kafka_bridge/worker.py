"""`python -m kafka_bridge.worker`: the dispatcher outside Dify, on native threads; and its composition.

It joins a consumer group like any other member, so Kafka itself spreads the partitions over as many of them as there
are. What is run is an app of Dify's, through its HTTP API, or a local function.
"""

import logging
import os
import random
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, Final, NoReturn

import click
from rich.console import Console

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.consumer import KafkaConsumer
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.dispatch.worker import Dispatcher
from kafka_bridge.dispatch.writer import GROUPS
from kafka_bridge.errors import SettingsInvalid
from kafka_bridge.events.record import Delivery, Headers, is_topic_name
from kafka_bridge.standalone.apps import App, open_app, runner_of
from kafka_bridge.standalone.flags import SectionedCommand, SectionedGroup, flags, load_env_file, told, values_of
from kafka_bridge.standalone.http import MetricsApp, MetricsServer
from kafka_bridge.standalone.life import Ended, Life
from kafka_bridge.standalone.logs import Logs
from kafka_bridge.standalone.look import Watch
from kafka_bridge.standalone.metrics import WorkerMetrics, registry_of
from kafka_bridge.standalone.options import Options, Wrong, hidden_texts, parse_connection, parse_options
from kafka_bridge.standalone.produce import Order, produce
from kafka_bridge.standalone.progress import Progress, line_writer
from kafka_bridge.standalone.publishing import Publishing
from kafka_bridge.standalone.redrive import redrive_command
from kafka_bridge.standalone.signals import Signals
from kafka_bridge.standalone.system import read_file, system_clock
from kafka_bridge.standalone.tally import Tally
from kafka_bridge.standalone.variables import OF_THE_WORKER, VARIABLES, Section

# Not `__name__`, which is `__main__` here.
logger = logging.getLogger("kafka_bridge.worker")

# After the worker has left its group: somebody's own thread, or exit handler, gets so long.
EXIT_S: Final = 5.0


class _AtOnce(SystemExit):
    """The process must end now: threads of runs that do not come back would keep the interpreter, or crash it."""


def run(values: Mapping[str, str]) -> Ended:
    """Consume until a signal comes. Raises SettingsInvalid."""
    options, app = _options_and_app(values)
    plan, clock, ca_file = options.plan, system_clock(), default_ca_file()
    loop = ThreadLoop(plan.policy.concurrency + GROUPS)
    publishing = Publishing(options.cluster, ca_file=ca_file, loop=loop, clock=clock)
    properties = config.consumer_properties(
        options.cluster, ca_file=ca_file, group_id=plan.group_id, member=options.member
    )
    # What the library refuses now it would refuse for ever.
    KafkaConsumer(properties).close()
    publishing.check()
    tally = Tally(max_attempts=plan.policy.max_attempts, monotonic=clock.monotonic)
    dispatcher = Dispatcher(
        plan,
        make_consumer=lambda: KafkaConsumer(properties),
        send=publishing.send,
        listener=tally,
        loop=loop,
        clock=clock,
        random=random.random,
    )
    watch = Watch(dispatcher, tally)
    with ExitStack() as stack:
        shown = _show(options, values, watch, stack)
        if options.http_port is not None:
            _serve(options.http_host, options.http_port, watch, stack)
        logger.info(
            "consuming %s as %s, running %s, %d at once",
            ", ".join(plan.topics),
            plan.group_id,
            app.name,
            plan.policy.concurrency,
        )
        if options.flow and options.api_key is not None:
            logger.info("DIFY_API_KEY is not used: FLOW wins")
        signals = Signals()
        stack.callback(signals.close)
        runner = runner_of(app, plan.inputs, timeout_s=options.run_timeout_s)
        ended = Life(dispatcher, runner, watch, signals).live(report=not shown)
        if not ended.hung:
            app.close()
            publishing.close()
        return ended


def _options_and_app(values: Mapping[str, str]) -> tuple[Options, App]:
    """Both, or all that is wrong with either."""
    problems = list[str]()
    options = app = None
    try:
        options = parse_options(values, read_file)
    except Wrong as error:
        problems += error.problems
    try:
        url = values.get("DIFY_API_URL", "").strip() or VARIABLES["DIFY_API_URL"].default
        app = open_app(flow=values.get("FLOW", ""), api_url=url, api_key=values.get("DIFY_API_KEY", ""))
    except SettingsInvalid as error:
        problems += error.problems
    if options is None or app is None:
        raise Wrong(problems)
    return options, app


def _show(options: Options, values: Mapping[str, str], watch: Watch, stack: ExitStack) -> bool:
    """Log to stderr, with a progress line where that is a terminal; whether there is one."""
    terminal = sys.stderr.isatty()
    as_json = options.log_format == "json" or (options.log_format == "auto" and not terminal)
    if as_json or not terminal:
        logs = Logs(as_json=as_json, secrets=hidden_texts(values))
        progress = None
    else:
        console = Console(stderr=True)
        logs = Logs(as_json=False, secrets=hidden_texts(values), write=line_writer(console))
        progress = Progress(watch.look, console)
    logs.start()
    stack.callback(logs.end)
    if progress is not None:
        progress.start()
        stack.callback(progress.end)
    return progress is not None


def _serve(host: str, port: int, watch: Watch, stack: ExitStack) -> None:
    registry = registry_of(WorkerMetrics(watch.look, watch.tally))
    try:
        server = MetricsServer(MetricsApp(watch.look, registry), host=host, port=port)
    except OSError as error:
        raise click.ClickException(f"HTTP_PORT {port} on {host}: {error.strerror}") from error
    stack.callback(server.close)
    logger.info("serving %s/health and /metrics", server.url)


@click.group(
    cls=SectionedGroup,
    invoke_without_command=True,
    context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]},
    epilog=(
        "Every variable may stand in the environment or in a file .env in the working directory; a flag wins over the"
        " environment, the environment over the file. SIGTERM and Ctrl-C let what runs end (10 s), commit, and exit"
        " with status 0; a second one ends at once (143, 130). Status 1: it cannot go on; 2: the settings are wrong."
    ),
)
@flags(*OF_THE_WORKER)
@click.pass_context
def worker(ctx: click.Context, /, **given: Any) -> None:
    """Run an app of Dify's, or a function, for each record of Kafka topics.

    A member of a consumer group: start as many as there is work for, with the same group. A record's offset is
    committed after its run has succeeded, or after the dead-letter topic has acknowledged the record.

    \b
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092 KAFKA_TOPIC=orders DIFY_API_KEY=app-…
    python -m kafka_bridge.worker
    """  # noqa: D301 - click's mark for a paragraph that stays as it is
    if ctx.invoked_subcommand is not None:
        ctx.obj = given
        return
    ended = told(lambda: run(values_of(given)))
    raise _AtOnce(ended.status) if ended.hung else SystemExit(ended.status)


@worker.command("produce", cls=SectionedCommand)
@flags(Section.KAFKA)
@click.option("--key", help="The records' key; none without it.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be repeated.")
@click.option(
    "--count",
    type=click.IntRange(min=1),
    help="So many records, each with a ce_id; without VALUE numbered JSON events.",
)
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), help="Records per second; as fast as it goes without it."
)
@click.argument("topic")
@click.argument("value", required=False)
@click.pass_context
def produce_command(
    ctx: click.Context,
    /,
    *,
    topic: str,
    value: str | None,
    key: str | None,
    headers: tuple[str, ...],
    count: int | None,
    rate: float | None,
    **given: Any,
) -> None:
    """Write VALUE (- reads it from stdin), or numbered events, to TOPIC, and print where each record lies.

    Exit status 0 when the broker has acknowledged all of them, 1 when not.
    """
    if value is None and count is None:
        raise click.UsageError("give VALUE, - for stdin, or --count")
    if not is_topic_name(topic):
        raise click.BadParameter("is no legal topic name", param_hint="TOPIC")
    content = sys.stdin.buffer.read() if value == "-" else None if value is None else os.fsencode(value)
    order = Order(
        topic=topic,
        key=None if key is None else os.fsencode(key),
        headers=_headers(headers),
        value=content,
        count=count,
    )
    loop = ThreadLoop()
    # What is given after `produce` wins over what is given before it.
    values = values_of({**ctx.obj, **{name: text for name, text in given.items() if text}})

    def write() -> int:
        cluster = parse_connection(values, read_file)
        publishing = Publishing(cluster, ca_file=default_ca_file(), loop=loop, clock=system_clock())
        publishing.check()
        try:
            return produce(order, publishing.send, rate=rate, loop=loop, tell=_print_places)
        finally:
            publishing.close()

    click.echo(f"{told(write)} acknowledged", err=True)


worker.add_command(redrive_command)


def _headers(texts: Sequence[str]) -> Headers:
    pairs = [text.partition("=") for text in texts]
    if not all(name and separator for name, separator, _ in pairs):
        raise click.BadParameter("is given as NAME=VALUE", param_hint="--header")
    return tuple((name, os.fsencode(text)) for name, _, text in pairs)


def _print_places(deliveries: Sequence[Delivery]) -> None:
    for at in deliveries:
        click.echo(f"{at.topic}[{at.partition}] {'?' if at.offset is None else at.offset}")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Closed, or nobody reads it any more.
        with suppress(OSError, ValueError):
            stream.flush()


def _end_anyway(status: int) -> None:
    threading.Event().wait(EXIT_S)
    os._exit(status)


def main() -> NoReturn:
    """The entry point."""
    try:
        load_env_file()
        worker(prog_name="python -m kafka_bridge.worker")
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except _AtOnce as end:
        _flush()
        os._exit(_status(end))
    except SystemExit as end:
        # The interpreter ends by itself, unless a thread that somebody's flow has started keeps it.
        threading.Thread(target=_end_anyway, args=(_status(end),), daemon=True).start()
        raise
    sys.exit(0)


def _status(end: SystemExit) -> int:
    return end.code if isinstance(end.code, int) else 0


if __name__ == "__main__":
    main()
