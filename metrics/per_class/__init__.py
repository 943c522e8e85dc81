from metrics.per_class.metric import PerClass

__all__ = ["PerClass"]
