# SPDX-License-Identifier: MIT
def test_peak(keeps_limits):
    keeps_limits("peak>50M", "shop.py", "total", "10")


def test_total(does_not_grow):
    does_not_grow("growth>10K", "shop.py", "total", few="10", many="200")


def test_forgetful_total(does_not_grow):
    does_not_grow("growth>10K", "shop.py", "forgetful_total", few="10", many="200")
