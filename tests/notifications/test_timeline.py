"""What a timeline knows: earlier episodes of a row, runs that changed something, decisions."""

from typing import Any

import pytest
from markdown_it import MarkdownIt

from sanityd.notifications import timeline
from sanityd.notifications.markdown import code, code_block, words
from sanityd.notifications.timeline.event import Event, EventKind
from tests.alerts.hostile import HOSTILE
from tests.support.scene import ADULTS, Scene
from tests.support.smtp_server import Mailbox


def of_row(scene: Scene, number: int) -> list[tuple[EventKind, str]]:
    with scene.store.read() as connection:
        events = timeline.everything_of_row(
            connection, list(scene.rules), {"id": str(number)}, scene.load().counted
        )
    return [(event.kind, event.what) for event in events]


def of_rule(scene: Scene, rule: str, **options: bool) -> list[Event]:
    with scene.store.read() as connection:
        counted = scene.load().counted
        return timeline.events_since(connection, rule, timeline.BEGINNING, counted, **options)


def test_every_episode_of_a_row_is_told_with_its_incident_and_mails(
    scene: Scene, box: Mailbox
) -> None:
    for children in ((1,), (), (1, 2), (), (2,)):
        scene.children(*children)
        scene.tick(120)
    told = of_row(scene, 1)
    rows = [what for kind, what in told if kind is EventKind.ROW]
    begin, end = "was first seen to violate the rule", "is no longer a violation: repaired"
    assert rows == [begin, end, begin, end]
    assert told.count((EventKind.MAIL, "mail `opened` delivered")) == 2
    assert of_row(scene, 9) == []


def test_a_run_is_told_where_no_row_or_incident_tells_the_change(scene: Scene) -> None:
    """Beyond the most rows that are tracked, only the run knows how many there are."""
    scene.limits = {"tracked_rows": 1}
    for children in ((1, 2), (1, 2), (1, 2, 3, 4), ()):
        scene.children(*children)
        scene.look()
    told = [event.what for event in of_rule(scene, "adults") if event.kind is EventKind.RUN]
    assert told == ["run found 4 rows, 2 rows before"]


def test_decisions_that_say_nothing_new_are_told_on_request(scene: Scene, box: Mailbox) -> None:
    scene.rules = {"adults": {**ADULTS, "severity": "warning"}}
    scene.children(1)
    scene.tick()
    assert "not notified: below_threshold" not in [event.what for event in of_rule(scene, "adults")]
    every = of_rule(scene, "adults", every_decision=True)
    assert "not notified: below_threshold" in [event.what for event in every]


def tokens(markdown: str) -> list[Any]:
    """The tokens of a document, as a parser with all of GitHub's extensions sees them."""
    parser = MarkdownIt("gfm-like", {"linkify": False})
    return list(parser.parse(markdown))


@pytest.mark.parametrize("text", [*HOSTILE, "`", "a`b``c", "``", " x ", "|", "\\`|", "@all", "#12"])
def test_hostile_text_is_code_and_nothing_else(text: str) -> None:
    [_, inline, _] = [
        token for token in tokens(f"- x: {code(text)}") if token.type in ("inline", "paragraph_open", "paragraph_close")
    ]  # fmt: skip
    kinds = {child.type for child in inline.children}
    assert kinds <= {"text", "code_inline"}
    assert all(
        child.content in ("x: ", "x: (empty)") for child in inline.children if child.type == "text"
    )
    outcome = tokens(words(f"mail `x` {text}"))
    inner = [child.type for token in outcome for child in token.children or ()]
    assert set(inner) <= {"text", "code_inline"}


@pytest.mark.parametrize("text", ["a: |\n  ```\n  # x\n  ````\n", "x", "~~~\n"])
def test_a_block_of_code_ends_where_it_should(text: str) -> None:
    [block] = tokens("\n".join(code_block(text, "yaml")))
    assert (block.type, block.content) == ("fence", text.rstrip("\n") + "\n")
