"""Codes and texts of errors of MariaDB and MySQL; whether a text is the server's own.

A stored function may raise any code with any text (`SIGNAL … SET MYSQL_ERRNO, MESSAGE_TEXT`), and
the client can't tell the two apart. So each word must be one of the server or of the statement.
"""

import re

#: Error codes whose text quotes names and SQL, never values.
SAFE = frozenset({
    1044, 1046, 1051, 1052, 1054, 1055, 1056, 1060, 1064, 1066, 1103, 1109, 1111, 1115, 1140,
    1142, 1143, 1146, 1149, 1221, 1222, 1227, 1235, 1239, 1241, 1242, 1247, 1248, 1250, 1267, 1270,
    1271, 1273, 1286, 1290, 1305, 1318, 1356, 1370, 1382, 1425, 1463, 1582, 1583, 1584, 1630, 1792,
    3685, 3692, 4078,
})  # fmt: skip
BAD_PATTERN = 1139

#: Why a server can't be reached, by the code of the error.
UNREACHABLE = {
    1040: "it has no free connection",
    1044: "the login may not use the database",
    1045: "it refuses the login",
    1049: "there is no database of that name",
    1130: "it doesn't let this host in",
    1203: "the login has no free connection",
    1227: "the login lacks a right",
    1698: "it refuses the login",
    2013: "it closed the connection",
    2026: "no encrypted connection could be agreed on",
}

#: A part of the system's text → the reason.
UNREACHABLE_TEXTS = {
    "refused": "it refuses the connection; is it running?",
    "timed out": "it doesn't answer in time",
    "name or service not known": "its host name is unknown",
    "resolution": "its host name is unknown",
    "getaddrinfo": "its host name is unknown",
    "no such file": "there is no socket; is it running?",
}

_WORDS = """
    a access aggregate ambiguous an and any are arguments as at be by call called can cannot
    cascaded case check clause coercible collation collations column columns command correct
    corresponds count created data database db default definer denied derived does doesn duplicate
    error every execute exist exists explicit expression field file first for forward from function
    group grant have having identifier if ignorable illegal implicit in incorrect invalid invoker
    is isn its lack line list manual many mariadb match may missing mix mixing more must mysql name
    native near need no non none not number numeric of on once one only operand operation
    operations option or order orderable own parameter parameters permission privilege privileges
    procedure quotes read recursive reference references result return returns right rights routine
    row rows running schema select sent server should so specific specified sql state statement
    stored subquery supported syntax sysconst t table tables temporary text that the them there
    this to too transaction type under unique unknown usage use used user using value values
    variable version view when where which with within without write wrong yet you your
"""
_OWN_WORDS = frozenset(_WORDS.split())
#: What the server says with numbers, and the login with its host.
_OWN_NUMBERS = re.compile(r"at line \d+|contain \d+ column|user '[^']*'@'[^']*'")


def is_of_a_function(code: int, message: str, statement: str) -> bool:
    """Return whether a text that is safe by its code may be of a function, and so hold a value.

    Parameters: `statement` is the statement, with the names that the connection uses.
    """
    if code == BAD_PATTERN:
        return not message.startswith(("Got error '", "Regex error '"))
    own = statement.lower()
    words = re.findall(r"\w+", _OWN_NUMBERS.sub("", message).lower())
    foreign = any(word not in _OWN_WORDS and word not in own for word in words)
    return code in SAFE and foreign
