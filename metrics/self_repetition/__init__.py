from metrics.self_repetition.metric import SelfRepetition

__all__ = ["SelfRepetition"]
