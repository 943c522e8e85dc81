from metrics.nll_gen.metric import NllGen

__all__ = ["NllGen"]
