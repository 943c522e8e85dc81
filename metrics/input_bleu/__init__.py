from metrics.input_bleu.metric import InputBleu

__all__ = ["InputBleu"]
