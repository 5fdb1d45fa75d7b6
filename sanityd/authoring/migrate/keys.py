"""Which columns identify a row, by what the other tool itself checks: tables of warehouses often have no primary key.

A rule about rows can't be looked at without one.
"""

from collections.abc import Iterable, Sequence

from sanityd import plugins
from sanityd.authoring.migrate.draft import Draft, Translation
from sanityd.authoring.migrate.selecting import LIKE_A_KEY

_NOTE = "`key` is a column that was checked to be unique. Its values stand in mails: say another where that won't do."


def keyed(translations: Iterable[Translation]) -> list[Translation]:
    """The same, where rules about rows of a table that has a unique column called like a key name it."""
    found = list(translations)
    keys = {table: key for table, drafts in _by_table(found).items() if (key := _key(drafts))}
    return [
        Translation(
            one.place, one.what, tuple(_with_key(draft, keys) for draft in one.drafts), one.reason
        )
        for one in found
    ]


def notes(translations: Iterable[Translation]) -> tuple[str, ...]:
    """What is to be said of the keys that `keyed` found."""
    drafts = (draft for one in translations for draft in one.drafts)
    return (
        (_NOTE,) if any("key" in draft.keys and draft.kind != "query" for draft in drafts) else ()
    )


def _by_table(translations: Iterable[Translation]) -> dict[str, list[Draft]]:
    tables: dict[str, list[Draft]] = {}
    for draft in (draft for one in translations for draft in one.drafts):
        tables.setdefault(str(draft.keys.get("table")), []).append(draft)
    return tables


def _key(drafts: Sequence[Draft]) -> str:
    """The column that is checked to be unique and is called like a key. Others may hold what must not leave."""
    unique = (draft.options for draft in drafts if draft.kind == "unique" and _is_plain(draft))
    return next(
        (name for name in unique if isinstance(name, str) and LIKE_A_KEY.fullmatch(name)), ""
    )


def _is_plain(draft: Draft) -> bool:
    """Whether it is about all rows, and every violation counts."""
    return "where" not in draft.keys and not isinstance(draft.keys.get("severity"), dict)


def _with_key(draft: Draft, keys: dict[str, str]) -> Draft:
    key = keys.get(str(draft.keys.get("table")))
    if key is None or "key" in draft.keys or not _is_about_rows(draft.kind):
        return draft
    return draft.having(key=key)


def _is_about_rows(kind: str) -> bool:
    check = plugins.lookup("checks", kind)
    return bool(check.needs_key)
