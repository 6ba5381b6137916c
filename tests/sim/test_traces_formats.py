"""Public traces: small files laid out as their publishers lay them out, and the jobs they hold."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from autoscaler.core.errors import SettingsError
from autoscaler.sim.traces import Trace, TraceJob, open_trace
from autoscaler.sim.traces.format import Reading, TokenSpeed
from autoscaler.sim.traces.formats import FORMATS

SAMPLES = {
    "plain": "t_s,prompt_tokens,output_tokens\n0.0,4808,10\n0.052,3180,8\n",
    "azure-llm": (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,4808,10\n"
        "2023-11-16 18:17:04.0319600,3180,8\n"
        "2023-11-16 18:20:07.0417510,2648,15\n"
    ),
    "burstgpt": (
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n"
        "45,ChatGPT,1087,0,1087,Conversation log\n"
        "118,GPT-4,417,276,693,API log\n"
    ),
    "alibaba-genai": (
        "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,negative_prompt_length,"
        "num_images_per_prompt,num_inference_steps,checkpoint_model_version_id,num_lora\n"
        "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.0,G0000,63.0,26.0,1.0,30.0,M0000,0\n"
        "2024-11-15 18:16:14,TXT_2_IMG,SUCCEED,43.0,G0001,93.0,,1.0,40.0,M0001,0\n"
        "2024-11-16 18:17:16,IMG_2_IMG,PROCESSING,,G0001,93.0,,8.0,40.0,M0001,0\n"
    ),
    "servegen": (
        "0,0.035,0.8234275987489966,Gamma,1.4748544461655553,16.47999913667375\n"
        "600,0,0,,0,0\n"
        "1200,0.2733333333333333,6.016918484717946,Weibull,0.4949831672353574,3.3810771356697296\n"
    ),
}
SPEED = Reading(speed=TokenSpeed(prefill=1000.0, decode=10.0))


def sample(directory: Path, name: str, content: str | None = None, reading: Reading | None = None) -> Trace:
    path = directory / "trace.csv"
    path.write_text(content or SAMPLES[name])
    return open_trace(path, reading=reading)


def problems_of(trace: Trace) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        list(trace.jobs())
    return [problem.removeprefix(f"{trace.path}: ") for problem in caught.value.problems]


def test_every_format_has_a_sample_here() -> None:
    assert set(SAMPLES) == set(FORMATS)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_is_told_by_the_first_line(tmp_path: Path, name: str) -> None:
    assert sample(tmp_path, name).format.name == name


@pytest.mark.parametrize("name", SAMPLES)
def test_a_format_that_a_file_does_not_have_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match=f"not of the format {name}: "):
        open_trace(path, format_name=name)


def test_azure_llm_counts_from_the_first_request(tmp_path: Path) -> None:
    trace = sample(tmp_path, "azure-llm")
    assert list(trace.jobs()) == [TraceJob(t_s, None, None, None) for t_s in (0.0, 0.052, 183.061791)]
    assert trace.tells == ()


def test_azure_llm_of_2024_has_zones_and_whole_seconds_without_decimals(tmp_path: Path) -> None:
    content = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-12 00:00:00.001163+00:00,10,1\n"
        "2024-05-12 00:00:01+00:00,10,1\n"
        "2024-05-12 02:00:02.001163+02:00,10,1\n"
    )
    assert [job.t_s for job in sample(tmp_path, "azure-llm", content).jobs()] == [0.0, 0.998837, 2.0]


def test_burstgpt_tells_the_model_and_keeps_requests_that_failed(tmp_path: Path) -> None:
    assert list(sample(tmp_path, "burstgpt").jobs()) == [
        TraceJob(0.0, None, None, "ChatGPT"),
        TraceJob(40.0, None, None, "ChatGPT"),
        TraceJob(113.0, None, None, "GPT-4"),
    ]


def test_burstgpt_of_the_second_release_has_two_columns_more(tmp_path: Path) -> None:
    content = (
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "19440110.0,1722ac82,43,GPT-4,906,446,1352,Conversation log\n"
        "19440161.0,,2,ChatGPT,36,29,65,API log\n"
    )
    assert list(sample(tmp_path, "burstgpt", content).jobs()) == [
        TraceJob(0.0, None, None, "GPT-4"),
        TraceJob(51.0, None, None, "ChatGPT"),
    ]


def test_alibaba_genai_tells_service_times_and_models(tmp_path: Path) -> None:
    trace = sample(tmp_path, "alibaba-genai")
    assert list(trace.jobs()) == [
        TraceJob(0.0, None, 32.0, "M0000"),
        TraceJob(4704.0, None, 43.0, "M0001"),
        TraceJob(91166.0, None, None, "M0001"),
    ]
    assert trace.tells == ("service_s", "model")


def test_alibaba_genai_can_take_its_users_for_tiers(tmp_path: Path) -> None:
    trace = sample(tmp_path, "alibaba-genai", reading=Reading(tier_column="groupId"))
    assert [job.tier for job in trace.jobs()] == ["G0000", "G0001", "G0001"]


@pytest.mark.parametrize(("name", "first_s"), [("plain", 5.808), ("azure-llm", 5.808), ("burstgpt", 2.272)])
def test_service_times_are_made_of_tokens_on_demand(tmp_path: Path, name: str, first_s: float) -> None:
    trace = sample(tmp_path, name, reading=SPEED)
    assert next(trace.jobs()).service_s == pytest.approx(first_s)
    assert "service_s" in trace.tells


@pytest.mark.parametrize("name", ["alibaba-genai", "servegen"])
def test_service_times_of_tokens_are_refused_where_there_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="no columns of tokens"):
        sample(tmp_path, name, reading=SPEED)


def test_bad_dates_and_tokens_are_told_with_their_lines(tmp_path: Path) -> None:
    content = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-13-12 00:00:00,10,1\n"
        "2024-05-12 00:00:05,10,1\n"
        "2024-05-12 00:00:04,10,1\n"
        "2024-05-12 00:00:06,many,1\n"
    )
    order = "earlier than the line above (2024-05-12 00:00:05); expected lines in order of time"
    assert problems_of(sample(tmp_path, "azure-llm", content, reading=SPEED)) == [
        "line 2: TIMESTAMP: 2024-13-12 00:00:00 - expected a date and time such as 2024-05-12 00:00:01.25",
        f"line 4: TIMESTAMP: 2024-05-12 00:00:04 - {order}",
        "line 5: ContextTokens: many - expected a number of tokens from 0 to 1e+12",
    ]


def test_servegen_gives_each_window_as_many_jobs_as_it_had(tmp_path: Path) -> None:
    times = [job.t_s for job in sample(tmp_path, "servegen").jobs()]
    assert [sum(start <= t_s < start + 600 for t_s in times) for start in (0, 600, 1200)] == [21, 0, 164]
    assert times == sorted(times)


def test_servegen_draws_the_same_jobs_for_the_same_seed_only(tmp_path: Path) -> None:
    one, same, other = (list(sample(tmp_path, "servegen", reading=Reading(seed=seed)).jobs()) for seed in (1, 1, 2))
    assert one == same != other


def test_servegen_keeps_how_its_jobs_cluster(tmp_path: Path) -> None:
    """The coefficient of variation of a Gamma law is one over the root of its shape."""
    trace = sample(tmp_path, "servegen", "0,20,2,Gamma,0.25,0.2\n")
    times = [0.0, *(job.t_s for job in trace.jobs())]
    gaps = [after - before for before, after in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation / mean == pytest.approx(2.0, rel=0.05)


def test_servegen_with_bad_lines_is_told_so(tmp_path: Path) -> None:
    content = (
        "0,1,1,Gamma,1,1\n300,1,1,Gamma,1,1\n1200,1,1,Pareto,1,1\n1800,x,1,Gamma,1,1\n2400,1,1,Weibull,0,1\n3000,1\n"
    )
    assert problems_of(sample(tmp_path, "servegen", content)) == [
        "line 2: start: 300 - expected windows of 600 s in order of time",
        "line 3: law: Pareto - expected Gamma or Weibull",
        "line 4: rate: x - expected jobs per second, 0 or more",
        "line 5: shape: 0 - expected a number, 0.01 or more",
        "line 6: 2 fields - expected 6: START,RATE,CV,LAW,SHAPE,SCALE",
    ]


def test_servegen_has_no_column_for_tiers(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no column user that could name the tier; servegen has none"):
        sample(tmp_path, "servegen", reading=Reading(tier_column="user"))
