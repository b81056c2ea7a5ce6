"""Payloads of many bills at once: those that each bill alone has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.bill_payloads import bill_payloads
from schemas.errors import BadInputError
from schemas.qr import MAX_AMOUNT_VND, PayloadTemplate

amounts = st.lists(st.integers(1, MAX_AMOUNT_VND), min_size=1, max_size=40)


@given(amounts, st.integers(1, 13), st.sampled_from(["", "E017-", "x"]), st.sampled_from([None, "S1"]), st.randoms())
def test_many_bills_are_what_each_alone_is(amounts, width, prefix, label, rng):
    template = PayloadTemplate(account="SIM0001", merchant_name="Điện lực An Giang", store_label=label)
    numbers = [rng.randrange(10 ** (width - 1), 10**width) for _ in amounts]
    made = bill_payloads(template, np.array(amounts), prefix, np.array(numbers))
    bills = [f"{prefix}{number}" for number in numbers]
    assert made.to_list() == [template.dynamic(amount, bill) for amount, bill in zip(amounts, bills, strict=True)]


@pytest.mark.parametrize(
    ("amounts", "prefix", "numbers"),
    [
        ([1, 0, 2], "E-", [1, 2, 3]),
        ([1, MAX_AMOUNT_VND + 1], "E-", [1, 2]),
        ([1, 2], " ", [1, 2]),
        ([1, 2], "Đ-", [1, 2]),
        ([1, 2], "a-number-that-is-too-long-", [1, 2]),
        ([1, 2], "E-", [9, 10]),
        ([1, 2], "E-", [0, 1]),
    ],
)
def test_many_bills_refuse_what_each_alone_refuses(amounts, prefix, numbers):
    template = PayloadTemplate(account="SIM0001", merchant_name="Điện lực An Giang")
    with pytest.raises(BadInputError):
        bill_payloads(template, np.array(amounts), prefix, np.array(numbers))
