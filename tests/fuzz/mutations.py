"""Ways to break a rules file: its bytes, its lines, its structure, its values, how deep and how
large it is."""

import copy
from collections.abc import Callable
from random import Random
from typing import Any

from tests.fuzz import corpus

Mutation = Callable[[Random, bytes], bytes]

_SIGNS = [
    *list("\t{}[]:,'\"*&!|>%@`#-?\n\\ $\x00\x7f\u0085\u2028\u202e\ufeffé日😀"), "- ", ": ", "<<: ", "---\n", "!!x ",
]  # fmt: skip
_NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**63, 10**400, -(10**300), 1e308, 0.1, "", " ", "\n", "~", "no", "null", "x" * 3000,
    "é日😀", "a\u202eb", "\ud7ff", "a\tb", "a\x85b", "${", "${X}", "${APP_DATABASE_URL}", "${X:-${Y}}", "sqlite://",
    "sqlite:///" + "x" * 500, "postgresql://u:p@h:99999/x", "mysql://[::1", "http://[", "files://", "a@b", "a@b.c, d",
    "99999999999d of x", "10m of ", "of", "0s", "9999999999w", "every 1s", "every 0m", "@daily Mars/Base",
    "* * * * * *", "0 0 31 2 *", "*/0 * * * *", "99 99 99 99 99", "daily at 24:00", "daily at 07:30 ../../etc/passwd",
    "\\d+", "(a+)+$", "[" * 50, "(?P<x>", "a" * 70000, "1 = 1; drop table x", "/* ! */ 1", "--", "'", "\"", "x'",
    "(" * 300, "(" * 40 + ")" * 40, "not " * 500 + "x", "1+" * 2000 + "1", "case when " * 100, "select 1",
    "select * from (" * 60, "a in (" + "1," * 4000 + "1)", "decimal(" * 20, "cast(x as decimal(1))",
    "a -> 'b' ->> 'c'", "U&\"\\0061\"", "$1", ":x", "?", "%(x)s", "{schema}", "50%", "0%", "1e999%", "nan", "inf",
    "-inf", ".nan", "at least -1", "at most 99999999999999999999", "last 0 runs", "app.", ".t", "a.b.c.d.e", "app..t",
    "new rows by x, full every 1s, overlap 1s", "2 runs", "10 runs", [], {}, [[]], [None], {"": None},
    {"a": {"b": {"c": {}}}}, [1, "a", None, [2]], {"x" * 300: 1}, {"in": {"source": "app", "query": "select 1"}},
]  # fmt: skip


def broken(chance: Random) -> bytes:
    """One broken file; now and then one that is still right."""
    if chance.random() < 0.004:
        return chance.choice(_LARGE)(chance)
    content = (
        _structure(chance) if chance.random() < 0.6 else chance.choice(corpus.files()).encode()
    )
    for _ in range(chance.choice([0, 0, 1, 1, 1, 2, 4])):
        content = chance.choice(_MUTATIONS)(chance, content)
    return content


def _bytes(chance: Random, content: bytes) -> bytes:
    start = chance.randrange(len(content) + 1)
    end = min(len(content), start + chance.choice([0, 1, 1, 2, 40]))
    return content[:start] + chance.randbytes(chance.choice([0, 1, 1, 2, 8])) + content[end:]


def _signs(chance: Random, content: bytes) -> bytes:
    text = content.decode("utf-8", errors="replace")
    start = chance.randrange(len(text) + 1)
    return (text[:start] + chance.choice(_SIGNS) + text[start + chance.randint(0, 2) :]).encode(
        "utf-8", "replace"
    )


