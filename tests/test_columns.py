"""Columns: one definition of what runs are compared by, for every view."""

import re

import pytest

from experiments.stats.columns import COLUMNS, PASS, columns, mlflow_columns

RUN = {"pass_at_1/plus": 0.767, "pass_at_1/plus_low": 0.594, "pass_at_1/plus_high": 0.884}


def test_a_share_is_written_in_percent_with_its_interval() -> None:
    assert (PASS.number(RUN), PASS.bounds(RUN)) == ("76.7", "59–88")
    assert (PASS.number({}), PASS.bounds({})) == ("", "")


@pytest.mark.parametrize(("value", "text"), [(2.345, "2.3"), (4370.2, "4,370"), (0.0, "0.0")])
def test_large_numbers_have_no_decimals(value: float, text: str) -> None:
    (size,) = [column for column in COLUMNS if column.metric == "weights/megabytes"]
    assert size.number({size.metric: value}) == text


def test_columns_that_say_nothing_are_left_out() -> None:
    same = {**RUN, "weights/megabytes": 4.1}
    other = {**RUN, "weights/megabytes": 2.3}
    assert [c.metric for c in columns("page", [same, same])] == ["pass_at_1/plus"]
    assert [c.title for c in columns("page", [same, other])] == ["pass@1 %", "file MB"]
    assert columns("page", [{}]) == []


def test_every_column_is_explained_and_no_title_stands_for_two() -> None:
    assert len({column.title for column in COLUMNS}) == len(COLUMNS)
    assert all(len(column.legend) > 10 for column in COLUMNS)


def test_mlflow_gets_settings_and_metrics_by_its_own_names() -> None:
    found = mlflow_columns()
    assert found[:4] == (
        "params.`model.name`",
        "params.`quantization.name`",
        "params.`prompt.name`",
        "metrics.`pass_at_1/plus`",
    )
    assert all(re.fullmatch(r"(params|metrics)\.`[\w./]+`", each) for each in found)
