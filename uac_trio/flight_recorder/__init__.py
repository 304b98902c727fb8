"""The flight recorder: the last hours of AMI in bounded, compressed files that ``replay`` and ``explain`` read.

    AMI reader --> FlightRecorder.on_wire (a list in memory, bounded) --once a second--> worker thread --> files

It is what a support case needs: why a call of this morning was shown so. The files have telephone numbers and names.
"""
