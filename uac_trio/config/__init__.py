"""The configuration: reads one TOML file into the settings classes of the other packages (``loading.py``)."""
