"""`matches`: texts that have a well-known form, such as an e-mail address: by their values, or by their names."""

import re
from collections.abc import Iterator

from sanityd.authoring.suggest.naming import slug, words
from sanityd.authoring.suggest.profile import TableProfile
from sanityd.authoring.suggest.proposals.base import ENOUGH, FORM, Candidate, Surroundings, counted
from sanityd.authoring.yaml_text import named
from sanityd.checks.formats import FORMATS
from sanityd.sources.catalog import Family

#: The form, the words in a name that speak of it, and whether values alone can speak for it.
_FORMS = {
    "email": ({"email", "mail"}, True),
    "uuid": ({"uuid", "guid"}, True),
    "url": ({"url", "link", "website", "homepage"}, True),
    "ip": ({"ip"}, True),
    "iso_date": ({"date", "day", "birthday"}, True),
    "e164": ({"phone", "mobile", "tel", "telephone", "msisdn"}, True),
    "country": ({"country"}, False),
    "currency": ({"currency"}, False),
    "slug": ({"slug"}, False),
}
#: Which share of the values that were seen must have the form: where the name speaks of it, and where it doesn't.
_WITH_NAME, _WITHOUT = 0.6, 0.97


def candidates(table: TableProfile, tables: Surroundings) -> Iterator[Candidate]:
    """At most one form for each column of text."""
    del tables
    for column in table.of(Family.TEXT):
        values = [value for value in table.seen(column.name) if isinstance(value, str)]
        said = {*words(column.name)}
        for form, (hints, by_value) in _FORMS.items():
            is_named = bool(hints & said)
            right = sum(
                re.fullmatch(FORMATS[form], value, re.DOTALL) is not None for value in values
            )
            enough = len(values) >= (1 if is_named else ENOUGH)
            if (
                not (is_named or by_value)
                or not enough
                or right < len(values) * (_WITH_NAME if is_named else _WITHOUT)
            ):
                continue
            yield Candidate(
                table,
                f"every-{slug(column.name)}-of-{{table}}-is-well-formed",
                "matches",
                {column.name: form},
                FORM + is_named,
                f"matches: {counted(column.filled, 'value')} of {named(column.name)} "
                f"{'has' if column.filled == 1 else 'have'} the form `{form}`",
                tolerance=0.1 if is_named else 0.01,
                about=(column.name,),
            )
            break
