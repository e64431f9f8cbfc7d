"""The ground floor: truth, time, amounts and problems. It imports no other room."""
