"""The monitored metrics of a report as the portal shows them."""

from services.portal.formats import figures, verdict


def test_the_summary_says_what_is_shown():
    assert figures({"figures": {"Repeated rows": "50.0%"}, "drift_share": 0.2}) == {"Repeated rows": "50.0%"}


def test_a_summary_of_an_older_release_shows_what_it_has():
    assert figures({"drift_share": 0.387}) == {"Features drifting": "38.7%", "Missing": "-"}


def test_a_report_that_decides_nothing_is_not_quiet():
    undecided = {"verdict": {"action": "none", "decided": False, "summary": "20 <requests>"}}
    assert verdict(undecided) == '<span class="tag undecided" title="20 &lt;requests&gt;">too few to say</span>'
    assert ">quiet<" in verdict({"verdict": {"action": "none", "summary": "of an older release"}})
    assert '"tag notice"' in verdict({"verdict": {"action": "notice", "decided": False, "summary": ""}})
