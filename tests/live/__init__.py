"""The provider contract over real accounts, for real money: only with `--live VENDOR --spend-usd USD`."""
