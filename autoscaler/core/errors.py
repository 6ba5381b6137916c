"""Errors that change behaviour.

::

    AutoscalerError
    ├── SettingsError         a bad file or option: exit code 2, before anything is touched
    ├── StoreUnavailable      Redis does not answer: hold, keep trying
    │   └── StoreRefused      it refuses us until the settings change: at the start, bad input
    ├── LeaseLost             another daemon leads: make no call
    ├── NewerRecords          records of a newer version: refuse to touch them
    └── ProviderError
        ├── NoCapacity        nothing to rent, or the stopped machine's GPU is taken: try elsewhere
        ├── RateLimited       wait `retry_after_s`, then go on
        ├── AuthFailed        the key is bad: nothing will succeed
        ├── InsufficientFunds the balance is spent: nothing will succeed
        ├── NotFound          the provider knows no such machine
        ├── Rejected          the request is wrong: the same request will fail again
        ├── Transient         refused for now, and certainly without effect
        ├── UnclearOutcome    perhaps it happened: look for the token, never try again
        └── PartialLaunch     it failed and yet made machines that now bill
"""

from __future__ import annotations

from typing import ClassVar


class AutoscalerError(Exception):
    """Root of all errors of this project."""


class SettingsError(AutoscalerError):
    """Bad input: every problem at once, one line each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreUnavailable(AutoscalerError):
    """The store did not answer, or refused."""


class StoreRefused(StoreUnavailable):
    """The store refuses us, such as our password, or we its certificate: only other settings help."""


class LeaseLost(AutoscalerError):
    """Another daemon holds the lease of this fleet."""


class NewerRecords(AutoscalerError):
    """The store holds records written by a newer version of this program."""


class ProviderError(AutoscalerError):
    """A provider refused or failed. Adapters raise only its subclasses."""

    fix: ClassVar[str] = ""
    """What a person can do about it, where only a person can."""


class NoCapacity(ProviderError):
    """Nothing of this kind can be had now. Nothing was made."""


class RateLimited(ProviderError):
    """Too many requests. Nothing was made."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AuthFailed(ProviderError):
    """The key was refused."""

    fix = "give this provider an `api_key` that is valid and has the rights it needs"


class InsufficientFunds(ProviderError):
    """The account's balance does not allow it."""

    fix = "top up the account"


class NotFound(ProviderError):
    """The provider knows no machine of this id."""


class Rejected(ProviderError):
    """The request broke a rule; the same request will fail again."""


class Transient(ProviderError):
    """The provider failed before it did anything; the request may be repeated later."""


class UnclearOutcome(ProviderError):
    """No answer, or one that proves nothing. What was asked may have happened."""


class PartialLaunch(ProviderError):
    """Renting failed and yet left machines behind that now bill."""

    def __init__(self, message: str, *, provider_ids: tuple[str, ...]) -> None:
        super().__init__(message)
        self.provider_ids = provider_ids
