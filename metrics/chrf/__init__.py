from metrics.chrf.metric import Chrf

__all__ = ["Chrf"]
