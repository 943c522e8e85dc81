from metrics.nll_bound.metric import NllBound

__all__ = ["NllBound"]
