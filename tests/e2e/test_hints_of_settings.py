"""Every hint that names a setting, a file or a statement is followed, from where it was printed.

`tests/house/test_hints.py` reads the source: a hint that no case follows fails there.
"""

from __future__ import annotations

import pytest

from support.hintcases import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.text)
def test_what_a_hint_says_leads_to_a_good_run(case, tmp_path):
    case.follow(tmp_path)
