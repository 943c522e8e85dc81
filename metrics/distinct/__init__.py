from metrics.distinct.metric import Distinct

__all__ = ["Distinct"]
