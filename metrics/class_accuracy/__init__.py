from metrics.class_accuracy.metric import ClassAccuracy

__all__ = ["ClassAccuracy"]
