"""The portal's scripts share a page, and with it the names that they declare outside of functions."""

import re
from collections import Counter

from services.portal.portal import HERE

DECLARED = re.compile(r"^(?:async )?(?:function|class|const|let|var) (\w+)", re.MULTILINE)


def test_no_script_replaces_what_another_declares():
    names = Counter(name for file in HERE.glob("static/*.js") for name in DECLARED.findall(file.read_text()))
    assert len(names) > 20 and [name for name, count in names.items() if count > 1] == []
