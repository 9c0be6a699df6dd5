"""Who runs a job, without the algorithm."""
