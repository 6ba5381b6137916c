"""Recorded markets: our own form, the published ones, and what is wrong with a file."""

from __future__ import annotations

import gzip
import math
import os
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.errors import SettingsError
from autoscaler.core.market import Status
from autoscaler.core.spec import MachineSpec, Placement
from autoscaler.sim.market import read_market
from providers.mock import Change, Fault, MockProvider, MockSettings, Series, Stock

TRACES = Path(os.environ.get("AUTOSCALER_TRACES") or Path(__file__).parents[2] / "../shared/traces")
HEADER = "t_s,gpu,region,buy,usd_per_hour,available\n"
V100 = Stock(gpu="V100", region="us-west-2a", on_demand=3.06, spot=0.92)
H100 = Stock(gpu="H100", region="US", on_demand=2.5, spot=1.5)


def written(tmp_path: Path, text: str, name: str = "market.csv") -> Path:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return file


def problems(path: Path, stock: Sequence[Stock] = (V100,)) -> list[str]:
    """What is wrong, the path left out."""
    with pytest.raises(SettingsError) as caught:
        read_market(path, stock)
    assert all(problem.startswith(f"{path}: ") for problem in caught.value.problems)
    return [problem.removeprefix(f"{path}: ") for problem in caught.value.problems]


def recorded(name: str, stock: Stock) -> tuple[Series, ...]:
    """A published file, or none where it is not at hand."""
    if not (TRACES / name).exists():
        pytest.skip("the published markets are not at hand")
    return read_market(TRACES / name, (stock,))


def test_a_row_of_our_own_form_is_a_change_and_a_blank_is_none(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        HEADER
        + "0,V100,us-west-2a,spot,0.92,4\n"
        + "600,V100,us-west-2a,spot,,2\n"
        + "600, V100 ,us-west-2a,on_demand,3.1,\n"
        + "\n"
        + "900,V100,us-west-2a,spot,1.05,\n"
        + "0,L4,,spot,0.3,\n",
    )
    assert read_market(file, (V100,)) == (
        Series(gpu="L4", changes=(Change(0.0, "spot", 0.3),)),
        Series(
            gpu="V100",
            region="us-west-2a",
            changes=(
                Change(0.0, "spot", 0.92, 4.0),
                Change(600.0, "spot", None, 2.0),
                Change(600.0, "on_demand", 3.1),
                Change(900.0, "spot", 1.05),
            ),
        ),
    )


def test_rows_may_come_in_any_order_and_compressed_and_with_further_columns(tmp_path: Path) -> None:
    text = (
        "gpu,region,t_s,note,buy,available,usd_per_hour\nV100,us-west-2a,60,x,spot,2,\nV100,us-west-2a,0,,spot,1,0.5\n"
    )
    file = tmp_path / "market.csv.gz"
    file.write_bytes(gzip.compress(text.encode()))
    [series] = read_market(file, (V100,))
    assert series.changes == (Change(0.0, "spot", 0.5, 1.0), Change(60.0, "spot", None, 2.0))


ROWS = st.lists(
    st.tuples(st.integers(0, 50), st.sampled_from(["", "0.5", "0.7"]), st.sampled_from(["", "0", "2"])), max_size=20
)


@given(ROWS)
def test_rows_that_change_nothing_are_left_out_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, str]]
) -> None:
    lines = "".join(f"{t_s},V100,us-west-2a,spot,{price},{count}\n" for t_s, price, count in rows)
    file = written(tmp_path_factory.mktemp("market"), HEADER + "0,V100,us-west-2a,spot,9,9\n" + lines)
    [series] = read_market(file, (V100,))

    def at(moment: int, found: Sequence[tuple[float, float | None, float | None]]) -> tuple[float, float]:
        past = [row for row in found if row[0] <= moment]
        return (
            [price for _, price, _ in past if price is not None][-1],
            [count for _, _, count in past if count is not None][-1],
        )

    told = [
        (float(t_s), float(price) if price else None, float(count) if count else None)
        for t_s, price, count in sorted([(0, "9", "9"), *rows], key=lambda row: row[0])
    ]
    kept = [(change.t_s, change.usd_per_hour, change.available) for change in series.changes]
    assert [at(moment, kept) for moment in range(51)] == [at(moment, told) for moment in range(51)]
    assert all(change[1:] != (None, None) for change in kept)


