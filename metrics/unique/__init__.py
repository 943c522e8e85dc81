from metrics.unique.metric import Unique

__all__ = ["Unique"]
