from metrics.nll_oracle_valid.metric import NllOracleValid

__all__ = ["NllOracleValid"]
