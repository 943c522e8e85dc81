from metrics.zipf.metric import Zipf

__all__ = ["Zipf"]
