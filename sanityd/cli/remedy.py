"""`sanityd remedy`: sends the remedy of a rule for its open rows, or shows what would be sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sanityd.cli import EXIT_UNKNOWN
from sanityd.cli.act import parse_key
from sanityd.cli.options import open_store, rule_named, rules_option

if TYPE_CHECKING:
    from sanityd.model.remedies import StoredRemedy
    from sanityd.pipeline.remedies.planning import Approval, RepairPlan
    from sanityd.rules.rule import Rule, RuleSet
    from sanityd.store.open import Store

#: The most requests that a dry run prints.
_MOST_SHOWN = 100


@click.command("remedy")
@click.argument("name", metavar="RULE")
@click.argument("rows", nargs=-1, metavar="[KEY=VALUE[,…]]…")
@click.option("--dry-run", is_flag=True, help="Print the requests; send and record nothing.")
@click.option("--resume", is_flag=True, help="Let a remedy go on that stopped by itself.")
@click.option("--reason", metavar="TEXT", help="Why; others read it.")
@click.option("--by", metavar="NAME", help="Who decides (SANITYD_AUTHOR, else the login name).")
@rules_option
@click.pass_context
def command(
    ctx: click.Context,
    name: str,
    rows: Sequence[str],
    dry_run: bool,
    resume: bool,
    reason: str | None,
    by: str | None,
    path: Path,
) -> None:
    """Send the remedy of a rule for its open rows, or for those that are named.

    Rows that are accepted or snoozed are left out. A request that was accepted is not sent again
    while its row stays violated; one that failed is sent again under the same id. Nothing counts as
    repaired before `check` has verified it.

    Exit 0: all requests were accepted. 3: one was refused, failed, or is to be tried again.
    """
    from sanityd import clock, telemetry
    from sanityd.notifications.author import author_name
    from sanityd.pipeline.remedies.planning import Approval
    from sanityd.rules.load import load

    telemetry.start(ctx.obj["log"])
    if not dry_run and not (reason or "").strip():
        raise click.UsageError("say why, with --reason")
    keys = [parse_key(row) for row in rows]
    rules = load(path)
    rule = rule_named(rules, name)
    approval = Approval(author_name(by), " ".join((reason or "").split()), clock.now(), keys)
    store = open_store(rules)
    try:
        if dry_run:
            _print_requests(rule, store, approval)
        elif resume:
            _resume(rule, store, approval)
        elif not _send(rules, rule, store, approval):
            ctx.exit(EXIT_UNKNOWN)
    finally:
        store.close()


def _print_requests(rule: "Rule", store: "Store", approval: "Approval") -> None:
    """Print each request as it would be sent, with its headers masked."""
    from sanityd.cli.terminal import plural
    from sanityd.pipeline.remedies import planning
    from sanityd.pipeline.remedies.requests import RemedyValueError, as_text
    from sanityd.store import remedies

    with store.read() as connection:
        plan = planning.prepare(connection, rule, approval)
        stopped = remedies.status_of(connection, rule.id).stopped
    spec = planning.remedy_of(rule).written
    requests = plan.to_send
    for request in requests[:_MOST_SHOWN]:
        try:
            click.echo(as_text(spec, request))
        except RemedyValueError as error:
            click.echo(f"request {request.id}: not possible: {error.message}. {error.hint}")
    if len(requests) > _MOST_SHOWN:
        click.echo(f"and {len(requests) - _MOST_SHOWN:,} more.")
    count = f"{len(requests):,} {plural(len(requests), 'request')}"
    click.echo(f"{count} would be sent; nothing was.{_done_words(plan)}")
    if stopped:
        click.echo(f"The remedy is stopped: {stopped}; `--resume` lets it go on.")


def _done_words(plan: "RepairPlan") -> str:
    if not plan.done:
        return ""
    return f" {len(plan.done):,} were accepted before; the next complete run verifies them."


def _resume(rule: "Rule", store: "Store", approval: "Approval") -> None:
    from sanityd.pipeline.remedies import planning, stopping

    planning.remedy_of(rule)
    with store.write() as connection:
        is_resumed = stopping.resume(
            connection, rule, approval.author, approval.reason, approval.at
        )
    if not is_resumed:
        raise planning.RemedyError(f"the remedy of `{rule.id}` is not stopped")
    click.echo(f"The remedy of {rule.id} goes on; nothing was sent yet.")


def _send(rules: "RuleSet", rule: "Rule", store: "Store", approval: "Approval") -> bool:
    """Record the requests, send them, and print what became of them. Returns whether all were
    accepted."""
    from sanityd.pipeline.remedies import planning, running, stopping
    from sanityd.pipeline.remedies.telling import open_incident

    planning.remedy_of(rule)
    # In a transaction of its own: `approve` raises when it is stopped, and then records nothing.
    with store.write() as connection:
        incident = open_incident(connection, rules, rule, approval.at)
        stopping.stop_if_harmful(connection, rules, rule, incident, approval.at)
    with store.write() as connection:
        plan = planning.approve(connection, rules, rule, approval)
    if not plan.to_send:
        click.echo(f"{rule.id}: nothing is to be sent.{_done_words(plan)}")
        return True
    summary = running.send_due(rules, store, [rule])
    problem = summary.problems.get(rule.id, "")
    return _print_results(rule, store, plan.to_send, approval, problem)


def _print_results(
    rule: "Rule",
    store: "Store",
    requests: "Sequence[StoredRemedy]",
    approval: "Approval",
    problem: str,
) -> bool:
    """Print how many requests ended in which state. Returns whether all were accepted."""
    from collections import Counter

    from sanityd.cli.terminal import plural
    from sanityd.model.remedies import RemedyState
    from sanityd.store import remedies

    ids = {request.id for request in requests}
    with store.read() as connection:
        stored = remedies.of_rule(connection, rule.id)
    # A batch may have been replaced meanwhile by one with fewer rows.
    own = [remedy for remedy in stored if remedy.id in ids or remedy.at >= approval.at]
    states = Counter(remedy.state for remedy in own)
    counts = f"{len(own):,} {plural(len(own), 'request')}"
    parts = [f"{count:,} {state.value}" for state, count in states.items()]
    click.echo(f"{rule.id}: {counts}: {', '.join(parts)}.")
    if problem:
        click.echo(f"  {problem}")
    if states[RemedyState.DONE]:
        click.echo("  Nothing counts as repaired before a run has verified it: `sanityd check`.")
    waiting = states[RemedyState.PLANNED] + states[RemedyState.SENT]
    if waiting:
        click.echo("  What waits is tried again by the next pass, under the same ids.")
    return states[RemedyState.DONE] + states[RemedyState.CANCELLED] == len(own)
