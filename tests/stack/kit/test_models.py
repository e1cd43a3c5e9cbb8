import pytest

from stack.kit.models import Candidate


def test_the_former_name_of_the_initial_parameters_is_read_with_a_warning():
    with pytest.warns(FutureWarning, match="initial_params"):
        former = Candidate(list, centre={"C": 2.0})
    assert former == Candidate(list, initial_params={"C": 2.0})
