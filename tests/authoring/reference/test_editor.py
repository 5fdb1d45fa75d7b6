"""The schema in the hands of the language server that VS Code and Neovim run for YAML: really run,
and asked."""

from collections.abc import Iterator

import pytest

from sanityd import plugins
from sanityd.authoring.reference import schema
from tests import ROOT
from tests.conftest import absent
from tests.support.language_server import LanguageServer
from tests.support.services import Missing

RULE = f"{schema.MODELINE}rules:\n  no-duplicate-emails:\n    table: app.people\n"


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    """A folder as `sanityd init` leaves it, open in an editor."""
    folder = tmp_path_factory.mktemp("editor")
    (folder / schema.FILE).write_text(schema.schema_text(), encoding="utf-8")
    try:
        server = LanguageServer(folder)
    except Missing as reason:
        absent(reason)
    with server:
        yield server


def test_it_offers_the_keys_of_a_rule_and_every_kind(editor: LanguageServer) -> None:
    offered = editor.offers(f"{RULE}    |")
    assert {
        "within",
        "severity",
        "why",
        "schedule",
        *plugins.kind_names("checks"),
    } <= offered.keys()
    assert "table" not in offered
    assert offered["has"]["insertText"].startswith("has:\n  in: ")
    assert "No value, or combination of values, occurs more than once" in str(
        offered["unique"]["documentation"]
    )


def test_once_a_rule_has_its_check_its_keys_are_still_offered(editor: LanguageServer) -> None:
    assert {"within", "window", "where"} <= editor.offers(f"{RULE}    unique: email\n    w|").keys()


def test_it_offers_the_options_of_a_kind_and_the_words_of_an_option(editor: LanguageServer) -> None:
    assert {"in", "on", "where", "count"} <= editor.offers(f"{RULE}    has:\n      |").keys()
    words = editor.offers(f"{RULE}    severity: |")
    assert {"critical", "error", "warning", "info", "{error: 1, critical: 50}"} <= words.keys()
    assert {"email", "webhook", "sentry"} <= editor.offers(
        f"{schema.MODELINE}channels:\n  team:\n    |"
    ).keys()
    # What is filled in from the environment is no field to be filled in by hand.
    assert (
        r"\${HOOK_URL}"
        in editor.offers(f"{schema.MODELINE}channels:\n  ops:\n    |")[
            '{webhook: "${HOOK_URL}", secret: "${HOOK_SECRET}"}'
        ]["insertText"]
    )


def test_it_explains_keys_and_kinds_with_examples(editor: LanguageServer) -> None:
    kind = editor.hover(f"{RULE}    uni|que: email\n")
    assert kind.startswith("#### unique")
    assert "unique: {columns: email, ignore: [case, spaces]}" in kind
    key = editor.hover(f"{RULE}    unique: email\n    with|in: 10m of created_at\n")
    assert "not judged yet" in key
    assert "10m of created_at" in key
    assert "Columns of this table" in editor.hover(
        f"{RULE}    has: {{in: app.mails, o|n: {{id: person_id}}}}\n"
    )


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("    unique: email\n    ownr: ana\n", 6, "Property ownr is not allowed."),
        ("    unique: {columns: email, ignor: case}\n", 5, "Property ignor is not allowed."),
        ("    unique: email\n    within: ten of created_at\n", 6, "write `10m of created_at`"),
        (
            "    unique: email\n    severity: bad\n",
            6,
            'Valid values: "critical", "error", "warning", "info"',
        ),
        (
            "    unique: email\n    not_null: email\n",
            5,
            "a rule has one check: make one rule of each",
        ),
        (
            "    always: a\n    owner: x\n    unique: b\n",
            7,
            "a rule has one check: make one rule of each",
        ),
        ("    owner: ana\n", 3, "a rule has one check"),
        ("    has: {in: app.mails}\n", 5, 'Missing property "on"'),
    ],
)
def test_it_marks_a_mistake_at_its_line(
    editor: LanguageServer, lines: str, line: int, words: str
) -> None:
    assert [(at, words in message) for at, message in editor.marks(RULE + lines)] == [(line, True)]


def test_it_marks_nothing_in_what_is_right(editor: LanguageServer) -> None:
    for path in ("rules.yaml", "sanityd/authoring/demo/rules.yaml", "deploy/kubernetes/rules.yaml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert editor.marks(schema.MODELINE + text) == []
