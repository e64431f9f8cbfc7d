"""Clinical decision support: declarative rules over a patient's FHIR record, answered as cards."""

__version__ = "0.1.0"
