// Figures in words, as the command line writes them.

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

/** A duration as a person would say it: 45s, 2m 30s, 1h 05m, 3d 4h. */
export function duration(seconds) {
  const whole = Math.round(seconds);
  const two = (number) => String(number).padStart(2, "0");
  if (whole < MINUTE) return `${whole}s`;
  if (whole < HOUR) return parted(Math.floor(whole / MINUTE), "m", two(whole % MINUTE), "s");
  if (whole < DAY) return parted(Math.floor(whole / HOUR), "h", two(Math.floor(whole / MINUTE) % 60), "m");
  return parted(Math.floor(whole / DAY), "d", String(Math.floor(whole / HOUR) % 24), "h");
}

function parted(large, unit, small, smaller) {
  return Number(small) ? `${large}${unit} ${small}${smaller}` : `${large}${unit}`;
}

/** A time of day in UTC from epoch seconds. */
export function moment(epoch) {
  return new Date(epoch * 1000).toISOString().slice(11, 19);
}

/** An amount of money. */
export function usd(amount, digits = 2) {
  return amount === null || amount === undefined ? "-" : amount.toFixed(digits);
}

/** A count with its noun. */
export function count(number, noun, plural = `${noun}s`) {
  return `${number} ${number === 1 ? noun : plural}`;
}

const WARN_SHARE = 0.7;

/** How a tier does against its wait target: a state in a word, and the share of the target that is used up. */
export function tierState(tier) {
  if (tier.oldest_wait_s === null) return [tier.waiting === 0 ? "ok" : "unknown", 0];
  if (!tier.wait_target_s) return ["no target", 0];
  const share = tier.oldest_wait_s / tier.wait_target_s;
  if (share > 1) return ["late", share];
  return [share >= WARN_SHARE ? "close" : "ok", share];
}

/** A machine's state: its phase, save that of one that is HOT it is told how it does. */
export function machineState(machine) {
  if (machine.phase === "hot" && machine.ailment) return "degraded";
  return machine.serving ? "serving" : machine.phase;
}

const ON_ITS_WAY = new Set(["planned", "renting", "booting", "resuming"]);
const GPU_USE = { low: "its GPU is used little", idle: "its GPU is as good as idle" };

/** What is out of the ordinary with a machine, and why it is in its phase. */
export function machineReason(machine) {
  const odd = [];
  if (machine.tier) odd.push(`for ${machine.tier}`);
  if (machine.ailment) odd.push(machine.ailment);
  if (machine.diagnosis && ON_ITS_WAY.has(machine.phase)) odd.push(machine.diagnosis.replaceAll("_", " "));
  if (machine.phase === "hot" && GPU_USE[machine.gpu_use]) odd.push(GPU_USE[machine.gpu_use]);
  return [...odd, machine.reason].join("; ");
}

/** A daemon's name for itself, HOST:PID and more, in words. */
export function leaderName(leader) {
  const [host, process] = leader.split(":");
  if (leader === "spread") return "a daemon with `spread: true`";
  return leader ? `process ${process} on ${host}` : "nobody";
}
