"""Users' own templates: they come first, and when one fails, no message is lost."""

import logging
import os
import re
from dataclasses import fields
from pathlib import Path

import pytest

from sanityd.alerts.compose import templating
from sanityd.alerts.compose.digest_view import DigestEntry, DigestSection, DigestView
from sanityd.alerts.compose.email_view import EmailView, Part
from sanityd.alerts.compose.template_lint import check_templates
from tests import ROOT
from tests.alerts.compose.page import Page
from tests.alerts.samples import ALL, DIGESTS, digest, digest_mail, mail, opened, row
from tests.support.project import Project

OWN = """{% extends "_layout.html" %}
{% block body %}
<p class="words">Call {{ letter.parts[0].owner }}.</p>
{% endblock %}
"""
BROKEN = {
    "{% if %}": "line 1",
    "\n\n{{ letter.nonsense }}": "line 3",
    "{{ nonsense }}": "line 1",
    "\n{{ letter.__class__.__mro__ }}": "line 2",
    "{{ ''.__class__.__base__.__subclasses__() }}": "line 1",
    "{{ ''.__class__.__mro__ }}": "line 1",
    "{{ ''|attr('__class__') }}": "line 1",
    "{{ '{0.__class__}'.format('') }}": "line 1",
    "{{ '{x.__class__.__mro__}'.format_map({'x': ''}) }}": "line 1",
    "{{ '%s' % ''.__class__ }}": "line 1",
    "{{ cycler.__init__.__globals__ }}": "line 1",
    "{% for a in range(10 ** 9) %}{% endfor %}": "line 1",
    "{{ range(1000000000)|sum }}": "line 1",
    "{{ 9 ** (9 ** 9) }}": "line 1",
    "{{ 10000000000 * 10000000000 }}": "line 1",
    "{{ 'a' * 1000000000 }}": "line 1",
    "{{ 1000000000 * [1] }}": "line 1",
    "{{ '%1000000000d' % 1 }}": "line 1",
    "{{ 'a'|center(1000000000) }}": "line 1",
    "{{ 'a'.rjust(1000000000) }}": "line 1",
    "{{ lipsum(n=10000000) }}": "line 1",
    "{% block body %}{{ self.body() }}{% endblock %}": "line 1",
    "{% include 'missing.html' %}": "line 1",
    "{% include '../../../../../../etc/hostname' %}": "line 1",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "line 1",
    "{{ 1 / 0 }}": "line 1",
    "{{ letter.parts.append(1) }}": "line 1",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}": "line 1",
    "{% for a in range(9999) %}" + "0123456789" * 6 + "{% endfor %}": "",
    "{# nothing #}": "",
    "{% extends 'opened.html' %}": "line 1",
}


