"""The EHR's door: a CDS Hooks 2.0 service over HTTP."""
