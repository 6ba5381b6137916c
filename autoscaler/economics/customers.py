"""Customers who pay by the month: margin per plan, how many are needed, and what they cost at each scale."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoscaler.economics.fleet import at_load, kept
from autoscaler.economics.format import format_figure, format_loss
from autoscaler.economics.interval import ZERO, Interval, exactly, margin, over, ratio, total
from autoscaler.economics.plan import BusinessPlan, Plan, Serving
from autoscaler.economics.tables import Row, Table, Unit


def usd_per_job(plan: BusinessPlan) -> Interval | None:
    """What one job of a customer costs: that of `serving` at its load; nothing without it, None if it does no jobs."""
    if plan.serving is None:
        return ZERO
    found = at_load(kept(plan, plan.serving.scenario), plan.serving.load)
    return None if found is None else found.usd_per_job


def per_user_usd(plan: BusinessPlan, offer: Plan) -> Interval:
    """What a customer of a plan costs in a month besides his jobs."""
    own = offer.per_user_usd_per_month
    return total((plan.per_user_usd_per_month if own is None else own).values())


def break_even_jobs(offer: Plan, per_user: float, per_job: float) -> float:
    """The most jobs at which a customer costs no more than he pays; 0 if no number is, infinite if all are.

    He pays p + e × max(0, j − included) and costs u + c × j: within what is included that is j = (p − u) ÷ c, beyond it
    what is left there is used up by c − e a job.
    """
    left = offer.usd_per_month - per_user
    if left < 0.0:
        return 0.0
    left_at_included = left - per_job * offer.included_jobs
    if left_at_included < 0.0:
        return left / per_job
    extra = offer.usd_per_extra_job
    if extra is None or extra >= per_job:
        return math.inf
    return offer.included_jobs + left_at_included / (per_job - extra)


def margins(plan: BusinessPlan) -> Table:
    """What one customer of each plan pays, costs and leaves in a month."""
    job = usd_per_job(plan)
    rows, said = [], []
    for name, offer in plan.plans.items():
        paid, user = exactly(offer.revenue_usd), per_user_usd(plan, offer)
        cost = user if offer.jobs == 0.0 else job and user + exactly(offer.jobs) * job
        included = ratio(exactly(offer.usd_per_month), exactly(offer.included_jobs))
        sold = (exactly(offer.users), exactly(offer.users) * paid) if offer.users else (None, None)
        if job is None or cost is None:
            rows.append(Row(name, (paid, cost, None, None, included, None, *sold)))
            continue
        profit = paid - cost
        enough = over(lambda u, c, o=offer: break_even_jobs(o, u, c), user, job)
        rows.append(Row(name, (paid, cost, profit, margin(cost, paid), included, enough, *sold)))
        if profit.low < 0.0:
            said.append(_loss(name, offer, profit, cost, enough))
    if plan.serving is not None and job is None and plan.plans:
        where = f"{plan.serving.scenario} at {plan.serving.load.text}"
        said.append(f"{where} does no jobs, as far as is said: no plan has a cost per job")
    columns = {"revenue_usd": Unit.USD, "cost_usd": Unit.USD, "profit_usd": Unit.USD, "margin": Unit.SHARE}
    columns |= {"usd_per_included_job": Unit.USD, "jobs_without_loss": Unit.COUNT}
    columns |= {"users": Unit.COUNT, "revenue_usd_per_month": Unit.USD}
    return Table("plans", "Plans, per customer and month", columns, tuple(rows), tuple(said))


def _loss(name: str, offer: Plan, profit: Interval, cost: Interval, enough: Interval) -> str:
    text, lost = format_loss(name, profit)
    text += " a customer"
    if offer.users:
        text += f", {_usd(lost * exactly(offer.users))} a month with {_count(exactly(offer.users))}"
    even = exactly(max(0.0, offer.revenue_usd - offer.usd_per_month))
    price = (cost - even).map(lambda usd: max(0.0, usd))
    text += f": it breaks even at a price of {_usd(price)}"
    if enough.low >= 1.0:
        text += f", or at {_count(exactly(enough.low))} jobs at most instead of {_count(exactly(offer.jobs))}"
    return text


def _usd(figure: Interval) -> str:
    return f"{format_figure(figure, Unit.USD)} USD"


def _count(figure: Interval) -> str:
    return format_figure(figure.map(lambda number: math.floor(number) if math.isfinite(number) else number), Unit.COUNT)


@dataclass(frozen=True, slots=True)
class Mix:
    """The mean customer."""

    revenue_usd: float
    per_user_usd: Interval
    """What he costs besides his jobs."""
    jobs: float
    paying: float
    """The share of customers who pay."""

    @property
    def left_usd(self) -> Interval:
        """What he leaves for everything that is paid as a whole, as machines are."""
        return exactly(self.revenue_usd) - self.per_user_usd


def mix_of(plan: BusinessPlan, offers: list[Plan]) -> Mix:
    """The mean customer of plans, weighted by their customers; of one plan, its customer."""
    weights = [offer.users for offer in offers] if len(offers) > 1 else [1.0]
    whole = sum(weights)
    shares = [weight / whole for weight in weights]
    parts = [(share, offer, per_user_usd(plan, offer)) for share, offer in zip(shares, offers, strict=True)]
    return Mix(
        revenue_usd=sum(share * offer.revenue_usd for share, offer, _ in parts),
        per_user_usd=total(exactly(share) * user for share, _, user in parts),
        jobs=sum(share * offer.jobs for share, offer, _ in parts),
        paying=sum(share for share, offer, _ in parts if offer.revenue_usd > 0.0),
    )


def fleets_needed(fixed: float, usd: float, capacity: float, left: float, jobs: float) -> float:
    """How often a scenario is needed to break even; infinite where customers never pay for the machines they use.

    k scenarios take (k × usd + fixed) ÷ left customers, whose jobs must fit into k × capacity. That holds from
    k = fixed × jobs ÷ (capacity × left − usd × jobs) on, if the divisor is positive.
    """
    if left <= 0.0 or (jobs > 0.0 and capacity * left <= usd * jobs):
        return math.inf
    if jobs == 0.0:
        return 1.0
    return max(1.0, _up(fixed * jobs / (capacity * left - usd * jobs)))


def break_even_users(fixed: float, usd: float, capacity: float, left: float, jobs: float) -> float:
    """The least customers whose payments cover the fixed costs and the machines that their own jobs need."""
    times = fleets_needed(fixed, usd, capacity, left, jobs)
    return math.inf if math.isinf(times) else _up((times * usd + fixed) / left)


def _up(number: float) -> float:
    """Rounded up to a whole number, but for what floating point adds to one."""
    return number if math.isinf(number) else float(math.ceil(number - 1e-9))


def break_even(plan: BusinessPlan) -> Table:
    """How many customers of each plan alone, and of the mix, pay for everything."""
    fixed = total(plan.fixed_usd_per_month.values())
    usd, capacity = ZERO, exactly(math.inf)
    if plan.serving is not None:
        month = kept(plan, plan.serving.scenario)
        usd, capacity = month.usd, month.jobs or exactly(math.inf)
    several = [offer for offer in plan.plans.values() if offer.users]
    groups = {name: [offer] for name, offer in plan.plans.items() if offer.revenue_usd > 0.0}
    if len(several) > 1:
        groups["mix"] = several
    rows, said = [], []
    for name, offers in groups.items():
        mix = mix_of(plan, offers)
        given = (fixed, usd, capacity, mix.left_usd, exactly(mix.jobs))
        users, times = over(break_even_users, *given), over(fleets_needed, *given)
        paying = (users * exactly(mix.paying)).map(_up) if mix.paying else None
        rows.append(Row(name, (mix.left_usd, users, paying, times)))
        if math.isinf(users.high):
            said.append(_never(name, mix, users))
    if plan.serving is not None and several:
        said += _load(plan.serving, capacity, sum(offer.users * offer.jobs for offer in several))
    columns = {"usd_left_per_user": Unit.USD, "users": Unit.COUNT, "paying_users": Unit.COUNT, "times": Unit.COUNT}
    return Table("break_even", "Customers to break even", columns, tuple(rows), tuple(said))


def _load(serving: Serving, capacity: Interval, jobs: float) -> Iterator[str]:
    """What the customers named in the plans make of the load that is assumed."""
    real = ratio(exactly(jobs), capacity)
    if real is not None and math.isfinite(capacity.high):
        yield (
            f"the plans' users do {_count(exactly(jobs))} jobs a month, {format_figure(real, Unit.SHARE)} of what "
            f"{serving.scenario} can do; the cost per job assumes a load of {serving.load.text}"
        )


def _never(name: str, mix: Mix, users: Interval) -> str:
    never = "never" if math.isinf(users.low) else "in the worst case never"
    if mix.left_usd.low <= 0.0:
        return f"{name} {never} breaks even: a customer leaves {_usd(mix.left_usd)} a month before any job is paid"
    jobs = _count(exactly(mix.jobs))
    return f"{name} {never} breaks even: {jobs} jobs a customer cost more than he pays, however busy machines are"


def costs(plan: BusinessPlan) -> Table:
    """The sums of what is paid per customer and of what is fixed, machines apart."""
    sums = {"per-user": plan.per_user_usd_per_month, "fixed": plan.fixed_usd_per_month}
    rows = tuple(Row(name, (total(each.values()),)) for name, each in sums.items() if each)
    return Table("costs", "Costs besides machines", {"usd_per_month": Unit.USD}, rows)


def scales(plan: BusinessPlan) -> Table:
    """What a customer costs and leaves at each number of customers."""
    several = [offer for offer in plan.plans.values() if offer.users] or [*plan.plans.values()][:1]
    mix = mix_of(plan, several) if several else None
    rows, said = [], []
    for name, scale in plan.scales.items():
        whole = plan.fixed_usd_per_month.values()
        fixed = total(whole) if scale.fixed_usd_per_month is None else scale.fixed_usd_per_month
        user = _variable_usd(plan, mix)
        if scale.usd_per_user is not None:
            user, fixed = scale.usd_per_user, ZERO
        elif scale.users.low == 0.0:
            said.append(f"{name} may have no customers: {_usd(fixed)} a month are paid all the same")
        price = exactly(mix.revenue_usd) if scale.price_usd is None and mix else scale.price_usd
        rows.append(Row(name, _at_scale(scale.users, user, fixed, price)))
    columns = {"users": Unit.COUNT, "fixed_usd_per_user": Unit.USD, "usd_per_user": Unit.USD, "price_usd": Unit.USD}
    columns |= {"margin": Unit.SHARE, "revenue_usd_per_month": Unit.USD, "profit_usd_per_month": Unit.USD}
    columns |= {"profit_usd_per_year": Unit.USD}
    return Table("scales", "Customers by scale", columns, tuple(rows), tuple(said))


def _variable_usd(plan: BusinessPlan, mix: Mix | None) -> Interval | None:
    """What one more customer costs in a month."""
    if mix is None:
        return total(plan.per_user_usd_per_month.values())
    if mix.jobs == 0.0:
        return mix.per_user_usd
    job = usd_per_job(plan)
    return None if job is None else mix.per_user_usd + exactly(mix.jobs) * job


def _at_scale(
    users: Interval, user: Interval | None, fixed: Interval, price: Interval | None
) -> tuple[Interval | None, ...]:
    """A row: cost = cost per user + fixed ÷ users, profit = users × (price − cost per user) − fixed."""
    share = ratio(fixed, users)
    cost = None if user is None or share is None else user + share
    if price is None:
        return users, share, cost, None, None, None, None, None
    month = None if user is None else users * (price - user) - fixed
    left = None if cost is None else margin(cost, price)
    return users, share, cost, price, left, users * price, month, None if month is None else month * exactly(12.0)
