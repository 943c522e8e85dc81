from metrics.self_bleu.metric import SelfBleu

__all__ = ["SelfBleu"]
