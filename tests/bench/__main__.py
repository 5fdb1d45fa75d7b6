"""`scripts/bench`: every figure that the documentation tells, measured anew on this machine."""

import click

from tests.bench import across, rules


@click.group()
def main() -> None:
    """Measure, on servers of its own. Ratios are of runs in turns."""


main.add_command(across.main, "across")
main.add_command(rules.command)

if __name__ == "__main__":
    main()
