from metrics.nll_oracle.metric import NllOracle

__all__ = ["NllOracle"]
