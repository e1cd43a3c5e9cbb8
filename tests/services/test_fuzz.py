"""No generated request makes a running service fail in a way that it does not document."""

from tests.fuzz import fuzz


def test_no_generated_request_leads_to_an_undocumented_failure(running):
    account = fuzz(running, cases=500, seed=20130101)
    assert account.answers.total() >= 500
    assert not account.undocumented, str(account)
