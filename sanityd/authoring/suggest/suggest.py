"""From a source to proposals: its tables are looked at one by one, and what is thought of each is tried at once.

All of it in one snapshot. What can't be read, or not in time, is told and left out.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import distinct as sql_distinct
from sqlalchemy import func, select

from sanityd.authoring.suggest import naming, profiler, proposals
from sanityd.authoring.suggest.profile import ColumnProfile, TableProfile, is_nameable
from sanityd.authoring.suggest.proposals.base import Surroundings
from sanityd.authoring.suggest.proposals.pointing import Pointers
from sanityd.authoring.suggest.results import NOTHING, Proposal, Suggestions, Taken
from sanityd.authoring.try_rule import GivenUp, Tried, attempt
from sanityd.checks.scope import bind
from sanityd.errors import CheckError
from sanityd.sources.base import Snapshot
from sanityd.sources.privileges import SEE_ALL

Place = tuple[str | None, str]
#: How many rules are proposed for one table, and in all.
PER_TABLE = 10
IN_ALL = 60
#: How many rules of a table are enough not to count its rows besides.
_PLENTY = 3
#: How many rules that were left out are named.
_NAMED = 4


@dataclass
class _TableProposals:
    """What is collected on the way."""

    proposals: list[Proposal] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    tables: int = 0
    rows: int = 0
    left_out: int = 0


def suggest(
    snapshot: Snapshot,
    places: Sequence[Place],
    *,
    whole: int,
    taken: Taken = NOTHING,
    per_table: int = PER_TABLE,
    step: Callable[[str], None] = lambda _: None,
) -> Suggestions:
    """Look at some tables of a source and propose rules for them. Raises SourceError when it is lost.

    Parameters: `places` are the schemas and names; tables with more than `whole` rows are read as a sample; `taken` is
    what is not proposed; of one table at most `per_table` are; `step` is called with each table's name beforehand.
    """
    source = snapshot.source.settings.name
    taken = taken.respelled(snapshot)
    found = _TableProposals()
    surroundings = Surroundings(
        Pointers(list(_known(snapshot, source))),
        lambda table, column, values: _share(snapshot, table, column, values),
        snapshot.quoted,
    )
    for place in places:
        title = ".".join(part for part in (source, *place) if part)
        step(title)
        if not is_nameable(*place):
            found.skipped.append((title, "a name with a dot can't be written in a rule"))
            continue
        try:
            good = _of_table(snapshot, place, surroundings, whole, taken, found)
            found.left_out += max(0, len(good) - per_table)
            found.proposals += good[:per_table]
        except CheckError as error:
            found.skipped.append((title, error.message))
    best = sorted(found.proposals, key=_order)
    return Suggestions(
        source,
        snapshot.source.dialect.name,
        found.tables,
        found.rows,
        _with_ids(best[:IN_ALL], taken.ids),
        found.left_out + max(0, len(best) - IN_ALL),
        found.skipped,
        found.empty,
    )


def _of_table(
    snapshot: Snapshot,
    place: Place,
    surroundings: Surroundings,
    whole: int,
    taken: Taken,
    found: _TableProposals,
) -> list[Proposal]:
    table, scope = profiler.profile(snapshot, snapshot.source.settings.name, place, whole)
    found.tables += 1
    found.rows += table.read
    if not table.read:
        if table.info.is_filtered:
            found.skipped.append(
                (table.title, f"row-level security hides all of its rows, if it has any; {SEE_ALL}")
            )
        else:
            found.empty.append(table.title)
        return []
    sample = None if table.is_whole else scope.table
    candidates = list(proposals.candidates(table, surroundings))
    tried = []
    for one in attempt(candidates, snapshot, sample):
        if isinstance(one, GivenUp):
            found.skipped.append(
                (table.title, f"{one.candidates} of its rules were not tried: {one.why}")
            )
        elif one.proof is None and one.is_likely and not (one.holds and one.candidate.only_broken):
            tried.append(one)
    sampled = _part_seen(table)
    new = [one for one in _said_once(tried) if not taken.covers(one)]
    good = sorted(_with_keys(table, tried, new, sampled), key=_order)
    if unnamed := [one for one in new if all(one is not proposal.tried for proposal in good)]:
        found.skipped.append((table.title, _without_a_key(unnamed)))
    return good


def _part_seen(table: TableProfile) -> str:
    """Which of its rows were looked at, where it may have others."""
    sampled = "" if table.is_whole else f"a sample: {table.read:,} of about {table.rows:,} rows"
    filtered = (
        "only rows that row-level security shows to this login" if table.info.is_filtered else ""
    )
    return "; ".join(filter(None, (sampled, filtered)))


def _without_a_key(left_out: Sequence[Tried]) -> str:
    """What can't be said of a table whose rows nothing names, and what to do about it."""
    rules = [f"`{one.candidate.kind}` of {' and '.join(one.candidate.about)}" for one in left_out]
    more = f" and {len(rules) - _NAMED} more" if len(rules) > _NAMED else ""
    return (
        "it has no primary key, so a rule about its rows needs `key: [columns that tell them apart]`; "
        f"left out: {', '.join(rules[:_NAMED])}{more}"
    )