def _lines(chance: Random, content: bytes) -> bytes:
    lines = content.split(b"\n")
    place, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    match chance.randrange(7):
        case 0:
            lines[place] = b" " * chance.randint(0, 9) + lines[place].lstrip()
        case 1:
            del lines[place]
        case 2:
            lines.insert(place, lines[other])
        case 3:
            lines[place], lines[other] = lines[other], lines[place]
        case 4:
            lines[place:place] = (
                chance.choice(corpus.files()).encode().split(b"\n")[: chance.randint(1, 40)]
            )
        case 5:
            return chance.choice([b"\r\n", b"\r", b"\n\n", b"\xc2\x85"]).join(lines)
        case _:
            lines = lines[:place]
    return b"\n".join(lines)


def _value(chance: Random, content: bytes) -> bytes:
    """Something nasty behind a colon."""
    places = [at for at in range(len(content)) if content.startswith(b": ", at)]
    if not places:
        return content
    start = chance.choice(places) + 2
    end = min(
        (at for at in (content.find(b"\n", start), content.find(b",", start)) if at >= 0),
        default=len(content),
    )
    value = corpus.written(chance.choice(_NASTY), flow=True).removesuffix("...\n").strip()
    return content[:start] + value.encode("utf-8", "replace") + content[end:]


def _structure(chance: Random) -> bytes:
    """A file whose data were changed before it was written."""
    data = copy.deepcopy(chance.choice(corpus.data()))
    for _ in range(chance.choice([1, 1, 2, 5])):
        holder, key = _somewhere(chance, data)
        if holder is None:
            break
        match chance.randrange(6):
            case 0 | 1:
                holder[key] = copy.deepcopy(chance.choice(_NASTY))
            case 2:
                del holder[key]
            case 3:
                holder[key] = [holder[key]] if chance.random() < 0.5 else {str(key): holder[key]}
            case 4:
                other, place = _somewhere(chance, chance.choice(corpus.data()))
                holder[key] = copy.deepcopy(other[place]) if other is not None else None
            case _ if isinstance(holder, dict):
                holder[_misspelt(chance, str(key))] = holder.pop(key)
    return corpus.written(data, flow=chance.choice([None, False, True])).encode("utf-8", "replace")


def _misspelt(chance: Random, name: str) -> str:
    at = chance.randrange(len(name) + 1)
    return chance.choice(
        [name[:at] + name[at + 1 :], name.upper(), name + "x", f"{name[:at]} {name[at:]}"]
    )


def _somewhere(chance: Random, data: Any) -> tuple[Any, Any]:
    places: list[tuple[Any, Any]] = []
    pending = [data]
    while pending:
        holder = pending.pop()
        for key in holder if isinstance(holder, dict) else range(len(holder)):
            places.append((holder, key))
            if isinstance(holder[key], dict | list):
                pending.append(holder[key])
    return chance.choice(places) if places else (None, None)


_MUTATIONS: list[Mutation] = [_bytes, _signs, _signs, _lines, _lines, _value, _value]


def _deep(chance: Random) -> bytes:
    depth = chance.choice([49, 51, 500, 50_000])
    opened, closed = chance.choice([("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")])
    return f"rules:\n  a: {opened * depth}{closed * depth}\n".encode()


def _many_rules(chance: Random) -> bytes:
    good, bad = (
        "{table: app.t, unique: a}",
        ["{tabel: app.t, uniqe: a}", "x", "", "{table: app.t, always: a = = 1}"],
    )
    body = chance.choice([good, *bad])
    count = chance.choice([200, 2000])
    rules = "".join(f"  rule-{number}: {body}\n" for number in range(count))
    return f"sources:\n  app: sqlite:///x.db\nrules:\n{rules}".encode()


def _long(chance: Random) -> bytes:
    text = chance.choice(
        ["x", "é", " ", "[", "a: ", "a,", "\n", "- a\n", "#", "'", "*", "\\", "${A}", "k: {a: b}\n"]
    )
    return b"rules:\n  a:\n    table: " + (text * chance.choice([10_000, 200_000])).encode()


def _too_large(chance: Random) -> bytes:
    return b"# " + b"x" * chance.choice([9_999_990, 10_000_010])


_LARGE: list[Callable[[Random], bytes]] = [_deep, _deep, _many_rules, _long, _long, _too_large]
