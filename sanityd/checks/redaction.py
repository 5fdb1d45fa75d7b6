"""Keys of rows as keyed hashes, for rules whose keys may not leave the database (`redact: hash`).

Knows no rule and no environment. A hash without a secret would hide nothing: whoever tries all
small numbers, or all addresses of a list, finds the value.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace

from sanityd.model import Key, Value, Violation, encode_values
from sanityd.model.identical_rows import IDENTICAL_ROW, has_number, key_of_row

#: The number of hexadecimal digits of a hash. Among a million rows, two share them once in
#: 37 million tables.
DIGITS = 16


@dataclass(frozen=True, slots=True)
class Redaction:
    """Replaces values of keys by hashes, which are equal for equal values and one secret."""

    secret: bytes = field(repr=False)

    @property
    def mark(self) -> str:
        """A hash that changes when the secret does, and doesn't reveal it."""
        return hmac.new(self.secret, b"sanityd redacts", hashlib.sha256).hexdigest()[:DIGITS]

    def value(self, value: Value) -> Value:
        """`#` and the first digits of the HMAC-SHA-256 of the value as JSON; NULL stays NULL."""
        if value is None:
            return None
        text = json.dumps(encode_values({"": value})[""], ensure_ascii=False)
        # A text may hold half a character, which is no UTF-8.
        digest = hmac.new(self.secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"#{digest.hexdigest()[:DIGITS]}"

    def key(self, key: Key) -> Key:
        """A key that still identifies the row, and reveals nothing else."""
        redacted = {name: self.value(value) for name, value in key_of_row(key).items()}
        if has_number(key):
            redacted[IDENTICAL_ROW] = key[IDENTICAL_ROW]
        return redacted

    def violation(self, violation: Violation) -> Violation:
        """The violation under its redacted key. What the rule shows was declared to leave."""
        return replace(violation, key=self.key(violation.key))
