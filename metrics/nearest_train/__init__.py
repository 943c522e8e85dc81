from metrics.nearest_train.metric import Nearest, NearestTrain, nearest

__all__ = ["Nearest", "NearestTrain", "nearest"]
