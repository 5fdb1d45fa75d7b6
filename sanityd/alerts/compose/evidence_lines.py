"""Evidence as lines of safe text, for mails and for the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from sanityd.alerts.compose.sanitize import display_value, escape_hidden
from sanityd.model import Evidence, Key, Value

#: The most characters of one value, of one line, and of a key.
_VALUE, _LINE, _KEY = 80, 300, 80
#: What separates the values of a row.
_BETWEEN = " · "


def evidence_title(evidence: Evidence) -> str:
    """Return what was read, or why it was not: `changes: 3 rows (not shown: ip)`."""
    name = escape_hidden(evidence.name)
    if evidence.error:
        return f"{name}: not available: {escape_hidden(evidence.error, _LINE)}"
    noun = "row" if evidence.count == 1 else "rows"
    title = f"{name}: {evidence.count} {noun}"
    if evidence.more:
        title += ", and more"
    if evidence.hidden:
        hidden = escape_hidden(", ".join(evidence.hidden), _LINE)
        title += f" (not shown: {hidden})"
    return title


def evidence_rows(evidence: Evidence, most: int) -> list[str]:
    """Return a line for each row: `at 2026-01-02 · who eve`. `most` is the most lines."""
    # A row without columns that are shown has no text.
    lines = list(filter(None, map(values_text, evidence.rows[:most])))
    missing = evidence.count - len(lines)
    if lines and missing > 0:
        lines.append(f"… and {missing} more")
    return lines


def values_text(values: Mapping[str, Value]) -> str:
    """Return names and values in one line."""
    parts = []
    for name, value in values.items():
        parts.append(f"{escape_hidden(name, _VALUE)} {display_value(value, _VALUE)}")
    return escape_hidden(_BETWEEN.join(parts), _LINE)


def mail_lines(
    rows: Sequence[Key], evidence: Sequence[Sequence[Evidence]], characters: int
) -> list[str]:
    """Return the evidence of rows for a mail, as many lines as have so many characters."""
    lines: list[str] = []
    for line in _all_lines(rows, evidence):
        characters -= len(line)
        if characters < 0:
            lines.append("… `sanityd show` has the rest")
            break
        lines.append(line)
    return lines


def _all_lines(rows: Sequence[Key], evidence: Sequence[Sequence[Evidence]]) -> Iterator[str]:
    for key, items in zip(rows, evidence, strict=True):
        name = escape_hidden(values_text(key), _KEY)
        for item in items:
            yield f"{name}, {evidence_title(item)}"
            for line in evidence_rows(item, 5):
                yield f"- {line}"
