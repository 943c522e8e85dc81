from metrics.target_nll.metric import TargetNll

__all__ = ["TargetNll"]
