"""The least that given jobs could have cost: three lower bounds on what any autoscaler could have paid for them.

====================  =====================================================================================
`pure_work_usd`       machines that are paid only while all their slots work
`zero_wait_usd`       whole machines, no job ever waits; in closed form
`clairvoyant`         whole machines, jobs may wait as long as their tier's promise allows; a mixed-integer
                      programme by day, for which numpy and scipy are needed: the extra `bounds`
====================  =====================================================================================

For one world and one promise `pure_work_usd` ≤ `clairvoyant` always. `clairvoyant` ≤ `zero_wait_usd` wherever the
limits allow what the latter does: it knows neither the ceilings of HOT and WARM nor the floor of WARM.

All begin with no machine rented. For a stretch cut out of a longer life, take off one set-up for each machine that
stood at its beginning; what is left is a lower bound again.
"""

from autoscaler.sim.bounds.clairvoyant import (
    Bound,
    DayBound,
    Plan,
    price_days,
    require_solver,
    solve_day,
)
from autoscaler.sim.bounds.closed_form import pure_work_usd, regret, zero_wait_usd
from autoscaler.sim.bounds.day import Day
from autoscaler.sim.bounds.terms import Jobs, Promise, Terms

__all__ = [
    "Bound",
    "Day",
    "DayBound",
    "Jobs",
    "Plan",
    "Promise",
    "Terms",
    "price_days",
    "pure_work_usd",
    "regret",
    "require_solver",
    "solve_day",
    "zero_wait_usd",
]
