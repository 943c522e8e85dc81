from metrics.nll_class.metric import NllClass

__all__ = ["NllClass"]
