"""The seam to the CRM: what is delivered, and which CRM renders it."""
