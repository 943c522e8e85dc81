from metrics.bleu.metric import Bleu

__all__ = ["Bleu"]
