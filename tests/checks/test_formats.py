"""A format that is asked in a quicker way says what its regular expression says."""

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from sanityd.checks import evaluation
from sanityd.checks.formats import FORMATS
from tests.checks.conftest import Looks


def _addresses(chance: random.Random) -> Iterator[str]:
    """Good ones and bad ones, short ones and such as have a part of 63 letters, or of 64."""
    for _ in range(600):
        labels = [
            "-".join("x" * chance.choice([0, 1, 1, 2]) for _ in range(chance.choice([1, 1, 2, 3])))
            for _ in "ab"
        ]
        if chance.random() < 0.4:
            labels[chance.randrange(2)] = "y" * chance.choice([20, 61, 62, 63, 64])
        last = chance.choice(["de", "com", "d", "d3", "z" * 60, "z" * 62, "z" * 63, "z" * 64])
        local = chance.choice(["a", "a.b", "a..b", ".a", "a.", "A'1", "", "ä", "a b", "a@b"])
        yield f"{local}@{'.'.join([*labels[: chance.choice([0, 1, 1, 2])], last])}"


def test_an_email_address_is_what_its_regular_expression_says(
    do: Callable[..., None], looks: Looks
) -> None:
    found = dict(enumerate(_addresses(random.Random(3)), start=1))
    do("CREATE TABLE letters (id INTEGER PRIMARY KEY, address VARCHAR(300))")
    quoted = ", ".join(
        f"({number}, '{words.replace(chr(39), chr(39) * 2)}')" for number, words in found.items()
    )
    do(f"INSERT INTO letters VALUES {quoted}, (0, NULL)")
    good = {number for number, words in found.items() if re.fullmatch(FORMATS["email"], words)}
    long = {number for number in found if len(found[number]) > 66}
    assert len(good & long) > 10 < len(good - long)
    assert len(long - good) > 10
    rule: dict[str, Any] = {"table": "app.letters"}
    with looks(
        {**rule, "matches": {"address": "email"}}, {**rule, "not_matches": {"address": "email"}}
    ) as planned:
        bad, well = (
            {one.key["id"] for one in evaluation.evaluate_check(look, {}).tracked}
            for look in planned
        )
    assert well == good
    assert bad == found.keys() - good
