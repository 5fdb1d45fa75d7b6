"""`python -m tests.acceptance`: how many cases each kind has on each database."""

import sys

from tests.acceptance import DATABASES, HERE, cases


def main() -> None:
    """Print the matrix."""
    kinds = sorted(path.stem for path in HERE.glob("*.yaml"))
    table = {
        kind: [sum(name in case.databases for case in cases(kind)) for name in DATABASES]
        for kind in kinds
    }
    table["together"] = [sum(column) for column in zip(*table.values(), strict=True)]
    lines = [" " * 16 + "".join(f"{name:>12}" for name in DATABASES)]
    lines += [
        f"{kind:16}" + "".join(f"{count:12}" for count in counts) for kind, counts in table.items()
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
