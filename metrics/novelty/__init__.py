from metrics.novelty.metric import Novelty

__all__ = ["Novelty"]
