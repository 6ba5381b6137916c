"""Every format of traces that is read. Layouts were read in the published files, as said at each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from autoscaler.sim.traces.format import Format
from autoscaler.sim.traces.servegen import ServeGen
from autoscaler.sim.traces.table import Table


def _date(text: str) -> float:
    """Epoch seconds of a date and time; without a zone, of UTC."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_DATE = "a date and time such as 2024-05-12 00:00:01.25"

PLAIN = Table(
    name="plain",
    about="t_s; if known tier, service_s or exec_s, model or base_model, prompt_tokens and output_tokens",
    known_by=("t_s",),
    from_first=False,
    tier=("tier",),
    service=("service_s", "exec_s"),
    model=("model", "base_model"),
    tokens=("prompt_tokens", "output_tokens"),
)
"""Our own, which simulations read."""

_AZURE_LLM = Table(
    name="azure-llm",
    about="Azure LLM inference traces of 2023 and 2024",
    known_by=("TIMESTAMP", "ContextTokens", "GeneratedTokens"),
    clock=_date,
    clock_expected=_DATE,
    tokens=("ContextTokens", "GeneratedTokens"),
)
"""`data/AzureLLMInferenceTrace_code.csv` and AzureLLMInferenceDataset2024.md of Azure/AzurePublicDataset.

The files of 2023 give seven decimals and no zone, those of 2024 six, or none for a whole second, and the zone.
"""

_BURSTGPT = Table(
    name="burstgpt",
    about="BurstGPT, releases 1 and 2; requests that failed are kept",
    known_by=("Timestamp", "Model", "Request tokens", "Response tokens"),
    model=("Model",),
    tokens=("Request tokens", "Response tokens"),
)
"""README.md of HPMLL/BurstGPT: seconds from midnight of the first day. BurstGPT_3.csv begins at 19,440,110 s, and has
`Session ID` and `Elapsed time` before `Model`.
"""

_ALIBABA_GENAI = Table(
    name="alibaba-genai",
    about="Alibaba cluster-trace-v2026-GenAI, lora_request_trace.csv",
    known_by=("gmt_create", "exec_time_seconds", "checkpoint_model_version_id"),
    clock=_date,
    clock_expected=_DATE,
    service=("exec_time_seconds",),
    model=("checkpoint_model_version_id",),
)
"""`cluster-trace-v2026-GenAI/lora_request_trace.csv` and its README.md in alibaba/clusterdata."""

FORMATS: Mapping[str, Format] = MappingProxyType(
    {each.name: each for each in (PLAIN, _AZURE_LLM, _BURSTGPT, _ALIBABA_GENAI, ServeGen())}
)
"""By name; a file has the first that fits."""
