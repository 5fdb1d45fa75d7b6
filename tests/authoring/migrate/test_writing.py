"""The rules file of an import: quoted where words mislead, in comments without a trap, and right by the real loader."""

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from sanityd.authoring.migrate import spans
from sanityd.authoring.migrate.draft import (
    Draft,
    Migration,
    SourceLocation,
    Translation,
    Unmappable,
)
from sanityd.authoring.migrate.spans import Span
from sanityd.authoring.migrate.writing import dumped, pairs, summary, write
from sanityd.errors import RuleError
from sanityd.rules.load import load_text
from sanityd.rules.yaml import rules_document

TRAPS = [
    "no",
    "on",
    "12:30",
    "1e5",
    "08",
    "0o17",
    "0x1F",
    "1_000",
    "~",
    "null",
    "",
    " x ",
    "#1",
    "a: b",
    "- a",
    "{a}",
]
TRAPS += [
    "'",
    '"',
    "a\nb",
    "a\n\n  b\n",
    "tab\there",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a`",
    "<<",
    "=",
    "é\u2028x",
    "\x85",
]


def test_every_value_comes_back_as_it_was() -> None:
    """Also in a list, as a key, and for readers of YAML 1.1."""
    data: dict[str, Any] = {
        f"k{n}": {"a": trap, "b": [trap, 1, 1.5, True, None]} for n, trap in enumerate(TRAPS)
    }
    data |= {f"t{n}": trap for n, trap in enumerate(TRAPS)}
    data["keys"] = {trap: 1 for trap in TRAPS if "\n" not in trap}
    text = "\n".join(pairs(data, "")) + "\n"
    assert rules_document.parse_text(text, Path("x.yaml")).data == data
    assert yaml.safe_load(text) == data
    assert dumped("plain words") == "plain words"


def migration(*translations: Translation) -> Migration:
    """Some checks of a file."""
    return Migration("dbt", translations, ("app",))


def one(line: int, *drafts: Draft, what: str = "a test", path: str = "a.yml") -> Translation:
    """A check at a line."""
    return Translation(SourceLocation(Path(path), line), what, drafts)


def test_many_checks_of_one_name_are_told_apart_at_once() -> None:
    """In a time that grows with their number; how far it is, is told on the way."""
    drafts = [
        Draft("a is b" if number != 1500 else "a is b-3", "unique", "a", {"table": "app.t"})
        for number in range(3000)
    ]
    counts: list[int] = []
    began = time.process_time()
    ids = list(
        load_text(
            write(
                migration(*(one(n, draft) for n, draft in enumerate(drafts))), counts.append
            ).text,
            Path("r"),
        ).rules
    )
    assert time.process_time() - began < 10
    assert ids[:3] == ["a-is-b", "a-is-b-2", "a-is-b-3"]
    assert ids[1500] == "a-is-b-3-2"
    assert len(set(ids)) == sum(counts) == 3000


def test_a_rule_that_lint_refuses_is_left_out_and_told() -> None:
    """Here: SQL that isn't one condition, and bounds the wrong way round."""
    good = Draft("a is b", "always", "a = b", {"table": "app.t"})
    bad = Draft("it writes", "always", "a = 1; drop table t", {"table": "app.t"})
    range_ = Draft("in range", "between", {"a": {"min": 5, "max": 1}}, {"table": "app.t"})
    written = write(migration(one(1, good), one(2, bad), one(3, range_)))
    assert written.imported == 1
    assert "drop" not in written.text
    head, *left = summary(written)
    assert head == "1 of 3 checks imported; 2 can't be:"
    assert left[0].startswith("  a.yml:2  a test: ")
    assert "no value lies between 5 and 1" in left[1]
    assert (
        all(f"#{line.rstrip()}" in written.text.replace("# ", "#") for line in (head, *left))
        or left[0] in written.text
    )


def test_hostile_names_stay_in_their_comments() -> None:
    draft = Draft("x", "not_null", "a", {"table": "app.t"}, ("first\nrules: {}",))
    written = write(migration(one(1, draft, what="a\n  evil: 1\x1b[31m", path="a\nb.yml")))
    assert [line for line in written.text.splitlines() if "evil" in line or "31m" in line] == [
        r"  # a\nb.yml:1  a\n  evil: 1\x1b[31m"
    ]
    assert r"# first\nrules: {}" in written.text


def test_ids_are_kebab_case_and_unique() -> None:
    drafts = [Draft(says, "not_null", "a", {"table": "app.t"}) for says in ("A b", "a-b!", "ä", "")]
    written = write(migration(*(one(n, draft) for n, draft in enumerate(drafts))))
    document = rules_document.parse_text(written.text, Path("x.yaml"))
    assert list(document.data["rules"]) == ["a-b", "a-b-2", "rule", "rule-2"]


def test_the_loaders_other_faults_are_not_hidden() -> None:
    draft = Draft("x", "not_null", "a", {"table": "app.t"})
    with pytest.raises(RuleError):
        write(Migration("dbt", (one(1, draft),), ("Not A Name",)))


@pytest.mark.parametrize(
    ("text", "allowed", "first"),
    [
        ("= 0", {0}, 1),
        ("<= 2.5", {0, 1, 2}, 3),
        ("< 2", {0, 1}, 2),
        ("> 1", {2, 3, 4, 5}, None),
        (">= 1", {1, 2, 3, 4, 5}, None),
        ("!= 3", {0, 1, 2, 4, 5}, None),
        ("between 1 and 3", {1, 2, 3}, None),
        ("between 0 and 3", {0, 1, 2, 3}, 4),
        ("between (1 and 3)", {2}, None),
        ("not between 1 and 3", {0, 4, 5}, None),
        ("not between (1 and 3]", {0, 1, 4, 5}, None),
    ],
)
def test_thresholds_say_what_is_right(text: str, allowed: set[int], first: int | None) -> None:
    """As SQL says it, too; and the inverse is all the rest."""
    span = spans.parse(text)

    def right(one: Span) -> set[int]:
        words = one.holds("x").replace(" = ", " == ")
        return {x for x in range(6) if eval(words, {"x": x})}

    assert right(span) == allowed
    assert right(span.inverse()) == set(range(6)) - allowed
    assert span.first_too_many() == first
    kind, options = (
        spans.row_count(span) if text != "<= 2.5" else ("row_count", {"min": 0, "max": 2})
    )
    if kind == "row_count":
        low, high = (
            options.get("equals", options.get("min", 0)),
            options.get("equals", options.get("max", 5)),
        )
        assert set(range(low, high + 1)) == allowed


def test_a_threshold_that_is_not_understood_is_no_guess() -> None:
    for text in ("about 5", "> x", "between 1", "> 1.2.3", ""):
        with pytest.raises(Unmappable):
            spans.parse(text)
