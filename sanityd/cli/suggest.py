"""`sanityd suggest`: proposes rules that hold, or nearly hold, for the data, and that the rules
file does not have yet."""

import fnmatch
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import rules_option, sample_option

if TYPE_CHECKING:
    from sanityd.authoring.suggest.constraints import ConstraintProposal
    from sanityd.authoring.suggest.results import Proposal, Suggestions
    from sanityd.checks.invariant import TableName
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.sources.base import Snapshot

#: The value of `--accept` without a rule.
ALL = "*"
#: How many rules are proposed for a table that is named.
PER_NAMED_TABLE = 100
Table = tuple[str | None, str]


@click.command("suggest")
@click.argument("words", nargs=-1, metavar="[TABLE]…")
@click.option(
    "--accept",
    "accepted",
    metavar="[RULE]",
    multiple=True,
    is_flag=False,
    flag_value=ALL,
    help="Write this rule into the rules file; without a name, all. May be repeated.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it."
)
@click.option(
    "--constraints",
    "prevent",
    is_flag=True,
    help="Instead: for rules that were violated and repaired, what makes that impossible.",
)
@click.option("--all", "show_all", is_flag=True, help="With --constraints: for all rules.")
@sample_option
@rules_option
@click.pass_context
def command(
    ctx: click.Context,
    words: tuple[str, ...],
    accepted: tuple[str, ...],
    form: str,
    prevent: bool,
    show_all: bool,
    whole: int,
    path: Path,
) -> None:
    """Read the tables and propose rules, each with what was found; and constraints for rules that
    have held for long.

    TABLE is a table: `people`, `crm.people`, or with its source, `app.people`; `*` stands for any
    letters. The databases are only read; constraints are printed and never created. Nothing is
    written without `--accept`.
    """
    from sanityd import telemetry
    from sanityd.authoring.suggest.results import ExistingRules
    from sanityd.cli import proposals
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    if prevent:
        if accepted:
            raise click.UsageError("--constraints proposes no rules, so --accept has nothing to do")
        _print_preventions(load(path), words, form, show_all=show_all)
        return
    if show_all:
        raise click.UsageError("--all is an option of --constraints")
    rules = load(path, need_rules=False)
    taken = ExistingRules.by(rules.rules.values())
    per_table = PER_NAMED_TABLE if words else None
    results = []
    for source, names in _tables(rules, words).items():
        settings = rules.sources[source]
        results.append(proposals.read_tables(settings, names, whole, taken, per_table))
    offers = _offers(rules, words)
    chosen = _chosen([suggestions for suggestions, _ in results], accepted)
    if form == "json":
        _print_json(results, offers)
    else:
        _print_suggestions(results, with_rules=not accepted)
        _print_offers(offers)
    if chosen:
        _write(path, chosen, to_stderr=form == "json")


def _print_preventions(
    rules: "RuleSet", words: tuple[str, ...], form: str, *, show_all: bool
) -> None:
    from sanityd.cli import prevention

    selected = [rule for rule in rules.rules.values() if _is_about(rule, words)]
    preventions = prevention.find(rules, selected, show_all=show_all)
    if form == "json":
        document = {"version": 1, "constraints": prevention.as_json(preventions)}
        click.echo(json.dumps(document, indent=2))
    else:
        prevention.write(preventions, show_all=show_all)


def _print_json(
    results: "Sequence[tuple[Suggestions, float]]", offers: "Sequence[ConstraintProposal]"
) -> None:
    from sanityd.cli import proposals

    document = {
        "version": 1,
        "sources": [proposals.as_json(suggestions, seconds) for suggestions, seconds in results],
        "constraints": [_as_json(offer) for offer in offers],
    }
    click.echo(json.dumps(document, indent=2, default=str))


def _write(path: Path, chosen: "Sequence[Proposal]", *, to_stderr: bool) -> None:
    """Write the rules into the rules file, and print its name."""
    from sanityd.authoring import yaml_insert
    from sanityd.cli.terminal import plural

    file = yaml_insert.insert(path, {proposal.id: proposal.lines() for proposal in chosen})
    rules = f"{len(chosen)} {plural(len(chosen), 'rule')}"
    click.echo(f"Wrote {rules} into {file}.", err=to_stderr)


def _tables(
    rules: "RuleSet", words: Sequence[str]
) -> "dict[str, Callable[[Snapshot], Sequence[Table]]]":
    """Return a function for each source that returns the tables to read. Raises a usage error for
    the name of a table that is ambiguous or malformed."""
    from sanityd.checks.invariant import TableName
    from sanityd.cli import proposals

    if not words:
        return dict.fromkeys(rules.sources, proposals.all_tables)
    default = next(iter(rules.sources)) if len(rules.sources) == 1 else None
    names: dict[str, list[TableName]] = {}
    for word in words:
        try:
            name = TableName.parse(word, rules.sources, default)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        names.setdefault(name.source, []).append(name)
    return {source: partial(_named_tables, of_source) for source, of_source in names.items()}


