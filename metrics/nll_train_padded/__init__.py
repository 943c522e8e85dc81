from metrics.nll_train_padded.metric import NllTrainPadded

__all__ = ["NllTrainPadded"]
