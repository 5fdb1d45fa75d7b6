"""`scripts/bench`: every figure that the documentation tells, measured anew on this machine."""

import click

from tests.bench import (
    across,
    again,
    many_open,
    matching,
    recording,
    rules,
    scheduler,
    signal,
    small,
)


@click.group()
def main() -> None:
    """Measure, on servers of its own. Ratios are of runs in turns."""


main.add_command(across.main, "across")
main.add_command(matching.command)
for command in (rules.command, again.command, small.command, recording.command, scheduler.command):
    main.add_command(command)
main.add_command(many_open.command)
main.add_command(signal.command, "signal")

if __name__ == "__main__":
    main()
