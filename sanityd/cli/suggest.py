"""`sanityd suggest`: rules that the data keeps, or nearly keeps, and that nobody has written
yet."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sanityd.cli.options import rules_option, sample_option

if TYPE_CHECKING:
    from sanityd.authoring.suggest.constraints import Offer
    from sanityd.authoring.suggest.results import Proposal, Suggestions
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.sources.base import Snapshot

#: The value of `--accept` without a rule.
EVERY = "*"
#: How many rules are proposed of a table that was asked for by name.
EVERYTHING = 100
Place = tuple[str | None, str]


@click.command("suggest")
@click.argument("table", required=False)
@click.option(
    "--accept",
    "accepted",
    metavar="[RULE]",
    multiple=True,
    is_flag=False,
    flag_value=EVERY,
    help="Write this rule into the rules file; without a name, all. May be repeated.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it."
)
@sample_option
@rules_option
@click.pass_context
def command(
    ctx: click.Context,
    table: str | None,
    accepted: tuple[str, ...],
    form: str,
    whole: int,
    path: Path,
) -> None:
    """Look at the tables and propose rules, each with what was seen; and constraints for rules that
    have held for long.

    TABLE is one table: `people`, `crm.people`, or with its source, `app.people`. The databases are
    only read; constraints are printed and never made. Nothing is written without `--accept`.
    """
    from sanityd import telemetry
    from sanityd.authoring import yaml_insert
    from sanityd.authoring.suggest.results import Taken
    from sanityd.cli import proposals
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    rules = load(path, need_rules=False)
    taken = Taken.by(rules.rules.values())
    found = [
        proposals.look(rules.sources[source], names, whole, taken, EVERYTHING if table else None)
        for source, names in _places(rules, table).items()
    ]
    offers = _offers(rules, table)
    chosen = _chosen([one for one, _ in found], accepted)
    if form == "json":
        document = {
            "version": 1,
            "sources": [proposals.as_json(one, seconds) for one, seconds in found],
            "constraints": [_as_json(offer) for offer in offers],
        }
        click.echo(json.dumps(document, indent=2, default=str))
    else:
        _tell(found, silent=bool(accepted))
        _tell_offers(offers)
    if chosen:
        file = yaml_insert.insert(path, {proposal.id: proposal.lines() for proposal in chosen})
        click.echo(
            f"Wrote {len(chosen)} rule{'s' * (len(chosen) != 1)} into {file}.", err=form == "json"
        )


def _places(
    rules: "RuleSet", table: str | None
) -> "dict[str, Callable[[Snapshot], Sequence[Place]]]":
    """Which tables to look at, per source. Raises a usage error for a table that can't be meant."""
    from sanityd.authoring.suggest import table_names
    from sanityd.checks.invariant import TableName
    from sanityd.cli import proposals

    if table is None:
        return dict.fromkeys(rules.sources, proposals.all_tables)
    default = next(iter(rules.sources)) if len(rules.sources) == 1 else None
    try:
        name = TableName.parse(table, rules.sources, default)
    except ValueError as error:
        raise click.UsageError(str(error)) from None

    def only(snapshot: "Snapshot") -> "Sequence[Place]":
        # Asked here, so that a wrong name is told as such.
        return [table_names.canonical_name(snapshot, name.name, name.schema)]

    return {name.source: only}


def _chosen(found: "Sequence[Suggestions]", accepted: Sequence[str]) -> "list[Proposal]":
    """The proposals that are to be written. Raises a usage error for one that there isn't."""
    from sanityd.cli.options import no_such

    by_id = {proposal.id: proposal for one in found for proposal in one.proposals}
    if EVERY in accepted:
        return list(by_id.values())
    for name in accepted:
        if name not in by_id:
            raise no_such(f"no rule `{name}` is proposed", name, by_id, "; nothing was written")
    return [by_id[name] for name in dict.fromkeys(accepted)]


def _offers(rules: "RuleSet", table: str | None) -> "list[Offer]":
    """Constraints for rules that have held for long, as far as sanityd's connection knows."""
    from sanityd import clock
    from sanityd.authoring.suggest import constraints
    from sanityd.cli.options import existing_store
    from sanityd.sources.snapshot_pool import SnapshotPool

    store = existing_store(rules)
    if store is None:
        return []
    try:
        with store.read() as connection:
            held = constraints.held_long(connection, rules, clock.now())
    finally:
        store.close()
    wanted = [rule for name, rule in rules.rules.items() if name in held and _is_about(rule, table)]
    found: list[Offer] = []
    with SnapshotPool(rules.sources) as views:
        for source, some in rules.by_source(wanted).items():
            found += constraints.offers(views.snapshot(source), some, held)
    return found


def _is_about(rule: "Rule", table: str | None) -> bool:
    full = str(rule.invariant.subject.table or "")
    return table is None or full == table or full.partition(".")[2] == table


def _tell_offers(offers: "Sequence[Offer]") -> None:
    from sanityd.alerts.compose.sanitize import visible
    from sanityd.cli import terminal

    console: Any = terminal.console()
    if offers:
        rules = "1 rule has" if len(offers) == 1 else f"{len(offers)} rules have"
        console.print(
            f"{rules} held for 90 days and could be the database's own business:", soft_wrap=True
        )
    for offer in offers:
        console.print(f"\n  {offer.rule.id}", style="bold")
        console.print(
            f"    never violated since {offer.held.since:%Y-%m-%d}, in {offer.held.looks:,} looks"
        )
        for statement in offer.constraint.statements:
            console.print(f"      {visible(statement, 2000)};", soft_wrap=True)
        console.print(f"    {visible(offer.constraint.advice, 2000)}", soft_wrap=True)
    if any(offer.constraint.statements for offer in offers):
        console.print(
            "\nsanityd runs none of this. Read it, try it on a copy, and keep the rule: it is not looked at then."
        )


def _as_json(offer: "Offer") -> dict[str, Any]:
    return {
        "rule": offer.rule.id,
        "since": offer.held.since.isoformat(),
        "looks": offer.held.looks,
        "statements": list(offer.constraint.statements),
        "advice": offer.constraint.advice,
        "proves": offer.constraint.proves,
    }


def _tell(found: "Sequence[tuple[Suggestions, float]]", *, silent: bool) -> None:
    from sanityd.authoring import starter
    from sanityd.cli import proposals, terminal

    console: Any = terminal.console()
    for one, seconds in found:
        if len(found) > 1:
            console.print(f"{one.source} ({one.database})", style="bold")
        proposals.tell(console, one, seconds)
        if one.proposals and not silent:
            click.echo()
            click.echo(starter.written(one.proposals))
    if not silent and any(one.proposals for one, _ in found):
        click.echo(
            "`sanityd suggest --accept` writes all of them into the rules file, `--accept RULE` one of them."
        )