def test_every_bad_line_is_told_with_its_number_column_value_and_what_was_expected(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        HEADER
        + "-1,V100,us-west-2a,spot,0.5,1\n"
        + "0,V100,us-west-2a,spot,0.5,1\n"
        + "0,,us-west-2a,spot,0.5,1\n"
        + "0,V100,us-west-2a,bid,0.5,1\n"
        + "0,V100,us-west-2a,spot,cheap,1\n"
        + "0,V100,us-west-2a,spot,0.5,1.5\n"
        + "0,V100,us-west-2a,spot,nan,1\n"
        + "0,V100,us-west-2a,spot,0.5\n",
    )
    assert problems(file) == [
        "line 2: t_s: -1 - expected a number of seconds, 0 or more",
        "line 4: gpu: '' - expected the name of a GPU",
        "line 5: buy: bid - expected spot or on_demand",
        "line 6: usd_per_hour: cheap - expected a number of USD per hour, 0 or more, or nothing",
        "line 7: available: 1.5 - expected a whole number, 0 or more, or nothing",
        "line 8: usd_per_hour: nan - expected a number of USD per hour, 0 or more, or nothing",
        "line 9: 5 fields - expected 6, as in line 1",
    ]


def test_of_many_bad_lines_the_first_ten_are_told_and_all_are_counted(tmp_path: Path) -> None:
    told = problems(written(tmp_path, HEADER + "soon,V100,us-west-2a,spot,0.5,1\n" * 1234))
    assert len(told) == 11
    assert told[9].startswith("line 11: t_s: soon")
    assert told[10] == "1,234 lines are bad; these were the first 10"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no header; expected t_s,gpu,region,buy,usd_per_hour,available"),
        ("t_s,gpu,region,buy,usd,available\n", "this header is of no market that is known: t_s, gpu, region, buy, usd"),
        ("t_s,gpu,gpu\n", "two columns have the name gpu"),
        ("t_s\n0\n", "this header is of no market that is known: t_s; expected"),
    ],
)
def test_a_header_that_is_not_known_is_told_with_ours(tmp_path: Path, text: str, problem: str) -> None:
    [told] = problems(written(tmp_path, text))
    assert told.startswith(problem)


def test_a_bad_time_of_day_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, "time_utc,instance,region,ondemand_usd_h,spot_usd_h\nyesterday,a2,us,1,\n")
    assert problems(file) == ["line 2: time_utc: yesterday - expected a time such as 2025-10-19T21:01:58Z"]


def test_a_file_of_which_nothing_is_in_stock_is_refused_with_both_lists_and_what_to_write(tmp_path: Path) -> None:
    file = written(tmp_path, HEADER + "0,V100,us-west-2a,spot,0.5,1\n0,L4,,spot,0.3,\n")
    [told] = problems(file, (H100, H100))
    assert told == (
        "no kind of stock follows any of its series. Its series: L4, V100/us-west-2a. In stock: H100/US. Expected "
        "stock with the GPU and region of a series, or one that names its series, as in {gpu: …, region: …, series: L4}"
    )


def test_stock_that_names_a_series_which_is_not_there_is_told_the_nearest(tmp_path: Path) -> None:
    rows = "".join(f"0,V100,us-west-{zone},spot,0.5,1\n" for zone in range(200))
    named = Stock(gpu="H100", region="US", on_demand=2.5, spot=1.5, series="V100/us-west-1x")
    [told] = problems(written(tmp_path, HEADER + rows), (named,))
    assert told.startswith(
        "no series V100/us-west-1x, which the stock of H100/US names; expected one of its 200, such as"
    )
    assert "V100/us-west-1" in told
    assert len(told) < 250


