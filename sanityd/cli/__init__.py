"""The command line. Imports nothing but click until a command is chosen, so that `--help` answers
at once."""

import errno
import gc
import importlib
import io
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from sanityd import __version__

#: Every command: the module (and, if there are several in it, the function) it lives in, and its
#: line in `--help`.
COMMANDS = {
    "demo": ("demo", "See what sanityd does, in a minute, on a database of its own."),
    "init": ("init", "Write a first rules.yaml."),
    "suggest": ("suggest", "Propose rules that the data keeps, and constraints."),
    "lint": ("lint", "Show every mistake in the rules file."),
    "kinds": ("kinds", "List the kinds of checks and channels, or show the manual of one."),
    "schema": ("schema", "Print the JSON Schema of the rules file, for editors."),
    "try": ("try_rule", "Look at one rule now; record and send nothing."),
    "test": (
        "test",
        "Play the examples of the rules: what they must find, and what nothing shows.",
    ),
    "explain": ("explain", "Show how the rules will be looked at, and why so."),
    "check": ("check", "Check the rules once: evaluate, record, mail. For cron and CI."),
    "serve": ("serve", "Check the rules on their schedules, until stopped."),
    "status": ("status", "What is wrong, since when, and what is not known."),
    "show": ("show", "One rule or incident, with its rows."),
    "history": ("history", "What happened, told as one story."),
    "ack": ("act:ack", "Say that somebody is at it."),
    "snooze": ("act:snooze", "Don't hear of it until then."),
    "accept": ("act:accept", "Say that it may stay so: an incident, or single rows."),
    "close": ("act:close", "Say how it was dealt with."),
    "silence": ("silence", "Hear nothing of some rules for a while."),
    "import": ("import_rules", "Make rules of dbt's tests, Soda's checks or a data contract."),
    "export": ("export_rules", "Write the rules as a data contract."),
    "noise": ("noise", "Which rules cry wolf, and what is done about it."),
}

#: How many objects may be made before garbage is looked for (Python's own 700 is for machines with
#: little memory).
_NEW_OBJECTS = 50_000
#: What the operator can do something about.
_OPERATORS = {
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
    """Imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, imported now."""
        if name not in COMMANDS:
            return None
        module, _, function = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(
            importlib.import_module(f"sanityd.cli.{module}"), function or "command"
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sanityd", message="%(prog)s %(version)s")
@click.option(
    "--log",
    type=click.Choice(["text", "json", "debug"]),
    default="text",
    help="How to log, on stderr.",
)
@click.pass_context
def root(ctx: click.Context, log: str) -> None:
    """Say in YAML what must always be true of your data; be mailed when it stops being true."""
    ctx.ensure_object(dict)["log"] = log


def main() -> NoReturn:
    """Run a command and exit with its code; an error becomes a sentence, never a traceback."""
    _take_any_output()
    # What is imported stays: looking through it for garbage, time and again, is a fifth of a short
    # command's life.
    gc.set_threshold(_NEW_OBJECTS)
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
        # The reader went away, as with `| head`; there is nobody left to tell, and flushing would
        # fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        code = _refused(error)
    except Exception as error:  # noqa: BLE001 (the last resort: an exit code and a message)
        code = _explain(error)
    sys.exit(code)


def _refused(error: OSError) -> int:
    """A file that can't be written, or an output that is full: the operator's to mend, and no fault
    of ours."""
    if error.errno not in _OPERATORS:
        return _explain(error)
    with suppress(OSError):
        sys.stdout.flush()
    # What could not be written would fail again at the end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    place = f" `{error.filename}`" if error.filename else ""
    click.echo(
        f"sanityd can't write{place}: {error.strerror}.\n  Make room or give it the right, then run it again.",
        err=True,
    )
    return EXIT_UNKNOWN


def _take_any_output() -> None:
    """A terminal that knows ASCII only gets question marks; where there is no output at all, it is
    not missed."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 (open until the process ends)
    sys.stderr = sys.stderr or sys.stdout
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _explain(error: Exception) -> int:
    """Say what went wrong and what to do; the exit code tells who must act."""
    from sanityd.errors import RuleError, SanitydError  # only a failing command needs them

    match error:
        case RuleError():
            from sanityd.rules.diagnostics import format_problems, in_colour

            click.echo(format_problems(error.problems, colour=in_colour(sys.stderr)), err=True)
            return EXIT_RULES
        case SanitydError():
            click.echo(f"sanityd: {error.message}\n  {error.hint}", err=True)
            return EXIT_UNKNOWN
    return _unexpected(error)


def _unexpected(error: Exception) -> int:
    from sanityd import telemetry  # imports logging and, with a DSN, the Sentry SDK

    telemetry.capture(error)
    # The error's own text may quote a value; its kind and place don't.
    frame: Any = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = (
        f"{os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno}"
        if frame
        else "unknown place"
    )
    click.echo(
        f"sanityd failed in a way it did not expect: {type(error).__name__} at {place}.", err=True
    )
    click.echo("  This is a fault of sanityd. Please report this line with what you ran.", err=True)
    return EXIT_SOFTWARE