def _said_once(tried: Iterable[Tried]) -> Iterator[Tried]:
    """Of rules that say which texts a column may hold, the one that says it most exactly: a code that exists elsewhere,
    or is in a list, needs no form."""
    said: set[str] = set()
    ordered = sorted(tried, key=lambda each: -each.candidate.worth)
    for place, one in enumerate(ordered):
        kind, about = one.candidate.kind, one.candidate.about
        # It is worth least, and would stand below each table.
        if kind == "row_count" and place >= _PLENTY:
            continue
        if kind in ("accepted_values", "matches") and said.issuperset(about):
            continue
        if kind in ("references", "accepted_values"):
            said.update(about)
        yield one


def _with_keys(
    table: TableProfile, tried: Sequence[Tried], new: Sequence[Tried], sampled: str
) -> Iterator[Proposal]:
    """Rules about rows need to name them: by the table's key, or by a column that was just found to be one."""
    key: tuple[str, ...] = ()
    if not table.info.key:
        for one in tried:
            [name, *others] = one.candidate.about or ("", "")
            if (
                one.candidate.kind == "unique"
                and one.holds
                and not others
                and table.columns[name].filled == table.read
            ):
                key = (name,)
                break
    for one in new:
        needs = one.invariant.check.needs_key and not table.info.key
        if not needs or key:
            yield Proposal(one.candidate.id, one, key if needs else (), sampled)


def _order(proposal: Proposal) -> tuple[bool, int, str, str]:
    """What doesn't hold comes first, then what is worth most."""
    candidate = proposal.tried.candidate
    return proposal.tried.holds, -candidate.worth, candidate.table.title, candidate.id


def _with_ids(proposals: Sequence[Proposal], taken: Collection[str]) -> list[Proposal]:
    """The ids with their table in them, each once."""
    used = set(taken)
    named = []
    for proposal in proposals:
        info = proposal.table.info
        table = naming.slug(*(part for part in (info.schema, info.name) if part))
        wanted = proposal.id.replace("{table}", table)
        used.add(name := naming.distinct(wanted, used))
        named.append(replace(proposal, id=name))
    return named


def _known(snapshot: Snapshot, source: str) -> Iterator[TableProfile]:
    """All tables as the catalog has them; nothing of them is read."""
    for schema, name in snapshot.places():
        try:
            info = snapshot.table(name, schema)
        except CheckError:
            continue
        columns = {column: ColumnProfile(about) for column, about in info.columns.items()}
        yield TableProfile(source, info, 0, 0, columns)


def _share(snapshot: Snapshot, table: TableProfile, column: str, values: Iterable[object]) -> float:
    """Which share of these values there is in a column."""
    wanted = list(values)
    there = table.info.clause.c[column]
    statement = select(func.count(sql_distinct(there))).select_from(table.info.clause)
    try:
        [(found,)] = snapshot.rows(statement.where(there.in_([bind(value) for value in wanted])))
    except CheckError:
        return 0.0
    return min(1.0, float(found) / len(wanted)) if wanted else 0.0
