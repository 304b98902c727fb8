"""``uac-trio explain``: why was this call shown so, and why is there no popup?

    recorded AMI --replay--> facts of each call --\
                                                   +--> ExplainedCall --> lines for people, or JSON
    rows of the store ----------------------------/

Pure: the command reads the files and the store.
"""
