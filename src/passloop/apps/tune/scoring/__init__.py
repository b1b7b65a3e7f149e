"""What measurements are worth: statistics, SLOs, objectives, penalty, front, best. Pure functions of what is stored."""
