"""`python -m kafka_bridge.worker redrive`: sends dead letters back, from the command line."""

import secrets
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import click

from kafka_bridge.broker import config
from kafka_bridge.broker.kafka.scanner import KafkaScanner
from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.broker.trust import default_ca_file
from kafka_bridge.dispatch.delivering import Run
from kafka_bridge.dispatch.ended import Ended
from kafka_bridge.dispatch.memory import SUFFIX
from kafka_bridge.dispatch.reading import Bounds
from kafka_bridge.dispatch.redrive import MATCHED, Line, Order, Target, Told
from kafka_bridge.dispatch.redriver import redrive
from kafka_bridge.events.record import Consumed, Delivery
from kafka_bridge.standalone.apps import open_app, run_of
from kafka_bridge.standalone.flags import RedriveCommand, flags, told, values_of
from kafka_bridge.standalone.options import Options, parse_options
from kafka_bridge.standalone.orders import parse_order
from kafka_bridge.standalone.publishing import Publishing
from kafka_bridge.standalone.signals import NUMBERS
from kafka_bridge.standalone.system import read_file, system_clock


@click.command("redrive", cls=RedriveCommand)
@flags(*RedriveCommand.sections)
@click.pass_context
def redrive_command(ctx: click.Context, /, **given: Any) -> None:
    """Send what was dead-lettered back to its topic, or straight to what is run for each record.

    Look first: --dry-run. A letter that was sent back is remembered in Kafka (the group's name and .redrive) and is not
    sent again, also after this was interrupted. Each line says what has become of one letter, once that is remembered.

    Exit status 0 when nothing has failed, 1 when something has, or not all were reached; 2: the settings are wrong.
    """
    # What is given after `redrive` wins over what is given before it.
    values = values_of({**ctx.obj, **{name: value for name, value in given.items() if value}})
    outcome = told(lambda: redrive_all(values))
    click.echo(summary(outcome), err=True)
    if outcome.error is not None:
        hint = f" ({outcome.error.hint})" if outcome.error.hint else ""
        raise click.ClickException(f"{outcome.error}{hint}")
    raise SystemExit(1 if outcome.failed or outcome.next else 0)


def redrive_all(values: Mapping[str, str]) -> Told:
    """Send back what the variables say, and print what becomes of each. Raises BridgeError."""
    options, order = parse_options(values, read_file), parse_order(values)
    clock, ca_file, plan = system_clock(), default_ca_file(), options.plan
    loop = ThreadLoop(plan.policy.concurrency)
    publishing = Publishing(options.cluster, ca_file=ca_file, loop=loop, clock=clock)
    publishing.check()
    properties = config.consumer_properties(options.cluster, ca_file=ca_file, group_id=plan.group_id + SUFFIX)
    with _opened(options, order, values) as run, closing(KafkaScanner(properties)) as scanner, _signals() as numbers:
        outcome = redrive(
            order,
            plan,
            scanner,
            send=publishing.send_each,
            run=run,
            holder=secrets.token_hex(8),
            loop=loop,
            bounds=Bounds(clock, lambda: bool(numbers)),
            tell=_print,
        )
    publishing.close()
    return outcome


@contextmanager
def _opened(options: Options, order: Order, values: Mapping[str, str]) -> Iterator[Run]:
    """What runs a record, where that is asked for. Raises SettingsInvalid."""
    if order.to is not Target.WORKFLOW:
        yield _no_run
        return
    app = open_app(flow=options.flow, api_url=options.api_url, api_key=values.get("DIFY_API_KEY", ""))
    yield run_of(app, options.plan.inputs, timeout_s=options.run_timeout_s)
    app.close()


def _no_run(_: Consumed) -> Ended:
    raise AssertionError("records go to their topics")


@contextmanager
def _signals() -> Iterator[Sequence[int]]:
    """The signals that have come: after the first what is on its way may end, a second one ends the process at once."""
    came: list[int] = []

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, note) for number in NUMBERS}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(lines: Sequence[Line]) -> None:
    for line in lines:
        click.echo("\t".join(_printable(text) for text in _columns(line)))


def _columns(line: Line) -> Sequence[str]:
    """Where the letter lies, its event, what has become of it, and where it went or why not."""
    consumed, fate = line.letter.consumed, line.fate
    place = f"{consumed.record.topic}[{consumed.partition}] {consumed.offset}"
    if isinstance(fate, Delivery):
        where = f"{fate.topic}[{fate.partition}] {'?' if fate.offset is None else fate.offset}"
    elif isinstance(fate, Ended) and not line.detail:
        where = f"run {fate.run_id}" if fate.run_id else "run"
    else:
        where = line.detail or (line.letter.error if line.word == MATCHED else "")
    return place, line.letter.event_id, line.word, where


def _printable(text: str) -> str:
    # Whoever wrote the letter must not write to somebody's terminal.
    return "".join(each if each.isprintable() else " " for each in text)


def summary(outcome: Told) -> str:
    """The counts in a sentence."""
    remaining = "more remain" if outcome.next else f"{outcome.remaining} remain"
    word = "dry run: " if outcome.dry_run else ""
    return (
        f"{word}{outcome.matched} matched, {outcome.redriven} redriven, {outcome.skipped} skipped,"
        f" {outcome.failed} failed, {remaining}"
    )
