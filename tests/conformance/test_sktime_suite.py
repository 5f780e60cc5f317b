"""sktime's own test suite over the adapter: the same tests that sktime runs over its own detectors."""

from __future__ import annotations

import pytest

pytest.importorskip("sktime")

from sktime.tests.test_class_register import get_test_classes_for_obj
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

from vetime_plugins.adapters.sktime import VETimeDetector, VETimeTransformer


@parametrize_with_checks(
    [VETimeDetector, VETimeTransformer], obj_varname="estimator", check_varname="test_name"
)
def test_sktime_check(estimator, test_name):
    results = check_estimator(estimator, tests_to_run=test_name, raise_exceptions=True, verbose=False)
    assert results
    assert set(results.values()) == {"PASSED"}


@pytest.mark.parametrize(
    ("estimator", "suite"), [(VETimeDetector, "TestAllDetectors"), (VETimeTransformer, "TestAllTransformers")]
)
def test_the_tests_of_the_kind_are_among_them(estimator, suite):
    # without them, a wrong object_type tag would leave only what every sktime object must pass
    names = {suite.__name__ for suite in get_test_classes_for_obj(estimator)}
    assert names == {"TestAllObjects", "TestAllEstimators", suite}


def test_every_parameter_set_is_tried():
    results = check_estimator(VETimeDetector, tests_to_run="test_output_type", verbose=False)
    assert results == {
        f"test_output_type[VETimeDetector-{i}]": "PASSED"
        for i in range(len(VETimeDetector.get_test_params()))
    }
