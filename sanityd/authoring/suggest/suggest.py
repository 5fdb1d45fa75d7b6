"""Propose rules for the tables of a source: profile each table, then try the candidates for it.

All of it happens in one snapshot. Tables that can't be read, or not in time, are skipped and
reported.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import distinct as sql_distinct
from sqlalchemy import func, select

from sanityd.authoring.suggest import naming, profiler, proposals
from sanityd.authoring.suggest.candidate_trial import GivenUp, Tried, try_candidates
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile, is_nameable
from sanityd.authoring.suggest.proposals.base import SourceContext
from sanityd.authoring.suggest.relationships import Relationships
from sanityd.authoring.suggest.results import NOTHING, ExistingRules, Proposal, Suggestions
from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot
from sanityd.sources.privileges import SEE_ALL

#: Schema and name of a table.
TableKey = tuple[str | None, str]
#: Maximum number of rules proposed for one table, and for all.
PER_TABLE = 10
IN_ALL = 60
#: A `row_count` rule is proposed only for a table with fewer rules than this.
_ENOUGH_RULES = 3
#: Number of left-out rules that a message names.
_MAX_NAMED = 4


@dataclass
class _Progress:
    """The results so far, while the tables are read."""

    proposals: list[Proposal] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    tables: int = 0
    rows: int = 0
    left_out: int = 0


def suggest(
    snapshot: Snapshot,
    table_keys: Sequence[TableKey],
    *,
    whole: int,
    taken: ExistingRules = NOTHING,
    per_table: int = PER_TABLE,
    step: Callable[[str], None] = lambda _: None,
) -> Suggestions:
    """Return proposals for some tables of a source. Raises SourceError when it is lost.

    Parameters: `table_keys` are the schemas and names of the tables; tables with more than `whole`
    rows are read as a sample; rules that say what those in `taken` say are not proposed; at most
    `per_table` rules are proposed for one table; `step` is called with the name of each table
    before it is read.
    """
    source = snapshot.source.settings.name
    taken = taken.with_canonical_names(snapshot)
    progress = _Progress()
    context = _context(snapshot)
    for table_key in table_keys:
        title = ".".join(part for part in (source, *table_key) if part)
        step(title)
        if not is_nameable(*table_key):
            progress.skipped.append((title, "a name with a dot can't be written in a rule"))
            continue
        try:
            table_proposals = _propose(snapshot, table_key, context, whole, taken, progress)
        except CheckError as error:
            progress.skipped.append((title, error.message))
            continue
        progress.left_out += max(0, len(table_proposals) - per_table)
        progress.proposals += table_proposals[:per_table]
    best = sorted(progress.proposals, key=_sort_key)
    return Suggestions(
        source,
        snapshot.source.dialect.name,
        progress.tables,
        progress.rows,
        _with_final_ids(best[:IN_ALL], taken.ids),
        progress.left_out + max(0, len(best) - IN_ALL),
        progress.skipped,
        progress.empty,
    )


def _context(snapshot: Snapshot) -> SourceContext:
    """Return what the proposals may ask about the whole source."""

    def share_contained(table: TableProfile, column: str, values: Iterable[object]) -> float:
        return _share_contained(snapshot, table, column, list(values))

    tables = list(_catalog_tables(snapshot))
    return SourceContext(Relationships(tables), share_contained, snapshot.quoted)


def _propose(
    snapshot: Snapshot,
    table_key: TableKey,
    context: SourceContext,
    whole: int,
    taken: ExistingRules,
    progress: _Progress,
) -> list[Proposal]:
    """Return all proposals for one table, the best first. Raises CheckError."""
    table, scope = profiler.profile(snapshot, snapshot.source.settings.name, table_key, whole)
    progress.tables += 1
    progress.rows += table.rows_read
    if not table.rows_read:
        _record_empty(table, progress)
        return []
    tried_rules = []
    sample = None if table.is_whole else scope.table
    for trial in try_candidates(list(proposals.candidates(table, context)), snapshot, sample):
        if isinstance(trial, GivenUp):
            reason = f"{trial.candidates} of its rules were not tried: {trial.why}"
            progress.skipped.append((table.title, reason))
        elif _is_worth_proposing(trial):
            tried_rules.append(trial)
    new_rules = [tried for tried in _without_redundant(tried_rules) if not taken.covers(tried)]
    table_proposals, without_key = _with_keys(table, tried_rules, new_rules)
    if without_key:
        progress.skipped.append((table.title, _missing_key_message(without_key)))
    return sorted(table_proposals, key=_sort_key)


def _record_empty(table: TableProfile, progress: _Progress) -> None:
    """Record a table of which no row was read."""
    if table.info.is_filtered:
        reason = f"row-level security hides all of its rows, if it has any; {SEE_ALL}"
        progress.skipped.append((table.title, reason))
    else:
        progress.empty.append(table.title)


def _is_worth_proposing(tried: Tried) -> bool:
    """Return whether a rule is likely right, and isn't proved by a constraint."""
    if tried.proof is not None or not tried.is_likely:
        return False
    return not (tried.holds and tried.candidate.only_if_violated)


