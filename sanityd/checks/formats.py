r"""Named formats as regular expressions that PostgreSQL, PCRE, RE2 and Python read alike.

No look-around, no `\d` (Unicode digits differ), no flags, no counted repetition above 255
(PostgreSQL's limit).
"""

from sqlalchemy import ColumnElement, and_, or_

from sanityd.checks.scope import Scope

_ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_GROUP = "[0-9A-Fa-f]{1,4}"
_IPV4 = rf"({_BYTE}\.){{3}}{_BYTE}"
_MONTH_DAY = (
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
)
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"


def _ipv6() -> str:
    """IPv6 with `::` in every place, RFC 4291 section 2.2; no mixed IPv4 form, no zones."""
    shortened = [f"({_GROUP}:){{1,{7 - tail}}}(:{_GROUP}){{1,{tail}}}" for tail in range(1, 7)]
    return "|".join(
        [
            f"({_GROUP}:){{7}}{_GROUP}",
            f"({_GROUP}:){{1,7}}:",
            f":(:{_GROUP}){{1,7}}",
            "::",
            *shortened,
        ]
    )


FORMATS = {
    # Addresses that mail servers accept: the dot-atom of RFC 5322 at a host name with a dot.
    "email": rf"{_ATOM}(\.{_ATOM})*@({_LABEL}\.)+[A-Za-z]{{2,63}}",
    # RFC 9562, any version, hyphenated, either case.
    "uuid": "[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}",
    # http and https with a host; no user info.
    "url": (
        rf"https?://(({_LABEL}\.)*{_LABEL}|\[[0-9A-Fa-f:.]+\])"
        rf"(:[0-9]{{1,5}})?([/?#][^\s<>\"]*)?"
    ),
    "ip": f"{_IPV4}|{_ipv6()}",
    # ISO 8601 calendar dates, with the right number of days.
    "iso_date": f"[0-9]{{4}}-{_MONTH_DAY}|{_LEAP_YEAR}-02-29",
    # ITU-T E.164: a plus, at most 15 digits, no leading zero.
    "e164": r"\+[1-9][0-9]{1,14}",
    # The form of ISO 3166-1 alpha-2 and ISO 4217; which codes are assigned changes.
    "country": "[A-Z]{2}",
    "currency": "[A-Z]{3}",
    "slug": "[a-z0-9]+(-[a-z0-9]+)*",
}

#: A faster expression, and up to which length it matches the same texts as the format. Counting to
#: 63 makes a regular expression ten times as slow, and no part of a short address is that long.
_QUICK = {
    "email": (
        66,
        rf"{_ATOM}(\.{_ATOM})*@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z]+",
    )
}


def matches(scope: Scope, name: str, expected: str, *, part: bool) -> ColumnElement[bool]:
    """Whether the text of a column has a format, or matches a regular expression."""
    whole = scope.matches(name, FORMATS.get(expected, expected), part=part)
    if part or expected not in _QUICK:
        return whole
    short, quick = _QUICK[expected]
    return and_(scope.matches(name, quick), or_(scope.length(name) <= short, whole))