def _named_tables(names: "Sequence[TableName]", snapshot: "Snapshot") -> "Sequence[Table]":
    """Return the tables of a snapshot that the names mean, each once. Raises a usage error for a
    name that means none."""
    from sanityd.authoring.suggest import table_names
    from sanityd.errors import CheckError

    tables: dict[Table, None] = {}
    for name in names:
        if "*" in str(name):
            tables.update(dict.fromkeys(_matching_tables(name, snapshot)))
            continue
        try:
            tables[table_names.canonical_name(snapshot, name.name, name.schema)] = None
        except CheckError as error:
            raise click.UsageError(f"{error.message}. {error.hint}") from None
    return list(tables)


def _matching_tables(name: "TableName", snapshot: "Snapshot") -> list[Table]:
    matching = []
    for schema, table in snapshot.all_tables():
        if fnmatch.fnmatchcase(schema or "", name.schema or "") and fnmatch.fnmatchcase(
            table, name.name
        ):
            matching.append((schema, table))
    if not matching:
        raise click.UsageError(f"no table is like `{name}`")
    return matching


def _chosen(results: "Sequence[Suggestions]", accepted: Sequence[str]) -> "list[Proposal]":
    """Return the accepted proposals. Raises a usage error for a name that is not proposed."""
    from sanityd.cli.options import no_such

    by_id = {}
    for suggestions in results:
        for proposal in suggestions.proposals:
            by_id[proposal.id] = proposal
    if ALL in accepted:
        return list(by_id.values())
    for name in accepted:
        if name not in by_id:
            raise no_such(f"no rule `{name}` is proposed", name, by_id, "; nothing was written")
    return [by_id[name] for name in dict.fromkeys(accepted)]


def _offers(rules: "RuleSet", words: Sequence[str]) -> "list[ConstraintProposal]":
    """Return constraints for rules that have held for long according to the store."""
    from sanityd import clock
    from sanityd.authoring.suggest import constraints
    from sanityd.cli.options import existing_store
    from sanityd.sources.snapshot_pool import SnapshotPool

    store = existing_store(rules)
    if store is None:
        return []
    try:
        with store.read() as connection:
            stable_rules = constraints.unviolated_rules(connection, rules, clock.now())
    finally:
        store.close()
    selected = []
    for rule_id, rule in rules.rules.items():
        if rule_id in stable_rules and _is_about(rule, words):
            selected.append(rule)
    offers: list[ConstraintProposal] = []
    with SnapshotPool(rules.sources) as snapshots:
        for source, batch in rules.by_source(selected).items():
            offers += constraints.constraint_proposals(
                snapshots.snapshot(source), batch, stable_rules
            )
    return offers


def _is_about(rule: "Rule", words: Sequence[str]) -> bool:
    """Return whether a rule is about one of the tables; all are meant without words."""
    if not words:
        return True
    name = str(rule.invariant.subject.table or "")
    names = (name, name.partition(".")[2])
    return any(fnmatch.filter(names, word) for word in words)


def _print_offers(offers: "Sequence[ConstraintProposal]") -> None:
    from sanityd.alerts.compose.sanitize import display_value
    from sanityd.cli import terminal

    console: Any = terminal.console()
    if offers:
        rules = "1 rule has" if len(offers) == 1 else f"{len(offers)} rules have"
        console.print(
            f"{rules} held for 90 days and could be constraints of the database:", soft_wrap=True
        )
    for offer in offers:
        console.print(f"\n  {offer.rule.id}", style="bold")
        since = f"{offer.record.since:%Y-%m-%d}"
        console.print(f"    never violated since {since}, in {offer.record.looks:,} runs")
        for statement in offer.constraint.statements:
            console.print(f"      {display_value(statement, 2000)};", soft_wrap=True)
        console.print(f"    {display_value(offer.constraint.advice, 2000)}", soft_wrap=True)
    if any(offer.constraint.statements for offer in offers):
        console.print(
            "\nNone of this is run by sanityd. Read it and try it on a copy. "
            "Keep the rule: with the constraint, it costs nothing."
        )


def _as_json(offer: "ConstraintProposal") -> dict[str, Any]:
    return {
        "rule": offer.rule.id,
        "since": offer.record.since.isoformat(),
        "looks": offer.record.looks,
        "statements": list(offer.constraint.statements),
        "advice": offer.constraint.advice,
        "proves": offer.constraint.proves,
    }


def _print_suggestions(results: "Sequence[tuple[Suggestions, float]]", *, with_rules: bool) -> None:
    """Print what was found in each source and, with `with_rules`, the proposed rules as YAML."""
    from sanityd.authoring import starter
    from sanityd.cli import proposals, terminal

    console: Any = terminal.console()
    has_proposals = False
    for suggestions, seconds in results:
        if len(results) > 1:
            console.print(f"{suggestions.source} ({suggestions.database})", style="bold")
        proposals.show(console, suggestions, seconds)
        if suggestions.proposals and with_rules:
            has_proposals = True
            click.echo()
            click.echo(starter.rules_text(suggestions.proposals))
    if has_proposals:
        click.echo(
            "`sanityd suggest --accept` writes all of them into the rules file,"
            " `--accept RULE` one of them."
        )
