import pytest

from data.validation import InputError
from flows.registry import find_study, study_families
from tasks.study import Study


def test_the_studies_are_found_by_their_files():
    families = study_families()
    assert families["skr"] == "linear_systems"
    assert families["compensated-summation"] == "examples"
    assert not any("_" in name for name in families)


@pytest.mark.parametrize("name", list(study_families()))
def test_every_file_defines_the_study_of_its_name(name):
    study = find_study(name)
    assert isinstance(study, Study)
    assert study.name == name


@pytest.mark.parametrize("name", ["skrr", "compensated_summation", "../skr", ""])
def test_an_unknown_study_is_refused_with_the_names_that_exist(name):
    with pytest.raises(InputError, match="unknown study") as caught:
        find_study(name)
    assert f"allowed: {', '.join(sorted(study_families()))}" in str(caught.value)
