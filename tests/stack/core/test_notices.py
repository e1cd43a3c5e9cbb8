from io import StringIO

from stack.core import notices


def test_notices_are_read_from_among_the_other_lines_of_a_log():
    log = StringIO()
    log.write("left out: not by this line\n")
    notices.emit("left out: birds:\n  found     nothing", log)
    log.write('{"event": "a JSON line of another kind"}\n{"notice": "cut o')

    assert notices.read(log.getvalue().splitlines()) == ["left out: birds:", "  found     nothing"]
