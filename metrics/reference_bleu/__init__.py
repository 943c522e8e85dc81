from metrics.reference_bleu.metric import ReferenceBleu

__all__ = ["ReferenceBleu"]
