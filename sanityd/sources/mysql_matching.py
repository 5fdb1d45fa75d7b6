"""Which comparisons of two tables MariaDB and MySQL do without reading one anew for each row."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, literal_column

from sanityd.sources.catalog import ColumnInfo, Family

#: A zero of each type of numbers: adding it gives the value in that type.
_ZEROS = ("0", "0.0", "0e0")


def usable(leading: Iterable[str], columns: Mapping[str, ColumnInfo]) -> frozenset[str]:
    """Return the first columns of indexes that are of use for exact comparisons.

    Texts are compared by another collation than the one of their index.
    """
    texts = (Family.TEXT, Family.ENUM)
    return frozenset(name for name in leading if columns[name].family not in texts)


def common_zero(left: ColumnInfo, right: ColumnInfo) -> ColumnElement[Any] | None:
    """Return a zero that gives numbers of two types one type; None where that isn't needed."""
    narrow, wide = sorted((_number_type(left), _number_type(right)))
    if not 0 <= narrow < wide:
        return None
    return literal_column(_ZEROS[wide])


def _number_type(info: ColumnInfo) -> int:
    """Return 0 for whole numbers, 1 for decimals, 2 for floating point, -1 for other values."""
    if info.family in (Family.INTEGER, Family.BOOLEAN):
        return 0
    if info.family is not Family.NUMBER:
        return -1
    return 1 if info.type.startswith("decimal") else 2
