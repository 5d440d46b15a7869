"""The command line: variables as flags of click's, `.env`, the help that lists all of them, errors in words."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Final

import click
from dotenv import load_dotenv

from kafka_bridge.errors import BridgeError, SettingsInvalid
from kafka_bridge.standalone.variables import OF_THE_WORKER, VARIABLES, Section, Variable, in_our_words

ENV_FILE: Final = ".env"

type Decorated = Callable[..., Any]


def flags(*sections: Section) -> Callable[[Decorated], Decorated]:
    """An option for every variable of these sections that has a flag; its value comes under the variable's name."""

    def decorate(function: Decorated) -> Decorated:
        for name, row in reversed(list(VARIABLES.items())):
            if row.section in sections and row.flag:
                kind: dict[str, Any] = {"is_flag": True} if row.switch else {"metavar": row.metavar}
                function = click.option(row.flag, name, envvar=name, help=_text(row), **kind)(function)
        return function

    return decorate


def values_of(given: Mapping[str, Any]) -> Mapping[str, str]:
    """What flags and environment say, the secrets included, which are in the environment only."""
    flagged = {name: "true" if value is True else value for name, value in given.items() if name in VARIABLES and value}
    hidden = {name: os.environ[name] for name, row in VARIABLES.items() if row.secret and os.environ.get(name)}
    return {**flagged, **hidden}


def load_env_file() -> None:
    """Put what `.env` says into the environment, where it is not there already. Raises UsageError.

    Values are taken as they are: a password may hold `${`. Some editors put a byte order mark before the first.
    """
    try:
        load_dotenv(ENV_FILE, override=False, interpolate=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{ENV_FILE} cannot be read: {type(error).__name__}") from error


class SettingsWrong(click.ClickException):
    """Printed as what is wrong, one line each."""

    exit_code = 2


def told[T](action: Callable[[], T]) -> T:
    """What it gives; what goes wrong is printed in words, and without what an exception may quote."""
    try:
        return action()
    except SettingsInvalid as error:
        lines = "".join(f"\n  {in_our_words(problem)}" for problem in error.problems)
        raise SettingsWrong(f"the settings are wrong:{lines}") from error
    except BridgeError as error:
        raise click.ClickException(f"{error}{f' ({error.hint})' if error.hint else ''}") from error


class _NoFlagForSecrets(click.Command):
    """Whoever gives a secret as a flag is told where it goes, and not which flag is spelt nearly alike."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            words = error.option_name.lstrip("-").upper().replace("-", "_")
            for name, row in VARIABLES.items():
                if row.secret and words in {name, name.removeprefix("KAFKA_")}:
                    text = f"A secret has no flag: give {name} in the environment or in {ENV_FILE}"
                    raise click.UsageError(text, ctx) from error
            raise


class SectionedCommand(_NoFlagForSecrets):
    """Its help lists the variables by section."""

    sections: tuple[Section, ...] = (Section.KAFKA,)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write(self, ctx, formatter, self.sections)


class RedriveCommand(SectionedCommand):
    """The one that also heeds what the worker does."""

    sections = (Section.REDRIVE, Section.KAFKA, Section.CONSUMING, Section.RUN)


class SectionedGroup(_NoFlagForSecrets, click.Group):
    """Likewise."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write(self, ctx, formatter, OF_THE_WORKER)
        self.format_commands(ctx, formatter)


def _write(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter, sections: tuple[Section, ...]
) -> None:
    own = (param for param in command.get_params(ctx) if isinstance(param, click.Option))
    others = [param.get_help_record(ctx) for param in own if param.name not in VARIABLES]
    with formatter.section("Options"):
        formatter.write_dl([record for record in others if record is not None])
    for section in sections:
        rows = [(name, row) for name, row in VARIABLES.items() if row.section is section]
        with formatter.section(section.value):
            formatter.write_dl(
                [(_flag(row), f"{_text(row)} [{name}]") if row.flag else (name, _text(row)) for name, row in rows]
            )


def _flag(row: Variable) -> str:
    return row.flag if row.switch else f"{row.flag} {row.metavar}"


def _text(row: Variable) -> str:
    choices = f" One of {', '.join(row.choices)}." if row.choices else ""
    path = " PEM, or the path of a file." if row.pem else ""
    secret = " A secret: from the environment or .env only." if row.secret else ""
    default = f" Default: {row.shown_default}." if row.shown_default else ""
    return f"{row.help}{choices}{path}{secret}{default}"
