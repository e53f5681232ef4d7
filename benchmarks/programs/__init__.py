"""One program a peer, each in a process of its own: reads a topic to its end and prints the seconds from the first record it saw to the last one, and what it counted.

Called with broker, topic, number of partitions, number of records and the number of the turn (groups keep their offsets). The interpreters of some of them do not have our packages.
"""
