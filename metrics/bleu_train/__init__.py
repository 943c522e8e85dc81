from metrics.bleu_train.metric import BleuTrain

__all__ = ["BleuTrain"]
