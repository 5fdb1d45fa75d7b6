"""The command line. Imports only click until a command runs, so that `--help` is fast."""

import errno
import gc
import importlib
import io
import os
import sys
from contextlib import suppress
from typing import NoReturn

import click

from sanityd import __version__

#: Every command: its module, with `:function` where the module has several; and its line in
#: `--help`.
COMMANDS = {
    "demo": ("demo", "Show what sanityd does, in a minute, on an example database."),
    "init": ("init", "Write a first rules.yaml."),
    "suggest": ("suggest", "Propose rules that hold for the data, and constraints."),
    "lint": ("lint", "Show every mistake in the rules file."),
    "kinds": ("kinds", "List the kinds of checks and channels, or show the manual of one."),
    "schema": ("schema", "Print the JSON Schema of the rules file, for editors."),
    "try": ("try_rule", "Evaluate one rule now; record and send nothing."),
    "test": ("test", "Run the examples of the rules, and show what no example tests."),
    "explain": ("explain", "Show how the rules will be evaluated, and why."),
    "check": ("check", "Check the rules once: evaluate, record, mail. For cron and CI."),
    "serve": ("serve", "Check the rules on their schedules, until stopped."),
    "deliver": ("deliver", "Send the messages that wait in the outbox now."),
    "status": ("status", "Show what is violated, since when, and what is not verified."),
    "show": ("show", "Show one rule or incident, with its rows."),
    "history": ("history", "Show what happened: incidents, decisions, mails."),
    "ack": ("act:ack", "Acknowledge an incident: no reminders for a while."),
    "snooze": ("act:snooze", "Snooze an incident: no mails until a time, then a reminder."),
    "accept": ("act:accept", "Accept an incident, or single rows, as they are."),
    "close": ("act:close", "Close an incident with a resolution."),
    "remedy": ("remedy", "Repair the rows of a rule, each once, by its remedy."),
    "silence": ("silence", "Silence rules for a while, as during a deployment."),
    "expect": ("expect", "Announce a mass change, so that it is one fault and one mail."),
    "import": ("import_rules", "Convert dbt tests, Soda checks or a data contract to rules."),
    "export": ("export_rules", "Write the rules as a data contract."),
    "noise": ("noise", "Show which rules mail too often, and which are downgraded."),
}

#: How many objects are allocated before Python collects garbage (its default is 700).
_GC_THRESHOLD = 50_000
#: Errors of the operating system that the operator can solve.
_OPERATOR_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
}
EXIT_RULES = 2
EXIT_UNKNOWN = 3
EXIT_SOFTWARE = 70


class Commands(click.Group):
    """Imports the module of a command only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of `--help`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command. Returns None for an unknown name."""
        if name not in COMMANDS:
            return None
        location, _ = COMMANDS[name]
        module_name, _, function = location.partition(":")
        module = importlib.import_module(f"sanityd.cli.{module_name}")
        command: click.Command = getattr(module, function or "command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command. Raises a usage error with a suggestion for an unknown name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from sanityd.cli.options import no_such  # only a wrong command needs it

            raise no_such(f"there is no command `{name}`", name, COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in `--help`, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sanityd", message="%(prog)s %(version)s")
@click.option(
    "--log",
    type=click.Choice(["text", "json", "debug"]),
    default="text",
    help="Format of the log on stderr.",
)
@click.pass_context
def root(ctx: click.Context, log: str) -> None:
    """Check rules about your data, written in YAML, and mail when a rule is violated."""
    ctx.ensure_object(dict)["log"] = log


def main() -> NoReturn:
    """Run a command and exit with its code. An error prints a sentence, never a traceback."""
    _prepare_output()
    # Imported modules stay in memory; collecting garbage in them again and again takes a fifth of
    # the time of a short command.
    gc.set_threshold(_GC_THRESHOLD)
    try:
        # A command that ends by `ctx.exit(code)` makes click return the code.
        code = root.main(prog_name="sanityd", standalone_mode=False) or 0
    except click.Abort:
        click.echo("Stopped.", err=True)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except BrokenPipeError:
        # The reader closed the pipe, as `| head` does. Flushing stdout would fail again.
        _discard_stdout()
        code = 0
    except OSError as error:
        code = _report_os_error(error)
    except Exception as error:  # noqa: BLE001 (the last resort: an exit code and a message)
        code = _report(error)
    sys.exit(code)


def _discard_stdout() -> None:
    """Redirect stdout to the null device, so that flushing it at exit does not fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report_os_error(error: OSError) -> int:
    """Report a file or output that can't be written, which the operator can solve. Other errors are
    reported as unexpected. Returns the exit code."""
    if error.errno not in _OPERATOR_ERRORS:
        return _report(error)
    with suppress(OSError):
        sys.stdout.flush()
    _discard_stdout()
    target = f" `{error.filename}`" if error.filename else ""
    click.echo(f"sanityd can't write{target}: {error.strerror}.", err=True)
    click.echo("  Free disk space or grant the permission, then run it again.", err=True)
    return EXIT_UNKNOWN


def _prepare_output() -> None:
    """Print `?` for characters that the terminal can't encode; discard the output if there is no
    stdout."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    sys.stderr = sys.stderr or sys.stdout
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _report(error: Exception) -> int:
    """Print what failed and what to do. Returns the exit code, which says who must act."""
    from sanityd.errors import RuleError, SanitydError  # only a failing command needs them

    match error:
        case RuleError():
            from sanityd.rules.diagnostics import format_problems, in_colour

            click.echo(format_problems(error.problems, colour=in_colour(sys.stderr)), err=True)
            return EXIT_RULES
        case SanitydError():
            click.echo(f"sanityd: {error.message}\n  {error.hint}", err=True)
            return EXIT_UNKNOWN
    return _report_unexpected(error)


def _report_unexpected(error: Exception) -> int:
    """Print the type and the source line of the error; its text may contain a value of a row."""
    from sanityd import telemetry  # imports logging and, with a DSN, the Sentry SDK

    telemetry.capture(error)
    traceback = error.__traceback__
    location = "unknown line"
    while traceback is not None:
        file = os.path.basename(traceback.tb_frame.f_code.co_filename)
        location = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    click.echo(f"sanityd failed unexpectedly: {type(error).__name__} at {location}.", err=True)
    click.echo("  This is a bug in sanityd. Please report this line with what you ran.", err=True)
    return EXIT_SOFTWARE
