from metrics.mauve.metric import Mauve

__all__ = ["Mauve"]
