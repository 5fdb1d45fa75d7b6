"""What dbt says of a test besides the test: severity and thresholds, `where`, tags, owner, whether it is on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sanityd.authoring.migrate import spans
from sanityd.authoring.migrate.draft import ROWS, VALUES, Draft, Unmappable
from sanityd.authoring.migrate.reading import Node

#: Keys that may also stand beside a test's arguments.
KEYS = {
    *(
        "severity",
        "tags",
        "enabled",
        "where",
        "limit",
        "warn_if",
        "error_if",
        "fail_calc",
        "store_failures",
    ),
    *(
        "store_failures_as",
        "meta",
        "database",
        "schema",
        "alias",
        "group",
        "docs",
        "sql_header",
        "weight",
    ),
}
_JINJA = ("{{", "{%", "{#")


def has_jinja(value: Any) -> bool:
    """Whether a text in a piece of plain data is for dbt to evaluate."""
    if isinstance(value, dict):
        return any(map(has_jinja, (*value.keys(), *value.values())))
    if isinstance(value, list):
        return any(map(has_jinja, value))
    return isinstance(value, str) and any(mark in value for mark in _JINJA)


def of_test(body: Node | None) -> dict[str, Any]:
    """The configuration of a test, from `config` and from beside it."""
    if body is None or not isinstance(body.value, dict):
        return {}
    inside = body.get("config")
    found = {key: node.plain() for key, node in body.value.items() if key in KEYS}
    return {
        **found,
        **({} if inside is None or not isinstance(inside.value, dict) else inside.plain()),
    }


def of_resource(node: Node) -> dict[str, Any]:
    """Tags, owner and `enabled` of a model, source, table or column."""
    config = node.get("config")
    inside = config.plain() if config is not None and isinstance(config.value, dict) else {}
    own = inside.get("meta")
    meta = {**_mapping(node, "meta"), **(own if isinstance(own, dict) else {})}
    tags = [*_names(_plain(node, "tags")), *_names(inside.get("tags"))]
    return {"tags": tags, "owner": meta.get("owner"), "enabled": inside.get("enabled", True)}


def decorated(draft: Draft, config: Mapping[str, Any], above: Sequence[dict[str, Any]]) -> Draft:
    """The rule with what the configuration of its test, column and model (`above`) says of it."""
    _refuse(config)
    meta = config.get("meta") if isinstance(config.get("meta"), dict) else {}
    owners = (
        [meta.get("owner"), *(one["owner"] for one in reversed(above))] if meta is not None else []
    )
    owner = next((_owner(one) for one in owners if _owner(one)), None)
    tags = list(
        dict.fromkeys([*(tag for one in above for tag in one["tags"]), *_names(config.get("tags"))])
    )
    on = config.get("enabled", True) is not False and all(
        one["enabled"] is not False for one in above
    )
    severity, note = _severity(config, draft.counted)
    where = config.get("where") if draft.kind not in ("query", "columns") else None
    return draft.having(
        note,
        _limit(config),
        where=None if where is None else str(where),
        severity=severity,
        owner=owner,
        tags=tags or None,
        enabled=None if on else False,
    )


def _refuse(config: Mapping[str, Any]) -> None:
    """What can't be imported as it says something that the file doesn't tell."""
    for key in ("where", "severity", "enabled", "warn_if", "error_if"):
        if has_jinja(config.get(key)):
            raise Unmappable(f"`{key}` is Jinja, which dbt alone can evaluate")
    if str(config.get("fail_calc", "count(*)")).replace(" ", "").lower() != "count(*)":
        raise Unmappable("`fail_calc` has no counterpart: a rule counts its violations")


def _limit(config: Mapping[str, Any]) -> str:
    return (
        f"`limit: {config['limit']}` is left out: all violations are counted."
        if config.get("limit")
        else ""
    )


def _severity(config: Mapping[str, Any], counted: str) -> tuple[Any, str]:
    """A severity, or a ladder of counts, and a note. None where it is the usual one."""
    word = str(config.get("severity", "error")).lower()
    if word not in ("error", "warn"):
        raise Unmappable(f"`severity: {word}` is neither error nor warn")
    warn, error = (_first(config, key) for key in ("warn_if", "error_if"))
    if counted not in (ROWS, VALUES) and (warn, error) != (1, 1):
        raise Unmappable("its threshold counts rows, and the rule is about the table as a whole")
    note = (
        "The threshold counts distinct values in dbt, rows here."
        if counted == VALUES and max(warn, error) > 1
        else ""
    )
    if word == "warn":
        return ("warning" if warn == 1 else {"warning": warn}), note
    if warn < error:
        return {"warning": warn, "error": error}, note
    return (None if error == 1 else {"error": error}), note


def _first(config: Mapping[str, Any], key: str) -> int:
    """The count from which on a threshold is reached."""
    if config.get(key) is None:
        return 1
    # What is reached when it holds: all but the counts that are right.
    first = spans.parse(str(config[key])).inverse().first_too_many()
    if first is None:
        raise Unmappable(
            f"`{key}: {config[key]}` has no counterpart: rules have a count from which on they are violated"
        )
    return first


def _owner(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("name") or value.get("email")
    return value if isinstance(value, str) and value.strip() and not has_jinja(value) else None


def _names(value: Any) -> Iterator[str]:
    listed = value if isinstance(value, list) else [value]
    return (str(one) for one in listed if one is not None and not has_jinja(one))


def _plain(node: Node, name: str) -> Any:
    found = node.get(name)
    return None if found is None else found.plain()


def _mapping(node: Node, name: str) -> dict[str, Any]:
    found = _plain(node, name)
    return found if isinstance(found, dict) else {}
