"""What a run says: its schema, its tables, and the reports that people read.

``schema`` is the contract, ``table`` turns a run into one table; ``console``, ``markdown`` and ``html`` show it.
"""
