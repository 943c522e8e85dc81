from metrics.train_overlap.metric import TrainOverlap

__all__ = ["TrainOverlap"]