def own(folder: Path, text: str, name: str = "opened.html") -> Path:
    """A folder with one template."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_users_template_takes_the_place_of_the_built_in_one(tmp_path: Path) -> None:
    message = mail(opened(), templates=own(tmp_path, OWN))
    assert "Call payments." in Page(message.html).text
    assert "WHY IT MATTERS" not in message.html
    assert message.text == mail(opened()).text
    assert mail(ALL["resolved"], templates=tmp_path).html == mail(ALL["resolved"]).html


def test_a_users_layout_changes_every_mail(tmp_path: Path) -> None:
    own(tmp_path, "{% block body %}{% endblock %}\n-- \nBank of Examples", "_layout.txt")
    own(
        tmp_path,
        "{% import '_parts.txt' as parts %}" + (tmp_path / "_layout.txt").read_text(),
        "_layout.txt",
    )
    assert "Bank of Examples" in mail(ALL["resolved"], templates=tmp_path).text
    assert "Bank of Examples" in mail(ALL["opened-several"], templates=tmp_path).text


def test_a_users_template_can_add_to_the_built_in_one(tmp_path: Path) -> None:
    own(
        tmp_path,
        '{% extends "built-in/opened.txt" %}{% block body %}{{ super() }}Call Ana.\n{% endblock %}',
        "opened.txt",
    )
    text = mail(opened(), templates=tmp_path).text
    assert "VIOLATIONS       id 7" in text
    assert "Call Ana.\n\nYou get this" in text


def test_a_template_that_extends_a_users_template_names_that_one_when_it_fails(
    tmp_path: Path,
) -> None:
    text = mail(ALL["escalated"], templates=own(tmp_path, "{# nothing #}")).text
    assert "Your template opened.html failed;" in text


def test_no_folder_is_no_fault(tmp_path: Path) -> None:
    assert mail(opened(), templates=tmp_path / "alerts").html == mail(opened()).html
    assert check_templates(tmp_path / "alerts") == []


@pytest.mark.parametrize("text", BROKEN)
def test_a_template_that_fails_never_loses_the_message(
    text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templating, "SECONDS", 1.0)
    with caplog.at_level(logging.WARNING, "sanityd.alerts"):
        message = mail(opened([row(7, shown={"name": "Ana"})]), templates=own(tmp_path, text))
    position = f" at {BROKEN[text]}" if BROKEN[text] else ""
    note = f"Your template opened.html failed{position}; this mail uses the built-in template."
    assert note in " ".join(message.text.split())
    assert note in Page(message.html).text
    assert "VIOLATIONS" in message.html
    assert str(tmp_path / "opened.html") in caplog.text
    assert "Ana" not in caplog.text


def test_a_file_that_is_no_text_is_a_fault_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "opened.txt").write_bytes(b"\xff\xfe\x00")
    message = mail(opened(), templates=tmp_path)
    assert "3 of 1,000 people" in message.text
    assert "Your template opened.txt failed" in " ".join(message.text.split())
    assert [problem.path for problem in check_templates(tmp_path)] == [tmp_path / "opened.txt"]


def test_a_repaired_template_is_used_without_a_restart(tmp_path: Path) -> None:
    own(tmp_path, "{% if %}")
    assert "failed" in mail(opened(), templates=tmp_path).html
    own(tmp_path, OWN)
    os.utime(tmp_path / "opened.html", (1, 1))
    assert "Call payments." in mail(opened(), templates=tmp_path).html


def test_values_are_escaped_in_users_templates_too(tmp_path: Path) -> None:
    folder = own(tmp_path, "<p>{{ letter.parts[0].rows.lines[0].cells[1] }}</p>")
    html = mail(opened([row(1, shown={"name": "<b>{{ 7 * 7 }}\x1b"})]), templates=folder).html
    assert "&lt;b&gt;{{ 7 * 7 }}\\x1b" in html


def test_a_digest_survives_its_template_too(tmp_path: Path) -> None:
    message = digest_mail(digest(), templates=own(tmp_path, "{{ nonsense }}", "digest.txt"))
    assert "Your template digest.txt failed at line 1" in " ".join(message.text.split())
    assert digest_mail(DIGESTS["digest"]).text.split("You get this")[0].strip() in message.text


def test_good_templates_have_no_problems(tmp_path: Path) -> None:
    own(tmp_path, OWN)
    own(tmp_path, "Bank of Examples", "_footer.html")
    assert check_templates(tmp_path) == []


def test_lint_finds_a_failure_that_only_some_mails_have(tmp_path: Path) -> None:
    own(tmp_path, "{{ letter.headline }}\n{{ letter.parts[0].rows.lines[0].since }}")
    [problem] = check_templates(tmp_path)
    assert (problem.path, problem.line) == (tmp_path / "opened.html", 2)
    assert "rows.lines[0]" in problem.source_line


@pytest.mark.parametrize("text", BROKEN)
def test_lint_finds_every_failure(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templating, "SECONDS", 1.0)
    monkeypatch.setattr(templating, "CHARACTERS", 50_000)
    problems = check_templates(own(tmp_path, text))
    assert [problem.path for problem in problems] == [tmp_path / "opened.html"]
    line = re.sub(r"\D", "", BROKEN[text])
    assert problems[0].line == int(line or 0)


def test_a_name_that_no_mail_has_is_said_to_be_wrong(tmp_path: Path) -> None:
    [problem] = check_templates(own(tmp_path, OWN, "opend.html"))
    assert problem.level == "warning"
    assert problem.advice == "did you mean `opened.html`?"


def test_lint_shows_the_place(project: Project, tmp_path: Path) -> None:
    own(tmp_path / "alerts", "Hello\n{{ letter.hedline }}\n", "opened.txt")
    answer = project.run("lint")
    assert answer.code == 2
    assert "opened.txt:2:1: error:" in answer.err
    assert "{{ letter.hedline }}" in answer.err


def test_the_templates_of_the_manual_work(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "own-templates.md").read_text(encoding="utf-8")
    added, little = re.findall(r"```jinja\n(.*?)```", page, re.DOTALL)
    own(tmp_path, added, "opened.txt")
    own(tmp_path, little, "opened.html")
    assert check_templates(tmp_path) == []
    message = mail(opened(), templates=tmp_path)
    assert "CHECK BY HAND" in message.text
    assert "ON CALL          see https://wiki.example.com/on-call" in message.text
    assert "payments should look at Every person has a welcome mail." in Page(message.html).text


def test_the_manual_names_every_template_and_every_word() -> None:
    page = (ROOT / "docs" / "howto" / "own-templates.md").read_text(encoding="utf-8")
    words = {
        field.name
        for kind in (EmailView, Part, DigestView, DigestSection, DigestEntry)
        for field in fields(kind)
    }
    templates = {name.partition(".")[0] for name in templating.built_in_files()}
    assert [name for name in sorted(words | templates) if f"`{name}" not in page] == ["reason"]
