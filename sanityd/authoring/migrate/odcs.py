"""The Open Data Contract Standard 3.x: what a contract says of its tables and columns, and their quality, as rules."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sanityd.authoring.migrate import conditions, reading, spans
from sanityd.authoring.migrate.draft import (
    Draft,
    Migration,
    Translation,
    Unmappable,
    quoted,
    source_name,
)
from sanityd.authoring.migrate.keys import keyed, notes
from sanityd.authoring.migrate.odcs_quality import QualitySubject, drafts_of, words_of
from sanityd.authoring.migrate.reading import Node

#: The custom properties by which an exported contract says which source a table is in, which others rules name, and
#: what holds of no table.
SOURCE, SOURCES, RULES = "sanitydSource", "sanitydSources", "sanitydRules"
_FORMATS = {"email": "email", "uuid": "uuid", "uri": "url", "ipv4": "ip", "ipv6": "ip"}
_LIMITS = {
    "minimum": "min",
    "maximum": "max",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
}
_LENGTHS = {"minLength": "min", "maxLength": "max"}
_UNITS = {
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("h", "hr", "hour", "hours"), "h"),
    **dict.fromkeys(("m", "min", "minute", "minutes"), "m"),
    **dict.fromkeys(("s", "sec", "second", "seconds"), "s"),
    **dict.fromkeys(("w", "week", "weeks"), "w"),
}


def read(paths: Sequence[Path], source: str | None) -> Migration:
    """Read contracts. `source` is the name of the database (that of the contract's first server, or `app`)."""
    found: list[Translation] = []
    said: list[str] = []
    sources: dict[str, None] = {}
    for path in paths:
        root = reading.read(path)
        if not isinstance(root.value, dict) or root.text("kind") != "DataContract":
            raise reading.wrong(root, "this is no data contract", "it says `kind: DataContract`")
        if not (root.text("apiVersion") or "").startswith("v3"):
            node = root.get("apiVersion") or root
            raise reading.wrong(
                node, "only version 3 of the standard is read", "convert the contract to `v3.1.0`"
            )
        contract = _OdcsContract(root, source)
        checks = sorted(contract.all(), key=lambda one: one.place.line)
        # A contract of ours says which rules have a key.
        done = checks if contract.exported else keyed(checks)
        said += () if contract.exported else notes(done)
        found += done
        sources |= dict.fromkeys(contract.sources)
    return Migration("odcs", tuple(found), tuple(sources), tuple(dict.fromkeys(said)))


class _OdcsContract:
    """One contract."""

    def __init__(self, root: Node, source: str | None) -> None:
        servers = root.list("servers")
        first = servers[0] if servers else None
        named = source_name(first.text("server", "id") or "") if first is not None else "app"
        self.root = root
        self.source = source or named
        self.schema = None if first is None else first.text("schema")
        ours = {
            word: one
            for one in root.list("customProperties")
            if (word := one.text("property")) in (SOURCES, RULES)
        }
        self.exported = bool(ours)
        self.sources = (
            dict.fromkeys(source_name(one.raw) for one in ours[SOURCES].list("value"))
            if SOURCES in ours
            else {}
        )
        self.loose = ours[RULES].mappings("value") if RULES in ours else ()

    def all(self) -> Iterator[Translation]:
        """What it says of tables, columns and service levels."""
        for node in self.root.list("schema"):
            yield from self._object(node)
        for node in self.root.list("slaProperties"):
            yield _level(node, self)
        for node in self.loose:
            yield _quality(node, QualitySubject(self.source, self.source, "", exported=True))
        if not self.sources:
            self.sources[self.source] = None

    def subject(self, node: Node) -> QualitySubject:
        """The table of an object of the schema."""
        own = next(
            (
                one.text("value")
                for one in node.list("customProperties")
                if one.text("property") == SOURCE
            ),
            None,
        )
        # In a contract of ours the rules name their tables themselves.
        source = source_name(own) if own else self.source
        self.sources[source] = None
        named = node.text("physicalName") or node.text("name") or "?"
        parts = named.split(".")[-2:]
        if len(parts) == 1 and self.schema:
            parts = [self.schema, *parts]
        table, sql = ".".join([source, *parts]), ".".join(map(quoted, parts))
        columns = {
            one.text("name") or "": physical
            for one in node.list("properties")
            if (physical := one.text("physicalName"))
        }
        return QualitySubject(
            source, table, sql, node.text("name") or "?", exported=own is not None, physical=columns
        )

    def named(self, name: str) -> Node | None:
        """The object of that name."""
        return next((one for one in self.root.list("schema") if one.text("name") == name), None)

    def column(self, path: str) -> tuple[QualitySubject, str]:
        """The table and column that `orders.id` names. Raises Unmappable when the contract has no such table."""
        table, _, column = path.rpartition(".")
        node = self.named(table)
        if node is None or not column:
            raise Unmappable(f"`{path}` is no column of a table of this contract")
        property_ = next(
            (one for one in node.list("properties") if one.text("name") == column), None
        )
        return self.subject(node), (
            property_.text("physicalName") if property_ is not None else None
        ) or column

    def _object(self, node: Node) -> Iterator[Translation]:
        about, properties = self.subject(node), node.list("properties")
        if properties and not about.exported:
            yield from _columns(node, about, properties)
        yield from _primary_key(about, properties)
        for item in node.list("relationships"):
            yield self._reference(item, about, [one.raw for one in item.list("from")])
        for item in node.list("quality"):
            yield _quality(item, about)
        for one in properties:
            yield from self._property(one, about)

    def _property(self, node: Node, table: QualitySubject) -> Iterator[Translation]:
        name = node.text("physicalName") or node.text("name") or "?"
        about = table.of(name)
        if node.list("properties"):
            yield Translation(
                node.place,
                f"properties of {about}",
                reason="columns inside of columns have no counterpart",
            )
        yield from _promises(node, about)
        yield from _options(node, about)
        for one in node.list("relationships"):
            yield self._reference(one, about, [f"{table.name}.{node.text('name')}"])
        for item in node.list("quality"):
            yield _quality(item, about)

    def _reference(self, node: Node, about: QualitySubject, here: Sequence[str]) -> Translation:
        """A foreign key, of one column or several. As in SQL it holds where one of them is NULL."""
        what = f"relationship of {about}"
        try:
            there = [one.raw for one in node.list("to")]
            if (
                (node.text("type") or "foreignKey") != "foreignKey"
                or len(here) != len(there)
                or not here
            ):
                raise Unmappable(
                    "it is no foreign key with as many columns on one side as on the other"
                )
            mine, theirs = (
                [self.column(path) for path in here],
                [self.column(path) for path in there],
            )
            if len({subject.table for subject, _ in theirs}) != 1 or any(
                one.table != about.table for one, _ in mine
            ):
                raise Unmappable("its columns are in several tables")
            table, names = theirs[0][0], [name for _, name in mine]
            pairs = {
                name: f"{table.table}.{other}"
                for name, (_, other) in zip(names, theirs, strict=True)
            }
            says = f"{' and '.join(names)} of {about.noun} exists in {table.noun}"
            return Translation(
                node.place, what, (about.finished(Draft(says, "references", pairs)),)
            )
        except Unmappable as reason:
            return Translation(node.place, what, reason=str(reason))


def _columns(node: Node, about: QualitySubject, properties: list[Node]) -> Iterator[Translation]:
    names = [one.text("physicalName") or one.text("name") or "?" for one in properties]
    note = "Types are not compared: those of a contract are logical, not the database's."
    draft = Draft(
        f"{about.noun} has its columns", "columns", dict.fromkeys(names, "any"), notes=(note,)
    )
    yield Translation(node.place, f"properties of {about}", (about.finished(draft),))


def _primary_key(about: QualitySubject, properties: list[Node]) -> Iterator[Translation]:
    keys = [
        one
        for one in properties
        if (found := one.get("primaryKey")) is not None and found.value is True
    ]
    if not keys:
        return
    keys.sort(key=_position)
    names = [one.text("physicalName") or one.text("name") or "?" for one in keys]
    says = f"{' and '.join(names)} of {about.noun} is"
    drafts = [
        Draft(f"{says} a unique key", "unique", names if names[1:] else names[0]),
        Draft(f"{says} a complete key", "not_null", names if names[1:] else names[0]),
    ]
    yield Translation(keys[0].place, f"primaryKey of {about}", tuple(map(about.finished, drafts)))


def _position(node: Node) -> int:
    found = node.get("primaryKeyPosition")
    return found.value if found is not None and isinstance(found.value, int) else 0


def _promises(node: Node, about: QualitySubject) -> Iterator[Translation]:
    """`required`, `unique` and `enum`."""
    why = node.text("description")
    name = about.column
    if (found := node.get("required")) is not None and found.value is True:
        draft = Draft(about.says("is never null"), "not_null", name)
        yield Translation(found.place, f"required of {about}", (about.finished(draft, why=why),))
    if (found := node.get("unique")) is not None and found.value is True:
        draft = Draft(about.says("is unique"), "unique", name)
        yield Translation(found.place, f"unique of {about}", (about.finished(draft, why=why),))
    if (found := node.get("enum")) is not None:
        values = [one.get("value") or one for one in found.list()]
        options = {name: [one.plain() for one in values]}
        draft = Draft(
            about.says("is an accepted value"),
            "accepted_values",
            options,
            notes=("A NULL passes.",),
        )
        yield Translation(found.place, f"enum of {about}", (about.finished(draft, why=why),))


def _options(node: Node, about: QualitySubject) -> Iterator[Translation]:
    """`logicalTypeOptions`: what they say of values. A NULL has none, and passes."""
    found = node.get("logicalTypeOptions")
    if found is None or not isinstance(found.value, dict):
        return
    for place, what, made in _option_drafts(found, about):
        if isinstance(made, str):
            yield Translation(place, f"{what} of {about}", reason=made)
        else:
            yield Translation(place, f"{what} of {about}", (about.finished(made),))


def _option_drafts(node: Node, about: QualitySubject) -> Iterator[tuple[Any, str, Draft | str]]:
    name, options = about.column, node.value
    for kind, says, words in (
        ("between", "is in range", _LIMITS),
        ("length", "has a right length", _LENGTHS),
    ):
        limits = {word: options[key].plain() for key, word in words.items() if key in options}
        if limits:
            places = [key for key in words if key in options]
            yield (
                options[places[0]].place,
                " and ".join(places),
                Draft(about.says(says), kind, {name: limits}),
            )
    for key, one in options.items():
        if key == "pattern":
            draft = Draft(
                about.says("has its form"), "matches", {"columns": {name: one.raw}, "part": True}
            )
            yield (
                one.place,
                key,
                draft.having("ECMA's regular expressions and the database's differ in details."),
            )
        elif key == "multipleOf":
            yield (
                one.place,
                key,
                Draft(
                    about.says(f"is a multiple of {one.value}"),
                    "always",
                    f"{quoted(name)} % {one.value} = 0",
                ),
            )
        elif key == "format" and one.raw in _FORMATS:
            yield (
                one.place,
                key,
                Draft(about.says("is well formed"), "matches", {name: _FORMATS[one.raw]}),
            )
        elif key not in _LIMITS and key not in _LENGTHS:
            yield one.place, key, "it says how a value is stored, or has no counterpart"


def _quality(node: Node, about: QualitySubject) -> Translation:
    plain = node.plain()
    what = f"{words_of(plain)} on {about}"
    try:
        return Translation(node.place, what, tuple(drafts_of(plain, about)))
    except Unmappable as reason:
        return Translation(node.place, what, reason=str(reason))


def _level(node: Node, contract: _OdcsContract) -> Translation:
    """A service level: how old the newest row may be, where it says so."""
    word, element = (
        node.text("property") or "?",
        node.text("element") or contract.root.text("slaDefaultElement"),
    )
    what = f"slaProperties: {word}" + (f" of {element}" if element else "")
    try:
        if word.lower() not in ("latency", "ly", "freshness"):
            raise Unmappable("it is agreed upon, not looked up in a table")
        if element is None or "," in element:
            raise Unmappable("it names no column (`element: table.column`)")
        unit = _UNITS.get((node.text("unit") or "").lower())
        value = spans.number(node.text("value") or "")
        if unit is None or not isinstance(value, int):
            raise Unmappable("its value and unit are no length of time")
        about, column = contract.column(element)
        [draft] = conditions.fresh(column, about.noun, [(f"{value}{unit}", None)])
        return Translation(node.place, what, (about.finished(draft),))
    except Unmappable as reason:
        return Translation(node.place, what, reason=str(reason))