def test_a_probe_of_one_node_tells_whether_any_can_be_had(tmp_path: Path) -> None:
    file = written(tmp_path, "t_s,us-west-2a_v100_1,us-west-2a_v100_8\n0,1,0\n600,0,\n1200,0,1\n")
    assert {series.name: series.changes for series in read_market(file, (V100,))} == {
        "v100/us-west-2a": (Change(0.0, "spot", None, math.inf), Change(600.0, "spot", None, 0.0)),
        "8x v100/us-west-2a": (Change(0.0, "spot", None, 0.0), Change(1200.0, "spot", None, math.inf)),
    }


def test_a_count_of_nodes_is_how_many_can_be_had(tmp_path: Path) -> None:
    file = written(tmp_path, "t_s,us-west-2a_v100_1\n0,1\n300,4\n600,\n900,4\n1200,3\n")
    [series] = read_market(file, (V100,))
    assert series.changes == tuple(Change(t_s, "spot", None, n) for t_s, n in ((0.0, 1.0), (300.0, 4.0), (1200.0, 3.0)))


def test_the_published_probes_of_aws_are_read() -> None:
    found = recorded("market_aws_k80v100_avail_2022-10.csv.gz", V100)
    series = {each.name: each.changes for each in found}
    assert len(series) == 8
    assert len(series["v100/us-west-2a"]) == 253, "the first value, and 252 changes"
    assert {change.available for change in series["v100/us-west-2a"]} == {0.0, math.inf}


def test_the_published_counts_of_aws_are_read_and_a_zone_that_ends_early_keeps_its_last() -> None:
    found = recorded(
        "market_aws_v100_4node_preempt_2023-08.csv.gz", Stock(gpu="V100", region="us-west-2c", on_demand=3, spot=1)
    )
    assert [each.name for each in found] == ["v100/us-east-1f", "v100/us-east-2a", "v100/us-west-2c"]
    assert {change.available for each in found for change in each.changes} == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert len(found[2].changes) == 358


def test_the_published_prices_of_gcp_are_read_from_the_file_s_first_moment_on() -> None:
    stock = Stock(gpu="A100", region="US", on_demand=3.7, spot=1.2, series="a2-highgpu-1g/asia-east1")
    found = {each.name: each for each in recorded("market_gcp_gpu_spot_price_changes_2023_2024.csv.gz", stock)}
    changes = found["a2-highgpu-1g/asia-east1"].changes
    assert changes[:2] == (Change(0.0, "on_demand", 3.790142), Change(0.0, "spot", 1.1020155))
    assert all(earlier.t_s <= later.t_s for earlier, later in pairwise(changes))
    assert all(change.available is None for change in changes)


def test_the_published_offers_of_small_clouds_are_read_for_single_gpus() -> None:
    stock = Stock(gpu="A100 80GB PCIe", region="US", on_demand=1.6, spot=1.0)
    found = {each.name: each.changes for each in recorded("market_neocloud_price_avail_2025-10.csv.gz", stock)}
    assert found["A100_80GB_PCIe"][0] == Change(0.0, "on_demand", 1.35, 7.0)
    assert 0.0 in {change.available for change in found["B200_180GB"]}, "none on offer for one GPU"
    assert len(found) == 7


async def test_a_market_that_follows_the_published_counts_loses_its_spot_machines_when_they_were_lost() -> None:
    stock = Stock(gpu="V100", region="us-west-2c", on_demand=3.06, spot=0.92)
    series = recorded("market_aws_v100_4node_preempt_2023-08.csv.gz", stock)
    now = 1_800_000_000.0
    settings = MockSettings(stock=(stock,), faults={Fault.OUTBID: 0.0}, outbid_returns=0.0)
    provider = MockProvider("mock", settings, now=lambda: now, rng=random.Random(1), series=series)
    spot = Placement(provider="mock", max_usd_per_hour=2.0, buy="spot")
    machine = MachineSpec(image="worker", gpus=("V100",))
    for offer in (await provider.list_offers(spot, machine))[:4]:
        await provider.rent(offer, machine, label="ours")
    [zone] = [each for each in series if each.region == "us-west-2c"]
    falls = next(change for change in zone.changes if (change.available or 0.0) < 4)
    now += falls.t_s
    running = [remote for remote in (await provider.list_machines()).machines if remote.status is not Status.STOPPED]
    assert len(running) == falls.available
