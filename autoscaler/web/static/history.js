// The last hours: points over time and machines by phase, as the daemon remembers them, with what has come since.

const POINTS = 1440;
const LEAST_S = 600;
const MOST_REASONS = 5000;

/** What is known of the last `hours`; nothing before it was loaded. Times are epoch seconds. */
export class History {
  hours = 6;
  until = 0;
  #pools = new Map(); // pool → its targets by tier, and its points, oldest first
  #machines = new Map(); // id → machine with its phases, oldest first
  #reasons = new Map(); // a machine, its phase and since when → why
  #waiting = null; // statuses that came while it is loading
  #loading = null;

  /** Where the charts begin: so many hours ago, or where anything is known first. */
  get from() {
    const firsts = [...this.#pools.values()].map(({ points }) => points[0]?.at ?? Infinity);
    const known = Math.min(...firsts, this.until - LEAST_S);
    return Math.max(known, this.#earliest);
  }

  get #earliest() {
    return this.until - this.hours * 3600;
  }

  /** Ask the daemon for the last `hours`, unless that is under way; what it says meanwhile is added afterwards. */
  load(hours) {
    if (this.#loading?.hours !== hours) this.#loading = { hours, done: this.#load(hours) };
    return this.#loading.done;
  }

  async #load(hours) {
    this.#waiting ??= [];
    const wanted = () => this.#loading?.hours === hours; // else another choice was made
    try {
      const answer = await fetch(`/api/v1/timeline?hours=${hours}`);
      if (!answer.ok) throw new Error(`the history cannot be had: ${answer.status}`);
      const timeline = await answer.json();
      if (wanted()) this.#begin(timeline, hours);
    } finally {
      if (wanted()) {
        this.#loading = null;
        this.#takeWaiting();
      }
    }
  }

  #begin(timeline, hours) {
    this.hours = hours;
    this.until = timeline.to;
    this.#pools = new Map(timeline.pools.map((pool) => [pool.name, poolOf(pool)]));
    this.#machines = new Map(timeline.machines.map((machine) => [machine.id, machine]));
  }

  #takeWaiting() {
    const statuses = this.#waiting;
    this.#waiting = null;
    for (const status of statuses) this.#take(status);
  }

  /** Add what a status says. */
  add(status) {
    if (status.at === null) return;
    if (this.#waiting) this.#waiting.push(status);
    else this.#take(status);
  }

  #take(status) {
    if (status.at < this.until) return;
    this.until = status.at;
    for (const pool of status.pools) this.#addPoint(pool, pointOf(pool, status.at));
    this.#takeMachines(status);
    this.#forget();
  }

  /** Take from entries of the journal why machines came into their phases. */
  explain(entries) {
    for (const { kind, instance, result, at, text } of entries) {
      if (kind === "phase") this.#reasons.set(stay(instance, result, at), text);
    }
    for (const oldest of [...this.#reasons.keys()].slice(0, -MOST_REASONS)) this.#reasons.delete(oldest);
  }

  /** Why a machine came into a phase; empty where nobody remembers. */
  reason(machine, span) {
    return span.reason ?? this.#reasons.get(stay(machine.id, span.phase, span.from)) ?? "";
  }

  #addPoint(pool, point) {
    const known = this.#pools.get(pool.name) ?? { points: [] };
    const targets = new Map(pool.demand.tiers.map((each) => [each.tier, each.wait_target_s]));
    this.#pools.set(pool.name, { ...known, targets: targets.size ? targets : (known.targets ?? targets) });
    const { points } = known;
    // Two that lie closer than can be seen become one: the newest is always there.
    if (points.length > 1 && point.at - points.at(-2).at < (this.hours * 3600) / POINTS) points.pop();
    points.push(point);
  }

  #takeMachines(status) {
    const present = new Set();
    for (const machine of status.instances) {
      present.add(machine.id);
      const known = this.#machines.get(machine.id) ?? machineOf(machine);
      this.#machines.set(machine.id, known);
      const last = known.phases.at(-1);
      const span = spanOf(machine);
      if (last?.phase === span.phase && (last.to ?? Infinity) > span.from) Object.assign(last, span, { from: last.from });
      else {
        if (last) last.to ??= span.from;
        known.phases.push(span);
      }
    }
    for (const [id, { phases }] of this.#machines) if (!present.has(id)) phases.at(-1).to ??= status.at;
  }

  #forget() {
    const earliest = this.#earliest;
    for (const { points } of this.#pools.values()) {
      const first = points.findIndex((point) => point.at >= earliest);
      if (first > 0) points.splice(0, first);
    }
    for (const [id, { phases }] of this.#machines) {
      if ((phases.at(-1).to ?? this.until) < earliest) this.#machines.delete(id);
    }
  }

  /** The names of all pools that are known. */
  get pools() {
    return [...this.#pools.keys()].sort();
  }

  /** A pool's points, oldest first. */
  points(pool) {
    return this.#pools.get(pool)?.points ?? [];
  }

  /** A pool's wait targets in seconds, by tier. */
  targets(pool) {
    return this.#pools.get(pool)?.targets ?? new Map();
  }

  /** A pool's machines, those that are there first, then the newest. */
  machines(pool) {
    const own = [...this.#machines.values()].filter((machine) => machine.pool === pool);
    const rank = ({ phases }) => [phases.at(-1).to ?? Infinity, phases[0].from];
    return own.sort((a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1]);
  }
}

// --- the forms of what the daemon tells -------------------------------------------------------------------------------

/** A pool of the timeline: its columns as points. */
function poolOf({ tiers, points }) {
  const targets = new Map(tiers.map((each) => [each.tier, each.wait_target_s]));
  const value = (place) => ({
    at: points.at[place],
    up: points.up[place],
    wanted: points.wanted[place],
    usd_per_hour: points.usd_per_hour[place],
    tiers: new Map(tiers.map(({ tier }, column) => [
      tier,
      { waiting: points.tiers[column].waiting[place], oldest_wait_s: points.tiers[column].oldest_wait_s[place] },
    ])),
  });
  return { targets, points: points.at.map((_, place) => value(place)) };
}

/** What a status says of a pool, as a point. */
function pointOf(pool, at) {
  const { up, decision, usd_per_hour, demand } = pool;
  return { at, up, wanted: decision.hot, usd_per_hour, tiers: new Map(demand.tiers.map((tier) => [tier.tier, tier])) };
}

/** What tells a machine's time in a phase from others; the timeline has tenths of seconds. */
const stay = (machine, phase, since) => `${machine} ${phase} ${Math.round(since * 10)}`;

function machineOf({ id, pool, gpu, region, provider }) {
  return { id, pool, gpu, region, provider, phases: [] };
}

function spanOf({ phase, phase_since: from, usd_per_hour, reason }) {
  return { phase, from, to: null, usd_per_hour, reason };
}
