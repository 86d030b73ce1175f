from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.analytics.domain.returns import irr, modified_dietz, time_weighted
from apps.core.errors import InvalidInput


class TestModifiedDietz:
    def test_without_flows_it_is_the_simple_return(self):
        assert modified_dietz(100, 110) == pytest.approx(0.1)

    def test_flows_at_the_start_of_their_day_weigh_a_day_more(self):
        flows = [{"day": 10, "amount": 100}]
        assert modified_dietz(100, 230, flows, 20) == pytest.approx(30 / 150)
        assert modified_dietz(100, 230, flows, 20, timing="start") == pytest.approx(30 / 155)

    @pytest.mark.parametrize(("change", "field"), [({"days": 0}, "days"), ({"timing": "noon"}, "timing"), ({"days": 5}, "flows")])
    def test_bad_input_names_its_field(self, change, field):
        good = {"start_value": 100, "end_value": 230, "flows": [{"day": 10, "amount": 100}], "days": 20}
        assert modified_dietz(**good) is not None
        with pytest.raises(InvalidInput) as caught:
            modified_dietz(**good | change)
        assert caught.value.field == field


class TestTimeWeighted:
    def test_it_chains(self):
        assert time_weighted([{"start_value": 100, "end_value": 120}, {"start_value": 60, "end_value": 66}]) == pytest.approx(0.32)

    def test_it_is_undefined_without_capital(self):
        assert time_weighted([{"start_value": 0, "end_value": 10}]) is None

    def test_no_period_is_no_return(self):
        assert time_weighted([]) == 0


class TestIrr:
    @given(
        st.floats(-0.9, 5),
        st.lists(st.tuples(st.integers(1, 3000), st.floats(-1000, -1)), max_size=8),
        st.integers(3001, 6000),
    )
    def test_it_finds_the_rate_that_made_the_flows(self, rate, paid_in, last):
        start = date(2000, 1, 1)
        flows = [(0, -1000.0), *paid_in]
        value = -sum(amount * (1 + rate) ** ((last - day) / 365) for day, amount in flows)
        dated = [{"date": start + timedelta(days=day), "amount": amount} for day, amount in [*flows, (last, value)]]
        assert irr(dated) == pytest.approx(rate, rel=1e-6, abs=1e-8)

    def test_money_back_is_a_rate_of_zero(self):
        assert irr([{"date": "2021-01-01", "amount": -100}, {"date": "2022-01-01", "amount": 100}]) == 0

    def test_several_rates_are_none(self):
        flows = [{"date": "2021-01-01", "amount": -100}, {"date": "2022-01-01", "amount": 230}, {"date": "2023-01-01", "amount": -132}]
        assert irr(flows) is None  # both 10 % and 20 % fit

    @pytest.mark.parametrize("amounts", [[], [-100], [-100, -50], [100, 50], [0, 0]])
    def test_no_rate_is_none(self, amounts):
        assert irr([{"date": date(2021 + n, 1, 1), "amount": amount} for n, amount in enumerate(amounts)]) is None

    def test_a_day_is_enough(self):
        assert irr([{"date": "2021-01-01", "amount": -100}, {"date": "2021-01-02", "amount": 101}]) == pytest.approx(1.01**365 - 1)

    def test_a_bad_date_is_refused(self):
        with pytest.raises(InvalidInput):
            irr([{"date": "yesterday", "amount": -100}])
