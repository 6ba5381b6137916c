"""The schema of RunPod's GraphQL, as far as its clients use it for pods. Restated from their requests."""

from __future__ import annotations

from collections.abc import Collection

from autoscaler.emulate.runpod.quirks import Quirk

_GOES_WITH = {Quirk.SPOT_GONE: "# spot", Quirk.BALANCE_GONE: "# balance"}
_SCHEMA = """
scalar DateTime
enum CloudTypeEnum { ALL SECURE COMMUNITY }

type Query {
  gpuTypes(input: GpuTypeFilter): [GpuType]
  myself: User
  pod(input: PodFilter!): Pod
}

type Mutation {
  podFindAndDeployOnDemand(input: PodFindAndDeployOnDemandInput!): Pod
  podRentInterruptable(input: PodRentInterruptableInput!): Pod # spot
  deployCpuPod(input: deployCpuPodInput!): Pod
  podResume(input: PodResumeInput!): Pod
  podBidResume(input: PodBidResumeInput!): Pod # spot
  podStop(input: PodStopInput!): Pod
  podTerminate(input: PodTerminateInput!): Boolean
}

input GpuTypeFilter { id: String ids: [String] }
input GpuLowestPriceInput {
  gpuCount: Int = 1 secureCloud: Boolean dataCenterId: String countryCode: String minMemoryInGb: Int minVcpuCount: Int
  minDisk: Int minCudaVersion: String
}
input PodFilter { podId: String! }
input PodStopInput { podId: String! }
input PodTerminateInput { podId: String! }
input PodResumeInput { podId: String! gpuCount: Int! }
input PodBidResumeInput { podId: String! gpuCount: Int! bidPerGpu: Float! }
input EnvironmentVariableInput { key: String! value: String! }
input PodFindAndDeployOnDemandInput { FIELDS }
input PodRentInterruptableInput { FIELDS bidPerGpu: Float! }
input deployCpuPodInput { FIELDS instanceId: String! }

type User {
  id: String
  pubKey: String
  networkVolumes: [NetworkVolume]
  pods: [Pod]
  clientBalance: Float # balance
  currentSpendPerHr: Float # balance
  spendLimit: Float # balance
}
type NetworkVolume { id: String name: String size: Int dataCenterId: String }
type GpuType {
  id: String displayName: String manufacturer: String memoryInGb: Int cudaCores: Int maxGpuCount: Int
  secureCloud: Boolean communityCloud: Boolean securePrice: Float communityPrice: Float oneWeekPrice: Float
  oneMonthPrice: Float threeMonthPrice: Float secureSpotPrice: Float communitySpotPrice: Float
  lowestPrice(input: GpuLowestPriceInput): LowestPrice
}
type LowestPrice { minimumBidPrice: Float uninterruptablePrice: Float stockStatus: String }
type Pod {
  id: String name: String imageName: String desiredStatus: String lastStatusChange: String lastStartedAt: DateTime
  costPerHr: Float gpuCount: Int vcpuCount: Float memoryInGb: Float containerDiskInGb: Int volumeInGb: Int
  volumeMountPath: String dockerArgs: String dockerId: String env: [String] ports: String port: Int podType: String
  machineId: String machine: Machine uptimeSeconds: Int runtime: Runtime
}
type Machine { podHostId: String gpuDisplayName: String dataCenterId: String secureCloud: Boolean }
type Runtime { uptimeInSeconds: Int ports: [RuntimePort] gpus: [RuntimeGpu] }
type RuntimePort { ip: String isIpPublic: Boolean privatePort: Int publicPort: Int type: String }
type RuntimeGpu { id: String gpuUtilPercent: Float memoryUtilPercent: Float }
"""
_ORDER_FIELDS = """
  name: String imageName: String gpuTypeId: String cloudType: CloudTypeEnum gpuCount: Int volumeInGb: Int
  containerDiskInGb: Int minVcpuCount: Int minMemoryInGb: Int dockerArgs: String ports: String volumeMountPath: String
  env: [EnvironmentVariableInput] templateId: String networkVolumeId: String dataCenterId: String countryCode: String
  supportPublicIp: Boolean startSsh: Boolean startJupyter: Boolean allowedCudaVersions: [String] minCudaVersion: String
  minDownload: Int minUpload: Int containerRegistryAuthId: String stopAfter: DateTime terminateAfter: DateTime
"""


def schema_text(quirks: Collection[Quirk]) -> str:
    """The schema in its own language, without what a quirk has taken out."""
    gone = tuple(mark for quirk, mark in _GOES_WITH.items() if quirk in quirks)
    lines = [line for line in _SCHEMA.splitlines() if not line.endswith(gone)]
    return "\n".join(lines).replace("FIELDS", _ORDER_FIELDS)
