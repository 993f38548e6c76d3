"""Neap and the upstream HPA controller side by side, for three minutes (side_by_side.py says what is compared)."""
import os

import side_by_side
from cluster import Missing
from conftest import lacks


def test_no_decision_differs_and_neap_is_faster():
    try:
        result = side_by_side.run(os.environ["NEAP_BIN"], minutes=3, pairs=6, objects=0, seed=1)
    except Missing as missing:
        lacks(missing)
    print(side_by_side.tables(result))
    # 15 HPAs of five sources and the 6 of the pairs, each reconciled every 15 s.
    assert result.ticks > 150 and result.writes > 20
    assert result.agree, result.report
    assert result.missed == []
    assert min(len(r) for r in result.reactions.values()) >= 6
    p99 = {who: side_by_side.percentile(r, 0.99) for who, r in result.reactions.items()}
    assert p99["hpa"] > 5 * p99["neap"], p99  # ten times, over a longer run on a quiet machine: docs/performance.md
