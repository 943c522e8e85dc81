from metrics.prdc.metric import Prdc

__all__ = ["Prdc"]
