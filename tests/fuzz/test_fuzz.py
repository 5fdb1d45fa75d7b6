"""Broken rules files are read or refused with their lines, soon and in little memory; the long run
is
`python -m tests.fuzz --files 100000`."""

import re
import subprocess
import sys

from tests import ROOT


def test_broken_files_are_refused_at_their_lines_and_nothing_else_happens() -> None:
    """In a process of its own, whose memory is that of the files."""
    words = [sys.executable, "-m", "tests.fuzz", "--files", "700"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [refused] = re.findall(r"([0-9,]+) refused", done.stdout)
    assert 466 < int(refused.replace(",", "")) < 700, (
        "files that are all right, or all wrong, try little"
    )