def _rows_read_note(table: TableProfile) -> str:
    """Return which rows of a table were read, in words; nothing when all were."""
    notes = []
    if not table.is_whole:
        notes.append(f"a sample: {table.rows_read:,} of about {table.rows:,} rows")
    if table.info.is_filtered:
        notes.append("only rows that row-level security shows to this login")
    return "; ".join(notes)


def _missing_key_message(left_out: Sequence[Tried]) -> str:
    """Return why rules about the rows of a table are left out, and how to write them."""
    rules = []
    for tried in left_out:
        candidate = tried.candidate
        rules.append(f"`{candidate.kind}` of {' and '.join(candidate.columns)}")
    more = f" and {len(rules) - _MAX_NAMED} more" if len(rules) > _MAX_NAMED else ""
    return (
        "it has no primary key, so a rule about its rows needs"
        " `key: [columns that tell them apart]`; "
        f"left out: {', '.join(rules[:_MAX_NAMED])}{more}"
    )


def _without_redundant(tried_rules: Iterable[Tried]) -> Iterator[Tried]:
    """Iterate over the rules, the most important first, without redundant ones.

    A code that exists in another table, or is in a list of values, needs no format.
    """
    restricted_columns: set[str] = set()
    ordered = sorted(tried_rules, key=lambda tried: -tried.candidate.priority)
    for number, tried in enumerate(ordered):
        kind, columns = tried.candidate.kind, tried.candidate.columns
        # It is the least important, and would be proposed for every table.
        if kind == "row_count" and number >= _ENOUGH_RULES:
            continue
        if kind in ("accepted_values", "matches") and restricted_columns.issuperset(columns):
            continue
        if kind in ("references", "accepted_values"):
            restricted_columns.update(columns)
        yield tried


def _with_keys(
    table: TableProfile, tried_rules: Sequence[Tried], new_rules: Sequence[Tried]
) -> tuple[list[Proposal], list[Tried]]:
    """Return the proposals, and the rules that are left out as they need a key and there is none.

    Rules about rows need the table's own key, or a column that was found to be unique.
    """
    note = _rows_read_note(table)
    has_own_key = bool(table.info.key)
    unique_column = None
    if not has_own_key:
        unique_column = _unique_column(table, tried_rules)
    table_proposals = []
    without_key = []
    for tried in new_rules:
        rule_id = tried.candidate.id
        if has_own_key or not tried.invariant.check.needs_key:
            table_proposals.append(Proposal(rule_id, tried, (), note))
        elif unique_column is not None:
            table_proposals.append(Proposal(rule_id, tried, (unique_column,), note))
        else:
            without_key.append(tried)
    return table_proposals, without_key


def _unique_column(table: TableProfile, tried_rules: Sequence[Tried]) -> str | None:
    """Return a column that was found to be unique and not NULL, None when there is none."""
    for tried in tried_rules:
        candidate = tried.candidate
        if candidate.kind != "unique" or not tried.holds or len(candidate.columns) != 1:
            continue
        name = candidate.columns[0]
        if table.columns[name].non_null == table.rows_read:
            return name
    return None


def _sort_key(proposal: Proposal) -> tuple[bool, int, str, str]:
    """Sort rules that don't hold first, then by priority."""
    candidate = proposal.tried.candidate
    return proposal.tried.holds, -candidate.priority, candidate.table.title, candidate.id


def _with_final_ids(
    sorted_proposals: Sequence[Proposal], used_ids: Collection[str]
) -> list[Proposal]:
    """Return the proposals with unique ids that contain the name of the table."""
    used = set(used_ids)
    renamed = []
    for proposal in sorted_proposals:
        info = proposal.table.info
        table = naming.slug(*(part for part in (info.schema, info.name) if part))
        rule_id = naming.unique_id(proposal.id.replace("{table}", table), used)
        used.add(rule_id)
        renamed.append(replace(proposal, id=rule_id))
    return renamed


def _catalog_tables(snapshot: Snapshot) -> Iterator[TableProfile]:
    """Iterate over all tables of the source, as the catalog describes them; reads no rows."""
    source = snapshot.source.settings.name
    for schema, name in snapshot.all_tables():
        try:
            info = snapshot.table(name, schema)
        except CheckError:
            continue
        columns = {
            column: ColumnProfile(column_info) for column, column_info in info.columns.items()
        }
        yield TableProfile(source, info, 0, 0, columns)


def _share_contained(
    snapshot: Snapshot, table: TableProfile, column: str, values: Sequence[object]
) -> float:
    """Return the share of these values that exists in a column; 0.0 when that is unknown."""
    clause = table.info.clause
    expression = clause.c[column]
    statement = select(func.count(sql_distinct(expression))).select_from(clause)
    try:
        bound_values = [bind(value) for value in values]
        [(count,)] = snapshot.rows(statement.where(expression.in_(bound_values)))
    except CheckError:
        return 0.0
    return min(1.0, float(count) / len(values)) if values else 0.0
